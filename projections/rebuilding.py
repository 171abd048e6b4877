"""Count the whole log again beside the live tables, by the code that counts into those, and put the new ones in their place."""

import logging
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Identifier

from ledger.database import Database
from projections import stretches, tracking
from projections.catching_up import Failures, Progress, raise_first, reach, told
from projections.components import chosen
from projections.errors import PoisonEventError, PositionLostError, RebuildBlockedError, RebuildRunningError
from projections.tables import Tables
from projections.tracking import QUERIES

SWAP_PAUSE_SECONDS = 1.0

_REBUILD_LOCK = 0x72656275
"""Advisory lock: one rebuild at a time in a database."""

_log = logging.getLogger(__name__)


def rebuild(
    database: Database, names: Collection[str] | None = None, *, on_progress: Progress | None = None
) -> int:
    """Count the whole log again beside the live tables, then swap; return the number of events counted.

    Readers see the old tables until the swap, which is one transaction for each projection; who may read them
    is kept. The swap waits, without a bound and without blocking others, for whoever reads
    them in a long transaction. A rebuild that is killed leaves the live tables as they
    were, or swapped those of some projections; the next one starts over.

    Args:
        names: Of projections; absent: all, for which the log is read once.
        on_progress: Called with the position reached and the head aimed at.

    Raises:
        RebuildRunningError: Another one is under way.
        RebuildBlockedError: Something hangs on the live tables, which stay; says what. Other projections were rebuilt.
        ProjectionStoppedError: An event cannot be folded; the same.
        StoreUnavailableError: The database cannot be reached.
    """
    many = [projection(rebuild=True) for projection in chosen(names)]
    errors: list[Exception] = []
    reached: list[int] = []
    with tracking.session(database) as connection, _alone(connection, database):
        for new in many:
            _create(connection, new)
        failures = _approach(database, connection, many, on_progress)
        for new in many:
            try:
                if new in failures:
                    raise failures[new]
                reached.append(_take_over(database, connection, new, on_progress))
            except psycopg.errors.DependentObjectsStillExist as error:
                blocked = RebuildBlockedError(
                    f"the tables of {new.NAME} cannot be replaced: {error.diag.message_detail}; "
                    "drop that, rebuild, and make it again"
                )
                blocked.__cause__ = error
                errors.append(blocked)
            except (PoisonEventError, PositionLostError) as error:
                errors.append(told(error, f"the rebuild of {new.NAME}"))
    raise_first(errors)
    return min(reached)


def _create(connection: Connection[Any], new: Tables) -> None:
    with connection.transaction():
        for live in new.LIVE:
            _beside(connection, "create_rebuild", new, live)
        connection.execute(QUERIES["begin_rebuild"], {"tracking": new.tracking})


def _beside(connection: Connection[Any], query: str, new: Tables, live: str) -> None:
    names = {"live": Identifier(live), "new": Identifier(new.names[live])}
    connection.execute(SQL(QUERIES[query]).format(**names))


def _approach(
    database: Database, connection: Connection[Any], many: Sequence[Tables], on_progress: Progress | None
) -> Failures:
    """Count until so little is left that the live runner can wait for it."""
    failures: Failures = {}
    while True:
        head = tracking.head(connection)
        # Not until nothing is left: while reports come in, there is always a next event.
        far = [
            new
            for new in many
            if new not in failures and head - tracking.position(connection, new) > stretches.BATCH_EVENTS_MAX
        ]
        if not far:
            return failures
        failures |= reach(database, connection, far, head, on_progress)


def _take_over(
    database: Database, connection: Connection[Any], new: Tables, on_progress: Progress | None
) -> int:
    """Put the new tables in the old ones' place as soon as nobody reads those; return the position reached."""
    for live in new.LIVE:
        _beside(connection, "analyze", new, live)
    said = False
    while True:
        for failure in _approach(database, connection, [new], on_progress).values():
            raise failure
        try:
            return _swap(database, connection, new, on_progress)
        except psycopg.errors.LockNotAvailable:
            if not said:
                _log.warning("the rebuild waits for a long transaction that reads its tables")
                said = True
            time.sleep(SWAP_PAUSE_SECONDS)


def _swap(database: Database, connection: Connection[Any], new: Tables, on_progress: Progress | None) -> int:
    """Count what is left and put the new tables in the old ones' place.

    Raises:
        LockNotAvailable: Somebody reads those; nothing was done.
    """
    with connection.transaction():
        # The live runner waits here, so the head of this moment is at or past its position.
        connection.execute(QUERIES["lock"], {"name": new.NAME})
        for failure in reach(database, connection, [new], tracking.head(connection), on_progress).values():
            raise failure
        position = tracking.position(connection, new)
        live = SQL(", ").join(map(Identifier, new.LIVE))
        connection.execute(SQL(QUERIES["lock_live"]).format(live=live))
        for name in new.LIVE:
            _beside(connection, "replace", new, name)
        connection.execute(QUERIES["end_rebuild"], {"tracking": new.tracking, "name": new.NAME})
    return position


@contextmanager
def _alone(connection: Connection[Any], database: Database) -> Iterator[None]:
    """Be the only rebuild; the lock is the session's, so the server gives it back when we are killed."""
    lock = (_REBUILD_LOCK, database.schema)
    [[free]] = connection.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", lock).fetchall()
    if not free:
        raise RebuildRunningError("another rebuild is under way; wait for it")
    try:
        yield
    finally:
        # The server notices some time later that a session has ended: too late for a rebuild right after this.
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s, hashtext(%s))", lock)
