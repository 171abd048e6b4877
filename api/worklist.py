"""Dossiers that wait, and how long they do, over HTTP; the same answers as the command line's.

Apart from the totals: these tell which dossiers, those only how many.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from api.admission import needs
from api.problems import problems
from api.purposes import PurposeText, WorkCode, read_work
from api.spreadsheets import as_csv
from api.totals import After, Level, UnitCode, masked_header, read_aside
from ledger.access import Principal, Right
from projections import (
    Ageing,
    AgeingAnswer,
    AgeingQuery,
    Worklist,
    WorklistAnswer,
    WorklistQuery,
    WorklistRow,
)
from projections.ageing import MEASURES, By
from projections.worklist import PAGE_MAX, Awaiting, Waits

A = TypeVar("A", WorklistAnswer, AgeingAnswer)
Form = Annotated[
    Literal["json", "csv"],
    QueryParameter(name="format", description="csv: the rows alone, for spreadsheets."),
]


def rows_of_worklist(answer: WorklistAnswer) -> tuple[list[str], list[list[Any]]]:
    """Return a page as a table: its columns and rows. A unit has a column for each of its parts."""
    return _flat(list(WorklistRow.__struct_fields__), [msgspec.to_builtins(row) for row in answer.rows])


def rows_of_ageing(answer: AgeingAnswer) -> tuple[list[str], list[list[Any]]]:
    """The same of an answer about ages."""
    return _flat(["unit", "step", *MEASURES], answer.rows)


_PARTS = {
    "unit": ("code", "name", "level"),
    "collecting_unit": ("code", "name", "level"),
}


def _flat(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[Any]]]:
    columns = [(name, part) for name in names for part in _PARTS.get(name, (None,))]
    return (
        [name if part is None else f"{name}_{part}" for name, part in columns],
        [[row[name] if part is None else row[name][part] for name, part in columns] for row in rows],
    )


def _respond(
    form: str,
    answer: A,
    rows_of: Callable[[A], tuple[list[str], list[list[Any]]]],
    next_: str | None = None,
    *,
    masked: bool = False,
) -> Response[A | bytes]:
    if form == "json":
        return Response(answer)
    columns, rows = rows_of(answer)
    told = {"X-Ledger-Position": str(answer.position)} | ({"X-Ledger-Next": next_} if next_ else {})
    told |= masked_header(masked)
    return Response(as_csv(columns, rows), media_type="text/csv; charset=utf-8", headers=told)


class WorklistController(Controller):
    path = "/v1/worklist"
    tags = ("worklist",)

    @get(
        operation_id="get_worklist",
        opt=needs(Right.WORKLIST),
        summary="Dossiers that wait for their approval or activation",
        response_description="A page, true for a position of the ledger.",
        responses=problems(400, 422, 503),
    )
    async def worklist(
        self,
        worklist: NamedDependency[Worklist],
        principal: NamedDependency[Principal],
        purpose: WorkCode = None,
        purpose_text: PurposeText = None,
        unit: UnitCode = None,
        awaiting: Annotated[
            Awaiting | None, QueryParameter(description="What is waited for; absent: either.")
        ] = None,
        waits: Annotated[
            Waits | None, QueryParameter(name="state", description="Absent: any in which a dossier waits.")
        ] = None,
        level: Level = None,
        late: Annotated[
            bool | None,
            QueryParameter(name="overdue", description="Only those whose time is up, or only the others."),
        ] = None,
        place: Annotated[str | None, QueryParameter(description="Where it was collected.")] = None,
        team: Annotated[
            str | None, QueryParameter(max_length=64, description="Which team collected it.")
        ] = None,
        actor: Annotated[
            str | None, QueryParameter(max_length=64, description="Which officer collected it.")
        ] = None,
        residence: Annotated[
            str | None,
            QueryParameter(
                max_length=64, description="Code of the unit where the citizen lives, as it was sent."
            ),
        ] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=PAGE_MAX, description="Rows of a page.")] = 100,
        cursor: Annotated[
            str | None,
            QueryParameter(
                max_length=400,
                description="The next of the page before, which you were told in answer to the same question today or yesterday.",
            ),
        ] = None,
        after: After = None,
        form: Form = "json",
    ) -> Response[WorklistAnswer | bytes]:
        """Those overdue come first, then the oldest; ids only, nobody's name or number. Each of them is a look.

        A dossier stands at the unit that collected it, under which it counts today. The pages from the first to the
        last tell each wait once that lasts from then on. With format=csv the cursor of the next page is in the header
        X-Ledger-Next, and the position in X-Ledger-Position.
        """
        query = WorklistQuery(
            unit=unit,
            awaiting=awaiting,
            state=waits,
            level=level,
            overdue=late,
            place=place,
            team=team,
            actor=actor,
            residence=residence,
            limit=limit,
            cursor=cursor,
        )
        why = read_work(purpose, purpose_text)
        answer = await read_aside(partial(worklist.read, query, after=after, purpose=why, by=principal))
        return _respond(form, answer, rows_of_worklist, answer.next)


class AgeingController(Controller):
    path = "/v1/ageing"
    tags = ("worklist",)

    @get(
        operation_id="get_ageing",
        opt=needs(Right.TOTALS),
        summary="How long dossiers wait, and how long approvals and activations took",
        response_description="Rows by unit and step, and the same of all of them, true for a position of the ledger.",
        responses=problems(400, 422, 503),
    )
    async def ageing(
        self,
        ageing: NamedDependency[Ageing],
        principal: NamedDependency[Principal],
        unit: UnitCode = None,
        by: Annotated[
            By,
            QueryParameter(
                description="What the rows are: the direct children, each with all under it; or all units of a level."
            ),
        ] = "unit",
        level: Level = None,
        from_day: Annotated[
            date | None,
            QueryParameter(name="from", description="First day, in Vietnam, on which a wait ended."),
        ] = None,
        to_day: Annotated[
            date | None, QueryParameter(name="to", description="Last such day, included.")
        ] = None,
        after: After = None,
        form: Form = "json",
    ) -> Response[AgeingAnswer | bytes]:
        """Waiting are dossiers that wait now, by how many days ago that began, with the median and the 90th percentile.

        ended are the waits that ended on the days asked for, took_days_p50 and took_days_p90 how long they took.
        Percentiles are exact, by the nearest rank, and null of none.
        """
        query = AgeingQuery(unit=unit, by=by, level=level, from_day=from_day, to_day=to_day)
        answer = await read_aside(partial(ageing.read, query, after=after, by=principal))
        return _respond(form, answer, rows_of_ageing, masked=answer.masked)
