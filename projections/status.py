"""How far the projections are behind the log."""

import time
from collections.abc import Mapping
from contextlib import nullcontext
from threading import BoundedSemaphore
from typing import Any, LiteralString

import msgspec
from psycopg.rows import tuple_row
from psycopg.sql import Composed

from ledger import Ledger
from ledger.store import translated
from projections.components import NAMES
from projections.errors import NotCaughtUpError, PositionLostError
from projections.tracking import QUERIES

_WAIT_STEP_SECONDS_MIN, _WAIT_STEP_SECONDS_MAX = 0.005, 0.1
"""How often a reader that waits looks: at first often, then rarely, for there may be a hundred of them."""
WAITERS_MAX = 24
"""Of a process. Each holds a thread that could answer somebody else; a server has 32 of them for all its read models."""
_waiters = BoundedSemaphore(WAITERS_MAX)


class ProjectionStatus(msgspec.Struct, frozen=True):
    """How far a projection is behind the log."""

    name: str
    position: int
    """The last event it has counted; 0 if it was lost."""
    head: int
    """The last event of the log."""
    lag_events: int
    lag_seconds: float
    """How long the oldest event that it has not counted has been waiting; 0 when caught up."""
    error: str | None
    """Why it stopped; null while it runs."""


def status(ledger: Ledger) -> list[ProjectionStatus]:
    """Return how far each projection is.

    Raises:
        UnavailableError: The database cannot be reached.
    """
    return [
        ProjectionStatus(
            name,
            position,
            head,
            head - position,
            lag_seconds,
            str(PositionLostError(name)) if lost else error,
        )
        for name, lost, position, head, error, lag_seconds in ask(
            ledger, QUERIES["status"], {"names": list(NAMES)}
        )
    ]


def ask(
    ledger: Ledger,
    query: LiteralString | Composed,
    parameters: Mapping[str, Any],
    *,
    before: LiteralString | None = None,
) -> list[tuple[Any, ...]]:
    """Return the rows of a question to the read models; raise UnavailableError if it cannot be asked.

    Args:
        before: Settings for the question alone, by which it is planned.
    """
    with translated(), ledger.recorder.datastore.get_connection() as connection:
        cursor = connection.cursor(row_factory=tuple_row, binary=True)
        with nullcontext() if before is None else connection.transaction():
            if before is not None:
                cursor.execute(before)
            # Never prepared: PostgreSQL would soon plan once for all questions, not knowing which units or days
            # they are about, and join each row with each unit. Planning anew takes half a millisecond.
            return cursor.execute(query, parameters, prepare=False).fetchall()


def position_of(ledger: Ledger, name: str) -> int:
    """Return the last position that a projection has counted. Raise UnavailableError if it cannot be told."""
    for (position,) in ask(ledger, QUERIES["position"], {"name": name}):
        return int(position)
    raise PositionLostError(name)


def wait_for(ledger: Ledger, name: str, after: int, wait_seconds: float) -> None:
    """Return as soon as a projection has counted the event at a position.

    Nobody waits for a position that the ledger does not have, nor where many wait already.

    Raises:
        NotCaughtUpError: It has not within *wait_seconds*, or it is not waited for.
        UnavailableError: The database cannot be reached, or the projection has lost its position.
    """
    if position_of(ledger, name) >= after:
        return
    head = ledger.head().position
    if after > head:
        raise NotCaughtUpError(f"the ledger ends at position {head}: no receipt has told a later one yet")
    if not _waiters.acquire(blocking=False):
        raise NotCaughtUpError(
            f"{name} has not counted position {after} yet, and many wait for it already; ask again in a second"
        )
    try:
        _wait(ledger, name, after, time.monotonic() + wait_seconds)
    finally:
        _waiters.release()


def _wait(ledger: Ledger, name: str, after: int, deadline: float) -> None:
    step = _WAIT_STEP_SECONDS_MIN
    while (position := position_of(ledger, name)) < after:
        if time.monotonic() >= deadline:
            raise NotCaughtUpError(
                f"{name} has counted up to position {position}, not yet {after}; ask again in a second"
            )
        time.sleep(step)
        step = min(1.5 * step, _WAIT_STEP_SECONDS_MAX)
