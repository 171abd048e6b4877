"""Proofs checked on the command line, without a ledger: what is printed, and the exit status."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from api.cli import ledger_command
from api.settings import Settings
from ledger.tlog.verify import verify
from tests.tlog.logs import DOSSIER, POLICY, MadeUpLog

ROOT = Path(__file__).parents[2]
BUNDLE = bytes(MadeUpLog(20).bundle())


@pytest.fixture
def files(tmp_path):
    (tmp_path / "policy").write_bytes(POLICY)
    (tmp_path / "bundle.json").write_bytes(BUNDLE)
    return tmp_path


@pytest.fixture
def run(files, capfd):
    """Run ledger verify on a file, in a home that holds no ledger and gets none; return status and both outputs."""
    settings = Settings(home=files / "home")

    def run(data, *arguments):
        (files / "bundle.json").write_bytes(data)
        given = ["verify", files / "bundle.json", "--policy", files / "policy", *arguments]
        with pytest.raises(SystemExit) as ended:
            ledger_command.main([*map(str, given)], obj=settings, prog_name="ledger")
        assert not (files / "home").exists()
        return ended.value.code, *capfd.readouterr()

    return run


def test_as_a_process(files):
    """The outcome first, then who signed, then the events; nothing on standard error."""
    command = [
        sys.executable,
        "-m",
        "api.main",
        "verify",
        files / "bundle.json",
        "--policy",
        files / "policy",
    ]
    environment = {**os.environ, "LEDGER_HOME": str(files / "home")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)

    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith(f"VERIFIED: dossier {DOSSIER} has 6 events among the first 20 of the log")
    assert "co-signed by w2 at 2024-11-24 21:00:01 UTC" in done.stdout
    assert 6 == done.stdout.count("dossier.collected.v1")


def test_for_programs(run):
    status, told, notes = run(BUNDLE, "--format", "json")

    assert (0, "") == (status, notes)
    assert verify(BUNDLE, POLICY).document() == json.loads(told)


def test_what_is_wrong_is_named(run):
    """Status 1 in every form; as CSV each event with its faults, then those of the whole."""
    changed = json.loads(BUNDLE)
    changed["events"][1]["state"] += " "
    del changed["events"][5]
    data = json.dumps(changed).encode()

    people, programs, rows = (run(data, "--format", form) for form in ("table", "json", "csv"))
    assert [1, 1, 1] == [people[0], programs[0], rows[0]]
    assert people[1].startswith("NOT VERIFIED: 2 faults found")
    assert ["event_changed", "tail_withheld"] == [one["fault"] for one in json.loads(programs[1])["faults"]]
    found = [row["faults"] for row in csv.DictReader(io.StringIO(rows[1]))]
    assert ["", "event_changed", "", "", "", "tail_withheld"] == found


def test_a_policy_that_is_none_is_wrong_use(run, files):
    """Status 2 and one sentence, and nothing is said of the bundle."""
    status, told, notes = run(BUNDLE, "--policy", files / "bundle.json")

    assert (2, "") == (status, told)
    assert "line 1 of the policy" in notes
    assert 2 == run(BUNDLE, "--policy", files / "nowhere")[0]
