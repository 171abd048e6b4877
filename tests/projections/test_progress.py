"""How far units are from their targets, on a real PostgreSQL: golden answers, and the campaign counted by hand."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import pytest

from ledger import DenominatorRow, Ledger, TargetRow
from ledger.errors import FieldInvalidError, UnitNotValidError, UnitUnknownError
from ledger.identities import Identities
from ledger.units.commands import MergeUnits, MoveUnits
from projections import (
    NotCaughtUpError,
    Progress,
    ProgressQuery,
    Totals,
    TotalsQuery,
    catch_up,
    open_progress,
)
from tests.conftest import Clock, Server
from tests.ledger.reports import activate, approve, citizen, collect, void
from tests.projections import by_hand, campaigns

TODAY = date(2024, 12, 9)
FROM, DEADLINE = date(2024, 12, 1), date(2024, 12, 20)
"""On the 9th, nine of twenty days are gone; of the eleven left nine are working days."""
DAY = timedelta(days=1)


@pytest.fixture
def progress(ledger: Ledger, totals: Totals) -> Progress:
    return Progress(ledger, totals)


@pytest.fixture
def counted(ledger: Ledger) -> Callable[[], None]:
    return lambda: catch_up(ledger.database)


def row(unit: str, number: int | None = 10, **fields) -> TargetRow:
    whole = {"measure": "collected", "number": number, "from_day": FROM, "deadline": DEADLINE} | fields
    return TargetRow(unit=unit, **whole)


def share(unit: str, percent: int, **fields) -> TargetRow:
    return row(unit, None, percent=Decimal(percent), denominator="eligible", **fields)


def people(ledger: Ledger, values: dict[str, int | None], day: date = FROM) -> None:
    rows = [DenominatorRow(unit=code, value=value) for code, value in values.items()]
    ledger.set_denominators(rows, name="eligible", from_day=day, source="C06")


class Collections:
    """Records collections of citizens of its own."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.number = 0

    def __call__(self, unit: str, day: date, count: int = 1, *, level: int = 2) -> None:
        for _ in range(count):
            self.number += 1
            at = datetime(day.year, day.month, day.day, 3, tzinfo=UTC)
            self.ledger.record(collect(citizen=citizen(self.number), unit=unit, occurred_at=at, level=level))


@pytest.fixture
def collections(ledger: Ledger) -> Collections:
    return Collections(ledger)


def named(rows: list, *names: str) -> list[tuple]:
    return [(row.unit["code"], *(getattr(row, name) for name in names)) for row in rows]


def test_a_unit_on_its_way(ledger, progress, counted, collections):
    """Nine of twenty days are gone: 40 of 100 are 8 days' worth, so it is one day behind."""
    ledger.set_targets([row("14758", 100)], issuer="Bộ Công an")
    collections("14758", FROM - DAY, 3)
    collections("14758", FROM, 26)
    collections("14758", date(2024, 12, 3), 7)
    collections("14758", TODAY, 7)
    counted()
    [told] = progress.read(ProgressQuery(unit="380")).rows
    assert {"code": "14758", "name": "Phường Đông Thọ", "level": "commune"} == told.unit
    assert (40, 100, 40.0, False, 60) == (told.count, told.target, told.percent, told.done, told.remaining)
    # 60 over 11 days, of which 14 and 15 December are a weekend.
    assert (11, 5.46, 6.67) == (told.days_left, told.needed_per_day, told.needed_per_working_day)
    # The last seven days are the 3rd to the 9th: 14.
    assert (-1.0, 2.0, 62, 1) == (told.days_ahead, told.pace_7_days, told.forecast, told.rank)
    assert (None, None, None, None) == (told.rate_of, told.rate_whole, told.rate, told.ended)


def test_a_percentage_names_its_denominator_and_what_lacks_is_not_available(
    ledger, progress, counted, collections
):
    """The one that is missing is null, never 0; it is no reason to be last either."""
    people(ledger, {"14758": 9, "14761": None})
    ledger.set_targets([share("14758", 50), share("14761", 50), share("14764", 50)], issuer="Tỉnh")
    collections("14758", FROM, 6)
    collections("14761", FROM, 2)
    counted()
    answer = progress.read(ProgressQuery(unit="380"))
    assert [
        ("14758", 6, 5, 120.0, True, "eligible", 9, 66.67, 1),
        ("14761", 2, None, None, False, "eligible", None, None, None),
        ("14764", 0, None, None, False, "eligible", None, None, None),
    ] == named(answer.rows, "count", "target", "percent", "done", "rate_of", "rate_whole", "rate", "rank")
    unknown = answer.rows[1]
    assert [None] * 4 == [
        unknown.remaining,
        unknown.needed_per_day,
        unknown.needed_per_working_day,
        unknown.days_ahead,
    ]
    # What it does not need a target for is told all the same.
    assert (0.0, 2) == (unknown.pace_7_days, unknown.forecast)
    [goal] = answer.goals
    assert (1, 3, 2) == (goal.done, goal.of, goal.not_available)


