"""One citizen's life after the other, drawn by chance, and the campaign that they add up to."""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import NamedTuple, TypeVar

from api.campaign import tables
from api.campaign.days import DAY, Calendar
from api.campaign.files import Row
from api.campaign.plan import (
    ACTIVATED_PERMILLE,
    AHEAD,
    AHEAD_ACTIVATED_PERMILLE,
    AHEAD_DOSSIERS_PERMILLE,
    Campaign,
)
from api.campaign.units import Commune, Lot, communes

T = TypeVar("T")


def simulate(campaign: Campaign, *, on_progress: Callable[[int], None] | None = None) -> Iterator[Row]:
    """The campaign's rows in the order of COLUMNS, sorted by instant, citizen and lifecycle.

    Every row is lawful after those before it. Nothing is drawn until the first row is
    asked for, and then everything, as the rows must be sorted: some seconds and 250 MB
    for 200,000 dossiers, which make about 2.85 rows each. ``on_progress`` is told how
    many dossiers have been drawn, every thousand and at the end.
    """
    drawing = _Drawing(campaign)
    for number in range(1, campaign.dossiers + 1):
        drawing.dossier(number)
        if on_progress and (number % 1000 == 0 or number == campaign.dossiers):
            on_progress(number)
    drawing.activate()
    yield from drawing.rows()


class _Work(NamedTuple):
    """Where, and with whom, something was done."""

    place: str
    team: str
    partner: str


_NOWHERE = _Work("", "", "")
"""C06 answers from its desk, and a citizen's own telephone does not say where it is."""

_Event = tuple[int, str, int, Row]
"""(instant, citizen, step), which are unique and the order of the file; and the row itself."""


class _Life:
    """One citizen's events as they are drawn; knows the number of the next key."""

    def __init__(
        self, number: int, citizen: str, commune: Commune, residence: str, calendar: Calendar
    ) -> None:
        self._calendar = calendar
        self._number = number
        self._citizen = citizen
        self._step = 0
        self.commune = commune
        self.residence = residence

    def event(
        self,
        type_: str,
        level: str,
        instant: int,
        *,
        actor: str,
        unit: str = "",
        work: _Work = _NOWHERE,
        residence: str = "",
        reason: str = "",
        note: str = "",
    ) -> _Event:
        self._step += 1
        key = f"{type_[:2]}-{self._number:07}-{self._step}"
        place, team, partner = work
        time, citizen = self._calendar.text(instant), self._citizen
        row = (key, type_, citizen, level, unit, time, actor, place, team, partner, residence, reason, note)
        return instant, citizen, self._step, row


