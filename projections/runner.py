"""Follow the log: read by position, fold, and write tables and position in one transaction.

Exactly once by construction: the position of a projection moves in the transaction that writes what
it stands for. Each has a position and transactions of its own, so that one that cannot go on keeps no other
back; those that stand at one position share the reading. A lost notification costs at most a second, because it is
only a hint.
"""

import gc
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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
from projections.components import chosen
from projections.errors import (
    PoisonEventError,
    PositionLostError,
    ProjectionStoppedError,
    RebuildBlockedError,
    RebuildRunningError,
)
from projections.tables import Tables

BATCH_EVENTS_MAX = 20_000
STRETCHES_MAX = 10
"""How many batches a runner that is far behind counts before it looks whether it should stop."""
STRETCHES_BESIDE_MAX = 2
"""The same while others are at the head, and wait for it."""
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
    folded: Any


def step(connection: Connection[Any], tables: Tables, ahead: Stretch | None = None) -> int:
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


def _step(connection: Connection[Any], tables: Tables, limit: int, ahead: Stretch | None) -> int:
    with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
        position = _position(connection, tables, "lock")
        stretch = ahead
        if stretch is None or stretch.after != position:
            [found] = _read(connection, [tables], position, limit)
            if isinstance(found, PoisonEventError):
                raise found
            stretch = found
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


Found = Stretch | PoisonEventError | None
"""What comes next for a projection: events; one that it cannot fold; nothing, at the head."""


def _read(connection: Connection[Any], many: Sequence[Tables], after: int, limit: int) -> list[Found]:
    """Return what comes next for each of the projections that stand at one position. Each event is decoded once."""
    with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        rows: list[Row] = cursor.execute(_QUERIES["read"], {"after": after, "limit": limit}).fetchall()
    entries: list[Recorded] = []
    poison = None
    with _collecting_later():
        try:
            entries.extend(_decode(rows, after))
        except PoisonEventError as error:
            poison = error
        return [_fold(tables, after, entries, poison) for tables in many]


