"""A made-up campaign: invented citizens and reports in the real units of Thanh Hoá.

Nothing here is true but the units. The shape follows what is known of the peak
of late 2024 (baothanhhoa.vn 234081): 173,000 activated in the province by
9 December, 17,000 of them in Nga Sơn, much of it in the evening and at weekends.

No clock, no environment: the same Campaign gives the same rows, byte for byte,
in every process, locale and Python from 3.11 on. Therefore all chance is
``random.Random.random()``, the one method whose stream Python promises to keep;
weights are whole numbers; and neither ``sum()`` of floats (changed in 3.12) nor
the C library's ``exp`` and ``log`` come near a decision.

All times are Asia/Ho_Chi_Minh, which has had the fixed offset +07:00 since 1975.
"""

import csv
import json
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from functools import cache
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import NamedTuple, TextIO, TypeVar

NOTICE = (
    "Invented data in real units: no citizen, officer or event in it is real; should somebody hold"
    " one of its numbers, that is chance."
    " / Dữ liệu giả định trên đơn vị hành chính có thật: công dân, cán bộ và sự kiện đều không có"
    " thật; nếu số định danh trùng với của ai thì chỉ là ngẫu nhiên."
)
"""Whoever prints or hands on a campaign says this with it. It is not in the file,
which must stay a valid import file."""

COLUMNS = (
    "key",
    "type",
    "citizen",
    "level",
    "unit",
    "occurred_at",
    "actor",
    "place",
    "team",
    "partner",
    "residence_unit",
    "reason",
    "note",
)
"""The import file's columns, in the order of a row's fields."""

TYPES = ("collected", "approved", "rejected", "activated")
"""The types that occur, in the order of a dossier's life."""

DEFAULT_END = date(2024, 12, 9)
"""The day of the printed figures."""
DEFAULT_START = date(2024, 10, 1)
"""Ten weeks before: with the ramp below the last days, still waiting for C06 or for
the citizen, are then few enough for 86.5 % of the dossiers to be active at the end."""
TREE_END = date(2024, 12, 31)
"""The last day of the tree of 2024; a later event would name units that are gone."""
DOSSIERS_MAX = 4_000_000
"""More than the province has citizens of 14 and older. The invented numbers of the
most frequent birth year would become scarce some way above it."""

AHEAD = "401"
"""Huyện Nga Sơn, the district ahead of the others."""
ACTIVATED_PERMILLE = 865
"""Activated events by the end of the campaign per 1,000 dossiers: 173,000 of 200,000."""
AHEAD_ACTIVATED_PERMILLE = 85
"""Those of them in Nga Sơn, per 1,000 dossiers of the province: 17,000 of 200,000."""
AHEAD_DOSSIERS_PERMILLE = 97
"""Dossiers that Nga Sơn collects, per 1,000 of the province; two and a half times its share of people."""

T = TypeVar("T")

_DAY = 86_400

Row = tuple[str, str, str, str, str, str, str, str, str, str, str, str, str]
"""Thirteen strings in the order of COLUMNS; absent values are empty."""


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """What to invent.

    Raises:
        ValueError: It cannot be invented in the tree of 2024.
    """

    dossiers: int
    """How many citizens; each is collected at least once."""
    seed: int
    """0 or more."""
    start: date = DEFAULT_START
    """First day, inclusive."""
    end: date = DEFAULT_END
    """Last day, inclusive to 23:59:59. What falls later is not written: those dossiers are waiting.
    A campaign of less than about four weeks is too short to reach the activated share."""

    def __post_init__(self) -> None:
        if not 1 <= self.dossiers <= DOSSIERS_MAX:
            raise ValueError(f"dossiers must be from 1 to {DOSSIERS_MAX}, not {self.dossiers}")
        if self.seed < 0:  # Random(-1) and Random(1) are the same stream.
            raise ValueError(f"seed must be 0 or more, not {self.seed}")
        if self.start > self.end:
            raise ValueError(f"the campaign ends on {self.end}, before it starts on {self.start}")
        if self.end > TREE_END:
            raise ValueError(f"the units of a made-up campaign are valid to {TREE_END}, not to {self.end}")