def test_over_a_hundred_percent_is_normal(ledger, progress, counted, collections):
    ledger.set_targets([row("14758", 4)], issuer="Tỉnh")
    collections("14758", FROM, 6)
    counted()
    [told] = progress.read(ProgressQuery(unit="380")).rows
    assert (150.0, True, 0, 0.0, 0.0, 21.0) == (
        told.percent,
        told.done,
        told.remaining,
        told.needed_per_day,
        told.needed_per_working_day,
        told.days_ahead,
    )


def test_places_are_shared_by_equals(ledger, progress, counted, collections):
    """By the percentage of one's own target, exactly: 1, 2, 2, 4; equals stand by code."""
    units = {"14755": (3, 1), "14758": (6, 4), "14761": (9, 3), "14764": (5, 0)}
    ledger.set_targets([row(code, target) for code, (target, _) in units.items()], issuer="Tỉnh")
    for code, (_, count) in units.items():
        collections(code, FROM, count)
    counted()
    answer = progress.read(ProgressQuery(unit="380"))
    assert [("14758", 1), ("14755", 2), ("14761", 2), ("14764", 4)] == named(answer.rows, "rank")


def test_issuers_stand_side_by_side(ledger, progress, counted, collections):
    """Each with its own time, measure and level; the nearest deadline first, those that have passed last."""
    ledger.set_targets([row("14758", 10, level=2)], issuer="Bộ")
    ledger.set_targets([row("14758", 10, deadline=TODAY), row("14761", 5, deadline=TODAY)], issuer="Tỉnh")
    ledger.set_targets([row("14758", 3, deadline=FROM, from_day=FROM)], issuer="Huyện")
    collections("14758", FROM, 2)
    collections("14758", TODAY, 1, level=1)
    counted()
    answer = progress.read(ProgressQuery(unit="380"))
    assert [("Tỉnh", DEADLINE.replace(day=9), 0, 2), ("Bộ", DEADLINE, 0, 1), ("Huyện", FROM, 0, 1)] == [
        (goal.issuer, goal.deadline, goal.done, goal.of) for goal in answer.goals
    ]
    assert [("14758", "Tỉnh", 3), ("14761", "Tỉnh", 0), ("14758", "Bộ", 2), ("14758", "Huyện", 2)] == named(
        answer.rows, "issuer", "count"
    )

    def issuers(**asked) -> list[str]:
        return [goal.issuer for goal in progress.read(ProgressQuery(unit="380", **asked)).goals]

    assert ["Bộ"] == issuers(issuer="Bộ")
    assert ["Bộ"] == issuers(level=2)
    assert [] == issuers(level=1)
    assert [] == issuers(measure="activated")
    assert ["Tỉnh", "Bộ"] == issuers(running=True)
    assert ["Huyện", "Tỉnh", "Bộ"] == issuers(running=True, on=FROM)
    assert "14755" in answer.goals[0].without_target
    assert "14761" not in answer.goals[0].without_target


def test_after_its_deadline_a_target_is_told_as_it_was_at_its_end(
    ledger, progress, counted, collections, clock
):
    ledger.set_targets([row("14758", 10)], issuer="Tỉnh")
    collections("14758", FROM, 4)
    clock.now = datetime(2024, 12, 25, tzinfo=UTC)
    collections("14758", DEADLINE, 7)
    collections("14758", DEADLINE + DAY, 5)
    counted()
    [told] = progress.read(ProgressQuery(unit="380")).rows
    assert (11, 110.0, 0, 1.0, 11) == (
        told.count,
        told.percent,
        told.days_left,
        told.pace_7_days,
        told.forecast,
    )
    [then] = progress.read(ProgressQuery(unit="380", on=TODAY)).rows
    assert (4, 40.0, 11) == (then.count, then.percent, then.days_left)


