"""Changes of units from the command line: shown, recorded, listed, taken back, and refused with every line."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from tests.acceptance.test_cli import HEADER, UNITS, answer, ledger
from tests.conftest import temporary_home

JANUARY = (
    *("units", "reorganise", "--tree", "units_2025-01-01.csv", "--map", "merge_2025-01-01.csv"),
    *("--effective", "2025-01-01", "--decree", "1238/NQ-UBTVQH15"),
)
LAW = ("--effective", "2024-12-01", "--decree", "NQ 1")


@pytest.fixture
def home() -> Iterator[Path]:
    """A home with the units of 2024."""
    with temporary_home() as home:
        loaded = ledger("units", "load", "units_2024.csv", "--valid-from", "2021-01-01", home=home)
        assert 0 == loaded.returncode
        yield home
        assert 0 == ledger("stop", home=home).returncode


def listed(home: Path, day: str) -> list[dict[str, str]]:
    done = ledger("units", "list", "--on", day, "--format", "csv", home=home)
    assert 0 == done.returncode
    return list(csv.DictReader(io.StringIO(done.stdout)))


def test_a_reorganisation_is_shown_recorded_listed_and_taken_back(home):
    """The same is told each time; only what is recorded has an id."""
    shown = answer(ledger(*JANUARY, "--dry-run", "--format", "json", home=home))
    assert UNITS == len(listed(home, "2025-01-01"))
    done = ledger(*JANUARY, "--actor", "keeper-1", "--format", "json", home=home)
    recorded = answer(done)

    assert (True, None, None) == (shown["dry_run"], shown["reorganisation"], shown["position"])
    assert (False, UNITS + 40, 40) == (recorded["dry_run"], recorded["position"], recorded["events"])
    assert (shown["units"], shown["warnings"]) == (recorded["units"], recorded["warnings"])
    assert {"merged": 9, "moved": 14, "renamed": 14, "abolished": 3} == Counter(
        one["what"] for one in recorded["units"]
    )
    assert {
        "what": "merged",
        "code": "14788",
        "name": "Phường Tân Sơn",
        "level": "commune",
        "from": None,
        "to": "14770 Phường Phú Sơn",
    } in recorded["units"]
    assert 3 == len(recorded["warnings"])
    for code in ("15217 Xã Thạch Đồng", "16651 Xã Hải Yến", "405 Huyện Đông Sơn"):
        assert any(code in warning for warning in recorded["warnings"])
        assert code in done.stderr
    assert {"province": 1, "district": 26, "commune": 547} == Counter(
        row["level"] for row in listed(home, "2025-01-01")
    )

    loaded, change = answer(ledger("units", "changes", "--format", "json", home=home))["rows"]
    assert (None, None, 1, UNITS) == (
        *(loaded[name] for name in ("reorganisation", "decree", "position", "events")),
    )
    told = ("reorganisation", "effective", "decree", "actor", "position", "events", "withdrawn_position")
    assert (
        recorded["reorganisation"],
        "2025-01-01",
        "1238/NQ-UBTVQH15",
        "keeper-1",
        UNITS + 1,
        40,
        None,
    ) == tuple(change[name] for name in told)
    back = ("units", "withdraw", recorded["reorganisation"], "--reason", "a test", "--decree", "NQ 9")
    withdrawn = ledger(*back, "--format", "csv", home=home)
    assert {"not merged": 9, "not moved": 14, "not renamed": 14, "not abolished": 3} == Counter(
        row["what"] for row in csv.DictReader(io.StringIO(withdrawn.stdout))
    )
    assert UNITS == len(listed(home, "2025-01-01"))
    _, line = csv.DictReader(io.StringIO(ledger("units", "changes", "--format", "csv", home=home).stdout))
    assert (str(UNITS + 41), "local", "a test", "NQ 9") == (
        line["withdrawn_position"],
        line["withdrawn_by"],
        line["withdrawn_reason"],
        line["withdrawn_decree"],
    )
    assert line["withdrawn_recorded_at"] > line["recorded_at"]
    table = ledger("units", "changes", home=home).stdout
    assert "changes of units: 2" in table
    assert 1 == table.count(" none ")
    again = ledger(*back, home=home)
    assert 1 == again.returncode
    assert "already_withdrawn" in again.stderr


def test_a_dry_run_tells_of_totals_what_the_document_does(home):
    """As a table each measure that is another number, as CSV a line for each of them, beside the units."""
    reports = [
        f"a,collected,03809000000{number},2,{unit},2024-12-02T09:00:00+07:00,th-1"
        for number, unit in enumerate(("14758", "14758", "16378"))
    ]
    (home / "reports.csv").write_text("\n".join([HEADER, *reports, ""]), encoding="utf-8")
    assert 0 == ledger("import", "reports.csv", home=home).returncode
    shown = answer(ledger(*JANUARY, "--dry-run", "--format", "json", home=home))
    lines = [
        row
        for row in csv.DictReader(
            io.StringIO(ledger(*JANUARY, "--dry-run", "--format", "csv", home=home).stdout)
        )
        if row["what"] == "total"
    ]
    table = ledger(*JANUARY, "--dry-run", home=home).stdout

    [days] = shown["totals"]["days"]
    assert ("2025-01-01", None, True) == (days["on"], days["until"], days["today"])
    expected = {
        (
            row["code"] or "",
            row["level"] or "",
            measure,
            (row["before"] or {}).get(measure),
            (row["after"] or {}).get(measure),
        )
        for row in days["rows"]
        for measure in (row["before"] or row["after"])
        if (row["before"] or {}).get(measure, 0) != (row["after"] or {}).get(measure, 0)
    }
    assert expected == {
        (
            row["code"],
            row["level"],
            row["measure"],
            *(int(row[name]) if row[name] else None for name in ("from", "to")),
        )
        for row in lines
    }
    assert ("380", "district", "collected", 2, 3) in expected
    assert ("380", "district", "awaiting_approval", 2, 3) in expected
    assert {("2025-01-01", "")} == {(row["on"], row["until"]) for row in lines}
    assert "in the tree from 2025-01-01 on, today, of everything up to position" in table
    # What changes nowhere has no column.
    assert (True, False) == ("awaiting" in table, "approved" in table)


def test_single_changes(home):
    """Each says which unit changes, from what to what."""
    changes = {
        ("rename", "--unit", "14758", "--name", "Phường Mới", "--code", "99001"): [
            ("renamed", "14758", "Phường Đông Thọ", "Phường Mới"),
            ("recoded", "14758", "14758", "99001"),
        ],
        ("move", "--unit", "14761", "--unit", "14764", "--parent", "381"): [
            ("moved", "14761", "380 Thành phố Thanh Hóa", "381 Thị xã Bỉm Sơn"),
            ("moved", "14764", "380 Thành phố Thanh Hóa", "381 Thị xã Bỉm Sơn"),
        ],
        ("merge", "--unit", "14767", "--into", "14770"): [("merged", "14767", None, "14770 Phường Phú Sơn")],
        ("split", "--unit", "14773", "--part", "14776", "--part", "14779", "--land", "14782"): [
            (
                "split",
                "14773",
                None,
                "14776 Phường Ba Đình; 14779 Phường Ngọc Trạo; 14782 Phường Đông Vệ (land without people)",
            )
        ],
        ("abolish", "--unit", "14785"): [("abolished", "14785", None, None)],
    }
    for command, expected in changes.items():
        done = answer(ledger("units", *command, *LAW, "--format", "json", home=home))
        assert expected == [(one["what"], one["code"], one["from"], one["to"]) for one in done["units"]]
    done = ledger("units", "abolish", "--level", "district", *LAW, "--dry-run", home=home)
    assert 0 == done.returncode
    assert "nothing was recorded: --dry-run" in done.stdout
    assert 1 == done.stderr.count("warning: 27 units (district) are abolished")
    assert 1 + 5 == len(answer(ledger("units", "changes", "--format", "json", home=home))["rows"])


def test_what_is_wrong_stands_on_lines_of_its_own(home):
    """Of both files, and in the document too; nothing is recorded."""
    lines = (
        (files("ledger") / "data" / "merge_2025-01-01.csv")
        .read_text(encoding="utf-8")
        .splitlines(keepends=True)
    )
    (home / "map.csv").write_text("".join([lines[0], *lines[3:], lines[10]]), encoding="utf-8")
    code = lines[10].split(",")[0]
    command = [*JANUARY]
    command[command.index("merge_2025-01-01.csv")] = "map.csv"
    refused = ledger(*command, "--format", "json", home=home)
    document = answer(refused, status=1)

    first, *faults = refused.stderr.splitlines()
    assert "units_refused" == document["error"]
    assert f"refused (units_refused): {len(faults)} things are wrong" == first
    assert document["faults"] == [fault.strip() for fault in faults]
    assert "map: no line says where the people of 14755 Phường Hàm Rồng went" in document["faults"]
    assert f"map: lines 9, 558: {code} goes to {code} 2 times" in document["faults"]
    assert 1 == len(answer(ledger("units", "changes", "--format", "json", home=home))["rows"])
    one = ledger("units", "merge", "--unit", "99999", "--into", "14758", *LAW, home=home)
    assert (1, 1) == (one.returncode, len(one.stderr.splitlines()))


@pytest.mark.parametrize(
    "arguments",
    [
        ["abolish", *LAW],
        ["abolish", "--unit", "380", "--level", "district", *LAW],
        ["abolish", "--level", "huyện", *LAW],
        ["merge", "--unit", "14758", *LAW],
        ["move", "--unit", "14758", "--parent", "381", "--effective", "2024-12-01"],
        ["move", "--unit", "14758", "--parent", "381", "--effective", "1.12.2024", "--decree", "NQ"],
        ["reorganise", "--tree", "units_2025.csv", *LAW],
        ["withdraw", "no-id", "--reason", "x"],
        ["withdraw", "00000000-0000-8000-8000-756e69747300"],
    ],
)
def test_wrong_use(arguments):
    """Told before any ledger is looked for."""
    with temporary_home() as empty:
        assert 2 == ledger("units", *arguments, home=empty).returncode
