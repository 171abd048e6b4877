"""Deadlines in working days: golden ones around the holidays, and what holds for all of them."""

import re
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import FileInvalidError
from ledger.working_days import COLUMNS, WORKING_DAYS, parse_holidays

HEADER = ",".join(COLUMNS)
days = st.dates(date(2023, 12, 1), date(2027, 12, 31))
limits = st.sampled_from((1, 3, 7))


def day(text: str) -> date:
    return date.fromisoformat(text)


@pytest.mark.parametrize(
    ("received", "one", "three", "seven"),
    [
        # An ordinary week; the evening of a Friday, and the weekend after it, are all the same.
        ("2024-12-02", "2024-12-03", "2024-12-05", "2024-12-11"),
        ("2024-12-06", "2024-12-09", "2024-12-11", "2024-12-17"),
        ("2024-12-07", "2024-12-09", "2024-12-11", "2024-12-17"),
        ("2024-12-08", "2024-12-09", "2024-12-11", "2024-12-17"),
        # Tet 2025: off from Saturday 25 January to Sunday 2 February.
        ("2025-01-23", "2025-01-24", "2025-02-04", "2025-02-10"),
        ("2025-01-24", "2025-02-03", "2025-02-05", "2025-02-11"),
        ("2025-01-29", "2025-02-03", "2025-02-05", "2025-02-11"),
        ("2025-02-02", "2025-02-03", "2025-02-05", "2025-02-11"),
        ("2025-02-03", "2025-02-04", "2025-02-06", "2025-02-12"),
        # 30 April 2025: off to Sunday 4 May; Friday 2 May was swapped for Saturday 26 April.
        ("2025-04-25", "2025-04-26", "2025-04-29", "2025-05-08"),
        ("2025-04-26", "2025-04-28", "2025-05-05", "2025-05-09"),
        ("2025-04-29", "2025-05-05", "2025-05-07", "2025-05-13"),
        # 2 September 2025: off from Saturday 30 August to Tuesday 2 September.
        ("2025-08-28", "2025-08-29", "2025-09-04", "2025-09-10"),
        ("2025-08-29", "2025-09-03", "2025-09-05", "2025-09-11"),
        ("2025-09-01", "2025-09-03", "2025-09-05", "2025-09-11"),
        # Over a new year; Friday 2 January 2026 was swapped for Saturday 10 January.
        ("2025-12-31", "2026-01-05", "2026-01-07", "2026-01-12"),
        ("2026-01-09", "2026-01-10", "2026-01-13", "2026-01-19"),
        # The Hung Kings' day of 2026 was a Sunday; Monday was off in its place.
        ("2026-04-24", "2026-04-28", "2026-05-04", "2026-05-08"),
        # 2024, before the package's campaign.
        ("2024-02-07", "2024-02-15", "2024-02-19", "2024-02-23"),
        ("2024-04-26", "2024-05-02", "2024-05-04", "2024-05-09"),
        ("2024-08-30", "2024-09-04", "2024-09-06", "2024-09-12"),
    ],
)
def test_the_last_day_of_a_time_limit(received, one, three, seven):
    """The day of receipt does not count, nor do weekends, holidays and days swapped; swapped Saturdays do."""
    assert [day(one), day(three), day(seven)] == [
        WORKING_DAYS.due(day(received), working_days) for working_days in (1, 3, 7)
    ]


@given(received=days, working_days=limits)
def test_a_limit_ends_on_a_working_day_after_as_many_of_them(received, working_days):
    """Counted one by one, from the day after."""
    due = WORKING_DAYS.due(received, working_days)
    counted = [
        later
        for later in (received + timedelta(n) for n in range(1, (due - received).days + 1))
        if WORKING_DAYS.is_working(later)
    ]
    assert (working_days, due) == (len(counted), counted[-1])


@given(received=days, working_days=limits)
def test_whoever_comes_later_is_due_no_sooner(received, working_days):
    """And a longer limit ends later."""
    due = WORKING_DAYS.due(received, working_days)
    assert due <= WORKING_DAYS.due(received + timedelta(1), working_days)
    assert due < WORKING_DAYS.due(received, working_days + 1)


@given(on=days, working_days=limits, before=st.integers(0, 40))
def test_overdue_is_what_was_due_before_the_day(on, working_days, before):
    """The last day of receipt that is overdue parts all days in two, as their own deadlines do."""
    last, _ = WORKING_DAYS.overdue(on, working_days)
    for received in (on - timedelta(before), last, last + timedelta(1)):
        assert (WORKING_DAYS.due(received, working_days) < on) == (received <= last), received


