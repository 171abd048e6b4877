"""Is it alive, can it answer, and what is here."""

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from api.events import problems
from ledger import Head, Ledger
from projections import ProjectionStatus, Runner


class Readiness(msgspec.Struct, frozen=True):
    ready: bool
    """False when a projection has stopped; the status is 503 then."""
    position: int
    """The last event of the log."""
    projections: list[ProjectionStatus]


@get(
    "/health/live",
    tags=["health"],
    summary="The process runs",
    sync_to_thread=False,
    responses=problems(400),
)
def live() -> dict[str, str]:
    return {"status": "live"}


@get(
    "/health/ready",
    tags=["health"],
    summary="Database and projections",
    sync_to_thread=True,
    responses=problems(400, 503),
)
def ready(ledger: NamedDependency[Ledger], runner: NamedDependency[Runner]) -> Response[Readiness]:
    """Answer 503 when the database cannot be reached or a projection has stopped."""
    return _readiness(ledger.head(), runner.status())


def _readiness(head: Head, projections: list[ProjectionStatus]) -> Response[Readiness]:
    fine = not any(projection.error for projection in projections)
    return Response(Readiness(fine, head.position, projections), status_code=200 if fine else 503)


@get("/", tags=["health"], summary="Where things are", sync_to_thread=False, responses=problems(400))
def index() -> dict[str, str]:
    return {
        "name": "activation-ledger",
        "events": "/v1/events",
        "units": "/v1/units",
        "totals": "/v1/totals",
        "ready": "/health/ready",
        "schema": "/schema",
    }
