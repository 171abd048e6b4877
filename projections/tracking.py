"""Where projections stand in the log, and the sessions in which they count."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from psycopg import Connection

from ledger import sql
from ledger.database import Database
from ledger.migrations import connect
from projections.errors import PoisonEventError, PositionLostError
from projections.tables import Tables

SILENCE_SECONDS_MAX = 60.0
"""How long a session that counts may say nothing in a transaction, its host being gone."""

QUERIES = sql.load("projections.sql", "tracking.sql")


@contextmanager
def session(database: Database) -> Iterator[Connection[Any]]:
    """Connect as the projector; should this host be lost, the others can go on after a minute."""
    with connect(database.as_projector()) as connection:
        connection.execute(QUERIES["limit_silence"], {"milliseconds": round(1000 * SILENCE_SECONDS_MAX)})
        yield connection


def head(connection: Connection[Any]) -> int:
    """Return the last position of the log."""
    [[size]] = connection.execute(QUERIES["head"]).fetchall()
    return int(size)


def position(
    connection: Connection[Any], tables: Tables, query: Literal["position", "lock"] = "position"
) -> int:
    """Return the last position counted; *lock* it for the rest of the transaction. Raise PositionLostError if there is none."""
    for (reached,) in connection.execute(QUERIES[query], {"name": tables.tracking}):
        return int(reached)
    raise PositionLostError(tables.tracking)


def stop(connection: Connection[Any], name: str, poison: PoisonEventError) -> None:
    """Leave word of a poison event where every process looks, unless a newer program has counted it."""
    connection.execute(QUERIES["stop"], {"name": name, "position": poison.position, "error": str(poison)})
