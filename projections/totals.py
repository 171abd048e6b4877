"""The questions that unit totals answer; the one code path for page, API, export and command line."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal, TypeVar
from uuid import UUID

import msgspec

from ledger import Ledger, Unit, UnitTree, sql
from ledger.errors import FieldInvalidError
from ledger.migrations import check_migrated, connect, migrate
from projections.components import COMPONENTS
from projections.errors import NotCaughtUpError, PositionLostError
from projections.runner import catch_up
from projections.status import ask
from projections.unit_totals import EVENTS, MEASURES, NAME, as_array

_QUERIES = sql.load("projections.sql", "unit_totals.sql")

FIRST_DAY = date(1900, 1, 1)
LAST_DAY = date(9999, 1, 1)
"""No event is after it, and a month later still is a date."""
WAIT_SECONDS = 2.0
_WAIT_STEP_SECONDS_MIN, _WAIT_STEP_SECONDS_MAX = 0.005, 0.1
"""How often a reader that waits looks: at first often, then rarely, for there may be a hundred of them."""

By = Literal["unit", "level", "day", "place", "shift", "partner", "recorded_on"]
Counts = Sequence[int]
A = TypeVar("A")
_REST = -1
UNALLOCATED: dict[str, str | None] = {"code": None, "name": "unallocated", "level": None}
"""What counts at units that are not in the tree of the day asked for, so that rows add up."""


OTHER_DAYS = None
"""The day of a row for what waits since days that were not asked for."""


class TotalsQuery(msgspec.Struct, frozen=True):
    """A question about totals."""

    unit: str | None = None
    """Code of a unit: it and everything under it. Absent: the whole ledger."""
    by: By = "unit"
    """What the rows are; for unit the direct children, each with everything under it."""
    level: int | None = None
    """1 or 2; absent: both."""
    from_day: date | None = None
    """First business day (Asia/Ho_Chi_Minh) of ``occurred_at``, included."""
    to_day: date | None = None
    """Last business day, included; also the day on which the unit's code and tree are read, else today."""


class TotalsAnswer(msgspec.Struct, frozen=True):
    """Counts of events at the unit whose work they are.

    ``awaiting_*`` are dossiers, per level, that wait now at the collecting unit: the days
    asked for do not bound them. By day, place, shift or partner they stand where the event
    stands that made them wait; by day, what waits since other days than those asked for has a
    row of its own, whose day is null.
    """

    position: int
    """The ledger position that the counts are true for."""
    recorded_at: datetime
    """When the event at that position was recorded, UTC."""
    projection: str
    rows: list[dict[str, Any]]
    sum: dict[str, int]


