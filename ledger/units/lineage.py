"""What unit events say of units in all: who became whose, who held which code, and which reorganisations there were."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from uuid import UUID

from msgspec.structs import replace

from ledger.unit_events import (
    Placed,
    ReorganisationWithdrawn,
    UnitAbolished,
    UnitEvent,
    UnitMerged,
    UnitOpened,
    UnitSplit,
)
from ledger.units.tree import Reorganisation, Succession, Unit

_DAY = timedelta(days=1)


def never_valid(taken_back: Sequence[Placed]) -> dict[UUID, tuple[Unit, ...]]:
    """Return the units whose opening was withdrawn: what was recorded there still counts, where its people came from."""
    return {
        event.unit_id: (
            Unit(
                event.unit_id,
                event.code,
                event.name,
                event.level,
                event.parent_id,
                event.valid_from,
                event.valid_from - _DAY,
            ),
        )
        for event in taken_back
        if isinstance(event, UnitOpened)
    }


def by_code(by_id: Mapping[UUID, tuple[Unit, ...]]) -> dict[str, tuple[Unit, ...]]:
    found: dict[str, list[Unit]] = {}
    for units in by_id.values():
        for unit in units:
            found.setdefault(unit.code, []).append(unit)
    return {code: tuple(sorted(units, key=_since)) for code, units in found.items()}


def _since(unit: Unit) -> date:
    return unit.valid_from


def came_from(events: Iterable[UnitEvent]) -> dict[UUID, tuple[UUID, ...]]:
    """Return whose people a unit got when it was opened, by the reorganisation that opened it; withdrawn or not.

    What came to it later says nothing of the days before it was there.
    """
    opened: dict[UUID, UUID] = {}
    merged: list[UnitMerged | UnitSplit] = []
    for event in events:
        if isinstance(event, UnitOpened) and event.reorganisation is not None:
            opened[event.unit_id] = event.reorganisation
        elif isinstance(event, UnitMerged | UnitSplit):
            merged.append(event)
    found: dict[UUID, dict[UUID, None]] = {}
    for event in merged:
        for heir in heirs_in(event):
            if opened.get(heir) == event.reorganisation:
                found.setdefault(heir, {})[event.unit_id] = None
    return {heir: tuple(units) for heir, units in found.items()}


def heirs_in(event: Placed) -> tuple[UUID, ...]:
    match event:
        case UnitMerged(into=into):
            return (into,)
        case UnitSplit(parts=parts):
            return tuple(part.unit_id for part in parts)
        case _:
            return ()


def succession_by(event: UnitMerged | UnitSplit | UnitAbolished, day: date) -> Succession:
    match event:
        case UnitMerged(into=into):
            return Succession(day, (into,))
        case UnitSplit(parts=parts):
            people, land = (
                tuple(part.unit_id for part in parts if part.people is has) for has in (True, False)
            )
            return Succession(day, people, land)
        case UnitAbolished():
            return Succession(day, ())


def reorganisations_in(entries: Iterable[tuple[int, UnitEvent]]) -> dict[UUID, Reorganisation]:
    found: dict[UUID, Reorganisation] = {}
    for position, event in entries:
        if event.reorganisation is None:
            continue
        known = found.get(event.reorganisation)
        if isinstance(event, ReorganisationWithdrawn):
            assert known is not None, position
            found[known.id] = replace(known, withdrawn_at=position)
        elif known is None:
            found[event.reorganisation] = Reorganisation(
                event.reorganisation, event.effective, event.decree or "", event.actor, position, 1
            )
        else:
            found[known.id] = replace(known, events=known.events + 1)
    return found
