"""What counts for a target: what counted at its unit on the day on which it occurred."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Literal, get_args

from ledger import Unit, UnitTree
from ledger.target_events import MEASURES
from projections.totals import Totals, TotalsQuery

Level = Literal["province", "district", "commune"]
By = Literal["unit", Level]
"""The direct children, or all units of a level."""
Counts = Mapping[str, int]
NOTHING: Counts = dict.fromkeys(MEASURES, 0)


class CountsThen:
    """Counts of one position, in the trees of the days on which it occurred (hierarchy *then*)."""

    def __init__(self, totals: Totals, tree: UnitTree, position: int) -> None:
        self._totals, self._tree, self._position = totals, tree, position
        self._answers: dict[TotalsQuery, tuple[dict[str, Counts], Counts]] = {}

    def of(
        self, units: Sequence[Unit], scope: Unit | None, by: By, level: int | None, first: date, last: date
    ) -> list[Counts]:
        """Return what counted at each of the units, with everything under it, from a day to another, both included.

        Args:
            units: As they are called on the last day: the scope itself, or rows of a question about it.
            scope: None: the whole ledger.
        """
        if any(first < day <= last for day in self._tree.days):
            # A unit may have come under the scope meanwhile; what it did before counts for its target too.
            return [
                self._ask(None, _by(unit), level, first, last)[0].get(unit.code, NOTHING) for unit in units
            ]
        if scope and all(unit.id == scope.id for unit in units):
            # The sum is wanted alone; of two levels it is made faster than of all communes.
            return [self._ask(scope.code, "level", level, first, last)[1]] * len(units)
        counts, whole = self._ask(scope.code if scope else None, by, level, first, last)
        return [whole if scope and unit.id == scope.id else counts.get(unit.code, NOTHING) for unit in units]

    def _ask(
        self, scope: str | None, by: By | Literal["level"], level: int | None, first: date, last: date
    ) -> tuple[dict[str, Counts], Counts]:
        """Return counts by code of a unit, and their sum; asked once for all units and targets that need it."""
        query = TotalsQuery(
            unit=scope,
            by=by,
            level=level,
            from_day=first,
            to_day=last,
            hierarchy="then",
            position=self._position,
        )
        if query not in self._answers:
            answer = self._totals.count(query)
            found: dict[str, Counts] = {}
            for row in answer.rows if by != "level" else ():
                # A unit that has ended may have had the same code: the one that has it on the day comes first.
                found.setdefault(row["unit"]["code"], row)
            self._answers[query] = found, {name: number or 0 for name, number in answer.sum.items()}
        return self._answers[query]


def _by(unit: Unit) -> By:
    """Return what to ask for so that the unit is a row, whatever it stands under."""
    return next((level for level in get_args(Level) if level == unit.level), "unit")
