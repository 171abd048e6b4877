"""What a log signs: how large its tree is and what its root, as C2SP tlog-checkpoint (v1.0.0) says."""

from dataclasses import dataclass
from typing import Self

from ledger.tlog import base64_text, decimal_text
from ledger.tlog.errors import CheckpointError
from ledger.tlog.tree import EMPTY_ROOT, HASH_BYTES, SIZE_MAX


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log's tree; the text of the note that says so."""

    origin: str
    """The log's name."""
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()
    """Lines that mean nothing here; a log had better have none."""

    def __post_init__(self) -> None:
        if not 0 <= self.size <= SIZE_MAX:
            raise CheckpointError(f"no tree has {self.size} leaves")
        if len(self.root) != HASH_BYTES or (self.size == 0 and self.root != EMPTY_ROOT):
            raise CheckpointError("the checkpoint's root is none that a tree of its size can have")
        if any(not line or "\n" in line for line in (self.origin, *self.extensions)):
            raise CheckpointError("a line of a checkpoint is empty, or several")

    @property
    def text(self) -> str:
        lines = (self.origin, str(self.size), base64_text.write(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a note's text.

        Raises:
            CheckpointError: It is no checkpoint.
        """
        origin, *more = text.split("\n")
        if len(more) < 3 or more.pop():
            raise CheckpointError("a checkpoint has three lines at least")
        try:
            size, root = decimal_text.read(more[0]), base64_text.read(more[1])
        except ValueError as error:
            raise CheckpointError(f"the size or the root of the checkpoint: {error}") from None
        return cls(origin, size, root, tuple(more[2:]))
