"""What is told of who looked at a dossier, and what an embargo keeps back. Pure.

While an embargo lasts, whoever may not lay one is told neither of looks for an investigation, whenever they were, nor
of embargoes. When it ends, by its day or because it was lifted, all of it comes to light.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from uuid import UUID

import msgspec

from ledger.business_time import business_day
from ledger.errors import FieldInvalidError, NoEmbargoError
from ledger.history import UnitName, name_of
from ledger.reads.events import (
    KEPT_YEARS,
    EmbargoLifted,
    EmbargoPlaced,
    Looked,
    LooksDropped,
    ReadsEntry,
    ReadsEvent,
    What,
)
from ledger.reads.purposes import INVESTIGATION
from ledger.units import UnitTree

EMBARGO_DAYS_MAX = KEPT_YEARS * 366
"""Ahead: for so long looks are kept; what is kept back for longer might never come to light."""
_TYPES = {Looked: "looked", EmbargoPlaced: "embargo_placed", EmbargoLifted: "embargo_lifted"}


class Look(msgspec.Struct, frozen=True):
    """One line of who looked, or of an embargo that was laid or lifted. What does not apply is null."""

    position: int
    """Its number in the log of looks; between those of one dossier there are those of others."""
    recorded_at: datetime
    """When, UTC."""
    type: str
    """looked, embargo_placed or embargo_lifted."""
    who: str
    """A person's subject, the id of a machine's key, or local."""
    kind: str
    """person, machine, or local: at the ledger's own machine."""
    unit: UnitName | None
    """The part of the tree over which they held the right to look, as it was called that day; null: all of it."""
    what: What | None
    """What they were told."""
    purpose: str | None
    """The code of what for."""
    text: str
    """What they said of the purpose, if anything; of an embargo, why."""
    until: date | None
    """Of an embargo, the last day, in Vietnam, on which it lasts unless it is lifted."""


class Looks(msgspec.Struct, frozen=True):
    """Who has looked at a dossier."""

    dossier_id: UUID
    embargo: date | None
    """The last day of the embargo that lasts now; null also for whoever may not know of it."""
    rows: list[Look]
    """Oldest first."""
    next: int | None
    """What to pass as after for those that follow; null: these are the last."""
    known_from: date | None
    """The day, in Vietnam, from which on every look is here; those from before it were dropped, but for dossiers that were
    under an embargo then. null: nothing was ever dropped."""


def embargo_on(last: ReadsEntry | None, day: date) -> date | None:
    """Return the last day of the embargo that a dossier is under on a business day; None: it is under none.

    Args:
        last: The last entry about an embargo on it; None: there is none.
    """
    if last is not None and isinstance(last.event, EmbargoPlaced) and day <= last.event.until:
        return last.event.until
    return None


def decide_place(until: date, day: date) -> None:
    """Raise FieldInvalidError unless an embargo can be laid on a business day that lasts until another."""
    if not 0 <= (until - day).days <= EMBARGO_DAYS_MAX:
        raise FieldInvalidError("until", f"a day from today, {day}, to {EMBARGO_DAYS_MAX} days ahead")


def decide_lift(last: ReadsEntry | None, dossier_id: UUID, day: date) -> None:
    """Raise NoEmbargoError unless there is an embargo to be lifted."""
    if embargo_on(last, day) is None:
        raise NoEmbargoError(dossier_id)


def tellable(entries: Iterable[ReadsEntry], *, hides: bool) -> Iterator[ReadsEntry]:
    """Yield what is told of entries: all of them, or where an embargo hides some from whoever asks, the others."""
    return (entry for entry in entries if not (hides and _kept_back(entry.event)))


def tell_looks(
    dossier_id: UUID,
    entries: Sequence[ReadsEntry],
    drops: Sequence[LooksDropped],
    tree: UnitTree,
    *,
    embargo: date | None,
    limit: int | None = None,
) -> Looks:
    """Return who has looked at a dossier.

    Args:
        entries: What is told, one more than *limit* where there are more.
        drops: All that were ever made.
        embargo: The last day of that which lasts, for whoever may know of it.
        limit: At most so many lines.
    """
    page = entries[:limit]
    return Looks(
        dossier_id,
        embargo,
        [_look(entry, tree) for entry in page],
        page[-1].position if len(page) < len(entries) else None,
        max((drop.before for drop in drops), default=None),
    )


def _kept_back(event: ReadsEvent) -> bool:
    return not isinstance(event, Looked) or event.purpose == INVESTIGATION


def _look(entry: ReadsEntry, tree: UnitTree) -> Look:
    event = entry.event
    assert not isinstance(event, LooksDropped), entry.position
    unit_id = event.unit_id if isinstance(event, Looked) else None
    return Look(
        position=entry.position,
        recorded_at=entry.recorded_at,
        type=_TYPES[type(event)],
        who=event.who,
        kind=event.kind,
        unit=None if unit_id is None else name_of(tree, unit_id, business_day(entry.recorded_at)),
        what=event.what if isinstance(event, Looked) else None,
        purpose=event.purpose if isinstance(event, Looked) else None,
        text=event.text,
        until=event.until if isinstance(event, EmbargoPlaced) else None,
    )
