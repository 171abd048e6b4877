"""How events become rows, rows become events, and a batch becomes part of the log."""

import select
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import msgspec
import psycopg
import psycopg_pool
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import (
    ApplicationRecorder,
    IntegrityError,
    InterfaceError,
    Mapper,
    MapperDeserialisationError,
    OperationalError,
    PersistenceError,
    StoredEvent,
    Subscription,
)
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore, PostgresSubscription
from psycopg.rows import dict_row, tuple_row
from psycopg.sql import SQL, Identifier

from ledger import sql
from ledger.database import LOCK_SECONDS_MAX
from ledger.errors import ClockBehindError, ContentionError, StoreUnavailableError
from ledger.events import AnyEvent, Entry, Recorded, topic_of

_QUERIES = sql.load("ledger.sql", "log.sql")

UNITS_CHANGED = "AL001"
CLOCK_BEHIND = "AL002"
LOCK_TAKEN = "55P03"
KEY_RETIRED = "23514"
"""PostgreSQL's own, of a check: what was sealed was sealed with a wrapping key that is retired."""
READ_ONLY = "25006"
"""PostgreSQL's own: a standby, or a primary that was told to write no more, as a failover leaves it."""

ATTEMPTS_MAX = 50
"""How often something is decided again because others wrote the same streams, or the units, first."""

POOL_CONNECTIONS_MAX = 16
POOL_WAIT_SECONDS_MAX = 5.0
POOL_BACKOFF_SECONDS_MAX = 4.0
"""After so long the pool stops its ever rarer attempts to connect; the next caller starts anew.

Its default of five minutes leaves a ledger without connections for a minute or two after the server is back.
"""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(AnyEvent)

encode = _encoder.encode
"""Return an event as it is stored: JSON, keys in the order of the fields, defaults left out."""

LOOK_SECONDS_MAX = 1.0
"""How long an event waits for a subscriber whose notification of it was lost."""

Row = tuple[int, UUID, int, str, bytes, datetime]
"""position, stream, version, topic, state, recorded_at: the order in every query of the log."""


