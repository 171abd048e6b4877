"""What a dossier is: all its entries, and what stands of them after its corrections.

Pure functions. ``evolve`` turns a dossier and its next event into the next
dossier; what may happen to one is decided in ``ledger/decisions.py``.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from uuid import UUID

import msgspec

from ledger.business_time import business_day
from ledger.commands import NO_TEAM
from ledger.events import (
    Allocated,
    Amended,
    AnyDossierEvent,
    AnyStep,
    Change,
    Collected,
    Confirmed,
    Correction,
    Locked,
    Reassigned,
    Recorded,
    Stand,
    State,
    Step,
    Type,
    Unlocked,
    Voided,
    dossier_events,
)

WAITING: frozenset[State] = frozenset(("collected", "approved", "notified"))
"""The states in which a dossier waits: for its approval, then for its activation."""


class Standing(msgspec.Struct, frozen=True, gc=False):
    """Where one level of a dossier stands."""

    stand: Stand
    """The state, and the event that put it there."""
    attempt: int
    collecting_unit_id: UUID
    residence: str | None
    occurred_at: datetime
    """When the last standing step happened; nothing of this level may happen before it."""
    resumes: Stand | None = None
    """Of a locked account: where it stands again once it is unlocked."""
    residence_on: date | None = None
    """The business day (Asia/Ho_Chi_Minh) of the step that sent the residence."""

    @property
    def state(self) -> State:
        return self.stand.state


class Dossier(msgspec.Struct, frozen=True, gc=False):
    """One citizen's file: both levels, all attempts."""

    id: UUID
    entries: tuple[AnyDossierEvent, ...] = ()
    """Every event that a report made, as it was recorded, by version."""
    levels: dict[int, Standing] = {}
    keys: dict[str, int] = {}
    """Every key ever used in this dossier, with the version of its event; that of a voided one stays used."""
    types: frozenset[Type] = frozenset()
    """The types of the steps that stand, over both levels."""
    allocations: Mapping[tuple[int, UUID], UUID] = {}
    """By level and split unit the part where the dossier belongs."""
    erasures: int = 0
    """How many erasures of its citizen follow the entries; then nothing more can be reported."""

    @property
    def version(self) -> int:
        """The number of its events; 0 for a dossier that is about to get its first."""
        return len(self.entries) + self.erasures


def stand(standing: Standing | None, step: AnyStep) -> Standing:
    """Return where a level stands after its next step."""
    if isinstance(step, Collected):
        return Standing(
            Stand(
                state="collected",
                occurred_at=step.occurred_at,
                place=step.place,
                partner=step.partner,
                card=step.card,
                actor=step.actor,
                team=step.team,
                residence=step.residence_unit,
            ),
            1 if standing is None else standing.attempt + 1,
            step.unit_id,
            step.residence_unit,
            step.occurred_at,
            residence_on=business_day(step.occurred_at) if step.residence_unit else None,
        )
    # Steps come from the log, or were checked, so a misfit is a bug.
    assert standing is not None, step.key
    residence, residence_on = step.residence_unit or standing.residence, standing.residence_on
    if step.residence_unit:
        residence_on = business_day(step.occurred_at)
    resumes = None
    if isinstance(step, Unlocked):
        assert standing.resumes is not None, step.key
        now = standing.resumes
    else:
        now = Stand(
            state=step.TYPE,
            occurred_at=step.occurred_at,
            place=step.place,
            partner=step.partner,
            actor=step.actor,
            team=step.team,
            residence=residence,
            residence_on=None if step.residence_unit else residence_on,
        )
        if isinstance(step, Locked):
            resumes = standing.stand
    return Standing(
        now,
        standing.attempt,
        standing.collecting_unit_id,
        residence,
        step.occurred_at,
        resumes,
        residence_on,
    )


