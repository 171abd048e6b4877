"""Totals over HTTP; the same answer as the command line's."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from functools import partial
from typing import Annotated, Literal, TypeVar

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from api.problems import problems
from projections import Totals, TotalsAnswer, TotalsQuery
from projections.hierarchies import Attribution
from projections.totals import BYS, read_bys

READERS_MAX = 32
"""They have threads of their own: however many wait for a position, no report waits for them."""

_readers = ThreadPoolExecutor(READERS_MAX, thread_name_prefix="totals")
A = TypeVar("A")

UnitCode = Annotated[
    str | None,
    QueryParameter(description="Code of a unit: it and everything under it. Absent: the whole ledger."),
]
Level = Annotated[int | None, QueryParameter(ge=1, le=2, description="Absent: both.")]
After = Annotated[
    int | None,
    QueryParameter(
        ge=0,
        le=2**63 - 1,
        description="A position that must be counted: wait for it, 2 seconds at most.",
    ),
]


async def read_aside(answer: Callable[[], A]) -> A:
    """Return an answer of a read model, had in a thread of a reader."""
    return await asyncio.get_running_loop().run_in_executor(_readers, answer)


class TotalsController(Controller):
    path = "/v1/totals"
    tags = ("totals",)

    @get(
        operation_id="get_totals",
        summary="Counts of events, at the unit whose work they are",
        response_description="Rows, and their sum, true for a position of the ledger.",
        responses=problems(400, 422, 503),
    )
    async def totals(
        self,
        totals: NamedDependency[Totals],
        unit: UnitCode = None,
        by: Annotated[
            str,
            QueryParameter(
                description=f"What the rows are: one of {', '.join(BYS)}, or two of them with a comma between; for unit the "
                "direct children, each with all under it."
            ),
        ] = "unit",
        level: Level = None,
        from_day: Annotated[
            date | None, QueryParameter(name="from", description="First day of occurred_at, in Vietnam.")
        ] = None,
        to_day: Annotated[
            date | None,
            QueryParameter(
                name="to",
                description="Last day, included; also the day on which the unit's code is read, else today.",
            ),
        ] = None,
        hierarchy: Annotated[
            str | None,
            QueryParameter(
                description="In which tree it counts: then (of the day on which it occurred), now, or that of a day; "
                "absent: of the last day asked for, else today. What has ended counts at its successors."
            ),
        ] = None,
        attribution: Annotated[
            Attribution,
            QueryParameter(description="At the unit whose work it is, or where the citizen lives."),
        ] = "acting",
        compare: Annotated[
            Literal["previous"] | None,
            QueryParameter(
                description="Beside it the period before: as many days, or months where from and to are whole months."
            ),
        ] = None,
        position: Annotated[
            int | None, QueryParameter(ge=0, description="Only what the ledger knew at this position.")
        ] = None,
        known_at: Annotated[
            datetime | None, QueryParameter(description="Only what the ledger knew then (RFC 3339).")
        ] = None,
        after: After = None,
    ) -> TotalsAnswer:
        """Each row holds what it is of (unit, level, day, place, shift, partner or recorded_on, the day on which the ledger learnt it) and its counts.

        collected, approved, rejected, notified, activated, locked and unlocked are events; awaiting_approval and
        awaiting_activation are dossiers that wait now. The answer is true for its position: what was recorded later
        is not in it, unless after asks for it.
        """
        query = TotalsQuery(
            unit=unit,
            by=read_bys(by),
            level=level,
            from_day=from_day,
            to_day=to_day,
            hierarchy=hierarchy,
            attribution=attribution,
            compare=compare,
            position=position,
            known_at=known_at,
        )
        return await read_aside(partial(totals.read, query, after=after))
