"""The arithmetic of progress: exact, and rounded only where it is shown. Pure."""

from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.working_days import WORKING_DAYS
from projections import pace
from projections.pace import course

FROM, DEADLINE = date(2024, 10, 1), date(2024, 12, 31)
DAY = timedelta(days=1)

counts = st.integers(0, 10**7)
numbers = st.integers(1, 10**7)
fractions = st.fractions(min_value=-(10**6), max_value=10**6, max_denominator=10**6)


def way(on: date, from_day: date = FROM, deadline: date = DEADLINE) -> pace.Course:
    return course(from_day, deadline, on, WORKING_DAYS)


@st.composite
def courses(draw) -> pace.Course:
    begin = draw(st.dates(date(2024, 1, 1), date(2026, 12, 31)))
    length = draw(st.integers(0, 400))
    on = draw(st.dates(date(2023, 6, 1), date(2028, 12, 31)))
    return course(begin, begin + length * DAY, on, WORKING_DAYS)


# Days.


@pytest.mark.parametrize(
    ("on", "as_of", "elapsed", "left", "working", "pace_days"),
    [
        # The campaign's cut-off: 22 days are left, of which three weekends are not worked.
        ("2024-12-09", "2024-12-09", 70, 22, 16, 7),
        ("2024-12-30", "2024-12-30", 91, 1, 1, 7),
        ("2024-12-31", "2024-12-31", 92, 0, 0, 7),
        # After the deadline it is told as it was at its end.
        ("2025-03-01", "2024-12-31", 92, 0, 0, 7),
        ("2024-10-01", "2024-10-01", 1, 91, 65, 1),
        ("2024-10-03", "2024-10-03", 3, 89, 63, 3),
        # Before the first day nothing has elapsed, and only the days from then on are left.
        ("2024-09-30", "2024-09-30", 0, 92, 66, 0),
        ("2024-08-01", "2024-08-01", 0, 92, 66, 0),
    ],
)
def test_where_a_day_stands_on_the_way(on, as_of, elapsed, left, working, pace_days):
    found = way(date.fromisoformat(on))
    assert (date.fromisoformat(as_of), 92, elapsed, left, working, pace_days) == (
        found.as_of,
        found.days,
        found.elapsed,
        found.days_left,
        found.working_days_left,
        found.pace_days,
    )


def test_the_last_seven_days_have_the_day_itself():
    assert date(2024, 12, 3) == way(date(2024, 12, 9)).pace_from
    assert FROM == way(date(2024, 10, 3)).pace_from


def test_working_days_that_are_left_know_holidays_and_swaps():
    """From 24 April 2025: 26 April is worked in place of 2 May; 30 April and 1 May are off."""
    found = way(date(2025, 4, 24), deadline=date(2025, 5, 5))
    assert (11, 5, False) == (found.days_left, found.working_days_left, found.provisional)
    assert way(date(2026, 12, 1), from_day=date(2026, 12, 1), deadline=date(2027, 1, 5)).provisional


@given(courses())
def test_days_that_are_gone_and_left_are_all_of_them(found):
    assert found.days == found.elapsed + found.days_left
    assert 0 <= found.working_days_left <= found.days_left
    assert 0 <= found.pace_days <= min(7, found.elapsed)


# Percent, remaining, needed.


@given(counts, numbers)
def test_what_is_reached_and_what_remains_are_the_whole(count, number):
    """Over 100 percent nothing remains."""
    left = pace.remaining(count, number)
    assert max(count, number) == count + left
    assert (left == 0) == (pace.percent(count, number) >= 100)


def test_of_nothing_and_of_what_is_not_available_there_is_no_percentage():
    assert (None, None) == (pace.percent(5, None), pace.percent(5, 0))
    assert None is pace.remaining(5, None)
    assert Fraction(0) == pace.percent(0, 5)


@given(numbers, st.integers(1, 4000))
def test_what_is_needed_is_enough_as_it_is_shown(left, days):
    """And a hundredth less would not be."""
    told = Fraction(str(pace.shown_up(pace.needed(left, days))))
    assert left <= told * days
    assert (told - Fraction(1, 100)) * days < left


def test_nothing_is_needed_of_what_is_reached_and_nothing_helps_when_no_day_is_left():
    assert (Fraction(0), Fraction(0)) == (pace.needed(0, 5), pace.needed(0, 0))
    assert (None, None) == (pace.needed(3, 0), pace.needed(None, 3))


# Ahead, pace, forecast.


@given(courses(), numbers)
def test_on_the_straight_line_nobody_is_ahead_or_behind(found, days_done):
    """Whose count is so many days' worth is ahead by what they are more than those gone."""
    number = found.days * 10
    assert Fraction(days_done) - found.elapsed == pace.days_ahead(days_done * 10, number, found)
    assert None is pace.days_ahead(5, None, found)
    assert None is pace.days_ahead(5, 0, found)


def test_half_of_it_at_half_the_time_is_on_time():
    found = way(date(2024, 11, 15))
    assert (0, -46, 46) == tuple(pace.days_ahead(count, 1000, found) for count in (500, 0, 1000))


@given(courses(), counts, counts)
def test_a_forecast_is_the_count_and_the_pace_of_every_day_left(found, count, recent):
    a_day = pace.pace(recent, found)
    coming = pace.forecast(count, a_day, found)
    if not found.elapsed:
        assert (None, None) == (a_day, coming)
        return
    assert recent == a_day * found.pace_days
    assert coming == count + Fraction(recent * found.days_left, found.pace_days)
    assert found.days_left or coming == count


# Rank.


@given(st.lists(st.none() | st.fractions(0, 200, max_denominator=50), max_size=30))
def test_a_rank_is_one_more_than_how_many_are_better(values):
    """So equal ones share it, and the next has it that much later: 1, 2, 2, 4. Who has no value has none."""
    expected = [
        None if value is None else 1 + sum(other is not None and other > value for other in values)
        for value in values
    ]
    assert expected == pace.ranks(values)


def test_percentages_that_look_the_same_are_told_apart():
    """10,000,001 of 30,000,000 are more than a third, in whatever decimals they are shown."""
    a_third, more = pace.percent(10**15, 3 * 10**15), pace.percent(10**15 + 1, 3 * 10**15)
    assert float(a_third) == float(more) or pace.shown(a_third) == pace.shown(more)
    huge, huger = Fraction(10**40, 3), Fraction(10**40 + 1, 3)
    assert float(huge) == float(huger)
    assert [2, 1, 2] == pace.ranks([huge, huger, huge])
    assert [2, 1] == pace.ranks([a_third, more])


# Shown.


@pytest.mark.parametrize(
    ("value", "down", "up"),
    [
        (Fraction(2, 3), 0.67, 0.67),
        (Fraction(1, 3), 0.33, 0.34),
        (Fraction(1, 8), 0.13, 0.13),
        (Fraction(-1, 3), -0.33, -0.33),
        (Fraction(100), 100.0, 100.0),
        (Fraction(0), 0.0, 0.0),
        (None, None, None),
    ],
)
def test_decimals_are_for_eyes(value, down, up):
    assert (down, up) == (pace.shown(value), pace.shown_up(value))


@given(fractions)
def test_what_is_shown_is_off_by_half_a_hundredth_at_most(value):
    assert abs(Fraction(str(pace.shown(value))) - value) <= Fraction(1, 200)
    assert abs(pace.whole(value) - value) <= Fraction(1, 2)
