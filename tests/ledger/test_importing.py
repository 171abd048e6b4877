"""A file of reports is recorded dossier by dossier, each line once, and no line is lost."""

import csv
import io
import json
import os
import pickle
import signal
import stat
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta, timezone
from pathlib import Path
from random import Random
from typing import BinaryIO

import psycopg
import pytest
from psycopg import sql

from api.campaign import COLUMNS, Campaign, simulate
from ledger import Ledger, open_ledger
from ledger.commands import FIELDS
from ledger.errors import (
    BatchTooLargeError,
    ClockBehindError,
    ContentionError,
    FieldUnknownError,
    FileEmptyError,
    FileInvalidError,
    ImportBrokenError,
    ImportSpaceError,
    KeyFileMissingError,
    KeyFileWrongError,
    NotUtf8Error,
    StoreNotReadyError,
    StoreUnavailableError,
    UnitsMissingError,
)
from ledger.importing import ImportResult, import_file, lane, processes, run, spool
from ledger.reasons import WITH_REASON
from ledger.store import decode
from projections import TotalsQuery, catch_up, open_totals
from tests.conftest import Clock, Server, check_ledger

Row = tuple[str, ...]

CITIZEN = "038090001234"
UNITS = 586


def at(day: int, hour: int = 9) -> str:
    return f"2024-11-{day:02}T{hour:02}:00:00+07:00"


def row(kind: str = "collected", key: str = "k1", day: int = 4, **changes: str) -> Row:
    values = {
        "key": key,
        "type": kind,
        "citizen": CITIZEN,
        "level": "2",
        "unit": "14758" if kind in {"collected", "activated"} else "",
        "occurred_at": at(day),
        "actor": "th-1",
        "reason": "photo" if kind == "rejected" else "",
    }
    return tuple((values | changes).get(name, "") for name in FIELDS)


def csv_of(rows: list[Row], *, delimiter: str = ",") -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows([FIELDS, *rows])
    return text.getvalue().encode()


def ndjson_of(rows: list[Row]) -> bytes:
    documents = ({name: value for name, value in zip(FIELDS, row, strict=True) if value} for row in rows)
    return "".join(json.dumps(document) + "\n" for document in documents).encode()


@pytest.fixture(scope="module")
def campaign() -> list[Row]:
    """Some 850 reports of 300 dossiers, and two dossiers that are nastier than a campaign's."""
    assert FIELDS[: len(COLUMNS)] == COLUMNS
    absent = ("",) * (len(FIELDS) - len(COLUMNS))
    rows = [(*row, *absent) for row in simulate(Campaign(dossiers=300, seed=3, end=date(2024, 12, 8)))]
    again, tied = "038190005678", "038290009999"
    rows += [
        row(key="a1", citizen=again, day=4),
        row("rejected", key="a2", citizen=again, day=5),
        row(key="a3", citizen=again, day=6, unit="14761"),
        row("approved", key="a4", citizen=again, day=7),
        row("activated", key="a5", citizen=again, day=8),
        # At one instant, with keys that sort the other way round: collected, rejected, collected again.
        row(key="t9", citizen=tied),
        row("rejected", key="t8", citizen=tied),
        row(key="t7", citizen=tied),
        row("approved", key="t6", citizen=tied, day=5),
        row("activated", key="t5", citizen=tied, day=5),
        row(key="t4", citizen=tied, level="1"),
        row("approved", key="t3", citizen=tied, level="1"),
    ]
    rows.sort(key=lambda row: row[FIELDS.index("occurred_at")])
    return rows


@pytest.fixture
def refused_path(tmp_path: Path) -> Path:
    return tmp_path / "file.csv.refused.csv"


Import = Callable[..., ImportResult]


@pytest.fixture
def imported(ledger: Ledger, refused_path: Path) -> Import:
    """Import bytes into the test's ledger."""

    def run(content: bytes, *, into: Ledger | None = None, **options) -> ImportResult:
        return import_file(into or ledger, io.BytesIO(content), refused_path=refused_path, **options)

    return run


@pytest.fixture
def another_ledger(server: Server, units_template: str, identities, clock: Clock) -> Iterator[Callable]:
    """Make one more ledger with the same units and the same key file."""
    made: list[tuple[str, Ledger]] = []

    def make() -> Ledger:
        name = server.create(units_template)
        made.append((name, Ledger(server.database(name), identities, now=clock)))
        return made[-1][1]

    yield make
    for name, ledger in made:
        ledger.close()
        server.drop(name)


def refused_lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))


def counts(result: ImportResult) -> tuple[int, int, int, int]:
    return result.read, result.recorded, result.duplicates, result.refused


