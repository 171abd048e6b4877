"""The facts a ledger can hold.

A tag is an event's name on disk. Rename a class freely; never change a tag.
Add a field only with a default, and never change a default: fields that equal
it are not stored. Anything else is a new class with a ``.v2`` tag.

``state`` is the event as JSON, its keys in the order of the fields. It does not
repeat what its row says (stream, version, position, time of recording).

``gc=False`` throughout: nothing here can be part of a cycle, and a batch makes
thousands of these, which the collector would walk again and again.
"""

from collections.abc import Iterable
from datetime import date, datetime
from typing import ClassVar, Literal
from uuid import UUID

import msgspec

from ledger.facts import Fact
from ledger.frozen_events import ReportFrozen
from ledger.key_events import KeyEvent
from ledger.target_events import TargetEvent
from ledger.unit_events import UnitEvent

State = Literal["collected", "approved", "rejected", "notified", "withdrawn", "activated", "locked"]
"""Where one level of a dossier stands."""

Type = Literal[
    "collected",
    "approved",
    "rejected",
    "notified",
    "withdrawn",
    "activated",
    "locked",
    "unlocked",
    "allocated",
    "voided",
    "reassigned",
    "amended",
    "confirmed",
]
"""The short name of an event of a dossier, in the import format and in answers."""

Card = Literal["valid", "expired", "missing"]
"""The identity card at the time of collection; without a valid one an approval may take 7 working days
instead of 3 (Decree 69/2024, Art. 13)."""


class Stand(Fact, frozen=True, gc=False, kw_only=True):
    """A state of one level, and the event that put it there: where the dossier counts while it waits.

    An event carries the one that it leaves, so that a follower need not look back. The last four are
    absent from events that were recorded before these fields were there.
    """

    state: State
    occurred_at: datetime
    place: str = "other"
    partner: str = "none"
    card: Card = "valid"
    """Of a collection."""
    actor: str | None = None
    team: str | None = None
    residence: str | None = None
    """The one that stood after that event."""
    residence_on: date | None = None
    """The business day as of which that is a code; None: the day of that event, which sent it."""


class DossierEvent(Fact, frozen=True, gc=False, kw_only=True):
    """One report about one level of one citizen's dossier."""

    TYPE: ClassVar[Type]
    """The event's type in the import format and in answers."""

    key: str
    """The client's id for this report, unique within the dossier."""
    level: int
    """1 or 2 (Decree 69/2024, mức độ định danh điện tử)."""
    occurred_at: datetime
    """When it happened, with the offset the client sent; of a correction, when it was made."""
    actor: str
    """Staff code of the officer, or ``self``."""


class Step(DossierEvent, frozen=True, gc=False, kw_only=True):
    """A step of a dossier's life, and what was decided about it."""

    # As sent.
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
    residence_on: date | None = None
    """The business day (Asia/Ho_Chi_Minh) as of which that is a code, for codes are given to other units; None: the day
    of this event, which sent it."""
    attempt: int = 1
    """Which collection of this level this belongs to, from 1."""
    first: bool = False
    """Whether this is the person's first event of this type, over both levels."""
    allocated_id: UUID | None = None
    """The part of ``unit_id``, which was split, where the dossier belonged when this was recorded."""


class Collected(Step, frozen=True, gc=False, kw_only=True, tag="dossier.collected.v1"):
    """Thu nhận: an officer took the application."""

    TYPE = "collected"

    previous: Stand | None = None
    """The rejection or withdrawal that this attempt follows."""
    card: Card = "valid"

    @property
    def collecting_unit_id(self) -> UUID:
        return self.unit_id

    @property
    def collecting_allocated_id(self) -> UUID | None:
        return self.allocated_id


class Approved(Step, frozen=True, gc=False, kw_only=True, tag="dossier.approved.v1"):
    """Phê duyệt: the Ministry's identity office accepted the dossier."""

    TYPE = "approved"

    collecting_unit_id: UUID
    collecting_allocated_id: UUID | None = None
    previous: Stand


