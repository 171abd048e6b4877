"""The log as followers read it: page by page, or as a stream that goes on.

All streams of a process share one look at the head, and those that are at one position share one read.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import psycopg
from eventsourcing.persistence import MapperDeserialisationError
from litestar import Litestar
from psycopg.sql import SQL, Identifier

from api.access import TokenError
from ledger import Ledger, LedgerError, Recorded, UnavailableError, sql
from ledger.access import Grant, Principal, Role
from ledger.errors import NotPermittedError
from ledger.frozen_events import REPORTS_STREAM
from ledger.key_events import KEYS_STREAM
from ledger.target_events import TARGETS_STREAM
from ledger.unit_events import UNITS_STREAM

POLL_SECONDS_MAX = 1.0
"""How long an event waits for the streams if its notification was lost."""
LOOK_SECONDS_MIN = 0.05
"""From one look at the head to the next: events that come one by one are told together."""
LOOK_SECONDS_MAX = 10.0
"""A database that has not answered by then is taken for lost."""
HEARTBEAT_SECONDS = 15.0
RETRY_MILLISECONDS = 2_000
"""After how long a client whose stream ended should connect again."""
STREAM_EVENTS_MAX = 200
"""How many events a stream holds in memory: what a slow reader has not taken yet."""
CLOSE_SECONDS_MAX = 2.0
FOLLOWERS_MAX = 500
"""Streams of a process. granian takes some 1,000 requests at once: reports must find room beside them."""
READERS_MAX = 8
"""They have threads of their own: however many follow, no report waits for them."""

LOOKING = "activation-ledger followers"
"""What the session is called that looks at the head, so that an operator can tell it from the others."""
HEARTBEAT = b":\n\n"
AWAY = "the log cannot be read at the moment; connect again with the id of the last event"
SHRUNK = "the log is shorter than it was; connect again with the id of the last event"
ENDING = "the server ends; connect again with the id of the last event"
REFUSED = (
    "the token is not taken any more, or gives no right to the log any more; connect again with another one"
)

NOT_DOSSIERS = frozenset({UNITS_STREAM, TARGETS_STREAM, REPORTS_STREAM, KEYS_STREAM})
"""Streams of the log that are nobody's."""

FOLLOWERS = Principal("followers", "machine", (Grant(Role.FOLLOWER),))
"""For whom the streams of a process read what they share."""
_HEAD = sql.load("ledger.sql", "log.sql")["head"]
_encode = msgspec.json.Encoder().encode
_log = logging.getLogger(__name__)

_readers = ThreadPoolExecutor(READERS_MAX, thread_name_prefix="feed")

T = TypeVar("T")


class PositionAheadError(LedgerError):
    """A follower has a position that the log does not have (yet, or any more)."""

    code = "position_ahead"

    def __init__(self, head: int) -> None:
        super().__init__(
            f"the log ends at position {head}, before the one asked for: it is not the log that was followed, or it "
            "was restored from an older backup; what was read of it may differ now: read it again from the start"
        )
        self.head = head


class FollowersTooManyError(UnavailableError):
    """The process has as many streams as it takes."""

    code = "too_many_followers"


class EventUnreadableError(UnavailableError):
    """The next event is none that this program knows: a newer one wrote it, or somebody changed the log."""

    code = "unreadable_event"

    def __init__(self, position: int) -> None:
        super().__init__(
            f"this program cannot read the event at position {position}, and skips none; the server's log says why"
        )
        self.position = position


class FeedEvent(msgspec.Struct, frozen=True):
    """An event as followers get it."""

    position: int
    """The event's number in the whole ledger, from 1, without gaps."""
    recorded_at: datetime
    """When the ledger learnt it, UTC."""
    dossier_id: UUID | None
    """Whose it is; null for what happens to units, what is set as targets, and frozen reports."""
    version: int
    """The event's number within the dossier, or among those of units, from 1, without gaps."""
    topic: str
    """The name it is stored under, ``dossier.collected.v1`` say. It tells what fields ``data`` may have."""
    type: str
    """The middle of the topic: what reports and histories call it."""
    data: dict[str, Any]
    """The event's fields as stored: those at their default are left out, and what is sealed (the note) is never told."""


class FeedPage(msgspec.Struct, frozen=True):
    """A part of the log."""

    events: list[FeedEvent]
    position: int
    """Of the last event here, else what was asked for: what to ask for next."""
    head: int
    """Of the last event in the log; not less than ``position``."""


