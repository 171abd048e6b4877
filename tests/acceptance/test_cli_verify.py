"""Proofs checked on the command line, without a ledger: a process, its output and its exit status."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.tlog.verify import verify
from tests.tlog.logs import DOSSIER, POLICY, MadeUpLog

ROOT = Path(__file__).parents[2]
BUNDLE = bytes(MadeUpLog(20).bundle())


@pytest.fixture
def run(tmp_path):
    """Run ledger verify on a file, in a home that holds no ledger and gets none."""
    (tmp_path / "policy").write_bytes(POLICY)

    def run(data, *arguments):
        (tmp_path / "bundle.json").write_bytes(data)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "api.main", "verify"),
                *(tmp_path / "bundle.json", "--policy", tmp_path / "policy", *arguments),
            ],
            cwd=ROOT,
            env={**os.environ, "LEDGER_HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert not (tmp_path / "home").exists()
        return done

    return run


def test_for_people(run):
    """The outcome first, then who signed, then the events."""
    done = run(BUNDLE)

    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith(f"VERIFIED: dossier {DOSSIER} has 6 events among the first 20 of the log")
    assert "co-signed by w2 at 2024-11-24 21:00:01 UTC" in done.stdout
    assert 6 == done.stdout.count("dossier.collected.v1")


def test_for_programs(run):
    done = run(BUNDLE, "--format", "json")

    assert (0, "") == (done.returncode, done.stderr)
    assert verify(BUNDLE, POLICY).document() == json.loads(done.stdout)


def test_what_is_wrong_is_named(run):
    """Status 1 in every form; as CSV each event with its faults, then those of the whole."""
    cut = json.loads(BUNDLE)
    cut["events"][1]["state"] += " "
    del cut["events"][5]
    data = json.dumps(cut).encode()

    people, programs, rows = (run(data, "--format", form) for form in ("table", "json", "csv"))
    assert [1, 1, 1] == [done.returncode for done in (people, programs, rows)]
    assert people.stdout.startswith("NOT VERIFIED: 2 faults found")
    assert ["event_changed", "tail_withheld"] == [
        one["fault"] for one in json.loads(programs.stdout)["faults"]
    ]
    found = [row["faults"] for row in csv.DictReader(io.StringIO(rows.stdout))]
    assert ["", "event_changed", "", "", "", "tail_withheld"] == found


def test_one_of_two_files_in_the_others_place_is_wrong_use(run, tmp_path):
    done = run(BUNDLE, "--policy", tmp_path / "bundle.json")

    assert 2 == done.returncode
    assert "line 1 of the policy" in done.stderr
    assert 2 == run(BUNDLE, "--policy", tmp_path / "nowhere").returncode
