"""Days and shifts as a unit in Vietnam counts them."""

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.business_time import VIETNAM, business_day, shift_of


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=VIETNAM)


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        ("2024-12-08T16:59:59.999999Z", date(2024, 12, 8)),
        ("2024-12-08T17:00:00Z", date(2024, 12, 9)),
        ("2024-12-09T00:00:00+07:00", date(2024, 12, 9)),
        ("2024-12-08T23:59:59+07:00", date(2024, 12, 8)),
        ("2024-12-08T12:30:00-05:00", date(2024, 12, 9)),
        ("2024-12-31T17:00:00Z", date(2025, 1, 1)),
    ],
)
def test_a_day_begins_at_midnight_in_vietnam(instant, day):
    """Whatever the offset in which an instant is written."""
    assert day == business_day(datetime.fromisoformat(instant))


@pytest.mark.parametrize(
    ("time", "shift"),
    [
        ("2024-12-09T06:59:59.999999", "night"),  # A Monday.
        ("2024-12-09T07:00:00", "office"),
        ("2024-12-09T16:59:59.999999", "office"),
        ("2024-12-09T17:00:00", "evening"),
        ("2024-12-09T22:29:59.999999", "evening"),
        ("2024-12-09T22:30:00", "night"),
        ("2024-12-10T00:00:00", "night"),
        ("2024-12-13T22:29:59", "evening"),  # A Friday.
        ("2024-12-13T22:30:00", "night"),
        ("2024-12-14T06:59:59", "night"),  # A Saturday.
        ("2024-12-14T07:00:00", "weekend"),
        ("2024-12-15T22:29:59", "weekend"),  # A Sunday.
        ("2024-12-15T22:30:00", "night"),
        ("2024-12-16T06:59:59", "night"),
        ("2024-12-16T07:00:00", "office"),
    ],
)
def test_a_bound_belongs_to_the_later_shift(time, shift):
    """As INTERFACES defines the shifts."""
    assert shift == shift_of(local(time))


INSTANTS = st.datetimes(
    min_value=datetime(1976, 1, 1),
    max_value=datetime(2100, 1, 1),
    timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)


@given(INSTANTS)
def test_vietnam_is_seven_hours_ahead(instant):
    """The fixed offset says what the time zone database says, and the written offset plays no part."""
    there = instant.astimezone(ZoneInfo("Asia/Ho_Chi_Minh"))
    assert there.date() == business_day(instant)
    assert business_day(instant) == business_day(instant.astimezone(UTC))
    assert shift_of(instant) == shift_of(there)
