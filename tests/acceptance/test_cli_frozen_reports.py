"""Frozen reports on the command line: the bytes, the exit status, and what is told where something is wrong."""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ledger.embedded import EmbeddedPostgres
from tests.acceptance.test_cli import COMMAND, GOOD, HEADER, answer, environment, ledger
from tests.conftest import temporary_home

ASKED = ("--unit", "380", "--to", "2024-12-09")
LATE = "k9,collected,038090009999,2,14755,2024-11-04T09:00:00+07:00,th-1"


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with temporary_home() as home:
        assert (
            0 == ledger("units", "load", "units_2024.csv", "--valid-from", "2021-01-01", home=home).returncode
        )
        assert 0 == ledger("import", "-", home=home, text=f"{HEADER}\n{GOOD}\n").returncode
        yield home
        assert 0 == ledger("stop", home=home).returncode


def shown(name: str, home: Path) -> subprocess.CompletedProcess[bytes]:
    """Return the bytes that are printed, as a pipe gets them."""
    command = [*COMMAND, "report", "show", name, "--format", "json"]
    return subprocess.run(command, capture_output=True, check=False, timeout=120, env=environment(home))


def test_the_life_of_a_report(home):
    """Frozen, repeated, refused, told again, compared; and not told when the counts were changed by hand."""
    frozen = answer(
        ledger("report", "freeze", "evening", *ASKED, "--title", "Tối 9/12", "--format", "json", home=home)
    )
    assert ("evening", "Tối 9/12", 587, "local") == (
        frozen["name"],
        frozen["title"],
        frozen["position"],
        frozen["actor"],
    )
    first = shown("evening", home)
    assert (0, frozen["sha256"]) == (first.returncode, hashlib.sha256(first.stdout).hexdigest())
    assert 1 == json.loads(first.stdout)["sum"]["collected"]

    same = ("report", "freeze", "evening", *ASKED, "--title", "Tối 9/12", "--position", "587")
    again = ledger(*same, home=home)
    assert (0, True) == (again.returncode, "was frozen before, the same: position 587" in again.stdout)
    other = ledger("report", "freeze", "evening", *ASKED, "--position", "586", "--format", "json", home=home)
    assert "report_name_taken" == answer(other, 1)["error"]

    assert 0 == ledger("import", "-", home=home, text=f"{HEADER}\n{LATE}\n").returncode
    assert 0 == ledger("rebuild", home=home).returncode
    assert first.stdout == shown("evening", home).stdout
    table = ledger("report", "show", "evening", home=home)
    assert (0, True) == (table.returncode, table.stdout.startswith("evening: Tối 9/12\n"))
    csv = ledger("report", "show", "evening", "--format", "csv", home=home).stdout.splitlines()
    assert "14758,Phường Đông Thọ,commune,1,0,0,0,0,0,0,0,1,0" in csv
    listed = answer(ledger("report", "list", "--format", "json", home=home))
    assert [frozen] == listed["rows"]

    told = answer(ledger("report", "changes", "evening", "--format", "json", home=home))
    assert (1, 2, 1) == tuple(told["sum"]["collected"][name] for name in ("frozen", "now", "arrived_late"))
    assert [("arrived_late", "14755")] == [(event["kind"], event["unit"]) for event in told["events"]]
    lines = ledger("report", "changes", "evening", "--format", "csv", home=home).stdout.splitlines()
    assert "14755,Phường Hàm Rồng,commune,collected,0,1,1,1,0,0,0,0" in lines
    events = ledger("report", "changes", "evening", "--format", "csv", "--events", home=home).stdout
    assert "arrived_late,collected,14755,2024-11-04T09:00:00+07:00" in events
    people = ledger("report", "changes", "evening", home=home).stdout
    assert "frozen at position 587, now 589" in people

    url = EmbeddedPostgres(home).conninfo(dbname="postgres")
    with psycopg.connect(url, autocommit=True) as connection:
        [[name]] = connection.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE '%ledger%'"
        ).fetchall()
    with psycopg.connect(EmbeddedPostgres(home).conninfo(dbname=name), autocommit=True) as connection:
        for table_name in ("deltas", "day", "month", "ever"):
            column = "count" if table_name == "deltas" else "collected"
            connection.execute(f"UPDATE ledger.unit_totals_{table_name} SET {column} = {column} + 1")
    wrong = shown("evening", home)
    assert (1, "report_differs") == (wrong.returncode, json.loads(wrong.stdout)["error"])
    said = wrong.stderr.decode()
    assert frozen["sha256"] in said
    assert "ledger reconcile" in said
    plain = ledger("report", "show", "evening", home=home)
    assert (1, "") == (plain.returncode, plain.stdout)
    assert 0 == ledger("rebuild", home=home).returncode
    assert first.stdout == shown("evening", home).stdout


def test_a_report_that_was_never_frozen(home):
    refused = ledger("report", "show", "nothing", home=home)
    assert (1, "") == (refused.returncode, refused.stdout)
    assert "ledger report list" in refused.stderr


def test_a_name_that_cannot_be_one(home):
    """It would be part of addresses."""
    assert 1 == ledger("report", "freeze", "../a", home=home).returncode
    assert 2 == ledger("report", "freeze", home=home).returncode
