"""A frozen report is told again byte for byte, whatever comes after it; or not at all."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from hashlib import sha256

import pytest
from msgspec.structs import replace

from ledger import Ledger
from ledger.business_time import business_day
from ledger.errors import FieldInvalidError, ReportNameTakenError, UnitUnknownError
from ledger.units.commands import MergeUnits, RenameUnit, WithdrawReorganisation
from projections import (
    NotCaughtUpError,
    ReportDiffersError,
    ReportFormatUnknownError,
    Totals,
    TotalsQuery,
    freeze_report,
    rebuild,
    reissue_report,
)
from tests.conftest import check_ledger
from tests.ledger.reports import a_life, citizen, collect, reassign, void
from tests.ledger.unit_trees import REAL_CHANGES
from tests.projections import by_hand, campaigns

EVENTS = ["collected", "approved", "rejected", "notified", "activated", "locked", "unlocked", "withdrawn"]
MEASURES = [*EVENTS, "awaiting_approval", "awaiting_activation"]
QUERIES = {
    "evening": TotalsQuery(unit="38"),
    "communes": TotalsQuery(by=("commune", "level"), to_day=date(2024, 12, 31)),
    "then": TotalsQuery(unit="38", by=("district", "month"), hierarchy="then"),
    "restated": TotalsQuery(unit="38", hierarchy="2025-07-01"),
    "places": TotalsQuery(unit="380", by=("place", "partner"), level=2, to_day=date(2024, 11, 30)),
    "officers": TotalsQuery(by=("actor", "recorded_on")),
    "homes": TotalsQuery(by="unit", attribution="residence"),
    "days": TotalsQuery(by="day", from_day=date(2024, 11, 1), to_day=date(2024, 11, 30)),
    "compared": TotalsQuery(
        unit="38", from_day=date(2024, 11, 1), to_day=date(2024, 11, 30), compare="previous"
    ),
}


@pytest.fixture
def reports(ledger: Ledger, totals: Totals) -> dict[str, bytes]:
    """Reports of every kind, frozen in the middle of a campaign; their bytes as they were."""
    reports = campaigns.commands(7, 150)
    campaigns.record(ledger, reports[: len(reports) // 2])
    frozen = {}
    for name, query in QUERIES.items():
        totals.catch_up()
        assert freeze_report(ledger, totals, name, query).new
        frozen[name] = reissue_report(ledger, totals, name).document
    return frozen


@pytest.fixture
def told_again(ledger: Ledger, reports: dict[str, bytes]) -> Callable[[], None]:
    """Check that every report is what it was, also for a reader that remembers nothing."""

    def check() -> None:
        totals = Totals(ledger)
        totals.catch_up()
        assert reports == {name: reissue_report(ledger, totals, name).document for name in reports}

    return check


def test_its_bytes_are_what_was_told(ledger, totals, reports):
    """The counts are those of the same question asked of the totals, and the hash is that of the bytes."""
    for name, query in QUERIES.items():
        frozen = ledger.frozen_report(name)
        asked = replace(query, position=frozen.report.position)
        document = json.loads(reports[name])
        answer = totals.read(asked)
        assert answer.sum == document["sum"]
        assert [answer.recorded_at, answer.position] == [
            datetime.fromisoformat(document["recorded_at"]),
            document["position"],
        ]
        assert [{m: row[m] for m in MEASURES} for row in answer.rows] == [
            {m: row[m] for m in MEASURES} for row in document["rows"]
        ]
        assert sha256(reports[name]).hexdigest() == frozen.report.sha256
        assert frozen.report.position < frozen.frozen_at


def test_its_bytes_are_canonical(reports):
    """Keys in their order, no blanks, no floats, letters as they are, one newline."""

    def no_float(text: str) -> None:
        raise AssertionError(text)

    for name, document in reports.items():
        assert document.endswith(b"}\n")
        assert 1 == document.count(b"\n")
        told = json.loads(document, parse_float=no_float)
        rendered = json.dumps(told, ensure_ascii=False, separators=(",", ":")) + "\n"
        assert rendered.encode() == document, name
        keys = ["format", "name", "title", "definition", "position", "recorded_at", "rows", "sum"]
        assert keys + ["previous"] * (name == "compared") == list(told)
        definition = ["unit", "by", "level", "from", "to", "hierarchy", "attribution", "compare"]
        assert definition == list(told["definition"])
        assert MEASURES == list(told["sum"])
        assert told["recorded_at"].endswith("Z")
    rows = {name: json.loads(document)["rows"][0] for name, document in reports.items()}
    assert ["unit", *MEASURES] == list(rows["evening"])
    assert ["code", "name", "level"] == list(rows["evening"]["unit"])
    assert ["unit", "level", *MEASURES] == list(rows["communes"])
    assert ["unit", *MEASURES, "previous"] == list(rows["compared"])
    assert EVENTS == list(rows["compared"]["previous"])
    assert not reports["evening"].isascii()


def test_whatever_another_day_would_answer_otherwise_is_settled(ledger, totals, clock):
    """``now`` and today are the day on which the ledger learnt the cut-off, not that of whoever asks."""
    clock.now = datetime(2031, 5, 6, tzinfo=UTC)
    totals.catch_up()
    recorded = ledger.at(position=586).recorded_at
    today = business_day(recorded)
    settled = {}
    for name, query in {
        "open": TotalsQuery(),
        "now": TotalsQuery(hierarchy="now", to_day=date(2024, 12, 9)),
        "basic": TotalsQuery(hierarchy="20250701"),
        "last": TotalsQuery(to_day=date(2024, 12, 9)),
    }.items():
        frozen = freeze_report(ledger, totals, name, replace(query, position=586)).frozen
        settled[name] = (frozen.report.definition.to_day, frozen.report.definition.hierarchy)
    assert {
        "open": (today, str(today)),
        "now": (date(2024, 12, 9), str(today)),
        "basic": (today, "2025-07-01"),
        "last": (date(2024, 12, 9), "2024-12-09"),
    } == settled


def test_without_a_cut_off_it_is_the_head(ledger, totals):
    ledger.record_many(a_life())
    totals.catch_up()
    assert 589 == freeze_report(ledger, totals, "a", TotalsQuery()).frozen.report.position
    # The event that froze it is one more.
    totals.catch_up()
    assert 590 == freeze_report(ledger, totals, "b", TotalsQuery()).frozen.report.position


def test_the_same_again_changes_nothing_and_another_is_refused(ledger, totals):
    """Under one name there is one report."""
    totals.catch_up()
    first = freeze_report(ledger, totals, "a", TotalsQuery(unit="38", position=586))
    again = freeze_report(ledger, totals, "a", TotalsQuery(unit="38", by="unit", position=586), actor="op2")
    assert (True, False, first.frozen) == (first.new, again.new, again.frozen)
    for other in (TotalsQuery(unit="38", position=585), TotalsQuery(unit="380", position=586)):
        with pytest.raises(ReportNameTakenError):
            freeze_report(ledger, totals, "a", other)
    check_ledger(ledger, length=587)


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (TotalsQuery(unit="99999"), UnitUnknownError),
        (TotalsQuery(position=999), FieldInvalidError),
        (TotalsQuery(position=3, known_at=datetime(2024, 1, 1, tzinfo=UTC)), FieldInvalidError),
        (TotalsQuery(from_day=date(2099, 1, 1)), FieldInvalidError),
        (TotalsQuery(hierarchy="soon"), FieldInvalidError),
        (TotalsQuery(by=("unit", "unit")), FieldInvalidError),
    ],
)
def test_what_cannot_be_answered_is_not_frozen(ledger, totals, query, error):
    totals.catch_up()
    with pytest.raises(error):
        freeze_report(ledger, totals, "a", query)
    check_ledger(ledger, length=586)


def test_a_read_model_that_is_behind_freezes_nothing(ledger, totals):
    with pytest.raises(NotCaughtUpError):
        freeze_report(ledger, totals, "a", TotalsQuery(), wait_seconds=0)
    check_ledger(ledger, length=586)


def test_before_the_first_event(ledger, totals):
    """Nothing was known, and that is told the same again."""
    totals.catch_up()
    freeze_report(ledger, totals, "nothing", TotalsQuery(position=0))
    found = reissue_report(ledger, totals, "nothing")
    assert ([], "1970-01-01") == (found.answer.rows, found.frozen.report.definition.hierarchy)


def test_new_events_and_late_ones(ledger, told_again):
    """The rest of the campaign has the days of the reports too."""
    reports = campaigns.commands(7, 150)
    campaigns.record(ledger, reports[len(reports) // 2 :])
    told_again()
    ledger.record_many([collect(citizen=citizen(1)), *a_life(citizen=citizen(2))])
    told_again()


def test_corrections(ledger, told_again):
    """Also corrections of corrections."""
    reports = campaigns.commands(7, 150)
    campaigns.correct(ledger, reports[: len(reports) // 2], corrections=150)
    told_again()
    by_hand.check_totals(ledger.database)


def test_a_rebuild(ledger, told_again):
    ledger.record_many(a_life())
    rebuild(ledger.database)
    told_again()


def test_reorganisations_and_their_withdrawal(ledger, clock, told_again):
    """Also one that is recorded late and holds since before the reports' days, and one that is taken back."""
    clock.now = datetime.fromisoformat("2025-08-01T12:00:00+07:00")
    late = ledger.change_units(
        MergeUnits(units=("14755", "14761"), into="14764", effective=date(2024, 10, 1), decree="late")
    )
    told_again()
    ledger.change_units(RenameUnit(unit="14758", name="Another", effective=date(2022, 1, 1), decree="late"))
    told_again()
    ledger.change_units(WithdrawReorganisation(reorganisation=late.plan.reorganisation, reason="a mistake"))
    told_again()
    for change in REAL_CHANGES:
        ledger.change_units(change)
        told_again()
    rebuild(ledger.database)
    told_again()


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("deltas", "UPDATE unit_totals_deltas SET count = count + 1 WHERE event = 0 AND place = 'school'"),
        (
            "deltas",
            "DELETE FROM unit_totals_deltas WHERE position = (SELECT max(position) FROM unit_totals_deltas WHERE day < '2024-11-01')",
        ),
        ("coarse", "UPDATE unit_totals_month SET collected = collected - 1"),
        (
            "coarse",
            "UPDATE unit_totals_day SET collected = collected + 1; UPDATE unit_totals_month SET collected = collected + 1",
        ),
    ],
)
def test_counts_that_somebody_changed_are_noticed(ledger, operator, reports, told_again, table, statement):
    """Nothing is told but that, and both hashes; a rebuild mends it."""
    operator.execute(statement)
    name = {"deltas": "officers", "coarse": "evening"}[table]
    frozen = ledger.frozen_report(name).report
    with pytest.raises(ReportDiffersError, match="ledger reconcile") as caught:
        reissue_report(ledger, Totals(ledger), name)
    assert frozen.sha256 == caught.value.frozen != caught.value.found
    assert caught.value.frozen in str(caught.value)
    assert caught.value.found in str(caught.value)
    rebuild(ledger.database)
    told_again()


def test_a_report_of_a_later_format_is_not_guessed_at(ledger, totals):
    totals.catch_up()
    frozen = freeze_report(ledger, totals, "a", TotalsQuery(position=586)).frozen.report
    ledger.record_frozen(replace(frozen, name="b", format=2))
    with pytest.raises(ReportFormatUnknownError):
        reissue_report(ledger, totals, "b")


def test_corrections_of_what_was_counted_reach_only_later_answers(ledger, totals):
    """The report says what was believed; the totals say what is known now."""
    ledger.record_many([collect(), collect(citizen=citizen(2))])
    totals.catch_up()
    query = TotalsQuery(unit="14758", to_day=date(2024, 12, 9))
    freeze_report(ledger, totals, "believed", query)
    ledger.record_many([void(corrects=1), reassign(citizen=citizen(2), corrects=1)])
    totals.catch_up()
    assert 2 == reissue_report(ledger, totals, "believed").answer.sum["collected"]
    assert 0 == totals.read(query).sum["collected"]
