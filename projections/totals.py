"""The questions that unit totals answer; the one code path for page, API, export and command line."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from operator import itemgetter
from threading import Lock
from typing import Any, Literal, TypeVar, get_args

import msgspec
from msgspec.structs import replace
from psycopg.sql import SQL, Composed

from ledger import Ledger, Unit, UnitTree, sql
from ledger.access import Principal, Right
from ledger.access.asking import is_masked
from ledger.business_time import business_day
from ledger.errors import FieldInvalidError, NotPermittedError
from ledger.masking import shown
from ledger.migrations import check_migrated, connect, migrate
from ledger.units import grow
from projections.catching_up import catch_up
from projections.components import COMPONENTS
from projections.errors import PositionLostError
from projections.hierarchies import FIRST_DAY, LAST_DAY, Attribution, Hierarchy, Rows, holders
from projections.small_counts import masked
from projections.status import ask, position_of, wait_for
from projections.tables import as_array
from projections.unit_totals import EVENTS, MEASURES, NAME, pentad_of

_QUERIES = sql.load("projections.sql", "unit_totals.sql")

WAIT_SECONDS = 2.0
ROWS_KEPT = 32
"""Of so many kinds of questions it is remembered which unit counts in which row."""

TREES_KEPT = 4

By = Literal[
    "unit",
    "province",
    "district",
    "commune",
    "level",
    "day",
    "week",
    "month",
    "place",
    "shift",
    "partner",
    "team",
    "actor",
    "reason",
    "recorded_on",
]
"""What rows can be: the direct children, each with everything under it; all units of a level of the tree; the level of
the account; days, weeks (ISO 8601) and months of ``occurred_at``; and details of the events."""
BY_UNITS = ("unit", "province", "district", "commune")
BY_DAYS = ("day", "week", "month")
BYS: tuple[By, ...] = get_args(By)
BYS_MAX = 2
Counts = Sequence[int]
A = TypeVar("A")

_PARTS: Mapping[str, SQL] = {
    **dict.fromkeys(BY_UNITS, SQL("coalesce(bucket, -1)")),
    "level": SQL("level"),
    # What waits since a day that was not asked for waits still: it has no day.
    "day": SQL("CASE WHEN sign <> 0 THEN parts.day END"),
    "week": SQL("CASE WHEN sign <> 0 THEN to_char(parts.day, 'IYYY\"-W\"IW') END"),
    "month": SQL("CASE WHEN sign <> 0 THEN to_char(parts.day, 'YYYY-MM') END"),
    "place": SQL("place"),
    "shift": SQL("shift"),
    "partner": SQL("partner"),
    "team": SQL("team"),
    "actor": SQL("actor"),
    "reason": SQL("reason"),
    "recorded_on": SQL("recorded_on::text"),
    "": SQL("''::text"),
}


class TotalsQuery(msgspec.Struct, frozen=True):
    """A question about totals."""

    unit: str | None = None
    """Code of a unit: it and everything under it. Absent: the whole ledger."""
    by: By | tuple[By, ...] = "unit"
    """What the rows are; two at most."""
    level: int | None = None
    """1 or 2; absent: both."""
    from_day: date | None = None
    """First business day (Asia/Ho_Chi_Minh) of ``occurred_at``, included."""
    to_day: date | None = None
    """Last business day, included."""
    hierarchy: str | None = None
    """In which tree of units it counts: ``then``, that of the day on which it occurred; or that of one day, like
    ``2025-07-01``, where what has ended counts at its successors. ``now`` is today; absent is the last day asked for, else
    today. The unit's code is read in the tree of that day; for *then*, of the last day asked for, else today."""
    attribution: Attribution = "acting"
    """At the unit whose work it is, or at that where the citizen lives."""
    position: int | None = None
    """Only what the ledger knew at this position; today is then the day on which that was recorded."""
    known_at: datetime | None = None
    """The same by time: the last position that was recorded by then."""

    compare: Literal["previous"] | None = None
    """Also tell the period before, of as many days; of as many months where whole months are asked for."""

    @property
    def bys(self) -> tuple[By, ...]:
        return (self.by,) if isinstance(self.by, str) else self.by


class Period(msgspec.Struct, frozen=True, rename={"from_day": "from", "to_day": "to"}):
    """Days that others are compared with."""

    from_day: date
    to_day: date
    sum: dict[str, int | None]


class TotalsAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Counts of events at the unit whose work they are.

    ``awaiting_*`` are dossiers, per level, that wait now at the collecting unit: the days
    asked for do not bound them. By day, place, shift, partner and the like they stand where the event
    stands that made them wait; by day, week or month, what waits since other days than those asked for has a
    row of its own, whose day is null.
    """

    position: int
    """The ledger position that the counts are true for."""
    recorded_at: datetime
    """When the event at that position was recorded, UTC."""
    projection: str
    hierarchy: str
    """In which tree it counts: ``then``, each day's own; or that of a day."""
    rows: list[dict[str, Any]]
    sum: dict[str, int | None]
    masked: bool = False
    """Whether small counts, and what they could be had from, are null: for viewers of the public."""
    previous: Period | None = None
    """Where it was asked for, the period before; each row has its counts of it under ``previous``, known at the same
    position. Only events: what waits is bound by no days."""


class Totals:
    """Answers from the read model; safe to share between threads."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._rows: OrderedDict[tuple[Any, ...], Rows] = OrderedDict()
        self._trees: OrderedDict[int, UnitTree] = OrderedDict()
        self._lock = Lock()

    def catch_up(self) -> int:
        """Count every event that the log has now; return the position reached. Raise UnavailableError if it cannot."""
        return catch_up(self._ledger.database, [NAME])

    def read(
        self,
        query: TotalsQuery,
        *,
        after: int | None = None,
        wait_seconds: float = WAIT_SECONDS,
        by: Principal | None = None,
    ) -> TotalsAnswer:
        """Answer a question, at once or as soon as the projection has reached *after* and the position asked for.

        A question with a position or a time of knowledge has the same answer for ever.

        Args:
            by: Who asks; the ledger's own principal if absent.

        Raises:
            NotPermittedError: They may not see totals of the unit; or they are of the public, and ask what was known once.
            FieldInvalidError: The last day is before the first, two rows are the same, or the ledger does not have
                the position yet.
            UnitError: The unit is no code, or was not valid on the day.
            NotCaughtUpError: The projection did not reach *after* within *wait_seconds*.
            UnavailableError: The database cannot be reached, or the projection has lost its position.
        """
        return self._answer(query, self.asking(by), after, wait_seconds)

    def count(
        self, query: TotalsQuery, *, after: int | None = None, wait_seconds: float = WAIT_SECONDS
    ) -> TotalsAnswer:
        """Answer a question as ``read`` does, for a service that has asked itself for the right: nothing is masked."""
        return self._answer(query, None, after, wait_seconds)

    def _answer(
        self, query: TotalsQuery, reader: Principal | None, after: int | None, wait_seconds: float
    ) -> TotalsAnswer:
        _check(query)
        cut = self._cut(query)
        if cut is not None:
            after = max(after or 0, cut[0])
        return self.read_in_tree(
            lambda tree: self._read_periods(query, tree, cut, reader),
            at=cut,
            after=after,
            wait_seconds=wait_seconds,
        )

    def asking(self, by: Principal | None, right: Right = Right.TOTALS) -> Principal:
        """Return for whom something is asked; raise NotPermittedError unless they hold the right over some unit."""
        return self._ledger.asking(by, right)

    def check_asked(
        self,
        reader: Principal,
        tree: UnitTree,
        scope: Unit | None,
        day: date,
        *,
        cut: bool = False,
        right: Right = Right.TOTALS,
    ) -> int:
        """Return below which number counts of a unit are masked for somebody; 0: none is.

        Args:
            scope: None: the whole ledger.
            day: Of the tree in which the unit stands.
            cut: Whether it is asked what was known at a position.

        Raises:
            NotPermittedError: They do not hold the right over it; or they are of the public, and ask what was known once.
        """
        self._ledger.check_asked(reader, right, scope, day, tree)
        above = frozenset() if scope is None else self._ledger.reach(tree).above(scope.id, day)
        if not is_masked(reader, above):
            return 0
        if cut:
            raise NotPermittedError(
                "what was known at a position or a time is not told to the public: from two of them a single report could be had"
            )
        return self._ledger.policy.small_counts

    def today(self) -> date:
        """Return the business day (Asia/Ho_Chi_Minh) of the ledger's clock."""
        return self._ledger.today()

    def read_in_tree(
        self,
        read: Callable[[UnitTree], A],
        *,
        at: tuple[int, datetime] | None = None,
        after: int | None = None,
        wait_seconds: float = WAIT_SECONDS,
    ) -> A:
        """Return what *read* does with the tree of units, neither older than it; or with that of a position.

        Raises:
            NotCaughtUpError: The projection did not reach *after* within *wait_seconds*.
            UnavailableError: The database cannot be reached, or the projection has lost its position.
        """
        if after is not None:
            wait_for(self._ledger, NAME, after, wait_seconds)
        tree = self._ledger.tree()
        if at is not None:
            return read(self._tree_at(tree, at[0]))
        while True:
            answer = read(tree)
            counted_in, tree = tree, self._ledger.tree()
            # Events at units opened since the tree was read may be counted already: ask again.
            if tree.version == counted_in.version:
                return answer

    def rows(
        self,
        tree: UnitTree,
        hierarchy: Hierarchy,
        day: date,
        scope: Unit | None,
        by: str,
    ) -> Rows:
        """Return which unit counts in which row; as ``Rows``, and remembered for the next question of the kind."""
        key = (tree.version, hierarchy, day, scope and scope.id, by)
        with self._lock:
            found = self._rows.get(key)
        if found is None:
            found = Rows(tree, hierarchy, day, scope, by)
        with self._lock:
            self._rows[key] = found
            self._rows.move_to_end(key)
            while len(self._rows) > ROWS_KEPT:
                self._rows.popitem(last=False)
        return found

    def _tree_at(self, tree: UnitTree, position: int) -> UnitTree:
        """Return the units as the ledger knew them at a position."""
        version = bisect_right(tree.entries, position, key=itemgetter(0))
        if version == tree.version:
            return tree
        with self._lock:
            known = self._trees.get(version)
        if known is None:
            known = grow(UnitTree(), tree.entries[:version])
        with self._lock:
            self._trees[version] = known
            while len(self._trees) > TREES_KEPT:
                self._trees.popitem(last=False)
        return known

    def _cut(self, query: TotalsQuery) -> tuple[int, datetime] | None:
        """Return the position up to which something is asked, and when it was recorded."""
        if query.position is None and query.known_at is None:
            return None
        found = self._ledger.at(position=query.position, known_at=query.known_at)
        return found.position, found.recorded_at

    def _read_periods(
        self,
        query: TotalsQuery,
        tree: UnitTree,
        cut: tuple[int, datetime] | None,
        reader: Principal | None,
    ) -> TotalsAnswer:
        today = self.today() if cut is None else business_day(cut[1])
        day = query.to_day or today
        if query.hierarchy == "now":
            day = today
        elif query.hierarchy not in (None, "then"):
            day = date.fromisoformat(query.hierarchy)
        least = 0
        if reader is not None:
            scope = None if query.unit is None else tree.resolve(query.unit, day)
            least = self.check_asked(reader, tree, scope, day, cut=cut is not None)
        answer = self._read_compared(query, tree, day, cut)
        return masked_totals(answer, least) if least else answer

    def _read_compared(
        self, query: TotalsQuery, tree: UnitTree, day: date, cut: tuple[int, datetime] | None
    ) -> TotalsAnswer:
        answer = self._read(query, tree, day, cut)
        if query.compare is None:
            return answer
        assert query.from_day is not None
        assert query.to_day is not None
        first, last = _period_before(query.from_day, query.to_day)
        # In the same tree, and as known at the same position: else what is recorded meanwhile would be a difference.
        before = replace(query, from_day=first, to_day=last)
        earlier = self._read(before, tree, day, (answer.position, answer.recorded_at))
        return _beside(answer, earlier, Period(first, last, _events(earlier.sum)), query.bys)

    def _read(
        self, query: TotalsQuery, tree: UnitTree, day: date, cut: tuple[int, datetime] | None
    ) -> TotalsAnswer:
        """Answer for the days of a question; *day* is that of the unit's code and of the rows."""
        hierarchy: Hierarchy = "then" if query.hierarchy == "then" else day
        scope = None if query.unit is None else tree.resolve(query.unit, day)
        by_units = next((by for by in query.bys if by in BY_UNITS), "")
        rows = self.rows(tree, hierarchy, day, scope, by_units)
        fine = query.attribution != "acting" or not _COARSE.issuperset(query.bys)
        if cut is not None and not fine:
            # What is known now less what has come since, or what was known then: whichever is less to read.
            fine = 2 * cut[0] < self.position()
        parameters = rows.parameters | {"level": query.level}
        if fine:
            first, after_last = _bounds(query)
            parameters |= {"from": first, "to": after_last, "cut": 2**62 if cut is None else cut[0]}
            if query.attribution == "residence":
                parameters |= holders(tree)
        else:
            parameters |= _coarse(query, rows.boundaries) | {"since": None if cut is None else cut[0]}
        by_day = bool(rows.boundaries) or not _DAYLESS.issuperset(query.bys)
        position, recorded_at, found = self.ask(_question(query, fine=fine, by_day=by_day), parameters)
        if cut is not None:
            position, recorded_at = cut
        return _answer(position, recorded_at, hierarchy, query, rows, found)

    def position(self) -> int:
        """Return the last position counted."""
        return position_of(self._ledger, NAME)

    def ask(
        self, query: Composed, parameters: Mapping[str, Any]
    ) -> tuple[int, datetime, list[tuple[Any, ...]]]:
        """Return position, its time, and the rows of a query of ``unit_totals.sql``, all of one moment."""
        rows = ask(self._ledger, query, parameters)
        if not rows:
            raise PositionLostError(NAME)
        # The outer join gives one row of nulls where nothing was counted.
        counted = [row[2:] for row in rows if row[-1] is not None]
        return rows[0][0], rows[0][1], counted