def told(entry: Recorded) -> FeedEvent:
    """Return an entry of the log without what is sealed, which followers have no key for."""
    fields = msgspec.to_builtins(entry.event, builtin_types=(bytes,))
    topic = fields.pop(entry.event.__struct_config__.tag_field)
    return FeedEvent(
        position=entry.position,
        recorded_at=entry.recorded_at,
        dossier_id=None if entry.originator_id in NOT_DOSSIERS else entry.originator_id,
        version=entry.originator_version,
        topic=topic,
        type=topic.split(".")[1],
        data=_unsealed(fields),
    )


def _unsealed(value: Any) -> Any:
    """Return a value without bytes, which are what is sealed, wherever they stand."""
    match value:
        case dict():
            return {name: _unsealed(item) for name, item in value.items() if not isinstance(item, bytes)}
        case list() | tuple():
            return [_unsealed(item) for item in value if not isinstance(item, bytes)]
        case _:
            return value


def as_lines(events: Iterable[FeedEvent]) -> bytes:
    """Return events as one JSON object a line."""
    return b"".join(_encode(event) + b"\n" for event in events)


def as_sent_events(events: Iterable[FeedEvent]) -> bytes:
    """Return events as a browser's EventSource reads them."""
    return b"".join(
        b"id: %d\nevent: %s\ndata: %s\n\n" % (event.position, event.topic.encode(), _encode(event))
        for event in events
    )


@asynccontextmanager
async def _closing(connection: psycopg.AsyncConnection[Any]) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    # Its own context would roll back first, and leave it open when it is interrupted at that.
    try:
        yield connection
    finally:
        await connection.close()


def _comment(text: str) -> bytes:
    return f": {text}\n\n".encode()


async def _in_thread(call: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_readers, call)


class _Watch:
    """One look at the head for all streams of a process, from the first one's start to the last one's end."""

    def __init__(self) -> None:
        self.followers = 0
        self.head = 0
        self.over: str | None = None
        """Why its streams end."""
        self.connected = False
        self._news = asyncio.get_running_loop().create_future()

    def tell(self, head: int) -> None:
        if head != self.head:
            self.head = head
            self._wake()

    def end(self, why: str) -> None:
        self.over = self.over or why
        self._wake()

    def _wake(self) -> None:
        self._news.set_result(None)
        self._news = asyncio.get_running_loop().create_future()

    async def wait(self, position: int, seconds: float) -> bool:
        """Return whether there is more than *position*, or an end, within so many seconds."""
        if self.head <= position and self.over is None:
            await asyncio.wait([self._news], timeout=seconds)
        return self.head > position or self.over is not None


