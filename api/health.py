"""Is it alive, can it answer, and what is here."""

import re
from typing import Any, Literal

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from msgspec.structs import replace

from api.admission import PUBLIC
from api.problems import MEANINGS, MEDIA_TYPE, Problem, problem_of, problems, respond
from ledger import Ledger
from projections import ProjectionStatus, ProjectionStoppedError, status
from projections.errors import PositionLostError

_KIND = re.compile(r"position [0-9]+(: [A-Za-z_][A-Za-z0-9_]*(?=: |$))?")
"""What the error of a poison event begins with."""


class Readiness(msgspec.Struct, frozen=True):
    """It can answer."""

    ready: Literal[True]
    position: int
    """The last event of the log."""
    projections: list[ProjectionStatus]


class Unready(Problem, frozen=True):
    """A problem that, while the database can be reached, also tells what readiness would."""

    ready: Literal[False] = False
    position: int | None = None
    """The last event of the log."""
    projections: list[ProjectionStatus] = msgspec.field(default_factory=list)
    """Those that have stopped say at which position, and by what kind of error."""


@get(
    "/health/live",
    operation_id="is_alive",
    opt=PUBLIC,
    tags=["health"],
    response_description="It runs.",
    summary="The process runs",
    sync_to_thread=False,
    responses=problems(400),
)
def live() -> dict[str, str]:
    """Answer as long as the process runs, whatever the database does."""
    return {"status": "live"}


@get(
    "/health/ready",
    operation_id="is_ready",
    opt=PUBLIC,
    tags=["health"],
    summary="Database and projections",
    sync_to_thread=True,
    responses=problems(400)
    | {
        200: ResponseSpec(Readiness, description="It can answer.", generate_examples=False),
        503: ResponseSpec(
            Unready,
            media_type=MEDIA_TYPE,
            description=MEANINGS[503],
            generate_examples=False,
        ),
    },
)
def ready(request: Request[Any, Any, Any], ledger: NamedDependency[Ledger]) -> Response[Readiness | Unready]:
    """Answer 503 when the database cannot be reached or a projection has stopped."""
    return _readiness(request, ledger.head().position, status(ledger))


def _readiness(
    request: Request[Any, Any, Any], position: int, projections: list[ProjectionStatus]
) -> Response[Readiness | Unready]:
    stopped = [projection.name for projection in projections if projection.error]
    if not stopped:
        return Response(Readiness(True, position, projections))
    problem = problem_of(
        ProjectionStoppedError(f"{', '.join(stopped)} stopped; projections say where, the server's log why")
    )
    told = msgspec.structs.asdict(problem)
    return respond(Unready(**told, position=position, projections=[*map(outlined, projections)]), request)


def outlined(projection: ProjectionStatus) -> ProjectionStatus:
    """Return a status without the words of an error: everybody may ask, and PostgreSQL quotes values."""
    if projection.error is None or projection.error == str(PositionLostError(projection.name)):
        return projection
    kind = _KIND.match(projection.error)
    return replace(projection, error=kind[0] if kind else "it stopped")


@get(
    "/",
    operation_id="get_index",
    opt=PUBLIC,
    tags=["health"],
    summary="Where things are",
    response_description="Addresses by name.",
    sync_to_thread=False,
    responses=problems(400),
)
def index() -> dict[str, str]:
    return {
        "name": "activation-ledger",
        "events": "/v1/events",
        "units": "/v1/units",
        "totals": "/v1/totals",
        "worklist": "/v1/worklist",
        "ready": "/health/ready",
        "metrics": "/metrics",
        "schema": "/schema",
    }
