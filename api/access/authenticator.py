"""Who a token is."""

import hashlib
import hmac
from collections.abc import Iterable
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import jwt
import msgspec

from api.access.claims import LEEWAY_SECONDS, check_claims, principal_of, read_claims, read_header
from api.access.errors import TokenExpiredError, TokenInvalidError, TokenNeededError, TokenRevokedError
from api.access.issuer_keys import IssuerKeys
from api.access.jwks import ALGORITHMS, IssuerKey
from api.access.settings import TokenSettings
from api.access.watch import Watch
from ledger import Ledger
from ledger.access import Principal
from ledger.key_ring import PREFIX, parts_of

AUTHORIZATION_CHARACTERS_MAX = 8_000
"""Longer ones are not looked at."""
ANSWERS_MAX = 10_000
"""How many tokens are remembered; the oldest goes first."""
REMEMBERED_SECONDS_MAX = 60.0
"""After so long a token is looked at afresh: its issuer may have new keys, its units another day."""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """Who a token is, and for how long that holds."""

    principal: Principal
    until: float
    """By the ledger's clock, in seconds since 1970."""
    key_id: str | None = None
    """Of an API key: it must stand."""
    issuer_key: IssuerKey | None = None
    """Of an access token: the issuer must still have it."""


def authorization_in(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the header Authorization of a request; None where there is none.

    Raises:
        TokenInvalidError: There are several: programs on the way may go by another one than we.
    """
    found = [value for name, value in headers if name == b"authorization"]
    if len(found) > 1:
        raise TokenInvalidError("the header Authorization came more than once; send one")
    return found[0].decode("latin-1") if found else None


class Authenticator:
    """Tells who asks; threads may share it. Between start and end it watches for revocations.

    A good token is remembered, by its hash and never itself, so that it costs some microseconds the next time. What is
    remembered counts only while the ledger was asked for revocations within the last second: so soon a revocation holds,
    in every process. A bad token is not remembered.
    """

    def __init__(self, ledger: Ledger, settings: TokenSettings) -> None:
        self._ledger = ledger
        self._settings = settings
        self._watch = Watch(ledger)
        self._issuer_keys = IssuerKeys(settings) if settings.issuer else None
        self._jws = jwt.PyJWS(algorithms=list(ALGORITHMS))
        self._answers: dict[bytes, Answer] = {}
        self._running = ExitStack()

    def __enter__(self) -> Self:
        self._running.enter_context(self._watch)
        if self._issuer_keys:
            self._running.enter_context(self._issuer_keys)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._running.close()

    def known(self, authorization: str | None) -> Principal | None:
        """Return who asks, if that is remembered; never blocks. None: only ``authenticate`` can tell.

        Args:
            authorization: The value of the header of that name.

        Raises:
            TokenError: The header shows that it is no token.
        """
        return self._remembered(_digest(_token_of(authorization)))

    def authenticate(self, authorization: str | None) -> Principal:
        """Return who asks. It may wait for the database or the issuer, some seconds: never in an event loop's thread.

        Args:
            authorization: The value of the header of that name.

        Raises:
            TokenError: It is no token that is taken.
            UnavailableError: The ledger, or the issuer, does not say whether it is.
        """
        token = _token_of(authorization)
        digest = _digest(token)
        principal = self._remembered(digest)
        if principal is not None:
            return principal
        answer = self._by_key(token) if token.startswith(PREFIX) else self._by_access_token(token)
        self._remember(digest, answer)
        return answer.principal

    def _remembered(self, digest: bytes) -> Principal | None:
        answer = self._answers.get(digest)
        if answer is None or self._ledger.now().timestamp() >= answer.until:
            return None
        known = self._watch.at_hand()
        if known is None:
            return None
        if answer.key_id is not None and known.keys.by_id[answer.key_id].revoked_at is not None:
            return None
        issuer_key = answer.issuer_key
        if issuer_key is not None:
            assert self._issuer_keys is not None
            if self._issuer_keys.at_hand(issuer_key.kid) is not issuer_key:
                return None
        return answer.principal

    def _remember(self, digest: bytes, answer: Answer) -> None:
        answers = self._answers
        while len(answers) >= ANSWERS_MAX:
            try:
                answers.pop(next(iter(answers)), None)
            except (RuntimeError, StopIteration):
                # Another thread did so at this moment.
                continue
        answers[digest] = answer

    def _by_key(self, token: str) -> Answer:
        parts = parts_of(token)
        if parts is None:
            raise TokenInvalidError("it is no API key, or was cut")
        key_id, hashed = parts
        known = self._watch.fresh()
        if key_id not in known.keys.by_id:
            known = self._watch.look_again(known)
        key = known.keys.by_id.get(key_id)
        # What else is wrong with a key is told to those alone who have it.
        if key is None or not hmac.compare_digest(key.hash, hashed):
            raise TokenInvalidError("there is no such API key")
        if key.revoked_at is not None:
            raise TokenRevokedError
        now = self._ledger.now()
        if now >= key.expires_at:
            raise TokenExpiredError("the API key has expired; ask the operator for another one")
        until = min(now.timestamp() + REMEMBERED_SECONDS_MAX, key.expires_at.timestamp())
        return Answer(key.principal, until, key_id)

    def _by_access_token(self, token: str) -> Answer:
        header = read_header(token)
        if self._issuer_keys is None:
            raise TokenInvalidError("access tokens are not taken here, only API keys: no issuer is set")
        key = self._issuer_keys.find(header.kid)
        if key.algorithm != header.alg:
            # A public key must never be taken for a shared secret, nor one kind of signature for another.
            raise TokenInvalidError("the token is signed with another algorithm than its key is for")
        try:
            payload = self._jws.decode_complete(token, key.public, algorithms=[key.algorithm])["payload"]
        except jwt.PyJWTError:
            # Its sentence may repeat what was sent.
            raise TokenInvalidError("the token's signature is not good, or the token was cut") from None
        claims, members = read_claims(payload)
        now = self._ledger.now().timestamp()
        check_claims(claims, self._settings, now)
        tree = self._watch.fresh().tree
        principal = principal_of(claims, members, self._settings, tree, self._ledger.today())
        until = min(now + REMEMBERED_SECONDS_MAX, claims.exp + LEEWAY_SECONDS)
        return Answer(principal, until, issuer_key=key)


def _token_of(authorization: str | None) -> str:
    if not authorization:
        raise TokenNeededError
    if len(authorization) > AUTHORIZATION_CHARACTERS_MAX:
        raise TokenInvalidError(f"a token has at most {AUTHORIZATION_CHARACTERS_MAX:,} characters")
    if authorization[:7] != "Bearer " and authorization[:7].lower() != "bearer ":
        raise TokenInvalidError("send it as Authorization: Bearer, a blank, and the token")
    token = authorization[7:]
    if not token.isascii():
        raise TokenInvalidError("it is no token: characters stand in it that none has")
    return token


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
