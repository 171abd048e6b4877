"""What may happen to a dossier.

Pure functions: ``decide`` turns a dossier and a wish into an event or raises a
LedgerError. No clock, no database, no ids invented here.

The law behind the states, per level (Decree 69/2024/NĐ-CP, Art. 10 to 15, 29, 30; Law 26/2023/QH15, Art. 34):
collected → approved | rejected; rejected → collected again; approved → notified → activated, or activated
directly; an approval can be withdrawn until then; activated ⇄ locked. docs/life-cycle.md has every case.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, assert_never, get_args
from uuid import UUID

import msgspec

from ledger.commands import (
    Activate,
    Allocate,
    Amend,
    AnyCommand,
    AnyCorrectionCommand,
    AnyStepCommand,
    Approve,
    Collect,
    Confirm,
    Lock,
    Notify,
    Reassign,
    Reject,
    StepCommand,
    Unlock,
    Void,
    Withdraw,
)
from ledger.dossier import (
    Dossier,
    InForce,
    Standing,
    changes,
    counting_at,
    in_force,
    stand,
    standing_steps,
)
from ledger.errors import (
    AccountLockedError,
    AlreadyActiveError,
    AlreadyApprovedError,
    AlreadyCollectedError,
    AlreadyLockedError,
    AlreadyNotifiedError,
    AlreadyVoidedError,
    EntryUnknownError,
    ErasedError,
    IsAllocationError,
    IsCorrectionError,
    NotActiveError,
    NotApprovedError,
    NotCollectedError,
    NothingChangesError,
    NothingToConfirmError,
    NotLockedError,
    NotSplitError,
    OutOfOrderError,
    SameOfficerError,
    StateError,
    StillNeededError,
)
from ledger.events import (
    Activated,
    Allocated,
    Amended,
    AnyCorrection,
    AnyDossierEvent,
    AnyStep,
    Approved,
    Collected,
    Confirmed,
    Correction,
    Locked,
    Notified,
    Reassigned,
    Rejected,
    Stand,
    State,
    Type,
    Unlocked,
    Voided,
    Withdrawn,
)


class Placing(msgspec.Struct, frozen=True, gc=False):
    """What a decision needs beside the dossier and the wish."""

    unit_id: UUID | None = None
    """The unit that the command's code means at its time; None where no code was sent."""
    note: bytes | None = None
    """The sealed note."""
    before_activation: bool = False
    """Of a lock: whether its ground also meets an account that is not activated yet."""
    four_eyes: bool = False
    """Whether corrections wait until another officer confirms them."""
    split_ids: frozenset[UUID] = frozenset()
    """Of an allocation: of the units where its level counts those that were split with ``unit_id`` among their heirs."""


FROM: Mapping[Type, frozenset[State | None]] = {
    "collected": frozenset((None, "rejected", "withdrawn")),
    "approved": frozenset(("collected",)),
    "rejected": frozenset(("collected",)),
    "notified": frozenset(("approved",)),
    "withdrawn": frozenset(("approved", "notified")),
    "activated": frozenset(("approved", "notified")),
    "locked": frozenset(("approved", "notified", "activated")),
    "unlocked": frozenset(("locked",)),
}
"""From which states of its level a step is lawful; None is a level that was never collected.

A lock needs a ground that meets such an account where it is not activated yet.
"""