@contextmanager
def _collecting_later() -> Iterator[None]:
    """Let Python look for garbage when a stretch is folded, which makes none: else it looks through all of it a hundred times.

    That is a third of the fold's time. Where others do the same at once, whoever ends first lets it look again sooner.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _fold(tables: Tables, after: int, entries: Sequence[Recorded], poison: PoisonEventError | None) -> Found:
    """Return the fold of entries up to one that does not fold."""
    while entries:
        try:
            return Stretch(after, entries[-1].position, entries[-1].recorded_at, tables.fold(entries))
        except PoisonEventError as error:
            poison, entries = error, entries[: error.position - after - 1]
    return poison


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
    connection: Connection[Any], tables: Tables, query: Literal["position", "lock"] = "position"
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


Progress = Callable[[int, int], None]
"""Called with the position that all have reached, and the head aimed at."""
Failures = dict[Tables, Exception]
"""Why projections could not go on; the others did."""


class Ahead(NamedTuple):
    """What is being read for projections that stand at one position."""

    after: int
    many: list[Tables]
    found: Future[list[Found]]


def _reach(
    database: Database,
    connection: Connection[Any],
    many: Sequence[Tables],
    head: int,
    on_progress: Progress | None,
) -> Failures:
    """Count up to a head that the log has had, or further; whoever is furthest behind first, until they are together.

    While the database adds one stretch, the next one is read and folded: two cores work.
    """
    failures: Failures = {}
    positions: dict[Tables, int] = {}
    for tables in many:
        try:
            positions[tables] = _position(connection, tables)
        except PositionLostError as error:
            failures[tables] = error
    if all(position >= head for position in positions.values()):
        return failures
    with _session(database) as reader, ThreadPoolExecutor(1) as pool:

        def read(positions: Mapping[Tables, int]) -> Ahead:
            after = min(positions.values())
            now = [tables for tables, position in positions.items() if position == after]
            # Up to where another one is: they go on together from there.
            others = [position - after for position in positions.values() if position > after]
            return Ahead(after, now, pool.submit(_read, reader, now, after, min([BATCH_EVENTS_MAX, *others])))

        ahead = read(positions)
        while positions and (after := min(positions.values())) < head:
            if (after, [tables for tables in positions if positions[tables] == after]) != ahead[:2]:
                # One has failed; or others count too, and were further.
                ahead = read(positions)
            now, found = ahead.many, ahead.found.result()
            reached = max((each.position for each in found if isinstance(each, Stretch)), default=after)
            ahead = read(positions | dict.fromkeys(now, reached))
            failures |= _advance(connection, positions, dict(zip(now, found, strict=True)), head)
            if on_progress and positions:
                on_progress(min(head, *positions.values()), head)
    return failures


def _advance(
    connection: Connection[Any], positions: dict[Tables, int], found: Mapping[Tables, Found], head: int
) -> Failures:
    """Add what was found for projections that are behind a head; move their positions, or leave out those that failed."""
    failures: Failures = {}
    for tables, each in found.items():
        try:
            # Poison is looked for anew: somebody else's newer program may have counted it meanwhile.
            counted = step(connection, tables, each if isinstance(each, Stretch) else None)
            position = _position(connection, tables)
            if not counted and position < head:
                raise PoisonEventError(position + 1, LookupError("the log has no such event"))
        except Exception as error:
            # Whatever it is, it is this projection's, and told by whoever asked for it; unless nobody can go on.
            if connection.closed:
                raise
            failures[tables] = error
            del positions[tables]
        else:
            positions[tables] = position
    return failures


def catch_up(
    database: Database, names: Collection[str] | None = None, *, on_progress: Progress | None = None
) -> int:
    """Bring projections to the head that the log has now; return the position that all of them have reached.

    Safe beside running servers: whoever comes second finds the work done.

    Args:
        names: Of projections; absent: all.
        on_progress: Called with the position reached and the head aimed at.

    Raises:
        ProjectionStoppedError: An event cannot be folded. Other projections were brought there.
        PositionLostError: Nobody knows what was counted; the same.
        StoreUnavailableError: The database cannot be reached.
    """
    many = [projection() for projection in chosen(names)]
    with _session(database) as connection:
        failures = _reach(database, connection, many, _head(connection), on_progress)
        for tables, error in failures.items():
            if isinstance(error, PoisonEventError):
                stop(connection, tables.NAME, error)
        _raise([_told(error, f"the projection {tables.NAME}") for tables, error in failures.items()])
        return min(_position(connection, tables) for tables in many)


def _told(error: Exception, what: str) -> Exception:
    if not isinstance(error, PoisonEventError):
        return error
    stopped = ProjectionStoppedError(f"{what} stopped at {error}")
    stopped.__cause__ = error
    return stopped


def _raise(errors: Sequence[Exception]) -> None:
    """Raise the first of these errors, if there is one; it tells of the others too."""
    for other in errors[1:]:
        errors[0].add_note(str(other))
    if errors:
        raise errors[0]


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
    with _session(database) as connection, _alone(connection, database):
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
                errors.append(_told(error, f"the rebuild of {new.NAME}"))
    _raise(errors)
    return min(reached)


def _create(connection: Connection[Any], new: Tables) -> None:
    with connection.transaction():
        for live in new.LIVE:
            _beside(connection, "create_rebuild", new, live)
        connection.execute(_QUERIES["begin_rebuild"], {"tracking": new.tracking})


def _beside(connection: Connection[Any], query: str, new: Tables, live: str) -> None:
    names = {"live": Identifier(live), "new": Identifier(new.names[live])}
    connection.execute(SQL(_QUERIES[query]).format(**names))


def _approach(
    database: Database, connection: Connection[Any], many: Sequence[Tables], on_progress: Progress | None
) -> Failures:
    """Count until so little is left that the live runner can wait for it."""
    failures: Failures = {}
    while True:
        head = _head(connection)
        # Not until nothing is left: while reports come in, there is always a next event.
        far = [
            new
            for new in many
            if new not in failures and head - _position(connection, new) > BATCH_EVENTS_MAX
        ]
        if not far:
            return failures
        failures |= _reach(database, connection, far, head, on_progress)


def _take_over(
    database: Database, connection: Connection[Any], new: Tables, on_progress: Progress | None
) -> int:
    """Put the new tables in the old ones' place as soon as nobody reads those; return the position reached."""
    for live in new.LIVE:
        _beside(connection, "analyze", new, live)
    told = False
    while True:
        for failure in _approach(database, connection, [new], on_progress).values():
            raise failure
        try:
            return _swap(database, connection, new, on_progress)
        except psycopg.errors.LockNotAvailable:
            if not told:
                _log.warning("the rebuild waits for a long transaction that reads its tables")
                told = True
            time.sleep(SWAP_PAUSE_SECONDS)


def _swap(database: Database, connection: Connection[Any], new: Tables, on_progress: Progress | None) -> int:
    """Count what is left and put the new tables in the old ones' place.

    Raises:
        LockNotAvailable: Somebody reads those; nothing was done.
    """
    with connection.transaction():
        # The live runner waits here, so the head of this moment is at or past its position.
        connection.execute(_QUERIES["lock"], {"name": new.NAME})
        for failure in _reach(database, connection, [new], _head(connection), on_progress).values():
            raise failure
        position = _position(connection, new)
        live = SQL(", ").join(map(Identifier, new.LIVE))
        connection.execute(SQL(_QUERIES["lock_live"]).format(live=live))
        for name in new.LIVE:
            _beside(connection, "replace", new, name)
        connection.execute(_QUERIES["end_rebuild"], {"tracking": new.tracking, "name": new.NAME})
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


def stop(connection: Connection[Any], name: str, poison: PoisonEventError) -> None:
    """Leave word of a poison event where every process looks, unless a newer program has counted it."""
    connection.execute(_QUERIES["stop"], {"name": name, "position": poison.position, "error": str(poison)})


