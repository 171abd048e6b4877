"""Frozen reports over HTTP: the same bytes as the command line's. Freezing one waits for access control."""

import logging
from datetime import date, datetime
from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter

from api.problems import problems
from api.totals import read_aside
from ledger import FrozenReport, Ledger
from projections import ReportDiffersError, Totals, reissue_report

_log = logging.getLogger(__name__)

_MEANINGS = {
    404: "No report was frozen under this name.",
    409: "Computed again, the report is not what was frozen; it is shown to nobody.",
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


def list_reports(ledger: Ledger) -> ReportList:
    return ReportList([row_of(frozen) for frozen in ledger.frozen_reports()])


class FrozenReportController(Controller):
    path = "/v1/reports"
    tags = ("reports",)

    @get(
        operation_id="list_reports",
        summary="The reports that were frozen",
        response_description="Each with its question, its position and the hash of its bytes.",
        responses=problems(400, 503),
    )
    async def reports(self, ledger: NamedDependency[Ledger]) -> ReportList:
        """In the order in which they were frozen."""
        return await read_aside(partial(list_reports, ledger))

    @get(
        "/{name:str}",
        operation_id="get_report",
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
        name: Annotated[str, PathParameter(description="As it was frozen under.")],
    ) -> Response[bytes]:
        """It is computed again and compared with the hash that was frozen, before anything is answered."""
        try:
            found = await read_aside(partial(reissue_report, ledger, totals, name))
        except ReportDiffersError as error:
            # Whoever reads this answer may not be who can mend it.
            _log.error("%s", error)
            raise
        tag = f'"{found.frozen.report.sha256}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if tag in request.headers.get("if-none-match", "").replace(",", " ").split():
            return Response(b"", status_code=304, headers=headers)
        return Response(found.document, media_type="application/json", headers=headers)
