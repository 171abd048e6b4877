"""The rows of an answer about progress: which units, which targets, and how far each of them is."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from ledger import Target, Targets, Unit, UnitTree
from ledger.target_events import MEASURES, Measure
from ledger.targets import Goal
from ledger.units import TreeOn
from ledger.working_days import WorkingDays
from projections import pace
from projections.pace import Course
from projections.progress_counts import NOTHING, By, Counts, CountsThen


class ProgressQuery(msgspec.Struct, frozen=True):
    """A question about progress."""

    unit: str | None = None
    """Code of a unit, of the day asked about: it, and units under it. Absent: the whole ledger."""
    by: By = "unit"
    """Which units the rows are of."""
    issuer: str | None = None
    """Only this issuer's targets."""
    measure: Measure | None = None
    level: int | None = None
    """Only targets for this level, 1 or 2; absent: all, also those for both together."""
    of: str | None = None
    """What ``rate`` is a percentage of: the name of a denominator, or a measure. Absent: each target's own denominator."""
    on: date | None = None
    """Business day (Asia/Ho_Chi_Minh), at whose end all of it is said; absent: today."""
    running: bool = False
    """Only targets that have begun by that day and whose deadline has not passed."""
    ended: bool = False
    """Also rows of units that have ended on the way."""
    position: int | None = None
    """Only what the ledger knew at this position; today is then the day on which that was recorded."""
    known_at: datetime | None = None
    """The same by time: the last position that was recorded by then."""


class ProgressRow(msgspec.Struct, frozen=True, rename={"from_day": "from"}):
    """How far one unit is from one target. What is null is not available, which is not the same as 0."""

    unit: dict[str, str]
    """Code, name and level, on the last day that counts."""
    target_id: UUID
    issuer: str
    measure: str
    level: int | None
    """Null: both together."""
    from_day: date
    deadline: date
    count: int | None
    """Of the measure, from the first day to the day asked about, or to the deadline where that has passed; both days included."""
    target: int | None
    """How many are to be reached; of a percentage, rounded up, by its denominator on the day asked about. Null: that is not available."""
    percent: float | None
    """Of the target reached; over 100 is normal. Rounded to 2 decimals, as all that is no count."""
    done: bool | None
    """Whether the target is reached, by the counts and not by what is rounded."""
    rate_of: str | None
    """The denominator of ``rate``: its name."""
    rate_whole: int | None
    """The denominator of ``rate``: how many there are. Null: not available."""
    rate: float | None
    """The count in percent of that denominator."""
    remaining: int | None
    days_left: int
    """After the day asked about, the deadline included."""
    needed_per_day: float | None
    """What each of the days that are left has to bring, rounded up; null: none is left."""
    needed_per_working_day: float | None
    """What each working day that is left has to bring, rounded up; null: none is left."""
    days_ahead: float | None
    """Days ahead of the straight line from nothing before the first day to the target at the deadline; negative: behind it."""
    pace_7_days: float | None
    """The mean of the last 7 days, of those since the first if it is less; the day asked about is one of them."""
    forecast: int | None
    """How many there will be at the deadline, by ``forecast_method``; null: it has not begun, or the unit has ended."""
    rank: int | None
    """Among the rows of the same goal, by what the target is reached to exactly; equal ones share a place: 1, 2, 2, 4."""
    ended: date | None = None
    """The unit's last day, where it has ended on the way: all of it is said of the end of that day."""


class GoalProgress(msgspec.Struct, frozen=True, rename={"from_day": "from"}):
    """How the units of the rows stand together that have the same issuer, measure, level, first day and deadline."""

    issuer: str
    measure: str
    level: int | None
    from_day: date
    deadline: date
    days_left: int
    working_days_left: int
    provisional: bool
    """Whether nobody has announced yet if one of the days that are left is a holiday."""
    done: int
    """How many of the rows' units have reached their target ..."""
    of: int
    """... of how many that have one."""
    not_available: int
    """How many of those have a target that is no number, because its denominator is not available."""
    without_target: list[str]
    """Codes of the units that have none; empty where no unit of the rows has one."""
    ended: int
    """How many units with a target have ended on the way; they are in no row but those of ``ended``."""