_NOT_DECIDED: Mapping[State | None, type[StateError]] = {
    **dict.fromkeys((None, "rejected", "withdrawn"), NotCollectedError),
    **dict.fromkeys(("approved", "notified", "activated", "locked"), AlreadyApprovedError),
}
_NOT_APPROVED: Mapping[State | None, type[StateError]] = {
    **dict.fromkeys((None, "collected", "rejected", "withdrawn"), NotApprovedError),
    "notified": AlreadyNotifiedError,
    "activated": AlreadyActiveError,
    "locked": AccountLockedError,
}
_ELSEWHERE: Mapping[Type, Mapping[State | None, type[StateError]]] = {
    "collected": dict.fromkeys(get_args(State), AlreadyCollectedError),
    "approved": _NOT_DECIDED,
    "rejected": _NOT_DECIDED,
    "notified": _NOT_APPROVED,
    "withdrawn": _NOT_APPROVED,
    "activated": _NOT_APPROVED,
    "locked": dict.fromkeys((None, *get_args(State)), NotActiveError) | {"locked": AlreadyLockedError},
    "unlocked": dict.fromkeys((None, *get_args(State)), NotLockedError),
}
"""The refusal of a step from each state of its level; where it is lawful, nobody looks."""
_SENTENCES: Mapping[type[StateError], str] = {
    AlreadyCollectedError: "{} already; it can be collected again only after a rejection or a withdrawn approval",
    NotCollectedError: "{}; first it must be collected",
    AlreadyApprovedError: "{} already",
    NotApprovedError: "{}; first it must be approved",
    AlreadyNotifiedError: "{} already; only the first notice counts",
    AlreadyActiveError: "{} already; only the first activation counts, and an active account is not withdrawn but locked",
    AccountLockedError: "{}; first it must be unlocked",
    NotActiveError: "{}, not activated; before that it is locked on few grounds, and only once approved",
    AlreadyLockedError: "{} already",
    NotLockedError: "{}, not locked",
}


def check_step(
    standing: Standing | None,
    type_: Type,
    level: int,
    occurred_at: datetime,
    *,
    before_activation: bool = False,
) -> None:
    """Raise a StateError unless a step is lawful where a level stands."""
    state = None if standing is None else standing.stand.state
    if state not in FROM[type_] or (type_ == "locked" and state != "activated" and not before_activation):
        raise _refusal(standing, type_, level)
    # Equal is allowed: forms are stamped to the minute, and an officer does two steps within one.
    if standing is not None and occurred_at < standing.occurred_at:
        raise OutOfOrderError(occurred_at, standing.stand.state, standing.occurred_at)


def _refusal(standing: Standing | None, type_: Type, level: int) -> StateError:
    place: Stand | None = None if standing is None else standing.stand
    if standing and standing.resumes and type_ in {"notified", "withdrawn", "activated"}:
        # What a lock cannot undo is told before the lock is.
        place = standing.resumes if standing.resumes.state == "activated" else place
    error = _ELSEWHERE[type_][None if place is None else place.state]
    where = (
        "was never collected" if place is None else f"is {place.state} since {place.occurred_at.isoformat()}"
    )
    return error(_SENTENCES[error].format(f"level {level} of this dossier {where}"))


def decide(dossier: Dossier, command: AnyCommand, placing: Placing) -> AnyDossierEvent:
    """Return the event that *command* makes of *dossier*.

    Raises:
        StateError: The dossier is elsewhere or erased, or what would remain of it is not lawful; nothing changes.
    """
    if dossier.erasures:
        raise ErasedError(
            f"level {command.level} of this dossier takes no more reports: its citizen was erased"
        )
    if isinstance(command, StepCommand):
        return decide_step(dossier, command, placing)
    if isinstance(command, Allocate):
        return decide_allocation(dossier, command, placing)
    return decide_correction(dossier, command, placing)


def decide_step(dossier: Dossier, command: AnyStepCommand, placing: Placing) -> AnyStep:
    """Return the event that *command* makes of *dossier*.

    Raises:
        StateError: The dossier's level is elsewhere, or has a later event; nothing changes.
    """
    standing = dossier.levels.get(command.level)
    check_step(
        standing,
        command.TYPE,
        command.level,
        command.occurred_at,
        before_activation=placing.before_activation,
    )
    sent = as_sent(command)
    sent["note"] = placing.note
    sent["first"] = command.TYPE not in dossier.types
    level, allocations = command.level, dossier.allocations
    if isinstance(command, Collect):
        assert placing.unit_id is not None, "a collection has a unit"
        return Collected(
            **sent,
            unit_id=placing.unit_id,
            allocated_id=allocations.get((level, placing.unit_id)) if allocations else None,
            residence=command.residence_unit or None,
            attempt=1 if standing is None else standing.attempt + 1,
            previous=None if standing is None else standing.stand,
        )
    assert standing is not None, "only a collection begins"
    unit_id = sent["unit_id"] = placing.unit_id or standing.collecting_unit_id
    if allocations:
        sent["allocated_id"] = allocations.get((level, unit_id))
        sent["collecting_allocated_id"] = allocations.get((level, standing.collecting_unit_id))
    sent["residence"] = command.residence_unit or standing.residence
    sent["residence_on"] = None if command.residence_unit else standing.residence_on
    sent["attempt"] = standing.attempt
    sent["collecting_unit_id"] = standing.collecting_unit_id
    sent["previous"] = standing.stand
    if isinstance(command, Lock):
        sent["before_activation"] = placing.before_activation
    elif isinstance(command, Unlock):
        assert standing.resumes is not None, "a locked account stood somewhere"
        sent["resumes"] = standing.resumes
    return _FOLLOWING[type(command)](**sent)


