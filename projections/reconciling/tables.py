"""Tables of projections beside the log.

A table is compared bucket by bucket by sums of hashes, in memory that does not grow with it. Only where a bucket differs
it and the log are gone through again, to name the first cell that does.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from secrets import randbits
from typing import Any, ClassVar

from ledger import UnitTree
from projections.reconciling.counts import Days, Deltas, Ever, Months, Pentads
from projections.reconciling.reading import Item, Key, Table
from projections.reconciling.waits import Times, Waiting

TABLES: tuple[type[Table], ...] = (Deltas, Days, Pentads, Months, Ever, Waiting, Times)
"""Everything that is compared. A new table is a class, its query in ``reconcile.sql``, and its name here."""


class Sums:
    """The items of one side, summed by bucket: each number times a hash of what it is of.

    Equal sums of different items would be a coincidence of 64 bits: the hash is keyed anew in each process, and so are the
    factors of the measures.
    """

    FACTORS: ClassVar = [randbits(64) | 1 for _ in range(64)]

    def __init__(self) -> None:
        self.by_bucket: defaultdict[int, int] = defaultdict(int)

    def add(self, items: Iterable[Item]) -> None:
        sums, factors = self.by_bucket, self.FACTORS
        for bucket, key, measure, number, _ in items:
            sums[bucket] += number * factors[measure] * hash(key)


def first_bucket(one: Sums, other: Sums) -> int | None:
    """Return the first bucket in which two sides differ."""
    buckets = one.by_bucket.keys() | other.by_bucket.keys()
    return min((b for b in buckets if one.by_bucket.get(b, 0) != other.by_bucket.get(b, 0)), default=None)


class Exactly:
    """The items of one side in one bucket, each by itself."""

    def __init__(self, bucket: int) -> None:
        self._bucket = bucket
        self.numbers: Counter[tuple[Key, int]] = Counter()
        self.positions: dict[Key, int] = {}
        """The first event of the log that is about it."""

    def add(self, items: Iterable[Item]) -> None:
        for bucket, key, measure, number, position in items:
            if bucket == self._bucket:
                self.numbers[key, measure] += number
                if position is not None:
                    self.positions[key] = min(position, self.positions.get(key, position))


def first_cell(table: Exactly, log: Exactly) -> tuple[Key, int] | None:
    """Return what differs first, and in which measure."""
    cells = table.numbers.keys() | log.numbers.keys()
    return min((cell for cell in cells if table.numbers[cell] != log.numbers[cell]), default=None)


def name_leaf(tree: UnitTree, leaf: str, leaves: Mapping[str, Any]) -> str:
    """Return what a leaf is called: a unit by its code and name, an id that is none of the ledger's as it is."""
    for unit_id in tree.by_id:
        if str(unit_id) == leaf:
            return f"{tree.by_id[unit_id][-1].code} {tree.by_id[unit_id][-1].name}"
    if leaf in leaves:
        unit_id, to = leaves[leaf]
        unit, part = tree.by_id[unit_id][-1], tree.by_id[to][-1]
        return f"{unit.code} {unit.name}, allocated to {part.code} {part.name}"
    return leaf
