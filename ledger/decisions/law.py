"""Which steps are lawful from which state.

The law behind the states, per level (Decree 69/2024/NĐ-CP, Art. 10 to 15, 29, 30; Law 26/2023/QH15, Art. 34):
collected → approved | rejected; rejected → collected again; approved → notified → activated, or activated
directly; an approval can be withdrawn until then; activated ⇄ locked. docs/life-cycle.md has every case.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import get_args

from ledger.dossier import Standing
from ledger.errors import (
    AccountLockedError,
    AlreadyActiveError,
    AlreadyApprovedError,
    AlreadyCollectedError,
    AlreadyLockedError,
    AlreadyNotifiedError,
    NotActiveError,
    NotApprovedError,
    NotCollectedError,
    NotLockedError,
    OutOfOrderError,
    StateError,
)
from ledger.events import Stand, State, Type

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