class Totals:
    """Answers from the read model; safe to share between threads."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._below = Below(UnitTree(), date.min)

    def catch_up(self) -> int:
        """Count every event that the log has now; return the position reached. Raise UnavailableError if it cannot."""
        return catch_up(self._ledger.database)

    def read(
        self, query: TotalsQuery, *, after: int | None = None, wait_seconds: float = WAIT_SECONDS
    ) -> TotalsAnswer:
        """Answer a question, at once or as soon as the projection has reached *after*.

        Raises:
            FieldInvalidError: The last day is before the first.
            UnitError: The unit is no code, or was not valid on the day.
            NotCaughtUpError: The projection did not reach *after* within *wait_seconds*.
            UnavailableError: The database cannot be reached, or the projection has lost its position.
        """
        if query.from_day and query.to_day and query.to_day < query.from_day:
            raise FieldInvalidError("to", f"{query.to_day} is before from, {query.from_day}")
        return self.read_in_tree(
            query.unit,
            query.to_day or self.today(),
            lambda scope, below: self._read(query, scope, below),
            after=after,
            wait_seconds=wait_seconds,
        )

    def today(self) -> date:
        """Return the business day (Asia/Ho_Chi_Minh) of the ledger's clock."""
        return self._ledger.today()

    def read_in_tree(
        self,
        unit: str | None,
        day: date,
        read: "Callable[[Unit | None, Below], A]",
        *,
        after: int | None = None,
        wait_seconds: float = WAIT_SECONDS,
    ) -> A:
        """Return what *read* does with a unit (None: the whole ledger) and the tree of a day, neither older than it.

        Raises:
            UnitError: The unit is no code, or was not valid on the day.
            NotCaughtUpError: The projection did not reach *after* within *wait_seconds*.
            UnavailableError: The database cannot be reached, or the projection has lost its position.
        """
        if after is not None:
            self._wait(after, wait_seconds)
        tree = self._ledger.tree()
        while True:
            scope = None if unit is None else tree.resolve(unit, day)
            below = self._below
            if (below.version, below.day) != (tree.version, day):
                self._below = below = Below(tree, day)
            answer = read(scope, below)
            counted_in, tree = tree, self._ledger.tree()
            # Events at units opened since the tree was read may be counted already: ask again.
            if tree.version == counted_in.version:
                return answer

    def _read(self, query: TotalsQuery, scope: Unit | None, below: "Below") -> TotalsAnswer:
        match query.by:
            case "unit":
                return self._by_unit(query, scope, below)
            case "level":
                return self._by_level(query, scope, below)
            case "day":
                return self._by_day(query, scope, below)
            case "place" | "shift" | "partner" | "recorded_on":
                return self._by_part(query, scope, below)

    def _wait(self, after: int, wait_seconds: float) -> None:
        deadline = time.monotonic() + wait_seconds
        step = _WAIT_STEP_SECONDS_MIN
        while (position := self.position()) < after:
            if time.monotonic() >= deadline:
                head = self._ledger.head().position
                raise NotCaughtUpError(
                    f"{NAME} has counted up to position {position}, not yet {after}; ask again in a second"
                    if after <= head
                    else f"the ledger ends at position {head}: no receipt has told {after} yet"
                )
            time.sleep(step)
            step = min(1.5 * step, _WAIT_STEP_SECONDS_MAX)

    def position(self) -> int:
        """Return the last position counted."""
        for (position,) in ask(self._ledger, _TRACKING["position"], {"name": NAME}):
            return int(position)
        raise PositionLostError(NAME)

    def _by_unit(self, query: TotalsQuery, scope: Unit | None, below: "Below") -> TotalsAnswer:
        buckets = below.buckets(scope)
        position, recorded_at, rows = self.ask("read_coarse", _coarse(query, scope, buckets))
        keys, sums = below.rows(scope, rows, len(MEASURES))
        return _answer(position, recorded_at, "unit", keys, sums)

    def _by_level(self, query: TotalsQuery, scope: Unit | None, below: "Below") -> TotalsAnswer:
        buckets = {} if scope is None else {_REST: below.members(scope)}
        position, recorded_at, rows = self.ask("read_coarse", _coarse(query, scope, buckets))
        return _answer(
            position, recorded_at, "level", [level for level, *_ in rows], [row[1:] for row in rows]
        )

    def _by_day(self, query: TotalsQuery, scope: Unit | None, below: "Below") -> TotalsAnswer:
        first, after_last = _bounds(query)
        position, recorded_at, rows = self.ask("read_days", _leaves(query, scope, below))
        asked: list[tuple[date | None, Counts]] = []
        others = [0] * len(MEASURES)
        for day, *counts in rows:
            if first <= day < after_last:
                asked.append((day, counts))
                continue
            # What waits since a day that is not asked for waits still: in a row of its own, so that rows add up.
            for index in range(len(EVENTS), len(MEASURES)):
                others[index] += counts[index]
        told = [(key, counts) for key, counts in [*asked, (OTHER_DAYS, others)] if any(counts)]
        return _answer(position, recorded_at, "day", [key for key, _ in told], [counts for _, counts in told])

    def _by_part(self, query: TotalsQuery, scope: Unit | None, below: "Below") -> TotalsAnswer:
        first, after_last = _bounds(query)
        parameters = _leaves(query, scope, below) | {
            "by": query.by,
            "bounded": query.from_day is not None or query.to_day is not None,
            "from": first,
            "to": after_last,
        }
        position, recorded_at, rows = self.ask("read_fine", parameters)
        told = [(part, counts) for part, *counts in rows if any(counts)]
        return _answer(
            position, recorded_at, query.by, [part for part, _ in told], [counts for _, counts in told]
        )

    def ask(self, name: str, parameters: Mapping[str, Any]) -> tuple[int, datetime, list[tuple[Any, ...]]]:
        """Return position, its time, and the rows of a query of ``unit_totals.sql``, all of one moment."""
        rows = ask(self._ledger, _QUERIES[name], parameters)
        if not rows:
            raise PositionLostError(NAME)
        # The outer join gives one row of nulls where nothing was counted.
        counted = [row[2:] for row in rows if row[2] is not None]
        return rows[0][0], rows[0][1], counted


_TRACKING = sql.load("projections.sql", "tracking.sql")


class Below:
    """Who stands under whom on a day. Most questions are about one day, so the last of these is kept."""

    def __init__(self, tree: UnitTree, day: date) -> None:
        self.version = tree.version
        self.day = day
        self.children = tree.children_on(day)
        self._members: dict[UUID, list[UUID]] = {}

    def members(self, unit: Unit) -> list[UUID]:
        """Return a unit and everything under it."""
        found = self._members.get(unit.id)
        if found is None:
            found = [unit.id]
            for child in self.children.get(unit.id, ()):
                found += self.members(child)
            self._members[unit.id] = found
        return found

    def buckets(self, scope: Unit | None) -> dict[int, list[UUID]]:
        """Return the units that count in each row of an answer by unit: its children's, and what is left."""
        buckets = dict(enumerate(map(self.members, self._children(scope))))
        if scope is not None:
            buckets[_REST] = [scope.id]
        return buckets

    def rows(
        self, scope: Unit | None, rows: Sequence[tuple[Any, ...]], width: int
    ) -> tuple[list[dict[str, str | None]], list[Counts]]:
        """Return the units of an answer's rows, and their counts, of what was found by bucket."""
        found = {part: counts for part, *counts in rows}
        children = self._children(scope)
        keys = [_unit_key(child) for child in children]
        sums: list[Counts] = [found.get(index, [0] * width) for index in range(len(children))]
        if any(found.get(_REST, ())):
            # The unit's own events; of the whole ledger, those of units that the day's tree lacks.
            keys.append(UNALLOCATED if scope is None else _unit_key(scope))
            sums.append(found[_REST])
        return keys, sums

    def _children(self, scope: Unit | None) -> Sequence[Unit]:
        return self.children.get(None if scope is None else scope.id, [])


