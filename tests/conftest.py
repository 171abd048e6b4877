"""One real PostgreSQL for all tests, a fresh database for each, and the audit that ends a scenario."""

import hashlib
import json
import os
import re
import shutil
import signal
import struct
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, settings
from msgspec.structs import replace
from psycopg import sql
from psycopg.conninfo import make_conninfo

from ledger import Ledger, store
from ledger.database import Database
from ledger.dossier import Dossier, replay
from ledger.embedded import EmbeddedPostgres
from ledger.events import Allocated, CitizenErased, Step
from ledger.frozen_events import REPORTS_STREAM, ReportFrozen
from ledger.identities import Identities, Sealed, read_key_file
from ledger.key_events import KEYS_STREAM, KeyEvent
from ledger.key_files import create_key_file
from ledger.migrations import LOGS, migrate
from ledger.reads.events import DROPS_STREAM, ReadsEvent
from ledger.store import decode, encode
from ledger.target_events import TARGETS_STREAM, TargetEvent
from ledger.targets import Targets
from ledger.targets import grow as grow_targets
from ledger.unit_events import UNITS_STREAM, UnitEvent
from ledger.units import UnitTree, grow
from tests.projections import by_hand

try:
    from projections import COMPONENTS as PROJECTIONS
except ImportError:
    PROJECTIONS = ()

