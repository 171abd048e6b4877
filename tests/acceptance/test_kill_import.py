"""An import that is killed, and run again to its end, gives what one import would have given.

The short form kills it twice, and PostgreSQL once. ``make kills`` is the long form: 30 and 10 times, in a
file that is larger in proportion.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

import psycopg
import pytest

from ledger.embedded import EmbeddedPostgres
from tests.acceptance.test_cli import COMMAND, UNITS, ledger
from tests.conftest import temporary_home

KILLS = int(os.environ.get("LEDGER_TEST_KILLS", "2"))
DOSSIERS = 2000 * KILLS


class Clean(NamedTuple):
    """A home, and what the file in it came to when nobody disturbed its import."""

    home: Path
    outcome: tuple[list, dict, int]
    seconds: float


@pytest.fixture(scope="module")
def clean() -> Iterator[Clean]:
    """A home with a file, and a schema ``clean`` into which it was imported once."""
    with temporary_home() as home:
        done = ledger("simulate", "--dossiers", str(DOSSIERS), "--out", home / "made-up.csv", home=home)
        assert 0 == done.returncode, done.stderr
        load(home, "clean")
        seconds = finish_import(home, "clean")["seconds"]
        yield Clean(home, outcome(home, "clean"), seconds)


def load(home: Path, schema: str) -> None:
    arguments = ("units", "load", "units_2024.csv", "--valid-from", "2021-01-01", "--schema", schema)
    done = ledger(*arguments, home=home)
    assert 0 == done.returncode, done.stderr


def outcome(home: Path, schema: str) -> tuple[list, dict, int]:
    """What a ledger counts for every district and day, and how many events it holds."""
    answers = []
    for by in ("unit", "day"):
        done = ledger("totals", "--unit", "38", "--by", by, "--schema", schema, "--format", "json", home=home)
        answers.append(json.loads(done.stdout))
    return [document["rows"] for document in answers], answers[0]["sum"], answers[0]["position"]


def start_import(home: Path, schema: str, lanes: int) -> subprocess.Popen[bytes]:
    file = home / "made-up.csv"
    return subprocess.Popen(
        [*COMMAND, "import", str(file), "--schema", schema, "--home", str(home), "--lanes", str(lanes)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def finish_import(home: Path, schema: str) -> dict:
    done = ledger("import", home / "made-up.csv", "--schema", schema, "--format", "json", home=home)
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)


def postmaster(home: Path) -> int:
    return int((EmbeddedPostgres(home).data_dir / "postmaster.pid").read_text().split()[0])


class TestAKilledImport:
    def test_run_again_gives_what_one_run_gives(self, clean):
        """Whether one process did the work, or several that lost their parent."""
        load(clean.home, "killed")
        chance = Random()
        # All together they take less time than the import does.
        moments = [chance.uniform(0, 0.7 * clean.seconds / KILLS) for _ in range(KILLS)]
        sizes = []
        for number, moment in enumerate(moments):
            process = start_import(clean.home, "killed", lanes=1 + number % 2)
            wait_for_events(clean.home, "killed", process)
            time.sleep(moment)
            process.kill()
            process.wait()
            sizes.append(size_of(clean.home, "killed"))
        in_the_middle = sum(UNITS < size < clean.outcome[2] for size in sizes)
        assert in_the_middle >= KILLS / 2, (sizes, moments)
        result = finish_import(clean.home, "killed")
        assert result["read"] == result["recorded"] + result["duplicates"], moments
        assert clean.outcome == outcome(clean.home, "killed"), moments

    def test_whose_postgresql_was_killed_gives_what_one_run_gives(self, clean):
        load(clean.home, "crashed")
        for _ in range(max(1, KILLS // 3)):
            process = start_import(clean.home, "crashed", lanes=1)
            wait_for_events(clean.home, "crashed", process)
            os.kill(postmaster(clean.home), signal.SIGKILL)
            assert process.wait(60) in {0, 3}
            EmbeddedPostgres(clean.home).start()
        result = finish_import(clean.home, "crashed")
        assert result["read"] == result["recorded"] + result["duplicates"]
        assert clean.outcome == outcome(clean.home, "crashed")


def size_of(home: Path, schema: str) -> int:
    with psycopg.connect(EmbeddedPostgres(home).conninfo(), autocommit=True) as connection:
        [[size]] = connection.execute(f"SELECT size FROM {schema}.head").fetchall()
    return size


def wait_for_events(home: Path, schema: str, process: subprocess.Popen[bytes]) -> None:
    """Return once the import has recorded something, and so is in the middle; or has ended."""
    before = size_of(home, schema)
    while size_of(home, schema) == before and process.poll() is None:
        time.sleep(0.005)
