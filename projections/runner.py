"""Follow the log: read by position, fold, and write tables and position in one transaction.

Exactly once by construction: the position moves in the transaction that writes what
it stands for. A lost notification costs at most a second, because it is only a hint.
"""

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from threading import Event, Thread
from typing import Any, Literal, NamedTuple, Self

import psycopg
from psycopg import Connection
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Identifier

from ledger import Ledger, UnavailableError, sql
from ledger.database import Database
from ledger.events import Recorded
from ledger.migrations import connect
from ledger.store import Row, recorded
from projections.errors import (
    PoisonEventError,
    PositionLostError,
    ProjectionStoppedError,
    RebuildBlockedError,
    RebuildRunningError,
)
from projections.unit_totals import NAME, Folded, UnitTotalsTables, fold

BATCH_EVENTS_MAX = 20_000
STRETCHES_MAX = 10
"""How many batches a runner that is far behind counts before it looks whether it should stop."""
POLL_SECONDS_MAX = 1.0
LOOK_SECONDS_MIN = 0.05
"""From one look at the log to the next. Counting events one by one takes fifty times as long as together."""
SILENCE_SECONDS_MAX = 60.0
"""How long a session that counts may say nothing in a transaction, its host being gone."""
SWAP_PAUSE_SECONDS = 1.0
RECONNECT_SECONDS_MIN = 0.1
RECONNECT_SECONDS_MAX = 5.0

_QUERIES = sql.load("projections.sql", "tracking.sql")
_REBUILD_LOCK = 0x72656275
"""Advisory lock: one rebuild at a time in a database."""

_log = logging.getLogger(__name__)


class Stretch(NamedTuple):
    """Events in a row, folded. The log never changes, so it can be had before its turn comes."""

    after: int
    """The position before its first event."""
    position: int
    """Of its last event."""
    recorded_at: datetime
    """When that was recorded."""
    folded: Folded


def step(connection: Connection[Any], tables: UnitTotalsTables, ahead: Stretch | None = None) -> int:
    """Add the next events to the tables; return how many, 0 at the head. Both or neither, on any crash.

    Args:
        ahead: Taken where it turns out to be what comes next.

    Raises:
        PoisonEventError: The next event cannot be folded; everything before it was.
        PositionLostError: Nobody knows what was counted.
    """
    limit = BATCH_EVENTS_MAX
    while True:
        try:
            return _step(connection, tables, limit, ahead)
        except psycopg.DataError as error:
            # The tables cannot hold some value of these events; ever fewer of them show which event's it is.
            if limit == 1:
                raise PoisonEventError(_position(connection, tables) + 1, error) from error
            limit, ahead = limit // 2, None


def _step(connection: Connection[Any], tables: UnitTotalsTables, limit: int, ahead: Stretch | None) -> int:
    with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
        position = _position(connection, tables, "lock")
        stretch = ahead if ahead and ahead.after == position else _read(connection, position, limit)
        if stretch is None:
            return 0
        tables.add(cursor, stretch.folded)
        cursor.execute(
            _QUERIES["advance"],
            {
                "name": tables.tracking,
                "old": position,
                "position": stretch.position,
                "recorded_at": stretch.recorded_at,
            },
        )
        assert cursor.rowcount == 1, f"{tables.tracking} moved from {position} under its lock"
    return stretch.position - position


def _read(connection: Connection[Any], after: int, limit: int) -> Stretch | None:
    """Return what comes next, up to an event that cannot be folded; None at the head."""
    with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        rows: list[Row] = cursor.execute(_QUERIES["read"], {"after": after, "limit": limit}).fetchall()
    while rows:
        try:
            return Stretch(after, rows[-1][0], rows[-1][5], fold(_decode(rows, after)))
        except PoisonEventError as poison:
            if poison.position == after + 1:
                raise
            rows = rows[: poison.position - after - 1]
    return None