def content_of(ledger: Ledger) -> tuple[Counter, dict, list]:
    """What a ledger knows, however it learnt it: its events, where each dossier stands, and the totals."""
    codes = {unit_id: units[0].code for unit_id, units in ledger.tree().by_id.items()}
    events: Counter = Counter()
    states: dict = {}
    with psycopg.connect(ledger.database.as_operator()) as connection:
        rows = connection.execute(
            "SELECT lookup, topic, state FROM events JOIN citizens ON dossier_id = originator_id "
            "ORDER BY notification_id"
        ).fetchall()
    for lookup, topic, state in rows:
        event = decode(topic, state)
        events[lookup, topic, event.key, codes[event.unit_id]] += 1
        states[lookup, event.level] = (event.TYPE, event.attempt, event.occurred_at)
    catch_up(ledger.database)
    totals = open_totals(ledger)
    answers = [
        totals.read(TotalsQuery(unit=unit, by=by)).rows for unit in ("38", "401") for by in ("unit", "day")
    ]
    return events, states, answers


class TestImportOfAWholeFile:
    def test_records_every_line_of_a_campaign_and_refuses_none(
        self, imported, ledger, campaign, refused_path
    ):
        result = imported(csv_of(campaign))
        assert (len(campaign), len(campaign), 0, 0) == counts(result)
        assert (UNITS + 1, UNITS + len(campaign)) == (result.first_position, result.last_position)
        assert not refused_path.exists()
        check_ledger(ledger, length=UNITS + len(campaign))

    def test_records_nothing_the_second_time_in_whatever_order(self, imported, ledger, campaign):
        imported(csv_of(campaign))
        shuffled = campaign.copy()
        Random(1).shuffle(shuffled)
        for rows in (campaign, shuffled, campaign[::-1]):
            result = imported(csv_of(rows))
            assert (len(campaign), 0, len(campaign), 0) == counts(result)
            assert (None, None) == (result.first_position, result.last_position)
        assert UNITS + len(campaign) == ledger.head().position

    @pytest.mark.parametrize(
        "small", [False, True], ids=["in_one_batch", "in_batches_and_buckets_of_few_lines"]
    )
    def test_gives_the_same_whatever_the_order_of_lines(
        self, imported, ledger, another_ledger, campaign, monkeypatch, small
    ):
        imported(csv_of(campaign))
        expected = content_of(ledger)
        if small:
            monkeypatch.setattr(lane, "BATCH_LINES_MAX", 50)
            monkeypatch.setattr(run, "BUCKET_BYTES", 10_000)
            monkeypatch.setattr(spool, "_RECORD_LINES", 7)
        shuffled = campaign.copy()
        Random(2).shuffle(shuffled)
        for rows in (campaign, campaign[::-1], shuffled):
            other = another_ledger()
            assert (len(campaign), len(campaign), 0, 0) == counts(imported(csv_of(rows), into=other))
            assert expected == content_of(other)
            check_ledger(other)

    def test_reads_ndjson_with_the_same_result(self, imported, ledger, another_ledger, campaign):
        imported(csv_of(campaign))
        other = another_ledger()
        assert (len(campaign), len(campaign), 0, 0) == counts(imported(ndjson_of(campaign), into=other))
        assert content_of(ledger) == content_of(other)

    def test_accepts_what_spreadsheets_write(self, imported, campaign):
        imported(csv_of(campaign))
        content = b"\xef\xbb\xbf" + csv_of(campaign, delimiter=";").replace(b"\n", b"\r\n")
        assert (len(campaign), 0, len(campaign), 0) == counts(imported(content))
        assert (1, 0, 0, 1) == counts(imported(b"\xef\xbb\xbf" + ndjson_of([row("approved")])))

    def test_takes_columns_in_any_order_and_without_the_optional_ones(self, imported):
        content = (
            f"actor,unit,occurred_at,level,citizen,type,key\nth-1,14758,{at(4)},2,{CITIZEN},collected,k1\n\n"
        )
        assert (1, 1, 0, 0) == counts(imported(content.encode()))
        assert (1, 0, 1, 0) == counts(imported(csv_of([row()])))

    def test_reads_a_stream_that_cannot_seek(self, ledger, campaign, refused_path):
        reader, writer = os.pipe()

        def send() -> None:
            with os.fdopen(writer, "wb") as file:
                file.write(csv_of(campaign[::-1]))

        thread = threading.Thread(target=send)
        thread.start()
        with os.fdopen(reader, "rb") as file:
            result = import_file(ledger, file, refused_path=refused_path)
        thread.join()
        assert (len(campaign), len(campaign), 0, 0) == counts(result)

    def test_tells_its_progress_up_to_the_last_line(self, imported, campaign, monkeypatch):
        monkeypatch.setattr(lane, "BATCH_LINES_MAX", 100)
        monkeypatch.setattr(lane, "MET_LINES", 100)
        told: list[tuple[int, int | None]] = []
        imported(csv_of(campaign), on_progress=lambda done, total: told.append((done, total)))
        reading = [done for done, total in told if total is None]
        recording = told[len(reading) :]
        assert list(range(100, len(campaign), 100)) == reading
        assert sorted(recording) == recording
        assert {len(campaign)} == {total for _, total in recording}
        assert (0, len(campaign)) == (recording[0][0], recording[-1][0])


