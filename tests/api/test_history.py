"""Corrections as they are sent over HTTP, and read there and in a terminal."""

import os
import subprocess
import sys
from datetime import date, datetime

import pytest

from ledger import Ledger, Policy
from ledger.units.commands import SplitUnit
from tests.api.conftest import CITIZEN, check_problem, report

STEPS = (
    report("a1", place="school"),
    report("a2", type="approved", unit=None, occurred_at="2024-12-09T21:16:00+07:00"),
)


def correction(key: str, kind: str, corrects: int, **fields: object) -> dict:
    at = "2024-12-09T22:00:00+07:00"
    return report(key, type=kind, unit=None, occurred_at=at, corrects=corrects, actor="th-0007") | fields


CORRECTIONS = (
    correction("b1", "reassigned", 1, unit="14761"),
    correction("b2", "amended", 1, place="household", note="máy ở nhà"),
    correction("b3", "voided", 2, reason="wrong_person"),
    correction("b4", "voided", 3, reason="other"),
    correction("b5", "confirmed", 5, actor="th-0042"),
)
STANDING = [True, False, False, False, True, True, True]
CORRECTED_BY = [[3, 4], [5], [6], [], [7], [], []]


@pytest.fixture
def dossier(client, ledger: Ledger) -> str:
    """A dossier with two steps and five corrections: one was declined, one waits, one is confirmed."""
    ledger.policy = Policy(four_eyes=True)
    answers = client.post("/v1/events", json=[*STEPS, *CORRECTIONS]).json()
    assert [1, 2, 3, 4, 5, 6, 7] == [answer.get("version") for answer in answers], answers
    return answers[0]["dossier_id"]


def test_both_ends_are_told(client, dossier):
    """By version, on every line; and the levels stand where the corrections leave them."""
    history = client.get(f"/v1/dossiers/{dossier}/history").json()
    events = history["events"]

    assert STANDING == [event["standing"] for event in events]
    assert CORRECTED_BY == [event["corrected_by"] for event in events]
    assert [None, None, 1, 1, 2, 3, 5] == [event["corrects"] for event in events]
    assert [False, False, True, True, True, False, False] == [event["asked"] for event in events]
    assert ("14761", "14758") == (
        events[2]["unit"]["code"],
        history["levels"]["2"]["collecting_unit"]["code"],
    )
    assert ("household", "máy ở nhà", "wrong_person") == (
        events[3]["place"],
        events[3]["note"],
        events[4]["reason"],
    )
    assert "collected" == history["levels"]["2"]["state"]
    assert client.get(f"/v1/dossiers/{dossier}").json()["levels"] == history["levels"]


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        (correction("c", "amended", 9, place="school"), "unknown_entry"),
        (correction("c", "amended", 1, place="school", level=1), "unknown_entry"),
        (correction("c", "voided", 2, reason="other"), "already_voided"),
        (correction("c", "reassigned", 3, unit="14761"), "already_voided"),
        (correction("c", "reassigned", 4, unit="14761"), "is_correction"),
        (correction("c", "reassigned", 1, unit="14758"), "nothing_changes"),
        (correction("c", "confirmed", 1), "nothing_to_confirm"),
        (correction("c", "confirmed", 4, actor="TH-0007"), "same_officer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused_corrections(client, dossier, wish, code):
    """A conflict with what is recorded; the sentence says what to do, the log is as it was."""
    check_problem(client.post("/v1/events", json=wish), 409, code)
    assert 7 == client.get(f"/v1/dossiers/{dossier}").json()["version"]


def test_what_is_still_needed_is_named(client):
    """With the version and type of the entry that needs it."""
    client.post("/v1/events", json=list(STEPS))
    wish = correction("c", "voided", 1, reason="other")
    problem = check_problem(client.post("/v1/events", json=wish), 409, "still_needed")
    assert "entry 2 (approved)" in problem["detail"]


def test_a_correction_sent_again(client, dossier):
    """Returns its first receipt; with other content it is a conflict."""
    again = client.post("/v1/events", json=CORRECTIONS[0]).json()
    assert (3, True) == (again["version"], again["duplicate"])
    other = CORRECTIONS[0] | {"corrects": 2}
    problem = check_problem(client.post("/v1/events", json=other), 409, "key_conflict")
    assert "corrects" in problem["detail"]


def read_in_a_terminal(dossier: str, ledger: Ledger, key_file, *options: str) -> str:
    """Return what ``ledger history`` prints, as wide as a table needs; the number is nowhere."""
    done = subprocess.run(
        [sys.executable, "-m", "api.main", "history", "--dossier", dossier, *options],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("LEDGER_")},
            "LEDGER_DATABASE_URL": ledger.database.conninfo,
            "LEDGER_KEY_FILE": str(key_file),
            "PYTHONUTF8": "1",
        },
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert CITIZEN not in done.stdout
    return done.stdout


