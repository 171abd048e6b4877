"""An issuer's public keys (RFC 7517), but for those that no access token may be signed with. Pure."""

from collections.abc import Mapping
from typing import Any

import jwt
import msgspec

KEYS_MAX = 32
RSA_BITS_MIN, RSA_BITS_MAX = 2048, 4096

ALGORITHMS = ("ES256", "EdDSA", "RS256")
"""What tokens may be signed with; each key is for one of them."""
_ALGORITHM_OF: Mapping[tuple[object, object], str] = {
    ("EC", "P-256"): "ES256",
    ("OKP", "Ed25519"): "EdDSA",
    ("RSA", None): "RS256",
}


class JwksInvalidError(ValueError):
    """It is no set of keys, or has none that can be used."""


class IssuerKey(msgspec.Struct, frozen=True):
    """A public key, and the one algorithm that it is for."""

    kid: str
    algorithm: str
    jwk: Mapping[str, Any]
    public: jwt.PyJWK


class _Set(msgspec.Struct):
    keys: list[dict[str, Any]]


_decoder = msgspec.json.Decoder(_Set)


def read_jwks(data: bytes, known: Mapping[str, IssuerKey] = {}) -> dict[str, IssuerKey]:
    """Return the keys of a set by their ids; those that are *known* already are the same objects.

    Raises:
        JwksInvalidError: It is no set of keys, or has none that can be used.
    """
    try:
        keys = _decoder.decode(data).keys
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise JwksInvalidError("it is no set of keys (RFC 7517)") from None
    if len(keys) > KEYS_MAX:
        raise JwksInvalidError(f"it has more than {KEYS_MAX} keys")
    found: dict[str, IssuerKey] = {}
    for jwk in keys:
        kid = jwk.get("kid")
        old = known.get(kid) if isinstance(kid, str) else None
        key = old if old and old.jwk == jwk else _key(jwk)
        if key:
            found[key.kid] = key
    if not found:
        raise JwksInvalidError(f"it has no public key with a kid for {', '.join(ALGORITHMS)}")
    return found


def _key(jwk: dict[str, Any]) -> IssuerKey | None:
    """Return a key that tokens may be signed with, None for any other."""
    kid, crv = jwk.get("kid"), jwk.get("crv")
    try:
        algorithm = _ALGORITHM_OF.get((jwk.get("kty"), crv))
    except TypeError:
        return None
    if not isinstance(kid, str) or not kid or algorithm is None:
        return None
    # Somebody who publishes a private key has none any more.
    if "d" in jwk or jwk.get("use", "sig") != "sig" or jwk.get("alg", algorithm) != algorithm:
        return None
    try:
        public = jwt.PyJWK(jwk, algorithm=algorithm)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if algorithm == "RS256" and not RSA_BITS_MIN <= public.key.key_size <= RSA_BITS_MAX:
        return None
    return IssuerKey(kid, algorithm, jwk, public)
