"""The second log: what it takes to look at a dossier, and the way to ask who did."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from eventsourcing.persistence import PersistenceError
from psycopg.rows import tuple_row

from ledger import sql
from ledger.access import Principal
from ledger.database import Database
from ledger.errors import ReadNotRecordedError, UnavailableError
from ledger.reads.events import (
    DROPS_STREAM,
    EmbargoLifted,
    EmbargoPlaced,
    Looked,
    LooksDropped,
    ReadsEntry,
    ReadsEvent,
    What,
)
from ledger.reads.purposes import Purpose
from ledger.store import LedgerDatastore, translated

_QUERIES = sql.load("ledger.reads.sql", "reads.sql")
LOCK_SECONDS_MAX = 3.0
"""How long a look waits for its turn. One takes milliseconds, and whoever asks for a history waits meanwhile."""

PAGE_ENTRIES = 1_000
"""So many entries of a dossier are read at once."""
EMBARGO_TOPICS = [event.__struct_config__.tag for event in (EmbargoPlaced, EmbargoLifted)]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ReadsEvent).decode
_decode_drop = msgspec.json.Decoder(LooksDropped).decode


class _Batch:
    """What is recorded by one commit."""

    def __init__(self) -> None:
        self.ids: list[UUID] = []
        self.events: list[ReadsEvent] = []
        self.recorded: Future[None] = Future()


class Reads:
    """Records who looks, and tells it; safe to share between threads.

    Nobody is told anything of a dossier before it is recorded, durably, that they look.
    """

    def __init__(self, database: Database) -> None:
        """Connect nothing yet."""
        place = database.reads
        # Connections of its own, of a role of its own: look-ups must not queue behind reports.
        self._datastore = LedgerDatastore(place.as_writer(LOCK_SECONDS_MAX), schema=place.schema)
        self._next = _Batch()
        self._lock = threading.Lock()
        """Of whoever adds to the next batch, or closes it."""
        self._committing = threading.Lock()

    def close(self) -> None:
        self._datastore.close()

    def record(
        self, dossiers: Mapping[UUID, UUID | None], what: What, *, by: Principal, purpose: Purpose
    ) -> None:
        """Record that somebody looks at dossiers; return once it is durable.

        Args:
            dossiers: For each the unit, a part of the tree, over which the right to look is held; None: all of it.
            purpose: Checked already.

        Raises:
            ReadNotRecordedError: Nobody may be told what was to be looked at.
        """
        self.append(
            list(dossiers),
            [
                Looked(
                    what=what,
                    who=by.name,
                    kind=by.kind,
                    unit_id=unit_id,
                    purpose=purpose.code,
                    text=purpose.text,
                )
                for unit_id in dossiers.values()
            ],
        )

    def append(self, ids: Sequence[UUID], events: Sequence[ReadsEvent]) -> None:
        """Record an event in each of some streams: all of them or none, in one commit with those of other threads.

        Raises:
            ReadNotRecordedError: Not known whether they were recorded, or they were not.
        """
        if not ids:
            return
        with self._lock:
            batch = self._next
            leads = not batch.ids
            batch.ids += ids
            batch.events += events
        if leads:
            # While the batch before commits, others join this one.
            with self._committing:
                with self._lock:
                    self._next = _Batch()
                self._commit(batch)
        batch.recorded.result()

    def _commit(self, batch: _Batch) -> None:
        parameters = {
            "ids": batch.ids,
            "topics": [event.__struct_config__.tag for event in batch.events],
            "states": [_encode(event) for event in batch.events],
        }
        try:
            with _recording(), self._datastore.get_connection() as connection:
                connection.execute(_QUERIES["record"], parameters, prepare=True)
        except BaseException as error:  # noqa: BLE001 - raised in each of the threads that wait
            batch.recorded.set_exception(error)
        else:
            batch.recorded.set_result(None)

    def last(self, dossier_id: UUID) -> tuple[int, ReadsEntry | None]:
        """Return the version of the last entry of a dossier, 0 where there is none, and its last about an embargo.

        Both are of one moment: what is laid later has a greater version.
        """
        [[version, *row]] = self._rows("last", {"id": dossier_id, "topics": EMBARGO_TOPICS})
        return version, None if row[0] is None else _entry(row)

    def until(self, dossier_id: UUID, version: int, *, after: int = 0) -> Iterator[ReadsEntry]:
        """Yield the entries of a dossier up to a version, oldest first; some at a time are in memory.

        Args:
            after: Only those with a greater position.
        """
        seen = 0
        while True:
            parameters = {
                "id": dossier_id,
                "seen": seen,
                "version": version,
                "after": after,
                "limit": PAGE_ENTRIES,
            }
            rows = self._rows("page", parameters)
            yield from map(_entry, rows)
            if len(rows) < PAGE_ENTRIES:
                return
            seen = rows[-1][2]

    def drops(self) -> list[LooksDropped]:
        """Return what was ever dropped, oldest first."""
        return [_decode_drop(state) for (state,) in self._rows("drops", {"drops": DROPS_STREAM})]

    def _rows(self, query: str, parameters: Mapping[str, Any]) -> list[Any]:
        with translated(), self._datastore.get_connection() as connection:
            cursor: psycopg.Cursor[Any] = connection.cursor(row_factory=tuple_row, binary=True)
            return cursor.execute(_QUERIES[query], parameters).fetchall()


def _entry(row: Sequence[Any]) -> ReadsEntry:
    position, stream, version, topic, state, at = row
    return ReadsEntry(position, stream, version, _event(position, topic, state), at)


def _event(position: int, topic: str, state: bytes) -> ReadsEvent:
    event: ReadsEvent = _decode(state)
    # The row says what it is; so does the JSON. They must agree.
    assert event.__struct_config__.tag == topic, position
    return event


@contextmanager
def _recording() -> Iterator[None]:
    try:
        with translated():
            yield
    except (UnavailableError, PersistenceError) as error:
        # Also where it is refused: an application that may not record who looks may not tell anything.
        raise ReadNotRecordedError(f"who looks could not be recorded, so nothing is told: {error}") from error
