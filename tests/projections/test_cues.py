"""What is unusual: each rule at its threshold and one below, with the events behind it."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from ledger import Ledger, TargetRow
from ledger.business_time import business_day
from ledger.errors import FieldInvalidError, UnitUnknownError
from projections import RULE_NAMES, CueQuery, Cues, NotCaughtUpError, Totals, catch_up
from projections.cue_rules import BY_NAME, RULES, TOGETHER_SECONDS
from tests.conftest import check_ledger
from tests.ledger.reports import activate, amend, approve, citizen, collect, notify, reassign, void
from tests.ledger.unit_trees import REAL_CHANGES

NINE = datetime.fromisoformat("2024-12-03T09:00:00+07:00")
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


@pytest.fixture
def cues(ledger: Ledger, totals: Totals) -> Cues:
    return Cues(ledger, totals)


@pytest.fixture
def record(ledger: Ledger) -> Callable[..., list[int]]:
    """Record reports one by one, have them counted, and return their positions."""

    def run(*reports) -> list[int]:
        positions = [ledger.record(report).position for report in reports]
        catch_up(ledger.database)
        return positions

    return run


@pytest.fixture
def approved(ledger: Ledger) -> Callable[..., None]:
    """Collect and approve citizens, long before whatever a test is about, by nobody that it is about."""

    def run(numbers: range, at: datetime = NINE - timedelta(days=5)) -> None:
        for number in numbers:
            moment = at + number * MINUTE
            ledger.record(collect(citizen=citizen(number), occurred_at=moment, actor=f"collector-{number}"))
            ledger.record(approve(citizen=citizen(number), occurred_at=moment, actor=f"approver-{number}"))

    return run


def activations(numbers: range, at: datetime, step: timedelta = MINUTE, **fields) -> list:
    first = numbers[0]
    return [
        activate(citizen=citizen(number), occurred_at=at + (number - first) * step, **fields)
        for number in numbers
    ]


def told(cues: Cues, **query) -> list[tuple]:
    found = cues.read(CueQuery(**query)).cues
    return [(cue.rule, cue.unit["code"], cue.actor, cue.at, cue.number) for cue in found]


def test_more_activations_in_an_hour_than_a_person_can_do(cues, record, approved):
    """From the threshold on; by the hour in Vietnam; of one officer at one unit."""
    approved(range(8))
    positions = record(
        *activations(range(3), NINE + 57 * MINUTE),
        activate(citizen=citizen(3), occurred_at=NINE + 60 * MINUTE),
        activate(citizen=citizen(4), occurred_at=NINE, actor="another"),
        activate(citizen=citizen(5), occurred_at=NINE, unit="14761"),
        activate(citizen=citizen(6), occurred_at=NINE, actor="self"),
    )
    query = CueQuery(rule="many_in_an_hour", threshold=3)
    answer = cues.read(query)
    [cue] = answer.cues

    assert ("many_in_an_hour", "cb01", "2024-12-03 09:00", 3, 3, 1.0, 3, positions[:3]) == (
        *(cue.rule, cue.actor, cue.at, cue.number, cue.threshold, cue.over, cue.events, cue.positions),
    )
    assert {"code": "14758", "name": "Phường Đông Thọ", "level": "commune"} == cue.unit
    assert (positions[-1], 1, ["many_in_an_hour"]) == (
        answer.position,
        answer.total,
        [rule.rule for rule in answer.rules],
    )
    assert [] == told(cues, rule="many_in_an_hour", threshold=4)
    # One of another officer, one elsewhere, one in the next hour; the citizen's own is nobody's.
    assert 4 == len(told(cues, rule="many_in_an_hour", threshold=1))


def test_one_second_for_many_dossiers(cues, record, approved):
    """The same kind of event, by one officer at one unit; a fraction of a second does not hide it, the next second does."""
    approved(range(6))
    fraction = timedelta(microseconds=400_000)
    positions = record(
        *activations(range(3), NINE, step=fraction),
        activate(citizen=citizen(3), occurred_at=NINE + SECOND),
        activate(citizen=citizen(4), occurred_at=NINE, actor="another"),
        activate(citizen=citizen(5), occurred_at=NINE, unit="14761"),
        *[collect(citizen=citizen(number), occurred_at=NINE) for number in (10, 11, 12)],
    )
    answer = cues.read(CueQuery(rule="one_second", threshold=3))

    assert {"one_second 14758 cb01 2024-12-03 09:00:00 3"} == {
        f"{cue.rule} {cue.unit['code']} {cue.actor} {cue.at} {cue.number}" for cue in answer.cues
    }
    assert [positions[:3], positions[-3:]] == sorted(cue.positions for cue in answer.cues)
    assert [] == told(cues, rule="one_second", threshold=4)


def test_both_levels_of_one_dossier_are_one(cues, record):
    """Many dossiers are meant: two events of one are its own affair."""
    record(
        collect(citizen=citizen(1), occurred_at=NINE),
        collect(citizen=citizen(1), occurred_at=NINE, level=1, key="c2"),
    )

    assert [] == told(cues, rule="one_second", threshold=2)
    assert [("one_second", "14758", "cb01", "2024-12-03 09:00:00", 1)] == told(
        cues, rule="one_second", threshold=1
    )


@pytest.mark.parametrize(("gap", "number"), [(60, 2), (61, 1)])
def test_activations_soon_after_the_approval(cues, record, approved, gap, number):
    """So many seconds after it, or its notice, and one second later not."""
    approved(range(2), at=NINE)
    record(
        activate(citizen=citizen(0), occurred_at=NINE),
        notify(citizen=citizen(1), occurred_at=NINE + 30 * MINUTE, actor="notifier"),
        activate(citizen=citizen(1), occurred_at=NINE + 30 * MINUTE + gap * SECOND),
    )

    assert [("soon_after_approval", "14758", "cb01", "2024-12-03", number)] == told(
        cues, rule="soon_after_approval", threshold=1
    )
    assert [] == told(cues, rule="soon_after_approval", threshold=number + 1)
    assert 2 == told(cues, rule="soon_after_approval", threshold=1, seconds=61)[0][-1]


def test_activations_before_the_ledger_knew_of_the_approval(cues, record, ledger, clock):
    """Not those recorded with their approvals, nor those of the minutes before it was known."""
    now = datetime.now(UTC)
    clock.now = now + timedelta(hours=1)
    for number in range(4):
        ledger.record(collect(citizen=citizen(number), occurred_at=NINE))
        ledger.record(approve(citizen=citizen(number), occurred_at=NINE))
    together = [
        report(citizen=citizen(9), occurred_at=NINE, actor="importer")
        for report in (collect, approve, activate)
    ]
    assert 3 == len({outcome.position for outcome in ledger.record_many(together)})
    long, short = timedelta(seconds=TOGETHER_SECONDS + 60), timedelta(seconds=TOGETHER_SECONDS - 60)
    # The approval of the other level, recorded with the activation, is another matter.
    for one in (
        collect(citizen=citizen(5), occurred_at=NINE),
        approve(citizen=citizen(5), occurred_at=NINE),
        collect(citizen=citizen(5), occurred_at=NINE, level=1, key="c1-1"),
    ):
        ledger.record(one)
    ledger.record_many(
        [
            approve(citizen=citizen(5), occurred_at=NINE, level=1, key="p1-1"),
            activate(citizen=citizen(5), occurred_at=now - long, actor="two levels"),
        ]
    )
    positions = record(
        activate(citizen=citizen(0), occurred_at=now - long),
        activate(citizen=citizen(1), occurred_at=now - long - SECOND),
        activate(citizen=citizen(2), occurred_at=now - short),
        activate(citizen=citizen(3), occurred_at=now + MINUTE),
    )
    found = cues.read(CueQuery(rule="before_approval_was_known", threshold=2, from_day=date(2024, 12, 1)))
    positions_told = [position for cue in found.cues for position in cue.positions]

    assert positions[:2] == positions_told
    assert [] == told(cues, rule="before_approval_was_known", threshold=3, from_day=date(2024, 12, 1))
    assert {"cb01", "two levels"} == {
        actor
        for _, _, actor, _, _ in told(
            cues, rule="before_approval_was_known", threshold=1, from_day=date(2024, 12, 1)
        )
    }


def test_backdated_before_the_end_of_a_month(cues, record):
    """By the day of recording, so many days before its end; what happened fewer days before is not old enough."""
    today = business_day(datetime.now(UTC))
    end = (today.replace(day=1) + timedelta(32)).replace(day=1) - timedelta(1)
    days = (end - today).days
    lag = (today - NINE.date()).days
    positions = record(
        collect(citizen=citizen(1), occurred_at=NINE),
        collect(citizen=citizen(2), occurred_at=NINE),
        collect(citizen=citizen(3), occurred_at=NINE + timedelta(days=1)),
    )
    asked = {"rule": "backdated", "from_day": today, "to_day": today, "lag_days": lag}
    answer = cues.read(CueQuery(threshold=2, before_days=days, **asked))

    assert [("14758", "cb01", str(today), 2, positions[:2])] == [
        (cue.unit["code"], cue.actor, cue.at, cue.number, cue.positions) for cue in answer.cues
    ]
    assert f"{days} days or fewer" in answer.rules[0].sentence
    assert [] == told(cues, threshold=3, before_days=days, **asked)
    assert 3 == told(cues, threshold=3, before_days=days, **{**asked, "lag_days": lag - 1})[0][-1]
    if days:
        assert [] == told(cues, threshold=1, before_days=days - 1, **asked)
    yesterday = today - timedelta(1)
    assert [] == told(
        cues, threshold=1, before_days=days, **{**asked, "from_day": yesterday, "to_day": yesterday}
    )


def test_backdated_before_the_deadline_of_a_target(cues, record, ledger):
    """Of any target that stands."""
    today = business_day(datetime.now(UTC))
    end = (today.replace(day=1) + timedelta(32)).replace(day=1) - timedelta(1)
    # The end of a month is a deadline as well, so on its last two days there is a cue without a target.
    month_ends = (end - today).days <= 1
    record(collect(citizen=citizen(1), occurred_at=NINE))
    asked = {"rule": "backdated", "threshold": 1, "from_day": today, "to_day": today, "before_days": 1}
    assert month_ends == bool(told(cues, **asked))
    deadline = today + timedelta(1)
    ledger.set_targets(
        [TargetRow(unit="38", measure="collected", number=10, from_day=date(2024, 12, 1), deadline=deadline)],
        issuer="Tỉnh",
    )
    catch_up(ledger.database)

    assert 1 == len(told(cues, **asked))
    assert (end == today) == bool(told(cues, **{**asked, "before_days": 0}))


def test_corrections_are_not_reports(cues, record):
    """One event stays one, however often it is put right; a report that was voided was still made."""
    [first, *_] = record(
        collect(citizen=citizen(1), occurred_at=NINE),
        reassign(citizen=citizen(1), corrects=1),
        amend(citizen=citizen(1), corrects=1),
        collect(citizen=citizen(2), occurred_at=NINE),
        void(citizen=citizen(2), corrects=1),
    )
    found = cues.read(CueQuery(rule="one_second", threshold=1))

    assert [[first, first + 3]] == [cue.positions for cue in found.cues]
    assert [] == told(cues, rule="one_second", unit="14761", threshold=1)


def test_units_officers_and_days(cues, record):
    """A unit with all under it; an officer; the day on which it happened, 31 of them if none is named."""
    day = timedelta(days=1)
    record(
        collect(citizen=citizen(1), occurred_at=NINE, unit="14758"),
        collect(citizen=citizen(2), occurred_at=NINE, unit="16093"),
        collect(citizen=citizen(3), occurred_at=NINE + day, unit="14758", actor="another"),
        collect(citizen=citizen(4), occurred_at=NINE - 60 * day, unit="380"),
    )

    def units(**query) -> list[str]:
        return sorted(unit for _, unit, *_ in told(cues, rule="one_second", threshold=1, **query))

    assert ["14758", "14758", "16093"] == units()
    assert ["14758", "14758"] == units(unit="380")
    assert ["14758", "14758", "380"] == units(unit="380", from_day=date(2024, 1, 1))
    assert ["14758"] == units(actor="another")
    assert ["14758", "16093"] == units(to_day=NINE.date())
    assert ["14758"] == units(from_day=NINE.date() + day)


def test_units_that_have_ended(cues, record, ledger, clock):
    """They are under what they became; a unit that was split is called as it was, an allocated dossier's by its part."""
    clock.now = datetime.fromisoformat("2025-08-01T12:00:00+07:00")
    record(
        collect(citizen=citizen(1), occurred_at=NINE, unit="14755"),
        collect(citizen=citizen(2), occurred_at=NINE, unit="14758", actor="cb03"),
    )
    for change in REAL_CHANGES:
        ledger.change_units(change)
    asked = {"rule": "one_second", "threshold": 1, "from_day": date(2024, 12, 1)}

    assert [("14755", "cb01"), ("14758", "cb03")] == [
        (unit, actor) for _, unit, actor, *_ in told(cues, **asked)
    ]
    assert ["cb01"] == [actor for _, _, actor, *_ in told(cues, unit="14758", **asked)]
    assert 2 == len(told(cues, unit="38", **asked))


