"""Reports over HTTP. Handlers translate; the ledger decides."""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from litestar import Controller, post
from litestar.concurrency import sync_to_thread
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, Reference, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import QueryParameter, RawBody
from litestar.response.base import ASGIResponse
from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent, Receive, Scope, Send

from api.admission import REPORTING, asker, needs
from api.bodies import BODY_BYTES_MAX, ITEMS_MAX, BodyRequest, read_body
from api.edge.counts import Counts
from api.gathering import Gathering
from api.problems import Problem, problem_of, problems
from ledger import AnyCommand, LedgerError, Receipt, Refusal
from ledger.access import Principal
from ledger.checks import ACTOR_CHARACTERS_MAX, KEY_CHARACTERS_MAX, NOTE_CHARACTERS_MAX, UNIT_CHARACTERS_MAX
from ledger.commands import CARDS, COMMANDS, FIELDS, PARTNERS, PLACES
from ledger.listed import CODE_CHARACTERS_MAX

INLINE_BYTES_MAX = 20_000
"""Greater bodies are read in a thread, so that others are answered meanwhile."""

_encode = msgspec.json.Encoder().encode


class Answer(ASGIResponse):
    """JSON that is encoded already. Litestar's own takes some 5 microseconds to lay out two headers."""

    def __init__(self, body: bytes, status_code: int) -> None:
        self.body = body
        self.status_code = status_code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(self.body)).encode())]
        start: HTTPResponseStartEvent = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": headers,
        }
        await send(start)
        body: HTTPResponseBodyEvent = {"type": "http.response.body", "body": self.body, "more_body": False}
        await send(body)


def _text(description: str, **bounds: Any) -> Schema:
    return Schema(type=OpenAPIType.STRING, description=description, **bounds)


