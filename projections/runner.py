"""Keep projections at the head of the log as it grows.

A lost notification costs at most a second, because it is only a hint.
"""

import logging
import time
from collections.abc import Callable, Collection
from threading import Event, Thread
from typing import Any, Self

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Identifier

from ledger import Ledger, UnavailableError
from projections import stretches, tracking
from projections.catching_up import Failures, advance, reach
from projections.components import chosen
from projections.errors import PoisonEventError, PositionLostError
from projections.tables import Tables
from projections.tracking import QUERIES

STRETCHES_MAX = 10
"""How many batches a runner that is far behind counts before it looks whether it should stop."""
STRETCHES_BESIDE_MAX = 2
"""The same while others are at the head, and wait for it."""
POLL_SECONDS_MAX = 1.0
LOOK_SECONDS_MIN = 0.05
"""From one look at the log to the next. Counting events one by one takes fifty times as long as together."""
RECONNECT_SECONDS_MIN = 0.1
RECONNECT_SECONDS_MAX = 5.0

_log = logging.getLogger(__name__)


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
                with tracking.session(self._database) as connection:
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
            head = tracking.head(connection)
            near = {tables: position for tables, position in positions.items() if position < head}
            far = {
                tables: near.pop(tables)
                for tables in [*near]
                if head - near[tables] > stretches.BATCH_EVENTS_MAX
            }
            failures: Failures = {}
            for position in sorted({*near.values()}):
                some = [tables for tables in near if near[tables] == position]
                found = stretches.read(connection, some, position, stretches.BATCH_EVENTS_MAX)
                failures |= advance(connection, positions, dict(zip(some, found, strict=True)), head)
            if far:
                # Reads the next stretch while the database adds one. Not too far at once, to stop soon, and
                # so that those at the head need not wait for those that are not.
                count = STRETCHES_MAX if len(far) == len(self._running) else STRETCHES_BESIDE_MAX
                aim = min(head, min(far.values()) + count * stretches.BATCH_EVENTS_MAX)
                failures |= reach(self._database, connection, [*far], aim, None)
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
        found = dict(connection.execute(QUERIES["positions"]).fetchall())
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
                tracking.stop(connection, tables.NAME, error)
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
