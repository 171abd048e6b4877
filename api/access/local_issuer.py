"""An issuer for development and the demo: it signs tokens for whoever may read its key file.

Nobody logs in here. What a province has is an OpenID Connect issuer of its own, which knows its officers.
"""

import os
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from api.access.issuer_keys import DISCOVERY
from ledger.errors import KeyFileInvalidError

FILE_NAME = "issuer.key"
ADDRESS = "http://127.0.0.1:8001"
AUDIENCE = "activation-ledger"
JWKS_PATH = "/jwks.json"
KEPT_SECONDS = 86_400
"""So long a key is told after another took its place: no token lasts longer."""
_ALGORITHM = "ES256"
_PUBLIC = ("kty", "crv", "x", "y", "kid", "alg", "use")

Jwk = dict[str, Any]


class _File(msgspec.Struct):
    keys: list[Jwk]
    """The first one signs; the others are public halves, each with the time when it was retired."""


_decoder = msgspec.json.Decoder(_File)


class LocalIssuer:
    """The keys in a file, mode 0600; it is read each time, so that a rotation needs no restart."""

    def __init__(self, path: Path) -> None:
        """Make the file, if there is none."""
        self.path = path
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write(path, [_new_key()], replace=False)

    def jwks(self) -> bytes:
        """Return the public halves of the keys that tokens under way may be signed with.

        Raises:
            KeyFileInvalidError: The file cannot be read, or others can read it.
        """
        return msgspec.json.encode({"keys": [_public(key) for key in self._read()]})

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return an access token; raise KeyFileInvalidError as ``jwks`` does."""
        key = self._read()[0]
        headers = {"kid": key["kid"], "typ": "at+jwt"}
        return jwt.encode(dict(claims), jwt.PyJWK(key, algorithm=_ALGORITHM), _ALGORITHM, headers)

    def rotate(self, now: float) -> str:
        """Sign with a new key from now on, and return its id; the old one is told for a day more.

        Args:
            now: Seconds since 1970.

        Raises:
            KeyFileInvalidError: The file cannot be read, or others can read it.
        """
        signing, *retired = self._read()
        kept = [key for key in retired if now - key["retired_at"] < KEPT_SECONDS]
        new = _new_key()
        _write(self.path, [new, {**_public(signing), "retired_at": now}, *kept], replace=True)
        kid: str = new["kid"]
        return kid

    def _read(self) -> list[Jwk]:
        try:
            mode, data = self.path.stat().st_mode, self.path.read_bytes()
        except OSError as error:
            raise KeyFileInvalidError(
                f"the issuer's key file {self.path} cannot be read: {error.strerror}"
            ) from None
        if mode & 0o077:
            raise KeyFileInvalidError(
                f"others than its owner can read the issuer's key file {self.path}; run chmod 600 on it"
            )
        try:
            keys = _decoder.decode(data).keys
            assert keys[0]["d"]
        except (msgspec.MsgspecError, UnicodeDecodeError, LookupError, AssertionError):
            raise KeyFileInvalidError(
                f"{self.path} is no key file of an issuer, or is damaged; remove it to begin anew"
            ) from None
        return keys


def _new_key() -> Jwk:
    jwk = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
    return {**jwk, "kid": secrets.token_urlsafe(9), "alg": _ALGORITHM, "use": "sig"}


def _public(key: Jwk) -> Jwk:
    # Named one by one: what is private can never slip through.
    return {name: key[name] for name in _PUBLIC}


def _write(path: Path, keys: Sequence[Jwk], *, replace: bool) -> None:
    """Write the file, mode 0600; it is whole or as it was."""
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".new", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode({"keys": keys}))
            file.flush()
            os.fsync(file.fileno())
        if replace:
            draft.replace(path)
            return
        try:
            # link, not rename: of two processes creating it at once, the second keeps the first's.
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink(missing_ok=True)


class IssuerServer(ThreadingHTTPServer):
    """Tells the discovery document and the public keys, on this machine alone."""

    daemon_threads = True

    def __init__(self, issuer: LocalIssuer, port: int, name: str | None = None) -> None:
        """Take the port; raise OSError where it cannot be had.

        Args:
            port: 0: any.
            name: What tokens say as ``iss``, if not the address.
        """
        super().__init__(("127.0.0.1", port), _Handler)
        self.issuer = issuer
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.name = name or self.address


class _Handler(BaseHTTPRequestHandler):
    server: IssuerServer

    def do_GET(self) -> None:
        server = self.server
        if self.path == DISCOVERY:
            document = {
                "issuer": server.name,
                "jwks_uri": server.address + JWKS_PATH,
                "id_token_signing_alg_values_supported": [_ALGORITHM],
            }
            self._answer(HTTPStatus.OK, msgspec.json.encode(document))
        elif self.path == JWKS_PATH:
            try:
                self._answer(HTTPStatus.OK, server.issuer.jwks())
            except KeyFileInvalidError:
                self._answer(HTTPStatus.SERVICE_UNAVAILABLE, b"{}")
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"{}")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Log nothing: it is asked every few minutes."""
