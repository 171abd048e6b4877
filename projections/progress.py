"""How far each unit is from its targets; one code path for API and command line.

Counts come from ``Totals.read``, all of one position; targets and denominators are those of the same position. A target
is its unit's own: what counts for it is what counted at that unit on the day on which it occurred (hierarchy *then*), also
when the unit has ended since.
"""

from datetime import date, datetime

import msgspec
from msgspec.structs import replace

from ledger import Ledger, UnitTree
from ledger.access import Principal
from ledger.business_time import business_day
from ledger.checks import check_day
from ledger.errors import FieldInvalidError, UnitError
from ledger.masking import shown
from ledger.target_events import MEASURES
from ledger.working_days import WORKING_DAYS, WorkingDays
from projections.errors import NotCaughtUpError
from projections.pace import FORECAST_METHOD, PACE_DAYS
from projections.progress_counts import CountsThen
from projections.progress_rows import GoalProgress, ProgressQuery, ProgressRow, Question
from projections.small_counts import column, is_small
from projections.totals import WAIT_SECONDS, Totals, open_totals
from projections.unit_totals import NAME


class ProgressAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
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
    masked: bool = False
    """Whether small counts, and what they could be had from, are null: for viewers of the public."""


class Progress:
    """Answers from the unit totals and the targets; safe to share between threads."""

    def __init__(self, ledger: Ledger, totals: Totals, working_days: WorkingDays = WORKING_DAYS) -> None:
        self._ledger = ledger
        self._totals = totals
        self._working_days = working_days

    def read(
        self,
        query: ProgressQuery,
        *,
        after: int | None = None,
        wait_seconds: float = WAIT_SECONDS,
        by: Principal | None = None,
    ) -> ProgressAnswer:
        """Answer a question, at once or as soon as the projection has reached *after* and the position asked for.

        Args:
            by: Who asks; the ledger's own principal if absent.

        Raises:
            NotPermittedError: They may not see totals of the unit; or they are of the public, and ask what was known once.
            FieldInvalidError: The day is to come, there is no such denominator, or the ledger does not have the position.
            UnitError: The unit is no code, or was not valid on the day.
            NotCaughtUpError: The projection did not reach *after* within *wait_seconds*, or a change of units that
                the unit's code needs.
            UnavailableError: The database cannot be reached, or the projection has lost its position.
        """
        reader = self._totals.asking(by)
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
        check_day("on", query.on)
        on = query.on or today
        if on > today:
            raise FieldInvalidError("on", f"{on} is after today, {today}: nobody has done anything then yet")
        targets = self._ledger.targets(at=moment.position)
        if query.of is not None and query.of not in targets.names | set(MEASURES):
            known = ", ".join((*sorted(targets.names), *MEASURES))
            raise FieldInvalidError("of", f"{shown(query.of)} is no denominator; known are {known}")

        def answer(tree: UnitTree) -> ProgressAnswer:
            scope = None if query.unit is None else tree.resolve(query.unit, on)
            least = self._totals.check_asked(reader, tree, scope, on, cut=cut)
            counts = CountsThen(self._totals, tree, moment.position)
            question = Question(query, on, targets, tree, self._working_days, counts)
            found = ProgressAnswer(
                moment.position, moment.recorded_at, NAME, on, FORECAST_METHOD, *question.answer()
            )
            return _masked(found, least) if least else found

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


def _masked(answer: ProgressAnswer, least: int) -> ProgressAnswer:
    """Return an answer without small counts, and without what these could be had from: rates and what is left to do."""

    def goal(row: ProgressRow) -> tuple[object, ...]:
        return row.issuer, row.measure, row.level, row.from_day, row.deadline

    wholes, rows, any_masked = [*answer.whole], [*answer.rows], False
    for key in dict.fromkeys(goal(row) for row in [*wholes, *rows]):
        places = [index for index, row in enumerate(rows) if goal(row) == key]
        counts = [rows[index].count or 0 for index in places]
        whole = next((index for index, row in enumerate(wholes) if goal(row) == key), None)
        total = sum(counts) if whole is None else wholes[whole].count or 0
        cells, hidden = column(counts, total, least)
        for cell in cells:
            rows[places[cell]] = _without_count(rows[places[cell]])
        if hidden and whole is not None:
            wholes[whole] = _without_count(wholes[whole])
        any_masked = any_masked or bool(cells) or hidden
    ended = [_without_count(row) if is_small(row.count, least) else row for row in answer.ended]
    told = [[_without_few(row, least) for row in some] for some in (wholes, rows, ended)]
    any_masked = any_masked or told != [answer.whole, answer.rows, answer.ended]
    return replace(answer, whole=told[0], rows=told[1], ended=told[2], masked=any_masked)


def _without_count(row: ProgressRow) -> ProgressRow:
    return replace(
        row,
        count=None,
        percent=None,
        done=None,
        rate=None,
        remaining=None,
        needed_per_day=None,
        needed_per_working_day=None,
        days_ahead=None,
        pace_7_days=None,
        forecast=None,
        rank=None,
    )


def _without_few(row: ProgressRow, least: int) -> ProgressRow:
    """Return a row without what the last days tell of few, or another measure does."""
    if row.pace_7_days is not None and is_small(round(row.pace_7_days * PACE_DAYS), least):
        row = replace(row, pace_7_days=None, forecast=None)
    if row.rate_of in MEASURES and is_small(row.rate_whole, least):
        row = replace(row, rate_whole=None, rate=None)
    return row


def open_progress(ledger: Ledger) -> Progress:
    """Return the progress of an open ledger; as ``open_totals`` does, and with its errors."""
    return Progress(ledger, open_totals(ledger))
