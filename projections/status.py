"""How far the projections are behind the log."""

from collections.abc import Mapping
from typing import Any, LiteralString

import msgspec
from psycopg.rows import tuple_row
from psycopg.sql import Composed

from ledger import Ledger, sql
from ledger.store import translated
from projections.components import NAMES
from projections.errors import PositionLostError

_QUERIES = sql.load("projections.sql", "tracking.sql")


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
            ledger, _QUERIES["status"], {"names": list(NAMES)}
        )
    ]


def ask(
    ledger: Ledger, query: LiteralString | Composed, parameters: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    """Return the rows of a question to the read models; raise UnavailableError if it cannot be asked."""
    with translated(), ledger.recorder.datastore.get_connection() as connection:
        cursor = connection.cursor(row_factory=tuple_row, binary=True)
        # Never prepared: PostgreSQL would soon plan once for all questions, not knowing which units or days
        # they are about, and join each row with each unit. Planning anew takes half a millisecond.
        return cursor.execute(query, parameters, prepare=False).fetchall()
