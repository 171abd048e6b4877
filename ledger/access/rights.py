"""Roles, the rights that each gives, and whoever holds them.

A right is held over a part of the tree of units: a unit and everything that stands under it on the day that is asked
about. Whoever is asked to do something names the right that it takes; nothing here looks at a request or a token.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal
from uuid import UUID

import msgspec

from ledger.events import Type


class Right(StrEnum):
    """What somebody may do. Each route, and each service under it, names one."""

    RECORD = "record"
    """Report what a unit does: collections and activations."""
    APPROVE = "approve"
    """Report what the Ministry's identity office decides: approvals, refusals, notices, locks (Decree 69/2024, Art. 16)."""
    CORRECT = "correct"
    """Put a mistake right, confirm another's correction, and say where a dossier of a split unit belongs."""
    TOTALS = "totals"
    """See units, counts, targets and reports: nobody's dossier."""
    WORKLIST = "worklist"
    """See which dossiers wait."""
    HISTORY = "history"
    """Find a citizen's dossier, and read its state and history; with a purpose."""
    REVEAL = "reveal"
    """See the personal number of a dossier; with a purpose."""
    READS = "reads"
    """See who has looked at a dossier."""
    KEEP = "keep"
    """Change units, set targets and denominators, freeze reports."""
    FOLLOW = "follow"
    """Read the whole log in order, as another system does."""
    OPERATE = "operate"
    """Make and revoke keys, lay embargoes, see how the server is."""


class Role(StrEnum):
    """What a token says that its holder is."""

    RECORDER = "recorder"
    APPROVER = "approver"
    CORRECTOR = "corrector"
    VIEWER = "viewer"
    PUBLIC = "public"
    """A viewer from outside: small counts are masked."""
    AUDITOR = "auditor"
    KEEPER = "keeper"
    FOLLOWER = "follower"
    OPERATOR = "operator"


RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.RECORDER: frozenset({Right.RECORD, Right.TOTALS, Right.WORKLIST}),
    Role.APPROVER: frozenset({Right.APPROVE, Right.TOTALS, Right.WORKLIST}),
    Role.CORRECTOR: frozenset({Right.CORRECT, Right.TOTALS, Right.WORKLIST, Right.HISTORY}),
    Role.VIEWER: frozenset({Right.TOTALS}),
    Role.PUBLIC: frozenset({Right.TOTALS}),
    Role.AUDITOR: frozenset({Right.TOTALS, Right.HISTORY, Right.REVEAL, Right.READS}),
    Role.KEEPER: frozenset({Right.TOTALS, Right.KEEP}),
    Role.FOLLOWER: frozenset({Right.FOLLOW}),
    Role.OPERATOR: frozenset(Right),
}
"""The one table of rights."""

RIGHT_TO_REPORT: Mapping[Type, Right] = {
    "collected": Right.RECORD,
    "activated": Right.RECORD,
    "approved": Right.APPROVE,
    "rejected": Right.APPROVE,
    "notified": Right.APPROVE,
    "withdrawn": Right.APPROVE,
    "locked": Right.APPROVE,
    "unlocked": Right.APPROVE,
    "allocated": Right.CORRECT,
    "voided": Right.CORRECT,
    "reassigned": Right.CORRECT,
    "amended": Right.CORRECT,
    "confirmed": Right.CORRECT,
}
"""By the type of a report, the right that it takes over the unit at which it counts."""


class Grant(msgspec.Struct, frozen=True):
    """One role over one part of the tree."""

    role: Role
    unit_id: UUID | None = None
    """The unit and everything under it; None: the whole ledger."""


class Principal(msgspec.Struct, frozen=True):
    """Somebody, or a machine, that asks the ledger for something."""

    name: str
    """Who is told to have done it: a person's subject, a key's id. It holds no personal number."""
    kind: Literal["local", "person", "machine", "nobody"]
    grants: tuple[Grant, ...] = ()
    actor: str = ""
    """The staff code that its reports must name; empty: it reports for others, who are named as it says."""

    def parts(self, right: Right) -> frozenset[UUID | None]:
        """Return the units over which it holds a right; None among them: over the whole ledger."""
        return frozenset(grant.unit_id for grant in self.grants if right in RIGHTS[grant.role])

    def holds(self, right: Right) -> bool:
        """Whether it holds a right over any part."""
        return any(right in RIGHTS[grant.role] for grant in self.grants)

    def may(self, right: Right, above: frozenset[UUID]) -> bool:
        """Whether it holds a right over something that counts under the units *above*, as ``Reach`` tells them."""
        parts = self.parts(right)
        return None in parts or not parts.isdisjoint(above)

    def part(self, right: Right, above: frozenset[UUID]) -> UUID | None:
        """Return the unit over which it holds a right that it ``may`` use; None: the whole ledger."""
        parts = self.parts(right)
        return None if None in parts else min(above & parts, default=None)


LOCAL = Principal("local", "local", (Grant(Role.OPERATOR),))
"""Whoever holds the database and the key file anyhow: programs that open the ledger themselves, and the command line."""
NOBODY = Principal("nobody", "nobody")
"""What a server is by itself: it acts for whoever asks, and where that is forgotten it may do nothing."""
