"""Denominators and targets as people and scripts set them: a process, its output and its exit status."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.test_cli import answer, ledger
from tests.conftest import temporary_home

HEADER = "unit,measure,level,number,percent,denominator,from,deadline"


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home with the units of July 2025, their population, and a target of the province."""
    with temporary_home() as home:
        for arguments in (
            ("units", "load", "units_2025.csv", "--valid-from", "2025-07-01"),
            (
                *("denominators", "load", "population_2025_communes.csv", "--name", "residents"),
                *("--from", "2025-07-01", "--source", "README"),
            ),
            (
                "targets",
                "load",
                written(home, "38,activated,2,100000,,,2025-07-01,2025-12-31"),
                "--issuer",
                "Bộ",
            ),
        ):
            done = ledger(*arguments, home=home)
            assert (0, "") == (done.returncode, done.stderr), arguments
        yield home
        assert 0 == ledger("stop", home=home).returncode


def written(folder: Path, *lines: str) -> Path:
    path = folder / "targets.csv"
    path.write_text("\n".join((HEADER, *lines, "")), encoding="utf-8")
    return path


def rows(*arguments: str | Path, home: Path) -> list[dict]:
    return answer(ledger(*arguments, "--format", "json", home=home))["rows"]


def test_what_is_not_available_is_named(home):
    """The eight values that are corrupt at the source; the second time nothing changes."""
    done = ledger(
        *("denominators", "load", "population_2025_communes.csv", "--name", "residents"),
        *("--from", "2025-07-01", "--source", "README"),
        home=home,
    )
    assert (
        "denominators set: 0; unchanged: 166; not available: "
        "15361, 15409, 15634, 15661, 16144, 16540, 16597, 16624\n" == done.stdout
    )


def test_denominators_are_listed_as_of_a_day(home):
    listed = rows("denominators", "list", "--on", "2025-12-31", home=home)
    assert 166 == len(listed)
    assert {"14758": 63166, "15361": None} == {
        row["code"]: row["value"] for row in listed if row["code"] in ("14758", "15361")
    }
    assert [] == rows("denominators", "list", "--on", "2025-06-30", home=home)
    assert [] == rows("denominators", "list", "--on", "2025-12-31", "--name", "eligible", home=home)
    assert [] == rows("denominators", "list", "--on", "2025-12-31", "--at", "167", home=home)


def test_a_file_is_refused_whole_and_every_line_is_named(home):
    before = rows("targets", "list", home=home)
    file = written(
        home,
        "14758,activated,2,5,,,2025-07-01,",
        "14797,activated,2,,50,,2025-07-01,2025-12-31",
        "14812,activated,2,5,,,2025-07-01,2025-12-31",
        "99999,activated,2,5,,,2025-07-01,2025-12-31",
        "38,activated,2,5,,,2025-12-31,2026-12-31",
    )
    done = ledger("targets", "load", file, "--issuer", "Bộ", "--format", "json", home=home)
    told = answer(done, 1)
    assert "targets_refused" == told["error"]
    assert ["line 2", "line 3", "line 5", "line 6"] == [
        fault[:6] for fault in told["detail"].split("; ") if "line " in fault[:5]
    ]
    assert before == rows("targets", "list", home=home)


def test_a_target_is_handed_down_listed_and_withdrawn(home):
    """The parts add up; whose population is not available gets none."""
    down = (
        "targets",
        "cascade",
        "--unit",
        "38",
        "--to-level",
        "commune",
        "--by",
        "residents",
        "--issuer",
        "Bộ",
        "--as",
        "Tỉnh",
    )
    tried = answer(ledger(*down, "--dry-run", "--format", "json", home=home))
    assert (158, 0) == (tried["recorded"], tried["position"])
    done = answer(ledger(*down, "--format", "json", home=home))
    assert tried["parts"] == done["parts"]
    assert 100_000 == done["whole"] == sum(part["number"] for part in done["parts"])
    assert 8 == len(done["not_available"])

    listed = ledger("targets", "list", "--issuer", "Tỉnh", "--format", "csv", home=home)
    lines = list(csv.DictReader(io.StringIO(listed.stdout)))
    assert 158 == len(lines)
    assert {done["target_id"]} == {line["part_of"] for line in lines}

    drop = ("targets", "withdraw", "--issuer", "Tỉnh", "--deadline", "2025-12-31", "--reason", "replaced")
    assert "targets withdrawn: 158\n" == ledger(*drop, home=home).stdout
    assert [] == rows("targets", "list", "--issuer", "Tỉnh", home=home)
    assert 158 == len(rows("targets", "list", "--issuer", "Tỉnh", "--all", home=home))
    assert 158 == len(rows("targets", "list", "--issuer", "Tỉnh", "--at", str(done["position"]), home=home))
    again = ledger("targets", "withdraw", lines[0]["id"], "--reason", "x", "--format", "json", home=home)
    assert "was withdrawn at position" in answer(again, 1)["detail"]