def test_a_target_that_has_not_begun_has_all_of_its_days(ledger, progress, counted, collections):
    ledger.set_targets([row("14758", 10)], issuer="Tỉnh")
    collections("14758", FROM - 5 * DAY, 4)
    counted()
    [told] = progress.read(ProgressQuery(unit="380", on=FROM - DAY)).rows
    assert (0, 0.0, 20, 0.5, 0.0, None, None) == (
        told.count,
        told.percent,
        told.days_left,
        told.needed_per_day,
        told.days_ahead,
        told.pace_7_days,
        told.forecast,
    )


def test_on_its_last_day_nothing_is_left_to_be_done_after_it(ledger, progress, counted, collections):
    """The day's own work is in the count."""
    ledger.set_targets([row("14758", 10, deadline=TODAY)], issuer="Tỉnh")
    collections("14758", TODAY, 4)
    counted()
    [told] = progress.read(ProgressQuery(unit="380")).rows
    assert (6, 0, None, None, 4) == (
        told.remaining,
        told.days_left,
        told.needed_per_day,
        told.needed_per_working_day,
        told.forecast,
    )


def test_the_unit_itself_stands_beside_those_under_it(ledger, progress, counted, collections):
    """Its count is of everything under it, also of units that have no target, and of itself."""
    ledger.set_targets([row("380", 100), row("14758", 10), row("38", 1000)], issuer="Tỉnh")
    collections("14758", FROM, 4)
    collections("14761", FROM, 2)
    collections("380", FROM, 1)
    collections("16093", FROM, 5)
    counted()
    answer = progress.read(ProgressQuery(unit="380"))
    assert ([("380", 7, None)], [("14758", 4, 1)]) == (
        named(answer.whole, "count", "rank"),
        named(answer.rows, "count", "rank"),
    )
    province = progress.read(ProgressQuery(unit="38"))
    assert ([("38", 12)], [("380", 7)]) == (named(province.whole, "count"), named(province.rows, "count"))
    everything = progress.read(ProgressQuery())
    assert ([], [("38", 12)]) == (everything.whole, named(everything.rows, "count"))
    commune = progress.read(ProgressQuery(unit="14758"))
    assert ([("14758", 4)], []) == (named(commune.whole, "count"), commune.rows)
    assert [] == commune.goals[0].without_target


def test_all_units_of_a_level_are_told_at_once(ledger, progress, counted, collections):
    ledger.set_targets([row("380", 100), row("14758", 10), row("16093", 10)], issuer="Tỉnh")
    collections("14758", FROM, 4)
    collections("16093", FROM, 5)
    counted()
    answer = progress.read(ProgressQuery(unit="38", by="commune"))
    assert [("16093", 5, 1), ("14758", 4, 2)] == named(answer.rows, "count", "rank")
    assert 556 == len(answer.goals[0].without_target)
    assert [("14758", 4, 1)] == named(
        progress.read(ProgressQuery(unit="380", by="commune")).rows, "count", "rank"
    )
    assert [("380", 4)] == named(progress.read(ProgressQuery(by="district")).rows, "count")


@pytest.mark.parametrize(
    ("of", "whole", "rate"),
    [("eligible", 40, 12.5), ("approved", 4, 125.0), ("collected", 5, 100.0), ("activated", 0, None)],
)
def test_a_rate_is_of_what_is_asked_for(ledger, progress, counted, collections, of, whole, rate):
    """Of the people, or of what was counted in the same time; of none there is no rate."""
    people(ledger, {"14758": 40})
    ledger.set_targets([row("14758", 10)], issuer="Tỉnh")
    collections("14758", FROM, 5)
    for number in range(1, 5):
        at = datetime(2024, 12, 2, tzinfo=UTC)
        ledger.record(approve(citizen=citizen(number), occurred_at=at))
    counted()
    [told] = progress.read(ProgressQuery(unit="380", of=of)).rows
    assert (of, whole, rate, 50.0) == (told.rate_of, told.rate_whole, told.rate, told.percent)


