"""A correction of an entry: voided, amended, reassigned; and its confirmation by another officer."""

from collections.abc import Sequence
from typing import assert_never

import msgspec

from ledger.commands import Amend, AnyCorrectionCommand, Confirm, Reassign, Void
from ledger.decisions.law import check_step
from ledger.decisions.placing import Placing
from ledger.decisions.sent import as_sent
from ledger.dossier import Dossier, InForce, Standing, changes, in_force, stand, standing_steps
from ledger.errors import (
    AlreadyVoidedError,
    EntryUnknownError,
    IsAllocationError,
    IsCorrectionError,
    NothingChangesError,
    NothingToConfirmError,
    SameOfficerError,
    StateError,
    StillNeededError,
)
from ledger.events import (
    Allocated,
    Amended,
    AnyCorrection,
    AnyDossierEvent,
    Confirmed,
    Correction,
    Locked,
    Reassigned,
    Voided,
)


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