class Pause:
    """How long to wait after a failure: ever longer, until something succeeds."""

    def __init__(self) -> None:
        self.seconds = RECONNECT_SECONDS_MIN
        self.until = 0.0

    def begin(self) -> bool:
        """Begin the next one, twice as long as the last; return whether to tell why: it may go on for long."""
        news = self.seconds < RECONNECT_SECONDS_MAX
        self.until = time.monotonic() + self.seconds
        self.seconds = min(2 * self.seconds, RECONNECT_SECONDS_MAX)
        return news

    def end(self) -> None:
        self.seconds = RECONNECT_SECONDS_MIN

    @property
    def left(self) -> float:
        """Seconds, 0 where it is over."""
        return max(0.0, self.until - time.monotonic())


class Runner:
    """Keeps the projections at the head of the log, in a thread of its own.

    It survives a database that goes away and comes back. At an event that it cannot
    fold a projection stops loudly: the status says where and why, in this and every process. The others go on, and
    the thread ends when all have stopped.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        names: Collection[str] | None = None,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        """Start nothing yet.

        Args:
            names: The projections to keep; None: all of them.
            on_lost: Called, in the runner's thread, each time the database cannot be reached, before it is
                tried again: whoever runs that server may start it.
        """
        self._on_lost = on_lost
        self._database = ledger.database
        self._lost = Pause()
        self._running: dict[Tables, Pause] = {projection(): Pause() for projection in chosen(names)}
        """Those that have not stopped."""
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
        while self._running and not self._stopping.is_set():
            try:
                with _session(self._database) as connection:
                    self._follow(connection)
            except (UnavailableError, psycopg.Error) as error:
                if self._lost.begin():
                    _log.warning("projections wait for the database: %s", error)
                self._on_lost()
                self._stopping.wait(self._lost.left)
            except Exception:  # noqa: BLE001 - logged whole, and tried again
                # An error of the program: whoever asks sees the lag grow; it may be one that passes.
                self._lost.begin()
                _log.exception("the projections failed, and are tried again")
                self._stopping.wait(self._lost.left)

    def _follow(self, connection: Connection[Any]) -> None:
        # Listen first, read then: an event recorded in between is read, not waited for.
        connection.execute(SQL("LISTEN {}").format(Identifier(f"{self._database.schema}.events")))
        while self._running and not self._stopping.is_set():
            began = time.monotonic()
            # Looked at first, because taking a lock is written to disk, and others may follow too.
            positions = self._positions(connection)
            head = _head(connection)
            near = {tables: position for tables, position in positions.items() if position < head}
            far = {tables: near.pop(tables) for tables in [*near] if head - near[tables] > BATCH_EVENTS_MAX}
            failures: Failures = {}
            for position in sorted({*near.values()}):
                some = [tables for tables in near if near[tables] == position]
                found = _read(connection, some, position, BATCH_EVENTS_MAX)
                failures |= _advance(connection, positions, dict(zip(some, found, strict=True)), head)
            if far:
                # Reads the next stretch while the database adds one. Not too far at once, to stop soon, and
                # so that those at the head need not wait for those that are not.
                stretches = STRETCHES_MAX if len(far) == len(self._running) else STRETCHES_BESIDE_MAX
                aim = min(head, min(far.values()) + stretches * BATCH_EVENTS_MAX)
                failures |= _reach(self._database, connection, [*far], aim, None)
            for tables, pause in [*self._running.items()]:
                if tables in failures:
                    self._take_note(connection, tables, failures[tables])
                elif tables in positions:
                    pause.end()
            self._lost.end()
            if not near and not far:
                pauses = [pause.left for pause in self._running.values() if pause.left]
                for _ in connection.notifies(timeout=min([POLL_SECONDS_MAX, *pauses]), stop_after=1):
                    pass
            if not far:
                self._stopping.wait(began + LOOK_SECONDS_MIN - time.monotonic())

    def _positions(self, connection: Connection[Any]) -> dict[Tables, int]:
        """Return where each projection is that does not pause."""
        found = dict(connection.execute(_QUERIES["positions"]).fetchall())
        positions = {}
        for tables, pause in [*self._running.items()]:
            if pause.left:
                continue
            if tables.tracking in found:
                positions[tables] = found[tables.tracking]
            else:
                self._take_note(connection, tables, PositionLostError(tables.NAME))
        return positions

    def _take_note(self, connection: Connection[Any], tables: Tables, error: Exception) -> None:
        """Stop a projection that cannot go on, for good or for now."""
        pause = self._running[tables]
        match error:
            case PoisonEventError():
                stop(connection, tables.NAME, error)
                _log.critical("the projection %s stopped at %s", tables.NAME, error)
                del self._running[tables]
            case UnavailableError() | psycopg.Error():
                if pause.begin():
                    # Said until it is old news: it may take long.
                    _log.warning("the projection %s waits: %s", tables.NAME, error)
            case _:
                # An error of the program: whoever asks sees the lag grow; it may be one that passes.
                pause.begin()
                _log.error("the projection %s failed, and is tried again", tables.NAME, exc_info=error)
