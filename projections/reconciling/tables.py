"""Tables of projections beside the log: what each row comes to, got from both.

A table is compared bucket by bucket by sums of hashes, in memory that does not grow with it. Only where a bucket differs
it and the log are gone through again, to name the first cell that does.
"""

from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from secrets import randbits
from typing import Any, ClassVar, NamedTuple

from psycopg import Connection

from ledger import UnitTree, sql
from projections.reconciling.following import (
    ACTIVATION,
    ACTIVATION_NOTIFIED,
    APPROVAL,
    APPROVAL_LONG,
    MEASURES_FOLLOWED,
    Life,
)
from projections.unit_totals import COUNTS, EVENTS
from projections.unit_totals import NAME as UNIT_TOTALS

_QUERIES = sql.load("projections.sql", "reconcile.sql")
_BUCKET_BITS = 10
"""1,024 positions make a bucket."""
_WAITS_NAMES = ("approval", "approval without a valid card", "activation", "activation, notified")

Key = tuple[Any, ...]
"""What a row is of; compared by ``==``, and in the order of the first difference."""


class Item(NamedTuple):
    """What a row of a table, or an event of the log, adds to one number of the table."""

    bucket: int
    key: Key
    measure: int
    number: int
    position: int | None = None
    """Of the event of the log."""


class Table(ABC):
    """A table that follows from the log."""

    NAME: ClassVar[str]
    PROJECTION: ClassVar[str]
    """Whose position says up to which event it holds the log."""
    MEASURES: ClassVar[tuple[str, ...]]
    """What is counted, by the numbers of ``Item.measure``."""

    @abstractmethod
    def of_log(self, life: Life, upto: int) -> Iterator[Item]:
        """Yield what a dossier comes to at a position."""

    @abstractmethod
    def rows(self, connection: Connection[Any]) -> Iterator[list[Item]]:
        """Yield what each row of the table comes to."""

    @abstractmethod
    def tell(self, key: Key) -> dict[str, Any]:
        """Return a key's fields by name, ``leaf`` for what a unit stands for."""


class Deltas(Table):
    """Every delta, by the position of the event that made it."""

    NAME = "unit_totals_deltas"
    PROJECTION = UNIT_TOTALS
    MEASURES = (*EVENTS, *(f"awaiting {name}" for name in _WAITS_NAMES))

    def of_log(self, life: Life, upto: int) -> Iterator[Item]:
        for (_, position, recorded_on, _, _), moves in life.events:
            if position <= upto:
                for where, measure, number in moves:
                    key = (position, recorded_on, *where)
                    yield Item(position >> _BUCKET_BITS, key, measure, number, position)

    def rows(self, connection: Connection[Any]) -> Iterator[list[Item]]:
        types = (
            "int8",
            "date",
            "text",
            "int2",
            "date",
            *["text"] * 6,
            "date",
            "text",
            "int2",
            "int2",
            "int2",
        )
        for *key, event, waits, number in read(connection, self.NAME, types):
            bucket, found = key[0] >> _BUCKET_BITS, []
            if event is not None:
                found.append(Item(bucket, tuple(key), event, number))
            if waits is not None:
                found.append(Item(bucket, tuple(key), len(EVENTS) + waits, number))
            yield found

    def tell(self, key: Key) -> dict[str, Any]:
        names = (
            *("position", "recorded_on", "leaf", "level", "day", "place", "shift", "partner", "team"),
            *("actor", "residence", "residence_on", "reason"),
        )
        return dict(zip(names, key, strict=True))


class Days(Table):
    """Sums by leaf, level and day."""

    NAME = "unit_totals_day"
    PROJECTION = UNIT_TOTALS
    MEASURES = COUNTS

    def of_log(self, life: Life, upto: int) -> Iterator[Item]:
        for (_, position, _, _, _), moves in life.events:
            if position <= upto:
                for (leaf, level, day, *_), measure, number in moves:
                    bucket, key = self._cell(leaf, level, self._period(day))
                    for column in _COLUMNS[measure]:
                        yield Item(bucket, key, column, number, position)

    def rows(self, connection: Connection[Any]) -> Iterator[list[Item]]:
        types = ("text", "int2", "date", *["int4"] * len(COUNTS))
        for leaf, level, day, *numbers in read(connection, self.NAME, types):
            bucket, key = self._cell(leaf, level, day)
            yield [Item(bucket, key, column, number) for column, number in enumerate(numbers) if number]

    def tell(self, key: Key) -> dict[str, Any]:
        return dict(zip(("day", "leaf", "level"), key, strict=True))

    def _period(self, day: date) -> date:
        """Return the first day of the row in which a day counts."""
        return day

    def _cell(self, leaf: str, level: int, first: date) -> tuple[int, Key]:
        return _month_number(first), (first, leaf, level)


class Months(Days):
    """Sums by leaf, level and month."""

    NAME = "unit_totals_month"

    def tell(self, key: Key) -> dict[str, Any]:
        return dict(zip(("month", "leaf", "level"), key, strict=True))

    def _period(self, day: date) -> date:
        return day.replace(day=1)


class Ever(Days):
    """Sums of all days by leaf and level."""

    NAME = "unit_totals_ever"

    def tell(self, key: Key) -> dict[str, Any]:
        return dict(zip(("leaf", "level"), key, strict=True))

    def _cell(self, leaf: str, level: int, first: date) -> tuple[int, Key]:
        del first
        return 0, (leaf, level)


_COLUMNS: Mapping[int, tuple[int, ...]] = {
    **{event: (event,) for event in range(len(EVENTS))},
    **{
        waits: tuple(COUNTS.index(name) for name in names)
        for waits, names in (
            (APPROVAL, ("awaiting_approval",)),
            (APPROVAL_LONG, ("awaiting_approval", "awaiting_long")),
            (ACTIVATION, ("awaiting_activation",)),
            (ACTIVATION_NOTIFIED, ("awaiting_activation", "awaiting_notified")),
        )
    },
}
assert set(MEASURES_FOLLOWED) == set(_COLUMNS)


def _month_number(day: date) -> int:
    return 12 * day.year + day.month


TABLES: tuple[type[Table], ...] = (Deltas, Days, Months, Ever)
"""Everything that is compared. A new table is a class, its query in ``reconcile.sql``, and its name here."""


def read(connection: Connection[Any], query: str, types: Iterable[str], **parameters: Any) -> Iterator[Any]:
    """Yield the rows of a query as they come; however many there are, few are in memory."""
    with connection.cursor() as cursor, cursor.copy(_QUERIES[query], parameters or None) as copy:
        copy.set_types(list(types))
        yield from copy.rows()


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
