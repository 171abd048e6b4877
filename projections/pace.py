"""How far a unit is from a target, and how fast it goes. Pure and exact: fractions, rounded only where they are shown.

All of it is said of the end of a day: what that day has brought is in the count, and what is left to do is left
to the days after it.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from fractions import Fraction

import msgspec

from ledger.working_days import WorkingDays

PACE_DAYS = 7
FORECAST_METHOD = "pace_7_days"
"""The count, and for every day that is left the mean of the last 7 days."""


class Course(msgspec.Struct, frozen=True):
    """Where a day stands on the way from a target's first day to its deadline."""

    as_of: date
    """The last day that counts: the day asked about, or the deadline where that has passed."""
    days: int
    """From the first day to the deadline, both included."""
    elapsed: int
    """From the first day to this one, both included; 0: it has not begun."""
    days_left: int
    """After this day, the deadline included."""
    working_days_left: int
    provisional: bool
    """Whether nobody has announced yet if one of the days that are left is a holiday."""
    pace_days: int
    """How many days the pace is taken of: the last 7, fewer if it began later."""

    @property
    def pace_from(self) -> date:
        return self.as_of - timedelta(self.pace_days - 1)


def course(from_day: date, deadline: date, on: date, working_days: WorkingDays) -> Course:
    """Return where a day (Vietnam) stands between a target's first day and its deadline."""
    as_of = min(on, deadline)
    days = (deadline - from_day).days + 1
    elapsed = max(0, (as_of - from_day).days + 1)
    # Of a target that has not begun, all of its days are left, and none of those before.
    working, provisional = working_days.after(max(as_of, from_day - timedelta(1)), deadline)
    return Course(
        as_of, days, elapsed, days - elapsed, working, provisional, pace_days=min(PACE_DAYS, elapsed)
    )


def percent(count: int, whole: int | None) -> Fraction | None:
    """Return how many percent *count* is; None: of nothing, or of what is not available."""
    return Fraction(100 * count, whole) if whole else None


def remaining(count: int, number: int | None) -> int | None:
    return None if number is None else max(0, number - count)


def needed(left: int | None, days: int) -> Fraction | None:
    """Return how many a day are needed; None: no day is left for them."""
    if left == 0:
        return Fraction(0)
    return Fraction(left, days) if left is not None and days else None


def days_ahead(count: int, number: int | None, way: Course) -> Fraction | None:
    """Return how many days ahead of the straight line from nothing to the number, negative behind it."""
    return Fraction(count * way.days, number) - way.elapsed if number else None


def pace(last_days: int, way: Course) -> Fraction | None:
    """Return the mean of a day, of what the last days have brought; None: it has not begun."""
    return Fraction(last_days, way.pace_days) if way.pace_days else None


def forecast(count: int, a_day: Fraction | None, way: Course) -> Fraction | None:
    """Return how many there will be at the deadline if every day brings as many as the last ones did."""
    return None if a_day is None else count + a_day * way.days_left


def ranks(values: Sequence[Fraction | None]) -> list[int | None]:
    """Return the places from 1, the greatest first; equal ones share a place, and the next has it that much later."""
    # Fractions take their time to be compared. Floats never turn them round, so only where those are equal is it theirs.
    ordered = sorted(((float(value), value) for value in values if value is not None), reverse=True)
    places: dict[Fraction, int] = {}
    for place, (_, value) in enumerate(ordered, 1):
        places.setdefault(value, place)
    return [None if value is None else places[value] for value in values]


def shown(value: Fraction | None, digits: int = 2) -> float | None:
    """Round to so many decimals, halves up."""
    if value is None:
        return None
    scale: int = 10**digits
    return (2 * value.numerator * scale + value.denominator) // (2 * value.denominator) / scale


def shown_up(value: Fraction | None, digits: int = 2) -> float | None:
    """Round up: what is needed, rounded down, would not be enough."""
    if value is None:
        return None
    scale: int = 10**digits
    return -(-value.numerator * scale // value.denominator) / scale


def whole(value: Fraction) -> int:
    """Round to a whole number, halves up."""
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)
