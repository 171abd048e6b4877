"""Which API keys there are, and which of them are taken: the fold of the keys' stream."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import assert_never

import msgspec

from ledger.access.rights import Grant, Principal, Role
from ledger.key_events import KeyCreated, KeyEvent, KeyGrant, KeyRevoked


class Key(msgspec.Struct, frozen=True):
    """A key, but for its secret."""

    id: str
    hash: bytes
    """SHA-256 of the secret part of its text."""
    grants: tuple[Grant, ...]
    name: str
    expires_at: datetime
    """From then on it is no longer taken; UTC."""
    actor: str
    """Who made it."""
    created_at: datetime
    """When that was recorded, UTC."""
    position: int
    revoked_at: datetime | None = None
    """When its revocation was recorded, UTC."""

    @property
    def principal(self) -> Principal:
        """Whoever holds the key. It reports for others, whom its reports name."""
        return Principal(self.id, "machine", self.grants)


class Keys(msgspec.Struct, frozen=True):
    """All keys that ever were, as of one version of their stream."""

    version: int = 0
    by_id: Mapping[str, Key] = {}
    """In the order in which they were made."""

    def standing(self, now: datetime) -> list[Key]:
        """Return the keys that are taken at a time."""
        return [key for key in self.by_id.values() if key.revoked_at is None and now < key.expires_at]


def grow(keys: Keys, entries: Iterable[tuple[int, datetime, KeyEvent]]) -> Keys:
    """Return what the next events of the stream, with their positions and times of recording, make of the keys."""
    by_id, version = dict(keys.by_id), keys.version
    for position, recorded_at, event in entries:
        version += 1
        match event:
            case KeyCreated():
                by_id[event.key_id] = Key(
                    id=event.key_id,
                    hash=event.hash,
                    grants=tuple(_grants(event.grants)),
                    name=event.name,
                    expires_at=event.expires_at,
                    actor=event.actor,
                    created_at=recorded_at,
                    position=position,
                )
            case KeyRevoked():
                # A second revocation, should two ever be recorded, changes nothing of the first.
                key = by_id[event.key_id]
                by_id[key.id] = msgspec.structs.replace(key, revoked_at=key.revoked_at or recorded_at)
            case _:
                assert_never(event)
    return Keys(version, by_id)


def _grants(grants: Iterable[KeyGrant]) -> Iterator[Grant]:
    known = {role.value: role for role in Role}
    for grant in grants:
        # A role that a later program gave means nothing here: less is given, never more.
        if grant.role in known:
            yield Grant(known[grant.role], grant.unit_id)
