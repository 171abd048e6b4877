"""What a dossier is, and what may happen to it.

Pure functions: ``decide_*`` turn a dossier and a wish into an event or raise a
LedgerError; ``evolve`` turns a dossier and an event into the next dossier. No
clock, no database, no ids invented here.

The law behind the states, per level (Decree 69/2024/NĐ-CP, Art. 10 to 14):
collected → approved | rejected; rejected → collected again; approved → activated.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import reduce
from typing import Any, assert_never
from uuid import UUID

import msgspec

from ledger.commands import Activate, AnyCommand, Approve, Collect, Command, Reject
from ledger.errors import (
    AlreadyActiveError,
    AlreadyApprovedError,
    AlreadyCollectedError,
    NotApprovedError,
    NotCollectedError,
    OutOfOrderError,
)
from ledger.events import (
    Activated,
    AnyDossierEvent,
    Approved,
    Collected,
    Previous,
    Rejected,
    State,
)


class Standing(msgspec.Struct, frozen=True, gc=False):
    """Where one level of a dossier stands."""

    state: State
    attempt: int
    collecting_unit_id: UUID
    residence: str | None
    occurred_at: datetime
    """When the last standing event happened; nothing of this level may happen before it."""
    place: str
    partner: str

    def as_previous(self) -> Previous:
        return Previous(
            state=self.state, occurred_at=self.occurred_at, place=self.place, partner=self.partner
        )


class Dossier(msgspec.Struct, frozen=True, gc=False):
    """One citizen's file: both levels, all attempts."""

    id: UUID
    version: int = 0
    """The number of its events; 0 for a dossier that is about to get its first."""
    levels: dict[int, Standing] = {}
    keys: dict[str, int] = {}
    """Every key ever used in this dossier, with the version of its event."""
    types: frozenset[State] = frozenset()
    """The types of event the person has had, over both levels."""


class Placing(msgspec.Struct, frozen=True, gc=False):
    """What a decision needs beside the dossier and the wish."""

    unit_id: UUID | None
    """The unit that the command's code means at its time; None where no code was sent."""
    note: bytes | None = None
    """The sealed note."""


def decide(dossier: Dossier, command: AnyCommand, placing: Placing) -> AnyDossierEvent:
    """Return the event that *command* makes of *dossier*.

    Raises:
        StateError: The dossier's level is elsewhere, or has a later event; nothing changes.
    """
    match command:
        case Collect():
            return decide_collect(dossier, command, placing)
        case Approve():
            return decide_approve(dossier, command, placing)
        case Reject():
            return decide_reject(dossier, command, placing)
        case Activate():
            return decide_activate(dossier, command, placing)
        case _:
            assert_never(command)


def decide_collect(dossier: Dossier, command: Collect, placing: Placing) -> Collected:
    standing = dossier.levels.get(command.level)
    if standing is not None and standing.state != "rejected":
        raise AlreadyCollectedError(
            f"level {command.level} of this dossier is {standing.state} already, since "
            f"{standing.occurred_at.isoformat()}; it can be collected again only after a rejection"
        )
    _check_order(standing, command)
    assert placing.unit_id is not None, "a collection has a unit"
    return Collected(
        **as_sent(command),
        note=placing.note,
        unit_id=placing.unit_id,
        residence=command.residence_unit or None,
        attempt=1 if standing is None else standing.attempt + 1,
        first="collected" not in dossier.types,
        previous=None if standing is None else standing.as_previous(),
    )


def decide_approve(dossier: Dossier, command: Approve, placing: Placing) -> Approved:
    standing = _awaiting_approval(dossier, command)
    return Approved(
        **as_sent(command),
        note=placing.note,
        unit_id=placing.unit_id or standing.collecting_unit_id,
        residence=command.residence_unit or standing.residence,
        attempt=standing.attempt,
        first="approved" not in dossier.types,
        collecting_unit_id=standing.collecting_unit_id,
        previous=standing.as_previous(),
    )