class _Drawing:
    """One pass over the dossiers.

    ``done`` are the events that happen. ``hoped`` are the activations that would happen
    before the end if everybody activated sooner or later, those of Nga Sơn apart: some
    of them never do, and how many is known only when all have been drawn.
    """

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        self._chance = Random(campaign.seed).random  # noqa: S311  # It must repeat, not surprise.
        self._calendar = Calendar(campaign.start, campaign.end)
        self._ahead = Lot(code for code, district in communes().items() if district == AHEAD)
        self._others = Lot(code for code, district in communes().items() if district != AHEAD)
        self._everywhere = Lot(communes())
        self._citizens: set[str] = set()
        self.done: list[_Event] = []
        self.hoped: dict[bool, list[_Event]] = {True: [], False: []}

    def dossier(self, number: int) -> None:
        chance = self._chance
        # Every so-many-th dossier is Nga Sơn's: an exact share, spread evenly over the numbers.
        ahead = number * AHEAD_DOSSIERS_PERMILLE % 1000 < AHEAD_DOSSIERS_PERMILLE
        commune = (self._ahead if ahead else self._others).draw(chance())
        levels = tables.LEVELS[int(chance() * 100)]
        times = sorted(self._calendar.draw(chance(), chance()) for _ in levels)
        places = [self._place(level, shift) for level, (_, shift) in zip(levels, times, strict=True)]
        life = _Life(number, self._citizen(places[-1]), commune, self._residence(commune), self._calendar)
        for level, (instant, _), place in zip(levels, times, places, strict=True):
            self._application(life, level, instant, place, ahead=ahead)

    def activate(self) -> None:
        """Decides who of the hopeful activates, so that the campaign's figures come out."""
        quota = {True: AHEAD_ACTIVATED_PERMILLE, False: ACTIVATED_PERMILLE - AHEAD_ACTIVATED_PERMILLE}
        for ahead, events in self.hoped.items():
            share = self._campaign.dossiers * quota[ahead] / 1000 / max(1, len(events))
            self.done += [event for event in events if self._chance() < share]

    def rows(self) -> Iterator[Row]:
        self.done.sort()
        return (row for _, _, _, row in self.done)

    def _application(self, life: _Life, level: str, instant: int, place: str, *, ahead: bool) -> None:
        """Collected and answered; after a refusal perhaps collected once more and then approved."""
        end = self._calendar.after_end
        self._collected(life, level, instant, place)
        answered = self._answer(level, instant)
        if answered < end and self._chance() * 10_000 < tables.REJECTED_PER_10_000:
            self._rejected(life, level, answered)
            if self._chance() < tables.NOT_AGAIN:
                return
            day = answered // DAY + self._pick(tables.AGAIN_DAYS)
            instant, shift = self._calendar.draw_on(day, tables.COLLECT_ON, self._chance(), self._chance())
            if instant >= end:
                return
            self._collected(life, level, instant, self._place(level, shift))
            answered = self._answer(level, instant)
        if answered < end:
            self.done.append(life.event("approved", level, answered, actor=self._pick(tables.OFFICERS_C06)))
            self._activated(life, level, answered, ahead=ahead)

    def _collected(self, life: _Life, level: str, instant: int, place: str) -> None:
        event = life.event(
            "collected",
            level,
            instant,
            actor="self" if place == "online" else self._pick(life.commune.officers),
            unit=life.commune.code,
            work=self._work(life.commune, place),
            residence=life.residence,
            note=self._pick(tables.NOTES_COLLECTED) if self._chance() < tables.NOTED else "",
        )
        self.done.append(event)

    def _rejected(self, life: _Life, level: str, answered: int) -> None:
        reason = self._pick(tables.REASONS)
        note = tables.NOTES_REJECTED.get(reason, "") if self._chance() < tables.NOTED_REJECTED else ""
        officer = self._pick(tables.OFFICERS_C06)
        self.done.append(life.event("rejected", level, answered, actor=officer, reason=reason, note=note))

    def _activated(self, life: _Life, level: str, approved: int, *, ahead: bool) -> None:
        day = approved // DAY + self._pick(tables.ACTIVATE_DAYS)
        instant, shift = self._calendar.draw_on(day, tables.ACTIVATE_ON, self._chance(), self._chance())
        if instant <= approved:
            # Too early for the answer of that day: in the evening instead.
            late = tables.ACTIVATE_LATE
            instant, shift = day * DAY + late.start + int(self._chance() * late.length), late.shift
        if instant >= self._calendar.after_end:
            return
        commune, actor, unit, work = life.commune, "self", life.commune.code, _NOWHERE
        if self._chance() < tables.HELPED:
            actor, work = self._pick(commune.officers), self._work(commune, self._pick(tables.PLACES[shift]))
        elif self._chance() < tables.ELSEWHERE:
            unit = self._pick(commune.neighbours)
        note = self._pick(tables.NOTES_ACTIVATED) if self._chance() < tables.NOTED else ""
        event = life.event("activated", level, instant, actor=actor, unit=unit, work=work, note=note)
        self.hoped[ahead].append(event)

    def _answer(self, level: str, collected: int) -> int:
        """When C06 answers: in its office hours, after 1 to 3 working days, level 1 after at most one."""
        day, second = divmod(collected, DAY)
        days = self._pick(tables.ANSWER_DAYS_1 if level == "1" else tables.ANSWER_DAYS_2)
        if days == 0:
            if self._calendar.weekday[day] < 5 and tables.C06_OPEN <= second < tables.C06_LAST:
                return collected + 600 + int(self._chance() * (tables.C06_CLOSE - collected % DAY - 600))
            days = 1
        second = tables.C06_OPEN + int(self._chance() * tables.C06_WORK)
        if second >= tables.C06_NOON:
            second += tables.C06_BREAK
        return self._calendar.working_day(day, days) * DAY + second

    def _place(self, level: str, shift: str) -> str:
        return self._pick(tables.PLACES_1 if level == "1" else tables.PLACES[shift])

    def _work(self, commune: Commune, place: str) -> _Work:
        team = self._pick(commune.teams) if place in tables.MOBILE else ""
        return _Work(place, team, self._pick(tables.PARTNERS.get(place, tables.NO_PARTNER)))

    def _residence(self, commune: Commune) -> str:
        """Mostly not said or here; level 2 is collected wherever the citizen comes."""
        chance = self._chance()
        if chance < 0.58:
            return ""
        if chance < 0.94:
            return commune.code
        if chance < 0.965:
            return self._pick(commune.neighbours)
        if chance < 0.985:
            return self._everywhere.draw(self._chance()).code
        return self._pick(tables.OTHER_PROVINCES)

    def _citizen(self, place: str) -> str:
        """A number of the Decree's structure that nobody in this campaign has yet."""
        first, last = self._pick(tables.BORN_AT.get(place, tables.BORN))
        year = first + int(self._chance() * (last - first + 1))
        while True:
            sex = int(self._chance() * 2) + (2 if year >= 2000 else 0)
            serial = tables.SERIAL_MIN + int(self._chance() * tables.SERIALS)
            citizen = f"{self._pick(tables.PREFIXES)}{sex}{year % 100:02}{serial}"
            if citizen not in self._citizens:
                self._citizens.add(citizen)
                return citizen

    def _pick(self, table: Sequence[T]) -> T:
        return table[int(self._chance() * len(table))]
