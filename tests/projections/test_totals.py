"""The questions that totals answer: what the rows are, what bounds them, and when there is no answer."""

import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import Activate, Approve, Collect, Ledger
from ledger.checks import DAY_MAX, DAY_MIN
from ledger.database import Database
from ledger.errors import FieldInvalidError, StoreNotReadyError, UnitNotValidError, UnitUnknownError
from ledger.migrations import migrate
from projections import NotCaughtUpError, Totals, TotalsQuery, catch_up, freeze_report, open_totals
from projections.totals import parted
from projections.unit_totals import pentad_of
from tests.projections.by_hand import EVENTS, MEASURES

TUESDAY = datetime.fromisoformat("2024-10-01T09:00:00+07:00")
BYS = ("unit", "level", "day", "place", "shift", "partner")

EVERY_DAY = [date(2023, 10, 1) + timedelta(day) for day in range(400)]
"""Far enough around the days that are asked for."""


class Desk:
    """Records reports of one citizen after the other, and has them counted."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.citizens = 0

    def collect(self, unit: str, at: datetime = TUESDAY, *, level: int = 2, **fields) -> str:
        self.citizens += 1
        citizen = f"{self.citizens:012}"
        self.then(Collect, citizen, at, level=level, unit=unit, **fields)
        return citizen

    def then(self, kind: type, citizen: str, at: datetime = TUESDAY, *, level: int = 2, **fields) -> int:
        key = f"{kind.TYPE}-{level}"
        command = kind(key=key, citizen=citizen, level=level, occurred_at=at, actor="o", **fields)
        position = self.ledger.record(command).position
        assert position == catch_up(self.ledger.database)
        return position


@pytest.fixture
def desk(ledger: Ledger) -> Desk:
    return Desk(ledger)


def collected(totals: Totals, **query) -> dict:
    """Return how many were collected, by what the rows are; the rows of units by their codes."""
    by = query.get("by", "unit")
    rows = totals.read(TotalsQuery(**query)).rows
    return {row[by]["code"] if by == "unit" else row[by]: row["collected"] for row in rows}


def told(row: dict) -> dict[str, int]:
    return {measure: row[measure] for measure in MEASURES if row[measure]}


# What the rows are.


def test_province_lists_districts(totals, desk):
    """A province lists its 27 districts by code, each with everything under it, zeros too."""
    desk.collect("16093")
    desk.collect("16096")
    desk.collect("14758")
    districts = collected(totals, unit="38")

    assert sorted(districts) == list(districts)
    assert 27 == len(districts)
    assert {"380": 1, "401": 2} == {code: count for code, count in districts.items() if count}


def test_district_lists_communes(totals, desk):
    """A district lists its communes, zeros too: a chief wants to see who has done nothing."""
    desk.collect("16096")
    rows = totals.read(TotalsQuery(unit="401")).rows

    assert 24 == len(rows)
    assert [
        {"unit": {"code": "16093", "name": "Thị trấn Nga Sơn", "level": "commune"}}
        | dict.fromkeys(MEASURES, 0),
        {"collected": 1, "awaiting_approval": 1},
    ] == [rows[0], told(rows[1])]


def test_commune_lists_itself(totals, desk):
    """A commune, which has nothing under it, is its own row."""
    desk.collect("16093")
    desk.collect("16096")

    assert {"16093": 1} == collected(totals, unit="16093")


def test_recorded_at_the_district_itself(totals, desk):
    """What a district recorded itself is a row of its own code among its communes; so rows sum to sum."""
    desk.collect("401")
    desk.collect("16093")
    answer = totals.read(TotalsQuery(unit="401"))

    assert {"401": 1, "16093": 1} == {code: n for code, n in collected(totals, unit="401").items() if n}
    assert {"collected": 2, "awaiting_approval": 2} == told(answer.sum)
    assert {"401": 2} == {code: n for code, n in collected(totals, unit="38").items() if n}


def test_whole_ledger_lists_provinces(totals, desk):
    """Without a unit the rows are the units that stand under none."""
    desk.collect("16093")
    desk.collect("38")

    assert {"38": 2} == collected(totals)


def test_every_by(totals, desk):
    """The rows of each way to ask, and nothing in them but their key and the measures."""
    desk.collect("16093", place="school", partner="veterans")
    citizen = desk.collect("16096", TUESDAY + timedelta(hours=10), level=1)
    desk.then(Approve, citizen, TUESDAY + timedelta(days=4), level=1)
    rows = {by: totals.read(TotalsQuery(unit="401", by=by)).rows for by in BYS}

    assert {by: {by, *MEASURES} for by in BYS} == {by: set(rows[by][0]) for by in BYS}
    assert {1: 1, 2: 1} == collected(totals, by="level")
    assert {date(2024, 10, 1): 2, date(2024, 10, 5): 0} == collected(totals, by="day")
    assert {"other": 1, "school": 1} == collected(totals, by="place")
    assert {"evening": 1, "office": 1, "weekend": 0} == collected(totals, by="shift")
    assert {"none": 1, "veterans": 1} == collected(totals, by="partner")
    assert [{"approved": 1, "awaiting_activation": 1}] == [
        told(row) for row in rows["day"] if row["day"] == date(2024, 10, 5)
    ]


def test_approved_at_another_unit(totals, desk):
    """The approval is the approving unit's; the dossier waits at the unit that collected it."""
    citizen = desk.collect("16093")
    desk.then(Approve, citizen, unit="14758")
    districts = {
        row["unit"]["code"]: told(row) for row in totals.read(TotalsQuery(unit="38")).rows if told(row)
    }

    assert {"380": {"approved": 1}, "401": {"collected": 1, "awaiting_activation": 1}} == districts
    assert {"collected": 1, "awaiting_activation": 1} == told(totals.read(TotalsQuery(unit="16093")).sum)


