"""Tiles: their paths, what a growth makes, and every node and proof had from them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.tlog.errors import TileError
from ledger.tlog.tiles import Tile, grow, nodes_from, tile_at, tiles_made, tiles_wanted
from ledger.tlog.tree import consistency_proof, inclusion_proof, leaf_hash, nodes_of, root

SIZE = 66_100
"""Past 256 squared: tiles of three levels."""
LEAVES = b"".join(leaf_hash(str(index).encode()) for index in range(SIZE))
NODES = nodes_of(LEAVES)
TILES = dict(grow(0, LEAVES, {}.__getitem__))


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 0, 1), "tile/0/000.p/1"),
        (Tile(0, 1_234_067), "tile/0/x001/x234/067"),
        (Tile(3, 1_234_067, 255), "tile/3/x001/x234/067.p/255"),
        (Tile(63, 999), "tile/63/999"),
        (Tile(1, 1000), "tile/1/x001/000"),
    ],
)
def test_paths(tile, path):
    """As C2SP tlog-tiles writes them."""
    assert path == tile.path
    assert tile == Tile.from_path(path)


@given(st.integers(0, 63), st.integers(0, 2**63 - 1), st.integers(1, 256))
def test_every_tile_has_one_path(level, index, width):
    tile = Tile(level, index, width)
    assert tile == Tile.from_path(tile.path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/0",
        "tile/0/00",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/001",
        "tile/0/x001",
        "tile/0/001/002",
        "tile/0/1234",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/1000",
        "tile/0/000.p",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/000\n",
        "tile/0/00\u0663",
        "tile/0/../000",
        "tile/0/" + "x999/" * 7 + "999",
        "tile/entries/000",
    ],
)
def test_what_is_no_path_is_refused(path):
    with pytest.raises(TileError):
        Tile.from_path(path)


def test_a_tree_of_70_000_has_the_tiles_of_the_specification():
    """273 full and one of 112 at level 0, one full and one of 17 at level 1, one of 1 at level 2."""
    made = list(tiles_made(0, 70_000))

    assert [Tile(0, index) for index in range(273)] == made[:273]
    assert [Tile(0, 273, 112), Tile(1, 0), Tile(1, 1, 17), Tile(2, 0, 1)] == made[273:]
    assert [Tile(0, 0), Tile(1, 0, 1)] == list(tiles_made(0, 256))


def test_hashes_of_a_tile_are_roots_of_the_level_below():
    for tile, hashes in TILES.items():
        assert tile.width * 32 == len(hashes)
        for number in range(tile.width):
            expected = NODES(8 * tile.level, 256 * tile.index + number)
            assert expected == hashes[32 * number : 32 * number + 32]


@settings(max_examples=30)
@given(st.lists(st.sampled_from([0, 1, 2, 100, 255, 256, 257, 1000, 30_000]), max_size=8))
def test_in_any_batches_the_same_tiles_are_made(batches):
    """Each batch makes those that tiles_made says, and in the end they are those of one batch."""
    kept, size = {}, 0
    for batch in batches:
        new = min(SIZE, size + batch)
        made = dict(grow(size, LEAVES[32 * size : 32 * new], kept.__getitem__))
        assert list(tiles_made(size, new)) == list(made)
        kept.update(made)
        size = new
    now = dict(grow(0, LEAVES[: 32 * size], {}.__getitem__))

    assert now == {tile: kept[tile] for tile in now}


@settings(max_examples=60)
@given(st.data())
def test_proofs_out_of_tiles_are_those_of_the_tree(data):
    """For trees as large as the tiles, whose edges are partial; and exactly the wanted tiles are fetched, once each."""
    index = data.draw(
        st.one_of(st.integers(0, SIZE - 1), st.sampled_from([0, 255, 256, 65_535, 65_536, SIZE - 1]))
    )
    old = data.draw(st.integers(1, SIZE))
    fetched = []

    def fetch(tile):
        fetched.append(tile)
        return TILES[tile]

    def ask(nodes):
        return (
            inclusion_proof(index, SIZE, nodes),
            consistency_proof(old, SIZE, nodes),
            root(SIZE, nodes),
        )

    assert ask(NODES) == ask(nodes_from(SIZE, fetch))
    assert sorted(tiles_wanted(SIZE, ask)) == sorted(fetched)


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 65_535, 65_536, 65_537])
def test_roots_of_sizes_at_the_edges(size):
    tiles = dict(grow(0, LEAVES[: 32 * size], {}.__getitem__))

    assert root(size, NODES) == root(size, nodes_from(size, tiles.__getitem__))


def test_a_tile_of_another_width_is_refused():
    """Cut, or of a smaller tree."""
    nodes = nodes_from(SIZE, lambda tile: TILES[tile][:-32])

    with pytest.raises(TileError):
        root(SIZE, nodes)
    with pytest.raises(TileError):
        list(grow(5, LEAVES[:32], lambda _: LEAVES[:32]))
    with pytest.raises(TileError):
        list(grow(0, LEAVES[:33], lambda _: b""))


@pytest.mark.parametrize(("level", "index"), [(0, 259), (1, 2), (2, 1), (3, 0), (0, -1), (-1, 0)])
def test_tiles_that_a_tree_has_not(level, index):
    with pytest.raises(TileError):
        tile_at(level, index, SIZE)
