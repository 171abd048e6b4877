"""Working days in Vietnam, and what deadlines make of them.

Monday to Friday, but for public holidays (Labour Code 45/2019, Art. 112) and the days off in their place; a day
off is at times swapped for a Saturday that is worked. The government announces which days they are year by year,
so they are data, ``data/holidays.csv``, and what is not announced yet is told to be provisional.
"""

from collections.abc import Mapping
from datetime import date, timedelta

import msgspec

from ledger.csv_lines import csv_lines
from ledger.errors import FileInvalidError
from ledger.text_files import packaged

COLUMNS = ("day", "kind", "vi", "en", "source")
_DAY = timedelta(days=1)


class Holiday(msgspec.Struct, frozen=True):
    """A day that is not what its weekday says."""

    day: date
    working: bool
    """A Saturday or Sunday that is worked, in place of a working day that is off; else a weekday that is off."""
    vi: str
    en: str
    source: str
    """What announced it; empty: it is expected, by the law or the lunar calendar, and not announced yet."""


class WorkingDays(msgspec.Struct, frozen=True):
    """Counts working days. All days are business days (Asia/Ho_Chi_Minh)."""

    holidays: Mapping[date, Holiday]
    announced_years: frozenset[int]
    """Years of which it is known; any other day may yet become a holiday."""

    def is_working(self, day: date) -> bool:
        holiday = self.holidays.get(day)
        return holiday.working if holiday else day.weekday() < 5

    def is_provisional(self, day: date) -> bool:
        """Whether nobody has announced yet if a day is off."""
        holiday = self.holidays.get(day)
        return day.year not in self.announced_years or (holiday is not None and not holiday.source)

    def due(self, received: date, days: int) -> date:
        """Return the last day of a time limit: the *days*-th working day after *received*.

        The day of receipt does not count (Civil Code 91/2015, Art. 147).
        """
        day = received
        for _ in range(days):
            day += _DAY
            while not self.is_working(day):
                day += _DAY
        return day

    def after(self, day: date, last: date) -> tuple[int, bool]:
        """Return how many working days come after a day and up to another, and whether that is provisional."""
        days = [day + number * _DAY for number in range(1, (last - day).days + 1)]
        return sum(map(self.is_working, days)), any(map(self.is_provisional, days))

    def overdue(self, on: date, days: int) -> tuple[date, bool]:
        """Return the last day of receipt whose limit has passed on a day, and whether that is provisional.

        What was received then or before is overdue: its last day is before *on*. That day may be worked to its
        end, so nothing is overdue on it.
        """
        day, provisional = on, False
        for _ in range(days):
            day -= _DAY
            provisional |= self.is_provisional(day)
            while not self.is_working(day):
                day -= _DAY
                provisional |= self.is_provisional(day)
        return day - _DAY, provisional


def parse_holidays(text: str) -> WorkingDays:
    """Read a list of holidays: CSV with the columns day,kind,vi,en,source, a line for each day, in their order.

    ``kind`` is ``off`` or ``working``. A year is announced as soon as one of its lines names a source.

    Raises:
        FileInvalidError: It cannot be read; names every offending line.
    """
    lines = csv_lines(text)
    if not lines or tuple(lines[0][1]) != COLUMNS:
        raise FileInvalidError(f"the header must be {','.join(COLUMNS)}")
    holidays: dict[date, Holiday] = {}
    faults = []
    last = date.min
    for line, row in lines[1:]:
        try:
            holiday = _holiday(row, last)
        except ValueError as error:
            faults.append(f"line {line}: {error}")
            continue
        holidays[holiday.day] = holiday
        last = holiday.day
    if faults:
        raise FileInvalidError(*faults)
    announced = frozenset(holiday.day.year for holiday in holidays.values() if holiday.source)
    return WorkingDays(holidays, announced)


def _holiday(row: list[str], last: date) -> Holiday:
    if len(row) != len(COLUMNS):
        raise ValueError(f"it has {len(row)} fields")
    text, kind, vi, en, source = row
    day = date.fromisoformat(text)
    if day <= last:
        raise ValueError(f"{day} is not after {last}")
    weekday = day.weekday() < 5
    if kind != ("off" if weekday else "working"):
        # What the weekday says already would hide that a date was mistyped.
        raise ValueError(f"{day} is a {day:%A}: {'off' if weekday else 'working'} is all that it can be")
    if not vi or not en:
        raise ValueError(f"{day} needs a name in Vietnamese (vi) and in English (en)")
    return Holiday(day, kind == "working", vi, en, source)


WORKING_DAYS = parse_holidays(packaged("holidays.csv").read_text(encoding="utf-8"))
"""By the list that comes with the package."""
