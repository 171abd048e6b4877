"""How many collections, approvals and activations each unit has: the fold of the log.

Pure arithmetic over events; the tables it is written to are in ``sql/unit_totals.sql``.
Every event also says what it leaves and where it counts, so the fold never looks back.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, LiteralString, assert_never
from uuid import UUID

import msgspec
from psycopg import Cursor
from psycopg.sql import SQL, Composed, Identifier

from ledger import sql
from ledger.business_time import VIETNAM, business_day, shift_of
from ledger.events import (
    AnyCorrection,
    AnyStep,
    Collected,
    Correction,
    Recorded,
    Stand,
    Step,
    Unlocked,
)
from ledger.unit_events import UnitEvent
from projections.errors import PoisonEventError

NAME = "unit_totals"

EVENTS = ("collected", "approved", "rejected", "notified", "activated", "locked", "unlocked", "withdrawn")
"""Counts of events at the unit whose work they are."""
AWAITING = ("awaiting_approval", "awaiting_activation")
"""Dossiers that wait now, at the collecting unit."""
MEASURES = EVENTS + AWAITING
CLOCKS = ("awaiting_long", "awaiting_notified")
"""Of those that await approval the ones without a valid card, and of those that await activation the ones that were
notified: for them other times run, or any."""
COUNTS = MEASURES + CLOCKS
"""Everything that is counted, in the order of the tables."""

_INDEX = {measure: index for index, measure in enumerate(COUNTS)}
_WAITS: dict[str, tuple[int, ...]] = {
    "collected": (_INDEX["awaiting_approval"],),
    "approved": (_INDEX["awaiting_activation"],),
    "notified": (_INDEX["awaiting_activation"], _INDEX["awaiting_notified"]),
}
"""Where a dossier counts that waits in a state."""
_WAITS_LONG = (_INDEX["awaiting_approval"], _INDEX["awaiting_long"])
_encode = msgspec.json.Encoder().encode
_ZEROS = [0] * len(COUNTS)

Cell = tuple[int, int, date, date, str, str, str]
"""unit, level, day, day of recording, place, shift, partner: the fine grain.

The unit's id as a number: hashing and comparing UUIDs takes longer than the rest of the fold.
"""
Cells = dict[Cell, list[int]]

_COLUMNS = ("unit_id", "level", "day", "recorded_on", "place", "shift", "partner")


def fold(entries: Iterable[Recorded]) -> Cells:
    """Return the deltas that a stretch of the log makes, by cell, in the order of ``COUNTS``.

    Days are business days in Asia/Ho_Chi_Minh.

    Raises:
        PoisonEventError: An event does not fold.
    """
    cells: Cells = defaultdict(_ZEROS.copy)
    recorded_at = recorded_on = None
    for entry in entries:
        event = entry.event
        try:
            if recorded_on is None or entry.recorded_at != recorded_at:
                # One append, one time: it is that of many events in a row.
                recorded_at, recorded_on = entry.recorded_at, business_day(entry.recorded_at)
            if isinstance(event, Step):
                _count(cells, event, recorded_on)
            elif isinstance(event, Correction):
                _correct(cells, event, recorded_on)
            elif not isinstance(event, UnitEvent):
                assert_never(event)
        except Exception as error:
            # Whatever it is, it is told with its position and stops the projection; nothing is skipped.
            raise PoisonEventError(entry.position, error) from error
    return cells


def _count(cells: Cells, event: AnyStep, recorded_on: date) -> None:
    level, place, partner = event.level, event.place, event.partner
    day, shift = _day_and_shift(event.occurred_at)
    cells[event.unit_id.int, level, day, recorded_on, place, shift, partner][_INDEX[event.TYPE]] += 1
    collecting = event.collecting_unit_id.int
    if isinstance(event, Unlocked):
        _wait(cells, event.resumes, level, collecting, recorded_on, 1)
    elif (entered := _WAITS.get(event.TYPE)) is not None:
        if isinstance(event, Collected) and event.card != "valid":
            entered = _WAITS_LONG
        cell = cells[collecting, level, day, recorded_on, place, shift, partner]
        for index in entered:
            cell[index] += 1
    if event.previous is not None:
        # Taken off where the event that is left put it, so that every grouping adds up.
        _wait(cells, event.previous, level, collecting, recorded_on, -1)


def _wait(cells: Cells, stand: Stand, level: int, collecting: int, recorded_on: date, number: int) -> None:
    waits = _WAITS_LONG if stand.card != "valid" else _WAITS.get(stand.state)
    if waits is not None:
        day, shift = _day_and_shift(stand.occurred_at)
        cell = cells[collecting, level, day, recorded_on, stand.place, shift, stand.partner]
        for index in waits:
            cell[index] += number


def _correct(cells: Cells, event: AnyCorrection, recorded_on: date) -> None:
    """Count on the day of what is corrected, as recorded on the day of the correction."""
    for change in event.changes:
        if change.type is not None:
            indexes: tuple[int, ...] = (_INDEX[change.type],)
        else:
            assert change.waits is not None, event.key
            indexes = _WAITS_LONG if change.card != "valid" else _WAITS[change.waits]
        day, shift = _day_and_shift(change.occurred_at)
        cell = cells[change.unit_id.int, change.level, day, recorded_on, change.place, shift, change.partner]
        for index in indexes:
            cell[index] += change.count


def _day_and_shift(instant: datetime) -> tuple[date, str]:
    local = instant.astimezone(VIETNAM)
    return local.date(), shift_of(local)


class UnitTotalsTables:
    """The three grains, live or being rebuilt beside them."""

    def __init__(self, *, rebuild: bool = False) -> None:
        suffix = "_rebuild" if rebuild else ""
        names = {grain: Identifier(f"unit_totals_{grain}{suffix}") for grain in ("month", "day", "fine")}
        live = {f"live_{grain}": Identifier(f"unit_totals_{grain}") for grain in ("month", "day", "fine")}
        self._names = {**names, **live}
        self.tracking = f"{NAME}.rebuild" if rebuild else NAME
        self._add = self.query("add")

    def query(self, name: str) -> Composed:
        return SQL(_QUERIES[name]).format(**self._names)

    def add(self, cursor: Cursor[Any], cells: Cells) -> None:
        """Add the deltas of a stretch of the log, in the caller's transaction."""
        if not cells:
            return
        units, *keys = zip(*cells, strict=True)
        ids = {unit: UUID(int=unit) for unit in set(units)}
        lists = ([ids[unit] for unit in units], *keys, *zip(*cells.values(), strict=True))
        names = (*_COLUMNS, *COUNTS)
        cursor.execute(self._add, {name: as_array(values) for name, values in zip(names, lists, strict=True)})


def as_array(values: Sequence[Any]) -> str | list[Any]:
    """Return values as PostgreSQL writes an array, which is made 20 times faster of JSON than by psycopg."""
    text = _encode(values).decode()
    # What JSON escapes, an array would escape otherwise.
    return list(values) if "\\" in text else f"{{{text[1:-1]}}}"


_QUERIES: dict[str, LiteralString] = sql.load("projections.sql", "unit_totals.sql")