BAD = {
    "unknown_unit": (row(unit="99999"), "unknown_unit", "99999"),
    "unit_before_its_time": (row(occurred_at="2020-06-01T09:00:00+07:00"), "unit_not_valid", "2020-06-01"),
    "citizen_of_11_digits": (row(citizen="38090001234"), "invalid_citizen", "leading zero"),
    "level_3": (row(level="3"), "invalid_level", "1 or 2"),
    "no_level": (row(level=""), "missing_field", "level"),
    "no_key": (row(key=""), "missing_field", "key"),
    "unknown_type": (row("closed"), "unknown_type", "closed"),
    "approved_without_collected": (row("approved"), "not_collected", "never collected"),
    "activated_before_approved": (row("activated"), "not_approved", "never collected"),
    "without_offset": (row(occurred_at="2024-11-04T09:00:00"), "time_without_offset", "--offset"),
    "no_such_day": (row(occurred_at="2024-02-30T09:00:00+07:00"), "invalid_time", "no such day"),
    "future": (row(occurred_at="2024-12-10T09:00:00+07:00"), "time_in_future", "clock"),
    "number_in_a_note": (row(note="gọi 038090009999 nhé"), "personal_number", "note"),
    "nul": (row(note="a\0b"), "nul_character", "note"),
    "reason_not_for_it": (row(reason="photo"), "invalid_field", "reason"),
}

GOOD = row(key="good", citizen="038090004321")


