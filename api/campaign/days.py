"""The days of a campaign, and the instants that are drawn from them."""

from bisect import bisect_right
from datetime import date, timedelta
from itertools import accumulate

from api.campaign.tables import COLLECT_WEEK, Slot

DAY = 86_400
"""Seconds."""

_MINUTES = tuple(f"{hour:02}:{minute:02}:" for hour in range(24) for minute in range(60))
_SECONDS = tuple(f"{second:02}+07:00" for second in range(60))


class Calendar:
    """The campaign's days, numbered from 0; instants are seconds from the first midnight."""

    def __init__(self, start: date, end: date) -> None:
        count = (end - start).days + 1
        self.after_end = count * DAY
        # An answer or an activation may be drawn past the end: it is dropped then, but needs a weekday.
        self.weekday = [(start + timedelta(days=day)).weekday() for day in range(count + 60)]
        self._dates = [f"{start + timedelta(days=day)}T" for day in range(count)]
        self._slots: list[tuple[int, int, str]] = []
        weights: list[int] = []
        for day in range(count):
            # From 1 to 2.4 times the first day over two thirds of the time, then a plateau: a
            # steeper end would leave more dossiers waiting than the printed figure allows.
            ramp = 1000 + 1400 * min(3 * day, 2 * count) // (2 * count)
            for slot in COLLECT_WEEK[self.weekday[day]]:
                self._slots.append((day * DAY + slot.start, slot.length, slot.shift))
                weights.append(ramp * slot.weight)
        self._upto = list(accumulate(weights))

    def draw(self, chance: float, moment: float) -> tuple[int, str]:
        """An instant of collecting, and the shift it falls into."""
        start, length, shift = self._slots[bisect_right(self._upto, chance * self._upto[-1])]
        return start + int(moment * length), shift

    def draw_on(
        self, day: int, week: tuple[tuple[Slot, ...], ...], chance: float, moment: float
    ) -> tuple[int, str]:
        """An instant on a given day, and the shift it falls into."""
        slots = week[self.weekday[day]]
        slot = slots[int(chance * len(slots))]
        return day * DAY + slot.start + int(moment * slot.length), slot.shift

    def working_day(self, day: int, days_after: int) -> int:
        """The day that is so many working days after the given one. The campaign has no public holidays."""
        while days_after:
            day += 1
            days_after -= self.weekday[day] < 5
        return day

    def text(self, instant: int) -> str:
        day, second = divmod(instant, DAY)
        return self._dates[day] + _MINUTES[second // 60] + _SECONDS[second % 60]
