"""What Prometheus asks for: counts of all workers, and where the log and its projections are."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

from litestar import Litestar, Request, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec

from api.admission import needs
from api.edge.counts import Counts, Level, head, line
from api.gathering import Gathering
from api.problems import problems
from ledger import Ledger, UnavailableError
from ledger.access import Principal, Right
from projections import ProjectionStatus, status

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LOOK_SECONDS = 1.0
"""How often a worker tells how it is."""


@get(
    "/metrics",
    operation_id="get_metrics",
    opt=needs(Right.OPERATE),
    tags=["health"],
    summary="Counts, for Prometheus",
    sync_to_thread=True,
    responses=problems(400)
    | {
        200: ResponseSpec(
            str,
            media_type="text/plain",
            description="Prometheus' text format. Counts are those of all workers, since the server was started.",
            generate_examples=False,
        )
    },
)
def metrics(
    request: Request[Any, Any, Any],
    ledger: NamedDependency[Ledger],
    principal: NamedDependency[Principal],
) -> Response[str]:
    """Tell what was answered and recorded, and where the log and its projections are; nothing about anybody.

    It is answered while the database is away as well, and then says so: ledger_database_up is 0. But only for a second: who
    asks cannot be known for longer without it.
    """
    ledger.check_operating(principal)
    counts: Counts = request.app.state.counts
    lines = [*counts.lines(time.monotonic_ns()), *_log_lines(ledger)]
    return Response("\n".join(lines) + "\n", media_type=MEDIA_TYPE)


def _log_lines(ledger: Ledger) -> Iterator[str]:
    try:
        position, projections = ledger.head().position, status(ledger)
    except UnavailableError:
        yield from _gauge("ledger_database_up", "Whether the database can be asked.", [({}, 0)])
        return
    yield from _gauge("ledger_database_up", "Whether the database can be asked.", [({}, 1)])
    yield from _gauge("ledger_head_position", "The last event of the log.", [({}, position)])

    def of_each(number: Callable[[ProjectionStatus], float]) -> list[tuple[dict[str, str], float]]:
        return [({"projection": projection.name}, number(projection)) for projection in projections]

    yield from _gauge(
        "ledger_projection_position",
        "The last event that a projection has counted.",
        of_each(lambda one: one.position),
    )
    yield from _gauge(
        "ledger_projection_lag_events",
        "Events that it has still to count.",
        of_each(lambda one: one.lag_events),
    )
    yield from _gauge(
        "ledger_projection_lag_seconds",
        "How long the oldest of these has been waiting.",
        of_each(lambda one: one.lag_seconds),
    )
    yield from _gauge(
        "ledger_projection_stopped",
        "Whether it has met what it cannot count.",
        of_each(lambda one: int(bool(one.error))),
    )


def _gauge(name: str, words: str, samples: Sequence[tuple[dict[str, str], float]]) -> Iterator[str]:
    yield from head(name, "gauge", words)
    for labels, number in samples:
        yield line(name, labels, number)


def telling_level(
    ledger: Ledger, gathering: Gathering
) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    """Return a lifespan in which this worker tells the others how it is."""

    async def tell(counts: Counts) -> None:
        while True:
            pool = ledger.recorder.datastore.pool.get_stats()
            level = Level(
                gathering.waiting_reports,
                pool["pool_size"] - pool["pool_available"],
                pool["pool_available"],
                pool["requests_waiting"],
            )
            counts.tell(level, time.monotonic_ns())
            await asyncio.sleep(LOOK_SECONDS)

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        telling = asyncio.create_task(tell(app.state.counts))
        yield
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling

    return lifespan