def masked_totals(answer: TotalsAnswer, least: int) -> TotalsAnswer:
    """Return an answer without counts below *least*, and without what these could be had from; 0 stays."""
    rows, total, any_masked = masked(answer.rows, answer.sum, MEASURES, least)
    previous = answer.previous
    if previous is not None:
        befores = [row["previous"] for row in answer.rows]
        told, before, also = masked(befores, previous.sum, EVENTS, least)
        rows = [row | {"previous": counts} for row, counts in zip(rows, told, strict=True)]
        previous = replace(previous, sum=before)
        any_masked = any_masked or also
    return replace(answer, rows=rows, sum=total, previous=previous, masked=any_masked)


def read_bys(text: str) -> tuple[By, ...]:
    """Return what rows are, one or two with a comma between; raise FieldInvalidError if they are none."""
    names = [name.strip() for name in text.split(",")]
    found = tuple(by for name in names for by in BYS if by == name)
    if len(found) < len(names):
        raise FieldInvalidError("by", f"{shown(text)} is not one or two of {', '.join(BYS)}")
    return found


def read_hierarchy(text: str) -> str:
    """Return a hierarchy as it is written; raise FieldInvalidError if it is none."""
    if text not in ("then", "now"):
        try:
            date.fromisoformat(text)
        except ValueError:
            raise FieldInvalidError("hierarchy", f"{shown(text)} is not then, now or a day") from None
    return text