class EventMapper(Mapper[UUID]):
    """Store each event as tagged JSON, its topic being its tag.

    eventsourcing's own mapper reads ``vars(event)``, which a Struct does not have,
    names events by import path, which a refactoring changes, and imports what a row
    names. This one decodes through the closed union and nothing else.
    """

    def __init__(self) -> None:
        """Take no transcoder, compressor or cipher: rows stay readable in psql."""

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> StoredEvent:
        assert isinstance(domain_event, Entry), domain_event
        return StoredEvent(
            originator_id=domain_event.originator_id,
            originator_version=domain_event.originator_version,
            topic=topic_of(type(domain_event.event)),
            state=encode(domain_event.event),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Entry:
        """Raise MapperDeserialisationError if the row is not an event we know."""
        assert isinstance(stored_event.originator_id, UUID)
        stream, version = stored_event.originator_id, stored_event.originator_version
        try:
            event = decode(stored_event.topic, stored_event.state)
        except MapperDeserialisationError as error:
            raise MapperDeserialisationError(f"{stream}/{version}: {error}") from error
        return Entry(originator_id=stream, originator_version=version, event=event)


def decode(topic: str, state: bytes) -> AnyEvent:
    """Return the event of a row; raise MapperDeserialisationError if it is none that we know."""
    try:
        event: AnyEvent = _decoder.decode(state)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MapperDeserialisationError(f"{topic}: {error}") from error
    # The row says what it is; so does the JSON. They must agree.
    if event.__struct_config__.tag != topic:
        raise MapperDeserialisationError(f"{topic}: the state says {event.__struct_config__.tag}")
    return event


def recorded(row: Row) -> Recorded:
    """Return the entry of a row of the log; raise MapperDeserialisationError, naming its position."""
    position, stream, version, topic, state, at = row
    try:
        event = decode(topic, state)
    except MapperDeserialisationError as error:
        raise MapperDeserialisationError(f"position {position}: {error}") from error
    return Recorded(
        originator_id=stream, originator_version=version, event=event, position=position, recorded_at=at
    )


class Batch(msgspec.Struct, frozen=True):
    """What one append records: parallel lists, as the database takes them."""

    ids: list[UUID]
    versions: list[int]
    topics: list[str]
    states: list[bytes]
    citizen_lookups: list[bytes] = []
    citizen_dossiers: list[UUID] = []
    citizen_sealed: list[bytes] = []
    citizen_keys: list[bytes] = []
    units_seen: int | None = None
    """The version of the units' stream that units were resolved against; None: none were."""


class Head(msgspec.Struct, frozen=True):
    """The end of the log."""

    position: int
    """Of the last event; 0 for an empty log."""
    recorded_at: datetime
    """When it was recorded, UTC; 1970 for an empty log."""
    units_version: int
    """The number of unit events."""


class LedgerDatastore(PostgresDatastore):
    """eventsourcing's connection pool, given any connection string."""

    def __init__(self, conninfo: str, *, schema: str) -> None:
        super().__init__(dbname="", host="", port="", user="", password="", schema=schema)

        def check(connection: psycopg.Connection[Any]) -> None:
            try:
                _check_quietly(connection)
            except psycopg.Error:
                # The others died with it, most likely. Met one by one, each would make the caller
                # wait longer: the pool sleeps 1, 2, 4 ... seconds after each dead one it finds.
                pool.drain()
                raise

        # The library's pool, never opened, takes only host, port, user and password.
        self.pool = pool = psycopg_pool.ConnectionPool(  # type: ignore[assignment]
            conninfo,
            kwargs={"row_factory": dict_row},
            min_size=1,
            max_size=POOL_CONNECTIONS_MAX,
            open=False,
            configure=_configure,
            check=check,
            timeout=POOL_WAIT_SECONDS_MAX,
            reconnect_timeout=POOL_BACKOFF_SECONDS_MAX,
        )

    def register_type_adapters(self) -> None:
        """Do nothing: the log has no composite types, and looking for them would connect at once."""


def _configure(connection: psycopg.Connection[Any]) -> None:
    connection.autocommit = True
    # By its own reckoning PostgreSQL starts two processes for a question of 10 ms, which takes them 5.
    connection.execute("SELECT set_config('parallel_setup_cost', '10000', false)")


def _check_quietly(connection: psycopg.Connection[Any]) -> None:
    # An idle connection has something to read only if the server closed it or sent a notice.
    # Asking the kernel costs a microsecond; a round trip for every checkout would cost fifty.
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        psycopg_pool.ConnectionPool.check_connection(connection)


class LedgerSubscription(PostgresSubscription):
    """eventsourcing's subscription, which takes a notification as the hint that it is.

    The library's own does not see what is committed between its first look and its LISTEN,
    nor anything whose notification was lost, until the next event; this one looks by itself too.
    """

    def _listen(self) -> None:
        try:
            with self._recorder.datastore.get_connection() as connection:
                connection.execute(SQL("LISTEN {}").format(Identifier(self._recorder.channel_name)))
                looked = 0.0
                while not self._has_been_stopped and not self._thread_error:
                    if time.monotonic() - looked >= LOOK_SECONDS_MAX:
                        looked = time.monotonic()
                        self._has_been_notified.set()
                    # Short, so that stopping is too.
                    for _ in connection.notifies(timeout=0.1, stop_after=1):
                        self._has_been_notified.set()
                # It goes back to the pool, where nobody would read what it still heard.
                connection.execute("UNLISTEN *")
        except BaseException as error:  # noqa: BLE001 - raised where the subscription is read
            if self._thread_error is None:
                self._thread_error = error
            self.stop()


class LedgerRecorder(PostgresApplicationRecorder):
    """eventsourcing's application recorder over the ledger's own log.

    It keeps the library's columns and interface; writing goes through the one
    function that the role may execute. The library's table lock would need rights
    that would also let the past be changed, and its retries of an insert would turn a
    connection lost after commit into a false conflict: neither is used here.
    """

    datastore: PostgresDatastore

    def __init__(self, datastore: PostgresDatastore) -> None:
        super().__init__(datastore, events_table_name="events")
        self.channel_name = f"{datastore.schema}.events"
        self.max_notification_id_statement = SQL(_QUERIES["size"]).format()
        # Not the leaf: followers of the library's interface never see it.
        columns = SQL(
            "SELECT notification_id, originator_id, originator_version, topic, state FROM {}.{}"
        ).format(Identifier(datastore.schema), Identifier("events"))
        self.select_events_statement = columns + SQL(" WHERE originator_id = %s")

    def create_table(self) -> None:
        """Do nothing: ``ledger migrate`` makes the tables."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Append events that nobody decided about, and return their positions, or None for no events.

        The ledger's own commands do not come this way; it is the library's interface.

        Raises:
            IntegrityError: A stream has one of the versions already; nothing was recorded.
            OperationalError: The connection was lost; whether it was recorded is not known.
        """
        assert not kwargs, kwargs
        if not stored_events:
            return None
        batch = Batch(
            [_uuid(event.originator_id) for event in stored_events],
            [event.originator_version for event in stored_events],
            [event.topic for event in stored_events],
            [event.state for event in stored_events],
        )
        first, _ = self.append(batch)
        return list(range(first, first + len(stored_events)))

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        """Return an iterator over the log after position *gt*, which waits for what comes."""
        return LedgerSubscription(recorder=self, gt=gt, topics=topics)

    def append(self, batch: Batch) -> tuple[int, datetime]:
        """Record a batch, all of it or nothing; return the first position and the time of recording.

        One autocommitted statement: a transaction held open around it would hold the head's
        lock, and block every writer. Never in psycopg's pipeline mode, which hangs for ever on
        a batch larger than the socket's buffer (psycopg 3.3.9).

        Raises:
            IntegrityError: Somebody else wrote one of the streams, or registered one of the citizens, first.
            OperationalError: The connection was lost; whether it was recorded is not known.
            PersistenceError: Refused by the function; ``sqlstate_of`` tells why.
        """
        parameters = {name: getattr(batch, name) for name in Batch.__struct_fields__}
        with self._connection() as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            row = cursor.execute(_QUERIES["append"], parameters, prepare=True).fetchone()
        assert row is not None
        return row

    def append_after(
        self, stream: UUID, version: int, events: Sequence[AnyEvent], *, units_seen: int | None = None
    ) -> tuple[int, datetime] | None:
        """Record what follows a version of one stream; return the first position and the time of recording.

        None: somebody else has written the stream since, or changed the units; nothing was recorded, and it is to be
        decided again on what they made.

        Raises:
            UnavailableError: Not known whether it was recorded.
        """
        batch = Batch(
            [stream] * len(events),
            list(range(version + 1, version + 1 + len(events))),
            [topic_of(type(event)) for event in events],
            [encode(event) for event in events],
            units_seen=units_seen,
        )
        try:
            with translated():
                return self.append(batch)
        except PersistenceError as error:
            if not isinstance(error, IntegrityError) and sqlstate_of(error) != UNITS_CHANGED:
                raise
            return None

    def claim_key(self, check: bytes) -> bytes:
        """Return the check of the key file that this ledger belongs to: *check* if it had none."""
        [value] = self._one("claim_key", {"check": check})
        return bytes(value)

    def head(self) -> Head:
        return Head(*self._one("head", {}))

    def read(self, *, after: int, limit: int) -> list[Recorded]:
        """Return the log in order: at most *limit* events with positions greater than *after*."""
        return [recorded(row) for row in self._all("read", {"after": after, "limit": limit})]

    def recorded_at(self, position: int) -> datetime | None:
        """Return when an event was recorded; None where there is none."""
        for (recorded_at,) in self._all("recorded_at", {"position": position}):
            return cast("datetime", recorded_at)
        return None

    def read_stream(self, stream: UUID, *, after: int = 0, limit: int | None = None) -> list[Recorded]:
        """Return a stream's events with versions greater than *after*, in order."""
        rows = self._all("stream_after", {"id": stream, "after": after, "limit": limit})
        return [recorded(row) for row in rows]

    def read_batch(self, lookups: Iterable[bytes]) -> Iterator[tuple[bytes, bytes, Recorded]]:
        """Yield lookup, wrapped key and event for every event of the citizens' dossiers, in one query.

        A dossier's events come together and in order; a citizen without a dossier yields nothing.
        """
        for lookup, dossier_id, key, *row in self._all("batch", {"lookups": list(lookups)}):
            position, stream, version, topic, state, at = row
            assert stream == dossier_id
            yield lookup, key, recorded((position, stream, version, topic, state, at))

    def find(self, lookup: bytes) -> UUID | None:
        """Return the dossier of a citizen, or None."""
        rows = self._all("citizens", {"lookups": [lookup]})
        return rows[0][1] if rows else None

    def key_of(self, dossier_id: UUID) -> bytes | None:
        """Return a citizen's wrapped key; None when the citizen was erased, or never was."""
        rows = self._all("key_of", {"id": dossier_id})
        return rows[0][0] if rows else None

    def sealed_of(self, dossier_id: UUID) -> tuple[bytes, bytes] | None:
        """Return a citizen's sealed number and wrapped key; None when the citizen was erased, or never was."""
        rows = self._all("sealed_of", {"id": dossier_id})
        return (rows[0][0], rows[0][1]) if rows else None

    def _one(self, query: str, parameters: dict[str, Any]) -> tuple[Any, ...]:
        [row] = self._all(query, parameters)
        return row

    def _all(self, query: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        with self._connection() as connection:
            cursor = connection.cursor(row_factory=tuple_row, binary=True)
            return cursor.execute(_QUERIES[query], parameters).fetchall()

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Any]]:
        with self.datastore.get_connection() as connection:
            yield connection


