"""One row of a list: where it counts today, and until when there is time."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from ledger.business_time import business_day
from ledger.working_days import WorkingDays
from projections.overdue import TimeLimit
from projections.worklist.questions import Waits, WorklistRow
from projections.worklist.today import Today


class Found(NamedTuple):
    """What the read model has of one that waits."""

    late: bool
    dossier_id: UUID
    level: int
    state: Waits
    since: datetime
    position: int
    unit_id: UUID
    allocated_id: UUID | None
    residence: str | None
    place: str
    team: str | None
    actor: str
    card: str
    attempt: int
    clock: int


class Dues:
    """The last days of time limits, each worked out once for a page."""

    def __init__(self, working_days: WorkingDays, limits: Sequence[TimeLimit]) -> None:
        self._working_days, self._limits = working_days, limits
        self._known: dict[tuple[int, date], date | None] = {}

    def due(self, clock: int, since: date) -> date | None:
        """Return the last day of what runs since a day; None where no limit runs."""
        key = clock, since
        if key not in self._known:
            self._known[key] = self._due(*key)
        return self._known[key]

    def _due(self, clock: int, since: date) -> date | None:
        if clock > len(self._limits):
            return None
        limit = self._limits[clock - 1]
        if limit.working_days:
            return self._working_days.due(since, limit.days)
        return since + timedelta(limit.days)


def row_of(found: Found, today: Today, dues: Dues) -> WorklistRow:
    """Return what is told of it."""
    since = business_day(found.since)
    place = today.place(found.unit_id, found.allocated_id)
    return WorklistRow(
        found.dossier_id,
        found.level,
        found.state,
        "approval" if found.state == "collected" else "activation",
        found.since,
        (today.day - since).days,
        found.late,
        dues.due(found.clock, since),
        today.name(place.unit_id, today.day),
        place.allocated,
        today.name(found.unit_id, since),
        found.residence,
        found.place,
        found.team,
        found.actor,
        found.card,
        found.attempt,
        found.position,
    )
