"""A question about dossiers that wait, and a page of the answer."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

import msgspec

from ledger.commands import PLACES
from ledger.errors import FieldInvalidError, PersonalNumberError
from ledger.masking import may_be_number, shown

PAGE_MAX = 1000

Awaiting = Literal["approval", "activation"]
Waits = Literal["collected", "approved", "notified"]


class WorklistQuery(msgspec.Struct, frozen=True, omit_defaults=True):
    """A question about dossiers that wait. What is absent does not matter."""

    unit: str | None = None
    """Code of a unit, of today: it and everything under it. Absent: the whole ledger."""
    awaiting: Awaiting | None = None
    """What is waited for."""
    state: Waits | None = None
    level: int | None = None
    overdue: bool | None = None
    """Only those whose time is up, or only the others."""
    place: str | None = None
    """Where it was collected."""
    team: str | None = None
    """Which team collected it."""
    actor: str | None = None
    """Which officer collected it."""
    residence: str | None = None
    """Code of the unit where the citizen lives, as it was sent."""
    limit: int = 100
    cursor: str | None = None
    """The ``next`` of the page before; the question must be the same."""


class WorklistRow(msgspec.Struct, frozen=True):
    """One level of a dossier that waits."""

    dossier_id: UUID
    level: int
    state: Waits
    awaiting: Awaiting
    since: datetime
    """When what made it wait occurred, UTC."""
    age_days: int
    """Days since, in Vietnam; 0: since today."""
    overdue: bool
    due: date | None
    """The last day of its time limit; null: none runs, because nobody has notified the citizen yet."""
    unit: dict[str, str | None]
    """Where it counts today, code, name and level; a collecting unit that has ended has successors."""
    allocated: bool
    """False: that unit is only the nearest one above all to which it could belong."""
    collecting_unit: dict[str, str | None]
    """As it was called when the wait began."""
    residence: str | None
    """As it was sent, if it was."""
    place: str
    """Of the collection, as are team, actor and card."""
    team: str | None
    actor: str
    card: str
    attempt: int
    """Which collection of this level it is, from 1."""
    position: int
    """Of what made it wait, in the ledger."""


class WorklistAnswer(msgspec.Struct, frozen=True):
    """A page of dossiers that wait, those overdue first, then the oldest.

    The pages from a first one to the last tell each wait once that lasts from then on: not what has begun
    or ended meanwhile. A correction that makes a dossier wait again since an earlier day may be in the next list only.
    """

    position: int
    """The ledger position that the page is true for."""
    recorded_at: datetime
    """When the event at that position was recorded, UTC."""
    projection: str
    on: date
    """The day (Vietnam) on which they are overdue, and whose tree of units counts: today, when the first page was told."""
    provisional: bool
    """Whether a time limit counts a day of which nobody has announced yet whether it is a holiday."""
    rows: list[WorklistRow]
    next: str | None
    """The cursor of the next page; null: this is the last."""


def check(query: WorklistQuery) -> None:
    """Raise InputError where a question cannot be one."""
    if not 1 <= query.limit <= PAGE_MAX:
        raise FieldInvalidError("limit", f"{query.limit} is not 1 to {PAGE_MAX:,}")
    if query.place is not None and query.place not in PLACES:
        raise FieldInvalidError("place", f"{shown(query.place)} is not one of {', '.join(sorted(PLACES))}")
    for name in ("team", "actor", "residence"):
        text = getattr(query, name)
        if text is None:
            continue
        if not text.isprintable():
            raise FieldInvalidError(name, "it has letters that no code has")
        if may_be_number(text):
            # It would be a parameter of a statement, which PostgreSQL may be told to log.
            raise PersonalNumberError(name)
