"""One citizen's file: found by the number, read by its id."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.openapi.spec import OpenAPIMediaType, Operation, Reference, RequestBody
from litestar.params import PathParameter, QueryParameter

from api.bodies import read_text
from api.problems import documented
from ledger import DossierState, History, Ledger

POSITION_MAX = 2**63 - 1
HISTORY_EVENTS_MAX = 1_000

DossierId = Annotated[
    UUID, PathParameter(description="The dossier's id, as a receipt or a look-up gives it.")
]


class Lookup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose dossier is sought. In a body, because an address ends up in logs."""

    citizen: Annotated[str, msgspec.Meta(pattern="^[0-9]{12}$", examples=["038090001234"])]
    """The personal number, 12 digits."""


class Found(msgspec.Struct, frozen=True):
    """The dossier of a citizen."""

    dossier_id: UUID


@dataclass
class LookupOperation(Operation):
    """Documents the body, which the handler takes as bytes."""

    def __post_init__(self) -> None:
        schema = Reference(ref=f"#/components/schemas/{Lookup.__name__}")
        self.request_body = RequestBody(
            content={"application/json": OpenAPIMediaType(schema=schema)}, required=True
        )


@post(
    "/dossiers/lookup",
    status_code=200,
    tags=["dossiers"],
    sync_to_thread=True,
    operation_class=LookupOperation,
    operation_id="findDossier",
    summary="Find a citizen's dossier",
    response_description="The citizen has a dossier.",
    responses=documented(400, 404, 413, 415, 503),
)
def find_dossier(content: NamedDependency[bytes], ledger: NamedDependency[Ledger]) -> Found:
    """Find the dossier of a citizen by the personal number, which is never in an address."""
    return Found(ledger.find(read_text(content, "citizen")))


@get(
    "/dossiers/{dossier_id:uuid}",
    tags=["dossiers"],
    sync_to_thread=True,
    operation_id="readDossier",
    summary="Where a dossier stands",
    response_description="The state of each level that was ever collected.",
    responses=documented(400, 404, 503),
)
def read_dossier(dossier_id: DossierId, ledger: NamedDependency[Ledger]) -> DossierState:
    """Tell where each level of a dossier stands."""
    return ledger.dossier(dossier_id)


@get(
    "/dossiers/{dossier_id:uuid}/history",
    tags=["dossiers"],
    sync_to_thread=True,
    operation_id="readHistory",
    summary="A dossier's audit trail",
    response_description="Every event asked for, oldest first, and where the levels stand now.",
    responses=documented(400, 404, 503),
)
def read_history(
    dossier_id: DossierId,
    ledger: NamedDependency[Ledger],
    after: Annotated[
        int,
        QueryParameter(
            ge=0,
            le=POSITION_MAX,
            description="A version, 0 or more: only events with greater versions.",
            schema_extra={"minimum": 0},  # Litestar leaves out a bound of 0.
        ),
    ] = 0,
    limit: Annotated[
        int,
        QueryParameter(ge=1, le=HISTORY_EVENTS_MAX, description="At most so many events, 1 to 1,000."),
    ] = HISTORY_EVENTS_MAX,
) -> History:
    """Tell every event of a dossier, as it was sent and as it was decided."""
    return ledger.history(dossier_id=dossier_id, after=after, limit=limit)
