"""Follow the log: read by position, fold, and write tables and position in one transaction.

Exactly once by construction: the position moves in the transaction that writes what
it stands for. A lost notification costs at most a second, because it is only a hint.
"""

import logging
from collections.abc import Callable
from threading import Event, Thread
from typing import Any, Self

import msgspec
import psycopg
from eventsourcing.persistence import MapperDeserialisationError
from psycopg import Connection
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Identifier

from ledger import Ledger, UnavailableError, sql
from ledger.database import Database
from ledger.events import Recorded
from ledger.migrations import connect
from ledger.store import recorded
from projections.errors import PoisonEventError, ProjectionStoppedError, RebuildRunningError
from projections.status import ProjectionStatus, status
from projections.unit_totals import NAME, UnitTotalsTables

BATCH_EVENTS_MAX = 10_000
POLL_SECONDS_MAX = 1.0
RECONNECT_SECONDS_MAX = 5.0

_QUERIES = sql.load("projections.sql", "tracking.sql")
_REBUILD_LOCK = 0x72656275
"""Advisory lock: one rebuild at a time in a database."""

_log = logging.getLogger(__name__)


def step(connection: Connection[Any], tables: UnitTotalsTables, limit: int = BATCH_EVENTS_MAX) -> int:
    """Fold the next events into the tables; return how many, 0 at the head. Both or neither, on any crash.

    Raises:
        PoisonEventError: The next event cannot be folded; everything before it was.
    """
    try:
        return _step(connection, tables, limit)
    except PoisonEventError as poison:
        reached = _position(connection, tables)
        if poison.position <= reached + 1:
            raise
        return _step(connection, tables, poison.position - reached - 1)


def _step(connection: Connection[Any], tables: UnitTotalsTables, limit: int) -> int:
    with connection.transaction(), connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        [position] = cursor.execute(_QUERIES["lock"], {"name": tables.tracking}).fetchone() or [0]
        rows = cursor.execute(_QUERIES["read"], {"after": position, "limit": limit}).fetchall()
        if not rows:
            return 0
        entries = _decode(rows)
        tables.add(cursor, entries)
        cursor.execute(
            _QUERIES["advance"],
            {
                "name": tables.tracking,
                "old": position,
                "position": entries[-1].position,
                "recorded_at": entries[-1].recorded_at,
            },
        )
        assert cursor.rowcount == 1, f"{tables.tracking} moved from {position} under its lock"
    return len(rows)


def _decode(rows: list[tuple[Any, ...]]) -> list[Recorded]:
    entries = []
    for row in rows:
        try:
            position, stream, version, topic, state, at = row
            entries.append(recorded((position, stream, version, topic, state, at)))
        except MapperDeserialisationError as error:
            raise PoisonEventError(row[0], error) from error
    return entries


def _position(connection: Connection[Any], tables: UnitTotalsTables) -> int:
    row = connection.execute(_QUERIES["position"], {"name": tables.tracking}).fetchone()
    return row[0] if row else 0


def catch_up(database: Database, *, on_progress: Callable[[int, int], None] | None = None) -> int:
    """Bring the projections to the head that the log has now; return the position reached.

    Safe beside running servers: whoever comes second finds the work done.

    Args:
        on_progress: Called with the position reached and the head aimed at.

    Raises:
        ProjectionStoppedError: An event cannot be folded.
        StoreUnavailableError: The database cannot be reached.
    """
    tables = UnitTotalsTables()
    with connect(database.as_projector()) as connection:
        [[head]] = connection.execute(_QUERIES["head"]).fetchall()
        position = _position(connection, tables)
        while position < head:
            try:
                step(connection, tables)
            except PoisonEventError as poison:
                stop(connection, poison)
                raise ProjectionStoppedError(f"the projection {NAME} stopped at {poison}") from poison
            position = _position(connection, tables)
            if on_progress:
                on_progress(min(position, head), head)
    return position


def rebuild(database: Database, *, on_progress: Callable[[int, int], None] | None = None) -> int:
    """Count the whole log again beside the live tables, then swap; return the number of events counted.

    Readers see the old tables until the swap, which is one transaction. A rebuild that is
    killed leaves the live tables as they were; the next one starts over.

    Raises:
        RebuildRunningError: Another one is under way.
        ProjectionStoppedError: An event cannot be folded; the live tables stay.
        StoreUnavailableError: The database cannot be reached.
    """
    new = UnitTotalsTables(rebuild=True)
    with connect(database.as_projector()) as connection:
        # A session's lock: the server gives it back when we are killed.
        [[free]] = connection.execute(
            "SELECT pg_try_advisory_lock(%s, hashtext(%s))", (_REBUILD_LOCK, database.schema)
        ).fetchall()
        if not free:
            raise RebuildRunningError("another rebuild is under way; wait for it")
        with connection.transaction():
            connection.execute(new.query("create_rebuild", writer=Identifier(database.writer)))
        try:
            while step(connection, new):
                if on_progress:
                    [[head]] = connection.execute(_QUERIES["head"]).fetchall()
                    on_progress(_position(connection, new), head)
            with connection.transaction():
                # The live runner waits here, so the two positions cannot part again before the swap.
                connection.execute(_QUERIES["lock"], {"name": NAME})
                while step(connection, new):
                    pass
                position = _position(connection, new)
                connection.execute(new.query("swap"))
        except PoisonEventError as poison:
            raise ProjectionStoppedError(f"the rebuild of {NAME} stopped at {poison}") from poison
    return position


def stop(connection: Connection[Any], poison: PoisonEventError) -> None:
    """Leave word of a poison event where every process looks."""
    connection.execute(_QUERIES["stop"], {"name": NAME, "error": str(poison)})


class Runner:
    """Keeps the projections at the head of the log, in a thread of its own.

    It survives a database that goes away and comes back. At an event that it cannot
    fold it stops loudly: the status says where and why, in this and every process.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._database = ledger.database
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="projections", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the batch at hand; blocks until it has ended."""
        self._stopping.set()
        self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def status(self) -> list[ProjectionStatus]:
        """Return how far each projection is; a runner that has ended is an error of each.

        Raises:
            UnavailableError: The database cannot be reached.
        """
        rows = status(self._ledger)
        if self._thread.is_alive():
            return rows
        ended = "the runner of this process has ended"
        return [msgspec.structs.replace(row, error=row.error or ended) for row in rows]

    def _run(self) -> None:
        pause = 0.1
        while not self._stopping.is_set():
            try:
                with connect(self._database.as_projector()) as connection:
                    pause = 0.1
                    self._follow(connection)
            except (UnavailableError, psycopg.Error) as error:
                _log.warning("projections wait for the database: %s", error)
                self._stopping.wait(pause)
                pause = min(2 * pause, RECONNECT_SECONDS_MAX)
            except PoisonEventError as poison:
                _log.critical("the projection %s stopped at %s", NAME, poison)
                return

    def _follow(self, connection: Connection[Any]) -> None:
        tables = UnitTotalsTables()
        # Listen first, read then: an event recorded in between is read, not waited for.
        connection.execute(SQL("LISTEN {}").format(Identifier(f"{self._database.schema}.events")))
        while not self._stopping.is_set():
            try:
                if step(connection, tables):
                    continue
            except PoisonEventError as poison:
                stop(connection, poison)
                raise
            for _ in connection.notifies(timeout=POLL_SECONDS_MAX, stop_after=1):
                pass
