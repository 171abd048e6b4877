"""The program ``ledger`` as people and scripts run it: a process, its output and its exit status."""

import csv
import io
import json
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len

from ledger.embedded import EmbeddedPostgres
from projections import NAMES
from tests.conftest import temporary_home
from tests.program import FORKER, ROOT

PROGRAM = Path(sys.executable).with_name("ledger")
COMMAND = [str(PROGRAM)] if PROGRAM.exists() else [sys.executable, "-m", "api.main"]
CALLED = str(PROGRAM if PROGRAM.exists() else ROOT / "api" / "main.py")
UNREACHABLE = "postgresql://127.0.0.1:1/x"
HEADER = "key,type,citizen,level,unit,occurred_at,actor"
CITIZEN = "038090001234"
GOOD = f"k1,collected,{CITIZEN},2,14758,2024-11-04T09:00:00+07:00,th-1"
BAD = f"k2,collected,{CITIZEN},3,14758,2024-11-04T09:00:00+07:00,th-1"
UNITS = 586
MEASURES = ("collected", "approved", "rejected", "activated", "awaiting_approval", "awaiting_activation")
BY_LAW = ("--effective", "--decree", "--actor", "--dry-run")
COMMANDS = {
    ("demo",): ("--dossiers", "--no-serve", "--port"),
    ("serve",): ("--host", "--port", "--workers"),
    ("migrate",): (),
    ("units", "load"): ("--valid-from", "--decree"),
    ("units", "list"): ("--on", "--under"),
    ("units", "rename"): ("--unit", "--name", "--code", *BY_LAW),
    ("units", "move"): ("--unit", "--parent", *BY_LAW),
    ("units", "merge"): ("--unit", "--into", *BY_LAW),
    ("units", "split"): ("--unit", "--part", "--land", *BY_LAW),
    ("units", "abolish"): ("--unit", "--level", *BY_LAW),
    ("units", "reorganise"): ("--tree", "--map", *BY_LAW),
    ("units", "withdraw"): ("ID", "--reason", "--decree", "--actor", "--dry-run"),
    ("units", "changes"): (),
    ("denominators", "load"): ("--name", "--from", "--source", "--actor", "--dry-run"),
    ("denominators", "list"): ("--name", "--on", "--at"),
    ("targets", "load"): ("--issuer", "--basis", "--replace", "--actor", "--dry-run"),
    ("targets", "list"): ("--unit", "--issuer", "--all", "--at"),
    ("targets", "withdraw"): ("--issuer", "--deadline", "--reason", "--parts", "--dry-run"),
    ("targets", "cascade"): ("--unit", "--to-level", "--by", "--issuer", "--as", "--target", "--dry-run"),
    ("simulate",): ("--dossiers", "--seed", "--out", "--from", "--to"),
    ("import",): ("--atomic", "--dry-run", "--offset", "--lanes"),
    ("totals",): ("--unit", "--by", "--level", "--from", "--to"),
    ("overdue",): ("--unit", "--level", "--on"),
    ("progress",): (
        "--unit",
        "--by",
        "--issuer",
        "--measure",
        "--level",
        "--of",
        "--on",
        "--running",
        "--ended",
    ),
    ("worklist",): (
        "--unit",
        "--awaiting",
        "--state",
        "--level",
        "--overdue",
        "--team",
        "--limit",
        "--cursor",
    ),
    ("ageing",): ("--unit", "--by", "--level", "--from", "--to"),
    ("report", "freeze"): ("--unit", "--by", "--to", "--position", "--known-at", "--title", "--actor"),
    ("report", "show"): (),
    ("report", "changes"): ("--kind", "--position", "--after", "--limit", "--events"),
    ("report", "list"): (),
    ("history",): ("--citizen", "--dossier"),
    ("citizens", "reveal"): ("--dossier",),
    ("citizens", "erase"): ("--dossier", "--citizen", "--reason", "--basis", "--actor", "--yes"),
    ("key", "rotate"): ("--add-only",),
    ("key", "retire"): ("NUMBER",),
    ("reconcile",): ("--unit", "--hierarchy", "--on"),
    ("cues",): (
        "--rule",
        "--unit",
        "--actor",
        "--from",
        "--to",
        "--threshold",
        "--seconds",
        "--positions-after",
    ),
    ("verify",): ("BUNDLE", "--policy"),
    ("reads",): ("--citizen", "--dossier"),
    ("reads", "drop"): ("--before", "--reason", "--actor", "--dry-run", "--yes"),
    ("embargo", "place"): ("--dossier", "--until", "--text"),
    ("embargo", "lift"): ("--dossier", "--text"),
    ("purposes",): ("--purposes-file",),
    ("reasons",): ("--reasons-file", "--four-eyes"),
    ("rebuild",): ("unit_totals", "worklist"),
    ("stop",): (),
    ("doctor",): (),
}


