"""Where the server's files are, whom they belong to, and the lock on them."""

import fcntl
import hashlib
import os
import pwd
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.embedded.processes import User, run, succeeds
from ledger.errors import StoreNotReadyError, StoreUnavailableError

SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_BYTES_MAX = 90

_RELOCATED = Path("/var/lib/activation-ledger")


def default_home() -> Path:
    """Say ~/.local/share/activation-ledger in full."""
    return Path.home() / ".local" / "share" / "activation-ledger"


class Place:
    """A home, and the directory of the server's own files: home itself, or its stand-in.

    Whatever asks where something is raises StoreNotReadyError when home belongs to another user.
    """

    def __init__(self, home: Path) -> None:
        # One home has one name, because the names of the relocated directories are made from it.
        self.home = home.expanduser().resolve()

    # Where.

    @property
    def directory(self) -> Path:
        """Where the server's own files are.

        Decided once, when there is no data yet. After that the data itself (or the link to it) decides: were
        permissions asked again, a chmod of home would bring up an empty ledger in the other place.
        """
        self.refuse_strangers()
        data = self.home / "data"
        if data.is_symlink() and (link := data.readlink()).parent.parent == _RELOCATED:
            return link.parent
        if os.geteuid() != 0 or data.exists() or self.can_enter(self.home):
            return self.home
        return self._stand_in

    @property
    def data_dir(self) -> Path:
        return self.directory / "data"

    @property
    def socket_dir(self) -> Path:
        """Where the unix socket is: with the other files, or in a short one if libpq could not use its name."""
        ordinary = self.directory / "run"
        if _fits_libpq(ordinary):
            return ordinary
        if os.geteuid() == 0:
            return self._stand_in / "run"
        return Path(f"/tmp/activation-ledger-{os.geteuid()}-{self._hash}")  # noqa: S108 - _make_private judges it

    @property
    def password_file(self) -> Path:
        return self.home / "password"

    @property
    def start_log(self) -> Path:
        return self.directory / "start.log"

    @property
    def _stand_in(self) -> Path:
        return _RELOCATED / self._hash

    @property
    def _hash(self) -> str:
        return hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]

    def has_data(self) -> bool:
        return (self.data_dir / "PG_VERSION").exists()

    def data_major(self) -> int | None:
        """Return the major version that the data is of; None if there is no data."""
        try:
            return int((self.data_dir / "PG_VERSION").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    # Whose.

    def refuse_strangers(self) -> None:
        """One home, one user: half the files would be unreadable to each of two."""
        try:
            owner = self.home.stat().st_uid
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreNotReadyError(f"{self.home} cannot be reached: {error.strerror}") from error
        me = os.geteuid()
        mine = owner == me or (owner == 0 and os.access(self.home, os.W_OK | os.X_OK, effective_ids=True))
        if mine and me != 0 and (self.home / "data").exists():
            owner = (self.home / "data").stat().st_uid
            mine = owner == me
        if not mine:
            raise StoreNotReadyError(
                f"{self.home} belongs to the user {_name(owner)}, not to {_name(me)}: run the ledger as "
                f"{_name(owner)}, or give it a home of your own (LEDGER_HOME)"
            )

    def server_user(self) -> User | None:
        """Return whom the server runs as; None: as we do.

        Raises:
            StoreNotReadyError: We are root, and there is nobody else.
        """
        if os.geteuid() != 0:
            return None
        data = self.home / "data"
        if data.exists() and (owner := data.stat()).st_uid != 0:
            return User(owner.st_uid, owner.st_gid)
        for name in ("postgres", "nobody"):
            try:
                user = pwd.getpwnam(name)
            except KeyError:
                continue
            return User(user.pw_uid, user.pw_gid)
        raise StoreNotReadyError(
            "PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody to run "
            "it as: create one, or run the ledger as an ordinary user"
        )

    def can_enter(self, directory: Path) -> bool:
        """Return whether the server's user can. The kernel is asked: mode bits alone know nothing of ACLs."""
        there = next(path for path in (directory, *directory.parents) if path.exists())
        return succeeds(["/bin/sh", "-c", 'cd -- "$1"', "sh", str(there)], self.server_user())

    def as_server(self, *command: str | Path, text: str = "") -> str:
        """Run a short program as the server's user and return what it said.

        Raises:
            StoreUnavailableError: It failed; with the end of what it said.
        """
        done = run(command, self.server_user(), text)
        said = os.fsdecode(done.stdout)
        if done.returncode != 0:
            program = Path(command[0]).name
            raise StoreUnavailableError(f"{program} failed ({done.returncode}): {said[-2000:].strip()}")
        return said

    def write_as_server(self, path: Path, text: str) -> None:
        """Write a whole file or none, 0600."""
        # Not written by root: in a directory of another user, root could be led elsewhere by a link.
        script = 'umask 077 && cat >"$1.new" && mv -f -- "$1.new" "$1"'
        self.as_server("/bin/sh", "-c", script, "sh", path, text=text)

    # The lock, and what is done under it.

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be alone among all processes. The kernel lets go of the lock even if we are killed.

        Raises:
            StoreUnavailableError: The home, or something in it, cannot be used; for every OSError of the block too.
        """
        self.refuse_strangers()
        try:
            # Others may pass through root's home (0711), because the server's user must; nobody may list it.
            self.home.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
            # O_CLOEXEC: inherited by the server, the lock would be held for as long as the server lives.
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            lock = os.open(self.home / "start.lock", flags, 0o600)
        except OSError as error:
            raise StoreUnavailableError(f"{self.home} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            raise StoreUnavailableError(f"the store in {self.home}: {error.strerror}{where}") from error
        finally:
            # Said aloud, because a child forked meanwhile by another thread has the lock open as well.
            fcntl.flock(lock, fcntl.LOCK_UN)
            os.close(lock)

    def make(self) -> None:
        """Make the directories that are lacking, and remove what a killed start left half made.

        Raises:
            StoreNotReadyError: The server's user cannot enter, or somebody else made the socket's directory.
        """
        directory, socket_dir, user = self.directory, self.socket_dir, self.server_user()
        for path in (directory, socket_dir.parent):
            if path.parent == _RELOCATED:
                _make_passable(_RELOCATED)
                _make_passable(path)
        if directory != self.home and not (self.home / "data").is_symlink():
            (self.home / "data").symlink_to(directory / "data")
        if not self.can_enter(directory):
            raise StoreNotReadyError(
                f"the server's user {_name(user.uid if user else os.geteuid())} cannot enter {directory}, where "
                "the data is: let it pass again (chmod a+x on that directory and those above it)"
            )
        _make_private(socket_dir, user)
        # A killed start's initdb may still be writing there: no matter.
        for half in (*directory.glob("data.new-*"), *directory.glob("binaries.new-*")):
            shutil.rmtree(half, ignore_errors=True)

    def refuse_second_cluster(self) -> None:
        """Raise StoreNotReadyError where the stand-in has data, but home does not know of it."""
        stand_in = self._stand_in / "data"
        if os.geteuid() == 0 and stand_in != self.data_dir and (stand_in / "PG_VERSION").exists():
            raise StoreNotReadyError(
                f"the data of {self.home} is in {stand_in}, but the link to it is gone: restore the link "
                f"(ln -s {stand_in} {self.home}/data), or remove that directory"
            )


def _make_passable(directory: Path) -> None:
    """A directory of root's that the server's user may pass through, whatever our umask."""
    directory.mkdir(mode=0o711, exist_ok=True)
    directory.chmod(0o711)


def _make_private(directory: Path, user: User | None) -> None:
    """A directory for the server's user alone. Raises StoreNotReadyError if somebody else made it first."""
    directory.mkdir(mode=0o700, exist_ok=True)
    there = directory.lstat()
    if not stat.S_ISDIR(there.st_mode) or os.geteuid() not in (0, there.st_uid):
        raise StoreNotReadyError(f"{directory} is not ours (it belongs to {_name(there.st_uid)}): remove it")
    if user is not None:
        os.chown(directory, user.uid, user.gid, follow_symlinks=False)
    directory.chmod(0o700)


def _fits_libpq(socket_dir: Path) -> bool:
    """Short enough for the kernel, and no comma, which libpq and the server take for the end of the name."""
    name = os.fsencode(socket_dir / SOCKET_NAME)
    return len(name) <= SOCKET_PATH_BYTES_MAX and b"," not in name and str(socket_dir).isprintable()


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"with uid {uid}"
