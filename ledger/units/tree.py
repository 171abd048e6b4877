"""What a code meant on a day, who stood under whom, and what became of a unit."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger.errors import UnitNotValidError, UnitUnknownError
from ledger.unit_events import UnitEvent

_DAY = timedelta(days=1)
LEVELS = ("nation", "province", "district", "commune")
"""From the top down; a parent stands above its children."""


class Unit(msgspec.Struct, frozen=True):
    """One unit while it is called by one code and name under one parent."""

    id: UUID
    code: str
    name: str
    level: str
    parent_id: UUID | None
    valid_from: date
    """First business day (Asia/Ho_Chi_Minh) on which it is valid."""
    valid_to: date | None = None
    """Last business day on which it is valid; None: no end is known."""

    def valid_on(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


class Succession(msgspec.Struct, frozen=True):
    """What became of a unit that ended."""

    effective: date
    """The first day without it."""
    into: tuple[UUID, ...]
    """The units where its people went; none: nobody has said."""
    land: tuple[UUID, ...] = ()
    """Those that got land of it without people."""


class Reorganisation(msgspec.Struct, frozen=True):
    """Unit events that were recorded together."""

    id: UUID
    effective: date
    decree: str
    actor: str
    position: int
    """Of its first event."""
    events: int
    withdrawn_at: int | None = None
    """The position of its withdrawal; None: it stands."""


class UnitTree(msgspec.Struct, frozen=True):
    """All units that ever were, as of one version of the units' stream."""

    version: int = 0
    entries: tuple[tuple[int, UnitEvent], ...] = ()
    """Every event of the stream with its position, by version."""
    by_id: Mapping[UUID, tuple[Unit, ...]] = {}
    """What each unit was called, oldest first. One whose opening was withdrawn is valid on no day."""
    by_code: Mapping[str, tuple[Unit, ...]] = {}
    """Whom each code meant, oldest first."""
    became: Mapping[UUID, Succession] = {}
    """What became of the units that have ended."""
    came_from: Mapping[UUID, tuple[UUID, ...]] = {}
    """Whose people a unit got from the reorganisation that opened it."""
    opened_under: Mapping[UUID, UUID | None] = {}
    """The parent with which each unit was opened, withdrawn or not."""
    days: tuple[date, ...] = ()
    """Every day on which something changed, in order."""
    reorganisations: Mapping[UUID, Reorganisation] = {}

    def resolve(self, code: str, day: date) -> Unit:
        """Return the unit that *code* means on *day*.

        Raises:
            UnitUnknownError: No unit ever had the code.
            UnitNotValidError: None has it on that day; the sentence names who held it and when.
        """
        holders = self.by_code.get(code)
        if not holders:
            raise UnitUnknownError(code)
        for unit in holders:
            if unit.valid_on(day):
                return unit
        raise UnitNotValidError(code, day, "; ".join(map(tenure, _tenures(holders))))

    def unit_on(self, unit_id: UUID, day: date) -> Unit | None:
        """Return what a unit is on a day; None where it is not valid."""
        for unit in self.by_id[unit_id]:
            if unit.valid_on(day):
                return unit
        return None

    def called(self, unit_id: UUID, day: date) -> Unit:
        """Return what a unit is called on a day; where it is not valid then, what it was called next to that day."""
        units = self.by_id[unit_id]
        later = bisect_right([unit.valid_from for unit in units], day)
        return units[max(0, later - 1)]

    def on(self, day: date, *, under: str | None = None) -> list[Unit]:
        """Return the units valid on *day*, parents before children, siblings by code.

        Args:
            under: The code of a unit: only it and everything under it.

        Raises:
            UnitError: *under* is no code, or was not valid on *day*.
        """
        children = self.children_on(day)
        ordered: list[Unit] = []
        pending = list(reversed(children.get(None, []))) if under is None else [self.resolve(under, day)]
        while pending:
            unit = pending.pop()
            ordered.append(unit)
            pending.extend(reversed(children.get(unit.id, [])))
        return ordered

    def valid(self, day: date) -> dict[UUID, Unit]:
        """Return the units valid on *day* by their ids, siblings by code."""
        found = [unit for units in self.by_id.values() for unit in units if unit.valid_on(day)]
        return {unit.id: unit for unit in sorted(found, key=lambda unit: unit.code)}

    def children_on(self, day: date) -> dict[UUID | None, list[Unit]]:
        """Return the units valid on *day* by their parent's id, siblings by code."""
        children: dict[UUID | None, list[Unit]] = {}
        for unit in self.valid(day).values():
            children.setdefault(unit.parent_id, []).append(unit)
        return children


def _tenures(holders: Sequence[Unit]) -> list[Unit]:
    """Return who held a code; once of a unit under one name, whatever it was under."""
    found: list[Unit] = []
    for unit in holders:
        last = found[-1] if found else None
        if last and (last.id, last.name) == (unit.id, unit.name) and last.valid_to == unit.valid_from - _DAY:
            found[-1] = replace(last, valid_to=unit.valid_to)
        else:
            found.append(unit)
    return found


def tenure(unit: Unit) -> str:
    until = f" to {unit.valid_to.isoformat()}" if unit.valid_to else ""
    return f"{unit.name} held it from {unit.valid_from.isoformat()}{until}"


def stands_above(parent_level: str, level: str) -> bool:
    return LEVELS.index(parent_level) < LEVELS.index(level)
