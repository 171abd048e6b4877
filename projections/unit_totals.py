"""How many collections, approvals and activations each unit has: the fold of the log.

Pure arithmetic over events; the tables it is written to are in ``sql/unit_totals.sql``: every delta, and their
sums by day, by month and of all days. Every event also says what it leaves and where it counts, so the fold never looks back.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any, LiteralString, NamedTuple, assert_never
from uuid import UUID

from psycopg import Cursor
from psycopg.sql import SQL, Composed, Identifier

from ledger import sql
from ledger.business_time import VIETNAM, business_day, shift_of
from ledger.events import (
    Allocated,
    AnyCorrection,
    AnyStep,
    CitizenErased,
    Collected,
    Correction,
    Recorded,
    Stand,
    Step,
    Unlocked,
)
from ledger.frozen_events import ReportFrozen
from ledger.key_events import KeyEvent
from ledger.target_events import TargetEvent
from ledger.unit_events import UnitEvent
from ledger.units import allocation_id
from projections.errors import PoisonEventError
from projections.tables import Tables, as_array
from projections.unit_reach import UnitReach

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

EVENT_INDEX = {measure: index for index, measure in enumerate(EVENTS)}
WAITS: tuple[tuple[str, ...], ...] = (
    ("awaiting_approval",),
    ("awaiting_approval", "awaiting_long"),
    ("awaiting_activation",),
    ("awaiting_activation", "awaiting_notified"),
)
"""The ways of waiting, by the number under which the deltas have them: what each of them counts as."""
_WAITING = {"collected": 0, "approved": 2, "notified": 3}
"""How a dossier waits in a state."""
_WAITING_LONG = 1
_INDEX = {measure: index for index, measure in enumerate(COUNTS)}
_COUNTED_AS = [tuple(_INDEX[measure] for measure in waits) for waits in WAITS]
_ZEROS = [0] * len(COUNTS)


class Delta(NamedTuple):
    """What an event adds to one place of the counts, or takes off. In the order of the table."""

    position: int
    leaf: int
    """Where it counts: the unit's id, or that of what was allocated of a split unit, as a number; hashing and comparing
    UUIDs takes longer than the rest of the fold."""
    level: int
    day: date
    """Business day (Asia/Ho_Chi_Minh) on which it occurred; of a correction, of what it corrects."""
    recorded_on: date
    """Business day on which the ledger learnt it."""
    place: str
    shift: str
    partner: str
    team: str
    actor: str
    residence: str
    residence_on: date
    """Business day as of which that is a code."""
    reason: str
    event: int | None
    """Which of ``EVENTS``."""
    waits: int | None
    """Which of ``WAITS``."""
    number: int
    """How many more; negative for what is taken off."""


Cells = dict[tuple[int, int, date], list[int]]
"""Counts in the order of ``COUNTS``, by leaf, level and day."""


class Folded(NamedTuple):
    """What a stretch of the log makes of the tables."""

    deltas: list[Delta]
    cells: Cells


class Written(NamedTuple):
    """A fold as the database takes it; made while the database still adds the one before."""

    deltas: bytes
    cells: dict[str, Any]


def fold(entries: Iterable[Recorded]) -> Folded:
    """Return what a stretch of the log adds. Every event says what it leaves, so nothing is looked up.

    Raises:
        PoisonEventError: An event does not fold.
    """
    deltas: list[Delta] = []
    recorded_at = recorded_on = None
    for entry in entries:
        event = entry.event
        try:
            if recorded_on is None or entry.recorded_at != recorded_at:
                # One append, one time: it is that of many events in a row.
                recorded_at, recorded_on = entry.recorded_at, business_day(entry.recorded_at)
            if isinstance(event, Step):
                _count(deltas, entry.position, event, recorded_on)
            elif isinstance(event, Correction | Allocated):
                _correct(deltas, entry.position, event, recorded_on)
            elif not isinstance(event, CitizenErased | UnitEvent | TargetEvent | ReportFrozen | KeyEvent):
                assert_never(event)
        except Exception as error:
            # Whatever it is, it is told with its position and stops the projection; nothing is skipped.
            raise PoisonEventError(entry.position, error) from error
    return Folded(deltas, _cells(deltas))


def _cells(deltas: Iterable[Delta]) -> Cells:
    cells: Cells = defaultdict(_ZEROS.copy)
    for delta in deltas:
        cell = cells[delta.leaf, delta.level, delta.day]
        if delta.event is not None:
            cell[delta.event] += delta.number
        if delta.waits is not None:
            for index in _COUNTED_AS[delta.waits]:
                cell[index] += delta.number
    return cells


def _leaf(unit_id: UUID, allocated_id: UUID | None) -> int:
    return unit_id.int if allocated_id is None else allocation_id(unit_id, allocated_id).int


def _count(deltas: list[Delta], position: int, event: AnyStep, recorded_on: date) -> None:
    day, shift = _day_and_shift(event.occurred_at)
    leaf = _leaf(event.unit_id, event.allocated_id)
    waits = None
    if isinstance(event, Collected):
        collecting = leaf
        waits = _waiting("collected", event.card)
    else:
        collecting = _leaf(event.collecting_unit_id, event.collecting_allocated_id)
        if not isinstance(event, Unlocked):
            waits = _WAITING.get(event.TYPE)
    details = (
        event.place,
        shift,
        event.partner,
        event.team or "",
        event.actor,
        event.residence or "",
        event.residence_on or day,
        getattr(event, "reason", ""),
    )
    here = waits if collecting == leaf else None
    deltas.append(
        Delta(position, leaf, event.level, day, recorded_on, *details, EVENT_INDEX[event.TYPE], here, 1)
    )
    if waits is not None and here is None:
        deltas.append(Delta(position, collecting, event.level, day, recorded_on, *details, None, waits, 1))
    if isinstance(event, Unlocked):
        _wait(deltas, position, event.resumes, event.level, collecting, recorded_on, 1)
    if event.previous is not None:
        # Taken off where the event that is left put it, so that every grouping adds up.
        _wait(deltas, position, event.previous, event.level, collecting, recorded_on, -1)


def _waiting(state: str, card: str) -> int | None:
    return _WAITING_LONG if state == "collected" and card != "valid" else _WAITING.get(state)


def _wait(
    deltas: list[Delta],
    position: int,
    stand: Stand,
    level: int,
    collecting: int,
    recorded_on: date,
    count: int,
) -> None:
    waits = _waiting(stand.state, stand.card)
    if waits is not None:
        day, shift = _day_and_shift(stand.occurred_at)
        deltas.append(
            Delta(
                position,
                collecting,
                level,
                day,
                recorded_on,
                stand.place,
                shift,
                stand.partner,
                stand.team or "",
                stand.actor or "",
                stand.residence or "",
                stand.residence_on or day,
                "",
                None,
                waits,
                count,
            )
        )


def _correct(deltas: list[Delta], position: int, event: AnyCorrection | Allocated, recorded_on: date) -> None:
    """Count on the day of what is corrected, as recorded on the day of the correction."""
    for change in event.changes:
        day, shift = _day_and_shift(change.occurred_at)
        deltas.append(
            Delta(
                position,
                _leaf(change.unit_id, change.allocated_id),
                change.level,
                day,
                recorded_on,
                change.place,
                shift,
                change.partner,
                change.team or "",
                change.actor or "",
                change.residence or "",
                change.residence_on or day,
                change.reason or "",
                None if change.type is None else EVENT_INDEX[change.type],
                None if change.waits is None else _waiting(change.waits, change.card),
                change.count,
            )
        )


def _day_and_shift(instant: datetime) -> tuple[date, str]:
    local = instant.astimezone(VIETNAM)
    return local.date(), shift_of(local)


def pentad_of(day: date) -> date:
    """Return the first day of the five, the last of a month up to six, that a day belongs to: 1, 6, 11, 16, 21 or 26."""
    return day.replace(day=1 + 5 * min(5, (day.day - 1) // 5))


class UnitTotalsTables(Tables):
    """The deltas and their sums by day, pentad and month, live or being rebuilt beside them."""

    NAME = NAME
    LIVE = (
        "unit_totals_ever",
        "unit_totals_month",
        "unit_totals_pentad",
        "unit_totals_day",
        "unit_totals_deltas",
        *UnitReach.TABLES,
    )

    def __init__(self, *, rebuild: bool = False) -> None:
        super().__init__(rebuild=rebuild)
        names = {live.removeprefix("unit_totals_"): Identifier(own) for live, own in self.names.items()}
        self._add: Composed = SQL(_QUERIES["add"]).format(
            **names, **{part: SQL(_QUERIES[part]) for part in _PARTS}
        )
        self._copy: Composed = SQL(_QUERIES["copy"]).format(**names)
        self._reach = UnitReach(self.names)

    def fold(self, entries: Iterable[Recorded]) -> Written:
        return as_written(fold(entries))

    def add(self, cursor: Cursor[Any], folded: Written) -> None:
        self._reach.keep(cursor)
        if not folded.deltas:
            return
        with cursor.copy(self._copy) as copy:
            copy.write(folded.deltas)
        cursor.execute(self._add, folded.cells)


def as_written(folded: Folded) -> Written:
    """Return a fold as the database takes it."""
    if not folded.deltas:
        return Written(b"", {})
    leaves, levels, days = zip(*folded.cells, strict=True)
    ids = {leaf: UUID(int=leaf) for leaf in set(leaves)}
    lists = ([ids[leaf] for leaf in leaves], levels, days, *zip(*folded.cells.values(), strict=True))
    names = ("leaf_id", "level", "day", *COUNTS)
    cells = {name: as_array(values) for name, values in zip(names, lists, strict=True)}
    return Written(as_copy(folded.deltas), cells)


def as_copy(deltas: Sequence[Delta]) -> bytes:
    """Return rows as PostgreSQL's COPY takes them. psycopg's own way of making them takes five times as long."""
    lines = [
        f"{position}\t{leaf:032x}\t{level}\t{_day(day)}\t{_day(recorded_on)}\t{_text(place)}\t{shift}\t{_text(partner)}\t"
        f"{_text(team)}\t{_text(actor)}\t{_text(residence)}\t{_day(residence_on)}\t{_text(reason)}\t{_optional(event)}\t{_optional(waits)}\t{number}\n"
        for (
            position,
            leaf,
            level,
            day,
            recorded_on,
            place,
            shift,
            partner,
            team,
            actor,
            residence,
            residence_on,
            reason,
            event,
            waits,
            number,
        ) in deltas
    ]
    return "".join(lines).encode()


@lru_cache(10_000)
def _text(text: str) -> str:
    for character, escaped in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(character, escaped)
    return text


@lru_cache(10_000)
def _day(day: date) -> str:
    return day.isoformat()


@lru_cache(20)
def _optional(number: int | None) -> str:
    return "\\N" if number is None else str(number)


_QUERIES: dict[str, LiteralString] = sql.load("projections.sql", "unit_totals.sql")
_PARTS = ("events", "waits", "summed_events", "summed_waits", "added_events", "added_waits")
"""What the statement that adds says several times: which counts there are."""