class Rejected(Step, frozen=True, gc=False, kw_only=True, tag="dossier.rejected.v1"):
    """Không đạt: the Ministry's identity office refused the dossier."""

    TYPE = "rejected"

    reason: str
    collecting_unit_id: UUID
    collecting_allocated_id: UUID | None = None
    previous: Stand


class Notified(Step, frozen=True, gc=False, kw_only=True, tag="dossier.notified.v1"):
    """Thông báo kết quả: the citizen was told of the approval; 7 days to activate begin (Decree 69/2024, Art. 14)."""

    TYPE = "notified"

    collecting_unit_id: UUID
    collecting_allocated_id: UUID | None = None
    previous: Stand


class Withdrawn(Step, frozen=True, gc=False, kw_only=True, tag="dossier.withdrawn.v1"):
    """Thu hồi phê duyệt: an approved dossier was found failing before its account was activated."""

    TYPE = "withdrawn"

    reason: str
    collecting_unit_id: UUID
    collecting_allocated_id: UUID | None = None
    previous: Stand


class Activated(Step, frozen=True, gc=False, kw_only=True, tag="dossier.activated.v1"):
    """Kích hoạt: the citizen activated the account."""

    TYPE = "activated"

    collecting_unit_id: UUID
    collecting_allocated_id: UUID | None = None
    previous: Stand


class Locked(Step, frozen=True, gc=False, kw_only=True, tag="dossier.locked.v1"):
    """Khoá: the account was locked, on a ground of Law 26/2023, Art. 34."""

    TYPE = "locked"

    reason: str
    collecting_unit_id: UUID
    collecting_allocated_id: UUID | None = None
    previous: Stand
    before_activation: bool = False
    """Whether the ground also meets an account that is not activated yet."""


class Unlocked(Step, frozen=True, gc=False, kw_only=True, tag="dossier.unlocked.v1"):
    """Mở khoá: the ground of the lock has ended."""

    TYPE = "unlocked"

    reason: str
    collecting_unit_id: UUID
    collecting_allocated_id: UUID | None = None
    previous: Stand
    resumes: Stand
    """Where the level stood before the lock, and stands again."""


class Change(Fact, frozen=True, gc=False, kw_only=True):
    """What a correction or an allocation takes off one place of the counts, or puts on another.

    Either ``type`` or ``waits`` is given: a count of events, or of dossiers that wait in a state.
    """

    type: Type | None = None
    waits: State | None = None
    level: int
    unit_id: UUID
    """For ``waits`` the collecting unit."""
    occurred_at: datetime
    """Of the event that counted there: what is moved counts on its own day."""
    place: str = "other"
    partner: str = "none"
    team: str | None = None
    residence: str | None = None
    residence_on: date | None = None
    """The one that stood after the event that counted there."""
    card: Card = "valid"
    actor: str | None = None
    reason: str | None = None
    """Of a rejection, say."""
    allocated_id: UUID | None = None
    """The part of ``unit_id``, which was split, to which it was allocated."""
    count: int = 0
    """How many more; negative for what is taken off."""
    persons: int = 0
    """How many more of those that are a person's first of their type, over both levels."""


class Allocated(DossierEvent, frozen=True, gc=False, kw_only=True, tag="dossier.allocated.v1"):
    """Where a dossier of a split unit belongs from then on. No correction: what counted there before the split stays.

    It holds for what counts at the split units, whenever that is recorded, until a later allocation says otherwise.
    """

    TYPE = "allocated"

    unit: str
    """Code as sent, valid at ``occurred_at``."""
    unit_id: UUID
    """The part where it belongs."""
    split_ids: tuple[UUID, ...]
    """The split units of which it decides: those at which the level counted that have ``unit_id`` among their heirs."""
    note: bytes | None = None
    """Sealed with the citizen's key."""
    changes: tuple[Change, ...] = ()
    """What it takes off the split units and puts on their part."""


