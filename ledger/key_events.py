"""The facts about API keys: who made them, what they give, and that they were revoked; all of them in one stream.

What is said of tags and fields in ``ledger/events.py`` holds here too. A key itself is told once, to whoever made it, and is
nowhere in the log.
"""

from datetime import datetime
from uuid import UUID

from ledger.facts import Fact

KEYS_STREAM = UUID("00000000-0000-8000-8000-6170696b6579")
"""The one stream of all key events."""


class KeyGrant(Fact, frozen=True, gc=False, kw_only=True):
    """One role over one part of the tree of units."""

    role: str
    """By its name; a program that does not know the role gives nothing for it."""
    unit_id: UUID | None = None
    """The unit and everything under it; None: the whole ledger."""


class KeyCreated(Fact, frozen=True, gc=False, kw_only=True, tag="key.created.v1"):
    """A key was made, for a machine."""

    key_id: str
    """The part of the key by which it is found: letters, no secret."""
    hash: bytes
    """SHA-256 of its secret part, which is 256 random bits; base64 in the JSON."""
    grants: tuple[KeyGrant, ...]
    name: str = ""
    """What it is for."""
    expires_at: datetime
    """From then on it is no longer taken; UTC."""
    actor: str = "local"
    """Who made it, a staff code."""


class KeyRevoked(Fact, frozen=True, gc=False, kw_only=True, tag="key.revoked.v1"):
    """A key is not taken any more, however long it would have lasted."""

    key_id: str
    actor: str = "local"
    """Who revoked it, a staff code."""


KeyEvent = KeyCreated | KeyRevoked
