"""Killed again and again at random moments under load, it loses nothing that it promised, and doubles nothing.

Each campaign kills -9 as often as ``KILLS`` says, on a PostgreSQL of its own that syncs to disk as users' do;
``make kills`` is the long form, ``make kills-of-reads`` that of the campaigns in which dossiers are read. What is killed
is started again: the server by the test, as systemd would; its workers and PostgreSQL by the server itself.
"""

import csv
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import count
from operator import attrgetter
from pathlib import Path
from random import Random
from threading import Event, Lock, Thread
from typing import Self, TypeVar

import httpx
import psycopg
import pytest
from msgspec.structs import replace

from ledger import AnyCommand, Ledger, Receipt, open_ledger, read_report
from projections import TotalsQuery, catch_up, open_totals, rebuild
from tests.acceptance.test_cli import COMMAND, UNITS
from tests.acceptance.test_cli import ledger as run
from tests.acceptance.test_kill_import import (
    finish_import,
    load,
    postmaster,
    start_import,
    wait_for_events,
)
from tests.api import test_server
from tests.api.conftest import wait_until
from tests.clients import Load, Receipts, check_receipts, resend, seeded
from tests.conftest import check_ledger, temporary_home
from tests.projections import by_hand, campaigns
from tests.projections.waits_by_hand import check_all
from tests.readers import Readers, check_told
from tests.tokens import served_issuer

LONG = int(os.environ.get("LEDGER_TEST_KILLS", "0"))
SHORT = {"api": 18, "postgresql": 18, "both": 14, "projections": 14, "import": 10}
KILLS = {campaign: LONG or kills for campaign, kills in SHORT.items()}
IMPORT_DOSSIERS = 10_000
ROOT = Path(__file__).parents[2]
TELLING_KILLS = 10
"""After so many, a long campaign says how far it is."""

T = TypeVar("T")


def in_batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """The home of all campaigns, each of which has a schema of its own."""
    with temporary_home() as home:
        yield home


Tell = Callable[[str], None]


@pytest.fixture(scope="module")
def tell(request) -> Tell:
    """Say how far a long campaign is, while it runs; the short ones say nothing."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    terminal = request.config.pluginmanager.getplugin("terminalreporter")

    def say(sentence: str) -> None:
        with capture.global_and_fixture_disabled():
            terminal.write_line(f"{time.strftime('%H:%M:%S')} {sentence}")

    return say if LONG else lambda _: None


@pytest.fixture(scope="module")
def came_to(tell) -> Iterator[Counter[str]]:
    """What the campaigns come to in which dossiers are read, each once it was found good; told at their end."""
    counted, began = Counter(), time.monotonic()
    yield counted
    tell(
        f"{counted['kills']:,} kills while dossiers were read: {counted['told']:,} answers, or parts of one, each with "
        f"its look; {counted['untold']:,} times there was none; {(time.monotonic() - began) / 60:.0f} minutes"
    )


Victim = Callable[[], int | None]
"""Returns a process to be killed; None where there is none at the moment."""


class Killer:
    """Kills -9, and counts."""

    def __init__(self) -> None:
        self.killed: Counter[str] = Counter()

    def kill(self, name: str, victim: Victim, seconds: float = 60) -> None:
        """Kill a process, once there is one."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            pid = victim()
            if pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    self.killed[name] += 1
                    return
            time.sleep(0.02)
        raise AssertionError(f"no {name} to be killed")


def shuffled(chance: Random, names: Sequence[str], kills: int) -> list[str]:
    """Return whom to kill, one after the other: each as often as the others, in any order."""
    deck = [names[number % len(names)] for number in range(kills)]
    chance.shuffle(deck)
    return deck


def test_there_are_fifty_kills():
    """In the short form, besides those of other files: fifty of them while dossiers are being read over HTTP."""
    assert SHORT["api"] + SHORT["postgresql"] + SHORT["both"] >= 50


# The API and PostgreSQL.


