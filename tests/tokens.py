"""An issuer of access tokens for tests, which makes them with any fault; and what a request sends."""

import base64
import hashlib
import hmac
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from api.access import TokenSettings
from ledger import Ledger
from ledger.access import Role

ISSUER = "https://issuer.test/realms/province"
AUDIENCE = "activation-ledger"
STAFF_CODE = "th-0042"
"""Who reports in ``tests.api.conftest.report``."""
MINUTES = 30


def bearer(token: str) -> dict[str, str]:
    """Return the headers of a request that comes with a token."""
    return {"Authorization": f"Bearer {token}"}


def segment(data: bytes | Mapping[str, Any]) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class SigningKey:
    """A private key of an issuer."""

    def __init__(self, algorithm: str, kid: str, private: Any = None) -> None:
        self.algorithm = algorithm
        self.kid = kid
        self.private = (
            private
            or {
                "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
                "EdDSA": ed25519.Ed25519PrivateKey.generate,
                "RS256": lambda: rsa.generate_private_key(65537, 2048),
            }[algorithm]()
        )

    @property
    def public(self) -> Any:
        return self.private.public_key()

    @property
    def jwk(self) -> dict[str, Any]:
        """Its public half, as it stands in a set of keys."""
        to_jwk = jwt.get_algorithm_by_name(self.algorithm).to_jwk
        return {**to_jwk(self.public, as_dict=True), "kid": self.kid, "alg": self.algorithm, "use": "sig"}

    @property
    def pem(self) -> bytes:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.public.public_bytes(serialization.Encoding.PEM, form)

    def sign(self, header: Mapping[str, Any] | bytes, payload: Mapping[str, Any] | bytes) -> str:
        """Return a token of any header and payload, signed as the key's algorithm says, whatever the header does."""
        signed = f"{segment(header)}.{segment(payload)}"
        algorithm = jwt.get_algorithm_by_name(self.algorithm)
        return f"{signed}.{segment(algorithm.sign(signed.encode(), self.private))}"


class Issuer:
    """Signs what a test wants, by the clock that it is given."""

    def __init__(
        self, now: Callable[[], float] = time.time, *, algorithm: str = "ES256", name: str = ISSUER
    ) -> None:
        self.now = now
        self.name = name
        self.key = SigningKey(algorithm, "key-1")
        self.stranger = SigningKey(algorithm, "key-1")
        """Another one's key under the same id."""

    @classmethod
    def of(cls, ledger: Ledger, **settings: Any) -> "Issuer":
        """Return an issuer whose clock is that of a ledger."""
        return cls(lambda: ledger.now().timestamp(), **settings)

    @property
    def jwks(self) -> dict[str, Any]:
        return {"keys": [self.key.jwk]}

    def settings(self, folder: Path, **changes: Any) -> TokenSettings:
        """Return settings that take this issuer's tokens, by a file of its keys in a folder."""
        path = folder / "jwks.json"
        path.write_text(json.dumps(self.jwks), encoding="utf-8")
        return TokenSettings(**{"issuer": self.name, "audience": AUDIENCE, "jwks": path} | changes)

    def header(self, **changes: Any) -> dict[str, Any]:
        return _changed({"alg": self.key.algorithm, "kid": self.key.kid, "typ": "at+jwt"}, changes)

    def claims(self, rights: Sequence[str] = (), **changes: Any) -> dict[str, Any]:
        """Return good claims but for the changes; None takes one out."""
        now = int(self.now())
        good = {
            "iss": self.name,
            "aud": AUDIENCE,
            "sub": "an.nguyen",
            "iat": now,
            "exp": now + MINUTES * 60,
            "ledger_rights": list(rights),
            "staff_code": STAFF_CODE,
        }
        return _changed(good, changes)

    def token(self, *rights: str, header: Mapping[str, Any] = {}, **changes: Any) -> str:
        """Return a good token but for the changes of its claims and its header.

        Args:
            rights: A role, a colon and a unit's code, or ``*``.
        """
        return self.key.sign(self.header(**header), self.claims(rights, **changes))