def test_corrections_count(ledger, progress, counted, collections):
    """A voided collection is none; an activation is one of its own."""
    ledger.set_targets([row("14758", 10), row("14758", 10, measure="activated")], issuer="Tỉnh")
    collections("14758", FROM, 2)
    ledger.record(
        void(citizen=citizen(1), corrects=1, reason="mistyped", occurred_at=datetime(2024, 12, 5, tzinfo=UTC))
    )
    at = datetime(2024, 12, 6, tzinfo=UTC)
    ledger.record(approve(citizen=citizen(2), occurred_at=at))
    ledger.record(activate(citizen=citizen(2), occurred_at=at))
    counted()
    assert [("14758", "activated", 1), ("14758", "collected", 1)] == sorted(
        named(progress.read(ProgressQuery(unit="380")).rows, "measure", "count")
    )


def test_a_withdrawn_target_is_gone_and_was_there_before(ledger, progress, counted, collections):
    """What the ledger knew at a position can be asked again: targets, denominators and counts."""
    people(ledger, {"14758": 20})
    done = ledger.set_targets([share("14758", 50)], issuer="Tỉnh")
    collections("14758", FROM, 4)
    counted()
    before = progress.read(ProgressQuery(unit="380"))
    ledger.withdraw_targets([before.rows[0].target_id], reason="mistyped")
    people(ledger, {"14758": 30})
    collections("14758", FROM, 2)
    counted()
    assert [] == progress.read(ProgressQuery(unit="380")).goals
    again = progress.read(ProgressQuery(unit="380", position=before.position, on=TODAY))
    assert before == again
    bare = progress.read(ProgressQuery(unit="380", position=done.position, on=TODAY))
    assert [("14758", 0, 10)] == named(bare.rows, "count", "target")
    assert done.position == bare.position


def test_the_denominator_is_that_of_the_day(ledger, progress, counted, collections):
    people(ledger, {"14758": 20})
    people(ledger, {"14758": 40}, day=date(2024, 12, 5))
    ledger.set_targets([share("14758", 50)], issuer="Tỉnh")
    counted()
    told = [progress.read(ProgressQuery(unit="380", on=on)).rows[0] for on in (FROM, TODAY, FROM - DAY)]
    assert [(10, 20), (20, 40), (10, 20)] == [(one.target, one.rate_whole) for one in told]


# Units that change.


def merge(ledger: Ledger, effective: date) -> None:
    ledger.change_units(MergeUnits(units=("14758",), into="14761", effective=effective, decree="NQ 1"))


def test_a_target_of_a_unit_that_ended_stays_its_own(ledger, progress, counted, collections):
    """It is told as it stood on its last day, under the name it had; its successor has its own work to show, not its."""
    ledger.set_targets([row("14758", 10), row("14761", 10)], issuer="Tỉnh")
    collections("14758", FROM, 4)
    collections("14761", FROM, 3)
    merge(ledger, date(2024, 12, 6))
    collections("14761", date(2024, 12, 7), 2)
    counted()
    answer = progress.read(ProgressQuery(unit="380"))
    assert ([("14761", 5)], [], 1) == (named(answer.rows, "count"), answer.ended, answer.goals[0].ended)
    assert 1 == answer.goals[0].of
    [told] = progress.read(ProgressQuery(unit="380", ended=True)).ended
    assert ("Phường Đông Thọ", 4, 40.0, date(2024, 12, 5), None) == (
        told.unit["name"],
        told.count,
        told.percent,
        told.ended,
        told.rank,
    )
    # Five of twenty days had gone; nothing can be done any more.
    assert (3.0, 0.8, 0, None, None, None) == (
        told.days_ahead,
        told.pace_7_days,
        told.days_left,
        told.needed_per_day,
        told.needed_per_working_day,
        told.forecast,
    )
    then = progress.read(ProgressQuery(unit="380", on=date(2024, 12, 5)))
    assert ([("14758", 4), ("14761", 3)], 0) == (named(then.rows, "count"), then.goals[0].ended)
    by_level = progress.read(ProgressQuery(unit="38", by="commune", ended=True))
    assert [("14758", 4)] == named(by_level.ended, "count")
    assert [] == progress.read(ProgressQuery(unit="401", ended=True)).goals


def test_a_target_that_had_passed_before_its_unit_ended_is_told_in_the_tree_of_its_deadline(
    ledger, progress, counted, collections
):
    ledger.set_targets([row("14758", 10, deadline=date(2024, 12, 5))], issuer="Tỉnh")
    collections("14758", FROM, 4)
    merge(ledger, date(2024, 12, 6))
    counted()
    answer = progress.read(ProgressQuery(unit="380"))
    assert ([("14758", 4)], 0) == (named(answer.rows, "count"), answer.goals[0].ended)


