"""Making and revoking API keys: the one place that has a key's text in hand, once."""

import hashlib
import re
import secrets
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from ledger.access.keys import Key, Keys, grow
from ledger.access.rights import Role
from ledger.checks import ACTOR_CHARACTERS_MAX, check_text
from ledger.errors import ApiKeyUnknownError, ContentionError, FieldInvalidError, FieldMissingError
from ledger.events import Recorded
from ledger.key_events import KEYS_STREAM, KeyCreated, KeyEvent, KeyGrant, KeyRevoked
from ledger.store import ATTEMPTS_MAX, LedgerRecorder, translated
from ledger.units import UnitTree

PREFIX = "alk_"
"""What every key begins with, so that scanners of files and logs find it."""
ID_LETTERS = 12
"""Letters alone: an id with digits could look like a personal number."""
SECRET_BYTES = 32
DAYS = 90
"""How long a key is taken, if nothing else is said."""
DAYS_MAX = 365

_ALPHABET = "abcdefghijklmnopqrstuvwxyz"
_parts = re.compile(rf"{PREFIX}([a-z]{{{ID_LETTERS}}})_([A-Za-z0-9_-]{{43}})", re.ASCII).fullmatch


class KeyMade(msgspec.Struct, frozen=True):
    """A new key, and its text, which is told this once."""

    token: str
    key: Key

    def __repr__(self) -> str:
        # The default would print the text.
        return f"KeyMade({self.key.id!r})"


def parts_of(token: str) -> tuple[str, bytes] | None:
    """Return the id and the hash of a key's text; None where it is no such text."""
    found = _parts(token)
    # Its text is hashed, not the bytes that it stands for: of those, several texts could be written.
    return (found[1], hashlib.sha256(found[2].encode()).digest()) if found else None


class KeyRing:
    """The keys of one ledger; threads may share it."""

    def __init__(
        self, recorder: LedgerRecorder, tree: Callable[[], UnitTree], days_max: int = DAYS_MAX
    ) -> None:
        """Take the ledger's recorder, and what tells the newest tree of units."""
        self._recorder = recorder
        self._tree = tree
        self._days_max = days_max
        self._keys = Keys()
        self._lock = threading.Lock()

    def keys(self) -> Keys:
        """Return all keys as the ledger has them now."""
        known = self._keys
        with translated():
            entries = self._recorder.read_stream(KEYS_STREAM, after=known.version)
        if entries:
            grown = grow(known, [(entry.position, entry.recorded_at, _key_event(entry)) for entry in entries])
            # Threads may race here, so each grows what it read on from; the latest version is kept.
            with self._lock:
                self._keys = max(self._keys, grown, key=_version)
        return self._keys

    def create(
        self,
        roles: Sequence[Role],
        scope: Callable[[UnitTree], UUID | None],
        *,
        name: str,
        days: int,
        actor: str,
        now: datetime,
    ) -> KeyMade:
        """Make a key, as ``Ledger.create_key`` says.

        Args:
            scope: Returns over which unit of a tree it is; None: over the whole ledger. It raises where there is no such
                unit, or it is not for whoever asks.
        """
        check_text("actor", actor, ACTOR_CHARACTERS_MAX)
        if name:
            check_text("name", name)
        if not roles:
            raise FieldMissingError("role", f"one of {', '.join(Role)}")
        if not 1 <= days <= self._days_max:
            raise FieldInvalidError("days", f"from 1 to {self._days_max}")
        key_id = "".join(secrets.choice(_ALPHABET) for _ in range(ID_LETTERS))
        token = f"{PREFIX}{key_id}_{secrets.token_urlsafe(SECRET_BYTES)}"
        parts = parts_of(token)
        assert parts is not None
        hashed = parts[1]

        def decide(_keys: Keys, tree: UnitTree) -> KeyEvent:
            unit_id = scope(tree)
            return KeyCreated(
                key_id=key_id,
                hash=hashed,
                grants=tuple(KeyGrant(role=role.value, unit_id=unit_id) for role in dict.fromkeys(roles)),
                name=name,
                expires_at=now + timedelta(days=days),
                actor=actor,
            )

        return KeyMade(token, self._record(decide).by_id[key_id])

    def revoke(self, key_id: str, *, actor: str) -> tuple[Key, bool]:
        """Revoke a key, as ``Ledger.revoke_key`` says."""
        check_text("actor", actor, ACTOR_CHARACTERS_MAX)
        new = False

        def decide(keys: Keys, _tree: UnitTree) -> KeyEvent | None:
            nonlocal new
            key = keys.by_id.get(key_id)
            if key is None:
                raise ApiKeyUnknownError(key_id)
            new = key.revoked_at is None
            return KeyRevoked(key_id=key_id, actor=actor) if new else None

        return self._record(decide).by_id[key_id], new

    def _record(self, decide: Callable[[Keys, UnitTree], KeyEvent | None]) -> Keys:
        """Record what is decided on the newest keys and units; return the keys with it."""
        for _ in range(ATTEMPTS_MAX):
            keys, tree = self.keys(), self._tree()
            event = decide(keys, tree)
            if event is None:
                return keys
            if self._recorder.append_after(KEYS_STREAM, keys.version, [event], units_seen=tree.version):
                return self.keys()
        raise ContentionError(
            f"others kept making or revoking keys, or changing units, first, {ATTEMPTS_MAX} times; nothing was recorded"
        )


def _key_event(entry: Recorded) -> KeyEvent:
    match entry.event:
        case KeyCreated() | KeyRevoked():
            return entry.event
        case _:
            raise AssertionError(entry.position)


def _version(keys: Keys) -> int:
    return keys.version