class Service:
    """``ledger serve --workers 2`` over a home, and somebody who starts it again whenever it has ended."""

    def __init__(self, home: Path, schema: str) -> None:
        self.home = home
        port = test_server.free_port()
        self.url = f"http://127.0.0.1:{port}"
        arguments = ("--home", str(home), "--schema", schema, "serve", "--workers", "2", "--port", str(port))
        self._command = [*COMMAND, *arguments]
        self._log = (home / f"{schema}.log").open("a+b")
        self._groups: list[int] = []
        self._lock = Lock()
        self._ended = Event()
        self._keeper = Thread(target=self._keep)

    def __enter__(self) -> Self:
        self._start()
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._keeper.join()
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(15)
        for group in self._groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        self.process.wait()
        with self._log:
            # Shown where a test fails.
            self._log.seek(0)
            print(self._log.read()[-20_000:].decode())

    def _start(self) -> None:
        self.process = subprocess.Popen(
            self._command,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
            env=os.environ | served_issuer(self.home),
            start_new_session=True,
        )
        self._groups.append(self.process.pid)

    def _keep(self) -> None:
        while not self._ended.wait(0.1):
            with self._lock:
                if self.process.poll() is not None:
                    self._start()

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health/ready", timeout=20).status_code == 200
        except httpx.TransportError:
            return False

    def parent(self) -> int | None:
        with self._lock:
            return self.process.pid if self.process.poll() is None else None

    def worker(self, chance: Random) -> int | None:
        try:
            workers = test_server.workers(self)
        except OSError:
            return None
        return chance.choice(workers) if workers else None


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended does not, even if nobody has taken note of its end."""
    try:
        Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return False
    return True


def postmaster_of(home: Path) -> int | None:
    """Return the process that all others of PostgreSQL are children of; None where it was killed already."""
    try:
        pid = postmaster(home)
    except (OSError, ValueError, IndexError):
        return None
    return pid if is_alive(pid) else None


def backend_of(database, chance: Random) -> int | None:
    """Return any process of PostgreSQL but the postmaster: one that serves a client, or one that writes to disk."""
    try:
        with psycopg.connect(database.as_operator(), autocommit=True) as connection:
            rows = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND (backend_type <> "
                "'client backend' OR usename <> 'postgres') ORDER BY pid"
            ).fetchall()
    except psycopg.OperationalError:
        return None
    return chance.choice(rows)[0] if rows else None


@pytest.mark.parametrize(
    ("campaign", "whom"),
    [
        ("api", ["worker", "worker", "parent"]),
        ("postgresql", ["postmaster", "backend"]),
        ("both", ["worker", "parent", "postmaster", "backend"]),
    ],
)
def test_a_service_under_load(home, tell, came_to, campaign, whom):
    """Every receipt stays true; what got none is sent again and gets one; the totals are those of the log.

    Nobody was told anything of a dossier, not even a part of it, that the second log does not say.
    """
    load(home, campaign)
    chance = seeded(f"kills of {campaign}")
    killer, receipts = Killer(), Receipts()
    with open_ledger(home=home, schema=campaign) as ledger, Service(home, campaign) as service:
        everybody = {
            "worker": lambda: service.worker(chance),
            "parent": service.parent,
            "postmaster": lambda: postmaster_of(home),
            "backend": lambda: backend_of(ledger.database, chance),
        }
        with (
            Load(service.url, receipts, chance) as clients,
            Readers(service.url, receipts, chance) as readers,
        ):
            for number, name in enumerate(shuffled(chance, whom, KILLS[campaign]), 1):
                clients.wait_for(chance.randint(1, 40))
                time.sleep(chance.random() / 10)
                killer.kill(name, everybody[name])
                if number % TELLING_KILLS == 0:
                    tell(f"{campaign}: {number} of {KILLS[campaign]} kills; {len(readers.told):,} answers")
            readers.stop()
            clients.stop()
        resend(clients.left, service.url, receipts)
        wait_until(service.ready, 60)

        print(killer.killed, len(receipts), clients.unanswered, len(clients.left))
        assert KILLS[campaign] == killer.killed.total()
        assert clients.unanswered + len(clients.left) > 0
        print(len(readers.told), readers.untold)
        assert readers.untold > 0
        check_told(ledger.database, readers.told)
        check(ledger, receipts)
    came_to.update(kills=killer.killed.total(), told=len(readers.told), untold=readers.untold)


def check(ledger: Ledger, receipts: Receipts) -> None:
    """Check the log, the receipts and the totals against each other."""
    check_receipts(ledger.database, receipts)
    check_ledger(ledger, length=UNITS + len(receipts))
    catch_up(ledger.database)
    check_all(ledger.database, length=len(receipts))


# The projections.


class Followers:
    """Processes that follow the log, and one that rebuilds the totals again and again."""

    NAMES = ("follow", "follow too", "rebuild")

    def __init__(self, ledger: Ledger) -> None:
        database = ledger.database
        self._place = [database.conninfo, database.schema, str(database.embedded)]
        self._running: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> Self:
        for name in self.NAMES:
            self.start(name)
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._running.values():
            child.kill()
            child.wait()

    def start(self, name: str) -> None:
        what, batch, pause = ("rebuild", "50", "0.01") if name == "rebuild" else ("follow", "7", "0.002")
        self._running[name] = subprocess.Popen(
            [sys.executable, "-m", "tests.projections.child", what, *self._place, batch, pause],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def pid_of(self, name: str) -> int | None:
        """Return who does it; None where that one has ended, as a rebuild does, and another is starting."""
        if self._running[name].poll() is None:
            return self._running[name].pid
        self.start(name)
        return None

    def replace(self, name: str) -> None:
        """Let another do the work of one that was killed."""
        self._running[name].wait()
        self.start(name)


def test_projections_under_load(home):
    """Every event counts once, whoever was killed while counting; and whoever asks meanwhile is told no other sum."""
    load(home, "projections")
    chance = seeded("kills of projections")
    killer, stopped = Killer(), Event()
    with open_ledger(home=home, schema="projections") as ledger:
        totals = open_totals(ledger)

        def write(number: int) -> int:
            written = 0
            for seed in count(number, 3):
                reports = campaigns.commands(seed, 20)
                for batch in in_batches(reports, 10):
                    if stopped.is_set():
                        return written
                    outcomes = ledger.record_many(batch)
                    assert {Receipt} == {type(outcome) for outcome in outcomes}
                    written += len(batch)
                    time.sleep(0.03)
            raise AssertionError("campaigns have no end")

        def ask() -> list[int]:
            told = []
            while not stopped.is_set():
                answer = totals.read(TotalsQuery())
                assert answer.position - UNITS == sum(answer.sum.get(name, 0) for name in by_hand.EVENTS)
                told.append(answer.position)
                time.sleep(0.02)
            return told

        catch_up(ledger.database)
        with ThreadPoolExecutor(4) as pool, Followers(ledger) as followers:
            writing = [pool.submit(write, number) for number in range(3)]
            asking = pool.submit(ask)
            try:
                for name in shuffled(chance, Followers.NAMES, KILLS["projections"]):
                    time.sleep(chance.uniform(0.2, 1.2))
                    killer.kill(name, partial(followers.pid_of, name))
                    followers.replace(name)
            finally:
                stopped.set()
        told, written = asking.result(), sum(each.result() for each in writing)

        print(killer.killed, written, told[-1])
        assert KILLS["projections"] == killer.killed.total()
        assert sorted(told) == told
        # They did count while they were being killed.
        assert len({*told}) > KILLS["projections"]
        check_ledger(ledger, length=UNITS + written)
        catch_up(ledger.database)
        check_all(ledger.database, length=written)
        assert UNITS + written == rebuild(ledger.database)
        check_all(ledger.database, length=written)


# Imports.


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def name_of(report: AnyCommand) -> tuple[str, str]:
    return report.citizen, report.key


def test_imports_under_load(home):
    """Parents and lanes are killed, while a program records citizens of the same file: each line is there once.

    Where an import ends before it can be killed, the next one begins with an empty ledger.
    """
    made = run("simulate", "--dossiers", str(IMPORT_DOSSIERS), "--out", home / "made-up.csv", home=home)
    assert 0 == made.returncode, made.stderr
    with (home / "made-up.csv").open(encoding="utf-8") as file:
        reports = [read_report(fields) for fields in csv.DictReader(file)]
    chance, killer = seeded("kills of imports"), Killer()
    deck = shuffled(chance, ("parent", "lane"), KILLS["import"])
    for number in count():
        load(home, f"import_{number}")
        with open_ledger(home=home, schema=f"import_{number}") as ledger:
            kills = len(deck)
            with Recording(ledger, reports, Random(chance.random())) as recording:
                while deck and kill_an_import(home, ledger.database.schema, recording, chance, killer, deck):
                    pass
            assert len(deck) < kills, "no import lasted until it was killed"
            result = finish_import(home, ledger.database.schema)
            print(killer.killed, result)
            assert (len(reports), 0) == (result["recorded"] + result["duplicates"], result["refused"])
            check_imported(ledger, reports, recording.receipts)
        if not deck:
            break
    assert KILLS["import"] == killer.killed.total()


def kill_an_import(
    home: Path, schema: str, recording: "Recording", chance: Random, killer: Killer, deck: list[str]
) -> bool:
    """Start an import and kill whom the deck says, in the middle; return False where it ended before that."""
    with recording.paused:
        process = start_import(home, schema, lanes=chance.randint(2, 3))
        wait_for_events(home, schema, process)
    time.sleep(chance.uniform(0, 0.1))
    # What came may be the last word of one that was killed before, and these not at work yet.
    wait_until(lambda: len(children(process.pid)) > 0 or process.poll() is not None)
    lanes = [*filter(is_alive, children(process.pid))]
    if process.poll() is None and lanes:
        name = deck.pop()
        killer.kill(name, partial(chance.choice, lanes if name == "lane" else [process.pid]))
    # Lanes that lose their parent end soon.
    code = process.wait(60)
    wait_until(lambda: not any(map(is_alive, lanes)))
    return code != 0


class Recording:
    """A program that records whole citizens of a file, while others import it."""

    def __init__(self, ledger: Ledger, reports: Sequence[AnyCommand], chance: Random) -> None:
        self.ledger = ledger
        self.receipts: list[tuple[AnyCommand, Receipt]] = []
        self.paused = Lock()
        """Whoever has it waits for events that are not ours."""
        self._chance = chance
        lives: dict[str, list[AnyCommand]] = defaultdict(list)
        for report in sorted(reports, key=attrgetter("occurred_at")):
            lives[report.citizen].append(report)
        self._lives = [*lives.values()]
        self._stopped = Event()
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        self._working = self._pool.submit(self._record)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._pool.shutdown()
        self._working.result()

    def _record(self) -> None:
        while not self._stopped.is_set():
            together = [report for life in self._chance.sample(self._lives, 5) for report in life]
            with self.paused:
                self.receipts += zip(together, self.ledger.record_many(together), strict=True)
            time.sleep(0.03)


def check_imported(
    ledger: Ledger, reports: Sequence[AnyCommand], promised: Sequence[tuple[AnyCommand, Receipt]]
) -> None:
    """Check that the log holds each report of a file once, where the receipts say, and nothing else but units."""
    check_ledger(ledger, length=UNITS + len(reports))
    receipts = {}
    for batch in in_batches(reports, 1000):
        receipts |= dict(zip(map(name_of, batch), ledger.record_many(batch), strict=True))
    assert {True} == {receipt.duplicate for receipt in receipts.values()}
    positions = sorted(receipt.position for receipt in receipts.values())
    assert list(range(UNITS + 1, UNITS + len(reports) + 1)) == positions
    for report, receipt in promised:
        assert receipts[name_of(report)] == replace(receipt, duplicate=True)
    assert len(reports) + UNITS == ledger.head().position
    catch_up(ledger.database)
    check_all(ledger.database, length=len(reports))
