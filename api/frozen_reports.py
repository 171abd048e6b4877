"""Frozen reports over HTTP: the same bytes as the command line's."""

import logging
from datetime import date, datetime
from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter, QueryParameter

from api.admission import needs
from api.parameters import a_position, at_most
from api.problems import problems
from api.totals import read_aside
from ledger import FrozenReport, Ledger
from ledger.access import Principal, Right
from projections import CountChange, ReportChanges, ReportDiffersError, Totals, reissue_report, report_changes
from projections.report_changes import KINDS, PAGE_MAX, Kind

_log = logging.getLogger(__name__)

_MEANINGS = {
    400: "A parameter is malformed.",
    404: "No report was frozen under this name, or none that you may see.",
    409: "Computed again, the report is not what was frozen; it is shown to nobody.",
    422: "The unit of the report is none of its day any more, by what was recorded since.",
    503: "It cannot answer now; try again after the seconds of Retry-After.",
}


class ReportDefinition(msgspec.Struct, frozen=True, rename={"from_day": "from", "to_day": "to"}):
    """The question that a report answers."""

    unit: str | None
    by: list[str]
    level: int | None
    from_day: date | None
    to_day: date
    hierarchy: str
    attribution: str
    compare: str | None


class ReportRow(msgspec.Struct, frozen=True):
    """A report that was frozen."""

    name: str
    title: str
    position: int
    """What the ledger knew up to this position, and nothing later."""
    sha256: str
    """Of the report's bytes, in hex."""
    frozen_at: int
    """The position of the event that froze it."""
    recorded_at: datetime
    """When that was recorded, UTC."""
    actor: str
    """Who froze it; empty where small counts of it are masked."""
    definition: ReportDefinition


class ReportList(msgspec.Struct, frozen=True):
    """Every report that was frozen, in that order."""

    rows: list[ReportRow]


def row_of(frozen: FrozenReport) -> ReportRow:
    """Return a report as lists tell it."""
    report = frozen.report
    asked = msgspec.structs.asdict(report.definition)
    return ReportRow(
        report.name,
        report.title,
        report.position,
        report.sha256,
        frozen.frozen_at,
        frozen.recorded_at,
        report.actor,
        ReportDefinition(**asked | {"by": list(report.definition.by)}),
    )


def list_reports(ledger: Ledger, *, by: Principal | None = None) -> ReportList:
    """Return the reports about units whose totals somebody may see; the ledger's own principal if absent."""
    return ReportList([row_of(frozen) for frozen in ledger.reports_for(by)])


Name = Annotated[str, PathParameter(description="As it was frozen under.")]


def flat_changes(answer: ReportChanges, *, everything: bool) -> tuple[list[str], list[list[Any]]]:
    """Return the counts of a report as a table, a line for each row and measure.

    Args:
        everything: Also those that are the same now.
    """
    columns: list[str] = []
    lines = []
    for row in answer.rows:
        names: dict[str, Any] = {}
        for name, value in row.items():
            if name == "unit":
                names |= {f"unit_{key}": value[key] for key in ("code", "name", "level")}
            elif name != "counts":
                names[name] = value
        columns = columns or list(names)
        lines += [
            [*names.values(), measure, *msgspec.structs.astuple(change)]
            for measure, change in row["counts"].items()
            if everything or any(msgspec.structs.astuple(change)[2:])
        ]
    return [*columns, "measure", *CountChange.__struct_fields__], lines


def flat_events(answer: ReportChanges) -> tuple[list[str], list[list[Any]]]:
    """Return the events behind it as a table, a line for each of their changes; one for a reorganisation."""
    columns = ["position", "kind", "type", "unit", "occurred_at", "effective", "recorded_at", "detail"]
    lines = []
    for event in answer.events:
        first = [_cell(getattr(event, column)) for column in columns]
        lines += [
            [*first, _row_in_words(change), change["measure"], change["count"]] for change in event.changes
        ] or [[*first, None, None, None]]
    return [*columns, "row", "measure", "count"], lines


def _cell(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _row_in_words(change: dict[str, Any]) -> str:
    told = [
        (value["code"] or value["name"]) if name == "unit" else "other days" if value is None else str(value)
        for name, value in change.items()
        if name not in ("measure", "count")
    ]
    return ", ".join(told)


class FrozenReportController(Controller):
    path = "/v1/reports"
    tags = ("reports",)

    @get(
        operation_id="list_reports",
        opt=needs(Right.TOTALS),
        summary="The reports that were frozen",
        response_description="Each with its question, its position and the hash of its bytes.",
        responses=problems(400, 503),
    )
    async def reports(
        self, ledger: NamedDependency[Ledger], principal: NamedDependency[Principal]
    ) -> ReportList:
        """In the order in which they were frozen; those about units whose totals whoever asks may see."""
        return await read_aside(partial(list_reports, ledger, by=principal))

    @get(
        "/{name:str}",
        operation_id="get_report",
        opt=needs(Right.TOTALS),
        summary="A frozen report, byte for byte",
        responses=problems(400, 404, 409, 503, meanings=_MEANINGS)
        | {
            200: ResponseSpec(
                dict[str, Any],
                media_type="application/json",
                description="The report; its ETag is the SHA-256 that was frozen.",
                generate_examples=False,
            ),
            304: ResponseSpec(None, description="The client has it, as If-None-Match says."),
        },
    )
    async def report(
        self,
        request: Request[Any, Any, Any],
        ledger: NamedDependency[Ledger],
        totals: NamedDependency[Totals],
        principal: NamedDependency[Principal],
        name: Name,
    ) -> Response[bytes]:
        """It is computed again and compared with the hash that was frozen, before anything is answered."""
        try:
            found = await read_aside(partial(reissue_report, ledger, totals, name, by=principal))
        except ReportDiffersError as error:
            # Whoever reads this answer may not be who can mend it.
            _log.error("%s", error)
            raise
        if found.answer.masked:
            # Other bytes than those that were frozen, so their hash is not told as that of these.
            return Response(
                found.document, media_type="application/json", headers={"Cache-Control": "no-cache"}
            )
        tag = f'"{found.frozen.report.sha256}"'
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        if tag in request.headers.get("if-none-match", "").replace(",", " ").split():
            return Response(b"", status_code=304, headers=headers)
        return Response(found.document, media_type="application/json", headers=headers)

    @get(
        "/{name:str}/changes",
        operation_id="get_report_changes",
        opt=needs(Right.TOTALS),
        summary="What has become of a frozen report",
        response_description="Each count then and now, why they differ, and a page of the events behind it.",
        responses=problems(400, 404, 409, 422, 503, meanings=_MEANINGS),
    )
    async def changes(
        self,
        ledger: NamedDependency[Ledger],
        totals: NamedDependency[Totals],
        principal: NamedDependency[Principal],
        name: Name,
        kind: Annotated[
            Kind | None, QueryParameter(description=f"Only events of one kind: {', '.join(KINDS)}.")
        ] = None,
        position: Annotated[int | None, a_position("What now is; absent: the head of the log.")] = None,
        after: Annotated[int, a_position("Only events after this position.")] = 0,
        limit: Annotated[int, at_most(PAGE_MAX, "events")] = 100,
    ) -> ReportChanges:
        """The same question, asked of what is known now.

        Each count adds up: frozen, and what arrived late, occurred since, was corrected, was allocated and was moved by
        reorganisations, is what is counted now. Events come in the order of the log; next is what to ask for after a page.
        """
        return await read_aside(
            partial(
                report_changes,
                ledger,
                totals,
                name,
                position=position,
                kind=kind,
                after=after,
                limit=limit,
                by=principal,
            )
        )