class InForce(msgspec.Struct, frozen=True):
    """Which corrections and allocations of a dossier count."""

    voided: frozenset[int]
    """The versions that do not stand; corrections may be among them."""
    confirmed: Mapping[int, int]
    """The versions of asked corrections that another officer has confirmed, each with that of its first confirmation."""
    applied: tuple[Reassigned | Amended, ...]
    """The reassignments and amendments that count, in the order in which they came to count."""
    allocations: Mapping[tuple[int, UUID], UUID]
    """By level and split unit the part to which the last allocation that counts put it."""


def in_force(entries: Sequence[AnyDossierEvent]) -> InForce:
    """Return which corrections count. One that was voided does not, nor does one that waits for its confirmation."""
    voided: set[int] = set()
    confirmed: dict[int, int] = {}
    # From the last one back: a correction is about an entry before it, so what is said of it is known by then.
    for version in range(len(entries), 0, -1):
        entry = entries[version - 1]
        if version in voided or not isinstance(entry, Correction):
            continue
        if isinstance(entry, Confirmed):
            # Where a confirmation was taken back and is back, there are two: since the first of them it counts.
            confirmed[entry.corrects] = version
        elif isinstance(entry, Voided) and (not entry.asked or version in confirmed):
            voided.add(entry.corrects)
    since = {
        confirmed.get(version, version): entry
        for version, entry in enumerate(entries, 1)
        if isinstance(entry, Reassigned | Amended)
        and version not in voided
        and (not entry.asked or version in confirmed)
    }
    allocations = {
        (entry.level, split_id): entry.unit_id
        for version, entry in enumerate(entries, 1)
        if isinstance(entry, Allocated) and version not in voided
        for split_id in entry.split_ids
    }
    applied = tuple(since[version] for version in sorted(since))
    return InForce(frozenset(voided), confirmed, applied, allocations)


def standing_steps(entries: Sequence[AnyDossierEvent], force: InForce | None = None) -> dict[int, AnyStep]:
    """Return the steps that stand, by version, as corrected and allocated: where they count, and their details."""
    force = force or in_force(entries)
    units: dict[int, UUID] = {}
    amended: dict[int, AnyStep] = {}
    for correction in force.applied:
        if isinstance(correction, Reassigned):
            units[correction.corrects] = correction.unit_id
        elif isinstance(correction, Amended):
            step = amended.get(correction.corrects) or entries[correction.corrects - 1]
            assert isinstance(step, Step), correction.key
            amended[correction.corrects] = amend(step, correction)
    steps: dict[int, AnyStep] = {}
    collecting: dict[int, UUID] = {}
    for version, entry in enumerate(entries, 1):
        if version in force.voided or not isinstance(entry, Step):
            continue
        step = amended.get(version, entry)
        unit_id = units.get(version)
        if unit_id is None:
            # One without a unit of its own counts at the collecting unit, wherever that has gone.
            follows = step.unit is None and not isinstance(step, Collected)
            unit_id = collecting.get(step.level, step.unit_id) if follows else step.unit_id
        allocated_id = force.allocations.get((step.level, unit_id))
        if unit_id != step.unit_id or allocated_id != step.allocated_id:
            step = msgspec.structs.replace(step, unit_id=unit_id, allocated_id=allocated_id)
        if isinstance(step, Collected):
            collecting[step.level] = unit_id
        steps[version] = step
    return steps


def counting_at(dossier: Dossier, level: int) -> tuple[UUID, ...]:
    """Return the units at which a level's standing steps count, and so what waits, in the order of the steps."""
    steps = standing_steps(dossier.entries).values()
    return tuple(dict.fromkeys(step.unit_id for step in steps if step.level == level))


def amend(step: AnyStep, amended: Amended) -> AnyStep:
    """Return a step with the details that an amendment gives it."""
    return msgspec.structs.replace(
        step,
        place=amended.place or step.place,
        partner=amended.partner or step.partner,
        team=step.team if amended.team is None else None if amended.team == NO_TEAM else amended.team,
        note=amended.note or step.note,
    )


def levels_of(steps: Iterable[AnyStep]) -> dict[int, Standing]:
    """Return where the levels stand after steps, which are lawful."""
    levels: dict[int, Standing] = {}
    for step in steps:
        levels[step.level] = stand(levels.get(step.level), step)
    return levels