_FOLLOWING: Mapping[type[AnyStepCommand], Callable[..., AnyStep]] = {
    Approve: Approved,
    Reject: Rejected,
    Notify: Notified,
    Withdraw: Withdrawn,
    Activate: Activated,
    Lock: Locked,
    Unlock: Unlocked,
}


def decide_allocation(dossier: Dossier, command: Allocate, placing: Placing) -> Allocated:
    """Return the event that an allocation makes of *dossier*, with what it does to the counts.

    Raises:
        NotSplitError: Nothing of the level counts at a unit that was split with the named one among its heirs.
        NothingChangesError: It belongs there already.
    """
    assert placing.unit_id is not None, "an allocation has a unit"
    split_ids = tuple(unit for unit in counting_at(dossier, command.level) if unit in placing.split_ids)
    if not split_ids:
        raise NotSplitError(
            f"level {command.level} of this dossier counts at no unit that was split with {command.unit} among its "
            "parts; the tree of units tells what became of each"
        )
    if all(dossier.allocations.get((command.level, unit)) == placing.unit_id for unit in split_ids):
        raise NothingChangesError(
            f"level {command.level} of this dossier belongs to {command.unit} already; nothing would change"
        )
    allocated = Allocated(**as_sent(command), note=placing.note, unit_id=placing.unit_id, split_ids=split_ids)
    after = (*dossier.entries, allocated)
    return msgspec.structs.replace(allocated, changes=changes(dossier.entries, after))


def decide_correction(dossier: Dossier, command: AnyCorrectionCommand, placing: Placing) -> AnyCorrection:
    """Return the event that a correction makes of *dossier*, with what it does to the counts.

    Where four eyes are asked for it does nothing yet: it waits for another officer to confirm it. A
    correction that waits can be voided by anybody, which declines it at once.

    Raises:
        CorrectionError: What it is about does not stand, or cannot be corrected so; nothing changes.
    """
    force = in_force(dossier.entries)
    entry = _corrected(dossier, command, force)
    waits = isinstance(entry, Correction) and entry.asked and command.corrects not in force.confirmed
    correction: AnyCorrection
    match command:
        case Void():
            correction = Voided(**as_sent(command), note=placing.note)
        case Reassign():
            _check_is_step(entry, command)
            assert placing.unit_id is not None, "a reassignment has a unit"
            correction = Reassigned(**as_sent(command), note=placing.note, unit_id=placing.unit_id)
        case Amend():
            _check_is_step(entry, command)
            correction = Amended(**as_sent(command), note=placing.note)
        case Confirm():
            _check_confirmable(command, entry, force, waits=waits)
            correction = Confirmed(**as_sent(command), note=placing.note)
        case _:
            assert_never(command)
    after = (*dossier.entries, correction)
    _check_lawful(after)
    # An allocation may be taken back also where nothing counts by it now: what comes would.
    changed = (
        standing_steps(after) != standing_steps(dossier.entries)
        or in_force(after).allocations != force.allocations
    )
    if not changed and not (isinstance(command, Void) and waits):
        raise NothingChangesError(
            f"entry {command.corrects} of this dossier stands like that already; nothing would change"
        )
    if placing.four_eyes and not waits:
        return msgspec.structs.replace(correction, asked=True)
    return msgspec.structs.replace(correction, changes=changes(dossier.entries, after))


def _corrected(dossier: Dossier, command: AnyCorrectionCommand, force: InForce) -> AnyDossierEvent:
    version = command.corrects
    if version > dossier.version:
        raise EntryUnknownError(
            f"this dossier has no entry {version}"
            + (f"; its last is {dossier.version}" if dossier.version else "")
        )
    entry = dossier.entries[version - 1]
    if entry.level != command.level:
        raise EntryUnknownError(
            f"entry {version} of this dossier is of level {entry.level}, not {command.level}"
        )
    if version in force.voided:
        raise AlreadyVoidedError(f"entry {version} of this dossier ({entry.TYPE}) was voided before")
    return entry


