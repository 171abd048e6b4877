"""Reports come in over HTTP: one, or up to a thousand in one request."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example, OpenAPIMediaType, Operation, Reference, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import QueryParameter

from api.bodies import REPORTS_MAX, as_command, check_count, read_json
from api.problems import Problem, documented, problem_of
from ledger import AnyCommand, Ledger, LedgerError, Receipt, Refusal
from ledger.commands import PARTNERS, PLACES, REJECTION_REASONS
from ledger.errors import NotRecordedError


def _one_of(words: frozenset[str]) -> msgspec.Meta:
    return msgspec.Meta(extra_json_schema={"enum": [*sorted(words), ""]})


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One report, as the API takes it. Empty text and null are the same as absent; other fields are refused.

    For the documentation only: ``ledger.read_report`` reads reports, from files and requests alike.
    """

    key: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    """The client's id for this report, unique within the dossier. Sending the same key with the same content
    again returns the first receipt; with other content it is refused."""
    type: Literal["collected", "approved", "rejected", "activated"]
    citizen: Annotated[str, msgspec.Meta(pattern="^[0-9]{12}$")]
    """The personal number, 12 digits. It enters no event, address, log line or problem."""
    level: Literal[1, 2]
    """Level of the account (mức độ)."""
    unit: Annotated[str | None, msgspec.Meta(max_length=32)] = None
    """Code, valid at occurred_at, of the unit whose work this is. May be absent for approved and rejected: then
    the collecting unit counts."""
    occurred_at: Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
    """When it happened, RFC 3339 with an offset; at most 5 minutes ahead of the ledger's clock."""
    actor: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    """Staff code of the officer, or self."""
    place: Annotated[str | None, _one_of(PLACES)] = None
    """Absent means other."""
    team: Annotated[str | None, msgspec.Meta(pattern="^[A-Za-z0-9_-]{0,64}$")] = None
    """Code of a mobile team."""
    partner: Annotated[str | None, _one_of(PARTNERS)] = None
    """Absent means none."""
    residence_unit: Annotated[str | None, msgspec.Meta(max_length=32)] = None
    """Unit code of the citizen's residence, of this or any other province; kept as sent."""
    reason: Annotated[str | None, _one_of(REJECTION_REASONS)] = None
    """For rejected, where it is required, and for nothing else."""
    note: Annotated[str | None, msgspec.Meta(max_length=500)] = None
    """Free text, stored sealed. No field but citizen may hold a 12-digit number."""


_COLLECTED = {
    "key": "a1",
    "type": "collected",
    "citizen": "038090001234",
    "level": 2,
    "unit": "14758",
    "occurred_at": "2024-12-09T09:30:00+07:00",
    "actor": "cb-0172",
    "place": "culture_house",
    "partner": "youth_union",
}
_APPROVED = {
    "key": "a2",
    "type": "approved",
    "citizen": "038090001234",
    "level": 2,
    "occurred_at": "2024-12-11T15:00:00+07:00",
    "actor": "c06-11",
}


@dataclass
class RecordOperation(Operation):
    """Documents the body, which the handler takes as bytes."""

    def __post_init__(self) -> None:
        report = Reference(ref=f"#/components/schemas/{Report.__name__}")
        reports = Schema(type=OpenAPIType.ARRAY, items=report, max_items=REPORTS_MAX)
        examples: dict[str, Example | Reference] = {
            "one": Example(summary="One report", value=_COLLECTED),
            "several": Example(summary="Several reports", value=[_COLLECTED, _APPROVED]),
        }
        content = OpenAPIMediaType(schema=Schema(one_of=[report, reports]), examples=examples)
        self.request_body = RequestBody(content={"application/json": content}, required=True)


@post(
    "/events",
    tags=["events"],
    sync_to_thread=True,
    operation_class=RecordOperation,
    operation_id="recordEvents",
    summary="Record reports",
    response_description="The one report is recorded for good, or was before: then duplicate is true.",
    responses={
        200: ResponseSpec(
            list[Receipt | Problem],
            description="For an array: for every item, in order, its receipt or its problem.",
            generate_examples=False,
        ),
        **documented(400, 409, 413, 415, 422, 503),
    },
)
def record_events(
    content: NamedDependency[bytes],
    ledger: NamedDependency[Ledger],
    atomic: Annotated[
        bool,
        QueryParameter(description="true or false; true: if one report is refused, none is recorded."),
    ] = False,
) -> Response[Receipt]:
    """Record one report (an object) or up to 1,000 (an array), durably before the answer.

    A refused report is not recorded and hinders no other, unless atomic. Repeating a request is always safe.
    """
    return _record(ledger, read_json(content), atomic=atomic)


def _record(ledger: Ledger, said: object, *, atomic: bool) -> Response[Any]:
    if isinstance(said, list):
        check_count(said)
        return Response(_record_all(ledger, said, atomic=atomic), status_code=200)
    return Response(ledger.record(as_command(said)), status_code=201)


def _record_all(ledger: Ledger, items: Sequence[object], *, atomic: bool) -> list[Receipt | Problem]:
    read = [_read(item) for item in items]
    commands = [command for command in read if not isinstance(command, LedgerError)]
    # What cannot be read refuses the others too; they are decided, so that each hears of its own faults.
    spoilt = atomic and len(commands) < len(read)
    outcomes = iter(ledger.record_many(commands, atomic=atomic, dry_run=spoilt))
    in_order = [Refusal(item) if isinstance(item, LedgerError) else next(outcomes) for item in read]
    return [_answer(outcome, spoilt=spoilt) for outcome in in_order]


def _read(item: object) -> AnyCommand | LedgerError:
    try:
        return as_command(item)
    except LedgerError as refusal:
        return refusal


def _answer(outcome: Receipt | Refusal, *, spoilt: bool) -> Receipt | Problem:
    if isinstance(outcome, Refusal):
        return problem_of(outcome.error)
    if spoilt and outcome.position == 0:
        return problem_of(NotRecordedError("nothing was recorded: other reports of this batch were refused"))
    return outcome