_DAYLESS = frozenset((*BY_UNITS, "level"))
"""What tells no days apart, in the tree of one day."""
_COARSE = _DAYLESS | frozenset(BY_DAYS)
"""What the sums by day and month can tell."""


def _check(query: TotalsQuery) -> None:
    if query.from_day and query.to_day and query.to_day < query.from_day:
        raise FieldInvalidError("to", f"{query.to_day} is before from, {query.from_day}")
    if query.position is not None and query.known_at is not None:
        raise FieldInvalidError("known_at", "name a position or a time, one of them")
    if query.hierarchy is not None:
        read_hierarchy(query.hierarchy)
    bys = query.bys
    if query.compare is not None and (query.from_day is None or query.to_day is None):
        raise FieldInvalidError(
            "compare", "a period is compared with the one before: name its days, from and to"
        )
    if query.compare is not None and set(bys) & set(BY_DAYS):
        raise FieldInvalidError(
            "compare", f"rows by {' and '.join(bys)} have no days in common with the period before"
        )
    if not 1 <= len(bys) <= BYS_MAX or len(set(bys)) < len(bys):
        raise FieldInvalidError("by", f"name one or two different ones of {', '.join(BYS)}")
    if len(set(bys) & set(BY_UNITS)) > 1 or len(set(bys) & set(BY_DAYS)) > 1:
        raise FieldInvalidError("by", f"{' and '.join(bys)} are of one kind; name one of them")


