"""Totals over HTTP; the same answer as the command line's."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from api import spreadsheets
from api.admission import needs
from api.parameters import a_position
from api.problems import problems
from ledger.access import Principal, Right
from projections import Totals, TotalsAnswer, TotalsQuery
from projections.hierarchies import Attribution
from projections.totals import BY_UNITS, BYS, By, read_bys
from projections.unit_totals import MEASURES

READERS_MAX = 32
"""They have threads of their own: however many wait for a position, no report waits for them."""

_readers = ThreadPoolExecutor(READERS_MAX, thread_name_prefix="totals")
A = TypeVar("A")

UnitCode = Annotated[
    str | None,
    QueryParameter(description="Code of a unit: it and everything under it. Absent: the whole ledger."),
]
Level = Annotated[int | None, QueryParameter(ge=1, le=2, description="Absent: both.")]
After = Annotated[int | None, a_position("A position that must be counted: wait for it, 2 seconds at most.")]
AtPosition = Annotated[int | None, a_position("Only what the ledger knew at this position.")]
KnownAt = Annotated[datetime | None, QueryParameter(description="Only what the ledger knew then (RFC 3339).")]


async def read_aside(answer: Callable[[], A]) -> A:
    """Return an answer of a read model, had in a thread of a reader."""
    return await asyncio.get_running_loop().run_in_executor(_readers, answer)


def flat(answer: TotalsAnswer, bys: Sequence[By]) -> tuple[list[str], list[list[Any]], dict[str, int | None]]:
    """Return an answer as a table: its columns, its rows, and the sums of those columns that have one."""
    counted = [dict(row) for row in answer.rows]
    total = dict(answer.sum)
    if answer.previous is not None:
        befores = [*(row["previous"] for row in answer.rows), answer.previous.sum]
        for counts, before in zip([*counted, total], befores, strict=True):
            counts.update({f"{name}_before": number for name, number in before.items()})
    columns: dict[str, list[Any]] = {}
    for by in bys:
        if by in BY_UNITS:
            for name in ("code", "name", "level"):
                columns[f"unit_{name}"] = [row["unit"][name] for row in counted]
        else:
            columns[by] = [row[by] for row in counted]
    measures = [each for name in MEASURES for each in (name, f"{name}_before") if each in total]
    columns |= {name: [row[name] for row in counted] for name in measures}
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    return list(columns), rows, {name: total[name] for name in measures}


def as_csv(answer: TotalsAnswer, bys: Sequence[By]) -> bytes:
    """Return an answer as CSV (RFC 4180, UTF-8), as the command line writes it too."""
    columns, rows, _ = flat(answer, bys)
    return spreadsheets.as_csv(columns, rows)


def masked_header(masked: bool) -> dict[str, str]:
    """Return what says of a table that small counts of it are left out; a JSON answer says so itself."""
    return {"X-Ledger-Masked": "true"} if masked else {}


class TotalsController(Controller):
    path = "/v1/totals"
    tags = ("totals",)

    @get(
        operation_id="get_totals",
        opt=needs(Right.TOTALS),
        summary="Counts of events, at the unit whose work they are",
        response_description="Rows, and their sum, true for a position of the ledger.",
        responses=problems(400, 422, 503),
    )
    async def totals(
        self,
        totals: NamedDependency[Totals],
        principal: NamedDependency[Principal],
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
        position: AtPosition = None,
        known_at: KnownAt = None,
        after: After = None,
        form: Annotated[
            Literal["json", "csv"],
            QueryParameter(name="format", description="csv: a table without the sum, for spreadsheets."),
        ] = "json",
    ) -> Response[TotalsAnswer | bytes]:
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
        answer = await read_aside(partial(totals.read, query, after=after, by=principal))
        if form == "csv":
            told = {"X-Ledger-Position": str(answer.position)} | masked_header(answer.masked)
            return Response(as_csv(answer, query.bys), media_type="text/csv; charset=utf-8", headers=told)
        return Response(answer)