def _check_is_step(entry: AnyDossierEvent, command: AnyCorrectionCommand) -> None:
    if isinstance(entry, Allocated):
        raise IsAllocationError(
            f"entry {command.corrects} of this dossier is an allocation; void it, or allocate the dossier again"
        )
    if isinstance(entry, Correction):
        raise IsCorrectionError(
            f"entry {command.corrects} of this dossier is a correction ({entry.TYPE}); void it, or correct again what "
            f"it is about: entry {entry.corrects}"
        )


def _check_confirmable(command: Confirm, entry: AnyDossierEvent, force: InForce, *, waits: bool) -> None:
    if not waits:
        raise NothingToConfirmError(
            f"entry {command.corrects} of this dossier ({entry.TYPE}) waits for no confirmation"
        )
    assert isinstance(entry, Correction)
    if entry.actor.casefold() == command.actor.casefold():
        raise SameOfficerError(
            f"{command.actor} asked for this correction; another officer has to confirm it"
        )
    if entry.corrects in force.voided:
        raise AlreadyVoidedError(
            f"entry {entry.corrects} of this dossier, which this correction is about, was voided meanwhile"
        )


def _check_lawful(entries: Sequence[AnyDossierEvent]) -> None:
    levels: dict[int, Standing] = {}
    for version, step in standing_steps(entries).items():
        standing = levels.get(step.level)
        try:
            check_step(
                standing,
                step.TYPE,
                step.level,
                step.occurred_at,
                before_activation=isinstance(step, Locked) and step.before_activation,
            )
        except StateError as error:
            raise StillNeededError(
                f"the entries that would remain are not lawful: entry {version} ({step.TYPE}) would not be, for {error}; "
                f"correct entry {version} first"
            ) from None
        levels[step.level] = stand(standing, step)


def unit_at(dossier: Dossier, command: AnyCommand) -> datetime:
    """Return when the unit code of a command has to be valid."""
    if isinstance(command, Reassign) and command.corrects <= len(dossier.entries):
        return dossier.entries[command.corrects - 1].occurred_at
    return command.occurred_at


def as_sent(command: AnyCommand) -> dict[str, Any]:
    """Return what every event repeats of its report, empty being the same as absent."""
    if isinstance(command, StepCommand):
        sent = {
            "key": command.key,
            "level": command.level,
            "occurred_at": command.occurred_at,
            "actor": command.actor,
            "unit": command.unit or None,
            "place": command.place or "other",
            "team": command.team or None,
            "partner": command.partner or "none",
            "residence_unit": command.residence_unit or None,
        }
        if isinstance(command, Collect):
            sent["card"] = command.card or "valid"
        elif isinstance(command, (Reject, Withdraw, Lock, Unlock)):  # A union is made anew each time.
            sent["reason"] = command.reason
        return sent
    sent = {
        "key": command.key,
        "level": command.level,
        "occurred_at": command.occurred_at,
        "actor": command.actor,
    }
    if isinstance(command, Allocate):
        sent["unit"] = command.unit
        return sent
    sent["corrects"] = command.corrects
    match command:
        case Void():
            sent["reason"] = command.reason
        case Reassign():
            sent["unit"] = command.unit
        case Amend():
            sent["place"] = command.place or None
            sent["team"] = command.team or None
            sent["partner"] = command.partner or None
        case Confirm():
            pass
        case _:
            assert_never(command)
    return sent


def differences(event: AnyDossierEvent, note: str, command: AnyCommand) -> tuple[str, ...]:
    """Return the fields in which a report differs from the one that made *event*.

    Compared as sent: what the ledger made of it (the unit resolved, say) plays no
    part, so a later reorganisation cannot make a retry look different. Times are
    compared as instants. *note* is the event's note, unsealed.
    """
    # What another type of report does not have is told by the type.
    found = [name for name, value in as_sent(command).items() if getattr(event, name, value) != value]
    if event.TYPE != command.TYPE:
        found.append("type")
    if note != command.note:
        found.append("note")
    return tuple(found)