def test_a_person_reads_both_ends(dossier, ledger: Ledger, key_file):
    """One line each."""
    told = read_in_a_terminal(dossier, ledger, key_file)
    rows = [line.split("│") for line in told.splitlines() if line.startswith("│")]
    lines = {int(row[2]): row[-2].strip() for row in rows}
    assert [1, 2, 3, 4, 5, 6, 7] == list(lines)
    for version, (standing, corrected_by) in enumerate(zip(STANDING, CORRECTED_BY, strict=True), 1):
        assert standing == ("does not" not in lines[version]), lines[version]
        assert lines[version].endswith(", ".join(map(str, corrected_by))), lines[version]
    for version, corrects in enumerate((1, 1, 2, 3, 5), 3):
        assert f"of entry {corrects}" in lines[version]


SPLIT = SplitUnit(unit="14758", parts=("14764", "14767"), effective=date(2024, 12, 20), decree="NQ 1")


def test_an_allocation_over_http(client, ledger: Ledger, clock, key_file):
    """Sent like any report; told with the split unit, and by what comes after it with the part."""
    ledger.change_units(SPLIT)
    clock.now = datetime.fromisoformat("2024-12-31T23:00:00+07:00")
    allocated = report("b1", type="allocated", unit="14764", occurred_at="2024-12-30T08:00:00+07:00")
    collected, receipt, approved = client.post("/v1/events", json=[STEPS[0], allocated, STEPS[1]]).json()
    assert [1, 2, 3] == [collected["version"], receipt["version"], approved["version"]]
    check_problem(client.post("/v1/events", json=allocated | {"key": "b2"}), 409, "nothing_changes")
    check_problem(client.post("/v1/events", json=allocated | {"key": "b2", "level": 1}), 409, "not_split")
    amended = correction("b2", "amended", 2, place="school")
    check_problem(client.post("/v1/events", json=amended), 409, "is_allocation")

    dossier = collected["dossier_id"]
    history = client.get(f"/v1/dossiers/{dossier}/history").json()
    part = {"code": "14764", "name": "Phường Trường Thi", "level": "commune"}
    assert [None, None, part] == [event["allocated_to"] for event in history["events"]]
    assert [None, ["14758"], None] == [
        event["allocated_of"] and [unit["code"] for unit in event["allocated_of"]]
        for event in history["events"]
    ]
    assert part == history["levels"]["2"]["allocated_to"]
    page = client.get(f"/v1/events?after={collected['position']}").json()
    assert ("allocated", "14764") == (page["events"][0]["type"], page["events"][0]["data"]["unit"])

    told = read_in_a_terminal(dossier, ledger, key_file)
    assert "collected by 14758 Phường Đông Thọ, allocated to 14764 Phường Trường Thi" in told
    details = [line.split("│")[-2].strip() for line in told.splitlines() if line.startswith("│")]
    assert "allocated of 14758 Phường Đông Thọ" == details[1]
    assert details[2].endswith("allocated to 14764 Phường Trường Thi")
    lines = read_in_a_terminal(dossier, ledger, key_file, "--format", "csv").splitlines()
    fields = dict(zip(lines[0].split(","), lines[2].split(","), strict=True))
    assert ("allocated", "14764", "14758") == (fields["type"], fields["unit"], fields["allocated_of"])