def decide_reject(dossier: Dossier, command: Reject, placing: Placing) -> Rejected:
    standing = _awaiting_approval(dossier, command)
    return Rejected(
        **as_sent(command),
        note=placing.note,
        reason=command.reason,
        unit_id=placing.unit_id or standing.collecting_unit_id,
        residence=command.residence_unit or standing.residence,
        attempt=standing.attempt,
        first="rejected" not in dossier.types,
        collecting_unit_id=standing.collecting_unit_id,
        previous=standing.as_previous(),
    )


def decide_activate(dossier: Dossier, command: Activate, placing: Placing) -> Activated:
    standing = dossier.levels.get(command.level)
    if standing is not None and standing.state == "activated":
        raise AlreadyActiveError(
            f"level {command.level} of this dossier was activated at {standing.occurred_at.isoformat()}; "
            "only the first activation counts"
        )
    if standing is None or standing.state != "approved":
        where = "was never collected" if standing is None else f"is {standing.state}"
        raise NotApprovedError(
            f"level {command.level} of this dossier {where}; it can be activated once it is approved"
        )
    _check_order(standing, command)
    assert placing.unit_id is not None, "an activation has a unit"
    return Activated(
        **as_sent(command),
        note=placing.note,
        unit_id=placing.unit_id,
        residence=command.residence_unit or standing.residence,
        attempt=standing.attempt,
        first="activated" not in dossier.types,
        collecting_unit_id=standing.collecting_unit_id,
        previous=standing.as_previous(),
    )


def as_sent(command: Command) -> dict[str, Any]:
    """Return what every event repeats of its report, empty being the same as absent."""
    return {
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


def differences(event: AnyDossierEvent, note: str, command: AnyCommand) -> tuple[str, ...]:
    """Return the fields in which a report differs from the one that made *event*.

    Compared as sent: what the ledger made of it (the unit resolved, say) plays no
    part, so a later reorganisation cannot make a retry look different. Times are
    compared as instants. *note* is the event's note, unsealed.
    """
    found = [name for name, value in as_sent(command).items() if getattr(event, name) != value]
    if event.TYPE != command.TYPE:
        found.append("type")
    if note != command.note:
        found.append("note")
    if isinstance(event, Rejected) and isinstance(command, Reject) and event.reason != command.reason:
        found.append("reason")
    return tuple(found)


def _awaiting_approval(dossier: Dossier, command: Command) -> Standing:
    standing = dossier.levels.get(command.level)
    if standing is None or standing.state == "rejected":
        where = "was never collected" if standing is None else "was rejected and not collected again"
        raise NotCollectedError(f"level {command.level} of this dossier {where}")
    if standing.state != "collected":
        raise AlreadyApprovedError(f"level {command.level} of this dossier is {standing.state} already")
    _check_order(standing, command)
    return standing


def _check_order(standing: Standing | None, command: Command) -> None:
    # Equal is allowed: forms are stamped to the minute, and an officer does two steps within one.
    if standing is not None and command.occurred_at < standing.occurred_at:
        raise OutOfOrderError(command.occurred_at, standing.state, standing.occurred_at)


def evolve(dossier: Dossier, event: AnyDossierEvent) -> Dossier:
    """Apply the dossier's next event. Events come from the log, so a misfit is a bug: assert."""
    assert event.key not in dossier.keys, (dossier.id, event.key)
    version = dossier.version + 1
    standing = Standing(
        event.TYPE,
        event.attempt,
        event.collecting_unit_id,
        event.residence,
        event.occurred_at,
        event.place,
        event.partner,
    )
    return Dossier(
        dossier.id,
        version,
        {**dossier.levels, event.level: standing},
        {**dossier.keys, event.key: version},
        dossier.types | {event.TYPE},
    )


def replay(dossier: Dossier, events: Iterable[AnyDossierEvent]) -> Dossier:
    return reduce(evolve, events, dossier)