@pytest.mark.parametrize(
    ("on", "working_days", "last", "provisional"),
    [
        ("2024-12-09", 1, "2024-12-05", False),
        ("2024-12-10", 1, "2024-12-08", False),
        ("2025-02-03", 3, "2025-01-21", False),
        ("2025-02-06", 3, "2025-02-02", False),
        # Nobody had announced, when this list was made, whether 24 November 2026 is a holiday.
        ("2026-11-24", 1, "2026-11-22", False),
        ("2026-11-25", 1, "2026-11-22", True),
        ("2026-11-26", 1, "2026-11-24", False),
        ("2026-11-26", 3, "2026-11-19", True),
        # A year of which nothing is announced.
        ("2027-01-04", 1, "2026-12-30", True),
        ("2026-12-31", 7, "2026-12-21", False),
        ("2041-05-08", 3, "2041-05-02", True),
    ],
)
def test_what_is_not_announced_is_told_to_be_provisional(on, working_days, last, provisional):
    """As soon as one such day was counted, and not where none was."""
    assert (day(last), provisional) == WORKING_DAYS.overdue(day(on), working_days)


def test_a_provisional_day_off_is_found_behind_a_weekend():
    """On Monday the day before is Thursday, if Friday is off: so it depends on what is announced of Friday."""
    known = parse_holidays(f"{HEADER}\n2024-12-06,off,Lễ,Feast,\n2024-12-31,off,Lễ,Feast,x\n")
    assert (day("2024-12-04"), True) == known.overdue(day("2024-12-09"), 1)
    assert (day("2024-12-08"), False) == known.overdue(day("2024-12-10"), 1)


def test_the_list_knows_three_years():
    """Others are provisional; to be extended when the government announces the next."""
    assert {2024, 2025, 2026} == WORKING_DAYS.announced_years


@pytest.mark.parametrize("year", [2024, 2025, 2026])
def test_every_swap_names_its_other_day(year):
    """A Saturday is worked for a day that is off, and that one says so."""
    told = {
        (holiday.day, day(found[0]))
        for holiday in WORKING_DAYS.holidays.values()
        if holiday.day.year == year and (found := re.findall(r"\d{4}-\d\d-\d\d", holiday.en))
    }
    assert 2 <= len(told)
    assert told == {(other, one) for one, other in told}
    assert {WORKING_DAYS.is_working(one) for one, _ in told} == {True, False}
    assert all(WORKING_DAYS.is_working(one) != WORKING_DAYS.is_working(other) for one, other in told)


@pytest.mark.parametrize("year", [2024, 2025, 2026])
def test_a_year_has_the_days_off_of_the_law(year):
    """Eleven, and in place of one that fell on a weekend another; what is swapped is worked."""
    weekdays = [day for day in WORKING_DAYS.holidays if day.year == year and day != date(2026, 11, 24)]
    assert 11 == sum(-1 if WORKING_DAYS.is_working(day) else 1 for day in weekdays)


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ("2025-02-30,off,a,b,", "line 2: "),
        ("2025-09-06,off,a,b,", "line 2: 2025-09-06 is a Saturday: working is all that it can be"),
        ("2025-09-05,working,a,b,", "line 2: 2025-09-05 is a Friday: off is all that it can be"),
        ("2025-09-05,off,a,b,c\n2025-09-05,off,a,b,c", "line 3: 2025-09-05 is not after 2025-09-05"),
        ("2025-09-05,off,,b,c", "line 2: 2025-09-05 needs a name"),
        ("2025-09-05,off,a,b", "line 2: it has 4 fields"),
        ('2025-09-05,off,"a,b,c,d', "line 2: "),
    ],
)
def test_a_list_that_is_wrong_is_refused_by_its_lines(lines, fault):
    """A date that was mistyped is most often another weekday."""
    with pytest.raises(FileInvalidError, match=re.escape(fault)):
        parse_holidays(f"{HEADER}\n{lines}\n")


@pytest.mark.parametrize("header", ["", "day,kind\n"])
def test_a_list_of_something_else_is_refused(header):
    with pytest.raises(FileInvalidError, match=f"the header must be {HEADER}"):
        parse_holidays(header)


@given(days, st.integers(0, 60))
def test_the_working_days_after_a_day_are_those_of_its_time_limits(start, length):
    """The day itself is not one of them; the last one may be."""
    last = start + timedelta(length)
    number, provisional = WORKING_DAYS.after(start, last)
    assert WORKING_DAYS.due(start, number) <= last < WORKING_DAYS.due(start, number + 1)
    assert provisional == any(WORKING_DAYS.is_provisional(start + timedelta(n)) for n in range(1, length + 1))
