"""The sealed table as an operator sees it: whose a dossier is, erased citizens, wrapping keys."""

import json
import os
import pty
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest

from ledger.database import embedded
from tests.acceptance.test_cli import COMMAND, HEADER, answer, environment, ledger
from tests.conftest import age_looks, temporary_home

CITIZENS = [f"03809000{number:04}" for number in range(3)]


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home with three citizens, of whom each was collected with a note."""
    with temporary_home() as home:
        done = ledger("units", "load", "units_2024.csv", "--valid-from", "2021-01-01", home=home)
        assert 0 == done.returncode, done.stderr
        lines = [f"k,collected,{one},2,14758,2024-11-04T09:00:00+07:00,th-1,hẹn" for one in CITIZENS]
        (home / "reports.csv").write_text("\n".join((f"{HEADER},note", *lines, "")), encoding="utf-8")
        done = ledger("import", home / "reports.csv", home=home)
        assert 0 == done.returncode, done.stderr
        yield home
        assert 0 == ledger("stop", home=home).returncode


def dossier_of(citizen: str, home: Path) -> str:
    done = ledger("history", "--citizen", "-", "--format", "json", home=home, text=citizen)
    return answer(done)["dossier_id"]


def test_reveal(home):
    """The number, and nothing of it anywhere else."""
    dossier = dossier_of(CITIZENS[0], home)
    done = ledger("citizens", "reveal", "--dossier", dossier, home=home)
    assert (0, f"{CITIZENS[0]}\n", "") == (done.returncode, done.stdout, done.stderr)
    told = answer(ledger("citizens", "reveal", "--dossier", dossier, "--format", "json", home=home))
    assert {"dossier_id": dossier, "citizen": CITIZENS[0]} == told


def test_erase(home):
    """By the number on standard input; then history tells it, and the number is found no more."""
    dossier = dossier_of(CITIZENS[1], home)
    why = ("--reason", "on request", "--basis", "QĐ 12/2026", "--actor", "cb09")
    done = ledger(
        "citizens", "erase", "--citizen", "-", *why, "--format", "json", home=home, text=CITIZENS[1]
    )
    assert (dossier, True) == (answer(done)["dossier_id"], answer(done)["vacuumed"])
    assert CITIZENS[1] not in done.stdout + done.stderr

    again = ledger("citizens", "erase", "--dossier", dossier, *why, home=home)
    assert 1 == again.returncode
    assert again.stderr.startswith("refused (erased)")
    told = ledger("history", "--dossier", dossier, home=home)
    assert "its citizen was erased" in told.stdout
    assert "its note is gone" in told.stdout
    assert "on request, QĐ 12/2026" in told.stdout
    done = ledger("history", "--citizen", "-", home=home, text=CITIZENS[1])
    assert (1, True) == (done.returncode, done.stderr.startswith("refused (unknown_citizen)"))
    assert 2 == ledger("citizens", "erase", "--citizen", CITIZENS[2], *why, home=home).returncode
    assert 2 == ledger("citizens", "erase", *why, home=home).returncode
    done = ledger("citizens", "erase", "--dossier", dossier, "--reason", f"of {CITIZENS[2]}", home=home)
    assert (2, False) == (done.returncode, CITIZENS[2] in done.stdout + done.stderr)


def test_a_person_is_asked_first(home):
    """The number is shown as the app shows it: 8 of its 12 digits hidden."""
    dossier = dossier_of(CITIZENS[2], home)
    command = [*COMMAND, "citizens", "erase", "--dossier", dossier, "--reason", "on request"]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment(home, PYTHONUTF8="1")
    ) as process:
        os.close(theirs)
        os.write(ours, b"n\n")
        shown = b""
        with suppress(OSError):  # How Linux says that the other end is closed.
            while part := os.read(ours, 1 << 16):
                shown += part
    os.close(ours)
    assert 1 == process.returncode
    assert f"erase citizen 03{'•' * 8}02 of dossier {dossier}" in shown.decode()
    assert CITIZENS[2].encode() not in shown
    assert not answer(ledger("history", "--dossier", dossier, "--format", "json", home=home))["erased"]


def test_looks_are_dropped(home):
    """First it is told how many; without a terminal only --yes drops them. Then it is told from when on they are known."""
    dossier = dossier_of(CITIZENS[0], home)
    age_looks(embedded(home, schema="ledger"), 8)
    drop = ("reads", "drop", "--before", "2020-01-01")
    young = ledger("reads", "drop", "--before", f"{date.today():%Y-%m-%d}", home=home)
    assert (1, True) == (young.returncode, "looks are kept for 5 years" in young.stderr)

    for more in (("--dry-run",), ("--dry-run", "--yes"), ()):
        planned = answer(ledger(*drop, *more, "--format", "json", home=home))
        assert (False, None) == (planned["dropped"], planned["position"])
    assert planned["looks"] == planned["through"] > 0
    assert 2 == ledger(*drop, "--yes", home=home).returncode
    why = ("--yes", "--reason", "retention", "--actor", "cb09")
    done = answer(ledger(*drop, *why, "--format", "json", home=home))
    assert (True, planned["looks"], planned["through"] + 1) == (
        done["dropped"],
        done["looks"],
        done["position"],
    )
    again = ledger(*drop, *why, home=home)
    assert (0, True) == (again.returncode, again.stdout.startswith("nothing was dropped: 0 looks")), (
        again.stderr
    )

    told = ledger("reads", "--dossier", dossier, home=home)
    assert "looks from before 2020-01-01 were dropped" in told.stderr
    told = answer(ledger("reads", "--dossier", dossier, "--format", "json", home=home))
    assert ("2020-01-01", 2) == (told["known_from"], len(told["rows"]))
    facts = json.loads(ledger("doctor", "--format", "json", home=home).stdout)
    assert (planned["looks"], []) == (facts["facts"]["looks dropped"], facts["problems"])


def test_rotate_and_retire(home):
    """Doctor says who is on which key; what is needed is not retired; notes open throughout."""
    key_file = home / "ledger.key"
    dossier = dossier_of(CITIZENS[0], home)
    staged = answer(ledger("key", "rotate", "--add-only", "--format", "json", home=home))
    assert (2, True, 0) == (staged["wrapping_key"], staged["added"], staged["rewrapped"])
    refused = ledger("key", "retire", "1", home=home)
    assert 1 == refused.returncode
    assert refused.stderr.startswith("refused (key_needed)")
    done = ledger("key", "rotate", home=home)
    assert (0, True) == (done.returncode, done.stdout.startswith("wrapping key 2 seals; ")), done.stderr
    facts = json.loads(ledger("doctor", "--format", "json", home=home).stdout)["facts"]
    assert "citizens on wrapping key 1" not in facts
    assert facts["dossiers"] == facts["citizens on wrapping key 2"]
    assert {"retired": 1, "wrapping_key": 2} == answer(
        ledger("key", "retire", "1", "--format", "json", home=home)
    )
    assert "wrap-1" not in key_file.read_text()
    assert 0o600 == stat.S_IMODE(key_file.stat().st_mode)
    told = answer(ledger("history", "--dossier", dossier, "--format", "json", home=home))
    assert "hẹn" == told["events"][0]["note"]