class _Layout(NamedTuple):
    """Who stands under the unit on a day."""

    on: TreeOn
    scope: Unit | None
    units: list[Unit]


class Question:
    """One question, of one position."""

    def __init__(
        self,
        query: ProgressQuery,
        on: date,
        targets: Targets,
        tree: UnitTree,
        working_days: WorkingDays,
        counts: CountsThen,
    ) -> None:
        self._query, self._on, self._targets, self._tree = query, on, targets, tree
        self._working_days, self._counts = working_days, counts
        self._scope = None if query.unit is None else tree.resolve(query.unit, on)
        self._trees: dict[date, TreeOn] = {}
        self._layouts: dict[date, _Layout | None] = {}

    def answer(self) -> tuple[list[GoalProgress], list[ProgressRow], list[ProgressRow], list[ProgressRow]]:
        """Return goals, and the rows of the unit itself, of those under it, and of those that have ended."""
        goals, whole, rows, ended = [], [], [], []
        for goal in sorted(filter(self._asked, self._targets.goals), key=self._order):
            found = self._of_goal(goal)
            if found is None:
                continue
            goals.append(found[0])
            whole += found[1]
            rows += found[2]
            ended += found[3]
        return goals, whole, rows, ended

    def _asked(self, goal: Goal) -> bool:
        query = self._query
        return (
            query.issuer in (None, goal.issuer)
            and query.measure in (None, goal.measure)
            and query.level in (None, goal.level)
            and (not query.running or goal.from_day <= self._on <= goal.deadline)
        )

    def _order(self, goal: Goal) -> tuple[Any, ...]:
        passed = goal.deadline < self._on
        far = abs((goal.deadline - self._on).days)
        return passed, far, goal.issuer, goal.measure, goal.level or 0, goal.from_day

    def _of_goal(
        self, goal: Goal
    ) -> tuple[GoalProgress, list[ProgressRow], list[ProgressRow], list[ProgressRow]] | None:
        """Return None where no unit asked about has such a target."""
        way = pace.course(goal.from_day, goal.deadline, self._on, self._working_days)
        layout = self._layout(way.as_of)
        if layout is None:
            return None
        by_unit = self._targets.goals[goal]
        top = [layout.scope] if layout.scope and layout.scope.id in by_unit else []
        units = [unit for unit in layout.units if unit.id in by_unit]
        gone = list(self._ended(by_unit, layout))
        if not (top or units or gone):
            return None
        rows = self._rows(goal, units, way, layout, ranked=True)
        rows.sort(key=lambda row: (row.rank is None, row.rank or 0, row.unit["code"]))
        summary = GoalProgress(
            *goal,
            days_left=way.days_left,
            working_days_left=way.working_days_left,
            provisional=way.provisional,
            done=sum(bool(row.done) for row in rows),
            of=len(rows),
            not_available=sum(row.target is None for row in rows),
            without_target=[unit.code for unit in layout.units if unit.id not in by_unit] if rows else [],
            ended=len(gone),
        )
        ended = self._ended_rows(goal, gone) if self._query.ended else []
        return summary, self._rows(goal, top, way, layout), rows, ended

    def _ended_rows(self, goal: Goal, units: Sequence[Unit]) -> list[ProgressRow]:
        """Return a row for each unit as it stood at the end of its last day, where nothing is left to be done."""
        rows = []
        for last in sorted({unit.valid_to for unit in units if unit.valid_to}):
            way = pace.course(goal.from_day, goal.deadline, last, self._working_days)
            over = msgspec.structs.replace(way, days_left=0, working_days_left=0)
            layout = self._layout(last)
            assert layout is not None, last
            told = [unit for unit in units if unit.valid_to == last]
            rows += self._rows(goal, told, over, layout, ended=last)
        return sorted(rows, key=lambda row: (row.unit["code"], row.ended))

    def _rows(
        self,
        goal: Goal,
        units: Sequence[Unit],
        way: Course,
        layout: _Layout,
        *,
        ranked: bool = False,
        ended: date | None = None,
    ) -> list[ProgressRow]:
        """Return a row for each unit, all of which have a target of the goal and are valid on the last day that counts."""
        if not units:
            return []
        targets = [self._targets.goals[goal][unit.id] for unit in units]
        counts = recent = [NOTHING] * len(units)
        if way.elapsed:
            asked = units, layout.scope, self._query.by, goal.level
            counts = self._counts.of(*asked, goal.from_day, way.as_of)
            recent = self._counts.of(*asked, way.pace_from, way.as_of)
        day = max(way.as_of, goal.from_day)
        numbers = [self._targets.number(target, day) for target in targets]
        reached = [
            pace.percent(found[goal.measure], number) for found, number in zip(counts, numbers, strict=True)
        ]
        places = pace.ranks(reached) if ranked else [None] * len(units)
        rows = []
        for unit, target, number, found, last_days, exactly, place in zip(
            units, targets, numbers, counts, recent, reached, places, strict=True
        ):
            count = found[goal.measure]
            left = pace.remaining(count, number)
            a_day = pace.pace(last_days[goal.measure], way)
            coming = None if ended else pace.forecast(count, a_day, way)
            of = self._query.of or target.denominator
            whole = None if of is None else self._whole(unit, of, found, day)
            rows.append(
                ProgressRow(
                    unit={"code": unit.code, "name": unit.name, "level": unit.level},
                    target_id=target.id,
                    issuer=goal.issuer,
                    measure=goal.measure,
                    level=goal.level,
                    from_day=goal.from_day,
                    deadline=goal.deadline,
                    count=count,
                    target=number,
                    percent=pace.shown(exactly),
                    done=left == 0,
                    rate_of=of,
                    rate_whole=whole,
                    rate=pace.shown(pace.percent(count, whole)),
                    remaining=left,
                    days_left=way.days_left,
                    needed_per_day=pace.shown_up(pace.needed(left, way.days_left)),
                    needed_per_working_day=pace.shown_up(pace.needed(left, way.working_days_left)),
                    days_ahead=pace.shown(pace.days_ahead(count, number, way)),
                    pace_7_days=pace.shown(a_day),
                    forecast=None if coming is None else pace.whole(coming),
                    rank=place,
                    ended=ended,
                )
            )
        return rows

    def _whole(self, unit: Unit, name: str, counts: Counts, day: date) -> int | None:
        """Return a denominator of a rate: what was counted in the same time, or the people of a day."""
        if name in MEASURES:
            return counts[name]
        found = self._targets.denominator(unit.id, name, day)
        return None if found is None else found.value

    def _on_day(self, day: date) -> TreeOn:
        if day not in self._trees:
            self._trees[day] = TreeOn(self._tree, day)
        return self._trees[day]

    def _layout(self, day: date) -> _Layout | None:
        """Return who stands under the unit on a day; None where it is not valid then."""
        if day not in self._layouts:
            on = self._on_day(day)
            scope = None if self._scope is None else on.units.get(self._scope.id)
            lost = self._scope is not None and scope is None
            units = [unit for unit in on.units.values() if self._is_row(unit, on)]
            self._layouts[day] = None if lost else _Layout(on, scope, units)
        return self._layouts[day]

    def _is_row(self, unit: Unit, on: TreeOn) -> bool:
        scope_id = None if self._scope is None else self._scope.id
        if self._query.by == "unit":
            return unit.parent_id == scope_id
        if unit.level != self._query.by or unit.id == scope_id:
            return False
        return scope_id is None or scope_id in on.above(unit.id)

    def _ended(self, by_unit: Mapping[UUID, Target], layout: _Layout) -> Iterator[Unit]:
        """Yield the units with a target that have ended before the day, and stood where the rows are on their last day."""
        for unit_id in by_unit:
            if unit_id in layout.on.units:
                continue
            last = self._tree.by_id[unit_id][-1]
            if last.valid_to is None or not last.valid_from <= last.valid_to < layout.on.day:
                continue  # It has not begun, or its opening was withdrawn.
            if self._is_row(last, self._on_day(last.valid_to)):
                yield last
