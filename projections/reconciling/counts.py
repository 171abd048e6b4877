"""The tables of the unit totals beside the log: every delta, and their sums."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any, ClassVar

from psycopg import Connection

from projections.reconciling.following import (
    ACTIVATION,
    ACTIVATION_NOTIFIED,
    APPROVAL,
    APPROVAL_LONG,
    MEASURES_FOLLOWED,
    Life,
)
from projections.reconciling.reading import Item, Key, Table, month_number, read
from projections.unit_totals import COUNTS, EVENTS
from projections.unit_totals import NAME as UNIT_TOTALS

_BUCKET_BITS = 10
"""1,024 positions make a bucket."""
_WAITS_NAMES = ("approval", "approval without a valid card", "activation", "activation, notified")


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
                    yield (position >> _BUCKET_BITS, key, measure, number, position)

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
            bucket = key[0] >> _BUCKET_BITS
            found: list[Item] = []
            if event is not None:
                found.append((bucket, tuple(key), event, number, None))
            if waits is not None:
                found.append((bucket, tuple(key), len(EVENTS) + waits, number, None))
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
    MEASURES: ClassVar[tuple[str, ...]] = COUNTS

    def of_log(self, life: Life, upto: int) -> Iterator[Item]:
        for (_, position, _, _, _), moves in life.events:
            if position <= upto:
                for (leaf, level, day, *_), measure, number in moves:
                    bucket, key = self._cell(leaf, level, self._period(day))
                    for column in _COLUMNS[measure]:
                        if column < len(self.MEASURES):
                            yield (bucket, key, column, number, position)

    def rows(self, connection: Connection[Any]) -> Iterator[list[Item]]:
        types = ("text", "int2", "date", *["int4"] * len(self.MEASURES))
        for leaf, level, day, *numbers in read(connection, self.NAME, types):
            bucket, key = self._cell(leaf, level, day)
            yield [(bucket, key, column, number, None) for column, number in enumerate(numbers) if number]

    def tell(self, key: Key) -> dict[str, Any]:
        return dict(zip(("day", "leaf", "level"), key, strict=True))

    def _period(self, day: date) -> date:
        """Return the first day of the row in which a day counts."""
        return day

    def _cell(self, leaf: str, level: int, first: date) -> tuple[int, Key]:
        return month_number(first), (first, leaf, level)


class Pentads(Days):
    """Sums of events by leaf, level and five days of a month."""

    NAME = "unit_totals_pentad"
    MEASURES = EVENTS

    def tell(self, key: Key) -> dict[str, Any]:
        return dict(zip(("pentad", "leaf", "level"), key, strict=True))

    def _period(self, day: date) -> date:
        # By itself, not as the projection reckons it.
        return day - timedelta(days=(day.day - 1) % 5 if day.day < 31 else 5)


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
