"""How far each unit is from its targets; one code path for API and command line.

Counts come from ``Totals.read``, all of one position; targets and denominators are those of the same position. A target
is its unit's own: what counts for it is what counted at that unit on the day on which it occurred (hierarchy *then*), also
when the unit has ended since.
"""

from datetime import date, datetime

import msgspec

from ledger import Ledger, UnitTree
from ledger.business_time import business_day
from ledger.errors import FieldInvalidError, UnitError
from ledger.masking import shown
from ledger.target_events import MEASURES
from ledger.working_days import WORKING_DAYS, WorkingDays
from projections.errors import NotCaughtUpError
from projections.pace import FORECAST_METHOD
from projections.progress_counts import CountsThen
from projections.progress_rows import GoalProgress, ProgressQuery, ProgressRow, Question
from projections.totals import WAIT_SECONDS, Totals, open_totals
from projections.unit_totals import NAME


class ProgressAnswer(msgspec.Struct, frozen=True):
    """How far units are from their targets at the end of a day."""

    position: int
    """The ledger position that it is true for: of counts, units, targets and denominators."""
    recorded_at: datetime
    """When the event at that position was recorded, UTC."""
    projection: str
    on: date
    """The day (Vietnam)."""
    forecast_method: str
    """``pace_7_days``: the count, and the pace of the last 7 days for every day that is left."""
    goals: list[GoalProgress]
    """The nearest deadline first, those that have passed last."""
    whole: list[ProgressRow]
    """Of the unit itself."""
    rows: list[ProgressRow]
    """Of the units under it: by goal, the first in rank first."""
    ended: list[ProgressRow]
    """Of units that have ended on the way, if asked."""


class Progress:
    """Answers from the unit totals and the targets; safe to share between threads."""

    def __init__(self, ledger: Ledger, totals: Totals, working_days: WorkingDays = WORKING_DAYS) -> None:
        self._ledger = ledger
        self._totals = totals
        self._working_days = working_days

    def read(
        self, query: ProgressQuery, *, after: int | None = None, wait_seconds: float = WAIT_SECONDS
    ) -> ProgressAnswer:
        """Answer a question, at once or as soon as the projection has reached *after* and the position asked for.

        Raises:
            FieldInvalidError: The day is to come, there is no such denominator, or the ledger does not have the position.
            UnitError: The unit is no code, or was not valid on the day.
            NotCaughtUpError: The projection did not reach *after* within *wait_seconds*, or a change of units that
                the unit's code needs.
            UnavailableError: The database cannot be reached, or the projection has lost its position.
        """
        if query.position is not None and query.known_at is not None:
            raise FieldInvalidError("known_at", "name a position or a time, one of them")
        cut = query.position is not None or query.known_at is not None
        if cut:
            moment = self._ledger.at(position=query.position, known_at=query.known_at)
            today = business_day(moment.recorded_at)
            after = max(after or 0, moment.position)
        else:
            # All questions are asked of one position, so that their counts belong together.
            position = self._totals.read_in_tree(
                lambda _: self._totals.position(), after=after, wait_seconds=wait_seconds
            )
            moment = self._ledger.at(position=position)
            today = self._ledger.today()
        on = query.on or today
        if on > today:
            raise FieldInvalidError("on", f"{on} is after today, {today}: nobody has done anything then yet")
        targets = self._ledger.targets(at=moment.position)
        if query.of is not None and query.of not in targets.names | set(MEASURES):
            known = ", ".join((*sorted(targets.names), *MEASURES))
            raise FieldInvalidError("of", f"{shown(query.of)} is no denominator; known are {known}")

        def answer(tree: UnitTree) -> ProgressAnswer:
            counts = CountsThen(self._totals, tree, moment.position)
            question = Question(query, on, targets, tree, self._working_days, counts)
            return ProgressAnswer(
                moment.position, moment.recorded_at, NAME, on, FORECAST_METHOD, *question.answer()
            )

        try:
            return self._totals.read_in_tree(
                answer, at=(moment.position, moment.recorded_at), after=after, wait_seconds=wait_seconds
            )
        except UnitError:
            entries = self._ledger.tree().entries
            if not cut and entries and entries[-1][0] > moment.position:
                raise NotCaughtUpError(
                    f"{NAME} has counted up to position {moment.position}, and units have changed since; "
                    "ask again in a second"
                ) from None
            raise


def open_progress(ledger: Ledger) -> Progress:
    """Return the progress of an open ledger; as ``open_totals`` does, and with its errors."""
    return Progress(ledger, open_totals(ledger))
