"""What is overdue: the law's clocks at their edges, and the campaign's by an independent count over the log."""

from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from itertools import product

import pytest

from ledger import Ledger
from ledger.errors import FieldInvalidError, UnitNotValidError, UnitUnknownError
from ledger.working_days import parse_holidays
from projections import NotCaughtUpError, Overdue, OverdueQuery, Totals, TotalsQuery, catch_up, open_overdue
from tests.ledger.reports import activate, approve, collect, lock, notify, reassign, unlock, void, withdraw
from tests.projections import by_hand

MEASURES = ("awaiting_approval", "approval_overdue", "awaiting_activation", "notified", "activation_overdue")
TODAY = date(2024, 12, 9)
"""A Monday, by the tests' clock."""


def at(day: int, hour: int = 9) -> datetime:
    """An instant of December 2024; 1 is a Sunday, 0 the Saturday before."""
    return datetime.fromisoformat(f"2024-11-30T{hour:02}:00:00+07:00") + timedelta(days=day)


@pytest.fixture
def overdue(totals: Totals) -> Overdue:
    return Overdue(totals)


@pytest.fixture
def record(ledger: Ledger) -> Callable:
    """Record reports, and have them counted."""

    def run(*reports) -> None:
        for report in reports:
            ledger.record(report)
        catch_up(ledger.database)

    return run


def told(overdue: Overdue, **query) -> tuple[int, ...]:
    """Return the sums in the order of the measures."""
    return tuple(overdue.read(OverdueQuery(**query)).sum.values())


# An approval's clock.


@pytest.mark.parametrize(
    ("level", "card", "collected", "last"),
    [
        # Tuesday 3 December; level 1 has until Wednesday, level 2 until Friday, without a card until the Thursday after.
        (1, "", 3, 4),
        (2, "", 3, 6),
        (2, "valid", 3, 6),
        (1, "expired", 3, 12),
        (2, "missing", 3, 12),
        # Saturday the 7th: the same as Sunday, or Friday after hours.
        (1, "", 7, 9),
        (2, "", 7, 11),
        (2, "", 8, 11),
        (2, "", 6, 11),
    ],
)
def test_an_approval_is_overdue_after_its_last_day(overdue, record, clock, level, card, collected, last):
    """On the last day it is not, on the next one it is; a day to come is a forecast of the same."""
    clock.now = at(collected, hour=23)
    record(collect(level=level, card=card, occurred_at=at(collected, hour=22)))
    days = [date(2024, 12, day) for day in range(collected, last + 3)]

    expected = [(1, int(day.day > last), 0, 0, 0) for day in days]
    assert expected == [told(overdue, on=day) for day in days]
    for day, counts in zip(days, expected, strict=True):
        clock.now = datetime.fromisoformat(f"{day}T00:00:00+07:00")
        assert counts == told(overdue)


def test_a_holiday_is_no_working_day(overdue, record, clock):
    """What came on the Wednesday before New Year is due on Thursday the 2nd."""
    clock.now = datetime.fromisoformat("2024-12-31T23:00:00+07:00")
    record(collect(level=1, occurred_at=clock.now))
    answers = [overdue.read(OverdueQuery(on=date(2025, 1, day))) for day in (2, 3)]
    assert [0, 1] == [answer.sum["approval_overdue"] for answer in answers]


# An activation's clock.


def test_an_activation_is_overdue_seven_days_after_the_notice(overdue, record):
    """Calendar days, the notice's own not counted; who was not notified has no clock."""
    record(
        collect(occurred_at=at(0)),
        approve(occurred_at=at(1)),
        notify(occurred_at=at(1)),
        collect(citizen="038090000002", occurred_at=at(0)),
        approve(citizen="038090000002", occurred_at=at(0)),
        collect(citizen="038090000003", occurred_at=at(0)),
        approve(citizen="038090000003", occurred_at=at(0)),
        notify(citizen="038090000003", occurred_at=at(2)),
    )
    assert (0, 0, 3, 2, 1) == told(overdue)
    assert (0, 0, 3, 2, 2) == told(overdue, on=date(2024, 12, 10))


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ([], (0, 0, 1, 1, 1)),
        ([activate(occurred_at=at(9))], (0, 0, 0, 0, 0)),
        ([withdraw(occurred_at=at(9))], (0, 0, 0, 0, 0)),
        # A lock on a ground that meets it stops the clock; unlocked, it runs since the notice.
        ([lock(occurred_at=at(8))], (0, 0, 0, 0, 0)),
        ([lock(occurred_at=at(8)), unlock(occurred_at=at(9))], (0, 0, 1, 1, 1)),
        # Without its notice it has no clock; without its approval the approval has.
        ([void(corrects=3, occurred_at=at(9))], (0, 0, 1, 0, 0)),
        ([void(corrects=3, occurred_at=at(9)), void(key="v2", corrects=2, occurred_at=at(9))], (1, 1, 0, 0, 0)),
        ([void(corrects=3, occurred_at=at(9)), void(key="v2", corrects=4, occurred_at=at(9))], (0, 0, 1, 1, 1)),
    ],
)  # fmt: skip
def test_the_clock_of_a_life(overdue, record, reports, expected):
    """Collected and approved on Saturday, notified on Sunday the 1st, and then."""
    record(collect(occurred_at=at(0)), approve(occurred_at=at(0)), notify(occurred_at=at(1)), *reports)
    assert expected == told(overdue)


