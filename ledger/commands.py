"""What a client may ask the ledger to record."""

from datetime import datetime
from typing import ClassVar

import msgspec

from ledger.events import State

PLACES = frozenset(
    ("police_office", "culture_house", "household", "school", "one_stop_office")
    + ("enterprise", "hospital", "online", "other")
)
PARTNERS = frozenset(
    ("youth_union", "womens_union", "veterans", "elderly_association", "project06_team")
    + ("digital_team", "volunteers", "none")
)
REJECTION_REASONS = frozenset(
    ("data_mismatch", "photo", "face", "fingerprint", "phone_owner", "phone_number", "card")
    + ("duplicate", "other")
)
"""No official list is known; these are the reasons seen in practice."""


class Command(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One report. Empty text is the same as absent."""

    TYPE: ClassVar[State]

    key: str
    """The client's id for this report, 1 to 64 characters, unique within the dossier.

    Sending the same key with the same content again returns the first receipt.
    """
    citizen: str
    """The personal number, 12 digits. It enters no event, log line or error message."""
    level: int
    """1 or 2."""
    occurred_at: datetime
    """When it happened, with an offset; at most 5 minutes ahead of the ledger's clock."""
    actor: str
    """Staff code of the officer, or ``self``."""
    unit: str = ""
    """Code, valid at ``occurred_at``, of the unit whose work this is."""
    place: str = ""
    """One of ``PLACES``; empty means other."""
    team: str = ""
    """Code of a mobile team: up to 64 letters, digits, - and _."""
    partner: str = ""
    """One of ``PARTNERS``; empty means none."""
    residence_unit: str = ""
    """Unit code of the citizen's residence, of this or any other province; kept as sent."""
    note: str = ""
    """Free text up to 500 characters, stored sealed; it may hold no 12-digit number."""

    def __repr__(self) -> str:
        # The default would print the personal number into tracebacks and logs.
        return f"{type(self).__name__}(key={self.key!r}, level={self.level!r})"


class Collect(Command, frozen=True, gc=False, kw_only=True):
    """Thu nhận: take an application. ``unit`` is required."""

    TYPE = "collected"


class Approve(Command, frozen=True, gc=False, kw_only=True):
    """Phê duyệt. Without ``unit`` it counts at the collecting unit."""

    TYPE = "approved"


class Reject(Command, frozen=True, gc=False, kw_only=True):
    """Không đạt. Without ``unit`` it counts at the collecting unit."""

    TYPE = "rejected"

    reason: str
    """One of ``REJECTION_REASONS``."""


class Activate(Command, frozen=True, gc=False, kw_only=True):
    """Kích hoạt. ``unit`` is required."""

    TYPE = "activated"


AnyCommand = Collect | Approve | Reject | Activate

FIELDS = ("key", "type", "citizen", "level", "unit", "occurred_at", "actor", "place", "team") + (
    "partner",
    "residence_unit",
    "reason",
    "note",
)
"""The fields of a report in files and over HTTP, in their usual order."""
