"""Write key files: a new one, one with a wrapping key more, one with one fewer.

Whatever is killed or cut off, the file is whole and holds every key that anything needs.
"""

import base64
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.identities import SECRET_BYTES, read_key_file

_HEADER = (
    "# activation-ledger key file 1. Back it up with the database: without it no citizen can be found.\n"
)
_DRAFT_SUFFIX = ".rotated"


def create_key_file(path: Path) -> None:
    """Write a new key file, mode 0600. Atomic: it is whole or not there.

    An existing file is left alone: overwriting it would lose every citizen.
    """
    text = _HEADER + "".join(_line(name) for name in ("lookup", "wrap-1"))
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = _draft(path, text, ".new")
    try:
        # link, not rename: of two processes creating it at once, the second keeps the first's.
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()
    _sync_directory(path.parent)


def add_wrapping_key(path: Path) -> int:
    """Add a wrapping key, which seals from now on; return its number. It is on the disk when this returns.

    Raises:
        KeyFileError: There is no key file, or it cannot be used.
    """
    number = 0

    def add(text: str) -> str:
        nonlocal number
        number = read_key_file(path).newest + 1
        return text.removesuffix("\n") + "\n" + _line(f"wrap-{number}")

    _rewrite(path, add)
    return number


def remove_wrapping_key(path: Path, number: int) -> None:
    """Take a wrapping key out, which no citizen needs any more.

    Raises:
        KeyFileError: There is no key file, or it cannot be used.
    """

    def remove(text: str) -> str:
        assert number != read_key_file(path).newest, number
        lines = text.splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith(f"wrap-{number}:"))

    _rewrite(path, remove)


def _rewrite(path: Path, change: Callable[[str], str]) -> None:
    """Put a changed text in the place of a key file's, for the same owner."""
    # The file itself, not a link to it: whoever reads it by its other name must find the change.
    path = path.resolve()
    read_key_file(path)  # Refuses what is none.
    with _locked(path):
        for left in path.parent.glob(f"{path.name}.*{_DRAFT_SUFFIX}"):
            left.unlink()  # Of somebody who was killed.
        owner = path.stat()
        draft = _draft(path, change(path.read_text(encoding="ascii")), _DRAFT_SUFFIX)
        try:
            if (owner.st_uid, owner.st_gid) != (os.getuid(), os.getgid()):
                # Root rotates; the server, which is somebody else, must go on reading it.
                os.chown(draft, owner.st_uid, owner.st_gid)
            read_key_file(draft)
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        _sync_directory(path.parent)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file that others may replace meanwhile; the kernel releases it on kill -9."""
    while True:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                yield
                return
        finally:
            os.close(descriptor)


def _line(name: str) -> str:
    return f"{name}: {base64.b64encode(os.urandom(SECRET_BYTES)).decode()}\n"


def _draft(path: Path, text: str, suffix: str) -> Path:
    """Write a file beside another, mode 0600, to its end on the disk."""
    # A draft of its own for everybody: threads, and processes of two containers, may share a pid.
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.", suffix=suffix, dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        draft.unlink()
        raise
    return draft


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