def test_it_is_overdue_at_the_collecting_unit(overdue, record):
    """Also once the collection has been reassigned to another."""
    record(collect(occurred_at=at(0)))
    assert [(1, 1, 0, 0, 0), (0, 0, 0, 0, 0)] == [told(overdue, unit=unit) for unit in ("14758", "14761")]
    record(reassign(corrects=1, occurred_at=at(9)))
    assert [(0, 0, 0, 0, 0), (1, 1, 0, 0, 0)] == [told(overdue, unit=unit) for unit in ("14758", "14761")]


# What is told with it.


def test_the_limits_are_told_as_they_were_applied(overdue):
    """Since when one has waited too long, and for whom."""
    answer = overdue.read(OverdueQuery())
    assert (TODAY, False, False, "unit_totals") == (
        answer.on,
        answer.forecast,
        answer.provisional,
        answer.projection,
    )
    assert [
        ("approval", 1, "valid", 1, True, date(2024, 12, 5)),
        ("approval", 2, "valid", 3, True, date(2024, 12, 3)),
        ("approval", None, "expired, missing", 7, True, date(2024, 11, 27)),
        ("activation", None, None, 7, False, date(2024, 12, 1)),
    ] == [
        (limit.step, limit.level, limit.card, limit.days, limit.working_days, limit.since)
        for limit in answer.limits
    ]
    of_one = overdue.read(OverdueQuery(level=1)).limits
    assert [answer.limits[0], *answer.limits[2:]] == of_one


def test_a_day_to_come_is_a_forecast(overdue, clock):
    """Today is not, by the ledger's clock in Vietnam."""
    assert [False, True] == [
        overdue.read(OverdueQuery(on=on)).forecast for on in (TODAY, TODAY + timedelta(1))
    ]
    clock.now = datetime.fromisoformat("2024-12-10T00:00:00+07:00")
    assert not overdue.read(OverdueQuery(on=TODAY + timedelta(1))).forecast


def test_a_day_that_has_passed_is_refused(overdue):
    """What waited then, and has been settled since, is not among what waits."""
    with pytest.raises(FieldInvalidError, match="on: 2024-12-08 is before today, 2024-12-09"):
        overdue.read(OverdueQuery(on=TODAY - timedelta(1)))


def test_a_limit_over_days_that_are_not_announced_is_provisional(totals):
    """It is said of that limit, and of the answer; activations count calendar days, which all are known."""
    known = Overdue(
        totals, parse_holidays("day,kind,vi,en,source\n2024-09-02,off,Quốc khánh,National Day,x\n")
    )
    answer = known.read(OverdueQuery(on=date(2025, 1, 3)))
    assert [True, True, True, False] == [limit.provisional for limit in answer.limits]
    assert answer.provisional
    answer = known.read(OverdueQuery(on=date(2025, 1, 1)))
    assert [False] * 4 == [limit.provisional for limit in answer.limits]
    assert not answer.provisional


def test_a_provisional_limit_of_another_level_is_no_matter(totals):
    """Only what was asked for is judged: level 1 looks back one day, level 2 three."""
    lines = "2024-12-05,off,Lễ,Feast,\n2024-12-31,off,Lễ,Feast,x"
    known = Overdue(totals, parse_holidays(f"day,kind,vi,en,source\n{lines}\n"))
    answers = [known.read(OverdueQuery(level=level)) for level in (1, 2)]
    assert [[False, True, False], [True, True, False]] == [
        [limit.provisional for limit in answer.limits] for answer in answers
    ]


# Units, and when there is no answer.


def test_the_rows_are_those_of_the_totals(overdue, totals, record):
    """The direct children, the unit's own as a row of its own; of the whole ledger the provinces."""
    record(
        collect(unit="401", occurred_at=at(0)),
        collect(citizen="038090000002", unit="16093", occurred_at=at(0)),
    )
    for unit in (None, "38", "401", "16093"):
        rows = overdue.read(OverdueQuery(unit=unit)).rows
        expected = totals.read(TotalsQuery(unit=unit)).rows
        assert [row["unit"] for row in expected] == [row["unit"] for row in rows]
        assert [row["awaiting_approval"] for row in expected] == [row["approval_overdue"] for row in rows]
        assert 2 - (unit == "16093") == sum(row["approval_overdue"] for row in rows)


