"""An import that is killed, and run again to its end, gives what one import would have given."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import psycopg
import pytest

from ledger.embedded import EmbeddedPostgres
from tests.acceptance.test_cli import COMMAND, UNITS, ledger
from tests.conftest import temporary_home

KILLS = 5


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home with a file of 3,000 dossiers, and a schema ``clean`` into which it was imported once."""
    with temporary_home() as home:
        assert (
            0 == ledger("simulate", "--dossiers", "3000", "--out", home / "made-up.csv", home=home).returncode
        )
        load(home, "clean")
        assert 0 == ledger("import", home / "made-up.csv", "--schema", "clean", home=home).returncode
        yield home


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


def start_import(home: Path, schema: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, "import", str(home / "made-up.csv"), "--schema", schema, "--home", str(home)],
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
    def test_run_again_gives_what_one_run_gives(self, home):
        expected = outcome(home, "clean")
        load(home, "killed")
        chance = Random()
        moments = [chance.uniform(0, 0.15) for _ in range(KILLS)]
        sizes = []
        for moment in moments:
            process = start_import(home, "killed")
            wait_for_events(home, "killed", process)
            time.sleep(moment)
            process.kill()
            process.wait()
            sizes.append(size_of(home, "killed"))
        assert any(UNITS < size < expected[2] for size in sizes), "no kill fell into the middle"
        result = finish_import(home, "killed")
        assert result["read"] == result["recorded"] + result["duplicates"], moments
        assert expected == outcome(home, "killed"), moments

    def test_whose_postgresql_was_killed_gives_what_one_run_gives(self, home):
        expected = outcome(home, "clean")
        load(home, "crashed")
        process = start_import(home, "crashed")
        wait_for_events(home, "crashed", process)
        os.kill(postmaster(home), signal.SIGKILL)
        assert process.wait(60) in {0, 3}
        result = finish_import(home, "crashed")
        assert result["read"] == result["recorded"] + result["duplicates"]
        assert expected == outcome(home, "crashed")


def size_of(home: Path, schema: str) -> int:
    with psycopg.connect(EmbeddedPostgres(home).conninfo(), autocommit=True) as connection:
        [[size]] = connection.execute(f"SELECT size FROM {schema}.head").fetchall()
    return size


def wait_for_events(home: Path, schema: str, process: subprocess.Popen[bytes]) -> None:
    """Return once the import has recorded something, and so is in the middle; or has ended."""
    before = size_of(home, schema)
    while size_of(home, schema) == before and process.poll() is None:
        time.sleep(0.005)
