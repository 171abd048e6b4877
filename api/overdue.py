"""What is overdue, over HTTP; the same answer as the command line's."""

from datetime import date
from functools import partial
from typing import Annotated

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from api.admission import needs
from api.problems import problems
from api.totals import After, Level, UnitCode, read_aside
from ledger.access import Principal, Right
from projections import Overdue, OverdueAnswer, OverdueQuery


class OverdueController(Controller):
    path = "/v1/overdue"
    tags = ("totals",)

    @get(
        operation_id="get_overdue",
        opt=needs(Right.TOTALS),
        summary="Dossiers that wait longer than the law allows",
        response_description="Rows by unit, and their sum, true for a position of the ledger.",
        responses=problems(400, 422, 503),
    )
    async def overdue(
        self,
        overdue: NamedDependency[Overdue],
        principal: NamedDependency[Principal],
        unit: UnitCode = None,
        level: Level = None,
        on: Annotated[
            date | None,
            QueryParameter(
                description="A day in Vietnam, today or later; absent: today. A later one is a forecast."
            ),
        ] = None,
        after: After = None,
    ) -> OverdueAnswer:
        """The rows are the direct children, each with all under it; dossiers stand at the unit that collected them.

        An approval may take 1 working day for level 1, 3 for level 2, and 7 where the identity card is expired or
        missing; an activation 7 days from the notice (Decree 69/2024, Art. 13, 14). What waits is known as it is now, so a day
        that has passed is refused.
        """
        query = OverdueQuery(unit=unit, level=level, on=on)
        return await read_aside(partial(overdue.read, query, after=after, by=principal))