def test_life_of_one_dossier(totals, desk):
    """Collected, approved, activated: at the end each counts once and nothing waits."""
    citizen = desk.collect("16093")
    desk.then(Approve, citizen)
    position = desk.then(Activate, citizen, unit="16093")
    answer = totals.read(TotalsQuery())

    assert {"collected": 1, "approved": 1, "activated": 1} == told(answer.sum)
    assert (position, "unit_totals") == (answer.position, answer.projection)
    [entry] = desk.ledger.read(after=position - 1)
    assert entry.recorded_at == answer.recorded_at


@pytest.mark.parametrize("unit", [None, "38", "401", "16093"])
@pytest.mark.parametrize("level", [None, 1, 2])
@pytest.mark.parametrize(
    "days", [(None, None), (date(2024, 9, 15), date(2024, 11, 20)), (date(2024, 10, 1), None)]
)
def test_same_sum_whatever_by(campaign, unit, level, days):
    """Grouping never changes the total, nor the position."""
    queries = [TotalsQuery(unit=unit, by=by, level=level, from_day=days[0], to_day=days[1]) for by in BYS]
    answers = [campaign.totals.read(query) for query in queries]

    assert [answers[0].sum] * len(BYS) == [answer.sum for answer in answers]
    for answer in answers:
        assert answer.sum == {name: sum(row[name] for row in answer.rows) for name in MEASURES}
    assert {len(campaign.rows)} == {answer.position for answer in answers}
    assert any(answers[0].sum.values())


# What bounds them.


def test_level_filter(totals, desk):
    """A level asked for is the only one counted."""
    desk.collect("16093", level=1)
    desk.collect("16093", level=2)
    desk.collect("16093", level=2)

    assert [3, 1, 2] == [totals.read(TotalsQuery(level=level)).sum["collected"] for level in (None, 1, 2)]
    assert {2: 2} == collected(totals, by="level", level=2)