def _question(query: TotalsQuery, *, fine: bool, by_day: bool) -> Composed:
    part_1, part_2 = (_PARTS[by] for by in (*query.bys, "")[:2])
    parts = {"part_1": part_1, "part_2": part_2}
    if not fine:
        coarse = SQL(_QUERIES["coarse"]).format()
        if not by_day:
            coarse = SQL(_QUERIES["coarse_summed"]).format(coarse=coarse)
        return SQL(_QUERIES["read_coarse"]).format(**parts, coarse=coarse)
    if query.attribution == "acting":
        return SQL(_QUERIES["read_deltas"]).format(**parts, held=SQL(""), leaf=SQL("leaf_id"))
    return SQL(_QUERIES["read_deltas"]).format(**parts, held=SQL(_QUERIES["held"]), leaf=SQL("holder"))


def _coarse(query: TotalsQuery, boundaries: Sequence[date]) -> dict[str, Any]:
    """Return what months, pentads and days a question of the sums reads."""
    first, after_last = _bounds(query)
    broken = sorted({day.replace(day=1) for day in boundaries if day.day != 1})
    parts = parted(first, after_last)
    return {
        # By month, days that are not whole months would be told apart from what waits since the others of those months.
        "months": {"day", "week"}.isdisjoint(query.bys) and ("month" not in query.bys or parts.in_months),
        # In the tree of one day, what awaits is the same whenever it began to; so is all of it where no days are asked for.
        "ever": not boundaries and _DAYLESS.issuperset(query.bys),
        "bounded": query.from_day is not None or query.to_day is not None,
        "from": first,
        "to": after_last,
        "month_from": parts.month_from,
        "month_to": parts.month_to,
        "broken": as_array(broken),
        "broken_days": as_array([day for month in broken for day in _days_of(month)]),
        # A month within which the tree changes is read day by day, whatever is asked of it.
        **{
            name: as_array([day for day in days if day.replace(day=1) not in broken])
            for name, days in {
                "pentads": parts.pentads + parts.pentads_off,
                "pentads_off": parts.pentads_off,
                "days": parts.days + parts.days_off,
                "days_off": parts.days_off,
            }.items()
        },
    }


def _days_of(month: date) -> list[date]:
    return _days(month, _next_month(month))


def _bounds(query: TotalsQuery) -> tuple[date, date]:
    """Return the days asked for as a half-open interval."""
    first = min(query.from_day or FIRST_DAY, LAST_DAY)
    after_last = LAST_DAY if query.to_day is None or query.to_day >= LAST_DAY else query.to_day + timedelta(1)
    return first, max(first, after_last)


class Parted(msgspec.Struct):
    """Of which sums the events of some days are the sum."""

    month_from: date
    month_to: date
    """Whole months, a half-open interval."""
    pentads: list[date] = []
    """First days of pentads that are added to them,"""
    pentads_off: list[date] = []
    """and of those that are taken off again."""
    days: list[date] = []
    days_off: list[date] = []

    @property
    def in_months(self) -> bool:
        return not (self.pentads or self.pentads_off or self.days or self.days_off)


def parted(first: date, after_last: date) -> Parted:
    """Return of what the days of a half-open interval are made: as few sums as that takes, or nearly so."""
    month_from, month_to = first.replace(day=1), after_last.replace(day=1)
    tail_end = month_to if month_to == after_last else _next_month(month_to)
    if month_from == month_to:
        if 2 * (after_last - first).days > (tail_end - month_from).days:
            # All but some days of one month.
            parts = Parted(month_from, tail_end)
            _take(parts, month_from, first, -1)
            _take(parts, after_last, tail_end, -1)
            return parts
        parts = Parted(first, first)
        _take(parts, first, after_last, 1)
        return parts
    head_end = month_from if month_from == first else _next_month(month_from)
    parts = Parted(head_end, month_to)
    if first - month_from < head_end - first:
        parts.month_from = month_from
        _take(parts, month_from, first, -1)
    else:
        _take(parts, first, head_end, 1)
    if tail_end - after_last < after_last - month_to:
        parts.month_to = tail_end
        _take(parts, after_last, tail_end, -1)
    else:
        _take(parts, month_to, after_last, 1)
    return parts