def test_furthest_over_the_threshold_first_and_in_pages(cues, record):
    """Of all rules together; how many there are is told, and the events behind one come in pages of their own."""
    positions = record(
        *[collect(citizen=citizen(number), occurred_at=NINE) for number in range(10)],
        *[collect(citizen=citizen(number), occurred_at=NINE, actor="another") for number in range(20, 25)],
    )
    answer = cues.read(CueQuery())

    assert [("cb01", 2.0), ("another", 1.0)] == [(cue.actor, cue.over) for cue in answer.cues]
    assert list(RULE_NAMES) == [rule.rule for rule in answer.rules]
    assert [rule.threshold for rule in RULES] == [rule.threshold for rule in answer.rules]
    second = cues.read(CueQuery(limit=1, offset=1))
    assert (2, ["another"]) == (second.total, [cue.actor for cue in second.cues])
    [first] = cues.read(CueQuery(limit=1, positions=4)).cues
    assert (10, positions[:4]) == (first.events, first.positions)
    [rest] = cues.read(CueQuery(limit=1, positions_after=first.positions[-1])).cues
    assert positions[4:10] == rest.positions


@pytest.mark.parametrize("rule", RULES, ids=RULE_NAMES)
def test_no_rule_is_a_verdict(rule):
    """Each says what was counted, and why it may be in order; none says what it would be if it were not."""
    text = f"{rule.sentence} {rule.harmless}".lower()

    assert BY_NAME[rule.rule] is rule
    assert len(rule.harmless) > 40
    assert not [word for word in ("fraud", "cheat", "fake", "false", "suspicious", "forged") if word in text]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"threshold": 5}, "threshold"),
        ({"threshold": 0, "rule": "backdated"}, "threshold"),
        ({"from_day": date(2024, 12, 3), "to_day": date(2024, 12, 2)}, "to"),
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"offset": -1}, "offset"),
        ({"positions": 1001}, "positions"),
        ({"lag_days": 0}, "lag_days"),
        ({"seconds": -1}, "seconds"),
    ],
)
def test_a_question_that_is_none(cues, query, field):
    with pytest.raises(FieldInvalidError, match=field):
        cues.read(CueQuery(**query))


def test_a_unit_that_is_none_and_a_position_that_is_not_counted(cues, ledger):
    with pytest.raises(UnitUnknownError):
        cues.read(CueQuery(unit="99999"))
    position = ledger.record(collect()).position
    with pytest.raises(NotCaughtUpError):
        cues.read(CueQuery(), after=position, wait_seconds=0)
    check_ledger(ledger)