def test_days_are_inclusive(totals, desk):
    """Both days asked for belong to the answer, to their last second in Vietnam."""
    for instant in (
        "2024-09-30T23:59:59+07:00",
        "2024-10-01T00:00:00+07:00",
        "2024-10-31T16:59:59Z",
        "2024-10-31T17:00:00Z",
    ):
        desk.collect("16093", datetime.fromisoformat(instant))
    first, last = date(2024, 10, 1), date(2024, 10, 31)

    for from_day, to_day, expected in (
        (None, None, 4),
        (first, last, 2),
        (first, first, 1),
        (last, last, 1),
        (date(2024, 10, 2), date(2024, 10, 30), 0),
        (first, None, 3),
        (None, last, 3),
    ):
        assert dict.fromkeys(BYS, expected) == collected_by_all(totals, from_day, to_day), (from_day, to_day)


@given(first=st.dates(date(2023, 12, 1), date(2024, 4, 5)), length=st.integers(0, 130))
def test_days_from_months(first, length):
    """Months, and pentads and days added to them or taken off, are the days asked for, each once; it takes few of them."""
    parts = parted(first, first + timedelta(length))

    counted = Counter(day for day in EVERY_DAY if parts.month_from <= day.replace(day=1) < parts.month_to)
    for sign, pentads, days in ((1, parts.pentads, parts.days), (-1, parts.pentads_off, parts.days_off)):
        for day in EVERY_DAY:
            # Each pentad and day once, as the query takes them.
            counted[day] += sign * ((pentad_of(day) in pentads) + (day in days))
    assert [first + timedelta(day) for day in range(length)] == [day for day in EVERY_DAY if counted[day]]
    assert {1} >= {number for number in counted.values() if number}
    assert not set(parts.days) & set(parts.days_off)
    assert not set(parts.pentads) & set(parts.pentads_off)
    read = [*parts.pentads, *parts.pentads_off, *parts.days, *parts.days_off]
    assert len(read) <= 12


def test_pentads():
    """Five days each; the last of a month has what is left."""
    for day in EVERY_DAY:
        assert pentad_of(day) <= day
        assert pentad_of(day).day in (1, 6, 11, 16, 21, 26)
        assert day.day - pentad_of(day).day < (6 if day.day == 31 else 5)


def test_days_the_wrong_way_round_are_refused(totals):
    """Nothing happened between them, which would look like an answer."""
    with pytest.raises(FieldInvalidError, match="to: 2024-10-01 is before from, 2024-10-02"):
        totals.read(TotalsQuery(from_day=date(2024, 10, 2), to_day=date(2024, 10, 1)))
    totals.read(TotalsQuery(from_day=date(2024, 10, 2), to_day=date(2024, 10, 2)))


def collected_by_all(totals: Totals, from_day: date | None, to_day: date | None) -> dict[str, int]:
    """Return the sum of what was collected, asked for in every way."""
    queries = {by: TotalsQuery(unit="401", by=by, from_day=from_day, to_day=to_day) for by in BYS}
    return {by: totals.read(query).sum["collected"] for by, query in queries.items()}


def test_what_waits_waits_now(totals, desk):
    """The days asked for bound the events, not what waits at this moment."""
    desk.collect("16093")
    for by in BYS:
        query = TotalsQuery(unit="401", by=by, from_day=date(2024, 11, 1), to_day=date(2024, 11, 30))

        assert {"awaiting_approval": 1} == told(totals.read(query).sum), by
    [row] = totals.read(TotalsQuery(by="day", from_day=date(2024, 11, 1))).rows
    assert (None, {"awaiting_approval": 1}) == (row["day"], told(row))


def test_days_at_the_ends_of_what_the_ledger_knows(totals, desk):
    """Days that nobody means are answered as any others, from the first to the last that a report may be of."""
    desk.collect("16093")

    for from_day, to_day, expected in (
        (DAY_MIN, None, 1),
        (None, DAY_MAX, 1),
        (DAY_MIN, DAY_MAX, 1),
        (DAY_MAX, None, 0),
        (DAY_MAX, DAY_MAX, 0),
    ):
        assert dict.fromkeys(BYS, expected) == collected_by_all(totals, from_day, to_day), (from_day, to_day)


