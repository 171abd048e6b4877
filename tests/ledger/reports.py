"""Reports as a client would send them, each right in itself unless a test says otherwise."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from ledger import Activate, Approve, Collect, Reject
from ledger.commands import Command

CITIZEN = "038090001234"
UNIT, OTHER_UNIT = "14758", "14761"
VIETNAM = timezone(timedelta(hours=7))
DAY = timedelta(days=1)
MONDAY = datetime(2024, 12, 2, 8, 0, tzinfo=VIETNAM)


def citizen(number: int) -> str:
    return f"0380{number:08}"


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


def a_life(**fields: Any) -> list[Any]:
    """Collected, approved, activated."""
    return [collect(**fields), approve(**fields), activate(**fields)]


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)