def _bounds(query: TotalsQuery) -> tuple[date, date]:
    """Return the days asked for as a half-open interval."""
    first = min(query.from_day or FIRST_DAY, LAST_DAY)
    after_last = LAST_DAY if query.to_day is None or query.to_day >= LAST_DAY else query.to_day + timedelta(1)
    return first, max(first, after_last)


def _edges(query: TotalsQuery) -> dict[str, Any]:
    """Split the days asked for into months, and days at both ends to be added to them or taken off."""
    first, after_last = _bounds(query)
    month_from, month_to = first.replace(day=1), after_last.replace(day=1)
    tail_end = month_to if month_to == after_last else _next_month(month_to)
    if month_from == month_to:
        if 2 * (after_last - first).days > (tail_end - month_from).days:
            # All but some days of one month.
            return (
                _of_months(month_from, tail_end)
                | _days("head", month_from, first, -1)
                | _days("tail", after_last, tail_end, -1)
            )
        return (
            _of_months(first, first)
            | _days("head", first, after_last, 1)
            | _days("tail", after_last, after_last, 1)
        )
    head_end = month_from if month_from == first else _next_month(month_from)
    head, tail = _days("head", first, head_end, 1), _days("tail", month_to, after_last, 1)
    whole_from, whole_to = head_end, month_to
    if first - month_from < head_end - first:
        whole_from, head = month_from, _days("head", month_from, first, -1)
    if tail_end - after_last < after_last - month_to:
        whole_to, tail = tail_end, _days("tail", after_last, tail_end, -1)
    return _of_months(whole_from, whole_to) | head | tail


def _of_months(first: date, after_last: date) -> dict[str, Any]:
    return {"month_from": first, "month_to": after_last}


def _days(end: str, first: date, after_last: date, sign: int) -> dict[str, Any]:
    return {f"{end}_from": first, f"{end}_to": after_last, f"{end}_sign": sign}


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _coarse(query: TotalsQuery, scope: Unit | None, buckets: Mapping[int, Sequence[UUID]]) -> dict[str, Any]:
    return {
        "by": query.by,
        "level": query.level,
        **bucketed(scope, buckets),
        **_edges(query),
    }


def bucketed(scope: Unit | None, buckets: Mapping[int, Sequence[UUID]]) -> dict[str, Any]:
    """Return the parameters that tell a query which units count in which bucket."""
    return {
        "scoped": scope is not None,
        "members": as_array([member for members in buckets.values() for member in members]),
        "buckets": as_array([bucket for bucket, members in buckets.items() for _ in members]),
    }


def _leaves(query: TotalsQuery, scope: Unit | None, below: Below) -> dict[str, Any]:
    return {"units": None if scope is None else as_array(below.members(scope)), "level": query.level}


def _unit_key(unit: Unit) -> dict[str, str | None]:
    return {"code": unit.code, "name": unit.name, "level": unit.level}


def _answer(
    position: int, recorded_at: datetime, by: str, keys: Sequence[Any], sums: Sequence[Counts]
) -> TotalsAnswer:
    return TotalsAnswer(position, recorded_at, NAME, *rows_and_sum(by, keys, sums, MEASURES))


def rows_and_sum(
    by: str, keys: Sequence[Any], sums: Sequence[Counts], measures: Sequence[str]
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    rows = [
        {by: key} | dict(zip(measures, counts, strict=True)) for key, counts in zip(keys, sums, strict=True)
    ]
    return rows, {measure: sum(counts[index] for counts in sums) for index, measure in enumerate(measures)}


def open_totals(ledger: Ledger) -> Totals:
    """Return the totals of an open ledger.

    On an embedded ledger it makes the read model's tables if need be; elsewhere
    ``ledger migrate`` does.

    Raises:
        UnavailableError: The database cannot be reached, or is not set up for this version.
    """
    if ledger.database.embedded:
        migrate(ledger.database, COMPONENTS)
    with connect(ledger.database.as_writer()) as connection:
        check_migrated(connection, ledger.database, COMPONENTS)
    return Totals(ledger)
