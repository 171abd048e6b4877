"""What of a tree is enough to let it grow: the roots of its full subtrees, one for each 1 in its size's binary form."""

from dataclasses import dataclass
from typing import Self

from ledger.tlog.errors import FrontierError
from ledger.tlog.tree import EMPTY_ROOT, HASH_BYTES, SIZE_MAX, fold, parents

_SIZE_BYTES = 8


@dataclass(frozen=True, slots=True)
class Frontier:
    """The right edge of a tree, a value: growing makes another one."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()
    """Roots of the full subtrees, largest (leftmost) first."""

    def __post_init__(self) -> None:
        if not 0 <= self.size <= SIZE_MAX:
            raise FrontierError(f"no tree has {self.size} leaves")
        if self.size.bit_count() != len(self.peaks) or any(len(peak) != HASH_BYTES for peak in self.peaks):
            raise FrontierError(f"a tree of {self.size} leaves has {self.size.bit_count()} peaks of 32 bytes")

    @property
    def root(self) -> bytes:
        return fold(self.peaks) if self.peaks else EMPTY_ROOT

    def extend(self, leaves: bytes) -> Self:
        """Return the frontier after more leaf hashes, joined. A hash for each leaf, level by level."""
        count, rest = divmod(len(leaves), HASH_BYTES)
        if rest:
            raise FrontierError("leaf hashes are 32 bytes each")
        size = self.size
        smallest_first = list(reversed(self.peaks))
        peaks: list[bytes] = []
        hashes = leaves
        while size or hashes:
            if size & 1:
                hashes = smallest_first.pop(0) + hashes
            if len(hashes) // HASH_BYTES & 1:
                peaks.append(hashes[-HASH_BYTES:])
            hashes = parents(hashes)
            size >>= 1
        return type(self)(self.size + count, tuple(reversed(peaks)))

    def append(self, leaf: bytes) -> Self:
        """Return the frontier after one more leaf hash."""
        if len(leaf) != HASH_BYTES:
            raise FrontierError("a leaf hash is 32 bytes")
        return self.extend(leaf)

    def to_bytes(self) -> bytes:
        """Return the size, eight bytes big-endian, and the peaks."""
        return self.size.to_bytes(_SIZE_BYTES, "big") + b"".join(self.peaks)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what ``to_bytes`` wrote.

        Raises:
            FrontierError: It is cut, or too long for its size.
        """
        size = int.from_bytes(data[:_SIZE_BYTES], "big")
        hashes = data[_SIZE_BYTES:]
        if len(data) < _SIZE_BYTES:
            raise FrontierError("the bytes are no frontier: they are cut")
        return cls(size, tuple(hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)))
