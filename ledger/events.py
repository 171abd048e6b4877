"""The facts a ledger can hold.

A tag is an event's name on disk. Rename a class freely; never change a tag.
Add a field only with a default, and never change a default: fields that equal
it are not stored. Anything else is a new class with a ``.v2`` tag.

``state`` is the event as JSON, its keys in the order of the fields. It does not
repeat what its row says (stream, version, position, time of recording).

``gc=False`` throughout: nothing here can be part of a cycle, and a batch makes
thousands of these, which the collector would walk again and again.
"""

from datetime import date, datetime
from typing import ClassVar, Literal
from uuid import UUID

import msgspec

UNITS_STREAM = UUID("00000000-0000-8000-8000-756e69747300")
"""The one stream of all unit events: two keepers can never open one code twice."""

State = Literal["collected", "approved", "rejected", "activated"]
"""Where one level of a dossier stands; also the short type of the event that put it there."""


class Previous(
    msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The standing event of the same level that an event follows, so that a follower need not look back."""

    state: State
    occurred_at: datetime
    place: str = "other"
    partner: str = "none"


class DossierEvent(
    msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One report about one level of one citizen's dossier, and what was decided about it."""

    TYPE: ClassVar[State]
    """The event's type in the import format and in answers."""

    # As sent.
    key: str
    """The client's id for this report, unique within the dossier."""
    level: int
    """1 or 2 (Decree 69/2024, mức độ định danh điện tử)."""
    occurred_at: datetime
    """When it happened, with the offset the client sent."""
    actor: str
    """Staff code of the officer, or ``self``."""
    unit: str | None = None
    """Unit code as sent; absent where the collecting unit counts."""
    place: str = "other"
    team: str | None = None
    partner: str = "none"
    residence_unit: str | None = None
    """Unit code of the residence as sent, of this or another province; never resolved here."""
    note: bytes | None = None
    """The note, sealed with the citizen's key; base64 in the JSON."""

    # As decided.
    unit_id: UUID
    """The unit where this event counts."""
    residence: str | None = None
    """The residence that stands after this event: its own, else the collection's."""
    attempt: int = 1
    """Which collection of this level this belongs to, from 1."""
    first: bool = False
    """Whether this is the person's first event of this type, over both levels."""


class Collected(DossierEvent, frozen=True, gc=False, kw_only=True, tag="dossier.collected.v1"):
    """Thu nhận: an officer took the application."""

    TYPE = "collected"

    previous: Previous | None = None
    """The rejection that this attempt follows."""

    @property
    def collecting_unit_id(self) -> UUID:
        return self.unit_id


class Approved(DossierEvent, frozen=True, gc=False, kw_only=True, tag="dossier.approved.v1"):
    """Phê duyệt: the Ministry's identity office accepted the dossier."""

    TYPE = "approved"

    collecting_unit_id: UUID
    previous: Previous


class Rejected(DossierEvent, frozen=True, gc=False, kw_only=True, tag="dossier.rejected.v1"):
    """Không đạt: the Ministry's identity office refused the dossier."""

    TYPE = "rejected"

    reason: str
    collecting_unit_id: UUID
    previous: Previous


class Activated(DossierEvent, frozen=True, gc=False, kw_only=True, tag="dossier.activated.v1"):
    """Kích hoạt: the citizen activated the account."""

    TYPE = "activated"

    collecting_unit_id: UUID
    previous: Previous


class UnitOpened(
    msgspec.Struct,
    frozen=True,
    gc=False,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag="unit.opened.v1",
):
    """A unit exists from a day on."""

    unit_id: UUID
    code: str
    """The code it is called by; codes are given to other units later, ids never."""
    name: str
    level: str
    parent_id: UUID | None = None
    valid_from: date
    """First business day (Asia/Ho_Chi_Minh) on which it is valid."""
    decree: str | None = None
    actor: str = "local"


AnyDossierEvent = Collected | Approved | Rejected | Activated
UnitEvent = UnitOpened
AnyEvent = AnyDossierEvent | UnitEvent


class Entry(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An event in its stream. The names are those of eventsourcing's DomainEventProtocol."""

    originator_id: UUID
    """The dossier, or ``UNITS_STREAM``."""
    originator_version: int
    """The event's number within its stream, from 1, without gaps."""
    event: AnyEvent


class Recorded(Entry, frozen=True, gc=False, kw_only=True):
    """An entry as the log holds it."""

    position: int
    """The event's number in the whole ledger, from 1, without gaps, in commit order."""
    recorded_at: datetime
    """When the ledger learnt it, UTC, by the database server's clock; never falls from one position to the next."""


def topic_of(event_class: type[AnyEvent]) -> str:
    """Return the name under which *event_class* is stored."""
    tag = event_class.__struct_config__.tag
    assert isinstance(tag, str), f"{event_class.__name__} needs a string tag"
    return tag