def test_what_a_unit_did_before_it_was_moved_counts_for_its_target(ledger, progress, counted, collections):
    """Under the unit that it stands under now; that one's own count is of what was done under it."""
    ledger.set_targets([row("14758", 10), row("401", 100), row("380", 100)], issuer="Tỉnh")
    collections("14758", FROM, 4)
    ledger.change_units(MoveUnits(units=("14758",), parent="401", effective=date(2024, 12, 6), decree="NQ 1"))
    collections("14758", date(2024, 12, 7), 2)
    counted()
    answer = progress.read(ProgressQuery(unit="401"))
    assert ([("14758", 6)], [("401", 2)]) == (named(answer.rows, "count"), named(answer.whole, "count"))
    assert ([], [("380", 4)]) == tuple(
        named(rows, "count")
        for rows in (
            progress.read(ProgressQuery(unit="380")).rows,
            progress.read(ProgressQuery(unit="380")).whole,
        )
    )
    assert [("380", 4), ("401", 2)] == sorted(named(progress.read(ProgressQuery(unit="38")).rows, "count"))


def test_a_unit_that_did_not_exist_yet_has_no_part_in_a_target_that_had_passed(
    ledger, progress, counted, tmp_path
):
    path = tmp_path / "units.csv"
    path.write_text("code,name,level,parent_code\n99,Mới,province,\n", encoding="utf-8")
    ledger.set_targets([row("38", 10, deadline=FROM)], issuer="Tỉnh")
    ledger.load_units(path, valid_from=date(2024, 12, 5))
    counted()
    assert [] == progress.read(ProgressQuery(unit="99")).goals
    assert [("38", 0)] == named(progress.read(ProgressQuery()).rows, "count")


def test_a_unit_that_is_still_to_come_has_not_ended(ledger, progress, counted, tmp_path):
    """Asked before its first day, though its last day is known by now too."""
    path = tmp_path / "units.csv"
    path.write_text("code,name,level,parent_code\n99999,Mới,commune,380\n", encoding="utf-8")
    ledger.load_units(path, valid_from=date(2024, 12, 3))
    ledger.set_targets([row("99999", from_day=date(2024, 12, 3))], issuer="Tỉnh")
    ledger.change_units(
        MergeUnits(units=("99999",), into="14761", effective=date(2024, 12, 6), decree="NQ 1")
    )
    counted()
    ends = [progress.read(ProgressQuery(unit="380", on=on)).goals for on in (FROM, TODAY)]
    assert [[], [1]] == [[goal.ended for goal in goals] for goals in ends]


# When there is no answer.


def test_questions_that_mean_nothing_are_refused(ledger, progress, counted, clock):
    counted()
    for query, field in (
        (ProgressQuery(on=TODAY + DAY), "on"),
        (ProgressQuery(of="people"), "of"),
        (ProgressQuery(position=10**6), "position"),
        (ProgressQuery(position=1, known_at=clock.now), "known_at"),
    ):
        with pytest.raises(FieldInvalidError) as refusal:
            progress.read(query)
        assert field == refusal.value.field
    with pytest.raises(UnitUnknownError):
        progress.read(ProgressQuery(unit="99999"))
    with pytest.raises(UnitNotValidError):
        progress.read(ProgressQuery(unit="14758", on=date(2020, 1, 1)))
    with pytest.raises(NotCaughtUpError):
        progress.read(ProgressQuery(), after=10**6, wait_seconds=0.1)


def test_an_empty_ledger_has_no_progress(database, identities):
    with Ledger(database, identities, now=Clock()) as ledger:
        answer = open_progress(ledger).read(ProgressQuery())
    assert (0, [], [], [], []) == (answer.position, answer.goals, answer.whole, answer.rows, answer.ended)


def test_what_was_set_since_is_not_told_until_it_is_counted(ledger, progress, counted):
    """A reader that waits for the receipt's position has it."""
    counted()
    done = ledger.set_targets([row("14758")], issuer="Tỉnh")
    assert [] == progress.read(ProgressQuery(unit="380")).goals
    counted()
    assert done.position == progress.read(ProgressQuery(unit="380"), after=done.position).position
    assert 1 == len(progress.read(ProgressQuery(unit="380")).goals)