class DistrictCount(NamedTuple):
    code: str
    name: str
    activated: int


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What was written, counted from the rows themselves."""

    rows: int
    by_type: Mapping[str, int]
    """Events of each type, in the order of a dossier's life."""
    districts: Sequence[DistrictCount]
    """Activated events of each of the 27 districts, by the acting unit; most first."""

    @property
    def activated(self) -> int:
        return self.by_type["activated"]


def made_up_name(campaign: Campaign, suffix: str = ".csv") -> str:
    """The file name that says what it is."""
    return f"made-up-campaign-{campaign.dossiers}-seed{campaign.seed}{suffix}"


# What the package data says.


def _data(name: str) -> list[dict[str, str]]:
    # Found, not imported: inventing rows needs no database driver and must not wait for one.
    ledger = find_spec("ledger")
    assert ledger is not None, "api is installed without ledger"
    assert ledger.submodule_search_locations is not None, ledger
    path = Path(next(iter(ledger.submodule_search_locations))) / "data" / name
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@cache
def districts() -> Mapping[str, str]:
    """The 27 districts of 2024: code to name."""
    return {unit["code"]: unit["name"] for unit in _data("units_2024.csv") if unit["level"] == "district"}


@cache
def communes() -> Mapping[str, str]:
    """The 558 communes of 2024: code to the code of their district."""
    return {
        unit["code"]: unit["parent_code"] for unit in _data("units_2024.csv") if unit["level"] == "commune"
    }


@cache
def populations() -> Mapping[str, int]:
    """An estimate in whole people for each commune of 2024.

    Known are the populations of the communes of July 2025. A commune of 2024 takes an
    even share of its successor's. One that was split among n successors claims 1/n of
    an ordinary commune's share in each, as the law gives the parts no numbers; land
    without people claims nothing. Where a successor's population is not available, or
    the successor is not known, it takes the mean of its district's known communes.
    """
    heirs: dict[str, list[str]] = defaultdict(list)
    for pair in _data("merge_2025.csv"):
        if pair["kind"] != "part_area_only":
            heirs[pair["old_code"]].append(pair["new_code"])
    successors = {pair["old_code"]: heirs[pair["new_code"]] for pair in _data("merge_2025-01-01.csv")}
    claims: dict[str, Fraction] = defaultdict(Fraction)
    for code in communes():
        for heir in successors[code]:
            claims[heir] += Fraction(1, len(successors[code]))
    people = {
        unit["code"]: int(unit["population"])
        for unit in _data("population_2025_communes.csv")
        if unit["quality"] == "ok"
    }
    shares: dict[str, Fraction] = {}
    of_district: dict[str, list[Fraction]] = defaultdict(list)
    for code, district in communes().items():
        if successors[code] and all(heir in people for heir in successors[code]):
            parts = [people[heir] / claims[heir] / len(successors[code]) for heir in successors[code]]
            shares[code] = sum(parts, Fraction())
            of_district[district].append(shares[code])
    means = {district: sum(known, Fraction()) / len(known) for district, known in of_district.items()}
    return {code: round(shares.get(code, means[district])) for code, district in communes().items()}


# The tables. Each is spread over as many cells as its weights add up to, so that one
# random number and one index draw from it.


def _spread(**weights: int) -> tuple[str, ...]:
    return tuple(value for value, weight in weights.items() for _ in range(weight))


def _hour(hours: int, minutes: int = 0) -> int:
    return hours * 3600 + minutes * 60


class _Slot(NamedTuple):
    start: int
    """Seconds after midnight."""
    length: int
    """Seconds; exclusive."""
    shift: str
    weight: int


