"""Progress over HTTP; the same answer as the command line's."""

from datetime import date
from functools import partial
from typing import Annotated

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from api.admission import needs
from api.problems import problems
from api.totals import After, AtPosition, KnownAt, UnitCode, read_aside
from ledger.access import Principal, Right
from ledger.target_events import Measure
from projections import Progress, ProgressAnswer, ProgressQuery
from projections.progress_counts import By


class ProgressController(Controller):
    path = "/v1/progress"
    tags = ("totals",)

    @get(
        operation_id="get_progress",
        opt=needs(Right.TOTALS),
        summary="How far units are from their targets",
        response_description="By unit and target, true for a position of the ledger.",
        responses=problems(400, 422, 503),
    )
    async def progress(
        self,
        progress: NamedDependency[Progress],
        principal: NamedDependency[Principal],
        unit: UnitCode = None,
        by: Annotated[
            By,
            QueryParameter(
                description="Which units the rows are of: the direct children, or all of a level under it."
            ),
        ] = "unit",
        issuer: Annotated[str | None, QueryParameter(description="Only this issuer's targets.")] = None,
        measure: Annotated[
            Measure | None, QueryParameter(description="Only targets of this measure.")
        ] = None,
        level: Annotated[
            int | None,
            QueryParameter(ge=1, le=2, description="Only targets for this level. Absent: all targets."),
        ] = None,
        of: Annotated[
            str | None,
            QueryParameter(
                description="What rate is a percentage of: a denominator, eligible say, or a measure, approved say. "
                "Absent: the target's own denominator."
            ),
        ] = None,
        on: Annotated[
            date | None,
            QueryParameter(
                description="The day in Vietnam at whose end it is said; absent: today. No later one."
            ),
        ] = None,
        running: Annotated[bool, QueryParameter(description="Only targets that run on that day.")] = False,
        ended: Annotated[
            bool, QueryParameter(description="Also rows of units that have ended on the way.")
        ] = False,
        position: AtPosition = None,
        known_at: KnownAt = None,
        after: After = None,
    ) -> ProgressAnswer:
        """Units are compared within a goal: the same issuer, measure, level, first day and deadline.

        Counts are events at the unit whose work they are, on the day on which they occurred, in the tree of that day. Over
        100 percent is normal. Null is not available, which is not 0: no denominator, no day left, or not begun.
        """
        query = ProgressQuery(
            unit=unit,
            by=by,
            issuer=issuer,
            measure=measure,
            level=level,
            of=of,
            on=on,
            running=running,
            ended=ended,
            position=position,
            known_at=known_at,
        )
        return await read_aside(partial(progress.read, query, after=after, by=principal))