def _changed(good: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def _hmac(issuer: Issuer, rights: Sequence[str], secret: bytes) -> str:
    signed = f"{segment(issuer.header(alg='HS256'))}.{segment(issuer.claims(rights))}"
    return f"{signed}.{segment(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def _part(token: str, number: int, part: str) -> str:
    parts = token.split(".")
    return ".".join([*parts[:number], part, *parts[number + 1 :]])


def _twice(issuer: Issuer, rights: Sequence[str], name: str, value: str) -> str:
    """Return a token in whose header or claims a name stands twice, signed."""
    header, claims = json.dumps(issuer.header()), json.dumps(issuer.claims(rights))
    if name in issuer.header():
        header = f'{{"{name}": "{value}", {header[1:]}'
    else:
        claims = f'{{"{name}": "{value}", {claims[1:]}'
    return issuer.key.sign(header.encode(), claims.encode())


class Asking(httpx.Auth):
    """Says with each request who asks: somebody who may do everything, for everybody. Whatever says so itself is left alone."""

    RENEW_SECONDS = 600

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._at = -math.inf
        self._header = ""

    @property
    def header(self) -> str:
        # A test may set the clock either way, and a token lasts for half an hour.
        now = self._issuer.now()
        if not 0 <= now - self._at < self.RENEW_SECONDS:
            # Before the time of it: threads share this, and none may find a time without its token.
            self._header = bearer(self._issuer.token("operator:*", staff_code="*"))["Authorization"]
            self._at = now
        return self._header

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:
        request.headers.setdefault("Authorization", self.header)
        yield request


_SERVED = Issuer()
SERVED = Asking(_SERVED)
"""Who asks servers that run in processes of their own."""


def served_issuer(folder: Path) -> dict[str, str]:
    """Return the environment of a server that takes the tokens of ``SERVED``; the keys are kept in a folder."""
    settings = _SERVED.settings(folder)
    return {"LEDGER_ISSUER": _SERVED.name, "LEDGER_AUDIENCE": AUDIENCE, "LEDGER_JWKS": str(settings.jwks)}


Make = Callable[[Issuer, Sequence[str]], str]

EXPIRED: Mapping[str, Make] = {
    "expired": lambda issuer, rights: issuer.token(
        *rights, iat=int(issuer.now()) - 1900, exp=int(issuer.now()) - 60
    ),
    "expired an hour ago": lambda issuer, rights: issuer.token(
        *rights, iat=int(issuer.now()) - 5400, exp=int(issuer.now()) - 3600
    ),
}
"""Tokens that were good."""

INVALID: Mapping[str, Make] = {
    "not yet (nbf)": lambda issuer, rights: issuer.token(*rights, nbf=int(issuer.now()) + 60),
    "not yet (iat)": lambda issuer, rights: issuer.token(*rights, iat=int(issuer.now()) + 60),
    "wrong audience": lambda issuer, rights: issuer.token(*rights, aud="payroll"),
    "wrong audiences": lambda issuer, rights: issuer.token(*rights, aud=["payroll", AUDIENCE + "2"]),
    "audience is part of another": lambda issuer, rights: issuer.token(*rights, aud="my-" + AUDIENCE + "-x"),
    "no audience": lambda issuer, rights: issuer.token(*rights, aud=None),
    "wrong issuer": lambda issuer, rights: issuer.token(*rights, iss="https://issuer.test/realms/other"),
    "issuer with a slash": lambda issuer, rights: issuer.token(*rights, iss=issuer.name + "/"),
    "no issuer": lambda issuer, rights: issuer.token(*rights, iss=None),
    "no expiry": lambda issuer, rights: issuer.token(*rights, exp=None),
    "no time of issue": lambda issuer, rights: issuer.token(*rights, iat=None),
    "no subject": lambda issuer, rights: issuer.token(*rights, sub=None),
    "empty subject": lambda issuer, rights: issuer.token(*rights, sub=""),
    "subject is a personal number": lambda issuer, rights: issuer.token(*rights, sub="038090001234"),
    "subject of two lines": lambda issuer, rights: issuer.token(*rights, sub="an\nnguyen"),
    "staff code is a personal number": lambda issuer, rights: issuer.token(
        *rights, staff_code="038090001234"
    ),
    "expiry is a text": lambda issuer, rights: issuer.token(*rights, exp=str(int(issuer.now()) + 60)),
    "expiry is true": lambda issuer, rights: issuer.token(*rights, exp=True),
    "expiry beyond reason": lambda issuer, rights: issuer.token(*rights, exp=10**400, iat=1.5),
    "lifetime too long": lambda issuer, rights: issuer.token(*rights, exp=int(issuer.now()) + 3601),
    "issued long ago for long": lambda issuer, rights: issuer.token(*rights, iat=int(issuer.now()) - 3000),
    "alg none": lambda issuer, rights: (
        f"{segment(issuer.header(alg='none'))}.{segment(issuer.claims(rights))}."
    ),
    "alg None": lambda issuer, rights: (
        f"{segment(issuer.header(alg='None'))}.{segment(issuer.claims(rights))}."
    ),
    "alg none with a signature": lambda issuer, rights: issuer.token(*rights, header={"alg": "none"}),
    "no alg": lambda issuer, rights: issuer.token(*rights, header={"alg": None}),
    "no signature": lambda issuer, rights: _part(issuer.token(*rights), 2, ""),
    "HS256 with the public key as secret": lambda issuer, rights: _hmac(issuer, rights, issuer.key.pem),
    "HS256 with the public JWK as secret": lambda issuer, rights: _hmac(
        issuer, rights, json.dumps(issuer.key.jwk).encode()
    ),
    "HS256 with an empty secret": lambda issuer, rights: _hmac(issuer, rights, b""),
    "another algorithm than the key's": lambda issuer, rights: issuer.token(
        *rights, header={"alg": "RS256" if issuer.key.algorithm != "RS256" else "ES256"}
    ),
    "an algorithm that is not taken": lambda issuer, rights: issuer.token(*rights, header={"alg": "ES384"}),
    "unknown kid": lambda issuer, rights: issuer.token(*rights, header={"kid": "key-9"}),
    "no kid": lambda issuer, rights: issuer.token(*rights, header={"kid": None}),
    "kid is no text": lambda issuer, rights: issuer.token(*rights, header={"kid": 1}),
    "another's key": lambda issuer, rights: issuer.stranger.sign(issuer.header(), issuer.claims(rights)),
    "a key of its own": lambda issuer, rights: issuer.stranger.sign(
        issuer.header(jwk=issuer.stranger.jwk), issuer.claims(rights)
    ),
    "an address of keys of its own": lambda issuer, rights: issuer.token(
        *rights, header={"jku": "https://evil.test/jwks"}
    ),
    "a critical parameter": lambda issuer, rights: issuer.token(*rights, header={"crit": ["exp"], "exp": 1}),
    "an unencoded payload": lambda issuer, rights: issuer.token(
        *rights, header={"b64": False, "crit": ["b64"]}
    ),
    "wrong type": lambda issuer, rights: issuer.token(*rights, header={"typ": "logout+jwt"}),
    "no type": lambda issuer, rights: issuer.token(*rights, header={"typ": None}),
    "cut": lambda issuer, rights: issuer.token(*rights)[:-5],
    "cut in the claims": lambda issuer, rights: issuer.token(*rights)[:200],
    "claims changed": lambda issuer, rights: _part(
        issuer.token(), 1, segment(issuer.claims((*rights, "operator:*")))
    ),
    "header changed": lambda issuer, rights: _part(
        issuer.token(*rights), 0, segment(issuer.header(typ="JWT"))
    ),
    "four parts": lambda issuer, rights: issuer.token(*rights) + ".e30",
    "five parts, as if encrypted": lambda issuer, rights: ".".join(["e30"] * 5),
    "dots alone": lambda issuer, rights: "..",
    "padding": lambda issuer, rights: issuer.token(*rights) + "===",
    "header is no JSON": lambda issuer, rights: issuer.key.sign(b"alg", issuer.claims(rights)),
    "header is a list": lambda issuer, rights: issuer.key.sign(b"[]", issuer.claims(rights)),
    "claims are no JSON": lambda issuer, rights: issuer.key.sign(issuer.header(), b"\xff\xfe"),
    "claims are a list": lambda issuer, rights: issuer.key.sign(issuer.header(), b"[]"),
    "claims nested beyond reason": lambda issuer, rights: issuer.key.sign(
        issuer.header(), json.dumps(issuer.claims(rights))[:-1].encode() + b', "x": ' + b"[" * 5000
    ),
    "alg twice": lambda issuer, rights: _twice(issuer, rights, "alg", "none"),
    "kid twice": lambda issuer, rights: _twice(issuer, rights, "kid", "key-9"),
    "audience twice": lambda issuer, rights: _twice(issuer, rights, "aud", "payroll"),
    "subject twice": lambda issuer, rights: _twice(issuer, rights, "sub", "chief"),
    "huge": lambda issuer, rights: issuer.token(*rights, more="x" * 10_000),
    "rights are a text": lambda issuer, rights: issuer.token(ledger_rights=" ".join(rights)),
    "a role that there is not": lambda issuer, rights: issuer.token(*rights, "emperor:14758"),
    "a right without a unit": lambda issuer, rights: issuer.token(*rights, "recorder"),
    "a right over an empty unit": lambda issuer, rights: issuer.token(*rights, "recorder:"),
    "a unit that there never was": lambda issuer, rights: issuer.token(*rights, "recorder:99999"),
    "rights beyond number": lambda issuer, rights: issuer.token(*["viewer:38"] * 101),
    "reports without a staff code": lambda issuer, rights: issuer.token("recorder:14758", staff_code=None),
    "garbage": lambda issuer, rights: "garbage",
    "a key that there is not": lambda issuer, rights: f"alk_{'a' * 12}_{'A' * 43}",
    "half a key": lambda issuer, rights: "alk_abcdefghijkl",
}
"""Tokens that never were good. With each, nobody knows who asks."""

FAULTS: Mapping[str, tuple[str, Make]] = {
    **{name: ("token_expired", make) for name, make in EXPIRED.items()},
    **{name: ("token_invalid", make) for name, make in INVALID.items()},
}
"""Every fault of an access token, with the code of the refusal."""

HEADERS: Mapping[str, tuple[str, Callable[[str], str]]] = {
    "empty": ("token_needed", lambda token: ""),
    "no scheme": ("token_invalid", lambda token: token),
    "another scheme": ("token_invalid", lambda token: f"Basic {token}"),
    "a scheme alone": ("token_invalid", lambda token: "Bearer"),
    "two blanks": ("token_invalid", lambda token: f"Bearer  {token}"),
    "two tokens": ("token_invalid", lambda token: f"Bearer {token}, Bearer {token}"),
    "quoted": ("token_invalid", lambda token: f'Bearer "{token}"'),
    "a letter that no token has": ("token_invalid", lambda token: f"Bearer \xe9{token}"),
    "endless": ("token_invalid", lambda token: f"Bearer {token}{'A' * 20_000}"),
}
"""Every fault of the header Authorization round a good token, with the code of the refusal."""


def make_key(ledger: Ledger, *roles: Role, unit: str | None = None) -> str:
    """Return the text of a new API key."""
    return ledger.create_key(roles, unit=unit).token


def expired_key(ledger: Ledger, clock: Any, *roles: Role, unit: str | None = None) -> str:
    """Return the text of an API key that has expired, of a ledger whose clock a test sets."""
    now = clock.now
    try:
        clock.now = now - timedelta(days=2)
        return ledger.create_key(roles, unit=unit, days=1).token
    finally:
        clock.now = now


def revoked_key(ledger: Ledger, *roles: Role, unit: str | None = None) -> str:
    """Return the text of an API key that was revoked."""
    made = ledger.create_key(roles, unit=unit)
    ledger.revoke_key(made.key.id)
    return made.token