def _slots(*slots: tuple[int, int, str, int]) -> tuple[_Slot, ...]:
    return tuple(_Slot(start, end - start, shift, weight) for start, end, shift, weight in slots)


# Weights of one working day add up to 100, so that Saturday's and Sunday's sums say how
# busy they are against it.
_COLLECT_WORKDAY = _slots(
    (_hour(7, 15), _hour(11, 30), "office", 34),
    (_hour(13, 30), _hour(17), "office", 26),
    (_hour(17), _hour(18), "evening", 3),
    (_hour(18), _hour(19), "evening", 8),
    (_hour(19), _hour(21), "evening", 20),
    (_hour(21), _hour(22), "evening", 5),
    (_hour(22), _hour(22, 30), "evening", 1),
    (_hour(22, 30), _hour(23, 45), "night", 3),
)
_COLLECT_SATURDAY = _slots(
    (_hour(7, 30), _hour(11, 30), "weekend", 40),
    (_hour(13, 30), _hour(17), "weekend", 28),
    (_hour(18), _hour(21, 30), "weekend", 23),
    (_hour(22, 30), _hour(23, 30), "night", 1),
)
_COLLECT_SUNDAY = _slots(
    (_hour(7, 30), _hour(11, 30), "weekend", 30),
    (_hour(14), _hour(17), "weekend", 20),
    (_hour(18), _hour(21, 30), "weekend", 17),
    (_hour(22, 30), _hour(23, 30), "night", 1),
)
_COLLECT_WEEK = (_COLLECT_WORKDAY,) * 5 + (_COLLECT_SATURDAY, _COLLECT_SUNDAY)

_ACTIVATE_WORKDAY = _slots(
    (_hour(6), _hour(7), "night", 3),
    (_hour(7), _hour(11, 30), "office", 20),
    (_hour(11, 30), _hour(13, 30), "office", 9),
    (_hour(13, 30), _hour(17), "office", 15),
    (_hour(17), _hour(19), "evening", 14),
    (_hour(19), _hour(21, 30), "evening", 30),
    (_hour(21, 30), _hour(22, 30), "evening", 6),
    (_hour(22, 30), _hour(23, 55), "night", 3),
)
_ACTIVATE_WEEKEND = _slots(
    (_hour(7), _hour(11, 30), "weekend", 32),
    (_hour(11, 30), _hour(17, 30), "weekend", 31),
    (_hour(17, 30), _hour(22), "weekend", 34),
    (_hour(22, 30), _hour(23, 55), "night", 3),
)
_ACTIVATE_WEEK = (_ACTIVATE_WORKDAY,) * 5 + (_ACTIVATE_WEEKEND,) * 2


def _spread_week(week: tuple[tuple[_Slot, ...], ...]) -> tuple[tuple[_Slot, ...], ...]:
    return tuple(tuple(slot for slot in day for _ in range(slot.weight)) for day in week)


_COLLECT_ON = _spread_week(_COLLECT_WEEK)
_ACTIVATE_ON = _spread_week(_ACTIVATE_WEEK)

# C06 answers level 2 after 1 to 3 working days, level 1 on the same or the next.
_ANSWER_DAYS_2 = (1,) * 45 + (2,) * 35 + (3,) * 20
_ANSWER_DAYS_1 = (0,) * 60 + (1,) * 40
_C06_OPEN, _C06_NOON, _C06_BREAK, _C06_CLOSE = _hour(8), _hour(11, 30), _hour(2), _hour(17)
_C06_LAST = _hour(15, 30)
"""What comes later is not answered on the same day."""

# Calendar days from the answer to the activation. Up to 6 is surely within the 7 days of
# the Decree whatever the hour, from 8 surely later.
_ACTIVATE_DAYS = (
    *((0,) * 27 + (1,) * 27 + (2,) * 15 + (3,) * 9 + (4,) * 6 + (5,) * 5 + (6,) * 4),
    *(8, 10, 13, 17, 22, 28, 35),
)
# A refused citizen comes again, if at all, this many days after the refusal.
_AGAIN_DAYS = (1, 1, 2, 2, 3, 4, 5, 7)

