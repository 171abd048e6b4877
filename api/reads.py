"""Who looked at a dossier, and embargoes, over HTTP."""

from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Controller, Request, delete, get, post
from litestar.datastructures import CacheControlHeader
from litestar.di import NamedDependency
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import RawBody

from api.admission import needs
from api.bodies import read_embargo
from api.dossiers import DossierId
from api.parameters import a_position, at_most
from api.problems import problems
from api.purposes import PurposeCode, PurposeText, read_purpose, read_text
from ledger import Ledger, Looks
from ledger.access import Principal, Right

LOOKS_MAX = 1_000


@dataclass
class EmbargoOperation(Operation):
    """Documents the body, which the handler reads itself as strictly as reports."""

    def __post_init__(self) -> None:
        schema = Schema(
            type=OpenAPIType.OBJECT,
            required=["until", "purpose_text"],
            additional_properties=False,
            properties={
                "until": Schema(
                    type=OpenAPIType.STRING,
                    format=OpenAPIFormat.DATE,
                    description="The last day, in Vietnam, on which it lasts.",
                ),
                "purpose_text": Schema(
                    type=OpenAPIType.STRING, min_length=1, max_length=200, description="Why."
                ),
            },
        )
        self.request_body = RequestBody(
            content={"application/json": OpenAPIMediaType(schema=schema)}, required=True
        )


class ReadsController(Controller):
    path = "/v1/dossiers"
    tags = ("reads",)
    cache_control = CacheControlHeader(no_store=True)

    @get(
        "/{dossier_id:uuid}/reads",
        operation_id="get_looks",
        opt=needs(Right.READS),
        response_description="Looks, and embargoes, in the order in which they were recorded.",
        summary="Who has looked at a dossier, when and what for",
        sync_to_thread=True,
        responses=problems(400, 404, 422, 503),
    )
    def reads(
        self,
        dossier_id: DossierId,
        ledger: NamedDependency[Ledger],
        principal: NamedDependency[Principal],
        purpose: PurposeCode = None,
        purpose_text: PurposeText = None,
        after: Annotated[int, a_position("Only what has a greater position in the log of looks.")] = 0,
        limit: Annotated[int, at_most(LOOKS_MAX, "rows")] = LOOKS_MAX,
    ) -> Looks:
        """Asking is a look too. While an embargo lasts, looks for an investigation are left out for whoever may not lay one."""
        why = read_purpose(purpose, purpose_text)
        return ledger.looks(dossier_id, after=after, limit=limit, purpose=why, by=principal)

    @post(
        "/{dossier_id:uuid}/embargo",
        operation_id="place_embargo",
        opt=needs(Right.OPERATE),
        response_description="It is laid.",
        status_code=204,
        summary="Keep back looks for an investigation until a day has passed",
        operation_class=EmbargoOperation,
        sync_to_thread=True,
        request_max_body_size=10_000,
        responses=problems(400, 404, 413, 415, 503),
    )
    def place(
        self,
        dossier_id: DossierId,
        body: RawBody,
        request: Request[Any, Any, Any],
        ledger: NamedDependency[Ledger],
        principal: NamedDependency[Principal],
    ) -> None:
        """It is an event itself, and comes to light with what it keeps back. A second one takes the place of the first."""
        until, text = read_embargo(body, request.headers.get("content-type"))
        ledger.place_embargo(dossier_id, until=until, text=text, by=principal)

    @delete(
        "/{dossier_id:uuid}/embargo",
        operation_id="lift_embargo",
        opt=needs(Right.OPERATE),
        response_description="It is lifted.",
        summary="Let everything come to light before the embargo's day",
        sync_to_thread=True,
        responses=problems(400, 404, 409, 503),
    )
    def lift(
        self,
        dossier_id: DossierId,
        ledger: NamedDependency[Ledger],
        principal: NamedDependency[Principal],
        purpose_text: PurposeText = None,
    ) -> None:
        """The header Purpose-Text says why."""
        ledger.lift_embargo(dossier_id, text=read_text(purpose_text), by=principal)