class Correction(DossierEvent, frozen=True, gc=False, kw_only=True):
    """A mistake put right: an entry of the same dossier stands otherwise from now on, and stays where it is."""

    corrects: int
    """The version of the entry that it is about."""
    note: bytes | None = None
    """Sealed with the citizen's key."""
    asked: bool = False
    """Whether it counts only once another officer has confirmed it."""
    changes: tuple[Change, ...] = ()
    """What it does to the counts; nothing where it is asked."""


class Voided(Correction, frozen=True, gc=False, kw_only=True, tag="entry.voided.v1"):
    """The entry should never have been recorded; of a correction: it is taken back."""

    TYPE = "voided"

    reason: str


class Reassigned(Correction, frozen=True, gc=False, kw_only=True, tag="dossier.reassigned.v1"):
    """The entry counted at the wrong unit; what follows the collecting unit goes with a collection."""

    TYPE = "reassigned"

    unit: str
    """Code as sent, of the day of the entry that is corrected."""
    unit_id: UUID


class Amended(Correction, frozen=True, gc=False, kw_only=True, tag="entry.amended.v1"):
    """Details of the entry were wrong. What is absent stays; ``note`` takes the place of the entry's own."""

    TYPE = "amended"

    place: str | None = None
    team: str | None = None
    """A code; ``-``: none."""
    partner: str | None = None


class Confirmed(Correction, frozen=True, gc=False, kw_only=True, tag="entry.confirmed.v1"):
    """Another officer confirms a correction that was asked: from now on it counts."""

    TYPE = "confirmed"


class CitizenErased(Fact, frozen=True, gc=False, kw_only=True, tag="citizen.erased.v1"):
    """The citizen's number and key were deleted: the dossier is nobody's from then on, and its notes open no more.

    It stands in the dossier's stream, reports nothing, and nothing but another erasure follows it: where a backup brought
    the citizen's row back, that is erased again.
    """

    TYPE: ClassVar[Literal["erased"]] = "erased"

    occurred_at: datetime
    actor: str
    """Who erased it: a staff code, or ``local``."""
    reason: str
    basis: str = ""
    """The decree or decision that it rests on."""


AnyStep = Collected | Approved | Rejected | Notified | Withdrawn | Activated | Locked | Unlocked
AnyCorrection = Voided | Reassigned | Amended | Confirmed
AnyDossierEvent = AnyStep | Allocated | AnyCorrection
"""What a report makes of a dossier."""
AnyEvent = AnyDossierEvent | CitizenErased | UnitEvent | TargetEvent | ReportFrozen | KeyEvent


class Entry(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An event in its stream. The names are those of eventsourcing's DomainEventProtocol."""

    originator_id: UUID
    """The dossier, or ``UNITS_STREAM``, ``TARGETS_STREAM``, ``REPORTS_STREAM`` or ``KEYS_STREAM``."""
    originator_version: int
    """The event's number within its stream, from 1, without gaps."""
    event: AnyEvent


class Recorded(Entry, frozen=True, gc=False, kw_only=True):
    """An entry as the log holds it."""

    position: int
    """The event's number in the whole ledger, from 1, without gaps, in commit order."""
    recorded_at: datetime
    """When the ledger learnt it, UTC, by the database server's clock; never falls from one position to the next."""


def dossier_events(entries: Iterable[Recorded]) -> tuple[list[AnyDossierEvent], list[CitizenErased]]:
    """Return what was reported, of all entries of a dossier's stream, and its erasures, which can only be the last."""
    reported: list[AnyDossierEvent] = []
    erasures: list[CitizenErased] = []
    for entry in entries:
        if isinstance(entry.event, CitizenErased):
            erasures.append(entry.event)
        else:
            assert not erasures, entry.position
            reported.append(dossier_event(entry))
    return reported, erasures


def dossier_event(entry: Recorded) -> AnyDossierEvent:
    """Return the event of an entry that a report made in a dossier's stream."""
    assert isinstance(entry.event, DossierEvent), entry.position
    return entry.event


def topic_of(event_class: type[AnyEvent]) -> str:
    """Return the name under which *event_class* is stored."""
    tag = event_class.__struct_config__.tag
    assert isinstance(tag, str), f"{event_class.__name__} needs a string tag"
    return tag