_REJECTED_PER_10_000 = 52
"""A little over the 0.5 % of received, as the refusals of the last days fall after the end."""

_NOT_AGAIN = 0.45
"""Of the refused, those who do not come again; some more come only after the end."""
_HELPED = 0.45
"""Of the activations, those with an officer beside the citizen."""
_ELSEWHERE = 0.04
"""Of the others, those that another commune of the district counts."""
_NOTED = 0.003
_NOTED_REJECTED = 0.3

_LEVELS = (("1",),) * 9 + (("2",),) * 90 + (("1", "2"),)

_PLACES = {
    "office": _spread(
        police_office=46,
        one_stop_office=14,
        school=14,
        enterprise=10,
        culture_house=8,
        household=5,
        hospital=2,
        other=1,
    ),
    "evening": _spread(culture_house=52, police_office=22, household=17, enterprise=7, other=2),
    "night": _spread(household=55, police_office=25, enterprise=20),
    "weekend": _spread(culture_house=46, police_office=28, household=18, enterprise=5, hospital=2, other=1),
}
_PLACES_1 = _spread(online=80, police_office=12, one_stop_office=8)
_MOBILE = frozenset({"culture_house", "household", "school", "enterprise", "hospital"})
"""Where a mobile team goes; elsewhere the desk works without one."""
_PARTNERS = {
    "culture_house": _spread(
        youth_union=25,
        project06_team=22,
        womens_union=15,
        digital_team=15,
        elderly_association=7,
        veterans=6,
        volunteers=5,
        none=5,
    ),
    "household": _spread(
        elderly_association=22, project06_team=22, womens_union=20, digital_team=14, veterans=10, none=12
    ),
    "school": _spread(youth_union=60, volunteers=10, none=30),
    "enterprise": _spread(digital_team=25, youth_union=20, none=55),
    "hospital": _spread(volunteers=30, womens_union=10, none=60),
    "one_stop_office": _spread(digital_team=20, youth_union=15, none=65),
}
_NO_PARTNER = ("none",)

_BORN = (
    *((1940, 1949),) * 4,
    *((1950, 1959),) * 10,
    *((1960, 1969),) * 16,
    *((1970, 1979),) * 18,
    *((1980, 1989),) * 22,
    *((1990, 1999),) * 18,
    *((2000, 2006),) * 9,
    *((2007, 2010),) * 3,
)
_BORN_AT: Mapping[str, tuple[tuple[int, int], ...]] = {
    "school": ((2006, 2010),) * 9 + ((1970, 1999),),
    "enterprise": ((1972, 2005),),
    "household": ((1940, 1959),) * 3 + ((1960, 2010),) * 2,
}

_OTHER_PROVINCES = ("01", "17", "30", "33", "34", "36", "37", "40", "44", "66", "68", "74", "75", "79")
_SERIAL_MIN, _SERIALS = 900_000, 100_000
"""The last six digits lie in one tenth of their range, so that invented numbers are told apart
at a glance. There is no check digit to get wrong: a real person may hold one of them by chance."""
_PREFIXES = ("038",) * 88 + tuple(f"0{code}" for code in _OTHER_PROVINCES[:12])
_OFFICERS_C06 = tuple(f"c06-{number:03}" for number in range(1, 41))