def _decode(rows: list[Row], after: int) -> Iterator[Recorded]:
    for position, row in enumerate(rows, after + 1):
        try:
            if row[0] != position:
                # Positions have no gaps, so somebody took a row away: nothing to be skipped over.
                raise LookupError("the log has no such event")
            entry = recorded(row)
        except Exception as error:
            # Whatever it is, it is told with its position and stops the projection; nothing is skipped.
            raise PoisonEventError(position, error) from error
        yield entry


def _head(connection: Connection[Any]) -> int:
    [[head]] = connection.execute(_QUERIES["head"]).fetchall()
    return int(head)


def _position(
    connection: Connection[Any], tables: UnitTotalsTables, query: Literal["position", "lock"] = "position"
) -> int:
    for (position,) in connection.execute(_QUERIES[query], {"name": tables.tracking}):
        return int(position)
    raise PositionLostError(tables.tracking)


@contextmanager
def _session(database: Database) -> Iterator[Connection[Any]]:
    """Connect as the projector; should this host be lost, the others can go on after a minute."""
    with connect(database.as_projector()) as connection:
        connection.execute(_QUERIES["limit_silence"], {"milliseconds": round(1000 * SILENCE_SECONDS_MAX)})
        yield connection


def _reach(
    database: Database,
    connection: Connection[Any],
    tables: UnitTotalsTables,
    head: int,
    on_progress: Callable[[int, int], None] | None,
) -> int:
    """Count up to a head that the log has had, or further; return the position reached.

    While the database adds one stretch, the next one is read and folded: two cores work.
    """
    position = _position(connection, tables)
    if position >= head:
        return position
    with _session(database) as reader, ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(_read, reader, position, BATCH_EVENTS_MAX)
        while position < head:
            stretch = ahead.result()
            ahead = pool.submit(_read, reader, stretch.position if stretch else position, BATCH_EVENTS_MAX)
            counted = step(connection, tables, stretch)
            position = _position(connection, tables)
            if not counted and position < head:
                raise PoisonEventError(position + 1, LookupError("the log has no such event"))
            if stretch and position != stretch.position:
                # Others count too, and were further.
                ahead = pool.submit(_read, reader, position, BATCH_EVENTS_MAX)
            if on_progress:
                on_progress(min(position, head), head)
    return position


def catch_up(database: Database, *, on_progress: Callable[[int, int], None] | None = None) -> int:
    """Bring the projections to the head that the log has now; return the position reached.

    Safe beside running servers: whoever comes second finds the work done.

    Args:
        on_progress: Called with the position reached and the head aimed at.

    Raises:
        ProjectionStoppedError: An event cannot be folded.
        PositionLostError: Nobody knows what was counted.
        StoreUnavailableError: The database cannot be reached.
    """
    tables = UnitTotalsTables()
    with _session(database) as connection:
        try:
            return _reach(database, connection, tables, _head(connection), on_progress)
        except PoisonEventError as poison:
            stop(connection, poison)
            raise ProjectionStoppedError(f"the projection {NAME} stopped at {poison}") from poison


def rebuild(database: Database, *, on_progress: Callable[[int, int], None] | None = None) -> int:
    """Count the whole log again beside the live tables, then swap; return the number of events counted.

    Readers see the old tables until the swap, which is one transaction; who may read them
    is kept. The swap waits, without a bound and without blocking others, for whoever reads
    them in a long transaction. A rebuild that is killed leaves the live tables as they
    were; the next one starts over.

    Raises:
        RebuildRunningError: Another one is under way.
        RebuildBlockedError: Something hangs on the live tables, which stay; says what.
        ProjectionStoppedError: An event cannot be folded; the live tables stay.
        StoreUnavailableError: The database cannot be reached.
    """
    new = UnitTotalsTables(rebuild=True)
    with _session(database) as connection, _alone(connection, database):
        with connection.transaction():
            connection.execute(new.query("create_rebuild"))
        try:
            told = False
            while True:
                # Not until nothing is left: while reports come in, there is always a next event.
                while _head(connection) - _position(connection, new) > BATCH_EVENTS_MAX:
                    _reach(database, connection, new, _head(connection), on_progress)
                try:
                    return _swap(database, connection, new, on_progress)
                except psycopg.errors.LockNotAvailable:
                    if not told:
                        _log.warning("the rebuild waits for a long transaction that reads its tables")
                        told = True
                    time.sleep(SWAP_PAUSE_SECONDS)
        except psycopg.errors.DependentObjectsStillExist as error:
            raise RebuildBlockedError(
                f"the tables of {NAME} cannot be replaced: {error.diag.message_detail}; "
                "drop that, rebuild, and make it again"
            ) from error
        except PoisonEventError as poison:
            raise ProjectionStoppedError(f"the rebuild of {NAME} stopped at {poison}") from poison


