"""How a report is frozen: what it can be called, and whether it is another one."""

import re
from collections.abc import Iterable
from datetime import datetime

import msgspec

from ledger.checks import ACTOR_CHARACTERS_MAX, check_text
from ledger.errors import FieldInvalidError, ReportNameTakenError
from ledger.frozen_events import ReportFrozen

NAME_CHARACTERS_MAX = 64
_is_name = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII).fullmatch


class FrozenReport(msgspec.Struct, frozen=True):
    """A report as it was frozen."""

    report: ReportFrozen
    frozen_at: int
    """The position of the event that froze it."""
    recorded_at: datetime
    """When that was recorded, UTC."""


def check_report(name: str, title: str, actor: str) -> None:
    """Raise InputError unless a report can be called so. A name is part of addresses and of file names."""
    check_text("name", name, NAME_CHARACTERS_MAX)
    if not _is_name(name):
        raise FieldInvalidError(
            "name", "letters, digits, ., - and _, the first one a letter or digit, as 2024-12-09-evening"
        )
    if title:
        check_text("title", title)
    check_text("actor", actor, ACTOR_CHARACTERS_MAX)


def decide_freeze(known: Iterable[FrozenReport], report: ReportFrozen) -> FrozenReport | None:
    """Return the report where it was frozen before, the same; None: it is to be recorded.

    Whoever repeats it may be somebody else, and the hash is what the first one found.

    Raises:
        ReportNameTakenError: The name is that of another report.
    """
    for one in known:
        if one.report.name != report.name:
            continue
        differing = [
            field
            for field in ("definition", "position", "title")
            if getattr(one.report, field) != getattr(report, field)
        ]
        if differing:
            raise ReportNameTakenError(report.name, one.report.position, differing)
        return one
    return None