def test_a_unit_that_is_not_counted_yet_is_not_called_unknown(ledger, progress, counted):
    """The question is asked again; one that never was is unknown."""
    with pytest.raises(NotCaughtUpError, match="units have changed since"):
        progress.read(ProgressQuery(unit="380"))
    with pytest.raises(UnitUnknownError):
        progress.read(ProgressQuery(unit="380", position=0, on=date(1970, 1, 1)))
    counted()
    assert [] == progress.read(ProgressQuery(unit="380")).goals


# One number, one definition.


class Counted(NamedTuple):
    """A small campaign that was recorded, with targets, and counted."""

    progress: Progress
    totals: Totals
    counts: by_hand.Counts
    tree: by_hand.Tree


@pytest.fixture(scope="module")
def campaign(server: Server, units_template: str) -> Iterator[Counted]:
    """All units have targets of two issuers; of every ninth nobody knows how many people it has."""
    name = server.create(units_template)
    database = server.database(name)
    with Ledger(database, Identities(lookup=bytes(32), wrap=bytes(32)), now=Clock()) as ledger:
        ledger.tree()
        reports = campaigns.commands(20241209, 500)
        campaigns.record(ledger, reports, seed=1)
        campaigns.correct(ledger, reports, corrections=60)
        begin = date(2024, 10, 15)
        units = ledger.units(on=TODAY)
        values = {unit.code: None if n % 9 == 0 else 50 + n for n, unit in enumerate(units)}
        people(ledger, values, begin)
        numbers = [
            row(unit.code, 5 + n % 7, measure="activated", from_day=begin) for n, unit in enumerate(units)
        ]
        ledger.set_targets(numbers, issuer="Bộ")
        shares = [share(unit.code, 3, level=2, from_day=begin, deadline=date(2024, 11, 30)) for unit in units]
        ledger.set_targets(shares, issuer="Tỉnh")
        catch_up(database)
        totals = Totals(ledger)
        rows = by_hand.rows_of(database)
        yield Counted(Progress(ledger, totals), totals, by_hand.count(rows), by_hand.tree_of(rows))
    server.drop(name)


@pytest.mark.parametrize("unit", ["38", "380", "401"])
@pytest.mark.parametrize("by", ["unit", "commune"])
def test_counts_are_those_of_the_totals_and_of_the_log(campaign, unit, by):
    """By the one way to a count, and by an independent fold of the log by hand."""
    answer = campaign.progress.read(ProgressQuery(unit=unit, by=by))
    assert answer.rows
    for goal in answer.goals:
        last = min(TODAY, goal.deadline)
        query = TotalsQuery(unit=unit, by=by, level=goal.level, from_day=goal.from_day, to_day=last)
        totals = {one["unit"]["code"]: one[goal.measure] for one in campaign.totals.read(query).rows}
        for told in [*answer.rows, *answer.whole]:
            if (told.issuer, told.deadline) != (goal.issuer, goal.deadline):
                continue
            members = campaign.tree.under(told.unit["code"])
            by_hand = sum(
                number
                for (measure, where), number in campaign.counts.items()
                if measure == goal.measure
                and where.unit in members
                and goal.level in (None, where.level)
                and goal.from_day <= where.day <= last
            )
            assert by_hand == told.count
            assert told.unit["code"] == unit or totals[told.unit["code"]] == told.count
    assert sum(told.count for told in answer.whole)
    assert {2} == {len(answer.whole), len(answer.goals)}


def test_the_parts_of_a_campaign_add_up(campaign):
    """The province's count is the sum of the districts', of the communes', and of what was done at neither."""
    districts = campaign.progress.read(ProgressQuery(unit="38", issuer="Bộ"))
    communes = campaign.progress.read(ProgressQuery(unit="38", by="commune", issuer="Bộ"))
    [whole], [again] = districts.whole, communes.whole
    own = {"38": 0, "district": 0}
    for (measure, where), number in campaign.counts.items():
        if measure == "activated" and date(2024, 10, 15) <= where.day <= TODAY:
            path = campaign.tree.path(where.unit)
            own["38"] += number * (len(path) == 1)
            own["district"] += number * (len(path) == 2)
    assert whole == again
    assert whole.count - own["38"] == sum(told.count for told in districts.rows)
    assert whole.count - own["38"] - own["district"] == sum(told.count for told in communes.rows) > 0
    assert 558 == communes.goals[0].of
    assert communes.goals[0].done == sum(told.count >= told.target for told in communes.rows)
    assert sorted(told.rank for told in communes.rows) == [told.rank for told in communes.rows]