# Machines that run tests are slow at times, and a repository is no place for found examples.
settings.register_profile(
    "ledger", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ledger")

COMPONENTS = (*LOGS, *PROJECTIONS)
"""What a migrated database of the tests holds."""
SCHEMA = "ledger"
NOW = datetime(2024, 12, 9, 16, 0, tzinfo=UTC)
"""What the tests' clock says at first: 23:00 in Vietnam, the campaign's cut-off."""
UNITS_VALID_FROM = date(2021, 1, 1)

FAST = "fsync = off\nfull_page_writes = off\nsynchronous_commit = off\nshared_buffers = 128MB\n"
"""Settings of a server that nobody pulls the plug of. No test of durability may use it.

To make or drop a database PostgreSQL looks through all of its buffers: of the 6 GB that a ledger's own server may have, 20 ms.
"""
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 4_000_000_000
"""So much must be free there: all tests together need a fraction of it."""


LONG = ("test_benchmarks.py", "test_model.py", "test_any_request.py")
"""Files that take long and would stand at the end."""


def pytest_configure() -> None:
    """Let the programs that tests start hear Ctrl-C: a shell that runs the suite in the background lets all of it ignore that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that several processes end at the same time."""
    items.sort(key=lambda item: item.path.name not in LONG)


@pytest.fixture(autouse=True, scope="session")
def _short_waits() -> Iterator[None]:
    """Let callers wait less long for a database that is away: it stays away until the test has asked."""
    patience, store.POOL_WAIT_SECONDS_MAX = store.POOL_WAIT_SECONDS_MAX, 2.0
    yield
    store.POOL_WAIT_SECONDS_MAX = patience


class Server(NamedTuple):
    """A PostgreSQL, entered as superuser."""

    url: str
    embedded: bool
    home: Path | None = None
    strategy: Literal["FILE_COPY", "WAL_LOG"] = "WAL_LOG"
    """How a database is copied: files in memory in half the time of going through the log, on a disk in four times."""

    def conninfo(self, dbname: str = "postgres") -> str:
        return make_conninfo(self.url, dbname=dbname)

    def database(self, dbname: str, schema: str = SCHEMA) -> Database:
        """The ledger's place in a database of this server."""
        return Database(self.conninfo(dbname), schema, embedded=self.embedded)

    def create(self, template: str = "template0") -> str:
        """Make a database and return its name."""
        name = f"test_{uuid4().hex}"
        self._execute(f"CREATE DATABASE {{}} TEMPLATE {{}} STRATEGY {self.strategy}", name, template)
        return name

    def drop(self, name: str) -> None:
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.conninfo(), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The PostgreSQL of this session: our own embedded one, or that of LEDGER_TEST_DATABASE_URL."""
    url = os.environ.get("LEDGER_TEST_DATABASE_URL")
    if url:
        yield Server(url, embedded=False)
        return
    in_memory = has_room(MEMORY)
    with temporary_home(MEMORY if in_memory else Path("/tmp")) as home:
        postgres = EmbeddedPostgres(home)
        postgres.start()
        settings = postgres.data_dir / "ledger_user.conf"
        settings.write_text(FAST)
        settings.chmod(0o644)
        # Buffers are taken at the start.
        postgres.stop()
        postgres.start()
        url = postgres.conninfo(dbname="postgres")
        yield Server(url, embedded=True, home=home, strategy="FILE_COPY" if in_memory else "WAL_LOG")


def has_room(folder: Path) -> bool:
    """Whether the tests' databases can live in a folder; in a container there is often little memory for files."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return os.access(folder, os.W_OK) and disk.f_bavail * disk.f_frsize >= MEMORY_BYTES


class temporary_home:  # noqa: N801 - read as a function, like those of contextlib
    """A home for an embedded server, which is stopped and removed at the end.

    Not pytest's tmp_path: that is 0700, so a server started by root would live elsewhere, and its name is
    too long for a socket.
    """

    def __init__(self, parent: Path = Path("/tmp")) -> None:
        self.parent = parent

    def __enter__(self) -> Path:
        self.home = Path(tempfile.mkdtemp(prefix="ledger-test-", dir=self.parent))
        self.home.chmod(0o711)
        return self.home

    def __exit__(self, *_: object) -> None:
        postgres = EmbeddedPostgres(self.home)
        place = postgres.data_dir.parent
        postgres.stop()
        for directory in {self.home, place}:
            shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated_template(server: Server) -> Iterator[str]:
    name = server.create()
    migrate(server.database(name), COMPONENTS)
    yield name
    server.drop(name)


@pytest.fixture(scope="session")
def units_template(server: Server, migrated_template: str) -> Iterator[str]:
    name = server.create(migrated_template)
    # Units need no identities; the template stays unclaimed, so that each test may bring a key file.
    identities = Identities(lookup=bytes(32), wrap=bytes(32))
    with Ledger(server.database(name), identities) as ledger:
        ledger.load_units("units_2024.csv", valid_from=UNITS_VALID_FROM)
    yield name
    server.drop(name)


@pytest.fixture
def database(request: pytest.FixtureRequest, server: Server) -> Iterator[Database]:
    """A migrated database that exists for one test; where the test asks for ``ledger``, it has units."""
    template = "units_template" if "ledger" in request.fixturenames else "migrated_template"
    name = server.create(request.getfixturevalue(template))
    yield server.database(name)
    server.drop(name)


@pytest.fixture
def fresh_database(server: Server) -> Iterator[Database]:
    """A database with nothing in it."""
    name = server.create()
    yield server.database(name)
    server.drop(name)


@pytest.fixture
def conninfo(database: Database) -> str:
    """The superuser's way into the test's database."""
    return database.conninfo


@pytest.fixture
def operator(database: Database) -> Iterator[psycopg.Connection]:
    """The superuser in the test's database, in autocommit mode, with the schema on the search path."""
    with psycopg.connect(database.as_operator(), autocommit=True) as connection:
        yield connection


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.key"
    create_key_file(path)
    return path


@pytest.fixture
def identities(key_file: Path) -> Identities:
    return read_key_file(key_file)


class Clock:
    """A clock that stands still until a test sets it."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(database: Database, identities: Identities, clock: Clock) -> Iterator[Ledger]:
    """A ledger with the units of 2024, valid from 1 January 2021."""
    with Ledger(database, identities, now=clock) as ledger:
        yield ledger


@pytest.fixture
def open_again(database: Database, identities: Identities, clock: Clock) -> Iterator[Callable[[], Ledger]]:
    """Open the test's ledger once more, as another process would."""
    opened: list[Ledger] = []

    def again() -> Ledger:
        opened.append(Ledger(database, identities, now=clock))
        return opened[-1]

    yield again
    for ledger in opened:
        ledger.close()


def check_ledger(ledger: Ledger, *, length: int | None = None) -> None:
    """Audit the whole log, from its rows up, trusting nothing that the ledger says about itself.

    Args:
        length: How many events there must be.
    """
    with psycopg.connect(ledger.database.as_operator(), autocommit=True) as connection:
        rows = connection.execute(
            "SELECT notification_id, originator_id, originator_version, topic, state, recorded_at, leaf "
            "FROM events ORDER BY notification_id"
        ).fetchall()
        heads = connection.execute("SELECT size, recorded_at, units_version FROM head").fetchall()
        citizens = connection.execute("SELECT lookup, dossier_id, sealed, key FROM citizens").fetchall()

    if length is not None:
        assert length == len(rows)
    # Positions are dense, and time never falls.
    assert list(range(1, len(rows) + 1)) == [row[0] for row in rows]
    times = [row[5] for row in rows]
    assert all(earlier <= later for earlier, later in pairwise(times))

    streams: dict[UUID, list] = defaultdict(list)
    for position, stream, version, topic, state, recorded_at, leaf in rows:
        streams[stream].append(decode(topic, state))
        # Versions are dense.
        assert len(streams[stream]) == version, f"position {position}"
        assert state == encode(streams[stream][-1]), f"position {position}"
        assert leaf_v1(position, stream, version, recorded_at, topic, state) == leaf, f"position {position}"

    units = streams.pop(UNITS_STREAM, [])
    assert [(len(rows), times[-1] if rows else datetime(1970, 1, 1, tzinfo=UTC), len(units))] == heads
    tree = grow(UnitTree(), list(enumerate(units, 1)))
    grow_targets(Targets(), list(enumerate(streams.pop(TARGETS_STREAM, []), 1)))
    frozen = streams.pop(REPORTS_STREAM, [])
    assert len(frozen) == len({report.name for report in frozen})
    streams.pop(KEYS_STREAM, [])
    for stream, events in streams.items():
        assert_lawful(stream, events, tree)

    # Everybody who is registered has a dossier, and the other way round, but for those who were erased.
    erased = {stream for stream, events in streams.items() if isinstance(events[-1], CitizenErased)}
    assert set(streams) - erased == {dossier_id for _, dossier_id, _, _ in citizens}
    identities = ledger._identities
    numbers = set()
    for lookup, dossier_id, sealed, key in citizens:
        number = identities.reveal(Sealed(sealed, key), dossier_id)
        assert lookup == identities.lookup(number)
        numbers.add(number.encode())
        for event in streams[dossier_id]:
            if event.note is not None:
                assert number not in identities.open_note(event.note, key, dossier_id)
    assert len(citizens) == len(numbers)
    for position, _, _, topic, state, _, _ in rows:
        runs = {match[1] for match in re.finditer(rb"(?=(\d{12}))", state + topic.encode())}
        assert set() == runs & numbers, f"position {position} holds a personal number"


def leaf_v1(
    position: int, stream: UUID, version: int, recorded_at: datetime, topic: str, state: bytes
) -> bytes:
    """The leaf of the hash tree, as docs and inspectors compute it: see DESIGN D7."""
    since_1970 = recorded_at - datetime(1970, 1, 1, tzinfo=UTC)
    microseconds = (since_1970.days * 86_400 + since_1970.seconds) * 1_000_000 + since_1970.microseconds
    name = topic.encode()
    return hashlib.sha256(
        b"\x00activation-ledger/v1"
        + struct.pack(">q16sqqi", position, stream.bytes, version, microseconds, len(name))
        + name
        + hashlib.sha256(state).digest()
    ).digest()


def check_reads(
    database: Database, *, length: int | None = None
) -> list[tuple[UUID, int, ReadsEvent, datetime]]:
    """Audit the log of looks as the first one, and that what it lacks was dropped; return stream, version, event and time
    of each, in order.

    Args:
        length: How many there must be.
    """
    with psycopg.connect(database.reads.as_operator(), autocommit=True) as connection:
        rows = connection.execute(
            "SELECT notification_id, originator_id, originator_version, topic, state, recorded_at, leaf "
            "FROM events ORDER BY notification_id"
        ).fetchall()
        heads = connection.execute("SELECT size, recorded_at, units_version FROM head").fetchall()
        gone = connection.execute("SELECT position, drop_number, leaf FROM dropped").fetchall()
        assert [(0,)] == connection.execute("SELECT count(*) FROM citizens").fetchall()
    if length is not None:
        assert length == len(rows)
    size = len(rows) + len(gone)
    assert list(range(1, size + 1)) == sorted(row[0] for row in (*rows, *gone))
    times = [row[5] for row in rows]
    assert all(earlier <= later for earlier, later in pairwise(times))
    assert [(size, times[-1] if rows else datetime(1970, 1, 1, tzinfo=UTC), 0)] == heads
    versions: dict[UUID, int] = {}
    told = []
    for position, stream, version, topic, state, recorded_at, leaf in rows:
        # Of a stream that began with what was dropped, the first that is there may be any.
        versions[stream] = versions.get(stream, version - 1 if gone else 0) + 1
        assert versions[stream] == version, f"look {position}"
        assert leaf_v1(position, stream, version, recorded_at, topic, state) == leaf, f"look {position}"
        event = msgspec.json.decode(state, type=ReadsEvent)
        assert (topic, state) == (event.__struct_config__.tag, msgspec.json.encode(event)), f"look {position}"
        told.append((stream, version, event, recorded_at))
    drops = {version: event for stream, version, event, _ in told if stream == DROPS_STREAM}
    assert {number: event.looks for number, event in drops.items()} == Counter(
        number for _, number, _ in gone
    )
    assert all(position <= drops[number].through and len(leaf) == 32 for position, number, leaf in gone)
    return told


def age_looks(database: Database, years: int, through: int | None = None) -> None:
    """Make looks, up to a position, older than they are, as if the database's clock had said so; their leaves fit."""
    with psycopg.connect(database.reads.as_operator()) as connection:
        connection.execute("SET session_replication_role = replica")
        rows = connection.execute(
            "UPDATE events SET recorded_at = recorded_at - make_interval(years => %s) WHERE notification_id <= "
            "coalesce(%s, notification_id) RETURNING notification_id, originator_id, originator_version, recorded_at, "
            "topic, state",
            [years, through],
        ).fetchall()
        for row in rows:
            connection.execute(
                "UPDATE events SET leaf = %s WHERE notification_id = %s", [leaf_v1(*row), row[0]]
            )
        connection.execute("UPDATE head SET recorded_at = (SELECT max(recorded_at) FROM events)")


LAWFUL = {
    "collected": {None, "rejected", "withdrawn"},
    "approved": {"collected"},
    "rejected": {"collected"},
    "notified": {"approved"},
    "withdrawn": {"approved", "notified"},
    "activated": {"approved", "notified"},
    "locked": {"approved", "notified", "activated"},
    "unlocked": {"locked"},
}
BEFORE_ACTIVATION = {"death", "card_expired", "card_revoked"}


def assert_lawful(stream: UUID, events: list, tree: UnitTree) -> None:
    """Every step was allowed after those before it that stand, and says so of itself; so is what corrections leave."""
    entries: list[dict] = []
    keys: set[str] = set()
    reported = [event for event in events if not isinstance(event, CitizenErased)]
    # Nothing follows an erasure but another one.
    assert reported == events[: len(reported)], f"dossier {stream}"
    erasures, events = len(events) - len(reported), reported
    standing: dict[int, Trail] = {1: Trail(), 2: Trail()}
    for version, event in enumerate(events, 1):
        where = f"dossier {stream} version {version}"
        assert not isinstance(event, UnitEvent | TargetEvent | ReportFrozen | KeyEvent), where
        assert event.key not in keys, where
        keys.add(event.key)
        entries.append({**json.loads(encode(event)), "type": event.TYPE})
        if isinstance(event, Step):
            assert event.unit_id in tree.by_id, where
            previous = getattr(event, "previous", None)
            assert standing[event.level].state == (previous.state if previous else None), where
            standing[event.level].follow(entries[-1], where)
            # It says where it counts as those before it leave it.
            told = by_hand.what_stands(entries)[-1]
            assert told["unit_id"] == str(event.unit_id), where
            assert told["allocated_id"] == (str(event.allocated_id) if event.allocated_id else None), where
            continue
        if isinstance(event, Allocated):
            assert {event.unit_id, *event.split_ids} <= tree.by_id.keys(), where
            counting = {
                step["unit_id"] for step in by_hand.what_stands(entries) if step["level"] == event.level
            }
            assert counting >= {str(split_id) for split_id in event.split_ids}, where
            continue
        assert 1 <= event.corrects < version, where
        assert events[event.corrects - 1].level == event.level, where
        standing = {1: Trail(), 2: Trail()}
        for step in by_hand.what_stands(entries):
            standing[step["level"]].follow(step, where)
    dossier = replace(replay(Dossier(stream), events), erasures=erasures)
    assert len(events) + erasures == dossier.version
    assert {level: trail.state for level, trail in standing.items() if trail.state} == {
        level: standing.state for level, standing in dossier.levels.items()
    }


class Trail:
    """One level of a dossier, written down as a clerk would."""

    def __init__(self) -> None:
        self.state: str | None = None
        self.before_lock: str | None = None
        self.time = datetime.min.replace(tzinfo=UTC)

    def allows(self, step: Mapping) -> bool:
        """Whether a step may be next."""
        if step["type"] == "locked" and self.state != "activated" and step["reason"] not in BEFORE_ACTIVATION:
            return False
        at = datetime.fromisoformat(step["occurred_at"])
        return self.state in LAWFUL[step["type"]] and self.time <= at

    def follow(self, step: Mapping, where: str) -> None:
        assert self.allows(step), where
        self.time = datetime.fromisoformat(step["occurred_at"])
        if step["type"] == "locked":
            self.before_lock, self.state = self.state, "locked"
        elif step["type"] == "unlocked":
            self.state = self.before_lock
        else:
            self.state = step["type"]
