"""Dossiers over HTTP: find, state, history, whose it is. The number is never in an address."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, get, post
from litestar.datastructures import CacheControlHeader
from litestar.di import NamedDependency
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import PathParameter, RawBody

from api.admission import needs
from api.bodies import read_citizen
from api.parameters import a_position, at_most
from api.problems import MEANINGS, problems
from api.purposes import PurposeCode, PurposeText, read_purpose
from ledger import DossierState, History, Ledger
from ledger.access import Principal, Right

HISTORY_EVENTS_MAX = 1_000

DossierId = Annotated[UUID, PathParameter(description="As a receipt or a look-up told it.")]


class Found(msgspec.Struct, frozen=True):
    dossier_id: UUID


class Revealed(msgspec.Struct, frozen=True):
    dossier_id: UUID
    citizen: str
    """The personal number, 12 digits."""


@dataclass
class LookupOperation(Operation):
    """Documents the body, which the handler reads itself so that no error repeats the number."""

    def __post_init__(self) -> None:
        schema = Schema(
            type=OpenAPIType.OBJECT,
            required=["citizen"],
            additional_properties=False,
            properties={
                "citizen": Schema(
                    type=OpenAPIType.STRING, pattern="^[0-9]{12}$", description="The personal number."
                )
            },
        )
        self.request_body = RequestBody(
            content={"application/json": OpenAPIMediaType(schema=schema)}, required=True
        )


class DossierController(Controller):
    path = "/v1/dossiers"
    tags = ("dossiers",)
    cache_control = CacheControlHeader(no_store=True)

    @post(
        "/lookup",
        operation_id="find_dossier",
        opt=needs(Right.HISTORY),
        response_description="The citizen's dossier.",
        status_code=200,
        summary="Find a citizen's dossier",
        operation_class=LookupOperation,
        sync_to_thread=True,
        request_max_body_size=10_000,
        responses=problems(400, 404, 413, 415, 422, 503),
    )
    def lookup(
        self,
        body: RawBody,
        request: Request[Any, Any, Any],
        ledger: NamedDependency[Ledger],
        principal: NamedDependency[Principal],
        purpose: PurposeCode = None,
        purpose_text: PurposeText = None,
    ) -> Found:
        """Take {"citizen": "12 digits"}; the number travels in the body, never in the address."""
        citizen = read_citizen(body, request.headers.get("content-type"))
        return Found(ledger.find(citizen, purpose=read_purpose(purpose, purpose_text), by=principal))

    @get(
        "/{dossier_id:uuid}",
        operation_id="get_dossier",
        opt=needs(Right.HISTORY),
        response_description="Each level that was ever collected.",
        summary="Where each level stands",
        sync_to_thread=True,
        responses=problems(400, 404, 422, 503),
    )
    def state(
        self,
        dossier_id: DossierId,
        ledger: NamedDependency[Ledger],
        principal: NamedDependency[Principal],
        purpose: PurposeCode = None,
        purpose_text: PurposeText = None,
    ) -> DossierState:
        return ledger.dossier(dossier_id, purpose=read_purpose(purpose, purpose_text), by=principal)

    @post(
        "/{dossier_id:uuid}/reveal",
        operation_id="reveal_number",
        opt=needs(Right.REVEAL),
        response_description="Whose dossier it is.",
        status_code=200,
        summary="The personal number of a dossier",
        sync_to_thread=True,
        responses=problems(400, 404, 409, 422, 503, meanings=MEANINGS | {409: "Its citizen was erased."}),
    )
    def reveal(
        self,
        dossier_id: DossierId,
        ledger: NamedDependency[Ledger],
        principal: NamedDependency[Principal],
        purpose: PurposeCode = None,
        purpose_text: PurposeText = None,
    ) -> Revealed:
        """Show a number to whoever may see it. It takes no body, and is no GET: nothing on the way may ask for it again."""
        why = read_purpose(purpose, purpose_text)
        return Revealed(dossier_id, ledger.reveal(dossier_id, purpose=why, by=principal))

    @get(
        "/{dossier_id:uuid}/history",
        operation_id="get_history",
        opt=needs(Right.HISTORY),
        response_description="Events in the order of their versions, and where the levels stand.",
        summary="The audit trail, oldest first",
        sync_to_thread=True,
        responses=problems(400, 404, 422, 503),
    )
    def history(
        self,
        dossier_id: DossierId,
        ledger: NamedDependency[Ledger],
        principal: NamedDependency[Principal],
        purpose: PurposeCode = None,
        purpose_text: PurposeText = None,
        after: Annotated[int, a_position("Only events with greater versions.")] = 0,
        limit: Annotated[int, at_most(HISTORY_EVENTS_MAX, "events")] = HISTORY_EVENTS_MAX,
    ) -> History:
        """Tell each event as it was sent and as it was decided; the levels always stand as they do now."""
        return ledger.history(
            dossier_id=dossier_id,
            after=after,
            limit=limit,
            purpose=read_purpose(purpose, purpose_text),
            by=principal,
        )
