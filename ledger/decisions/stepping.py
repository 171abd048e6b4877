"""A step of a level: collected, approved, activated and so on."""

from collections.abc import Callable, Mapping

from ledger.commands import (
    Activate,
    AnyStepCommand,
    Approve,
    Collect,
    Lock,
    Notify,
    Reject,
    Unlock,
    Withdraw,
)
from ledger.decisions.law import check_step
from ledger.decisions.placing import Placing
from ledger.decisions.sent import as_sent
from ledger.dossier import Dossier
from ledger.events import (
    Activated,
    AnyStep,
    Approved,
    Collected,
    Locked,
    Notified,
    Rejected,
    Unlocked,
    Withdrawn,
)


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
