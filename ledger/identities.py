"""Who a dossier is about: found by a keyed hash, kept sealed, never in the log.

A 12-digit number hashed without a secret is reversible in minutes, so it would be
no pseudonym (Decree 13/2023, Law 91/2025). Each citizen has a key of their own,
wrapped with the key file's; deleting a citizen's row unlinks the dossier for good.
"""

import base64
import hashlib
import hmac
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.errors import KeyFileError, KeyFileInvalidError, KeyFileMissingError

KEY_FILE_NAME = "ledger.key"
SECRET_BYTES = 32
WRAP_NUMBER_MAX = 255
"""The number of a wrapping key is one byte; none is given twice."""
LOOK_SECONDS_MIN = 1.0
"""From one look whether the key file has changed to the next, where nothing asks for it."""
_NONCE_BYTES = 12
_CITIZEN_KIND = b"vn-citizen\x00"
_is_wrap = re.compile(r"wrap-([1-9][0-9]{0,2})", re.ASCII).fullmatch


class Sealed(msgspec.Struct, frozen=True, gc=False):
    """A citizen's row, but for the dossier's id and the lookup."""

    number: bytes
    """The personal number, AES-256-GCM under the citizen's key: nonce, then ciphertext and tag."""
    key: bytes
    """The citizen's key, wrapped: number of the wrapping key (1 byte), nonce, ciphertext and tag."""


class Identities:
    """The secrets of one ledger.

    Every ciphertext is bound to its dossier's id: moved to another row, it does not open. The greatest wrapping key
    seals, all of them open. Threads may share it.
    """

    def __init__(self, *, lookup: bytes, wrap: bytes | Mapping[int, bytes], path: Path | None = None) -> None:
        """Take the secrets as they are.

        Args:
            lookup: Finds citizens; it is the same for as long as there is the ledger.
            wrap: The wrapping keys by number, from 1; or the one that is number 1.
            path: The key file, which is read again when it has changed: another process may have added a wrapping key.
        """
        wraps = {1: wrap} if isinstance(wrap, bytes) else wrap
        assert wraps, "somebody has to seal"
        assert {SECRET_BYTES} == {len(secret) for secret in (lookup, *wraps.values())}
        assert all(1 <= number <= WRAP_NUMBER_MAX for number in wraps)
        self._lookup = lookup
        # HMAC-SHA-256 (RFC 2104) with its two first blocks hashed once: hmac.digest takes twice as long.
        block = lookup.ljust(hashlib.sha256().block_size, b"\x00")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
        self._wraps = {number: AESGCM(secret) for number, secret in wraps.items()}
        self._sealing = _sealing(self._wraps)
        self._path = path
        self._version: tuple[int, int] | None = None
        self._look_at = time.monotonic() + LOOK_SECONDS_MIN

    def __repr__(self) -> str:
        return "Identities(...)"

    def check(self) -> bytes:
        """Return what the database remembers of these secrets, to refuse any others."""
        return hmac.digest(self._lookup, b"check", "sha256")

    def mark(self, told: bytes) -> bytes:
        """Return 32 bytes by which the ledger knows again what it has told somebody.

        They are the same in all processes, and after a rotation too.
        """
        return hmac.digest(hmac.digest(self._lookup, b"mark", "sha256"), told, "sha256")

    def lookup(self, citizen: str) -> bytes:
        """Return the 32 bytes under which a citizen is found."""
        inner = self._inner.copy()
        inner.update(_CITIZEN_KIND + citizen.encode())
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()

    def seal(self, citizen: str, dossier_id: UUID) -> Sealed:
        """Make the row of a new citizen, with a key of its own."""
        if time.monotonic() >= self._look_at:
            self.look_again()
        # All at once: asking the kernel takes longer than sealing.
        random = os.urandom(SECRET_BYTES + 2 * _NONCE_BYTES)
        key, nonces = random[:SECRET_BYTES], random[SECRET_BYTES:]
        return Sealed(
            _encrypt(AESGCM(key), citizen.encode(), dossier_id, b"number", nonces[:_NONCE_BYTES]),
            self._wrap(key, dossier_id, nonces[_NONCE_BYTES:]),
        )

    def reveal(self, sealed: Sealed, dossier_id: UUID) -> str:
        """Return the personal number of a row that these secrets sealed."""
        return _decrypt(
            AESGCM(self._unwrap(sealed.key, dossier_id)), sealed.number, dossier_id, b"number"
        ).decode()

    def seal_note(self, note: str, wrapped_key: bytes, dossier_id: UUID) -> bytes:
        """Seal a note with the key of the citizen whose wrapped key is given."""
        cipher = AESGCM(self._unwrap(wrapped_key, dossier_id))
        return _encrypt(cipher, note.encode(), dossier_id, b"note", os.urandom(_NONCE_BYTES))

    def open_note(self, note: bytes, wrapped_key: bytes, dossier_id: UUID) -> str:
        return _decrypt(AESGCM(self._unwrap(wrapped_key, dossier_id)), note, dossier_id, b"note").decode()

    def rewrap(self, wrapped_key: bytes, dossier_id: UUID) -> bytes:
        """Return a citizen's key wrapped with the newest wrapping key."""
        return self._wrap(self._unwrap(wrapped_key, dossier_id), dossier_id, os.urandom(_NONCE_BYTES))

    @property
    def newest(self) -> int:
        """The number of the wrapping key that seals."""
        return self._sealing[0][0]

    @property
    def numbers(self) -> frozenset[int]:
        """The numbers of all wrapping keys."""
        return frozenset(self._wraps)

    def look_again(self) -> None:
        """Take the wrapping keys that the key file has got since it was read.

        What was known stays known. A file that cannot be read, or is another ledger's, changes nothing.
        """
        self._look_at = time.monotonic() + LOOK_SECONDS_MIN
        if self._path is None or (version := _version(self._path)) == self._version:
            return
        try:
            lookup, wraps = _secrets(self._path)
        except KeyFileError:
            return
        if hmac.compare_digest(lookup, self._lookup):
            self._version = version
            # A retired one stays too: a row that was read before may still be at work.
            self._wraps = {number: AESGCM(secret) for number, secret in wraps.items()} | self._wraps
            self._sealing = _sealing(self._wraps)

    def _wrap(self, key: bytes, dossier_id: UUID, nonce: bytes) -> bytes:
        number, cipher = self._sealing
        return number + _encrypt(cipher, key, dossier_id, b"key", nonce)

    def _unwrap(self, wrapped_key: bytes, dossier_id: UUID) -> bytes:
        number = wrapped_key[0]
        if number not in self._wraps:
            self.look_again()
        cipher = self._wraps.get(number)
        if cipher is None:
            raise KeyFileInvalidError(
                f"the key file has no wrapping key {number}, which sealed this dossier; use the current key file"
            )
        return _decrypt(cipher, wrapped_key[1:], dossier_id, b"key")


