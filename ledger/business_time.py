"""Days and shifts as a police unit in Vietnam counts them."""

from datetime import date, datetime, time, timedelta, timezone
from typing import Literal

_OFFSET = timedelta(hours=7)
VIETNAM = timezone(_OFFSET, "Asia/Ho_Chi_Minh")
"""Asia/Ho_Chi_Minh. A fixed offset: the zone has had no other since 13 June 1975 (IANA tz database)."""

Shift = Literal["office", "evening", "night", "weekend"]

_DAY_BEGINS = time(7)
_OFFICE_ENDS = time(17)
_NIGHT_BEGINS = time(22, 30)


def business_day(instant: datetime) -> date:
    """Return the day in Vietnam on which *instant*, which has an offset, falls."""
    if instant.utcoffset() == _OFFSET:
        return instant.date()  # The usual case, in a third of the time.
    return instant.astimezone(VIETNAM).date()


def shift_of(instant: datetime) -> Shift:
    """Return the shift of *instant* by its time in Vietnam; bounds belong to the later shift.

    office: Monday to Friday 07:00-17:00; evening: Monday to Friday 17:00-22:30;
    night: 22:30-07:00 of any day; weekend: Saturday and Sunday 07:00-22:30.
    """
    local = instant.astimezone(VIETNAM)
    clock = local.time()
    if clock < _DAY_BEGINS or clock >= _NIGHT_BEGINS:
        return "night"
    if local.weekday() >= 5:
        return "weekend"
    return "office" if clock < _OFFICE_ENDS else "evening"