def test_a_revised_file_takes_the_place_of_the_one_before(home):
    file = written(home, "14812,activated,1,5,,,2025-07-01,2025-12-31")
    load = ("targets", "load", file, "--issuer", "Huyện 2")
    assert "targets set: 1\n" == ledger(*load, home=home).stdout
    written(
        home, "14812,activated,1,6,,,2025-07-01,2025-12-31", "14818,activated,1,6,,,2025-07-01,2025-12-31"
    )
    assert 1 == ledger(*load, home=home).returncode
    done = ledger(*load, "--replace", home=home)
    assert "targets set: 2; withdrawn in their place: 1\n" == done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["denominators", "load", "x.csv", "--name", "eligible", "--from", "2025-07-01"],
        ["targets", "load", "x.csv"],
        ["targets", "withdraw", "--reason", "x"],
        ["targets", "withdraw", "not-an-id", "--reason", "x"],
        ["targets", "withdraw", "--issuer", "Bộ", "--reason", "x"],
    ],
)
def test_wrong_use_exits_2(home, arguments):
    done = ledger(*arguments, home=home)
    assert (2, "") == (done.returncode, done.stdout)
    assert "Traceback" not in done.stderr


def test_tables_show_what_there_is(home):
    """Columns that are empty everywhere only widen them; programs get each."""
    shown = ledger("targets", "list", home=home).stdout
    assert "Tỉnh Thanh Hóa" in shown
    assert "percent" not in shown
    assert "percent" in json.dumps(rows("targets", "list", home=home))


# Progress.

ASK = ("progress", "--unit", "38", "--on", "2025-07-10", "--issuer", "Huyện")


@pytest.fixture(scope="module")
def reported(home) -> Path:
    """The same home with three collections in July, and targets of three communes."""
    lines = [
        f"k{n},{kind},03809000{n:04},2,{unit},{at}+07:00,th-1"
        for n, unit in enumerate(("14758", "14758", "14797"))
        for kind, at in (("collected", "2025-07-02T09:00:00"),)
    ]
    file = home / "reports.csv"
    file.write_text(
        "\n".join(("key,type,citizen,level,unit,occurred_at,actor", *lines, "")), encoding="utf-8"
    )
    assert 0 == ledger("import", file, home=home).returncode
    targets = written(
        home,
        "14758,collected,,,0.01,residents,2025-07-01,2025-07-31",
        "14797,collected,,1,,,2025-07-01,2025-07-31",
        "15361,collected,,,0.01,residents,2025-07-01,2025-07-31",
    )
    done = ledger("targets", "load", targets, "--issuer", "Huyện", home=home)
    assert (0, "targets set: 3\n") == (done.returncode, done.stdout)
    return home


def test_a_table_ranks_the_units_and_says_what_is_not_available(reported):
    done = ledger(*ASK, home=reported)
    assert (0, "") == (done.returncode, done.stderr)
    lines = [line.split("│")[1:-1] for line in done.stdout.splitlines() if line.startswith("│ 1")]
    assert [["14797", "14758", "15361"], ["1", "2", ""]] == [
        [line[index].strip() for line in lines] for index in (0, -1)
    ]
    assert "not available" in done.stdout
    assert "21 days left, 15 of them working days" in done.stdout
    assert "done: 1 of 3 units; of 1 the target is not available; without a target: 14812" in done.stdout
    assert "rate: percent of residents" in done.stdout


def test_programs_get_every_column(reported):
    """In CSV and JSON the same; what is not available is empty, or null."""
    table = ledger(*ASK, "--format", "csv", home=reported)
    lines = list(csv.DictReader(io.StringIO(table.stdout)))
    document = answer(ledger(*ASK, "--format", "json", home=reported))
    assert [str(row["count"]) for row in document["rows"]] == [line["count"] for line in lines]
    assert ["100.0", "28.57", ""] == [line["percent"] for line in lines]
    assert [100.0, 28.57, None] == [row["percent"] for row in document["rows"]]
    assert set(document["rows"][0]) - {"unit"} < set(lines[0])


def test_who_asks_for_nothing_is_told_so(reported):
    done = ledger("progress", "--unit", "14812", "--measure", "approved", "--on", "2025-07-10", home=reported)
    assert "no unit asked about has a target" in done.stdout
    assert (
        [] == answer(ledger("progress", "--measure", "approved", "--format", "json", home=reported))["goals"]
    )


def test_a_day_to_come_is_refused(reported):
    done = ledger("progress", "--on", "9000-01-01", "--format", "json", home=reported)
    assert "invalid_field" == answer(done, 1)["error"]
