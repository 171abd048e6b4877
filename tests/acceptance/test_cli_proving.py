"""Proofs as operators run them: a process, its output and its exit status."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ledger.database import Database
from ledger.embedded import EmbeddedPostgres
from tests.acceptance.test_cli import answer, ledger
from tests.conftest import SCHEMA, temporary_home


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home whose ledger has units and a campaign of 300 dossiers."""
    with temporary_home() as home:
        file = home / "made-up.csv"
        for arguments in (
            ("units", "load", "units_2024.csv", "--valid-from", "2021-01-01"),
            ("simulate", "--dossiers", "300", "--out", file),
            ("import", file),
        ):
            assert 0 == ledger(*arguments, home=home).returncode, arguments
        yield home
        assert 0 == ledger("stop", home=home).returncode


@pytest.fixture
def tampered(home: Path) -> Iterator[None]:
    """One count more than the log has, while the test runs."""
    database = Database(EmbeddedPostgres(home).conninfo(), SCHEMA, embedded=True)
    statement = "UPDATE unit_totals_day SET collected = collected + %s WHERE day = (SELECT min(day) FROM unit_totals_day)"
    with psycopg.connect(database.as_operator(), autocommit=True) as connection:
        connection.execute(statement, [1])
        yield
        connection.execute(statement, [-1])


def test_reconcile_tells_what_was_proved(home):
    """A line for the log, each table and each tree; status 0, and nothing on standard error."""
    done = ledger("reconcile", home=home)

    assert (0, "") == (done.returncode, done.stderr)
    for line in ("log", "unit_totals_deltas", "totals, then", "totals, 2021-01-01", "everything adds up"):
        assert line in done.stdout
    assert "of 300 dossiers" in done.stdout


def test_reconcile_for_programs(home):
    """One document; what was compared, and no difference."""
    told = answer(
        ledger(
            "reconcile",
            "--unit",
            "380",
            "--hierarchy",
            "then",
            "--on",
            "2024-11-01",
            "--format",
            "json",
            home=home,
        )
    )

    assert (None, 300) == (told["difference"], told["dossiers"])
    assert told["position"] == told["events"]
    assert ("totals, then, to 2024-11-01", 35) == (
        told["proved"][-1]["what"],
        told["proved"][-1]["compared"],
    )


@pytest.mark.usefixtures("tampered")
def test_reconcile_names_the_first_difference(home):
    """Status 1, and a sentence; the table alone is told, also in CSV."""
    done = ledger("reconcile", "--format", "json", home=home)
    difference = answer(done, 1)["difference"]

    assert ("unit_totals_day", "collected", difference["log"] + 1) == (
        difference["what"],
        difference["measure"],
        difference["says"],
    )
    assert f"first difference: {difference['sentence']}\n" == done.stderr
    rows = list(csv.DictReader(io.StringIO(ledger("reconcile", "--format", "csv", home=home).stdout)))
    assert {"unit_totals_day": difference["sentence"]} == {
        row["what"]: row["differs"] for row in rows if row["differs"] and not row["what"].startswith("totals")
    }


@pytest.mark.parametrize(
    ("arguments", "status", "why"),
    [
        (("--hierarchy", "tomorrow"), 1, "then, now or a day"),
        (("--unit", "99999"), 1, "99999"),
        (("--on", "yesterday"), 2, "is no day"),
    ],
)
def test_reconcile_refuses(home, arguments, status, why):
    done = ledger("reconcile", *arguments, home=home)

    assert status == done.returncode
    assert why in done.stderr


CUES = ("cues", "--from", "2024-10-01", "--to", "2024-12-31", "--rule", "many_in_an_hour", "--threshold", "1")


def test_cues_are_the_same_in_every_form(home):
    """The furthest over the threshold first; positions are those of activations."""
    told = answer(ledger(*CUES, "--limit", "7", "--format", "json", home=home))
    rows = list(
        csv.DictReader(io.StringIO(ledger(*CUES, "--limit", "7", "--format", "csv", home=home).stdout))
    )
    table = ledger(*CUES, "--limit", "7", home=home)

    assert 7 == len(told["cues"]) < told["total"]
    assert sorted((cue["over"] for cue in told["cues"]), reverse=True) == [
        cue["over"] for cue in told["cues"]
    ]
    assert [
        (
            cue["unit"]["code"],
            cue["actor"],
            cue["at"],
            str(cue["number"]),
            " ".join(map(str, cue["positions"])),
        )
        for cue in told["cues"]
    ] == [(row["code"], row["actor"], row["at"], row["number"], row["positions"]) for row in rows]
    assert (0, "") == (table.returncode, table.stderr)
    assert "May well be: A team that reports under one staff code" in table.stdout
    assert f"7 of {told['total']:,} cues" in " ".join(table.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "status", "why"),
    [
        (("--threshold", "3"), 1, "name the rule"),
        (("--rule", "guilt"), 2, "guilt"),
        (("--unit", "99999"), 1, "99999"),
        (("--from", "2024-12-09", "--to", "2024-12-01"), 1, "is before from"),
    ],
)
def test_cues_refuse(home, arguments, status, why):
    done = ledger("cues", *arguments, home=home)

    assert status == done.returncode
    assert why in done.stderr