def ledger(
    *arguments: str | Path, home: Path, cwd: Path | None = None, text: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the program to its end, with nothing of the caller's ledger in its environment."""
    return FORKER.run(
        [CALLED, *map(str, arguments)],
        text=text,
        cwd=cwd or home,
        env=environment(home, PYTHONUTF8="1"),
        seconds=120,
    )


def started(*arguments: str | Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Run it as ``ledger`` does, in a process that nobody has prepared."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
        cwd=home,
        env=environment(home, PYTHONUTF8="1"),
    )


def environment(home: Path, **more: str) -> dict[str, str]:
    """The caller's, without its ledger, and with output buffered as everywhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEDGER_")}
    kept.pop("PYTHONUNBUFFERED", None)
    return {**kept, "LEDGER_HOME": str(home), **more}


def on_a_terminal(*arguments: str, home: Path, columns: int) -> list[str]:
    """Run the program with a terminal of that width; return the lines it printed, without colours."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env=environment(home, PYTHONUTF8="1", COLUMNS=str(columns), TERM="xterm"),
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 1 << 16):
                shown += part
        except OSError:  # How Linux says that the other end is closed.
            pass
    os.close(ours)
    assert 0 == process.returncode
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).splitlines()


def importing(home: Path, cwd: Path) -> "subprocess.Popen[str]":
    """Start an import that waits for the rest of its file: it has read more than a pipe holds."""
    process = subprocess.Popen(
        [*COMMAND, "import", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        cwd=cwd,
        env=environment(home, PYTHONUTF8="1"),
    )
    assert process.stdin is not None
    process.stdin.write(f"{HEADER}\n" + f"{GOOD}\n" * 20_000)
    process.stdin.flush()
    return process


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home whose ledger has units and a campaign of 300 dossiers."""
    with temporary_home() as home:
        assert (
            0 == ledger("units", "load", "units_2024.csv", "--valid-from", "2021-01-01", home=home).returncode
        )
        file = home / "made-up.csv"
        assert 0 == ledger("simulate", "--dossiers", "300", "--out", file, home=home).returncode
        done = ledger("import", file, home=home)
        assert (0, "") == (done.returncode, done.stderr)
        yield home
        assert 0 == ledger("stop", home=home).returncode


@pytest.fixture
def folder() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="ledger-test-", dir="/tmp"))
    yield directory
    shutil.rmtree(directory)


def answer(done: subprocess.CompletedProcess[str], status: int = 0) -> dict:
    """Return the one document that standard output holds."""
    assert status == done.returncode, done.stderr
    return json.loads(done.stdout)


def test_who_looked(home):
    """Every look of the command line is one; an embargo tells of itself, and is lifted once."""
    with (home / "made-up.csv").open(encoding="utf-8") as file:
        citizen = [row["citizen"] for row in csv.DictReader(file)][-1]
    dossier = answer(ledger("history", "--citizen", "-", "--format", "json", home=home, text=citizen))[
        "dossier_id"
    ]
    last = "2027-01-31"
    placed = ledger("embargo", "place", "--dossier", dossier, "--until", last, "--text", "Vụ 7", home=home)
    assert (0, f"laid until {last}\n") == (placed.returncode, placed.stdout)
    table = ledger("reads", "--dossier", dossier, home=home)
    assert f"under an embargo until {last}" in table.stderr
    lifted = [
        ledger("embargo", "lift", "--dossier", dossier, "--text", "Xong", home=home).returncode
        for _ in range(2)
    ]
    assert [0, 1] == lifted
    told = ledger("reads", "--citizen", "-", "--format", "json", home=home, text=citizen)
    assert citizen not in table.stdout + told.stdout + told.stderr
    assert [
        ("looked", "history", ""),
        ("embargo_placed", None, "Vụ 7"),
        ("looked", "reads", ""),
        ("embargo_lifted", None, "Xong"),
        ("looked", "lookup", ""),
        ("looked", "reads", ""),
    ] == [(row["type"], row["what"], row["text"]) for row in answer(told)["rows"]]
    assert 2 == ledger("reads", home=home).returncode


def test_purposes_are_listed_as_they_are_read(home):
    """What is printed is a file of purposes."""
    printed = ledger("purposes", "--format", "csv", home=home).stdout
    (home / "purposes.csv").write_text(printed + "court,Toà án,A court\n", encoding="utf-8")
    told = ledger("purposes", "--purposes-file", home / "purposes.csv", "--format", "json", home=home)
    assert "court" == answer(told)["rows"][-1]["code"]


class TestUnits:
    def test_load_changes_nothing_the_second_time(self, home):
        done = ledger(
            "units", "load", "units_2024.csv", "--valid-from", "2021-01-01", "--format", "json", home=home
        )
        loaded = answer(done)
        assert (0, UNITS) == (loaded["opened"], loaded["unchanged"])

    def test_load_of_another_tree_is_refused_and_points_to_reorganise(self, home):
        done = ledger(
            "--format", "json", "units", "load", "units_2025.csv", "--valid-from", "2025-07-01", home=home
        )
        refused = answer(done, 1)
        assert "unit_differs" == refused["error"]
        assert "ledger units reorganise" in refused["detail"]
        assert "ledger units reorganise" in done.stderr

    def test_list_tells_the_tree_of_a_day(self, home):
        listed = answer(ledger("units", "list", "--on", "2024-12-09", "--format", "json", home=home))
        assert "2024-12-09" == listed["on"]
        assert UNITS == len(listed["rows"])
        expected = {"code", "name", "level", "parent_code", "valid_from", "valid_to"}
        assert expected == set(listed["rows"][0])
        under = answer(ledger("units", "list", "--under", "401", "--format", "json", home=home))
        assert "401" == under["rows"][0]["code"]
        before = answer(ledger("units", "list", "--on", "2020-12-31", "--format", "json", home=home))
        assert [] == before["rows"]


class TestSimulate:
    def test_makes_the_same_bytes_again_and_says_that_they_are_invented(self, home, folder):
        first = ledger(
            "simulate", "--dossiers", "50", "--seed", "7", "--out", folder / "made-up-1.csv", home=home
        )
        # By a process whose seed of hashes is another one.
        answered = answer(
            started(
                *("simulate", "--dossiers", "50", "--seed", "7", "--out", folder / "made-up-2.csv"),
                *("--format", "json"),
                home=home,
            )
        )
        assert (folder / "made-up-1.csv").read_bytes() == (folder / "made-up-2.csv").read_bytes()
        assert "Invented data" in first.stderr
        assert answered["rows"] == sum(answered["by_type"].values())

    def test_refuses_what_it_cannot_write(self, home, folder):
        wrong = ledger("simulate", "--dossiers", "1", "--out", folder / "made-up.txt", home=home)
        nowhere = ledger("simulate", "--dossiers", "1", "--out", folder / "no" / "made-up.csv", home=home)
        assert [2, 1] == [wrong.returncode, nowhere.returncode]


class TestImport:
    def test_tells_its_counts_and_exits_1_where_lines_were_refused(self, home, folder):
        file = folder / "reports.csv"
        file.write_text(f"{HEADER}\n{GOOD}\n{BAD}\n", encoding="utf-8")
        result = answer(ledger("import", file, "--dry-run", "--format", "json", home=home), 1)
        expected = ["read", "recorded", "duplicates", "refused", "first_position", "last_position", "seconds"]
        assert expected == list(result)
        assert (2, 1, 0, 1) == tuple(result.values())[:4]
        done = ledger("import", file, "--format", "json", home=home)
        assert (2, 1, 0, 1) == tuple(answer(done, 1).values())[:4]
        assert f"{file}.refused.csv" in done.stderr
        again = answer(ledger("import", file, "--format", "json", home=home), 1)
        assert (2, 0, 1, 1) == tuple(again.values())[:4]

    def test_says_where_refused_lines_are_and_what_to_do_with_them(self, home, folder):
        file = folder / "reports.csv"
        file.write_text(f"{HEADER}\n{GOOD}\n{BAD}\n", encoding="utf-8")
        refused = f"{file}.refused.csv"
        tried = ledger("import", file, "--dry-run", home=home)
        done = ledger("import", file, home=home)
        told = f"lines that would be refused: 1; they stand with their reasons in {refused}: correct them in {file}\n"
        assert told == tried.stderr
        told = (
            f"refused lines: 1; correct them in {refused} and import that file\n"
            f"the {refused} of before is kept as {refused}.old"
        )
        assert done.stderr.startswith(told)

    def test_stopped_by_ctrl_c_says_how_to_go_on(self, home, folder):
        process = importing(home, folder)
        process.send_signal(signal.SIGINT)
        told = "interrupted; what was recorded stays, and importing the file again records the rest\n"
        assert ("", told) == process.communicate(timeout=60)
        assert 130 == process.returncode

    def test_whose_database_goes_away_says_how_to_go_on(self, home, folder):
        process = importing(home, folder)
        assert "stopped\n" == ledger("stop", home=home).stdout
        printed, told = process.communicate(timeout=60)
        assert (3, "") == (process.returncode, printed)
        assert told.startswith("not available (store_unavailable): ")
        assert told.endswith("; what was recorded stays, and importing the file again records the rest\n")

    def test_reads_standard_input_and_puts_refused_lines_into_the_working_directory(self, home, folder):
        done = ledger("import", "-", home=home, cwd=folder, text=f"{HEADER}\n{BAD}\n")
        assert 1 == done.returncode
        with (folder / "import.refused.csv").open(encoding="utf-8", newline="") as file:
            [line] = csv.DictReader(file)
        assert ("2", "invalid_level") == (line["line"], line["error"])

    @pytest.mark.parametrize("name", ["-", "/dev/stdin"])
    def test_reads_a_file_that_standard_input_comes_from(self, home, folder, name):
        """Several processes read it at once, at places of their own; nothing is written beside /dev/stdin."""
        file = folder / "reports.csv"
        file.write_text(f"{HEADER}\n{BAD}\n", encoding="utf-8")
        with file.open("rb") as source:
            done = subprocess.run(
                [*COMMAND, "import", name, "--lanes", "2", "--format", "json"],
                stdin=source,
                capture_output=True,
                cwd=folder,
                env=environment(home),
                check=False,
            )
        assert 1 == done.returncode, done.stderr
        assert (1, 0, 0, 1) == tuple(json.loads(done.stdout).values())[:4]
        assert {"reports.csv", "import.refused.csv"} == {path.name for path in folder.iterdir()}

    def test_applies_an_offset(self, home, folder):
        text = f"{HEADER}\n{GOOD.replace('+07:00', '').replace('k1', 'o1').replace('1234', '5555')}\n"
        refused = ledger("import", "-", home=home, cwd=folder, text=text)
        taken = ledger("import", "-", "--offset", "+07:00", home=home, cwd=folder, text=text)
        wrong = ledger("import", "-", "--offset", "7", home=home, cwd=folder, text=text)
        assert [1, 0, 2] == [refused.returncode, taken.returncode, wrong.returncode]

    def test_of_no_file_is_refused(self, home, folder):
        assert (
            "invalid_file"
            == answer(ledger("import", folder / "none.csv", "--format", "json", home=home), 1)["error"]
        )
        (folder / "empty.csv").touch()
        assert (
            "file_empty"
            == answer(ledger("import", folder / "empty.csv", "--format", "json", home=home), 1)["error"]
        )


class TestTotals:
    @pytest.mark.parametrize("by", ["unit", "level", "day", "place", "shift", "partner"])
    def test_sum_their_rows_by_every_dimension(self, home, by):
        totals = answer(ledger("totals", "--unit", "38", "--by", by, "--format", "json", home=home))
        assert "unit_totals" == totals["projection"]
        assert totals["rows"]
        assert all(by in row for row in totals["rows"])
        sums = {name: sum(row[name] for row in totals["rows"]) for name in MEASURES}
        assert {name: totals["sum"][name] for name in MEASURES} == sums
        assert totals["sum"]["collected"] >= 300

    def test_say_the_same_as_table_and_csv(self, home):
        document = answer(ledger("totals", "--unit", "38", "--format", "json", home=home))
        table = ledger("totals", "--unit", "38", home=home)
        rows = list(
            csv.DictReader(io.StringIO(ledger("totals", "--unit", "38", "--format", "csv", home=home).stdout))
        )
        expected = [(row["unit"]["code"], str(row["activated"])) for row in document["rows"]]
        assert expected == [(row["code"], row["activated"]) for row in rows]
        assert 0 == table.returncode
        assert "Nga Sơn" in table.stdout
        assert "total" in table.stdout

    def test_fit_a_hundred_columns_without_breaking_a_word(self, home):
        document = answer(ledger("totals", "--unit", "38", "--format", "json", home=home))
        lines = on_a_terminal("totals", "--unit", "38", home=home, columns=100)
        assert max(map(cell_len, lines)) <= 100
        names = [row["unit"]["name"] for row in document["rows"]]
        words = {word for line in lines for word in line.split()}
        assert set() == {word for name in names for word in name.split()} - words
        assert {f"{document['sum'][name]:,}" for name in MEASURES} <= words
        assert {"awaiting", "approval", "activation"} <= words

    def test_leave_the_level_out_where_it_is_the_same_for_all(self, home):
        assert "level" not in ledger("totals", "--unit", "38", home=home).stdout
        text = f"{HEADER}\n{GOOD.replace('14758', '401')}\n"
        of_another = ("--schema", "levels")
        ledger("units", "load", "units_2024.csv", "--valid-from", "2021-01-01", *of_another, home=home)
        assert 0 == ledger("import", "-", *of_another, home=home, text=text).returncode
        assert "level" in ledger("totals", "--unit", "401", *of_another, home=home).stdout

    def test_of_an_unknown_unit_are_refused(self, home):
        assert (
            "unknown_unit"
            == answer(ledger("totals", "--unit", "99", "--format", "json", home=home), 1)["error"]
        )


class TestOverdue:
    def test_says_the_same_as_document_table_and_csv(self, home):
        """Of a campaign that ended in 2024, whatever still waits has waited too long."""
        document = answer(ledger("overdue", "--unit", "38", "--format", "json", home=home))
        totals = answer(ledger("totals", "--unit", "38", "--format", "json", home=home))
        assert totals["sum"]["awaiting_approval"] == document["sum"]["approval_overdue"] > 0
        assert totals["sum"]["awaiting_activation"] == document["sum"]["awaiting_activation"]
        assert document["sum"]["notified"] == document["sum"]["activation_overdue"]
        table = ledger("overdue", "--unit", "38", home=home)
        printed = ledger("overdue", "--unit", "38", "--format", "csv", home=home).stdout
        rows = list(csv.DictReader(io.StringIO(printed)))
        assert [(row["unit"]["code"], str(row["approval_overdue"])) for row in document["rows"]] == [
            (row["code"], row["approval_overdue"]) for row in rows
        ]
        assert "Nga Sơn" in table.stdout
        since = document["limits"][1]["since"]
        assert (
            f"overdue after 3 working days, level 2, card valid, collected on: {since} or before"
            in table.stdout
        )

    def test_of_a_day_that_nobody_has_announced_is_provisional(self, home):
        done = ledger("overdue", "--on", "2041-05-08", "--format", "json", home=home)
        document = answer(done)
        assert (True, True) == (document["forecast"], document["provisional"])
        assert "provisional" in done.stderr
        assert "will be overdue on 2041-05-08" in ledger("overdue", "--on", "2041-05-08", home=home).stdout

    def test_of_a_day_that_has_passed_is_refused(self, home):
        refused = answer(ledger("overdue", "--on", "2024-12-09", "--format", "json", home=home), 1)
        assert "invalid_field" == refused["error"]
        assert "is before today" in refused["detail"]


class TestWorklist:
    def test_the_three_forms_tell_the_same(self, home):
        document = answer(ledger("worklist", "--unit", "38", "--format", "json", home=home))
        waiting = answer(ledger("totals", "--unit", "38", "--format", "json", home=home))["sum"]
        assert waiting["awaiting_approval"] + waiting["awaiting_activation"] == len(document["rows"]) > 5
        printed = ledger("worklist", "--unit", "38", "--format", "csv", home=home).stdout
        assert [(row["dossier_id"], row["unit"]["code"]) for row in document["rows"]] == [
            (row["dossier_id"], row["unit_code"]) for row in csv.DictReader(io.StringIO(printed))
        ]
        table = ledger("worklist", "--unit", "38", home=home)
        assert 0 == table.returncode, table.stderr
        assert all(row["dossier_id"] in table.stdout for row in document["rows"])

    def test_pages(self, home):
        """The cursor is told beside the table, and is the document's next; every filter is taken."""
        whole = answer(ledger("worklist", "--format", "json", home=home))["rows"]
        first = ledger("worklist", "--limit", "3", home=home)
        # beside a remark about holidays that are not announced yet, on the days when there are some
        (more,) = (line for line in first.stderr.splitlines() if line.startswith("there are more: "))
        cursor = more.removeprefix("there are more: --cursor ")
        document = answer(
            ledger("worklist", "--limit", "3", "--cursor", cursor, "--format", "json", home=home)
        )
        assert whole[3:6] == document["rows"]
        team = next(row["team"] for row in whole if row["team"])
        asked = (
            "--team",
            team,
            "--not-overdue",
            "--level",
            "2",
            "--awaiting",
            "activation",
            "--state",
            "approved",
        )
        document = answer(ledger("worklist", *asked, "--format", "json", home=home))
        assert document["rows"] == [
            row
            for row in whole
            if (row["team"], row["overdue"], row["level"], row["state"]) == (team, False, 2, "approved")
        ]

    def test_refused(self, home):
        assert 1 == ledger("worklist", "--cursor", "x", home=home).returncode
        assert 2 == ledger("worklist", "--state", "activated", home=home).returncode

    def test_ageing(self, home):
        document = answer(ledger("ageing", "--unit", "38", "--format", "json", home=home))
        totals = answer(ledger("totals", "--unit", "38", "--format", "json", home=home))["sum"]
        assert [("approval", totals["awaiting_approval"]), ("activation", totals["awaiting_activation"])] == [
            (row["step"], row["waiting"]) for row in document["sum"]
        ]
        assert [totals["approved"], totals["activated"]] == [row["ended"] for row in document["sum"]]
        printed = ledger("ageing", "--unit", "38", "--format", "csv", home=home).stdout
        assert [(row["unit"]["code"], str(row["waiting"])) for row in document["rows"]] == [
            (row["unit_code"], row["waiting"]) for row in csv.DictReader(io.StringIO(printed))
        ]
        assert 0 == ledger("ageing", "--unit", "38", home=home).returncode


class TestHistory:
    def test_is_found_by_the_number_on_standard_input_and_by_the_dossier(self, home):
        with (home / "made-up.csv").open(encoding="utf-8") as file:
            citizen = next(csv.DictReader(file))["citizen"]
        by_number = answer(
            ledger("history", "--citizen", "-", "--format", "json", home=home, text=f"{citizen}\n")
        )
        assert ["dossier_id", "levels", "events"] == list(by_number)[:3]
        assert "collected" == by_number["events"][0]["type"]
        by_id = answer(ledger("history", "--dossier", by_number["dossier_id"], "--format", "json", home=home))
        assert by_number == by_id
        for form in ("table", "csv"):
            shown = ledger("history", "--citizen", citizen, "--format", form, home=home)
            assert 0 == shown.returncode
            assert citizen not in shown.stdout + shown.stderr

    def test_shows_a_note_as_it_was_written(self, home):
        citizen = "038090008888"
        text = f"{HEADER},note\n{GOOD.replace(CITIZEN, citizen)},[/b] [red]see :warning: file[/red]\n"
        assert 0 == ledger("import", "-", home=home, text=text).returncode
        done = ledger("history", "--citizen", citizen, home=home)
        assert 0 == done.returncode
        assert "[/b] [red]see :warning: file[/red]" in done.stdout

    def test_breaks_no_date_on_a_narrow_terminal(self, home):
        with (home / "made-up.csv").open(encoding="utf-8") as file:
            row = next(csv.DictReader(file))
        lines = on_a_terminal("history", "--citizen", row["citizen"], home=home, columns=100)
        assert max(map(cell_len, lines)) <= 100
        words = {word for line in lines for word in line.split()}
        assert {row["actor"], row["occurred_at"][:10], row["occurred_at"][11:19], "collected"} <= words

    def test_of_nobody_is_refused(self, home):
        done = ledger("history", "--citizen", "-", "--format", "json", home=home, text="038090000000\n")
        assert "unknown_citizen" == answer(done, 1)["error"]
        assert "038090000000" not in done.stdout + done.stderr


class TestReasons:
    def test_are_listed_with_their_letters_and_read_back_as_printed(self, home, folder):
        document = answer(ledger("reasons", "--format", "json", home=home))
        table = ledger("reasons", home=home)
        assert f"{len(document['rows'])} reasons" in table.stdout
        assert "Khuôn mặt không khớp" in table.stdout
        file = folder / "reasons.csv"
        printed = ledger("reasons", "--format", "csv", home=home).stdout
        file.write_text(printed.replace("Nhập sai", "Gõ nhầm"), encoding="utf-8")
        again = answer(ledger("reasons", "--reasons-file", file, "--format", "json", home=home))
        changed = [row | {"vi": "Gõ nhầm"} if row["code"] == "mistyped" else row for row in document["rows"]]
        assert document["rows"] != changed == again["rows"]
        assert "before_activation" in printed.splitlines()[0]

    def test_that_are_off_the_list_are_refused(self, home, folder):
        file = folder / "reasons.csv"
        lines = ledger("reasons", "--format", "csv", home=home).stdout.splitlines()
        kept = [line for line in lines if not line.startswith("rejected,photo,")]
        assert len(lines) == len(kept) + 1
        file.write_text("\n".join(kept), encoding="utf-8")
        head = f"{HEADER},reason"
        report = f"n1,rejected,{CITIZEN},2,14758,2024-11-05T09:00:00+07:00,th-1,photo"
        own = ("--reasons-file", file, "--dry-run", "--format", "json")
        done = ledger("import", "-", *own, home=home, cwd=folder, text=f"{head}\n{report}\n")
        assert (1, 1) == (answer(done, 1)["refused"], done.returncode)
        refused = (folder / "import.refused.csv").read_text(encoding="utf-8")
        assert "invalid_field" in refused
        assert "face, fingerprint" in refused

    def test_of_a_file_that_is_wrong_are_refused_by_its_lines(self, home, folder):
        file = folder / "reasons.csv"
        file.write_text("type,code,vi,en,before_activation\nlocked,x,,,\nother,y,Y,Y,\n", encoding="utf-8")
        done = ledger("totals", "--reasons-file", file, "--format", "json", home=home)
        assert "invalid_file" == answer(done, 1)["error"]
        assert all(f"line {number}: " in answer(done, 1)["detail"] for number in (2, 3))

    def test_four_eyes_that_are_neither_yes_nor_no_are_wrong_use(self, home):
        done = subprocess.run(
            [*COMMAND, "doctor"],
            capture_output=True,
            encoding="utf-8",
            check=False,
            env=environment(home, LEDGER_FOUR_EYES="maybe"),
        )
        assert (2, "") == (done.returncode, done.stdout)
        assert "LEDGER_FOUR_EYES must be true, false, 1 or 0; it is 'maybe'" in done.stderr
        assert "Traceback" not in done.stderr


class TestOperation:
    def test_migrate_rebuild_and_doctor_answer_with_one_document(self, home):
        assert [] == answer(ledger("migrate", "--format", "json", home=home))["applied"]
        before = answer(ledger("totals", "--unit", "38", "--format", "json", home=home))
        rebuilt = answer(ledger("rebuild", "--format", "json", home=home))
        assert {"projections": [*NAMES], "position": before["position"]} == rebuilt
        assert before == answer(ledger("totals", "--unit", "38", "--format", "json", home=home))
        report = answer(ledger("doctor", "--format", "json", home=home))
        assert [] == report["problems"]
        assert before["position"] == report["facts"]["events"]

    @pytest.mark.parametrize(
        "arguments",
        [
            ["units", "load", "units_2024.csv", "--valid-from", "2021-01-01"],
            ["units", "list"],
            ["import", "-"],
            ["totals"],
            ["history", "--citizen", CITIZEN],
            ["rebuild"],
            ["migrate"],
        ],
        ids=lambda arguments: "_".join(arguments[:2]),
    )
    def test_without_the_database_exits_3_with_a_clear_sentence(self, home, folder, arguments):
        done = ledger("--database", UNREACHABLE, "--format", "json", *arguments, home=home, cwd=folder)
        assert "store_unavailable" == answer(done, 3)["error"]
        assert "PostgreSQL cannot be reached" in done.stderr
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize(
        "arguments",
        [["totals"], ["history", "--citizen", CITIZEN], ["units", "list"], ["doctor"], ["rebuild"]],
        ids=lambda arguments: arguments[0],
    )
    def test_what_only_reads_makes_no_ledger(self, folder, arguments):
        home = folder / "mistyped"
        done = ledger("--format", "json", *arguments, home=home, cwd=folder)
        assert "store_not_ready" == answer(done, 3)["error"]
        for told in (f"there is no ledger in {home}", "ledger demo", "ledger units load", "ledger migrate"):
            assert told in done.stderr
        assert not home.exists()

    def test_doctor_finds_nothing_wrong_before_the_first_totals(self, home, folder):
        loaded = ledger(
            *("units", "load", "units_2024.csv", "--valid-from", "2021-01-01", "--schema", "fresh"), home=home
        )
        assert 0 == loaded.returncode
        report = answer(ledger("doctor", "--schema", "fresh", "--format", "json", home=home))
        assert [] == report["problems"]

    def test_stop_leaves_the_home_alone_where_a_database_is_named(self, home):
        ledger("migrate", home=home)
        done = ledger("stop", "--database", UNREACHABLE, home=home)
        assert 2 == done.returncode
        assert "--database or LEDGER_DATABASE_URL" in " ".join(done.stderr.split())
        assert EmbeddedPostgres(home).running()

    @pytest.mark.parametrize(
        "arguments",
        [
            ["units", "load", "units_2024.csv", "--valid-from", "2021-01-01"],
            ["simulate", "--dossiers", "5", "--out", "made-up.csv"],
            ["migrate"],
            ["rebuild"],
            ["stop", "--home", "none"],
        ],
        ids=lambda arguments: arguments[0],
    )
    def test_csv_of_what_was_done_is_a_row_of_the_document(self, home, folder, arguments):
        document = answer(ledger(*arguments, "--format", "json", home=home, cwd=folder))
        done = ledger(*arguments, "--format", "csv", home=home, cwd=folder)
        [header, row] = csv.reader(io.StringIO(done.stdout))
        assert list(document) == header
        plain = [
            json.dumps(value, separators=(",", ":")) if isinstance(value, dict | list) else str(value)
            for value in document.values()
        ]
        assert plain == row

    @pytest.mark.parametrize("form", ["table", "json", "csv"])
    def test_an_answer_that_cannot_be_written_is_told_in_one_sentence(self, home, form):
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(
                [*COMMAND, "totals", "--format", form],
                stdout=full,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                check=False,
                env=environment(home),
            )
        told = "Error: the answer cannot be written to standard output: No space left on device\n"
        assert (3, told) == (done.returncode, done.stderr)

    def test_programs_get_utf_8_whatever_the_terminal_knows(self, home):
        shown = {
            form: subprocess.run(
                [*COMMAND, "totals", "--format", form],
                capture_output=True,
                check=True,
                env=environment(home, PYTHONIOENCODING="ascii"),
            ).stdout
            for form in ("table", "json", "csv")
        }
        assert "Tỉnh Thanh Hóa" in shown["csv"].decode()
        assert "Tỉnh Thanh Hóa" in shown["json"].decode()
        assert "T?nh Thanh H?a" in shown["table"].decode("ascii")

    def test_doctor_without_the_database_says_what_is_wrong(self, home):
        done = ledger("--database", UNREACHABLE, "--format", "json", "doctor", home=home)
        answer(done, 3)
        assert "cannot be reached" in done.stdout

    def test_another_ledgers_key_file_is_refused(self, home, folder):
        other = folder / "other.key"
        ledger("migrate", "--schema", "other", "--key-file", other, home=home)
        ledger("units", "load", "units_2024.csv", "--valid-from", "2021-01-01", home=home)
        assert other.exists()
        done = ledger("totals", "--key-file", other, "--format", "json", home=home)
        assert "wrong_key_file" == answer(done, 1)["error"]

    @pytest.mark.parametrize(
        "arguments",
        [
            ["nonsense"],
            ["totals", "--by", "colour"],
            ["totals", "--from", "yesterday"],
            ["totals", "--format", "xml"],
            ["history"],
            ["units", "load", "units_2024.csv"],
            ["simulate", "--dossiers", "0", "--out", "x.csv"],
            ["serve", "--host", "0.0.0.0"],
            ["totals", "--schema", "No Schema"],
            ["totals", "--database", "mysql://x"],
            ["demo", "--database", UNREACHABLE],
        ],
        ids=lambda arguments: "_".join(arguments[:2]).replace("-", ""),
    )
    def test_wrong_use_exits_2(self, home, arguments):
        done = ledger(*arguments, home=home)
        assert (2, "") == (done.returncode, done.stdout)
        assert "Error" in done.stderr
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize("command", COMMANDS, ids="_".join)
    def test_help_names_every_option(self, home, command):
        done = ledger(*command, "--help", home=home)
        assert 0 == done.returncode
        for option in (*COMMANDS[command], "--database", "--home", "--schema", "--format"):
            assert option in done.stdout

    def test_help_says_what_holds_without_an_option(self, home):
        told = " ".join(ledger("--help", home=home).stdout.split())
        for default in (
            "the home's own; env var: LEDGER_DATABASE_URL",
            "~/.local/share/activation-ledger; env var: LEDGER_HOME",
            "ledger; env var: LEDGER_SCHEMA",
            "ledger.key in the home; env var: LEDGER_KEY_FILE",
        ):
            assert f"[default: {default}]" in told

    def test_help_names_every_command(self, home):
        done = started("--help", home=home)
        assert all(command[0] in done.stdout for command in COMMANDS)
        assert "Exit status" in done.stdout

    def test_there_is_no_colour_and_no_progress_without_a_terminal(self, home, folder):
        runs = [
            ledger("totals", "--unit", "38", home=home),
            ledger("rebuild", home=home),
            ledger("import", home / "made-up.csv", home=home),
            ledger("totals", "--unit", "99", home=home),
        ]
        assert "" == "".join(run.stderr for run in runs[:3])
        assert not any("\x1b" in run.stdout + run.stderr or "\r" in run.stderr for run in runs)


def as_typed(command: str, *, cwd: Path) -> str:
    """Run what the program suggested, in a shell that knows nothing of the ledger but the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEDGER_")}
    assert shlex.split(command)
    return subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        encoding="utf-8",
        check=True,
        cwd=cwd,
        env={**kept, "PYTHONUTF8": "1"},
    ).stdout


class TestDemo:
    def test_fills_a_new_home_and_records_nothing_new_the_second_time(self):
        with temporary_home() as home:
            first = ledger("demo", "--no-serve", "--dossiers", "300", "--format", "json", home=home)
            second = ledger("demo", "--no-serve", "--dossiers", "300", "--format", "json", home=home)
            assert answer(first)["sum"]["collected"] >= 300
            assert answer(first) == answer(second)
            assert "Invented data" in first.stderr
            assert " 0 events recorded" in second.stderr
            assert {"code": "401", "name": "Huyện Nga Sơn", "level": "district"} in [
                row["unit"] for row in answer(first)["rows"]
            ]
            for told in (
                "units from 2025-01-01 on (1238/NQ-UBTVQH15): 26 districts, 547 communes; ",
                "units from 2025-03-01 on (the police of districts is abolished): 0 districts, 547 communes; ",
                "units from 2025-07-01 on (1686/NQ-UBTVQH15): 0 districts, 166 communes; ",
            ):
                assert re.search(re.escape(told) + r"\d+ events recorded", first.stderr)
                assert told + "recorded already" in second.stderr
            assert "made up: 27 set, 0 were already" in first.stderr
            assert "made up: 0 set, 27 were already" in second.stderr
            look, restated, behind, stop = (
                as_typed(hint, cwd=home)
                for hint in re.findall(r"^[^:]*: (\S*ledger --home .*)$", first.stderr, re.MULTILINE)
            )
            assert "Huyện Nga Sơn" not in look
            assert "Thị trấn Nga Sơn" in look
            assert "Phường Hàm Rồng" in restated
            assert "unallocated" in restated
            assert "of 27 units" in behind
            assert "stopped\n" == stop
            assert {"stopped": False} == answer(ledger("stop", "--format", "json", home=home))

    def test_refuses_a_home_with_another_ledger(self, home):
        before = answer(ledger("doctor", "--format", "json", home=home))["facts"]["events"]
        done = ledger("demo", "--no-serve", "--dossiers", "10", home=home)
        assert 2 == done.returncode
        assert "no demo" in " ".join(done.stderr.split())
        assert before == answer(ledger("doctor", "--format", "json", home=home))["facts"]["events"]