_REASONS = _spread(
    data_mismatch=36,
    photo=18,
    face=12,
    fingerprint=11,
    phone_owner=9,
    phone_number=5,
    card=6,
    duplicate=2,
    other=1,
)
_NOTES_COLLECTED = (
    "Thu nhận tại nhà cho người cao tuổi",
    "Đi cùng người giám hộ",
    "Vân tay mờ, đã lấy lại",
    "Hẹn hỗ trợ kích hoạt sau khi có kết quả",
    "Công dân đi làm ăn xa, về thăm quê",
    "Làm cùng với cấp đổi thẻ căn cước",
)
_NOTES_REJECTED = {
    "data_mismatch": "Thông tin chưa khớp cơ sở dữ liệu dân cư, đề nghị xác minh",
    "photo": "Ảnh mờ, đề nghị chụp lại",
    "fingerprint": "Vân tay không rõ, đề nghị lấy lại",
    "phone_owner": "Thuê bao chưa chính chủ",
    "card": "Thẻ đã hết hạn",
}
_NOTES_ACTIVATED = (
    "Hướng dẫn cài ứng dụng và kích hoạt tại chỗ",
    "Đổi điện thoại mới trước khi kích hoạt",
    "Người nhà hỗ trợ thao tác",
)


class _Commune(NamedTuple):
    code: str
    officers: tuple[str, ...]
    teams: tuple[str, ...]
    neighbours: tuple[str, ...]
    """The communes of the same district, itself among them."""


class _Work(NamedTuple):
    """Where, and with whom, something was done."""

    place: str
    team: str
    partner: str


_NOWHERE = _Work("", "", "")
"""C06 answers from its desk, and a citizen's own telephone does not say where it is."""