def counted(entries: Sequence[AnyDossierEvent]) -> dict[Change, tuple[int, int]]:
    """Return where a dossier counts: how many events or waits, and how many of them are the person's first."""
    places: dict[Change, tuple[int, int]] = {}
    seen: set[Type] = set()
    levels: dict[int, Standing] = {}
    force = in_force(entries)
    for step in standing_steps(entries, force).values():
        standing = levels[step.level] = stand(levels.get(step.level), step)
        place = Change(
            type=step.TYPE,
            level=step.level,
            unit_id=step.unit_id,
            occurred_at=step.occurred_at,
            place=step.place,
            partner=step.partner,
            team=step.team,
            residence=standing.residence,
            residence_on=None if step.residence_unit else standing.residence_on,
            actor=step.actor,
            reason=getattr(step, "reason", None),
            allocated_id=step.allocated_id,
        )
        count, persons = places.get(place, (0, 0))
        places[place] = (count + 1, persons + (step.TYPE not in seen))
        seen.add(step.TYPE)
    for level, standing in levels.items():
        if standing.state in WAITING:
            place = Change(
                waits=standing.state,
                level=level,
                unit_id=standing.collecting_unit_id,
                occurred_at=standing.stand.occurred_at,
                place=standing.stand.place,
                partner=standing.stand.partner,
                team=standing.stand.team,
                residence=standing.stand.residence,
                residence_on=standing.stand.residence_on,
                card=standing.stand.card,
                actor=standing.stand.actor,
                allocated_id=force.allocations.get((level, standing.collecting_unit_id)),
            )
            places[place] = (1, 0)
    return places


def changes(before: Sequence[AnyDossierEvent], after: Sequence[AnyDossierEvent]) -> tuple[Change, ...]:
    """Return what takes the counts of a dossier from those of *before* to those of *after*."""
    old, new = counted(before), counted(after)
    found = []
    for place in {**old, **new}:
        count = new.get(place, (0, 0))[0] - old.get(place, (0, 0))[0]
        persons = new.get(place, (0, 0))[1] - old.get(place, (0, 0))[1]
        if count or persons:
            found.append(msgspec.structs.replace(place, count=count, persons=persons))
    return tuple(found)


def evolve(dossier: Dossier, event: AnyDossierEvent) -> Dossier:
    """Apply the dossier's next event. Events come from the log, so a misfit is a bug: assert."""
    assert event.key not in dossier.keys, (dossier.id, event.key)
    assert not dossier.erasures, dossier.id
    if not isinstance(event, Step):
        return replay(dossier, (event,))
    entries = (*dossier.entries, event)
    level, types = event.level, dossier.types
    return Dossier(
        dossier.id,
        entries,
        {**dossier.levels, level: stand(dossier.levels.get(level), event)},
        {**dossier.keys, event.key: len(entries)},
        types if event.TYPE in types else types | {event.TYPE},
        dossier.allocations,
    )


def replay(dossier: Dossier, events: Iterable[AnyDossierEvent]) -> Dossier:
    """Apply the dossier's next events; as ``evolve`` does one after the other, in less time."""
    entries = (*dossier.entries, *events)
    assert not dossier.erasures, dossier.id
    keys = {event.key: version for version, event in enumerate(entries, 1)}
    assert len(keys) == len(entries), dossier.id
    steps = [entry for entry in entries if isinstance(entry, Step)]
    allocations: Mapping[tuple[int, UUID], UUID] = {}
    if len(steps) < len(entries):
        force = in_force(entries)
        steps = list(standing_steps(entries, force).values())
        allocations = force.allocations
    types = frozenset([step.TYPE for step in steps])
    return Dossier(dossier.id, entries, levels_of(steps), keys, types, allocations)


def dossier_of(dossier_id: UUID, entries: Iterable[Recorded]) -> Dossier:
    """Return a dossier from all entries of its stream."""
    reported, erasures = dossier_events(entries)
    dossier = replay(Dossier(dossier_id), reported)
    return msgspec.structs.replace(dossier, erasures=len(erasures)) if erasures else dossier
