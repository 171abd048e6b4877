"""Erase a citizen: the number and the key go, the dossier and everything that counts stays."""

from datetime import datetime
from uuid import UUID

import msgspec
import psycopg
from psycopg.sql import SQL, Identifier, Literal

from ledger import sql
from ledger.database import LOCK_SECONDS_MAX, Database
from ledger.errors import ContentionError, ErasedError
from ledger.events import CitizenErased
from ledger.owner import as_owner
from ledger.store import encode

_QUERIES = sql.load("ledger.sql", "sealed.sql")
NO_CITIZEN = "AL005"


class Erased(msgspec.Struct, frozen=True):
    """A citizen is erased, for good."""

    dossier_id: UUID
    position: int
    """Of the event that says so."""
    recorded_at: datetime
    vacuumed: bool
    """Whether the row was cleared away in the table at once; otherwise PostgreSQL does that later, by itself."""


def erase(database: Database, dossier_id: UUID, version: int, event: CitizenErased) -> Erased | None:
    """Delete the citizen's row and record that as the dossier's entry of that version: both or neither.

    Returns None where somebody else wrote the dossier first; nothing was done.

    Raises:
        ErasedError: The dossier has no citizen any more; nothing was done.
        UnavailableError: The database cannot be reached, the login is no operator's, or somebody holds the log's lock.
    """
    with as_owner(database) as connection:
        schema = Identifier(database.schema)
        connection.execute(SQL("SET lock_timeout = {}").format(Literal(round(LOCK_SECONDS_MAX * 1000))))
        try:
            # One autocommitted statement: a transaction held open around it would block every writer.
            [[position, recorded_at]] = connection.execute(
                SQL(_QUERIES["erase"]).format(schema=schema),
                {"dossier": dossier_id, "version": version, "state": encode(event)},
            ).fetchall()
        except psycopg.errors.UniqueViolation:
            return None
        except psycopg.errors.LockNotAvailable:
            raise ContentionError(
                f"another session has held the log's lock for {LOCK_SECONDS_MAX:g} s; nothing was recorded"
            ) from None
        except psycopg.Error as error:
            if error.sqlstate != NO_CITIZEN:
                raise
            raise ErasedError(f"dossier {dossier_id} is nobody's: its citizen was erased before") from None
        try:
            connection.execute(SQL(_QUERIES["vacuum"]).format(schema=schema))
        except psycopg.errors.OperationalError:
            # It is recorded, and that is what is told; autovacuum clears the row away in its time.
            return Erased(dossier_id, position, recorded_at, vacuumed=False)
    return Erased(dossier_id, position, recorded_at, vacuumed=True)
