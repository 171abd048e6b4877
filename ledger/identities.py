"""Who a dossier is about: found by a keyed hash, kept sealed, never in the log.

A 12-digit number hashed without a secret is reversible in minutes, so it would be
no pseudonym (Decree 13/2023, Law 91/2025). Each citizen has a key of their own,
wrapped with the key file's; deleting a citizen's row unlinks the dossier for good.
"""

import base64
import hashlib
import hmac
import os
import tempfile
from pathlib import Path
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.errors import KeyFileInvalidError, KeyFileMissingError

KEY_FILE_NAME = "ledger.key"
_SECRET_BYTES = 32
_NONCE_BYTES = 12
_WRAP_NUMBER = b"\x01"
_CITIZEN_KIND = b"vn-citizen\x00"
_HEADER = (
    "# activation-ledger key file 1. Back it up with the database: without it no citizen can be found.\n"
)


class Sealed(msgspec.Struct, frozen=True, gc=False):
    """A citizen's row, but for the dossier's id and the lookup."""

    number: bytes
    """The personal number, AES-256-GCM under the citizen's key: nonce, then ciphertext and tag."""
    key: bytes
    """The citizen's key, wrapped: number of the wrapping key (1 byte), nonce, ciphertext and tag."""


class Identities:
    """The secrets of one ledger.

    Every ciphertext is bound to its dossier's id: moved to another row, it does not open.
    """

    def __init__(self, *, lookup: bytes, wrap: bytes) -> None:
        assert len(lookup) == len(wrap) == _SECRET_BYTES
        self._lookup = lookup
        # HMAC-SHA-256 (RFC 2104) with its two first blocks hashed once: hmac.digest takes twice as long.
        block = lookup.ljust(hashlib.sha256().block_size, b"\x00")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
        self._wrap = AESGCM(wrap)

    def __repr__(self) -> str:
        return "Identities(...)"

    def check(self) -> bytes:
        """Return what the database remembers of these secrets, to refuse any others."""
        return hmac.digest(self._lookup, b"check", "sha256")

    def lookup(self, citizen: str) -> bytes:
        """Return the 32 bytes under which a citizen is found."""
        inner = self._inner.copy()
        inner.update(_CITIZEN_KIND + citizen.encode())
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()

    def seal(self, citizen: str, dossier_id: UUID) -> Sealed:
        """Make the row of a new citizen, with a key of its own."""
        # All at once: asking the kernel takes longer than sealing.
        random = os.urandom(_SECRET_BYTES + 2 * _NONCE_BYTES)
        key, nonces = random[:_SECRET_BYTES], random[_SECRET_BYTES:]
        return Sealed(
            _encrypt(AESGCM(key), citizen.encode(), dossier_id, b"number", nonces[:_NONCE_BYTES]),
            _WRAP_NUMBER + _encrypt(self._wrap, key, dossier_id, b"key", nonces[_NONCE_BYTES:]),
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

    def _unwrap(self, wrapped_key: bytes, dossier_id: UUID) -> bytes:
        if wrapped_key[:1] != _WRAP_NUMBER:
            raise KeyFileInvalidError(
                f"the key file has no wrapping key {wrapped_key[0]}, which sealed this dossier; "
                "use the current key file"
            )
        return _decrypt(self._wrap, wrapped_key[1:], dossier_id, b"key")


def _encrypt(cipher: AESGCM, plain: bytes, dossier_id: UUID, purpose: bytes, nonce: bytes) -> bytes:
    return nonce + cipher.encrypt(nonce, plain, purpose + dossier_id.bytes)


def _decrypt(cipher: AESGCM, sealed: bytes, dossier_id: UUID, purpose: bytes) -> bytes:
    try:
        return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], purpose + dossier_id.bytes)
    except InvalidTag:
        raise KeyFileInvalidError(
            f"what is sealed in dossier {dossier_id} does not open: the key file or the row was changed"
        ) from None


def create_key_file(path: Path) -> None:
    """Write a new key file, mode 0600. Atomic: it is whole or not there.

    An existing file is left alone: overwriting it would lose every citizen.
    """
    text = _HEADER + "".join(
        f"{name}: {base64.b64encode(os.urandom(_SECRET_BYTES)).decode()}\n" for name in ("lookup", "wrap-1")
    )
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # A draft of its own for everybody: threads, and processes of two containers, may share a pid.
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".new", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            # link, not rename: of two processes creating it at once, the second keeps the first's.
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_key_file(path: Path) -> Identities:
    """Read a key file.

    Raises:
        KeyFileMissingError: There is none.
        KeyFileInvalidError: It cannot be read, others can read it, or it is no key file.
    """
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
    secrets = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line and line[0] != "#")
    try:
        return Identities(lookup=_secret(secrets["lookup"]), wrap=_secret(secrets["wrap-1"]))
    except (KeyError, ValueError):
        raise KeyFileInvalidError(
            f"{path} is not a key file of an activation ledger, or is damaged"
        ) from None


def _secret(text: str) -> bytes:
    secret = base64.b64decode(text, validate=True)
    if len(secret) != _SECRET_BYTES:
        raise ValueError(len(secret))
    return secret