@pytest.mark.parametrize("day", [date.min, DAY_MIN - timedelta(1), DAY_MAX + timedelta(1), date.max])
def test_days_that_the_ledger_does_not_know(totals, ledger, day):
    """Whatever is asked of them is refused, and names what; a report of them is not frozen either."""
    for field, asked in (("from", "from_day"), ("to", "to_day"), ("hierarchy", "hierarchy")):
        query = TotalsQuery(**{asked: day.isoformat() if asked == "hierarchy" else day})
        with pytest.raises(FieldInvalidError, match=f"{field}: {day} is not from 1900-01-01 to 9000-12-31"):
            totals.read(query)
        with pytest.raises(FieldInvalidError, match=f"{field}: "):
            freeze_report(ledger, totals, "r", query)


@pytest.mark.parametrize(
    ("from_day", "to_day", "refused"),
    [
        (date(2024, 1, 1), DAY_MAX, True),
        (DAY_MIN, date(1900, 1, 31), True),
        (date(1900, 1, 5), date(1900, 1, 8), False),
        (date(1900, 1, 5), date(1900, 1, 9), True),
        (DAY_MIN, DAY_MAX, True),
    ],
)
def test_a_period_before_all_days(totals, from_day, to_day, refused):
    """What is compared with days before those that the ledger knows is refused."""
    query = TotalsQuery(compare="previous", from_day=from_day, to_day=to_day)
    if refused:
        with pytest.raises(FieldInvalidError, match="compare: as many days before"):
            totals.read(query)
    else:
        assert DAY_MIN == totals.read(query).previous.from_day


# Units.


def test_unknown_unit(totals):
    """A code that no unit ever had is refused."""
    with pytest.raises(UnitUnknownError):
        totals.read(TotalsQuery(unit="99999"))


def test_unit_not_valid(totals, clock):
    """A code is read on the last day asked for, else today; where it was not valid then, it is refused."""
    day_before = date(2020, 12, 31)
    with pytest.raises(UnitNotValidError, match="held it from 2021-01-01"):
        totals.read(TotalsQuery(unit="16093", to_day=day_before))
    totals.read(TotalsQuery(unit="16093", from_day=day_before))
    clock.now = datetime(2020, 12, 31, 16, 59, 59, tzinfo=UTC)
    with pytest.raises(UnitNotValidError):
        totals.read(TotalsQuery(unit="16093"))
    clock.now += timedelta(seconds=1)

    assert 0 == totals.read(TotalsQuery(unit="16093")).sum["collected"]


def test_unallocated(totals, desk, clock):
    """What counts at units that the day's tree lacks stands in a row of its own, so that rows add up."""
    desk.collect("16093")
    citizen = desk.collect("14758")
    desk.then(Approve, citizen)
    clock.now = datetime(2020, 6, 1, tzinfo=UTC)
    answer = totals.read(TotalsQuery())

    assert [{"code": None, "name": "unallocated", "level": None}] == [row["unit"] for row in answer.rows]
    assert (
        {"collected": 2, "approved": 1, "awaiting_approval": 1, "awaiting_activation": 1}
        == told(answer.rows[0])
        == told(answer.sum)
    )


def test_tree_of_the_last_day_asked_for(totals, ledger, tmp_path):
    """The rows are the units valid on the last day asked for, whatever day was asked for before."""
    units = tmp_path / "units.csv"
    units.write_text("code,name,level,parent_code\n90001,Xã Mới,commune,401\n")
    ledger.load_units(units, valid_from=date(2024, 12, 1))
    days = (date(2024, 11, 30), date(2024, 12, 1), date(2024, 11, 30))

    assert [24, 25, 24] == [len(totals.read(TotalsQuery(unit="401", to_day=day)).rows) for day in days]


