"""Events in a row: read by position, folded, and added to tables together with the position.

Exactly once by construction: the position of a projection moves in the transaction that writes what
it stands for.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg import Connection
from psycopg.rows import tuple_row

from ledger.events import Recorded
from ledger.store import Row, recorded
from projections import tracking
from projections.errors import PoisonEventError
from projections.tables import Tables
from projections.tracking import QUERIES

BATCH_EVENTS_MAX = 20_000


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
                raise PoisonEventError(tracking.position(connection, tables) + 1, error) from error
            limit, ahead = limit // 2, None


def _step(connection: Connection[Any], tables: Tables, limit: int, ahead: Stretch | None) -> int:
    with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
        position = tracking.position(connection, tables, "lock")
        stretch = ahead
        if stretch is None or stretch.after != position:
            [found] = read(connection, [tables], position, limit)
            if isinstance(found, PoisonEventError):
                raise found
            stretch = found
        if stretch is None:
            return 0
        tables.add(cursor, stretch.folded)
        cursor.execute(
            QUERIES["advance"],
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


def read(connection: Connection[Any], many: Sequence[Tables], after: int, limit: int) -> list[Found]:
    """Return what comes next for each of the projections that stand at one position. Each event is decoded once."""
    with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        rows: list[Row] = cursor.execute(QUERIES["read"], {"after": after, "limit": limit}).fetchall()
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
