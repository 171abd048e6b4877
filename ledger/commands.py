"""What a client may ask the ledger to record."""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, get_args

import msgspec

from ledger.events import Card, Type
from ledger.masking import shown

PLACES = frozenset(
    ("police_office", "culture_house", "household", "school", "one_stop_office")
    + ("enterprise", "hospital", "online", "other")
)
PARTNERS = frozenset(
    ("youth_union", "womens_union", "veterans", "elderly_association", "project06_team")
    + ("digital_team", "volunteers", "none")
)
CARDS = frozenset(get_args(Card))
NO_TEAM = "-"
"""In an amendment, a team that there was not."""


class Command(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One report. Empty text is the same as absent."""

    TYPE: ClassVar[Type]

    key: str
    """The client's id for this report, 1 to 64 characters, unique within the dossier.

    Sending the same key with the same content again returns the first receipt.
    """
    citizen: str
    """The personal number, 12 digits. It enters no event, log line or error message."""
    level: int
    """1 or 2."""
    occurred_at: datetime
    """When it happened, with an offset; at most 5 minutes ahead of the ledger's clock.

    Of a correction: when it was made, not when what it corrects happened.
    """
    actor: str
    """Staff code of the officer, or ``self``."""
    note: str = ""
    """Free text up to 500 characters, stored sealed; it may hold no 12-digit number."""

    def __repr__(self) -> str:
        # The default would print the personal number into tracebacks and logs.
        return f"{type(self).__name__}(key={shown(str(self.key))}, level={self.level!r})"


class StepCommand(Command, frozen=True, gc=False, kw_only=True):
    """A step of a dossier's life."""

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


class Collect(StepCommand, frozen=True, gc=False, kw_only=True):
    """Thu nhận: take an application. ``unit`` is required."""

    TYPE = "collected"

    card: str = ""
    """The citizen's identity card: valid, expired or missing; empty means valid. It decides how long an approval may
    take (Decree 69/2024, Art. 13)."""


class Approve(StepCommand, frozen=True, gc=False, kw_only=True):
    """Phê duyệt. Without ``unit`` it counts at the collecting unit."""

    TYPE = "approved"


class Reject(StepCommand, frozen=True, gc=False, kw_only=True):
    """Không đạt. Without ``unit`` it counts at the collecting unit."""

    TYPE = "rejected"

    reason: str
    """A code of the ledger's list of reasons."""


class Notify(StepCommand, frozen=True, gc=False, kw_only=True):
    """Thông báo kết quả: tell the citizen of the approval. Without ``unit`` it counts at the collecting unit."""

    TYPE = "notified"


class Withdraw(StepCommand, frozen=True, gc=False, kw_only=True):
    """Thu hồi phê duyệt: take back an approval, found failing. Without ``unit`` it counts at the collecting unit."""

    TYPE = "withdrawn"

    reason: str
    """A code of the ledger's list of reasons."""


class Activate(StepCommand, frozen=True, gc=False, kw_only=True):
    """Kích hoạt. ``unit`` is required."""

    TYPE = "activated"


class Lock(StepCommand, frozen=True, gc=False, kw_only=True):
    """Khoá. ``unit`` is required."""

    TYPE = "locked"

    reason: str
    """The ground (Law 26/2023, Art. 34), a code of the ledger's list of reasons."""


class Unlock(StepCommand, frozen=True, gc=False, kw_only=True):
    """Mở khoá. ``unit`` is required."""

    TYPE = "unlocked"

    reason: str
    """A code of the ledger's list of reasons."""


class Allocate(Command, frozen=True, gc=False, kw_only=True):
    """Say where a dossier of a split unit belongs from the split on.

    It is no correction: before the split everything counts as it did. It holds for all that counts there of its level,
    recorded before or after, until another allocation.

    Refused where nothing that stands of the level counts at a unit that was split with ``unit`` among its parts.
    """

    TYPE = "allocated"

    unit: str
    """Code, valid at ``occurred_at``, of the part."""


class CorrectionCommand(Command, frozen=True, gc=False, kw_only=True):
    """A mistake put right. What was recorded stays; what it counts as changes, also in the past."""

    corrects: int
    """The version, within the dossier, of the entry that it is about; of the same level."""


class Void(CorrectionCommand, frozen=True, gc=False, kw_only=True):
    """The entry should never have been recorded; of a correction: take it back.

    Refused where the entries that would remain are no lawful sequence.
    """

    TYPE = "voided"

    reason: str
    """A code of the ledger's list of reasons."""


class Reassign(CorrectionCommand, frozen=True, gc=False, kw_only=True):
    """The entry counted at the wrong unit. What follows the collecting unit goes with a collection."""

    TYPE = "reassigned"

    unit: str
    """Code of the right one, valid when the entry that is corrected happened."""


class Amend(CorrectionCommand, frozen=True, gc=False, kw_only=True):
    """Details of the entry were wrong. Empty means unchanged; ``note`` becomes the entry's own."""

    TYPE = "amended"

    place: str = ""
    team: str = ""
    """``-``: there was none."""
    partner: str = ""


class Confirm(CorrectionCommand, frozen=True, gc=False, kw_only=True):
    """Confirm a correction that another officer asked; ``corrects`` is its version."""

    TYPE = "confirmed"


AnyStepCommand = Collect | Approve | Reject | Notify | Withdraw | Activate | Lock | Unlock
AnyCorrectionCommand = Void | Reassign | Amend | Confirm
AnyCommand = AnyStepCommand | Allocate | AnyCorrectionCommand

COMMANDS: Mapping[str, type[AnyCommand]] = {
    command.TYPE: command
    for command in (*get_args(AnyStepCommand), Allocate, *get_args(AnyCorrectionCommand))
}
"""By type, in the order of a dossier's life."""

FIELDS = ("key", "type", "citizen", "level", "unit", "occurred_at", "actor", "place", "team") + (
    "partner",
    "residence_unit",
    "reason",
    "note",
    "corrects",
    "card",
)
"""The fields of a report in files and over HTTP, in their usual order."""