class TestRefusedLines:
    @pytest.mark.parametrize("form", [csv_of, ndjson_of], ids=["csv", "ndjson"])
    @pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
    def test_are_refused_alone_with_a_code_and_what_to_do(self, imported, ledger, refused_path, bad, form):
        values, code, hint = bad
        assert (2, 1, 0, 1) == counts(imported(form([values, GOOD])))
        [line] = refused_lines(refused_path)
        assert {"line": "2" if form is csv_of else "1", "error": code} == {
            name: line[name] for name in ("line", "error")
        }
        assert values == tuple(line[name] for name in FIELDS)
        assert hint in line["detail"]
        assert CITIZEN not in line["detail"]
        assert UNITS + 1 == ledger.head().position

    @pytest.mark.parametrize(
        ("rows", "code", "number"),
        [
            ([row(), row(key="k2", day=5)], "already_collected", "3"),
            ([row(), row("approved", key="k2", day=3)], "not_collected", "3"),
            (
                [row(), row("approved", "k2", 5), row("activated", "k3", 6), row("activated", "k4", 7)],
                "already_active",
                "5",
            ),
            ([row(), row("approved", "k2", 5), row("approved", "k3", 6)], "already_approved", "4"),
            ([row(), row("approved", "k1", 5)], "key_conflict", "3"),
        ],
        ids=[
            "collected_twice",
            "before_its_collection",
            "activated_twice",
            "approved_twice",
            "key_used_twice",
        ],
    )
    def test_are_those_that_the_dossier_does_not_allow(self, imported, refused_path, rows, code, number):
        assert (len(rows), len(rows) - 1, 0, 1) == counts(imported(csv_of(rows)))
        [line] = refused_lines(refused_path)
        if code == "not_collected":
            # Tried again when all was read, it is told as it stands then.
            assert "out_of_order" == line["error"]
        else:
            assert code == line["error"]
        assert number == line["line"]

    def test_are_those_before_what_was_recorded_earlier(self, imported, refused_path):
        imported(csv_of([row(day=6)]))
        imported(csv_of([row("approved", "k2", 5)]))
        assert "out_of_order" == refused_lines(refused_path)[0]["error"]

    def test_count_a_line_that_stands_twice_as_a_duplicate(self, imported):
        assert (2, 1, 1, 0) == counts(imported(csv_of([row(), row()])))

    def test_without_an_offset_are_recorded_with_the_one_that_is_given(self, imported, ledger):
        rows = [
            row(occurred_at="2024-11-04T09:00:00"),
            row("approved", "k2", occurred_at="2024-11-04 03:00:00Z"),
        ]
        assert (2, 2, 0, 0) == counts(imported(csv_of(rows), offset=timezone(timedelta(hours=7))))
        assert (1, 0, 1, 0) == counts(imported(csv_of([row()])))
        assert 2 == len(ledger.history(citizen=CITIZEN).events)

    @pytest.mark.parametrize(
        ("line", "code"),
        [
            (b"k1,collected," + CITIZEN.encode() + b",2,14758\n", "invalid_line"),
            (csv_of([row()]).splitlines()[1] + b",surplus\n", "invalid_line"),
            (csv_of([row(note="x")]).splitlines()[1].replace(b"x", b"caf\xe9") + b"\n", "not_utf8"),
            (b'"k1"x' + csv_of([row()]).splitlines()[1][2:] + b"\n", "invalid_line"),
        ],
        ids=["too_few_fields", "too_many_fields", "not_utf8", "text_after_quotes"],
    )
    def test_that_do_not_fit_the_header_leave_the_next_in_peace(self, imported, refused_path, line, code):
        header, good = csv_of([GOOD]).splitlines(keepends=True)
        assert (2, 1, 0, 1) == counts(imported(header + line + good))
        [refused] = refused_lines(refused_path)
        assert ("2", code) == (refused["line"], refused["error"])
        assert refused["key"].startswith(("k1", '"k1"'))

    def test_not_utf8_are_given_back_byte_for_byte(self, imported, refused_path):
        imported(csv_of([row(note="X")]).replace(b"X", b"caf\xe9"))
        assert b"caf\xe9" in refused_path.read_bytes()

    @pytest.mark.parametrize("where", ["before_the_last_fields", "in_quotes"])
    def test_at_the_end_of_a_cut_file_say_so(self, imported, refused_path, where):
        content = csv_of([GOOD, row(note='a "b" c')])
        cut = content.rindex(b"th-1") if where == "before_the_last_fields" else content.rindex(b"b")
        assert (2, 1, 0, 1) == counts(imported(content[:cut]))
        [line] = refused_lines(refused_path)
        assert ("3", "line_cut") == (line["line"], line["error"])

    def test_that_lack_fields_are_cut_only_where_nothing_but_blanks_follows(self, imported, refused_path):
        """And whatever follows keeps its number."""
        good = csv_of([GOOD])
        short = b"k9,collected\n"
        assert (2, 1, 0, 1) == counts(imported(good + short + b"\n\r\n\n"))
        [line] = refused_lines(refused_path)
        assert ("3", "line_cut") == (line["line"], line["error"])
        rest = csv_of([row(kind="nonsense", key="k2")]).split(b"\n", 1)[1]
        assert (3, 0, 1, 2) == counts(imported(good + short + b"\n\r\n" + rest))
        found = [(line["line"], line["error"]) for line in refused_lines(refused_path)]
        assert [("3", "invalid_line"), ("6", "unknown_type")] == found

    def test_with_an_unclosed_quotation_mark_are_named_where_they_begin(self, imported, refused_path):
        """It may be anywhere: the lines after it are read as if it were not there."""
        rows = [GOOD, row(note="X"), row(key="b", citizen="038090000001")]
        assert (3, 2, 0, 1) == counts(imported(csv_of(rows).replace(b"X", b'"never closed')))
        [line] = refused_lines(refused_path)
        assert ("3", "line_cut") == (line["line"], line["error"])
        many = [row(key="m", citizen=f"03809111{n:04}") for n in range(1000)]
        content = csv_of([row(note="X"), *many, row(note='"', citizen="038090000002")])
        assert (1002, 1001, 0, 1) == counts(imported(content.replace(b"X", b'"never closed')))
        [line] = refused_lines(refused_path)
        assert ("2", "invalid_line") == (line["line"], line["error"])
        assert "a quotation mark is missing" in line["detail"]

    def test_of_json_are_cut_broken_too_deep_or_of_another_shape(self, imported, refused_path):
        good, cut = ndjson_of([GOOD, row()]).splitlines(keepends=True)
        lines = [
            good,
            b"[" * 100_000 + b"\n",
            b'{"key": ' + b"[" * 100_000 + b"\n",
            b'{"key": 7}\n',
            b'{"kye": "k1"}\n',
            b"not json\n",
            b'{"key": "k1", "key": "k2"}\n',
            b'{"key": "caf\xe9"}\n',
            cut[:40],
        ]
        assert (9, 1, 0, 8) == counts(imported(b"".join(lines)))
        expected = [
            *("invalid_json", "invalid_field", "invalid_field", "unknown_column"),
            *("invalid_json", "repeated_field", "not_utf8", "line_cut"),
        ]
        found = [(line["line"], line["error"]) for line in map_lines(refused_path)]
        assert [(str(number), code) for number, code in enumerate(expected, 2)] == found

    def test_stand_in_a_private_file_that_is_imported_as_it_is_once_corrected(
        self, imported, ledger, refused_path
    ):
        rows = [row(unit="99999", note='Chữ "ký", mờ'), row("approved", "k2", 5), GOOD]
        assert (3, 1, 0, 2) == counts(imported(csv_of(rows)))
        assert 0o600 == stat.S_IMODE(refused_path.stat().st_mode)
        lines = refused_lines(refused_path)
        assert ["line", *FIELDS, "error", "detail"] == list(lines[0])
        assert [("2", "unknown_unit"), ("3", "not_collected")] == [
            (line["line"], line["error"]) for line in lines
        ]
        # Uncorrected it is refused again; the file before is kept.
        before = refused_path.read_bytes()
        assert (2, 0, 0, 2) == counts(imported(before))
        assert before == refused_path.with_name(refused_path.name + ".old").read_bytes()
        corrected = before.replace(b",99999,", b",14758,")
        assert (2, 2, 0, 0) == counts(imported(corrected))
        assert [GOOD[0], "k1", "k2"] == [e.event.key for e in ledger.read(after=UNITS)]
        check_ledger(ledger, length=UNITS + 3)

    @pytest.mark.parametrize("spoil", [(b"a, b", b"th-1"), (b"a", b"th-1\n")], ids=["too_many", "cut"])
    def test_of_other_lengths_are_refused_again_and_again(self, imported, ledger, refused_path, spoil):
        """What stood in which column is not known, so nothing of it may be recorded as if it were."""
        note, end = spoil
        content = csv_of([GOOD, row(note="NOTE", actor="th-123")]).replace(b"NOTE", note)
        content = content if end == b"th-1" else content[: content.rindex(b"23,")]
        assert (2, 1, 0, 1) == counts(imported(content))
        for _ in range(2):
            assert (1, 0, 0, 1) == counts(imported(refused_path.read_bytes()))
        assert UNITS + 1 == ledger.head().position

    def test_of_enormous_length_are_one_line_each(self, imported, ledger, refused_path):
        """Their tails are no lines of their own, and the numbers of the others stay right."""
        long = b"x" * 1_000_000
        lines = csv_of([row(), GOOD, row(level="3")]).splitlines(keepends=True)
        lines[1] = long + lines[1]
        lines.insert(2, long * 3 + b"\n")
        assert (4, 1, 0, 3) == counts(imported(b"".join(lines)))
        told = [(line["line"], line["error"]) for line in map_lines(refused_path)]
        assert [("2", "invalid_line"), ("3", "invalid_line"), ("5", "invalid_level")] == told
        assert (1, 0, 0, 1) == counts(imported(b'{"key": "' + long + ndjson_of([row()])))
        assert UNITS + 1 == ledger.head().position

    def test_of_json_are_corrected_where_they_stand(self, imported, ledger, refused_path):
        """What could not be parted into fields is given back whole, and read again as what it is."""
        content = ndjson_of([GOOD, row()]) + b'{"keY": "k2"}\n'
        assert (3, 2, 0, 1) == counts(imported(content))
        corrected = refused_path.read_bytes().replace(b'{""keY"": ""k2""}', b"X")
        whole = ndjson_of([row("approved", "k2", 5)]).decode().strip().replace('"', '""').encode()
        assert (1, 1, 0, 0) == counts(
            imported(
                corrected.replace(b"X", b'"' + whole + b'"').replace(b'""{', b'"{').replace(b'}""', b'}"')
            )
        )
        check_ledger(ledger, length=UNITS + 3)

    def test_are_kept_when_others_take_their_place(self, imported, refused_path):
        """Somebody may have begun to correct them."""
        for note in "abc":
            imported(csv_of([row(level="3", note=note)]))
        notes = {
            path.name.removeprefix(refused_path.name): path.read_text().count(f",{note},")
            for path, note in (
                (refused_path.with_name(f"{refused_path.name}.old"), "a"),
                (refused_path.with_name(f"{refused_path.name}.old1"), "b"),
                (refused_path, "c"),
            )
        }
        assert {".old": 1, ".old1": 1, "": 1} == notes

    def test_leave_no_draft_behind(self, imported, tmp_path, refused_path):
        imported(csv_of([row(level="3")]))
        assert [refused_path] == [path for path in tmp_path.iterdir() if path.suffix != ".key"]


