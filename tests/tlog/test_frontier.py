"""A frontier grows as the tree does, however its leaves come."""

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.tlog.errors import FrontierError
from ledger.tlog.frontier import Frontier
from ledger.tlog.tree import leaf_hash, nodes_of, root

SIZE = 700
LEAVES = b"".join(leaf_hash(str(index).encode()) for index in range(SIZE))
NODES = nodes_of(LEAVES)


def test_one_by_one_every_root_is_the_trees():
    frontier = Frontier()
    for size in range(SIZE):
        assert root(size, NODES) == frontier.root
        frontier = frontier.append(LEAVES[32 * size : 32 * size + 32])
    assert (SIZE, root(SIZE, NODES)) == (frontier.size, frontier.root)


@given(st.lists(st.integers(0, 90)))
def test_in_any_batches_it_is_the_same_frontier(batches):
    """And what was written down is what is read."""
    frontier = Frontier()
    for batch in batches:
        start, end = 32 * frontier.size, 32 * min(SIZE, frontier.size + batch)
        frontier = Frontier.from_bytes(frontier.extend(LEAVES[start:end]).to_bytes())
    size = min(SIZE, sum(batches))

    assert (size, root(size, NODES)) == (frontier.size, frontier.root)
    assert frontier == Frontier().extend(LEAVES[: 32 * size])


def test_a_frontier_is_a_value():
    """Growing leaves the old one as it was: a batch that fails changes nothing."""
    old = Frontier().extend(LEAVES[:96])
    grown = old.extend(LEAVES[96:160])

    assert (3, 5) == (old.size, grown.size)
    assert root(3, NODES) == old.root


@pytest.mark.parametrize("cut", [0, 7, 8, 39, 40, 71, 73, 200])
def test_what_is_no_frontier_is_refused(cut):
    """Cut anywhere, or longer than its size says."""
    data = (Frontier().extend(LEAVES[:96]).to_bytes() + bytes(200))[:cut]

    with pytest.raises(FrontierError):
        Frontier.from_bytes(data)


def test_leaves_are_32_bytes():
    with pytest.raises(FrontierError):
        Frontier().extend(LEAVES[:33])
    with pytest.raises(FrontierError):
        Frontier().append(LEAVES[:64])
    with pytest.raises(FrontierError):
        Frontier(1, ())
    with pytest.raises(FrontierError):
        Frontier(1, (bytes(31),))
    with pytest.raises(FrontierError):
        Frontier.from_bytes(bytes([255]) * 8 + bytes(32 * 64))


def test_it_keeps_up_with_many_times_the_log():
    """The log records some 60,000 events/s; of leaves in batches, well over 300,000 are taken on one core.

    Half of that must be reached here, where others may be at work.
    """
    batch = bytes(32 * 20_000)
    fastest = 0.0
    for _ in range(5):
        frontier, start = Frontier(), perf_counter()
        for _ in range(3):
            frontier = frontier.extend(batch)
        fastest = max(fastest, frontier.size / (perf_counter() - start))

    assert fastest > 150_000
