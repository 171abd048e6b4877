"""One event's proof as a file that other people's tools check, as C2SP tlog-proof (v1, 22 May 2026) says."""

from dataclasses import dataclass
from typing import Self

from ledger.tlog import base64_text, decimal_text
from ledger.tlog.errors import ProofError
from ledger.tlog.notes import Note
from ledger.tlog.tree import HASH_BYTES, PROOF_HASHES_MAX, SIZE_MAX

HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class TlogProof:
    """Where an entry stands in a log's tree, the hashes that prove it, and the checkpoint."""

    index: int
    """From 0: the event's position less one."""
    hashes: tuple[bytes, ...]
    """From the leaf's sibling up."""
    checkpoint: Note
    extra: bytes | None = None
    """Signed by nobody. Ours is the entry itself (``leaves.entry``), whose hash the tree proves."""

    def __post_init__(self) -> None:
        if not 0 <= self.index < SIZE_MAX or len(self.hashes) > PROOF_HASHES_MAX:
            raise ProofError("no tree has such an index, or needs so many hashes")
        if any(len(hash_) != HASH_BYTES for hash_ in self.hashes):
            raise ProofError("a hash is 32 bytes")

    def __str__(self) -> str:
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {base64_text.write(self.extra)}")
        lines.append(f"index {self.index}")
        lines += [base64_text.write(hash_) for hash_ in self.hashes]
        return "\n".join([*lines, "", str(self.checkpoint)])

    def __bytes__(self) -> bytes:
        return str(self).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a file; nothing is proved by that, and no signature looked at.

        Raises:
            ProofError: It is malformed or cut.
            NoteError: What stands for the checkpoint is no note.
        """
        head, _, checkpoint = data.partition(b"\n\n")
        try:
            header, *lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError:
            header, lines = "", []
        if header != HEADER:
            raise ProofError(f"a proof begins with the line {HEADER}")
        extra = lines.pop(0).removeprefix("extra ") if lines and lines[0].startswith("extra ") else None
        if not lines or not lines[0].startswith("index "):
            raise ProofError("the proof has no index")
        try:
            index = decimal_text.read(lines[0].removeprefix("index "))
            hashes = tuple(base64_text.read(line) for line in lines[1:])
            opaque = None if extra is None else base64_text.read(extra)
        except ValueError as error:
            raise ProofError(f"a line of the proof: {error}") from None
        return cls(index, hashes, Note.from_bytes(checkpoint), opaque)