def test_units_that_mean_nothing_today_are_refused(overdue, clock):
    with pytest.raises(UnitUnknownError):
        overdue.read(OverdueQuery(unit="99999"))
    clock.now = datetime.fromisoformat("2020-12-31T12:00:00+07:00")
    with pytest.raises(UnitNotValidError):
        overdue.read(OverdueQuery(unit="16093", on=TODAY))


def test_a_position_that_is_not_counted_is_waited_for(overdue):
    """As for totals."""
    with pytest.raises(NotCaughtUpError):
        overdue.read(OverdueQuery(), after=587, wait_seconds=0.1)


def test_nothing_waits_in_an_empty_ledger(database, identities, clock):
    with Ledger(database, identities, now=clock) as ledger:
        answer = open_overdue(ledger).read(OverdueQuery())
    assert ([], dict.fromkeys(MEASURES, 0), 0) == (answer.rows, answer.sum, answer.position)


# By hand.

OFF = {date(2024, 9, 2), date(2024, 9, 3), date(2025, 1, 1), *(date(2025, 1, day) for day in range(27, 32))}
DAYS = (TODAY, *(TODAY + timedelta(days) for days in (1, 2, 4, 7, 8, 23, 60)))


def by_hand_on(counts: by_hand.Counts, on: date, level: int | None) -> dict[str, Counter]:
    """Return the measures by the id of the collecting unit, each dossier's days counted one by one."""
    units: dict[str, Counter] = {}
    for (measure, where), number in counts.items():
        if not measure.startswith("awaiting") or level not in (None, where.level):
            continue
        unit = units.setdefault(where.unit, Counter())
        waited = [where.day + timedelta(n) for n in range(1, (on - where.day).days)]
        worked = sum(day.strftime("%a") not in ("Sat", "Sun") and day not in OFF for day in waited)
        limit = {1: 1, 2: 3}[where.level]
        match measure:
            case "awaiting_approval":
                unit["awaiting_approval"] += number
                # With a card or without; those without are taken off again below.
                unit["approval_overdue"] += number * (worked >= limit)
            case "awaiting_long":
                unit["approval_overdue"] += number * ((worked >= 7) - (worked >= limit))
            case "awaiting_activation":
                unit["awaiting_activation"] += number
            case "awaiting_notified":
                unit["notified"] += number
                unit["activation_overdue"] += number * (len(waited) >= 7)
    return units


@pytest.mark.parametrize("on", DAYS)
@pytest.mark.parametrize("level", [None, 1, 2])
def test_the_campaign_counted_by_hand(campaign, on, level):
    """Of units at every depth: rows and sums are those of the log, with its locks, withdrawals and corrections."""
    tree = campaign.tree
    own = by_hand_on(campaign.counts, on, level)
    codes = {unit: code for code, unit in tree.ids.items()}
    overdue = Overdue(campaign.totals)
    for unit in (None, "38", "380", "401", "384", "14758", "16093"):
        under: dict[str, Counter] = {}
        top = None if unit is None else tree.ids[unit]
        for member, counts in own.items():
            path = tree.path(member)
            if top is not None and top not in path:
                continue
            # The child of the unit that it is under, or the unit itself.
            steps = path if top is None else path[: path.index(top) + 1]
            row = steps[-1] if top is None else steps[max(0, len(steps) - 2)]
            under.setdefault(row, Counter()).update(counts)
        expected = {
            codes[row]: {measure: counts[measure] for measure in MEASURES}
            for row, counts in under.items()
            if any(counts.values())
        }
        answer = overdue.read(OverdueQuery(unit=unit, level=level, on=on))
        rows = {row["unit"]["code"]: {measure: row[measure] for measure in MEASURES} for row in answer.rows}
        assert expected == {code: row for code, row in rows.items() if any(row.values())}, unit
        assert answer.sum == {measure: sum(row[measure] for row in rows.values()) for measure in MEASURES}
        assert len(campaign.rows) == answer.position
    assert all(answer.sum.values()) or unit is not None


def test_the_campaign_has_some_of_everything(campaign):
    """Else the count by hand would prove little: something is overdue of each kind, and something is not yet."""
    overdue = Overdue(campaign.totals)
    for level in (1, 2):
        now, later = (
            overdue.read(OverdueQuery(level=level, on=on)).sum for on in (TODAY, TODAY + timedelta(60))
        )
        assert 0 < now["approval_overdue"] < later["approval_overdue"] == later["awaiting_approval"]
        assert 0 < now["activation_overdue"] < later["activation_overdue"] == later["notified"]
        assert later["notified"] < later["awaiting_activation"]


def test_what_waits_is_what_the_totals_say(campaign):
    """One number, one definition."""
    for unit, level in product((None, "38", "401", "14758"), (None, 1, 2)):
        totals = campaign.totals.read(TotalsQuery(unit=unit, level=level)).sum
        overdue = Overdue(campaign.totals).read(OverdueQuery(unit=unit, level=level)).sum
        for measure in ("awaiting_approval", "awaiting_activation"):
            assert totals[measure] == overdue[measure]
