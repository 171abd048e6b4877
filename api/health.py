"""Whether the process lives, and whether it can do its work."""

from typing import Any, Literal

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec

from api.problems import MEDIA_TYPE, Problem, as_response, documented, problem_of
from ledger import Ledger
from projections import ProjectionStatus, ProjectionStoppedError, Runner

RETRY_AFTER_SECONDS = 30


class Alive(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(msgspec.Struct, frozen=True):
    """The database answers, and every projection runs."""

    status: Literal["ready"]
    position: int
    """The last position of the log; 0 while it is empty."""
    projections: list[ProjectionStatus]


class NotReady(Problem, frozen=True, kw_only=True):
    """A projection has stopped: what is recorded stays safe, but its counts end where it stopped."""

    position: int
    """The last position of the log."""
    projections: list[ProjectionStatus]


@get(
    "/health/live",
    tags=["health"],
    sync_to_thread=False,
    operation_id="live",
    summary="Liveness",
    response_description="The process answers. This says nothing of the database.",
    responses=documented(400),
)
def live() -> Alive:
    """Answer, whatever the database does."""
    return Alive()


@get(
    "/health/ready",
    tags=["health"],
    sync_to_thread=True,
    operation_id="ready",
    summary="Readiness",
    response_description="The database answers, and every projection runs.",
    responses={
        **documented(400),
        503: ResponseSpec(
            Problem | NotReady,
            description="The database cannot be reached, or a projection has stopped.",
            media_type=MEDIA_TYPE,
            generate_examples=False,
        ),
    },
)
def ready(ledger: NamedDependency[Ledger], runner: NamedDependency[Runner]) -> Response[Ready]:
    """Tell how far the log and each projection are."""
    return _readiness(ledger.head().position, runner.status())


def _readiness(position: int, projections: list[ProjectionStatus]) -> Response[Any]:
    stopped = [f"{projection.name}: {projection.error}" for projection in projections if projection.error]
    if not stopped:
        return Response(Ready("ready", position, projections))
    problem = problem_of(ProjectionStoppedError("; ".join(stopped)))
    return as_response(
        NotReady(**msgspec.structs.asdict(problem), position=position, projections=projections),
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )
