"""How a tree is kept and served: 256 hashes a tile, as C2SP tlog-tiles says (v0.1.0 with its changes to 6 February 2026).

A full tile never changes, so it may be cached for ever. A partial one is never hashed into the level above.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

from ledger.tlog.errors import TileError
from ledger.tlog.tree import HASH_BYTES, SIZE_MAX, Nodes, parents

HEIGHT = 8
WIDTH = 1 << HEIGHT
_FULL_BYTES = WIDTH * HASH_BYTES
_PATH = re.compile(
    r"tile/([0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII
)


@dataclass(frozen=True, order=True, slots=True)
class Tile:
    """A tile's place. At level 0 its hashes are leaves; above, each is the root of a full tile one level below."""

    level: int
    index: int
    """From 0, within the level."""
    width: int = WIDTH
    """How many hashes it has; less than WIDTH: it is partial."""

    @property
    def path(self) -> str:
        """Where it is served, below the log's prefix: ``tile/0/x001/x234/067.p/9``."""
        digits = str(self.index)
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        *above, last = (digits[at : at + 3] for at in range(0, len(digits), 3))
        partial = f".p/{self.width}" if self.width < WIDTH else ""
        return f"tile/{self.level}/{''.join(f'x{part}/' for part in above)}{last}{partial}"

    @classmethod
    def from_path(cls, path: str) -> Self:
        """Read a path; every tile has exactly one.

        Raises:
            TileError: It is no tile's path.
        """
        match = _PATH.fullmatch(path)
        if match is None:
            raise TileError("this is no path of a tile")
        index = int(match[2].replace("x", "").replace("/", ""))
        tile = cls(int(match[1]), index, int(match[3]) if match[3] else WIDTH)
        if index > SIZE_MAX or tile.path != path:
            raise TileError("this is no path of a tile")
        return tile


Fetch = Callable[[Tile], bytes]
"""Where the tiles come from: the hashes of one, joined."""


def tile_at(level: int, index: int, size: int) -> Tile:
    """Return the tile of a place in a tree of that size, as wide as it is there.

    Raises:
        TileError: There is none.
    """
    width = min(WIDTH, (size >> HEIGHT * level) - WIDTH * index) if level >= 0 else 0
    if index < 0 or width <= 0:
        raise TileError(f"a tree of {size} leaves has no tile {index} at level {level}")
    return Tile(level, index, width)


def tiles_made(old: int, new: int) -> Iterator[Tile]:
    """Yield the tiles that a tree of ``new`` leaves has and one of ``old`` has not, or not so wide; lowest level first."""
    level = 0
    while new >> HEIGHT * level > old >> HEIGHT * level:
        first = (old >> HEIGHT * level) // WIDTH
        last = -(-(new >> HEIGHT * level) // WIDTH)
        yield from (tile_at(level, index, new) for index in range(first, last))
        level += 1


def grow(size: int, leaves: bytes, fetch: Fetch) -> Iterator[tuple[Tile, bytes]]:
    """Yield the tiles that more leaf hashes, joined, make of a tree of ``size`` leaves: those of ``tiles_made``, with their hashes.

    Args:
        fetch: Asked for the partial tiles at the edge of the old tree, one for each level that grows.

    Raises:
        TileError: A partial tile is not as wide as it is in the old tree.
    """
    if len(leaves) % HASH_BYTES:
        raise TileError("leaf hashes are 32 bytes each")
    level, hashes = 0, leaves
    while hashes:
        index, edge = divmod(size >> HEIGHT * level, WIDTH)
        if edge:
            hashes = _fetched(Tile(level, index, edge), fetch) + hashes
        full = len(hashes) // _FULL_BYTES * _FULL_BYTES
        for start in range(0, full, _FULL_BYTES):
            yield Tile(level, index + start // _FULL_BYTES), hashes[start : start + _FULL_BYTES]
        if full < len(hashes):
            rest = hashes[full:]
            yield Tile(level, index + full // _FULL_BYTES, len(rest) // HASH_BYTES), rest
        hashes = hashes[:full]
        for _ in range(HEIGHT):
            hashes = parents(hashes)
        level += 1


def nodes_from(size: int, fetch: Fetch) -> Nodes:
    """Return the nodes of a tree of ``size`` leaves out of its tiles: what ``root`` and the proofs of ``tree`` ask for.

    A tile is fetched once and remembered; the levels between its hashes are hashed again, at most 255 hashes for
    each tile. Whoever asks for several proofs in one tree does best to use the same nodes.

    Raises:
        TileError: From the nodes: a tile is not as wide as it is in that tree.
    """
    remembered: dict[Tile, list[bytes]] = {}

    def node(level: int, index: int) -> bytes:
        tile_level, inner = divmod(level, HEIGHT)
        tile_index, first = divmod(index << inner, WIDTH)
        tile = tile_at(tile_level, tile_index, size)
        levels = remembered.get(tile)
        if levels is None:
            levels = remembered[tile] = [_fetched(tile, fetch)]
            while len(levels) < HEIGHT:
                levels.append(parents(levels[-1]))
        start = (first >> inner) * HASH_BYTES
        assert start < len(levels[inner]), "no such full subtree"
        return levels[inner][start : start + HASH_BYTES]

    return node


def tiles_wanted(size: int, ask: Callable[[Nodes], object]) -> set[Tile]:
    """Return the tiles that a question about a tree of ``size`` leaves will fetch, so that they can be had at once.

    Args:
        ask: Asks the question of the nodes that it is given, whose hashes mean nothing: its answer is thrown away.
    """
    wanted: set[Tile] = set()

    def node(level: int, index: int) -> bytes:
        tile_level, inner = divmod(level, HEIGHT)
        wanted.add(tile_at(tile_level, (index << inner) // WIDTH, size))
        return bytes(HASH_BYTES)

    ask(node)
    return wanted


def _fetched(tile: Tile, fetch: Fetch) -> bytes:
    hashes = fetch(tile)
    if len(hashes) != tile.width * HASH_BYTES:
        raise TileError(f"{tile.path} has {len(hashes)} bytes, not {tile.width * HASH_BYTES}")
    return hashes
