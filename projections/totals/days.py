"""Of which sums a span of days is made: whole months, pentads and days."""

from datetime import date, timedelta

import msgspec

from ledger.checks import DAY_MIN
from ledger.errors import FieldInvalidError
from projections.hierarchies import LAST_DAY
from projections.unit_totals import pentad_of


class Parted(msgspec.Struct):
    """Of which sums the events of some days are the sum."""

    month_from: date
    month_to: date
    """Whole months, a half-open interval."""
    pentads: list[date] = []
    """First days of pentads that are added to them,"""
    pentads_off: list[date] = []
    """and of those that are taken off again."""
    days: list[date] = []
    days_off: list[date] = []

    @property
    def in_months(self) -> bool:
        return not (self.pentads or self.pentads_off or self.days or self.days_off)


def parted(first: date, after_last: date) -> Parted:
    """Return of what the days of a half-open interval are made: as few sums as that takes, or nearly so."""
    month_from, month_to = first.replace(day=1), after_last.replace(day=1)
    tail_end = month_to if month_to == after_last else _next_month(month_to)
    if month_from == month_to:
        if 2 * (after_last - first).days > (tail_end - month_from).days:
            # All but some days of one month.
            parts = Parted(month_from, tail_end)
            _take(parts, month_from, first, -1)
            _take(parts, after_last, tail_end, -1)
            return parts
        parts = Parted(first, first)
        _take(parts, first, after_last, 1)
        return parts
    head_end = month_from if month_from == first else _next_month(month_from)
    parts = Parted(head_end, month_to)
    if first - month_from < head_end - first:
        parts.month_from = month_from
        _take(parts, month_from, first, -1)
    else:
        _take(parts, first, head_end, 1)
    if tail_end - after_last < after_last - month_to:
        parts.month_to = tail_end
        _take(parts, after_last, tail_end, -1)
    else:
        _take(parts, month_to, after_last, 1)
    return parts


def _take(parts: Parted, first: date, after: date, sign: int) -> None:
    """Add days of one month, a half-open interval, or take them off: by pentads, and by days at their ends."""
    month = first.replace(day=1)
    starts = [day for day in days_of(month) if pentad_of(day) == day] + [_next_month(month)]
    begin = min(starts, key=lambda start: abs(start - first))
    end = min(starts, key=lambda start: abs(start - after))
    pentads = [start for start in starts if begin <= start < end]
    over = _days(first, begin) + _days(end, after)
    under = _days(begin, first) + _days(after, end)
    if len(pentads) + len(over) + len(under) >= (after - first).days:
        pentads, over, under = [], _days(first, after), []
    for target, target_off, these, those in (
        (parts.pentads, parts.pentads_off, pentads, []),
        (parts.days, parts.days_off, over, under),
    ):
        (target if sign > 0 else target_off).extend(these)
        (target_off if sign > 0 else target).extend(those)


def _days(first: date, after: date) -> list[date]:
    return [first + timedelta(number) for number in range((after - first).days)]


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def days_of(month: date) -> list[date]:
    """Return all days of the month that begins on a day."""
    return _days(month, _next_month(month))


def period_before(first: date, last: date) -> tuple[date, date]:
    """Return the days of the period before: as many months where these are whole ones, else as many days.

    Raises:
        FieldInvalidError: It would begin before all days that the ledger knows.
    """
    if last >= LAST_DAY or last - first >= first - DAY_MIN:
        raise FieldInvalidError("compare", f"as many days before {first} would begin before {DAY_MIN}")
    after = last + timedelta(1)
    if first.day == after.day == 1:
        months = 12 * (after.year - first.year) + after.month - first.month
        year, month = divmod(12 * first.year + first.month - 1 - months, 12)
        return date(year, month + 1, 1), first - timedelta(1)
    return first - (after - first), first - timedelta(1)