def test_unit_opened_while_asking(totals, ledger, desk, tmp_path, monkeypatch):
    """An answer's tree is not older than its position: a unit opened while asking is in it, with its events."""
    units = tmp_path / "units.csv"
    units.write_text("code,name,level,parent_code\n90001,Xã Mới,commune,401\n")
    read_tree = ledger.tree

    def then_open():
        monkeypatch.undo()
        tree = read_tree()
        ledger.load_units(units, valid_from=date(2021, 1, 1))
        desk.collect("90001")
        return tree

    monkeypatch.setattr(ledger, "tree", then_open)
    answer = totals.read(TotalsQuery(unit="401"))

    assert desk.ledger.head().position == answer.position
    assert {"collected": 1, "awaiting_approval": 1} == told(answer.sum)
    assert "90001" in [row["unit"]["code"] for row in answer.rows]


# How they are asked.


@pytest.mark.parametrize("by", BYS)
def test_every_question_is_planned_anew(totals, ledger, by):
    """PostgreSQL plans for the units and days asked for: a plan for any would join each row with each unit."""
    for _ in range(12):
        totals.read(TotalsQuery(unit="38", by=by))
    with ledger.recorder.datastore.get_connection() as connection:
        prepared = connection.execute("SELECT statement FROM pg_prepared_statements").fetchall()

    assert [] != prepared
    assert [] == [row["statement"] for row in prepared if "unit_totals" in row["statement"]]


# When there is no answer, or an empty one.


def test_empty_ledger(database, identities, clock):
    """A ledger without events, and without units, answers with zeros at position 0."""
    with Ledger(database, identities, now=clock) as ledger:
        totals = open_totals(ledger)
        for by in BYS:
            answer = totals.read(TotalsQuery(by=by))

            assert (0, datetime(1970, 1, 1, tzinfo=UTC)) == (answer.position, answer.recorded_at)
            assert ([], dict.fromkeys(MEASURES, 0)) == (answer.rows, answer.sum)


def test_no_events_yet(totals, ledger):
    """Units without events: the sum is zero, whatever the rows."""
    assert 586 == catch_up(ledger.database)
    for by in BYS:
        answer = totals.read(TotalsQuery(unit="401", by=by))

        assert (586, dict.fromkeys(MEASURES, 0)) == (answer.position, answer.sum)
        assert 24 * (by == "unit") == len(answer.rows)


def test_not_caught_up(totals, ledger):
    """A position that nobody reaches is waited for as long as said, then refused; nothing stale is answered."""
    begun = time.monotonic()
    with pytest.raises(NotCaughtUpError, match="up to position 0, not yet 586"):
        totals.read(TotalsQuery(), after=586, wait_seconds=0.3)

    assert 0.3 <= time.monotonic() - begun < 2


def test_after_waits(totals, ledger):
    """A reader that waits has its answer as soon as the projection gets there."""
    late = Thread(target=lambda: (time.sleep(0.3), catch_up(ledger.database)))
    begun = time.monotonic()
    late.start()
    answer = totals.read(TotalsQuery(), after=586, wait_seconds=30)
    waited = time.monotonic() - begun
    late.join()

    assert 586 == answer.position
    assert 0.3 <= waited < 10


def test_after_what_is_there(totals, ledger):
    """Nobody waits for a position that was reached long ago."""
    catch_up(ledger.database)

    assert 586 == totals.read(TotalsQuery(), after=1, wait_seconds=0).position


def test_database_not_set_up(fresh_database, identities, clock):
    """Totals of a database without their tables are refused with what to do, except on an embedded ledger."""
    migrate(fresh_database)
    bare = Database(fresh_database.conninfo, fresh_database.schema, embedded=False)
    with (
        Ledger(bare, identities, now=clock) as ledger,
        pytest.raises(StoreNotReadyError, match="ledger migrate"),
    ):
        open_totals(ledger)
    own = Database(fresh_database.conninfo, fresh_database.schema, embedded=True)
    with Ledger(own, identities, now=clock) as ledger:
        assert 0 == open_totals(ledger).position()


def test_all_measures_are_there(totals):
    """Rows and sum name every measure, also those that nothing counts yet."""
    assert {*EVENTS, "awaiting_approval", "awaiting_activation"} == set(totals.read(TotalsQuery()).sum)