def _sealing(wraps: Mapping[int, AESGCM]) -> tuple[bytes, AESGCM]:
    """Return the greatest wrapping key, its number as a wrapped key begins with it."""
    newest = max(wraps)
    return bytes([newest]), wraps[newest]


def _version(path: Path) -> tuple[int, int] | None:
    """Return what differs once a file was replaced; None where it cannot be seen."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _encrypt(cipher: AESGCM, plain: bytes, dossier_id: UUID, purpose: bytes, nonce: bytes) -> bytes:
    return nonce + cipher.encrypt(nonce, plain, purpose + dossier_id.bytes)


def _decrypt(cipher: AESGCM, sealed: bytes, dossier_id: UUID, purpose: bytes) -> bytes:
    try:
        return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], purpose + dossier_id.bytes)
    except InvalidTag:
        raise KeyFileInvalidError(
            f"what is sealed in dossier {dossier_id} does not open: the key file or the row was changed"
        ) from None


def read_key_file(path: Path) -> Identities:
    """Read a key file.

    Raises:
        KeyFileMissingError: There is none.
        KeyFileInvalidError: It cannot be read, others can read it, or it is no key file.
    """
    lookup, wraps = _secrets(path)
    return Identities(lookup=lookup, wrap=wraps, path=path)


def _secrets(path: Path) -> tuple[bytes, dict[int, bytes]]:
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        raise KeyFileMissingError(
            f"no key file {path}: name the ledger's own with LEDGER_KEY_FILE or --key-file; "
            "for a new ledger, ledger migrate makes one"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileInvalidError(f"the key file {path} cannot be read: {error}") from None
    if mode & 0o077:
        raise KeyFileInvalidError(f"others than its owner can read the key file {path}; run chmod 600 on it")
    secrets: dict[str, bytes] = {}
    try:
        for line in text.splitlines():
            if line[:1] != "#" and ": " in line:
                name, secret = line.split(": ", 1)
                if name in secrets:
                    raise ValueError(name)
                secrets[name] = _secret(secret)
        lookup = secrets.pop("lookup")
        wraps = {_wrap_number(name): secret for name, secret in secrets.items()}
        if not wraps:
            raise ValueError
    except (KeyError, ValueError):
        raise KeyFileInvalidError(
            f"{path} is not a key file of an activation ledger, or is damaged"
        ) from None
    return lookup, wraps


def _wrap_number(name: str) -> int:
    match = _is_wrap(name)
    if match is None or int(match[1]) > WRAP_NUMBER_MAX:
        raise ValueError(name)
    return int(match[1])


def _secret(text: str) -> bytes:
    secret = base64.b64decode(text, validate=True)
    if len(secret) != SECRET_BYTES:
        raise ValueError(len(secret))
    return secret