def map_lines(path: Path) -> list[dict[str, str]]:
    csv.field_size_limit(2_000_000)
    try:
        return refused_lines(path)
    finally:
        csv.field_size_limit(131_072)


class TestAFileThatCannotBeRead:
    @pytest.mark.parametrize(
        ("content", "error"),
        [
            (b"", FileEmptyError),
            (b"\n\n", FileEmptyError),
            (csv_of([]), FileEmptyError),
            (csv_of([row()]).decode().encode("utf-16"), NotUtf8Error),
            (b"caf\xe9," + csv_of([row()]), NotUtf8Error),
            (csv_of([row()]).replace(b"actor", b"aktor"), FieldUnknownError),
            (csv_of([row()]).replace(b"key,", b"", 1), FileInvalidError),
            (csv_of([row()]).replace(b"team", b"note"), FileInvalidError),
            (b"[" + ndjson_of([row()]) + b"]", FileInvalidError),
            (b" [\n" + ndjson_of([row()]) + b"]", FileInvalidError),
            (b'{\n  "key": "k1"\n}\n', FileInvalidError),
        ],
        ids=[
            "empty",
            "blank",
            "header_only",
            "utf_16",
            "header_not_utf8",
            "unknown_column",
            "missing_column",
            "doubled_column",
            "json_array",
            "json_array_on_lines",
            "json_object_on_lines",
        ],
    )
    def test_is_refused_as_a_whole(self, imported, ledger, refused_path, content, error):
        with pytest.raises(error):
            imported(content)
        assert UNITS == ledger.head().position
        assert not refused_path.exists()


class TestReportsOfOneInstant:
    """They have no order of their own, so theirs in the file must not matter."""

    ROWS = (
        row(key="1"),
        row("approved", key="2", day=4),
        row("rejected", key="3", day=4),
        row(key="4"),
    )

    def test_are_decided_so_that_all_can_stand(self, imported, ledger):
        """A rejection comes before an approval: only so can both stand, of two attempts."""
        assert (4, 4, 0, 0) == counts(imported(csv_of(list(self.ROWS))))
        check_ledger(ledger, length=UNITS + 4)

    def test_give_one_result_where_a_key_stands_twice(self, imported, ledger, another_ledger):
        rows = [row(note="a"), row(note="b")]
        imported(csv_of(rows))
        imported(csv_of(rows[::-1]), into=(other := another_ledger()))
        notes = [one.history(citizen=CITIZEN).events[0].note for one in (ledger, other)]
        assert ["a", "a"] == notes