def _take(parts: Parted, first: date, after: date, sign: int) -> None:
    """Add days of one month, a half-open interval, or take them off: by pentads, and by days at their ends."""
    month = first.replace(day=1)
    starts = [day for day in _days_of(month) if pentad_of(day) == day] + [_next_month(month)]
    begin = min(starts, key=lambda start: abs(start - first))
    end = min(starts, key=lambda start: abs(start - after))
    pentads = [start for start in starts if begin <= start < end]
    over = _days(first, begin) + _days(end, after)
    under = _days(begin, first) + _days(after, end)
    if len(pentads) + len(over) + len(under) >= (after - first).days:
        pentads, over, under = [], _days(first, after), []
    for target, target_off, these, those in (
        (parts.pentads, parts.pentads_off, pentads, []),
        (parts.days, parts.days_off, over, under),
    ):
        (target if sign > 0 else target_off).extend(these)
        (target_off if sign > 0 else target).extend(those)


def _days(first: date, after: date) -> list[date]:
    return [first + timedelta(number) for number in range((after - first).days)]


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _answer(
    position: int,
    recorded_at: datetime,
    hierarchy: Hierarchy,
    query: TotalsQuery,
    rows: Rows,
    found: Sequence[tuple[Any, ...]],
) -> TotalsAnswer:
    bys = query.bys
    counted: dict[tuple[Any, ...], Counts] = {row[: len(bys)]: row[2:] for row in found if any(row[2:])}
    units = next((index for index, by in enumerate(bys) if by in BY_UNITS), None)
    names = _names(bys)
    told = list(counted.items()) if units is None else _by_units(units, rows, counted, alone=len(bys) == 1)
    answers = [
        {**dict(zip(names, key, strict=True)), **dict(zip(MEASURES, counts, strict=True))}
        for key, counts in told
    ]
    sums: dict[str, int | None] = {
        measure: sum(counts[index] for _, counts in told) for index, measure in enumerate(MEASURES)
    }
    return TotalsAnswer(position, recorded_at, NAME, str(hierarchy), answers, sums)


def _by_units(
    units: int, rows: Rows, counted: Mapping[tuple[Any, ...], Counts], *, alone: bool
) -> list[tuple[tuple[Any, ...], Counts]]:
    """Return the rows in the order of the units; alone, each unit has a row, also where nothing was counted."""
    by_bucket: dict[int, list[tuple[tuple[Any, ...], Counts]]] = {}
    for key, counts in counted.items():
        by_bucket.setdefault(key[units], []).append((key, counts))
    told: list[tuple[tuple[Any, ...], Counts]] = []
    for bucket, unit in rows.keys(list(by_bucket)):
        for key, counts in by_bucket.get(bucket, [((bucket,), [0] * len(MEASURES))] if alone else []):
            told.append(((*key[:units], unit, *key[units + 1 :]), counts))
    return told


def _names(bys: Sequence[By]) -> list[str]:
    """Return what rows call what they are of."""
    return ["unit" if by in BY_UNITS else by for by in bys]


def _period_before(first: date, last: date) -> tuple[date, date]:
    """Return the days of the period before: as many months where these are whole ones, else as many days."""
    after = last + timedelta(1)
    if first.day == after.day == 1:
        months = 12 * (after.year - first.year) + after.month - first.month
        year, month = divmod(12 * first.year + first.month - 1 - months, 12)
        return date(year, month + 1, 1), first - timedelta(1)
    return first - (after - first), first - timedelta(1)


def _beside(answer: TotalsAnswer, earlier: TotalsAnswer, period: Period, bys: Sequence[By]) -> TotalsAnswer:
    """Return an answer whose rows also have the counts of the period before; what was counted only then has a row too."""
    names = _names(bys)

    def key(row: Mapping[str, Any]) -> tuple[object, ...]:
        return tuple(tuple(row[name].values()) if name == "unit" else row[name] for name in names)

    before = {key(row): row for row in earlier.rows}
    nothing = dict.fromkeys(MEASURES, 0)
    rows = [row | {"previous": _events(before.pop(key(row), nothing))} for row in answer.rows]
    rows += [
        {name: row[name] for name in names} | nothing | {"previous": _events(row)}
        for row in before.values()
        if any(row[name] for name in EVENTS)
    ]
    return replace(answer, rows=rows, previous=period)


def _events(counts: Mapping[str, int | None]) -> dict[str, int | None]:
    return {name: counts[name] for name in EVENTS}


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
