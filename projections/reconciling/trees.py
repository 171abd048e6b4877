"""The answers to questions by unit beside the log: children, what is unallocated, and a unit's own make up its total.

What is counted is the second fold of the log; where it counts in a tree is told by ``ledger.units.TreeOn``, leaf by leaf.
What answers is ``Totals.read``, as for everybody.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple
from uuid import UUID

from ledger import UnitTree
from ledger.units import LEVELS, Place, TreeOn, Unit
from projections.reconciling.following import ACTIVATION_NOTIFIED, Life
from projections.totals import BY_UNITS, TotalsAnswer, TotalsQuery
from projections.unit_totals import EVENTS, MEASURES

_DAY = timedelta(days=1)
Leaves = Mapping[str, tuple[UUID, UUID | None]]
Row = tuple[str, str, str]
"""Code, name, level; of what is unallocated no code."""
UNALLOCATED_ROW: Row = ("", "unallocated", "")
Counts = list[int]
"""In the order of ``MEASURES``."""


class Question(NamedTuple):
    """A tree, and the last day asked for."""

    hierarchy: str
    """``then``, or a day."""
    on: date | None = None
    """None: all days."""


class Cells:
    """Counts by leaf and stretch of days, in which no tree changes and no question ends."""

    def __init__(self, days: Iterable[date]) -> None:
        self.firsts = sorted(set(days))
        """The first days of the stretches; one more comes before them."""
        self.counts: defaultdict[tuple[str, int], Counts] = defaultdict(lambda: [0] * len(MEASURES))
        self.stretch = lru_cache(None)(lambda day: bisect_right(self.firsts, day))

    def add(self, life: Life, upto: int) -> None:
        counts, stretch = self.counts, self.stretch
        for (_, position, _, _, _), moves in life.events:
            if position <= upto:
                for where, measure, number in moves:
                    counts[where.leaf, stretch(where.day)][_INDEX[measure]] += number


_INDEX = [*range(len(EVENTS)), *[len(EVENTS)] * 2, *[len(EVENTS) + 1] * 2]
"""Which of ``MEASURES`` is which of those that were followed: what waits without a card, say, waits too."""
_NO_EVENTS = [0] * len(EVENTS)
assert len(_INDEX) == ACTIVATION_NOTIFIED + 1


class Asked(NamedTuple):
    """What one question must be answered with."""

    scope: Unit | None
    by: str
    rows: Mapping[Row, Counts]


class Misfit(NamedTuple):
    """A unit of which an answer says something else than the log."""

    query: TotalsQuery
    row: Row | None
    """None: the sum."""
    measure: str
    told: int
    log: int


class Expected:
    """What all questions of one kind must be answered with: each unit that has others under it, and each level."""

    def __init__(
        self,
        tree: UnitTree,
        cells: Cells,
        leaves: Leaves,
        question: Question,
        day: date,
        top: Unit | None,
    ) -> None:
        """Count once for all of them.

        Args:
            day: Of whose tree the units are asked for, and called.
            top: Only this unit and everything under it.
        """
        self._tree, self._day, self._top = tree, day, top
        self._trees = lru_cache(None)(lambda day: TreeOn(tree, day))
        self._children: defaultdict[UUID | None, defaultdict[Row, Counts]] = defaultdict(_rows)
        self._levels: dict[str, defaultdict[Row, Counts]] = {by: _rows() for by in BY_UNITS if by in LEVELS}
        after = date.max if question.on is None else question.on + _DAY
        for (leaf, stretch), counts in cells.counts.items():
            first = cells.firsts[stretch - 1] if stretch else date.min
            # What waits, waits now: no day bounds it.
            asked = counts if first < after else [*_NO_EVENTS, *counts[len(EVENTS) :]]
            self._count(self._tree_of(question, first), leaves[leaf], asked)

    def _tree_of(self, question: Question, day: date) -> TreeOn:
        if question.hierarchy != "then":
            return self._trees(date.fromisoformat(question.hierarchy))
        days = self._tree.days
        return self._trees(days[max(0, bisect_right(days, day) - 1)] if days else day)

    def _count(self, on: TreeOn, leaf: tuple[UUID, UUID | None], counts: Counts) -> None:
        unit_id, to = leaf
        place = on.place(unit_id) if to is None else on.place_allocated(unit_id, to)
        path = list(on.above(place.unit_id))
        for below, scope in zip([None, *path], [*path, None], strict=True):
            row = self._row(place) if below is None else self._called(below)
            _add(self._children[scope][row], counts)
        if self._top is None or self._top.id in path:
            under = path if self._top is None else path[: path.index(self._top.id)]
            for level, rows in self._levels.items():
                row = next(
                    (self._called(unit) for unit in under if on.units[unit].level == level), self._row(place)
                )
                _add(rows[row], counts)

    def _row(self, place: Place) -> Row:
        return self._called(place.unit_id) if place.allocated and place.unit_id else UNALLOCATED_ROW

    def _called(self, unit_id: UUID) -> Row:
        unit = self._tree.called(unit_id, self._day)
        return unit.code, unit.name, unit.level

    def questions(self) -> Iterator[Asked]:
        """Yield them from the top down."""
        on = self._trees(self._day)
        top = None if self._top is None else self._top.id
        pending: list[UUID | None] = [top]
        while pending:
            unit_id = pending.pop(0)
            below = [unit.id for unit in on.children.get(unit_id, ())]
            if below or unit_id == top:
                scope = None if unit_id is None else on.units[unit_id]
                yield Asked(scope, "unit", self._children[unit_id])
                pending += below
        for level in self._levels:
            if any(unit.level == level for unit in on.units.values()):
                yield Asked(self._top, level, self._levels[level])

    def units(self) -> int:
        """Return how many units the questions are about."""
        on = self._trees(self._day)
        return sum(self._top is None or self._top.id in on.above(unit) for unit in on.units)


def _rows() -> defaultdict[Row, Counts]:
    return defaultdict(lambda: [0] * len(MEASURES))


def _add(sums: Counts, counts: Counts) -> None:
    for index, number in enumerate(counts):
        if number:
            sums[index] += number


def ask(
    read: Callable[[TotalsQuery], TotalsAnswer], expected: Expected, question: Question, position: int
) -> Iterator[Misfit | None]:
    """Ask everything there is to ask; yield for each question the first unit that differs, or None."""
    for asked in expected.questions():
        scope = asked.scope
        query = TotalsQuery(
            unit=None if scope is None else scope.code,
            by=asked.by,  # type: ignore[arg-type]
            to_day=question.on,
            hierarchy=question.hierarchy,
            position=position,
        )
        yield _misfit(query, read(query), asked.rows)


def _misfit(query: TotalsQuery, answer: TotalsAnswer, rows: Mapping[Row, Counts]) -> Misfit | None:
    told: defaultdict[Row, Counts] = _rows()
    for row in answer.rows:
        unit = row["unit"]
        name = (unit["code"] or "", unit["name"], unit["level"] or "")
        _add(told[name], [row[measure] for measure in MEASURES])
    nothing = [0] * len(MEASURES)
    # Several units that were called the same, one after the other, stand together.
    wanted: defaultdict[Row, Counts] = _rows()
    for name, counts in rows.items():
        _add(wanted[name], counts)
    for name in sorted({*told, *wanted}):
        found = _first(query, name, told.get(name, nothing), wanted.get(name, nothing))
        if found:
            return found
    total = Counter[str]()
    for measure, number in chain.from_iterable(
        zip(MEASURES, counts, strict=True) for counts in told.values()
    ):
        total[measure] += number
    return _first(
        query, None, [answer.sum[name] or 0 for name in MEASURES], [total[name] for name in MEASURES]
    )


def _first(query: TotalsQuery, row: Row | None, told: Sequence[int], log: Sequence[int]) -> Misfit | None:
    for measure, one, other in zip(MEASURES, told, log, strict=True):
        if one != other:
            return Misfit(query, row, measure, one, other)
    return None


def tell(misfit: Misfit) -> dict[str, Any]:
    """Return what was asked, and of which unit the answer is wrong."""
    query, row = misfit.query, misfit.row
    return {
        "asked": query.unit or "the whole ledger",
        "by": query.bys[0],
        "hierarchy": query.hierarchy,
        "on": query.to_day,
        "unit": "sum" if row is None else " ".join(filter(None, row[:2])),
    }
