"""What is told of a report's changes."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal, get_args

import msgspec

PAGE_MAX = 1000

Kind = Literal["arrived_late", "occurred_since", "corrected", "allocated", "moved"]
"""Why a count of a report is another one now: an event that had occurred by the cut-off was recorded later; it occurred
later; an entry was corrected; a dossier of a split unit was allocated; units were reorganised."""
KINDS: tuple[Kind, ...] = get_args(Kind)


class CountChange(msgspec.Struct, frozen=True):
    """A count of a report, then and now; ``frozen`` and the five kinds add up to ``now``."""

    frozen: int
    now: int
    difference: int
    arrived_late: int = 0
    occurred_since: int = 0
    corrected: int = 0
    allocated: int = 0
    moved: int = 0


class ChangingEvent(msgspec.Struct, frozen=True):
    """What was recorded after a report's cut-off and changes it."""

    position: int
    """Of a reorganisation: of its first event."""
    kind: Kind
    type: str
    """As histories call it; ``reorganised``, ``withdrawn`` or ``opened`` of units."""
    unit: str | None
    """Code of the unit at which it counts, as of the day on which it occurred; null of a reorganisation."""
    occurred_at: datetime | None
    """When it happened; of a correction, when it was made. Null of a reorganisation, which has"""
    effective: date | None
    """the first day on which it holds."""
    recorded_at: datetime
    """When the ledger learnt it, UTC."""
    detail: str | None
    """Of a reorganisation its decree."""
    changes: list[dict[str, Any]]
    """What it does to the report: in which row, which measure, by how much. The rows say it of reorganisations."""


class ReportChanges(msgspec.Struct, frozen=True):
    """A frozen report beside what is known now."""

    name: str
    frozen_position: int
    position: int
    """What *now* means: every count of it is true for this position."""
    recorded_at: datetime
    """When the event at that position was recorded, UTC."""
    rows: list[dict[str, Any]]
    """Those of both, each with what it is of and ``counts``: a ``CountChange`` by measure."""
    sum: dict[str, CountChange]
    events: list[ChangingEvent]
    """A page of them, in the order of the log."""
    next: int | None
    """The position to go on after; null: there are no more."""


def added(changes: Sequence[CountChange]) -> CountChange:
    """Return the sum of some counts' changes."""
    names = CountChange.__struct_fields__
    return CountChange(**{name: sum(getattr(change, name) for change in changes) for name in names})
