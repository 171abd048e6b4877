"""Reports over HTTP. Handlers translate; the ledger decides."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, Response, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import FromQuery, RawBody

from api.bodies import BODY_BYTES_MAX, ITEMS_MAX, read_body
from api.problems import Problem, problem_of, problems
from ledger import AnyCommand, Ledger, LedgerError, Receipt, Refusal
from ledger.commands import FIELDS


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One report, as in the import file."""

    key: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    type: str
    citizen: Annotated[str, msgspec.Meta(pattern="^[0-9]{12}$")]
    level: Annotated[int, msgspec.Meta(ge=1, le=2)]
    occurred_at: datetime
    actor: str
    unit: str | None = None
    place: str | None = None
    team: str | None = None
    partner: str | None = None
    residence_unit: str | None = None
    reason: str | None = None
    note: str | None = None


assert set(Report.__struct_fields__) == set(FIELDS)

_DESCRIPTIONS = {
    "key": "The client's id for this report, unique within the dossier. A retry with it returns the first receipt.",
    "type": "What happened.",
    "citizen": "The personal number, 12 digits.",
    "level": "1 or 2.",
    "occurred_at": "RFC 3339 with an offset.",
    "actor": "Staff code of the officer, or self.",
    "unit": "Code valid at occurred_at; for approved and rejected absent means the collecting unit.",
    "reason": "For rejected: a code.",
    "note": "Up to 500 characters, stored sealed; no 12-digit number.",
}
_REPORT = Schema(
    type=OpenAPIType.OBJECT,
    title="Report",
    required=["key", "type", "citizen", "level", "occurred_at", "actor"],
    additional_properties=False,
    properties={
        name: Schema(
            type=OpenAPIType.INTEGER if name == "level" else OpenAPIType.STRING,
            description=_DESCRIPTIONS.get(name),
            enum=["collected", "approved", "rejected", "activated"] if name == "type" else None,
        )
        for name in FIELDS
    },
    examples=[
        {
            "key": "a1",
            "type": "collected",
            "citizen": "038090001234",
            "level": 2,
            "unit": "14758",
            "occurred_at": "2024-12-09T21:15:00+07:00",
            "actor": "th-0042",
            "place": "culture_house",
        }
    ],
)


@dataclass
class ReportsOperation(Operation):
    """Documents the body, which the handler reads itself so that each item of an array can fail alone."""

    def __post_init__(self) -> None:
        either = Schema(
            one_of=[_REPORT, Schema(type=OpenAPIType.ARRAY, items=_REPORT, min_items=0, max_items=ITEMS_MAX)]
        )
        self.request_body = RequestBody(
            content={"application/json": OpenAPIMediaType(schema=either)}, required=True
        )


class EventController(Controller):
    path = "/v1/events"
    tags = ("events",)

    @post(
        summary="Record one report, or up to 1,000 in an array",
        operation_class=ReportsOperation,
        sync_to_thread=True,
        request_max_body_size=BODY_BYTES_MAX,
        responses={
            **problems(400, 404, 409, 413, 415, 422, 503),
            200: ResponseSpec(
                data_container=list[Receipt | Problem],
                generate_examples=False,
                description="For an array: one result per item, in order.",
            ),
        },
    )
    def record(
        self,
        body: RawBody,
        request: Request[Any, Any, Any],
        ledger: NamedDependency[Ledger],
        atomic: FromQuery[bool] = False,
    ) -> Response[Receipt | list[Receipt | Problem]]:
        """Answer 201 with the receipt; for an array 200 with a receipt or a problem for each item, in order.

        A retry with the same key and content gets the first receipt again, with duplicate true.
        With atomic=true one refused item refuses all.
        """
        return _record(read_body(body, request.headers.get("content-type")), ledger, atomic=atomic)


def _record(
    reports: AnyCommand | list[AnyCommand | LedgerError], ledger: Ledger, *, atomic: bool
) -> Response[Receipt | list[Receipt | Problem]]:
    if not isinstance(reports, list):
        return Response(ledger.record(reports), status_code=201)
    commands = [report for report in reports if not isinstance(report, LedgerError)]
    # An item that is no report refuses an atomic array as well; the others still get their own reasons.
    spoilt = atomic and len(commands) < len(reports)
    outcomes = iter(ledger.record_many(commands, atomic=atomic, spoilt=spoilt))
    answers = [
        problem_of(report) if isinstance(report, LedgerError) else _answer(next(outcomes))
        for report in reports
    ]
    return Response(answers, status_code=200)


def _answer(outcome: Receipt | Refusal) -> Receipt | Problem:
    return problem_of(outcome.error) if isinstance(outcome, Refusal) else outcome
