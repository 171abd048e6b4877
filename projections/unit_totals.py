"""How many collections, approvals and activations each unit has: the fold of the log.

Pure arithmetic over events; the tables it is written to are in ``sql/unit_totals.sql``.
Every event also says what it leaves and where it counts, so the fold never looks back.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from operator import itemgetter
from typing import Any, LiteralString, assert_never
from uuid import UUID

from psycopg import Cursor
from psycopg.sql import SQL, Composed, Identifier

from ledger import sql
from ledger.business_time import business_day, shift_of
from ledger.events import Activated, AnyDossierEvent, Approved, Collected, Recorded, Rejected, UnitOpened
from projections.errors import PoisonEventError

NAME = "unit_totals"

MEASURES = ("collected", "approved", "rejected", "notified", "activated", "locked", "unlocked") + (
    "awaiting_approval",
    "awaiting_activation",
)
"""Counts of events at the unit whose work they are, then dossiers that wait now, at the collecting unit."""

_INDEX = {measure: index for index, measure in enumerate(MEASURES)}
_AWAITING = {"collected": _INDEX["awaiting_approval"], "approved": _INDEX["awaiting_activation"]}
_ZEROS = [0] * len(MEASURES)

Cell = tuple[UUID, int, date, date, str, str, str]
"""unit, level, day, day of recording, place, shift, partner: the fine grain."""
Cells = dict[Cell, list[int]]

_COLUMNS = ("unit_id", "level", "day", "recorded_on", "place", "shift", "partner")


def fold(entries: Iterable[Recorded]) -> Cells:
    """Return the deltas that a stretch of the log makes, by cell, in the order of ``MEASURES``.

    Days are business days in Asia/Ho_Chi_Minh.

    Raises:
        PoisonEventError: An event does not fold.
    """
    cells: Cells = {}
    for entry in entries:
        event = entry.event
        try:
            match event:
                case Collected() | Approved() | Rejected() | Activated():
                    _count(cells, event, business_day(entry.recorded_at))
                case UnitOpened():
                    pass
                case _:
                    assert_never(event)
        except Exception as error:
            # Whatever it is, it is told with its position and stops the projection; nothing is skipped.
            raise PoisonEventError(entry.position, error) from error
    return cells


def _count(cells: Cells, event: AnyDossierEvent, recorded_on: date) -> None:
    day = business_day(event.occurred_at)
    shift = shift_of(event.occurred_at)
    level = event.level
    cell = (event.unit_id, level, day, recorded_on, event.place, shift, event.partner)
    _add(cells, cell, _INDEX[event.TYPE], 1)
    collecting = event.collecting_unit_id
    entered = _AWAITING.get(event.TYPE)
    if entered is not None:
        _add(cells, (collecting, *cell[1:]), entered, 1)
    previous = event.previous
    if previous is None:
        return
    left = _AWAITING.get(previous.state)
    if left is not None:
        # Taken off where the event that is left put it, so that every grouping adds up.
        at = previous.occurred_at
        place, partner = previous.place, previous.partner
        _add(
            cells,
            (collecting, level, business_day(at), recorded_on, place, shift_of(at), partner),
            left,
            -1,
        )


def _add(cells: Cells, cell: Cell, measure: int, delta: int) -> None:
    counts = cells.get(cell)
    if counts is None:
        counts = cells[cell] = _ZEROS.copy()
    counts[measure] += delta


class UnitTotalsTables:
    """The three grains, live or being rebuilt beside them."""

    def __init__(self, *, rebuild: bool = False) -> None:
        suffix = "_rebuild" if rebuild else ""
        names = {grain: Identifier(f"unit_totals_{grain}{suffix}") for grain in ("month", "day", "fine")}
        live = {f"live_{grain}": Identifier(f"unit_totals_{grain}") for grain in ("month", "day", "fine")}
        self._names = {**names, **live}
        self.tracking = f"{NAME}.rebuild" if rebuild else NAME
        self._add = {grain: self.query(f"add_{grain}") for grain in ("month", "day", "fine")}

    def query(self, name: str, **names: Identifier) -> Composed:
        return SQL(_QUERIES[name]).format(**self._names, **names)

    def add(self, cursor: Cursor[Any], entries: Sequence[Recorded]) -> None:
        """Add a stretch of the log, in the caller's transaction."""
        cells = fold(entries)
        days: dict[tuple[UUID, int, date], list[int]] = {}
        months: dict[tuple[UUID, int, date], list[int]] = {}
        for cell, counts in cells.items():
            unit_id, level, day = cell[:3]
            _add_all(days, (unit_id, level, day), counts)
        for (unit_id, level, day), counts in days.items():
            _add_all(months, (unit_id, level, day.replace(day=1)), counts)
        self._write(cursor, "fine", _COLUMNS, cells)
        self._write(cursor, "day", _COLUMNS[:3], days)
        self._write(cursor, "month", ("unit_id", "level", "month"), months)

    def _write(
        self, cursor: Cursor[Any], grain: str, columns: Sequence[str], cells: dict[Any, list[int]]
    ) -> None:
        if not cells:
            return
        # In one order, so that two writers could never deadlock, and the index is walked once.
        ordered = sorted(cells.items(), key=itemgetter(0)) if grain != "fine" else list(cells.items())
        keys = zip(*(key for key, _ in ordered), strict=True)
        counts = zip(*(counts for _, counts in ordered), strict=True)
        parameters = {name: list(values) for name, values in zip(columns, keys, strict=True)}
        parameters.update((name, list(values)) for name, values in zip(MEASURES, counts, strict=True))
        cursor.execute(self._add[grain], parameters)


def _add_all(
    cells: dict[tuple[UUID, int, date], list[int]], key: tuple[UUID, int, date], deltas: Sequence[int]
) -> None:
    counts = cells.get(key)
    if counts is None:
        cells[key] = list(deltas)
    else:
        for index, delta in enumerate(deltas):
            counts[index] += delta


_QUERIES: dict[str, LiteralString] = sql.load("projections.sql", "unit_totals.sql")