def _swap(
    database: Database,
    connection: Connection[Any],
    new: UnitTotalsTables,
    on_progress: Callable[[int, int], None] | None,
) -> int:
    """Count what is left and put the new tables in the old ones' place.

    Raises:
        LockNotAvailable: Somebody reads those; nothing was done.
    """
    with connection.transaction():
        # The live runner waits here, so the head of this moment is at or past its position.
        connection.execute(_QUERIES["lock"], {"name": NAME})
        position = _reach(database, connection, new, _head(connection), on_progress)
        connection.execute(new.query("swap"))
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


def stop(connection: Connection[Any], poison: PoisonEventError) -> None:
    """Leave word of a poison event where every process looks, unless a newer program has counted it."""
    connection.execute(_QUERIES["stop"], {"name": NAME, "position": poison.position, "error": str(poison)})


class Runner:
    """Keeps the projections at the head of the log, in a thread of its own.

    It survives a database that goes away and comes back. At an event that it cannot
    fold it stops loudly: the status says where and why, in this and every process.
    """

    def __init__(self, ledger: Ledger, *, on_lost: Callable[[], None] = lambda: None) -> None:
        """Start nothing yet.

        Args:
            on_lost: Called, in the runner's thread, each time the database cannot be reached, before it is
                tried again: whoever runs that server may start it.
        """
        self._ledger = ledger
        self._on_lost = on_lost
        self._database = ledger.database
        self._pause = RECONNECT_SECONDS_MIN
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

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with _session(self._database) as connection:
                    self._follow(connection)
            except (UnavailableError, psycopg.Error) as error:
                if self._pause < RECONNECT_SECONDS_MAX:
                    # Said until it is old news: an outage may be long.
                    _log.warning("projections wait for the database: %s", error)
                self._on_lost()
                self._wait_longer()
            except PoisonEventError as poison:
                _log.critical("the projection %s stopped at %s", NAME, poison)
                return
            except Exception:  # noqa: BLE001 - logged whole, and tried again
                # An error of the program: whoever asks sees the lag grow; it may be one that passes.
                _log.exception("the projections failed, and are tried again")
                self._wait_longer()

    def _wait_longer(self) -> None:
        self._stopping.wait(self._pause)
        self._pause = min(2 * self._pause, RECONNECT_SECONDS_MAX)

    def _follow(self, connection: Connection[Any]) -> None:
        tables = UnitTotalsTables()
        # Listen first, read then: an event recorded in between is read, not waited for.
        connection.execute(SQL("LISTEN {}").format(Identifier(f"{self._database.schema}.events")))
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                # Looked at first, because taking the lock is written to disk, and others may follow too.
                position, head = _position(connection, tables), _head(connection)
                counted = position < head
                if head - position > BATCH_EVENTS_MAX:
                    # Far behind, it reads the next stretch while the database adds one; not too far at once, to stop soon.
                    aim = min(head, position + STRETCHES_MAX * BATCH_EVENTS_MAX)
                    _reach(self._database, connection, tables, aim, None)
                elif counted:
                    step(connection, tables)
                self._pause = RECONNECT_SECONDS_MIN
            except PoisonEventError as poison:
                stop(connection, poison)
                raise
            if not counted:
                for _ in connection.notifies(timeout=POLL_SECONDS_MAX, stop_after=1):
                    pass
            if not counted or head - position <= BATCH_EVENTS_MAX:
                self._stopping.wait(began + LOOK_SECONDS_MIN - time.monotonic())