REPORT = Schema(
    type=OpenAPIType.OBJECT,
    title="Report",
    description="One report: the fields of the import file. null, empty and absent mean the same.",
    required=["key", "type", "citizen", "level", "occurred_at", "actor"],
    additional_properties=False,
    properties={
        "key": _text(
            "The client's id for this report, unique within the dossier. Sent again with the same content it is "
            "answered with the first receipt; with other content it is refused.",
            min_length=1,
            max_length=KEY_CHARACTERS_MAX,
        ),
        "type": _text("What happened.", enum=list(COMMANDS)),
        "citizen": _text("The personal number. No other field may hold one.", pattern="^[0-9]{12}$"),
        "level": Schema(type=OpenAPIType.INTEGER, enum=[1, 2], description="Of the account."),
        "unit": _text(
            "Code, valid at occurred_at, of the unit whose work this is. For approved, rejected, notified and "
            "withdrawn it may be absent: then the collecting unit counts. For allocated the part of a split unit where the "
            "dossier belongs.",
            max_length=UNIT_CHARACTERS_MAX,
        ),
        "occurred_at": _text(
            "When it happened, with an offset (RFC 3339); at most 5 minutes ahead of the ledger's clock.",
            format="date-time",
        ),
        "actor": _text("Staff code of the officer, or self.", max_length=ACTOR_CHARACTERS_MAX),
        "place": _text("Where it happened; absent: other.", enum=sorted(PLACES)),
        "team": _text("Code of a mobile team.", pattern="^[A-Za-z0-9_-]{1,64}$"),
        "partner": _text("Who helped; absent: none.", enum=sorted(PARTNERS)),
        "residence_unit": _text(
            "Code of the unit where the citizen lives, of any province; kept as sent.",
            max_length=UNIT_CHARACTERS_MAX,
        ),
        "reason": _text(
            "Why; for rejected, withdrawn, locked, unlocked and voided. GET /v1/reasons lists the codes.",
            max_length=CODE_CHARACTERS_MAX,
        ),
        "note": _text(
            "Free text, stored sealed; it may hold no number of 12 digits.", max_length=NOTE_CHARACTERS_MAX
        ),
        "corrects": Schema(
            type=OpenAPIType.INTEGER,
            minimum=1,
            description="Of voided, reassigned, amended and confirmed: the version of the entry that it is about.",
        ),
        "card": _text("Of collected: the citizen's identity card; absent: valid.", enum=sorted(CARDS)),
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
assert REPORT.properties is not None
assert set(REPORT.properties) == set(FIELDS)


@dataclass
class ReportsOperation(Operation):
    """Documents the body, which the handler reads itself so that each item of an array can fail alone."""

    def __post_init__(self) -> None:
        one = Reference("#/components/schemas/Report")
        either = Schema(one_of=[one, Schema(type=OpenAPIType.ARRAY, items=one, max_items=ITEMS_MAX)])
        self.request_body = RequestBody(
            content={"application/json": OpenAPIMediaType(schema=either)}, required=True
        )


class EventController(Controller):
    path = "/v1/events"
    tags = ("events",)

    @post(
        operation_id="record_reports",
        opt=needs(*REPORTING),
        summary="Record one report, or up to 1,000 in an array",
        operation_class=ReportsOperation,
        request_max_body_size=BODY_BYTES_MAX,
        responses={
            200: ResponseSpec(
                list[Receipt | Problem],
                generate_examples=False,
                description="For an array: a receipt or a problem for each item, in order.",
            ),
            201: ResponseSpec(
                Receipt, generate_examples=False, description="For one report: it is in the ledger, for good."
            ),
            **problems(400, 409, 413, 415, 422, 503),
        },
    )
    async def record(
        self,
        body: RawBody,
        request: BodyRequest,
        atomic: Annotated[
            bool, QueryParameter(description="Of an array: one refused item refuses all.")
        ] = False,
    ) -> ASGIResponse:
        """Answer once it is durable: 201 with the receipt; for an array 200 with a result for each item.

        After 503, or no answer at all, it is not known what was recorded: send all of it again, with the same keys.
        What was recorded is answered with the first receipt, and duplicate true.
        """
        # No dependency of Litestar's, nor its response: an answer would take a fifth longer.
        gathering: Gathering = request.app.state.gathering
        counts: Counts = request.app.state.counts
        content_type = request.header(b"content-type")
        try:
            if len(body) <= INLINE_BYTES_MAX:
                reports = read_body(body, content_type)
            else:
                reports = await sync_to_thread(read_body, body, content_type)
        except LedgerError as refusal:
            counts.reported(refusal.code)
            raise
        if isinstance(reports, list):
            answers = await _record_many(reports, gathering, asker(request), atomic=atomic)
            for answer in answers:
                counts.reported(_outcome(answer))
            return Answer(_encode(answers), 200)
        [outcome] = await gathering.record([reports], by=asker(request))
        answer = _answer(outcome)
        counts.reported(_outcome(answer))
        if isinstance(outcome, Refusal):
            raise outcome.error
        return Answer(_encode(answer), 201)


def _outcome(answer: Receipt | Problem) -> str:
    if isinstance(answer, Problem):
        return answer.code
    return "duplicate" if answer.duplicate else "recorded"


async def _record_many(
    reports: list[AnyCommand | LedgerError], gathering: Gathering, by: Principal, *, atomic: bool
) -> list[Receipt | Problem]:
    commands = [report for report in reports if not isinstance(report, LedgerError)]
    # An item that is no report refuses an atomic array as well; the others still get their own reasons.
    spoilt = atomic and len(commands) < len(reports)
    outcomes = iter(await gathering.record(commands, by=by, atomic=atomic, spoilt=spoilt))
    return [
        problem_of(report) if isinstance(report, LedgerError) else _answer(next(outcomes))
        for report in reports
    ]


def _answer(outcome: Receipt | Refusal) -> Receipt | Problem:
    return problem_of(outcome.error) if isinstance(outcome, Refusal) else outcome
