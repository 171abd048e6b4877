"""The issuer's public keys, kept up to date within bounds."""

import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from api.access.again import Again
from api.access.errors import IssuerUnavailableError, TokenInvalidError
from api.access.fetching import DOCUMENT_BYTES_MAX, FetchError, fetch
from api.access.jwks import IssuerKey, JwksInvalidError, read_jwks
from api.access.settings import TokenSettings

REFRESH_SECONDS = 300.0
"""A key that the issuer has taken back is taken no longer than that."""
AGAIN_SECONDS = 10.0
"""The issuer is asked no more often, whatever keys the tokens name."""
STALE_SECONDS_MAX = 3600.0
"""So long the keys are good while the issuer cannot be asked."""
WAIT_SECONDS_MAX = 1.0
WAITERS_MAX = 4
"""How many requests wait for an answer of the issuer; they hold threads, which others need."""
DISCOVERY = "/.well-known/openid-configuration"

_log = logging.getLogger(__name__)


class _Discovery(msgspec.Struct):
    issuer: str
    jwks_uri: str


_discovery = msgspec.json.Decoder(_Discovery)


def discover(issuer: str) -> bytes:
    """Return the set of keys that the issuer's discovery document names (OpenID Connect Discovery 1.0).

    Raises:
        FetchError: A document cannot be had, or is that of another issuer.
    """
    try:
        document = _discovery.decode(fetch(issuer.rstrip("/") + DISCOVERY))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise FetchError(f"what {issuer}{DISCOVERY} answers is no discovery document") from None
    if document.issuer != issuer:
        raise FetchError(f"{issuer}{DISCOVERY} is the document of another issuer")
    return fetch(document.jwks_uri)


def read_file(path: Path) -> bytes:
    """Return a file with a set of keys; raise FetchError if it cannot be read, or is too long."""
    try:
        with path.open("rb") as file:
            data = file.read(DOCUMENT_BYTES_MAX + 1)
    except OSError as error:
        raise FetchError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > DOCUMENT_BYTES_MAX:
        raise FetchError(f"{path} is longer than {DOCUMENT_BYTES_MAX:,} bytes")
    return data


class IssuerKeys(Again):
    """Keys by their ids; threads may share it. It asks for them again and again."""

    def __init__(self, settings: TokenSettings) -> None:
        """Ask nobody yet."""
        # It may wait for the issuer, and nobody waits for it.
        super().__init__("issuer", AGAIN_SECONDS, end_seconds_max=1)
        self._settings = settings
        self._keys: Mapping[str, IssuerKey] = {}
        self._asked_at = self._had_at = float("-inf")
        self._lock = threading.Lock()
        self._waiters = threading.BoundedSemaphore(WAITERS_MAX)

    def at_hand(self, kid: str) -> IssuerKey | None:
        """Return a key without asking; None where it is not known, or what is known is too old."""
        return self._keys.get(kid) if self._usable() else None

    def find(self, kid: str) -> IssuerKey:
        """Return a key; ask the issuer for one that is not known, if it was not asked a moment ago.

        Raises:
            TokenInvalidError: The issuer has no such key.
            IssuerUnavailableError: The issuer's keys are not known.
        """
        key = self.at_hand(kid)
        if key is None:
            self._ask_within_bounds()
            key = self.at_hand(kid)
        if key is None and not self._usable():
            raise IssuerUnavailableError(
                "the keys of the tokens' issuer are not known: it has not answered, or not for an hour; try again later"
            )
        if key is None:
            raise TokenInvalidError("the token is signed with a key that its issuer does not name")
        return key

    def _usable(self) -> bool:
        return time.monotonic() - self._had_at < STALE_SECONDS_MAX

    def _ask_within_bounds(self) -> None:
        if not self._waiters.acquire(blocking=False):
            return
        try:
            if self._lock.acquire(timeout=WAIT_SECONDS_MAX):
                try:
                    self._ask()
                finally:
                    self._lock.release()
        finally:
            self._waiters.release()

    def _ask(self) -> None:
        """Ask the issuer, unless that was done a moment ago; the lock is held."""
        if time.monotonic() - self._asked_at < AGAIN_SECONDS:
            return
        began = self._asked_at = time.monotonic()
        settings = self._settings
        assert settings.issuer is not None
        try:
            data = read_file(settings.jwks) if settings.jwks else discover(settings.issuer)
            self._keys = read_jwks(data, self._keys)
        except (FetchError, JwksInvalidError) as error:
            _log.warning("the keys of the tokens' issuer cannot be renewed: %s", error)
        else:
            self._had_at = began

    def once(self) -> None:
        # A file may change at any time, and reading it costs nothing.
        if time.monotonic() - self._had_at >= (AGAIN_SECONDS if self._settings.jwks else REFRESH_SECONDS):
            with self._lock:
                self._ask()
