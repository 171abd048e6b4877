"""What a report says, as it was sent: what its event repeats, and what a retry is compared by."""

from typing import Any, assert_never

from ledger.commands import (
    Allocate,
    Amend,
    AnyCommand,
    Collect,
    Confirm,
    Lock,
    Reassign,
    Reject,
    StepCommand,
    Unlock,
    Void,
    Withdraw,
)
from ledger.events import AnyDossierEvent


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