class Feed:
    """Tells the log of one ledger to the followers of one process; belongs to one event loop."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._watch: _Watch | None = None
        self._pages: dict[int, asyncio.Future[tuple[int, bytes]]] = {}
        """What is being read for streams, by the position that it comes after."""
        self._looks: dict[_Watch, asyncio.Task[None]] = {}
        self._ending = False

    @asynccontextmanager
    async def lifespan(self, _app: Litestar) -> AsyncIterator[None]:
        self._ending = False
        yield
        self.end()
        if self._looks:
            await asyncio.wait(self._looks.values(), timeout=CLOSE_SECONDS_MAX)

    def end(self) -> None:
        """End all streams, with a word to their clients; those that come later end at once."""
        self._ending = True
        if self._watch is not None:
            self._watch.end(ENDING)

    async def page(self, *, after: int, limit: int, by: Principal) -> FeedPage:
        """Return the log after a position.

        Args:
            by: Who reads it.

        Raises:
            NotPermittedError: They may not follow the whole ledger.
            PositionAheadError: The log ends before that position.
            UnavailableError: The database cannot be reached.
        """
        return await _in_thread(lambda: self._page(after, limit, by))

    def _page(self, after: int, limit: int, by: Principal) -> FeedPage:
        self._ledger.check_following(by)
        head = self._ledger.head().position
        if after > head:
            raise PositionAheadError(head)
        entries = self._entries(after, limit, by) if after < head else []
        position = entries[-1].position if entries else after
        return FeedPage([told(entry) for entry in entries], position, max(head, position))

    async def follow(
        self, after: int | None, look: Callable[[], Awaitable[Principal]]
    ) -> AsyncIterator[bytes]:
        """Return a stream of server-sent events after a position, which goes on as long as somebody reads it.

        It ends with a comment that says why: the log cannot be read, or the process ends.

        Args:
            after: None for the head of this moment.
            look: Tells who reads, or raises where their token is not taken any more. It is asked again on the way: a stream
                lasts for days, and a right may end sooner.

        Raises:
            NotPermittedError: They may not follow the whole ledger.
            PositionAheadError: The log ends before that position.
            UnavailableError: The database cannot be reached, or there are too many streams.
        """
        self._ledger.check_following(await look())
        if self._watch is not None and self._watch.followers >= FOLLOWERS_MAX:
            raise FollowersTooManyError(
                f"{FOLLOWERS_MAX} streams are open, the most that one process of the server takes"
            )
        head = (await _in_thread(self._ledger.head)).position
        if after is not None and after > head:
            raise PositionAheadError(head)
        return self._stream(head if after is None else after, look)

    async def _stream(self, position: int, look: Callable[[], Awaitable[Principal]]) -> AsyncIterator[bytes]:
        watch = self._join()
        try:
            # A comment at once, so that the client knows the stream is there.
            yield b"retry: %d\n:\n\n" % RETRY_MILLISECONDS
            while watch.over is None:
                reached, body = await self._shared_read(position)
                if reached > position:
                    self._ledger.check_following(await look())
                    position = reached
                    yield body
                elif not await watch.wait(position, HEARTBEAT_SECONDS):
                    yield HEARTBEAT
            yield _comment(watch.over)
        except (TokenError, NotPermittedError):
            yield _comment(REFUSED)
        except UnavailableError:
            yield _comment(AWAY)
        finally:
            self._leave(watch)

    async def _shared_read(self, after: int) -> tuple[int, bytes]:
        """Return the position reached and the events up to it; who asks for the same meanwhile gets the same."""
        reading = self._pages.get(after)
        if reading is None:
            reading = asyncio.ensure_future(_in_thread(lambda: self._read(after)))
            self._pages[after] = reading
            reading.add_done_callback(lambda _: self._pages.pop(after))
            # Whoever asked first may have gone: what went wrong then concerns nobody.
            reading.add_done_callback(lambda done: done.cancelled() or done.exception())
        # A reader that goes away must not take the others' page with it.
        return await asyncio.shield(reading)

    def _read(self, after: int) -> tuple[int, bytes]:
        # Whoever gets it was asked for the right: one by one, as each stream goes on.
        entries = self._entries(after, STREAM_EVENTS_MAX, FOLLOWERS)
        return entries[-1].position if entries else after, as_sent_events(map(told, entries))

    def _entries(self, after: int, limit: int, by: Principal) -> list[Recorded]:
        """Return what comes next, up to an event that cannot be read.

        Raises:
            EventUnreadableError: The next event is that one.
        """
        try:
            return self._ledger.read(after=after, limit=limit, by=by)
        except MapperDeserialisationError as error:
            if limit > 1:
                # Ever fewer of them, until those before it are told.
                return self._entries(after, limit // 2, by)
            _log.critical("followers cannot be told: %s", error)
            raise EventUnreadableError(after + 1) from error

    def _join(self) -> _Watch:
        watch = self._watch
        if watch is None or watch.over is not None:
            watch = self._watch = _Watch()
            self._looks[watch] = asyncio.create_task(self._look(watch))
            self._looks[watch].add_done_callback(lambda _: self._looks.pop(watch))
        if self._ending:
            watch.end(ENDING)
        watch.followers += 1
        return watch

    def _leave(self, watch: _Watch) -> None:
        watch.followers -= 1
        if watch.followers:
            return
        if self._watch is watch:
            self._watch = None
        if watch.connected and watch in self._looks:
            # Not earlier: a connection given up half-way would hold a place in the server for a minute.
            self._looks[watch].cancel()

    async def _look(self, watch: _Watch) -> None:
        """Tell where the head is, until nobody is left to be told or the database goes away."""
        database = self._ledger.database
        loop = asyncio.get_running_loop()
        try:
            connecting = psycopg.AsyncConnection.connect(
                database.as_writer(), autocommit=True, application_name=LOOKING
            )
            async with _closing(await connecting) as connection:
                watch.connected = True
                # Listen first, look then: an event recorded in between is seen, not waited for.
                await connection.execute(SQL("LISTEN {}").format(Identifier(f"{database.schema}.events")))
                while watch.followers:
                    began = loop.time()
                    async with asyncio.timeout(LOOK_SECONDS_MAX):
                        cursor = await connection.execute(_HEAD)
                        row = await cursor.fetchone()
                    assert row is not None
                    if row[0] < watch.head:
                        watch.end(SHRUNK)
                        return
                    watch.tell(row[0])
                    async for _ in connection.notifies(timeout=POLL_SECONDS_MAX, stop_after=1):
                        pass
                    await asyncio.sleep(began + LOOK_SECONDS_MIN - loop.time())
        except (psycopg.Error, TimeoutError) as error:
            _log.warning("followers are sent away until the log can be read: %s", error)
        finally:
            # Whatever it was: without a look they would wait for ever.
            watch.end(AWAY)
