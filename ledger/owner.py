"""Enter a ledger as the owner of its tables, for what neither the application nor a projection may do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import Connection

from ledger.database import Database
from ledger.errors import StoreNotReadyError
from ledger.migrations import become, connect


@contextmanager
def as_owner(database: Database) -> Iterator[Connection[Any]]:
    """Open the operator's connection, in autocommit mode and as the owner: every table is to be named with its schema.

    Raises:
        StoreUnavailableError: The server cannot be reached, or went away.
        StoreNotReadyError: The login is no operator's, or the database is not set up for this version.
    """
    with connect(database.as_operator()) as connection:
        try:
            # Not the ledger's schema: what the projector may have left there would run with the owner's rights.
            connection.execute("SET search_path = pg_catalog, pg_temp")
            become(connection, database.owner)
            yield connection
        except (psycopg.errors.UndefinedFunction, psycopg.errors.UndefinedTable):
            raise StoreNotReadyError(
                f"{database.describe()} is not set up for this version: run ledger migrate"
            ) from None
