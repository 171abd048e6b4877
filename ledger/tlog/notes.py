"""Texts with signatures, as C2SP signed-note (v1.0.0) says. Nothing of a text counts before a known key has signed it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidSignature

from ledger.tlog import base64_text
from ledger.tlog.errors import NoteError, SignatureFalseError, UnsignedError
from ledger.tlog.keys import ID_BYTES, SigningKey, VerifierKey, is_name

NOTE_BYTES_MAX = 1_000_000
SIGNATURES_MAX = 100
"""As golang.org/x/mod/sumdb/note has it; the format wants 16 at least."""
_DASH = "\u2014 "


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line; true or false is for a key to say."""

    name: str
    key_id: bytes
    value: bytes
    """Without the key's id."""

    @property
    def line(self) -> str:
        return f"{_DASH}{self.name} {base64_text.write(self.key_id + self.value)}\n"

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Read a line, without its end.

        Raises:
            NoteError: It is no signature line.
        """
        name, _, value = line.removeprefix(_DASH).partition(" ")
        try:
            data = base64_text.read(value)
        except ValueError:
            data = b""
        if not line.startswith(_DASH) or not is_name(name) or len(data) <= ID_BYTES:
            raise NoteError("a line after the note's text is no signature")
        return cls(name, data[:ID_BYTES], data[ID_BYTES:])


@dataclass(frozen=True, slots=True)
class Note:
    """A text and its signature lines, none of them looked at."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(signature.line for signature in self.signatures)}"

    def __bytes__(self) -> bytes:
        return str(self).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a note.

        Raises:
            NoteError: It is malformed, without a signature line, or too large.
        """
        if len(data) > NOTE_BYTES_MAX:
            raise NoteError(f"a note of more than {NOTE_BYTES_MAX:,} bytes is not read")
        try:
            whole = data.decode()
        except UnicodeDecodeError:
            raise NoteError("a note is UTF-8 and this is not") from None
        if any(letter < " " and letter != "\n" for letter in whole):
            raise NoteError("a note has no control characters but ends of lines")
        text, blank, lines = whole.rpartition("\n\n")
        if not blank or not lines.endswith("\n"):
            raise NoteError("a note is a text, an empty line, and whole lines of signatures")
        signatures = lines[:-1].split("\n")
        if len(signatures) > SIGNATURES_MAX:
            raise NoteError(f"a note of more than {SIGNATURES_MAX} signatures is not read")
        return cls(text + "\n", tuple(Signature.from_line(line) for line in signatures))


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that is true."""

    key: VerifierKey
    seconds: int | None
    """When, since 1970 UTC, as the co-signer says; None where the signature is no co-signature."""


def sign(text: str, keys: Iterable[SigningKey], *, at: int | None = None) -> Note:
    """Return a note of the text, signed by each key in turn.

    Args:
        text: Ends with a new line.
        at: Seconds since 1970 UTC, for co-signatures.
    """
    note = Note(text, tuple(signature(text, key, at=at) for key in keys))
    assert note == Note.from_bytes(bytes(note)), "the text is none that a note can have"
    return note


def signature(text: str, key: SigningKey, *, at: int | None = None) -> Signature:
    """Return one key's signature of a note's text."""
    return Signature(key.name, key.verifier.id, key.sign(text.encode(), at=at))


def signers(note: Note, keys: Sequence[VerifierKey]) -> list[Signed]:
    """Return which of the keys have signed a note, each once, in the order of the lines; none is an empty list.

    Signatures of other keys are ignored. If one key has several, all must be true and the first counts.

    Raises:
        SignatureFalseError: A line names one of the keys, which has not signed this.
    """
    known = {(key.name, key.id): key for key in keys}
    assert len(known) == len(set(keys)), "two keys share name and id"
    text = note.text.encode()
    found: dict[VerifierKey, Signed] = {}
    for line in note.signatures:
        key = known.get((line.name, line.key_id))
        if key is None:
            continue
        try:
            seconds = key.time_of(text, line.value)
        except InvalidSignature:
            raise SignatureFalseError(f"the signature of {key.name} is false") from None
        found.setdefault(key, Signed(key, seconds))
    return list(found.values())


def open_note(data: bytes, keys: Sequence[VerifierKey]) -> tuple[Note, list[Signed]]:
    """Read a note and return it with those of the keys that have signed it, at least one.

    Raises:
        NoteError: It is malformed; SignatureFalseError, UnsignedError.
    """
    note = Note.from_bytes(data)
    found = signers(note, keys)
    if not found:
        raise UnsignedError("none of the known keys has signed this note")
    return note, found
