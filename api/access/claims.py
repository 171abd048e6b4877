"""What an access token says (RFC 7519, 9068), and whether it may be taken. Pure: the clock comes in as an argument."""

import base64
import binascii
from datetime import date
from typing import Any
from uuid import UUID

import msgspec

from api.access.errors import TokenExpiredError, TokenInvalidError
from api.access.jwks import ALGORITHMS
from api.access.settings import TokenSettings
from ledger import LedgerError, UnitTree
from ledger.access import Grant, Principal, Right, Role
from ledger.checks import ACTOR_CHARACTERS_MAX, check_text
from ledger.errors import UnitError
from ledger.json_objects import check_names

LEEWAY_SECONDS = 10
"""By how much the issuer's clock may differ from ours."""
SUBJECT_CHARACTERS_MAX = 128
RIGHTS_MAX = 100
EVERYWHERE = "*"
"""In place of a unit: the whole ledger. In place of a staff code: it reports for others."""
SECONDS_MAX = 1 << 40
"""Since 1970: no token lasts that long, and no arithmetic fails on it."""
TYPES = ("at+jwt", "application/at+jwt", "jwt")
NOT_TAKEN = frozenset(("crit", "b64", "jku", "jwk", "x5u", "x5c", "zip", "enc", "cty"))
"""Header parameters that change how a token is read, or bring a key of their own."""
_REPORTING = (Right.RECORD, Right.APPROVE, Right.CORRECT)


class Header(msgspec.Struct, frozen=True):
    """Of the header, what says how it is signed."""

    alg: str
    kid: str
    typ: str


class Claims(msgspec.Struct, frozen=True):
    """Of the claims, those that have a fixed name. Times are seconds since 1970."""

    iss: str
    aud: str | list[str]
    sub: str
    exp: int | float
    iat: int | float
    nbf: int | float | None = None


_header = msgspec.json.Decoder(Header)
_claims = msgspec.json.Decoder(Claims)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_flat = msgspec.json.Decoder(dict[str, Any])
_texts = msgspec.json.Decoder(list[str])
_text = msgspec.json.Decoder(str)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, LedgerError)


def read_header(token: str) -> Header:
    """Return the header of a token, which nobody has vouched for yet.

    Raises:
        TokenInvalidError: It is no token, or not of a kind that is taken.
    """
    if token.count(".") != 2:
        raise TokenInvalidError("it is neither an API key nor a signed access token")
    part = token[: token.index(".")]
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars="-_", validate=True)
        header, members = _header.decode(raw), _flat.decode(raw)
        check_names(raw, members)
    except (binascii.Error, *_UNREADABLE):
        raise TokenInvalidError("the token's header lacks alg, kid or typ, or cannot be read") from None
    if header.alg not in ALGORITHMS:
        raise TokenInvalidError(f"the token is not signed with {', '.join(ALGORITHMS)}")
    if header.typ.lower() not in TYPES:
        raise TokenInvalidError("the token is no access token: its typ is neither at+jwt nor JWT")
    if not members.keys().isdisjoint(NOT_TAKEN):
        raise TokenInvalidError("the token's header has a parameter that is not taken here")
    return header


def read_claims(raw: bytes) -> tuple[Claims, dict[str, msgspec.Raw]]:
    """Return what a token says whose signature is good: the claims with fixed names, and all of them.

    Raises:
        TokenInvalidError: A claim is missing, or is not what it must be, or stands twice.
    """
    try:
        claims, members = _claims.decode(raw), _members.decode(raw)
        check_names(raw, _flat.decode(raw))
    except _UNREADABLE:
        raise TokenInvalidError(
            "the token's claims lack iss, aud, sub, exp or iat, or cannot be read"
        ) from None
    if not all(0 <= at <= SECONDS_MAX for at in (claims.exp, claims.iat, claims.nbf or 0)):
        raise TokenInvalidError("exp, iat and nbf are seconds since 1970")
    return claims, members


def check_claims(claims: Claims, settings: TokenSettings, now: float) -> None:
    """Check for whom a token is, from whom, and when.

    Args:
        now: Seconds since 1970.

    Raises:
        TokenInvalidError: It is another issuer's, or for another service, or not valid yet, or valid for too long.
        TokenExpiredError: Its time is over.
    """
    audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
    if claims.iss != settings.issuer:
        raise TokenInvalidError("the token is of another issuer")
    if settings.audience not in audiences:
        raise TokenInvalidError("the token is for another service: its aud does not name this one")
    if now >= claims.exp + LEEWAY_SECONDS:
        raise TokenExpiredError("the token has expired; get a new one from the issuer")
    if claims.iat > now + LEEWAY_SECONDS or (claims.nbf is not None and claims.nbf > now + LEEWAY_SECONDS):
        raise TokenInvalidError(
            "the token is not valid yet; compare the clocks of the issuer and of this server"
        )
    if claims.exp - claims.iat > settings.lifetime_seconds_max:
        raise TokenInvalidError(
            f"the token is valid for too long: at most {settings.lifetime_seconds_max} s are taken from iat to exp"
        )


def principal_of(
    claims: Claims,
    members: dict[str, msgspec.Raw],
    settings: TokenSettings,
    tree: UnitTree,
    today: date,
) -> Principal:
    """Return who a token is that was checked. Codes of units are those of today.

    Raises:
        TokenInvalidError: A role is none, a code is not valid today, or it lacks a staff code.
    """
    _check_subject(claims.sub)
    try:
        rights = _texts.decode(members[settings.rights_claim]) if settings.rights_claim in members else []
        staff = _text.decode(members[settings.staff_claim]) if settings.staff_claim in members else ""
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise TokenInvalidError(
            "the claim of rights must be a list of texts, and the staff code a text"
        ) from None
    if len(rights) > RIGHTS_MAX:
        raise TokenInvalidError(f"the token lists more than {RIGHTS_MAX} rights")
    grants = tuple(dict.fromkeys(_grant(right, tree, today) for right in rights))
    if staff not in {"", EVERYWHERE}:
        try:
            check_text("the staff code", staff, ACTOR_CHARACTERS_MAX)
        except LedgerError as error:
            raise TokenInvalidError(str(error)) from None
    principal = Principal(claims.sub, "person", grants, "" if staff == EVERYWHERE else staff)
    if not staff and any(map(principal.holds, _REPORTING)):
        # Without it, whoever holds the token could report in the name of any officer.
        raise TokenInvalidError(
            f"the token may report but has no staff code: the issuer says it in the claim {settings.staff_claim}; "
            f"{EVERYWHERE} is for a system that reports for others"
        )
    return principal


def _check_subject(sub: str) -> None:
    try:
        # The end of such an id may look like a personal number.
        is_id = str(UUID(sub)) == sub
    except ValueError:
        is_id = False
    if not is_id:
        try:
            check_text("sub", sub, SUBJECT_CHARACTERS_MAX)
        except LedgerError as error:
            raise TokenInvalidError(str(error)) from None


def _grant(right: str, tree: UnitTree, today: date) -> Grant:
    role, _, code = right.partition(":")
    if not code or role not in set(Role):
        raise TokenInvalidError(
            f"a right of the token is none: each is a role, a colon and the code of a unit, or {EVERYWHERE}; roles are "
            f"{', '.join(Role)}"
        )
    if code == EVERYWHERE:
        return Grant(Role(role))
    try:
        return Grant(Role(role), tree.resolve(code, today).id)
    except UnitError as error:
        raise TokenInvalidError(
            f"a right of the token names a unit that there is not today: {error}"
        ) from None
