"""What an auditor reads of one dossier. Pure: events and the tree of units in, an account out."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from ledger.business_time import business_day
from ledger.dossier import dossier_of, in_force
from ledger.events import (
    Allocated,
    AnyDossierEvent,
    CitizenErased,
    Correction,
    Recorded,
    State,
    Step,
    Type,
    dossier_event,
    dossier_events,
)
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
    """When the event happened that put it there; of an unlocked account, before it was locked."""
    collecting_unit: UnitName
    allocated_to: UnitName | None
    """The part of the collecting unit, which was split, where the dossier belongs."""


class DossierState(msgspec.Struct, frozen=True):
    dossier_id: UUID
    version: int
    """The number of the dossier's events."""
    position: int
    """The ledger position of the last of them."""
    levels: dict[str, LevelState]
    """By level, "1" and "2"; a level of which no collection stands is absent."""
    erased: bool
    """Whether its citizen was erased: then nobody can tell whose it was, and it takes no more reports."""


class HistoryEvent(msgspec.Struct, frozen=True):
    """One line of the audit trail, as it was recorded. What was not sent, or does not apply, is null."""

    position: int
    """The event's number in the whole ledger, from 1."""
    version: int
    """The event's number in the dossier, from 1."""
    type: Type | Literal["erased"]
    level: int | None
    """Null of an erasure, which is of both."""
    occurred_at: datetime
    """When it happened, with the offset that was sent; of a correction, when it was made."""
    recorded_at: datetime
    """When the ledger learnt it, UTC."""
    standing: bool
    """Whether it counts now: it was not voided, and if it was asked, it was confirmed."""
    corrects: int | None
    """The version of the entry that this correction is about."""
    corrected_by: list[int]
    """The versions of the corrections that are about this entry, whether they count or not."""
    asked: bool
    """Of a correction: whether another officer had to confirm it, or has to."""
    unit: UnitName | None
    """Where it counted when it was recorded, as it was called then; of a reassignment, where the entry counts since; of
    an allocation, where the dossier belongs since."""
    collecting_unit: UnitName | None
    allocated_to: UnitName | None
    """Of a step at a unit that was split: the part where the dossier belonged when it was recorded."""
    allocated_of: list[UnitName] | None
    """Of an allocation: the split units of which it decides."""
    actor: str
    key: str | None
    """Null of an erasure, which is no report."""
    place: str | None
    team: str | None
    partner: str | None
    residence_unit: str | None
    card: str | None
    """Of a collection."""
    reason: str | None
    basis: str | None
    """Of an erasure: the decree or decision that it rests on."""
    note: str | None
    """Opened; null also when the citizen was erased."""
    note_erased: bool
    """Whether there was a note that opens no more, because its key went with the citizen's number."""
    attempt: int | None
    unit_as_sent: str | None


class History(msgspec.Struct, frozen=True):
    """One dossier's audit trail."""

    dossier_id: UUID
    levels: dict[str, LevelState]
    """Where each level stands now, whatever part of the events was asked for."""
    events: list[HistoryEvent]
    erased: bool
    """Whether its citizen was erased, whatever part of the events was asked for."""


def state_of(dossier_id: UUID, entries: Sequence[Recorded], tree: UnitTree) -> DossierState:
    """Return where a dossier stands after all its events, of which there is at least one."""
    dossier = dossier_of(dossier_id, entries)
    levels = {
        str(level): LevelState(
            standing.state,
            standing.attempt,
            standing.stand.occurred_at,
            name_of(tree, standing.collecting_unit_id, business_day(standing.stand.occurred_at)),
            None if part is None else name_of(tree, part, business_day(standing.stand.occurred_at)),
        )
        for level, standing in sorted(dossier.levels.items())
        for part in (dossier.allocations.get((level, standing.collecting_unit_id)),)
    }
    return DossierState(
        dossier_id, dossier.version, entries[-1].position, levels, erased=dossier.erasures > 0
    )


def read_history(
    dossier_id: UUID,
    entries: Sequence[Recorded],
    tree: UnitTree,
    *,
    open_note: Callable[[bytes], str | None],
    after: int = 0,
    limit: int | None = None,
) -> History:
    """Return the trail of a dossier from all its events; *after* and *limit* choose which are told.

    Args:
        open_note: Returns what a sealed note says, None where its key is no more.
    """
    state = state_of(dossier_id, entries, tree)
    events, _ = dossier_events(entries)
    force = in_force(events)
    corrected_by: dict[int, list[int]] = {}
    for version, event in enumerate(events, 1):
        if isinstance(event, Correction):
            corrected_by.setdefault(event.corrects, []).append(version)
    lines = []
    for entry in entries[after : None if limit is None else after + limit]:
        version = entry.originator_version
        if isinstance(entry.event, CitizenErased):
            lines.append(_erasure(entry, entry.event))
            continue
        event = dossier_event(entry)
        unconfirmed = isinstance(event, Correction) and event.asked and version not in force.confirmed
        note = None if event.note is None else open_note(event.note)
        lines.append(
            HistoryEvent(
                position=entry.position,
                version=version,
                recorded_at=entry.recorded_at,
                standing=version not in force.voided and not unconfirmed,
                corrected_by=corrected_by.get(version, []),
                **_fields(event, tree),
                note=note,
                note_erased=event.note is not None and note is None,
            )
        )
    return History(dossier_id, state.levels, lines, state.erased)


def _erasure(entry: Recorded, event: CitizenErased) -> HistoryEvent:
    nothing: dict[str, Any] = dict.fromkeys(HistoryEvent.__struct_fields__)
    return HistoryEvent(
        **nothing
        | {
            "position": entry.position,
            "version": entry.originator_version,
            "recorded_at": entry.recorded_at,
            "type": event.TYPE,
            "occurred_at": event.occurred_at,
            "actor": event.actor,
            "reason": event.reason,
            "basis": event.basis or None,
            "standing": True,
            "corrected_by": [],
            "asked": False,
            "note_erased": False,
        }
    )


def _fields(event: AnyDossierEvent, tree: UnitTree) -> dict[str, Any]:
    unit_id = getattr(event, "unit_id", None)
    collecting = event.collecting_unit_id if isinstance(event, Step) else None
    allocated = event.allocated_id if isinstance(event, Step) else None
    day = business_day(event.occurred_at)
    return {
        "type": event.TYPE,
        "level": event.level,
        "occurred_at": event.occurred_at,
        "actor": event.actor,
        "key": event.key,
        "corrects": event.corrects if isinstance(event, Correction) else None,
        "asked": isinstance(event, Correction) and event.asked,
        "unit": None if unit_id is None else name_of(tree, unit_id, day),
        "collecting_unit": None if collecting is None else name_of(tree, collecting, day),
        "allocated_to": None if allocated is None else name_of(tree, allocated, day),
        "allocated_of": (
            [name_of(tree, split_id, day) for split_id in event.split_ids]
            if isinstance(event, Allocated)
            else None
        ),
        "unit_as_sent": getattr(event, "unit", None),
        **{
            name: getattr(event, name, None)
            for name in ("place", "team", "partner", "residence_unit", "card", "reason", "attempt")
        },
        "basis": None,
    }


def name_of(tree: UnitTree, unit_id: UUID, day: date) -> UnitName:
    """Return a unit as it was called on a day."""
    unit = tree.called(unit_id, day)
    return UnitName(unit.code, unit.name, unit.level)
