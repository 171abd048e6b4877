"""The tables of the tree of units beside the log: on them rests which rows a direct reader sees.

How the tree grows, and where something counts in it, is asked of ``ledger.units``, as everywhere. What that comes to, pair by
pair and day by day, is worked out here by itself.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Connection

from ledger import UnitTree, sql
from ledger.business_time import business_day
from ledger.store import recorded
from ledger.unit_events import UNITS_STREAM, UnitEvent
from ledger.units import TreeOn, allocations, grow
from projections.hierarchies import FIRST_DAY, LAST_DAY
from projections.reconciling.tables import name_leaf

_QUERIES = sql.load("projections.sql", "reconcile.sql")

Row = tuple[Any, ...]
_REACH = ("unit", "leaf", "first", "after")
_NAMES = ("unit", "code", "name", "level", "parent", "valid_from", "valid_to")


class Compared(NamedTuple):
    """A table of the tree, and the first row that is not what the log comes to."""

    table: str
    rows: int
    key: dict[str, Any] | None
    """What that row is of, by name; None: there is none."""
    measure: str = "rows"
    says: int = 0
    log: int = 0


def compare_tree(connection: Connection[Any], position: int) -> Iterator[Compared]:
    """Compare the tables with the tree that they say they hold.

    Args:
        position: That of the projection that writes them. They hold the log's tree of then or of later.
    """
    written = connection.execute(_QUERIES["unit_tree"]).fetchall()
    changes = [recorded(row) for row in connection.execute(_QUERIES["units"], {"units": UNITS_STREAM})]
    least = sum(change.position <= position for change in changes)
    # Before there are units nothing is written.
    version = written[0][0] if written else 0
    wanted = min(max(version, least), len(changes))
    if len(written) > 1:
        yield Compared("unit_tree", len(written), {}, "rows", len(written), 1)
    else:
        key: dict[str, Any] | None = None if version == wanted else {}
        yield Compared("unit_tree", len(written), key, "version", version, wanted)

    changes = changes[:wanted]
    tree = grow(
        UnitTree(), [(entry.position, entry.event) for entry in changes if isinstance(entry.event, UnitEvent)]
    )
    day = business_day(changes[-1].recorded_at) if changes else FIRST_DAY
    for table, fields, expected in (
        ("unit_reach", _REACH, Counter(reaching(tree, day))),
        ("unit_names", _NAMES, Counter(_names(tree))),
    ):
        held = Counter(map(tuple, connection.execute(_QUERIES[table])))
        yield _compared(table, fields, held, expected, tree)


def reaching(tree: UnitTree, day: date) -> Iterator[tuple[UUID, UUID, date, date]]:
    """Yield which unit reaches which leaf, from when on and before when: all that holds on a day or later."""
    trees = [TreeOn(tree, first) for first in tree.days]
    ends = [*tree.days[1:], LAST_DAY]
    for leaf, part in [*((unit_id, None) for unit_id in tree.by_id), *allocations(tree).items()]:
        above: defaultdict[UUID, list[int]] = defaultdict(list)
        for number, on in enumerate(trees):
            if ends[number] > day:
                place = on.place(leaf) if part is None else on.place_allocated(*part)
                for unit_id in on.above(place.unit_id):
                    above[unit_id].append(number)
        for unit_id, numbers in above.items():
            for first, last in _runs(numbers):
                yield unit_id, leaf, tree.days[first] if first else FIRST_DAY, ends[last]


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last of numbers that follow each other."""
    for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        together = [number for _, number in run]
        yield together[0], together[-1]


def _names(tree: UnitTree) -> Iterator[Row]:
    for tenures in tree.by_code.values():
        for unit in tenures:
            # One whose opening was withdrawn is called nothing on any day.
            if unit.valid_to is None or unit.valid_to >= unit.valid_from:
                yield (
                    *(unit.id, unit.code, unit.name, unit.level, unit.parent_id),
                    *(unit.valid_from, unit.valid_to),
                )


def _compared(
    table: str, fields: Sequence[str], held: Counter[Row], expected: Counter[Row], tree: UnitTree
) -> Compared:
    leaves = {str(leaf): part for leaf, part in allocations(tree).items()}
    differing = [row for row in held.keys() | expected.keys() if held[row] != expected[row]]
    first = min(differing, key=str, default=None)
    if first is None:
        return Compared(table, held.total(), None)
    key = {
        name: name_leaf(tree, str(value), leaves) if isinstance(value, UUID) else value
        for name, value in zip(fields, first, strict=True)
        if value is not None
    }
    return Compared(table, held.total(), key, "rows", held[first], expected[first])
