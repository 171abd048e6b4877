"""How often, when, where and by whom: the tables that a campaign is drawn from.

Each is spread over as many cells as its weights add up to, so that one random number
and one index draw from it.
"""

from collections.abc import Mapping
from typing import NamedTuple


def _spread(**weights: int) -> tuple[str, ...]:
    return tuple(value for value, weight in weights.items() for _ in range(weight))


def _hour(hours: int, minutes: int = 0) -> int:
    """In seconds, as everything here that is shorter than a day."""
    return hours * 3600 + minutes * 60


class Slot(NamedTuple):
    """A part of a day."""

    start: int
    """Seconds after midnight."""
    length: int
    """Seconds; exclusive."""
    shift: str
    weight: int


def _slots(*slots: tuple[int, int, str, int]) -> tuple[Slot, ...]:
    return tuple(Slot(start, end - start, shift, weight) for start, end, shift, weight in slots)


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
COLLECT_WEEK = (_COLLECT_WORKDAY,) * 5 + (_COLLECT_SATURDAY, _COLLECT_SUNDAY)

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


def _spread_week(week: tuple[tuple[Slot, ...], ...]) -> tuple[tuple[Slot, ...], ...]:
    return tuple(tuple(slot for slot in day for _ in range(slot.weight)) for day in week)


COLLECT_ON = _spread_week(COLLECT_WEEK)
ACTIVATE_ON = _spread_week(_ACTIVATE_WEEK)
ACTIVATE_LATE = Slot(_hour(17, 30), _hour(4), "evening", 1)
"""For those whom the other tables would let activate before the answer of that day."""

# C06 answers level 2 after 1 to 3 working days, level 1 on the same or the next.
ANSWER_DAYS_2 = (1,) * 45 + (2,) * 35 + (3,) * 20
ANSWER_DAYS_1 = (0,) * 60 + (1,) * 40
C06_OPEN, C06_NOON, C06_BREAK, C06_CLOSE = _hour(8), _hour(11, 30), _hour(2), _hour(17)
C06_WORK = C06_CLOSE - C06_OPEN - C06_BREAK
C06_LAST = _hour(15, 30)
"""What comes later is not answered on the same day."""

# Calendar days from the answer to the activation. Up to 6 is surely within the 7 days of
# the Decree whatever the hour, from 8 surely later.
ACTIVATE_DAYS = (
    *((0,) * 27 + (1,) * 27 + (2,) * 15 + (3,) * 9 + (4,) * 6 + (5,) * 5 + (6,) * 4),
    *(8, 10, 13, 17, 22, 28, 35),
)
# A refused citizen comes again, if at all, this many days after the refusal.
AGAIN_DAYS = (1, 1, 2, 2, 3, 4, 5, 7)

REJECTED_PER_10_000 = 52
"""A little over the 0.5 % of received, as the refusals of the last days fall after the end."""

NOT_AGAIN = 0.45
"""Of the refused, those who do not come again; some more come only after the end."""
HELPED = 0.45
"""Of the activations, those with an officer beside the citizen."""
ELSEWHERE = 0.04
"""Of the others, those that another commune of the district counts."""
NOTED = 0.003
NOTED_REJECTED = 0.3

LEVELS = (("1",),) * 9 + (("2",),) * 90 + (("1", "2"),)

PLACES = {
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
PLACES_1 = _spread(online=80, police_office=12, one_stop_office=8)
MOBILE = frozenset({"culture_house", "household", "school", "enterprise", "hospital"})
"""Where a mobile team goes; elsewhere the desk works without one."""
PARTNERS = {
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
NO_PARTNER = ("none",)

BORN = (
    *((1940, 1949),) * 4,
    *((1950, 1959),) * 10,
    *((1960, 1969),) * 16,
    *((1970, 1979),) * 18,
    *((1980, 1989),) * 22,
    *((1990, 1999),) * 18,
    *((2000, 2006),) * 9,
    *((2007, 2010),) * 3,
)
BORN_AT: Mapping[str, tuple[tuple[int, int], ...]] = {
    "school": ((2006, 2010),) * 9 + ((1970, 1999),),
    "enterprise": ((1972, 2005),),
    "household": ((1940, 1959),) * 3 + ((1960, 2010),) * 2,
}

OTHER_PROVINCES = ("01", "17", "30", "33", "34", "36", "37", "40", "44", "66", "68", "74", "75", "79")
SERIAL_MIN, SERIALS = 900_000, 100_000
"""The last six digits lie in one tenth of their range, so that invented numbers are told apart
at a glance. There is no check digit to get wrong: a real person may hold one of them by chance."""
PREFIXES = ("038",) * 88 + tuple(f"0{code}" for code in OTHER_PROVINCES[:12])
OFFICERS_C06 = tuple(f"c06-{number:03}" for number in range(1, 41))

REASONS = _spread(
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
NOTES_COLLECTED = (
    "Thu nhận tại nhà cho người cao tuổi",
    "Đi cùng người giám hộ",
    "Vân tay mờ, đã lấy lại",
    "Hẹn hỗ trợ kích hoạt sau khi có kết quả",
    "Công dân đi làm ăn xa, về thăm quê",
    "Làm cùng với cấp đổi thẻ căn cước",
)
NOTES_REJECTED = {
    "data_mismatch": "Thông tin chưa khớp cơ sở dữ liệu dân cư, đề nghị xác minh",
    "photo": "Ảnh mờ, đề nghị chụp lại",
    "fingerprint": "Vân tay không rõ, đề nghị lấy lại",
    "phone_owner": "Thuê bao chưa chính chủ",
    "card": "Thẻ đã hết hạn",
}
NOTES_ACTIVATED = (
    "Hướng dẫn cài ứng dụng và kích hoạt tại chỗ",
    "Đổi điện thoại mới trước khi kích hoạt",
    "Người nhà hỗ trợ thao tác",
)
