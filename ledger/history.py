"""What an auditor reads of one dossier. Pure: events and the tree of units in, an account out."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from ledger.dossier import Dossier, evolve
from ledger.events import Recorded, Rejected, State, UnitOpened
from ledger.units import UnitTree


class UnitName(msgspec.Struct, frozen=True):
    """A unit as it was called when something happened there."""

    code: str
    name: str
    level: str


class LevelState(msgspec.Struct, frozen=True):
    """Where one level of a dossier stands."""

    state: State
    attempt: int
    """Which collection this is, from 1."""
    since: datetime
    """When the event happened that put it there."""
    collecting_unit: UnitName


class DossierState(msgspec.Struct, frozen=True):
    dossier_id: UUID
    version: int
    """The number of the dossier's events."""
    position: int
    """The ledger position of the last of them."""
    levels: dict[str, LevelState]
    """By level, "1" and "2"; a level that was never collected is absent."""


class HistoryEvent(msgspec.Struct, frozen=True):
    """One line of the audit trail. What was not sent is null."""

    position: int
    """The event's number in the whole ledger, from 1."""
    version: int
    """The event's number in the dossier, from 1."""
    type: State
    level: int
    occurred_at: datetime
    """When it happened, with the offset that was sent."""
    recorded_at: datetime
    """When the ledger learnt it, UTC."""
    unit: UnitName
    """Where it counts, as it was called then."""
    collecting_unit: UnitName
    actor: str
    key: str
    place: str
    team: str | None
    partner: str
    residence_unit: str | None
    reason: str | None
    note: str | None
    """Opened; null also when the citizen was erased."""
    attempt: int
    unit_as_sent: str | None


class History(msgspec.Struct, frozen=True):
    """One dossier's audit trail."""

    dossier_id: UUID
    levels: dict[str, LevelState]
    """Where each level stands now, whatever part of the events was asked for."""
    events: list[HistoryEvent]


def state_of(dossier_id: UUID, entries: Sequence[Recorded], tree: UnitTree) -> DossierState:
    """Return where a dossier stands after all its events, of which there is at least one."""
    dossier = Dossier(dossier_id)
    for entry in entries:
        assert not isinstance(entry.event, UnitOpened), entry.position
        dossier = evolve(dossier, entry.event)
    levels = {
        str(level): LevelState(
            standing.state, standing.attempt, standing.occurred_at, _name(tree, standing.collecting_unit_id)
        )
        for level, standing in sorted(dossier.levels.items())
    }
    return DossierState(dossier_id, dossier.version, entries[-1].position, levels)


def read_history(
    dossier_id: UUID,
    entries: Sequence[Recorded],
    tree: UnitTree,
    *,
    open_note: Callable[[bytes], str | None],
    after: int = 0,
    limit: int | None = None,
) -> History:
    """Return the trail of a dossier from all its events; *after* and *limit* choose which are told."""
    state = state_of(dossier_id, entries, tree)
    told = entries[after : None if limit is None else after + limit]
    return History(dossier_id, state.levels, [_line(entry, tree, open_note) for entry in told])


def _line(entry: Recorded, tree: UnitTree, open_note: Callable[[bytes], str | None]) -> HistoryEvent:
    event = entry.event
    assert not isinstance(event, UnitOpened), entry.position
    return HistoryEvent(
        position=entry.position,
        version=entry.originator_version,
        type=event.TYPE,
        level=event.level,
        occurred_at=event.occurred_at,
        recorded_at=entry.recorded_at,
        unit=_name(tree, event.unit_id),
        collecting_unit=_name(tree, event.collecting_unit_id),
        actor=event.actor,
        key=event.key,
        place=event.place,
        team=event.team,
        partner=event.partner,
        residence_unit=event.residence_unit,
        reason=event.reason if isinstance(event, Rejected) else None,
        note=None if event.note is None else open_note(event.note),
        attempt=event.attempt,
        unit_as_sent=event.unit,
    )


def _name(tree: UnitTree, unit_id: UUID) -> UnitName:
    unit = tree.by_id[unit_id]
    return UnitName(unit.code, unit.name, unit.level)