class TestALedgerWithoutUnits:
    def test_takes_no_file(self, database, identities, refused_path):
        """It would refuse every line, and not say why."""
        with Ledger(database, identities) as ledger, pytest.raises(UnitsMissingError, match="units load"):
            import_file(ledger, io.BytesIO(csv_of([row()])), refused_path=refused_path)
        assert not refused_path.exists()


class TestAPlaceToWrite:
    def test_for_refused_lines_is_looked_for_first(self, imported, ledger, tmp_path):
        """Once lines are recorded it is too late to find that nobody can be told which were not."""
        with pytest.raises(FileInvalidError, match="in a folder where you may write"):
            import_file(ledger, io.BytesIO(csv_of([row()])), refused_path=tmp_path / "none" / "refused.csv")
        assert UNITS == ledger.head().position

    def test_for_temporary_files_may_be_full(self, imported, ledger, campaign, monkeypatch):
        """The kernel says so when it pleases: at the first line or at the last."""

        def full(**_) -> BinaryIO:
            return Path("/dev/full").open("w+b")

        monkeypatch.setattr(run, "BUCKET_BYTES", 10_000)
        with monkeypatch.context() as patch:
            patch.setattr(spool.tempfile, "TemporaryFile", full)
            patch.setattr(spool, "_RECORD_LINES", 10)
            with pytest.raises(ImportSpaceError, match="TMPDIR"):
                imported(csv_of(campaign))
        assert UNITS == ledger.head().position
        assert (len(campaign), len(campaign), 0, 0) == counts(imported(csv_of(campaign)))


class TestAtomic:
    def test_records_all_or_nothing(self, imported, ledger, refused_path, campaign):
        bad = row(key="bad", unit="99999")
        result = imported(csv_of([*campaign, bad]), atomic=True)
        assert (len(campaign) + 1, 0, 0, len(campaign) + 1) == counts(result)
        codes = Counter(line["error"] for line in refused_lines(refused_path))
        assert {"not_recorded": len(campaign), "unknown_unit": 1} == codes
        assert UNITS == ledger.head().position
        assert (len(campaign), len(campaign), 0, 0) == counts(imported(csv_of(campaign[::-1]), atomic=True))
        check_ledger(ledger, length=UNITS + len(campaign))

    def test_refuses_all_for_a_line_that_cannot_be_read(self, imported, ledger):
        assert (2, 0, 0, 2) == counts(imported(csv_of([GOOD]) + b"cut,collected", atomic=True))
        assert (2, 0, 0, 2) == counts(imported(csv_of([GOOD, row(level="3")]), atomic=True))
        assert UNITS == ledger.head().position

    def test_takes_a_limited_number_of_lines(self, imported, ledger, monkeypatch, campaign):
        monkeypatch.setattr(lane, "ATOMIC_LINES_MAX", len(campaign) - 1)
        with pytest.raises(BatchTooLargeError, match="all or nothing"):
            imported(csv_of(campaign), atomic=True)
        assert UNITS == ledger.head().position


class TestDryRun:
    @pytest.mark.parametrize("batch", [1, 7, 2_000])
    def test_records_nothing_and_predicts_the_counts(self, imported, ledger, monkeypatch, campaign, batch):
        monkeypatch.setattr(lane, "BATCH_LINES_MAX", batch)
        if batch == 7:
            monkeypatch.setattr(run, "BUCKET_BYTES", 2_000)
        rows = [
            *campaign[:400:7],
            *campaign[:30],
            *(bad[0] for bad in BAD.values()),
            row(key="c1"),
            row(key="c2", day=5),
            row("rejected", "c3", 6),
            row("rejected", "c3", 6),
            row("approved", "c1", 7),
            row(key="c4", day=8),
        ]
        imported(csv_of(campaign[:10]))
        Random(4).shuffle(rows)
        head = ledger.head().position
        predicted = imported(csv_of(rows), dry_run=True)
        assert head == ledger.head().position
        assert (None, None) == (predicted.first_position, predicted.last_position)
        assert counts(predicted) == counts(imported(csv_of(rows)))

    def test_predicts_an_atomic_import(self, imported, ledger, campaign):
        assert (len(campaign), len(campaign), 0, 0) == counts(
            imported(csv_of(campaign), atomic=True, dry_run=True)
        )
        assert (1, 0, 0, 1) == counts(imported(csv_of([row(level="3")]), atomic=True, dry_run=True))
        assert UNITS == ledger.head().position


