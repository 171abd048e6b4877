"""The facts of the second log: that somebody looked, that looks are kept back for a time, that old ones were dropped.

A stream is a dossier; one more says what was dropped. What is said of tags and fields in ``ledger/events.py`` holds here too.
"""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

import msgspec

from ledger.facts import Fact

KEPT_YEARS = 5
"""How long what is recorded here is kept at least. The function that drops it says so too, by the database's clock."""
What = Literal["history", "state", "lookup", "number", "worklist", "reads", "refusal"]
"""What was told: the audit trail; where the levels stand; which dossier is a citizen's; the personal number; that it
waits, on a page of a worklist; who had looked; why a report was refused, or whether one that was only tried would be."""


class Looked(Fact, frozen=True, gc=False, kw_only=True, tag="dossier.read.v1"):
    """Somebody is about to be told something of a dossier."""

    what: What
    who: str
    """The name of the principal: a person's subject, a key's id."""
    kind: str
    """Of the principal: person, machine, local."""
    unit_id: UUID | None = None
    """The part of the tree that the right was held over; None: the whole ledger."""
    purpose: str
    """A code of the list of purposes."""
    text: str = ""
    """What they said of it, if anything: the number of a file, say."""


class EmbargoPlaced(Fact, frozen=True, gc=False, kw_only=True, tag="embargo.placed.v1"):
    """Looks for an investigation are kept back until a day has passed. A later one takes the place of an earlier one."""

    until: date
    """The last business day (Asia/Ho_Chi_Minh) on which it lasts."""
    who: str
    kind: str
    text: str
    """Why."""


class EmbargoLifted(Fact, frozen=True, gc=False, kw_only=True, tag="embargo.lifted.v1"):
    """The embargo ends before its day: everything comes to light."""

    who: str
    kind: str
    text: str


class LooksDropped(Fact, frozen=True, gc=False, kw_only=True, tag="looks.dropped.v1"):
    """Looks were dropped because of their age; stands in a stream of its own, and is never dropped itself."""

    before: date
    """The business day (Asia/Ho_Chi_Minh) before which everything was to go, but for dossiers under an embargo."""
    through: int
    """The last position from before that day: none after it was dropped."""
    looks: int
    """How many events were dropped."""
    kept: int
    """How many of those from before that day stay, because their dossiers are under an embargo."""
    who: str
    kind: str
    actor: str
    """The staff code of whoever did it, as they said it."""
    text: str
    """Why."""


DROPS_STREAM = UUID("00000000-0000-8000-8000-64726f707300")
"""What was dropped. The id is not of a dossier: ``drops`` in ASCII."""

ReadsEvent = Looked | EmbargoPlaced | EmbargoLifted | LooksDropped


class ReadsEntry(msgspec.Struct, frozen=True, gc=False):
    """An event as the second log holds it."""

    position: int
    """Its number in the second log, from 1, without gaps, in commit order."""
    dossier_id: UUID
    version: int
    """Its number within the dossier's stream of that log, from 1, without gaps."""
    event: ReadsEvent
    recorded_at: datetime
    """When, UTC, by the database server's clock."""
