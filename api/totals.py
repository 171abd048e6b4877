"""Totals over HTTP; the same answer as the command line's."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from typing import Annotated

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from api.problems import problems
from projections import Totals, TotalsAnswer, TotalsQuery
from projections.totals import By

READERS_MAX = 32
"""They have threads of their own: however many wait for a position, no report waits for them."""

_readers = ThreadPoolExecutor(READERS_MAX, thread_name_prefix="totals")


class TotalsController(Controller):
    path = "/v1/totals"
    tags = ("totals",)

    @get(
        summary="Counts of events, at the unit whose work they are",
        responses=problems(400, 422, 503),
    )
    async def totals(
        self,
        totals: NamedDependency[Totals],
        unit: FromQuery[str | None] = None,
        by: FromQuery[By] = "unit",
        level: Annotated[int | None, QueryParameter(ge=1, le=2)] = None,
        from_day: Annotated[date | None, QueryParameter(name="from")] = None,
        to_day: Annotated[date | None, QueryParameter(name="to")] = None,
        after: Annotated[int | None, QueryParameter(ge=0, le=2**63 - 1)] = None,
    ) -> TotalsAnswer:
        """Answer for the events counted so far; with after=POSITION wait for it, 2 seconds at most.

        from and to are inclusive days in Vietnam of occurred_at.
        """
        query = TotalsQuery(unit=unit, by=by, level=level, from_day=from_day, to_day=to_day)
        answer = partial(totals.read, query, after=after)
        return await asyncio.get_running_loop().run_in_executor(_readers, answer)