class TestADatabaseThatGoesAway:
    def test_loses_nothing_when_the_file_is_imported_again(
        self, imported, ledger, another_ledger, open_again, server, monkeypatch, campaign
    ):
        imported(csv_of(campaign), into=(whole := another_ledger()))
        monkeypatch.setattr(lane, "BATCH_LINES_MAX", 100)
        with psycopg.connect(ledger.database.conninfo) as connection:
            name = sql.Identifier(connection.info.dbname)
            dbname = connection.info.dbname

        def go_away(done: int, total: int | None) -> None:
            if total is None or done < 300:
                return
            with psycopg.connect(server.conninfo(), autocommit=True) as connection:
                connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
                connection.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
                    [dbname],
                )

        with pytest.raises(StoreUnavailableError):
            imported(csv_of(campaign), on_progress=go_away)
        with psycopg.connect(server.conninfo(), autocommit=True) as connection:
            connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
        again = open_again()
        recorded = again.head().position - UNITS
        assert 0 < recorded < len(campaign)
        expected = (len(campaign), len(campaign) - recorded, recorded, 0)
        assert expected == counts(imported(csv_of(campaign), into=again))
        assert content_of(whole) == content_of(again)
        check_ledger(again, length=UNITS + len(campaign))


class TestLanes:
    """A large file is shared by several processes, each with citizens of its own."""

    @pytest.fixture
    def opened(self, ledger: Ledger, conninfo: str, key_file: Path) -> Iterator[Ledger]:
        """The test's ledger as a program opens it."""
        with open_ledger(conninfo, key_file=key_file) as opened:
            yield opened

    @pytest.fixture
    def path(self, tmp_path: Path, campaign: list[Row]) -> Path:
        path = tmp_path / "file.csv"
        shuffled = campaign.copy()
        Random(5).shuffle(shuffled)
        path.write_bytes(csv_of(shuffled))
        return path

    def test_give_what_one_gives(self, imported, opened, path, another_ledger, campaign, refused_path):
        imported(csv_of(campaign), into=(other := another_ledger()))
        with path.open("rb") as file:
            file.seek(1000)
            result = import_file(opened, file, refused_path=refused_path, lanes=3)
        assert (len(campaign), len(campaign), 0, 0) == counts(result)
        assert (UNITS + 1, UNITS + len(campaign)) == (result.first_position, result.last_position)
        assert content_of(other) == content_of(opened)
        check_ledger(opened, length=UNITS + len(campaign))
        with path.open("rb") as file:
            assert (len(campaign), 0, len(campaign), 0) == counts(
                import_file(opened, file, refused_path=refused_path, lanes=2)
            )

    def test_record_by_the_rules_of_the_ledger(
        self, imported, ledger, conninfo, key_file, tmp_path, path, refused_path
    ):
        """Its list of reasons, and four eyes, hold in every lane's process."""
        numbers = [f"0381900{number:05}" for number in range(40)]
        imported(csv_of([row(citizen=number) for number in numbers]))
        own = tmp_path / "reasons.csv"
        lines = ["type,code,vi,en,before_activation"]
        lines += [f"{type_},own,Lý do riêng,Our own," for type_ in WITH_REASON]
        own.write_text("\n".join(lines), encoding="utf-8")
        path.write_bytes(
            csv_of(
                [row("rejected", key="r1", day=5, citizen=number) for number in numbers]
                + [row("voided", key="v1", citizen=number, corrects="1", reason="own") for number in numbers]
            )
        )
        with (
            open_ledger(conninfo, key_file=key_file, reasons_file=own, four_eyes=True) as opened,
            path.open("rb") as file,
        ):
            result = import_file(opened, file, refused_path=refused_path, lanes=2)
            histories = [opened.history(citizen=number) for number in numbers]

        assert (80, 40, 0, 40) == counts(result)
        assert {("r1", "invalid_field")} == {
            (line["key"], line["error"]) for line in refused_lines(refused_path)
        }
        assert {(("collected", True, False), ("voided", False, True))} == {
            tuple((event.type, event.standing, event.asked) for event in history.events)
            for history in histories
        }

    def test_are_as_many_as_the_file_is_worth(self, opened, ledger, path, monkeypatch):
        """And never more than one where others cannot open the ledger, or read the file."""
        with path.open("rb") as file:
            assert 1 == len(run._jobs(opened, file, lane.Job(), None))
            monkeypatch.setattr(run, "LANE_BYTES_MIN", 100)
            monkeypatch.setattr(run, "LANES_MAX", 2)
            monkeypatch.setattr(run.os, "sched_getaffinity", lambda _: range(8))
            assert 2 == len(run._jobs(opened, file, lane.Job(), None))
            assert 1 == len(run._jobs(opened, file, lane.Job(atomic=True), 2))
            assert 1 == len(run._jobs(ledger, file, lane.Job(), 2))
        assert 1 == len(run._jobs(opened, io.BytesIO(path.read_bytes()), lane.Job(), None))

    def test_bring_back_refused_lines_in_the_order_of_the_file(
        self, opened, tmp_path, refused_path, monkeypatch
    ):
        monkeypatch.setattr(run, "REFUSED_LINES_MAX", 10)
        bad = [bad for bad, _, _ in BAD.values()]
        rows = [replaced(one, citizen=f"0380900{n:05}") for n, one in enumerate([*bad, GOOD] * 5)]
        path = tmp_path / "bad.csv"
        path.write_bytes(csv_of(rows) + b"cut,collected,\xff")
        with path.open("rb") as file:
            result = import_file(opened, file, refused_path=refused_path, lanes=3)
        lines = refused_lines(refused_path)
        # A number of 11 digits was made whole above; a day in the future is past by now.
        assert (len(rows) + 1, 15, 0, len(rows) + 1 - 15) == counts(result)
        numbers = [int(line["line"]) for line in lines]
        assert sorted(numbers) == numbers
        assert len(rows) + 2 == numbers[-1]

    def test_that_are_killed_leave_what_they_recorded(
        self, opened, path, another_ledger, imported, campaign, refused_path, monkeypatch
    ):
        """The import says so, its other processes end, and once more gives what one import gives."""
        imported(csv_of(campaign), into=(whole := another_ledger()))
        started: list = []
        start = processes._start
        monkeypatch.setattr(processes, "_start", lambda *a: started.append(start(*a)) or started[-1])

        def kill(_done: int, total: int | None) -> None:
            started[1][1].kill()

        with path.open("rb") as file, pytest.raises(ImportBrokenError, match="import the file again"):
            import_file(opened, file, refused_path=refused_path, lanes=3, on_progress=kill)
        assert [True] * 3 == [process.returncode is not None for _, process in started]
        with path.open("rb") as file:
            result = import_file(opened, file, refused_path=refused_path, lanes=3)
        assert (len(campaign), 0) == (result.recorded + result.duplicates, result.refused)
        assert content_of(whole) == content_of(opened)
        check_ledger(opened, length=UNITS + len(campaign))

    def test_read_a_file_that_has_the_number_of_standard_input(self, opened, path, refused_path, campaign):
        """As it does in a program that was started with its standard input closed."""
        kept = os.dup(0)
        os.close(0)
        try:
            with path.open("rb") as file:
                assert 0 == file.fileno()
                result = import_file(opened, file, refused_path=refused_path, lanes=2)
        finally:
            os.dup2(kept, 0)
            os.close(kept)
        assert (len(campaign), len(campaign), 0, 0) == counts(result)

    def test_see_one_end_of_a_file_that_grows(self, opened, path, refused_path, campaign):
        """What is written to it meanwhile is for the next import."""
        more = csv_of([row(key=f"more{n}", citizen=f"03809{n:07}") for n in range(2000)]).split(b"\n", 1)[1]
        grown = False

        def grow(_done: int, _total: int | None) -> None:
            nonlocal grown
            if not grown:
                grown = True
                with path.open("ab") as file:
                    file.write(more)

        start = processes._start

        with path.open("rb") as file, pytest.MonkeyPatch.context() as patch:
            patch.setattr(processes, "_start", lambda *a: grow(0, None) or start(*a))
            result = import_file(opened, file, refused_path=refused_path, lanes=2)
        assert (len(campaign), len(campaign), 0, 0) == counts(result)

    @pytest.mark.timeout(60)
    def test_end_at_once_when_told_to_even_if_deaf(self, opened, path, refused_path):
        """A shell that ignores SIGTERM hands that down; and they wait to tell what nobody listens to."""
        path.write_bytes(csv_of([row(level="3")] * 60_000))
        before = signal.signal(signal.SIGTERM, signal.SIG_IGN)

        def fail(_done: int, _total: int | None) -> None:
            raise RuntimeError("the caller gives up")

        try:
            with path.open("rb") as file, pytest.raises(RuntimeError, match="gives up"):
                import_file(opened, file, refused_path=refused_path, lanes=2, on_progress=fail)
        finally:
            signal.signal(signal.SIGTERM, before)

    def test_open_the_ledger_that_was_opened(
        self, ledger, conninfo, key_file, path, refused_path, monkeypatch
    ):
        """Wherever the program has gone since."""
        monkeypatch.chdir(key_file.parent)
        with open_ledger(conninfo, key_file=Path(key_file.name)) as opened, path.open("rb") as file:
            monkeypatch.chdir("/")
            assert 0 == import_file(opened, file, refused_path=refused_path, lanes=2).refused

    @pytest.mark.parametrize(
        "error",
        [
            StoreUnavailableError("s"),
            ImportSpaceError("s"),
            KeyFileMissingError("s"),
            *(one("s") for one in (StoreNotReadyError, ClockBehindError, ContentionError, KeyFileWrongError)),
        ],
        ids=lambda error: error.code,
    )
    def test_may_say_what_ended_them(self, error):
        """What they raise crosses to us as it is."""
        again = pickle.loads(pickle.dumps(error))
        assert (type(error), "s") == (type(again), str(again))

    def test_tell_what_keeps_them_from_the_ledger(self, opened, path, refused_path, key_file):
        """In the words that one process would use."""
        key_file.rename(key_file.with_suffix(".away"))
        with path.open("rb") as file, pytest.raises(KeyFileMissingError, match="no key file"):
            import_file(opened, file, refused_path=refused_path, lanes=2)
        assert UNITS == opened.head().position


def replaced(row: Row, **changes: str) -> Row:
    return tuple(changes.get(name, value) for name, value in zip(FIELDS, row, strict=True))
