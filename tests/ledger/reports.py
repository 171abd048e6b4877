"""Reports as a client would send them, each right in itself unless a test says otherwise."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from typing import Any

from ledger import (
    Activate,
    Allocate,
    Amend,
    Approve,
    Collect,
    Confirm,
    Lock,
    Notify,
    Reassign,
    Reject,
    Unlock,
    Void,
    Withdraw,
)
from ledger.commands import Command

CITIZEN = "038090001234"
UNIT, OTHER_UNIT = "14758", "14761"
PART, OTHER_PART = "14764", "14767"
VIETNAM = timezone(timedelta(hours=7))
DAY = timedelta(days=1)
MONDAY = datetime(2024, 12, 2, 8, 0, tzinfo=VIETNAM)
_numbers = count(1)


def citizen(number: int) -> str:
    return f"0380{number:08}"


def new_citizen() -> str:
    """Return a citizen whom no test of this process has reported yet."""
    return citizen(next(_numbers))


def report(command_class: type[Command], /, **fields: Any) -> Any:
    return command_class(**{"citizen": CITIZEN, "level": 2, "actor": "cb01", **fields})


def collect(**fields: Any) -> Collect:
    return report(Collect, **{"key": "c1", "occurred_at": MONDAY, "unit": UNIT, **fields})


def approve(**fields: Any) -> Approve:
    return report(Approve, **{"key": "p1", "occurred_at": MONDAY + DAY, **fields})


def reject(**fields: Any) -> Reject:
    return report(Reject, **{"key": "r1", "occurred_at": MONDAY + DAY, "reason": "photo", **fields})


def activate(**fields: Any) -> Activate:
    return report(Activate, **{"key": "k1", "occurred_at": MONDAY + 2 * DAY, "unit": UNIT, **fields})


def notify(**fields: Any) -> Notify:
    return report(Notify, **{"key": "n1", "occurred_at": MONDAY + 2 * DAY, **fields})


def withdraw(**fields: Any) -> Withdraw:
    return report(Withdraw, **{"key": "w1", "occurred_at": MONDAY + 2 * DAY, "reason": "face", **fields})


def lock(**fields: Any) -> Lock:
    at = MONDAY + 3 * DAY
    return report(Lock, **{"key": "l1", "occurred_at": at, "unit": UNIT, "reason": "death", **fields})


def unlock(**fields: Any) -> Unlock:
    at = MONDAY + 4 * DAY
    return report(Unlock, **{"key": "u1", "occurred_at": at, "unit": UNIT, "reason": "other", **fields})


def allocate(**fields: Any) -> Allocate:
    """To one of the communes beside it, a month later, by another officer."""
    at = MONDAY + 30 * DAY
    return report(Allocate, **{"key": "b1", "occurred_at": at, "unit": PART, "actor": "cb02", **fields})


def correction(command_class: type[Command], /, **fields: Any) -> Any:
    """Made by another officer, a week later."""
    return report(command_class, **{"occurred_at": MONDAY + 7 * DAY, "actor": "cb02", **fields})


def void(**fields: Any) -> Void:
    return correction(Void, **{"key": "v1", "reason": "mistyped", **fields})


def reassign(**fields: Any) -> Reassign:
    return correction(Reassign, **{"key": "s1", "unit": OTHER_UNIT, **fields})


def amend(**fields: Any) -> Amend:
    return correction(Amend, **{"key": "m1", "place": "school", **fields})


def confirm(**fields: Any) -> Confirm:
    return correction(Confirm, **{"key": "f1", **fields})


def a_life(**fields: Any) -> list[Any]:
    """Collected, approved, activated."""
    return [collect(**fields), approve(**fields), activate(**fields)]


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)
