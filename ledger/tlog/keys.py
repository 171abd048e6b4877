"""Who signs: keys and their texts, as C2SP signed-note (v1.0.0) and tlog-cosignature (v1.0.1) say.

Two kinds of Ed25519 signatures: of a note (0x01), by which a log signs, and a timestamped co-signature of a checkpoint
(0x04), by which a witness does. The text of a secret key is that of golang.org/x/mod/sumdb/note.
"""

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.tlog import base64_text
from ledger.tlog.errors import KeyTextError

KEY_BYTES = 32
ID_BYTES = 4
_SIGNATURE_BYTES = 64
_TIME = struct.Struct(">Q")
TIME_MAX = 2**63 - 1
_SECRET = "PRIVATE+KEY+"  # noqa: S105 - how the text of a secret key begins


class Kind(IntEnum):
    """A signature type of signed-note."""

    NOTE = 0x01
    COSIGNATURE = 0x04


def is_name(name: str) -> bool:
    """Whether a key may have this name: not empty, no plus, no white space, no control characters."""
    return bool(name) and "+" not in name and not any(letter.isspace() or letter < " " for letter in name)


@dataclass(frozen=True)
class VerifierKey:
    """A public key with its name: known, it tells whether a signature is true."""

    name: str
    kind: Kind
    public: bytes
    """32 bytes (RFC 8032)."""

    def __post_init__(self) -> None:
        if not is_name(self.name):
            raise KeyTextError("the name of a key is empty, or has a plus, white space or control characters")
        if len(self.public) != KEY_BYTES:
            raise KeyTextError("an Ed25519 key is 32 bytes")

    @cached_property
    def id(self) -> bytes:
        """Four bytes by which signatures name it; no more than a name, so never proof of anything."""
        return _id(self.name, bytes([self.kind]) + self.public)

    @property
    def text(self) -> str:
        """The vkey: ``name+id+key``."""
        return f"{self.name}+{self.id.hex()}+{base64_text.write(bytes([self.kind]) + self.public)}"

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a vkey.

        Raises:
            KeyTextError: It is none, of a kind that is not known here, or its id is another key's.
        """
        name, id_text, kind, public = _parts(text)
        key = cls(name, kind, public)
        if key.id.hex() != id_text:
            raise KeyTextError("the id of the key is not that of its name and bytes")
        return key

    def time_of(self, text: bytes, signature: bytes) -> int | None:
        """Return when a text was co-signed, in seconds since 1970 UTC; None for a note's signature, which does not say.

        Args:
            signature: Without the key's id.

        Raises:
            InvalidSignature: This key has not signed that text so.
        """
        seconds, signed = None, text
        if self.kind is Kind.COSIGNATURE:
            if len(signature) != _TIME.size + _SIGNATURE_BYTES:
                raise InvalidSignature
            (seconds,) = _TIME.unpack_from(signature)
            if seconds > TIME_MAX:
                raise InvalidSignature
            signed, signature = _cosigned(seconds, text), signature[_TIME.size :]
        try:
            public = Ed25519PublicKey.from_public_bytes(self.public)
        except ValueError:
            raise InvalidSignature from None
        public.verify(signature, signed)
        return seconds


@dataclass(frozen=True)
class SigningKey:
    """A secret key with its name. Neither its text nor its seed is ever shown but by ``text``."""

    name: str
    kind: Kind
    seed: bytes = field(repr=False)
    """32 bytes (RFC 8032), from a source of randomness that is the caller's."""

    def __post_init__(self) -> None:
        if len(self.seed) != KEY_BYTES:
            raise KeyTextError("the seed of an Ed25519 key is 32 bytes")
        _ = self.verifier  # Refuses the name, if it is none.

    @cached_property
    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @cached_property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.name, self.kind, self._private.public_key().public_bytes_raw())

    @property
    def text(self) -> str:
        """``PRIVATE+KEY+name+id+key``: whoever has it signs as this key."""
        secret = base64_text.write(bytes([self.kind]) + self.seed)
        return f"{_SECRET}{self.name}+{self.verifier.id.hex()}+{secret}"

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read what ``text`` wrote.

        Raises:
            KeyTextError: It is no secret key, of a kind that is not known here, or its id is another key's.
        """
        if not text.startswith(_SECRET):
            raise KeyTextError("the text is no secret key: it does not begin with PRIVATE+KEY+")
        name, id_text, kind, seed = _parts(text.removeprefix(_SECRET))
        key = cls(name, kind, seed)
        if key.verifier.id.hex() != id_text:
            raise KeyTextError("the id of the secret key is not that of its name and bytes")
        return key

    def sign(self, text: bytes, *, at: int | None = None) -> bytes:
        """Return the signature of a note's text, without the key's id.

        Args:
            at: Seconds since 1970 UTC; given for a co-signature and for nothing else.
        """
        assert (at is not None) == (self.kind is Kind.COSIGNATURE), (
            "a co-signature says when, a note does not"
        )
        if at is None:
            return self._private.sign(text)
        assert 0 <= at <= TIME_MAX
        return _TIME.pack(at) + self._private.sign(_cosigned(at, text))


def _id(name: str, typed: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + typed).digest()[:ID_BYTES]


def _cosigned(seconds: int, text: bytes) -> bytes:
    return b"cosignature/v1\ntime %d\n" % seconds + text


def _parts(text: str) -> tuple[str, str, Kind, bytes]:
    """Return name, id in hexadecimal, kind and the bytes of a key's text."""
    name, _, rest = text.partition("+")
    id_text, _, key_text = rest.partition("+")
    try:
        typed = base64_text.read(key_text)
    except ValueError:
        raise KeyTextError("a key is written name+id+key, the last part in Base 64") from None
    if not typed or typed[0] not in list(Kind):
        raise KeyTextError(
            "a key is written name+id+key, of a kind that is known here: Ed25519 notes (0x01) or co-signatures (0x04)"
        )
    return name, id_text, Kind(typed[0]), typed[1:]