def _uuid(originator_id: UUID | str) -> UUID:
    assert isinstance(originator_id, UUID), originator_id
    return originator_id


def sqlstate_of(error: PersistenceError) -> str | None:
    """Return the SQLSTATE behind one of eventsourcing's errors."""
    cause = error.__cause__
    return cause.sqlstate if isinstance(cause, psycopg.Error) else None


@contextmanager
def translated() -> Iterator[None]:
    """Turn the database's own errors into the ledger's; the only place where that happens.

    An IntegrityError and the refusals that a caller must act on pass through.
    """
    try:
        yield
    except IntegrityError:
        raise
    except (OperationalError, InterfaceError) as error:
        if sqlstate_of(error) == LOCK_TAKEN:
            raise ContentionError(
                f"another session has held the log's lock for {LOCK_SECONDS_MAX:g} s; nothing was recorded; "
                "pg_stat_activity shows which it is"
            ) from error
        raise StoreUnavailableError(
            f"PostgreSQL cannot be reached or went away: {_first_line(error)}"
        ) from error
    except PersistenceError as error:
        if sqlstate_of(error) == CLOCK_BEHIND:
            raise ClockBehindError(f"{_first_line(error)}; set the server's clock") from error
        if sqlstate_of(error) == READ_ONLY:
            raise StoreUnavailableError(f"PostgreSQL takes no writes: {_first_line(error)}") from error
        raise


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