class _Lot:
    """The communes of a group of districts, drawn in proportion to their people."""

    def __init__(self, codes: Iterable[str]) -> None:
        of_district: dict[str, list[str]] = defaultdict(list)
        for code, district in communes().items():
            of_district[district].append(code)
        people = populations()
        self._communes = [
            _Commune(
                code,
                tuple(f"th-{code}-{number:02}" for number in range(1, 4 + people[code] // 4_000)),
                (f"{code}-to-1", f"{code}-to-2"),
                tuple(of_district[communes()[code]]),
            )
            for code in codes
        ]
        self._upto = list(accumulate(people[commune.code] for commune in self._communes))

    def draw(self, chance: float) -> _Commune:
        return self._communes[bisect_right(self._upto, chance * self._upto[-1])]


_MINUTES = tuple(f"{hour:02}:{minute:02}:" for hour in range(24) for minute in range(60))
_SECONDS = tuple(f"{second:02}+07:00" for second in range(60))


class _Calendar:
    """The campaign's days, numbered from 0; instants are seconds from the first midnight."""

    def __init__(self, start: date, end: date) -> None:
        count = (end - start).days + 1
        self.after_end = count * _DAY
        # An answer or an activation may be drawn past the end: it is dropped then, but needs a weekday.
        self.weekday = [(start + timedelta(days=day)).weekday() for day in range(count + 60)]
        self._dates = [f"{start + timedelta(days=day)}T" for day in range(count)]
        self._slots: list[tuple[int, int, str]] = []
        weights: list[int] = []
        for day in range(count):
            # From 1 to 2.4 times the first day over two thirds of the time, then a plateau: a
            # steeper end would leave more dossiers waiting than the printed figure allows.
            ramp = 1000 + 1400 * min(3 * day, 2 * count) // (2 * count)
            for slot in _COLLECT_WEEK[self.weekday[day]]:
                self._slots.append((day * _DAY + slot.start, slot.length, slot.shift))
                weights.append(ramp * slot.weight)
        self._upto = list(accumulate(weights))

    def draw(self, chance: float, moment: float) -> tuple[int, str]:
        """An instant of collecting, and the shift it falls into."""
        start, length, shift = self._slots[bisect_right(self._upto, chance * self._upto[-1])]
        return start + int(moment * length), shift

    def draw_on(
        self, day: int, week: tuple[tuple[_Slot, ...], ...], chance: float, moment: float
    ) -> tuple[int, str]:
        """An instant on a given day, and the shift it falls into."""
        slots = week[self.weekday[day]]
        slot = slots[int(chance * len(slots))]
        return day * _DAY + slot.start + int(moment * slot.length), slot.shift

    def working_day(self, day: int, days_after: int) -> int:
        """The day that is so many working days after the given one. The campaign has no public holidays."""
        while days_after:
            day += 1
            days_after -= self.weekday[day] < 5
        return day

    def text(self, instant: int) -> str:
        day, second = divmod(instant, _DAY)
        return self._dates[day] + _MINUTES[second // 60] + _SECONDS[second % 60]


_Event = tuple[int, str, int, Row]
"""(instant, citizen, step), which are unique and the order of the file; and the row itself."""


class _Life:
    """One citizen's events as they are drawn; knows the number of the next key."""

    def __init__(
        self, number: int, citizen: str, commune: _Commune, residence: str, calendar: _Calendar
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
        self._calendar = _Calendar(campaign.start, campaign.end)
        self._ahead = _Lot(code for code, district in communes().items() if district == AHEAD)
        self._others = _Lot(code for code, district in communes().items() if district != AHEAD)
        self._everywhere = _Lot(communes())
        self._citizens: set[str] = set()
        self.done: list[_Event] = []
        self.hoped: dict[bool, list[_Event]] = {True: [], False: []}

    def dossier(self, number: int) -> None:
        chance = self._chance
        # Every so-many-th dossier is Nga Sơn's: an exact share, spread evenly over the numbers.
        ahead = number * AHEAD_DOSSIERS_PERMILLE % 1000 < AHEAD_DOSSIERS_PERMILLE
        commune = (self._ahead if ahead else self._others).draw(chance())
        levels = _LEVELS[int(chance() * 100)]
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
        if answered < end and self._chance() * 10_000 < _REJECTED_PER_10_000:
            self._rejected(life, level, answered)
            if self._chance() < _NOT_AGAIN:
                return
            day = answered // _DAY + self._pick(_AGAIN_DAYS)
            instant, shift = self._calendar.draw_on(day, _COLLECT_ON, self._chance(), self._chance())
            if instant >= end:
                return
            self._collected(life, level, instant, self._place(level, shift))
            answered = self._answer(level, instant)
        if answered < end:
            self.done.append(life.event("approved", level, answered, actor=self._pick(_OFFICERS_C06)))
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
            note=self._pick(_NOTES_COLLECTED) if self._chance() < _NOTED else "",
        )
        self.done.append(event)

    def _rejected(self, life: _Life, level: str, answered: int) -> None:
        reason = self._pick(_REASONS)
        note = _NOTES_REJECTED.get(reason, "") if self._chance() < _NOTED_REJECTED else ""
        officer = self._pick(_OFFICERS_C06)
        self.done.append(life.event("rejected", level, answered, actor=officer, reason=reason, note=note))

    def _activated(self, life: _Life, level: str, approved: int, *, ahead: bool) -> None:
        day = approved // _DAY + self._pick(_ACTIVATE_DAYS)
        instant, shift = self._calendar.draw_on(day, _ACTIVATE_ON, self._chance(), self._chance())
        if instant <= approved:
            # Too early for the answer of that day: in the evening instead.
            instant, shift = day * _DAY + _hour(17, 30) + int(self._chance() * _hour(4)), "evening"
        if instant >= self._calendar.after_end:
            return
        commune, actor, unit, work = life.commune, "self", life.commune.code, _NOWHERE
        if self._chance() < _HELPED:
            actor, work = self._pick(commune.officers), self._work(commune, self._pick(_PLACES[shift]))
        elif self._chance() < _ELSEWHERE:
            unit = self._pick(commune.neighbours)
        note = self._pick(_NOTES_ACTIVATED) if self._chance() < _NOTED else ""
        event = life.event("activated", level, instant, actor=actor, unit=unit, work=work, note=note)
        self.hoped[ahead].append(event)

    def _answer(self, level: str, collected: int) -> int:
        """When C06 answers: in its office hours, after 1 to 3 working days, level 1 after at most one."""
        day, second = divmod(collected, _DAY)
        days = self._pick(_ANSWER_DAYS_1 if level == "1" else _ANSWER_DAYS_2)
        if days == 0:
            if self._calendar.weekday[day] < 5 and _C06_OPEN <= second < _C06_LAST:
                return collected + 600 + int(self._chance() * (_C06_CLOSE - collected % _DAY - 600))
            days = 1
        second = _C06_OPEN + int(self._chance() * (_C06_CLOSE - _C06_OPEN - _C06_BREAK))
        if second >= _C06_NOON:
            second += _C06_BREAK
        return self._calendar.working_day(day, days) * _DAY + second

    def _place(self, level: str, shift: str) -> str:
        return self._pick(_PLACES_1 if level == "1" else _PLACES[shift])

    def _work(self, commune: _Commune, place: str) -> _Work:
        team = self._pick(commune.teams) if place in _MOBILE else ""
        return _Work(place, team, self._pick(_PARTNERS.get(place, _NO_PARTNER)))

    def _residence(self, commune: _Commune) -> str:
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
        return self._pick(_OTHER_PROVINCES)

    def _citizen(self, place: str) -> str:
        """A number of the Decree's structure that nobody in this campaign has yet."""
        first, last = self._pick(_BORN_AT.get(place, _BORN))
        year = first + int(self._chance() * (last - first + 1))
        while True:
            sex = int(self._chance() * 2) + (2 if year >= 2000 else 0)
            serial = _SERIAL_MIN + int(self._chance() * _SERIALS)
            citizen = f"{self._pick(_PREFIXES)}{sex}{year % 100:02}{serial}"
            if citizen not in self._citizens:
                self._citizens.add(citizen)
                return citizen

    def _pick(self, table: Sequence[T]) -> T:
        return table[int(self._chance() * len(table))]


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


def write(rows: Iterable[Row], path: str | Path) -> Summary:
    """Write an import file: CSV for ``.csv``, NDJSON for ``.ndjson`` or ``.jsonl``; UTF-8, lines end in LF.

    The file appears under its name only when it is complete, and replaces another of
    that name; a crash leaves at most ``<name>.part``. NDJSON omits what is empty and
    has the level as a number.

    Raises:
        ValueError: Another suffix; no row was asked for.
        OSError: The file cannot be written.
    """
    path = Path(path)
    write_rows = _WRITERS.get(path.suffix.lower())
    if write_rows is None:
        raise ValueError(f"{path.name} must end in {', '.join(_WRITERS)}")
    counting = _Counting()
    part = path.with_name(f"{path.name}.part")
    with part.open("w", encoding="utf-8", newline="") as file:
        write_rows(counting.through(rows), file)
    part.replace(path)
    return counting.summary()


class _Counting:
    def __init__(self) -> None:
        self._types: Counter[str] = Counter()
        self._activated: Counter[str] = Counter()

    def through(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            self._types[row[1]] += 1
            if row[1] == "activated":
                self._activated[row[4]] += 1
            yield row

    def summary(self) -> Summary:
        of_district: Counter[str] = Counter()
        for unit, count in self._activated.items():
            of_district[communes()[unit]] += count
        counts = [DistrictCount(code, name, of_district[code]) for code, name in districts().items()]
        return Summary(
            rows=self._types.total(),
            by_type={type_: self._types[type_] for type_ in TYPES},
            districts=tuple(sorted(counts, key=lambda count: (-count.activated, count.code))),
        )


def _write_csv(rows: Iterable[Row], file: TextIO) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)


def _write_ndjson(rows: Iterable[Row], file: TextIO) -> None:
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    for row in rows:
        fields: dict[str, str | int] = {
            name: value for name, value in zip(COLUMNS, row, strict=True) if value
        }
        fields["level"] = int(row[3])
        file.write(encode(fields) + "\n")


_WRITERS: Mapping[str, Callable[[Iterable[Row], TextIO], None]] = {
    ".csv": _write_csv,
    ".ndjson": _write_ndjson,
    ".jsonl": _write_ndjson,
}
