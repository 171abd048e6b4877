"""Totals over the three real changes of Thanh Hoá in 2025: as they were, restated, and what nobody has decided."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from importlib.resources import files
from itertools import product

import pytest
from msgspec.structs import replace

from ledger import Activate, Approve, Ledger
from ledger.errors import FieldInvalidError, UnitNotValidError
from ledger.units import read_merge_rows, read_unit_rows
from ledger.units.commands import (
    AbolishUnits,
    MergeUnits,
    MoveUnits,
    RenameUnit,
    Reorganise,
    WithdrawReorganisation,
)
from projections import Totals, TotalsQuery, preview
from tests.projections.by_hand import MEASURES
from tests.projections.test_totals import Desk

DAYS = {
    "2024": datetime.fromisoformat("2024-12-09T09:00:00+07:00"),
    "2025": datetime.fromisoformat("2025-02-03T09:00:00+07:00"),
    "no districts": datetime.fromisoformat("2025-04-07T09:00:00+07:00"),
    "166": datetime.fromisoformat("2025-07-07T09:00:00+07:00"),
}
FIRST = Reorganise(
    effective=date(2025, 1, 1),
    decree="NQ 1238/NQ-UBTVQH15",
    tree=tuple(read_unit_rows((files("ledger") / "data" / "units_2025-01-01.csv").read_text("utf-8"))),
    merges=tuple(read_merge_rows((files("ledger") / "data" / "merge_2025-01-01.csv").read_text("utf-8"))),
)
SECOND = AbolishUnits(effective=date(2025, 3, 1), decree="Bộ Công an", level="district")
THIRD = Reorganise(
    effective=date(2025, 7, 1),
    decree="NQ 1686/NQ-UBTVQH15",
    tree=tuple(read_unit_rows((files("ledger") / "data" / "units_2025.csv").read_text("utf-8"))),
    merges=tuple(read_merge_rows((files("ledger") / "data" / "merge_2025.csv").read_text("utf-8"))),
)


@pytest.fixture
def now(clock) -> None:
    clock.now = datetime.fromisoformat("2025-08-01T12:00:00+07:00")


@pytest.fixture
def desk(ledger: Ledger, now: None) -> Iterator[Desk]:
    del now
    desk = Desk(ledger)
    ledger.change_units(FIRST)
    ledger.change_units(SECOND)
    ledger.change_units(THIRD)
    for unit, day, number in (
        ("14755", "2024", 3),  # Hàm Rồng, which all of it became Hàm Rồng, code 14758, in July.
        ("14758", "2024", 2),  # Đông Thọ, split over two new wards in July.
        ("16378", "2024", 4),  # Rừng Thông, of the district Đông Sơn, which joined the city in January.
        ("15217", "2024", 1),  # Thạch Đồng, absorbed in January by nobody knows whom.
        ("405", "2024", 1),  # The district itself.
        ("16378", "2025", 5),
        ("380", "2025", 1),
        ("14755", "no districts", 6),
        ("14758", "166", 7),
    ):
        for _ in range(number):
            desk.collect(unit, DAYS[day])
    return desk


def collected(totals: Totals, **query) -> dict[str | None, int]:
    """Return what was collected by the units' codes, without those that have none."""
    answer = totals.read(TotalsQuery(**query))
    found = {row["unit"]["code"]: row["collected"] for row in answer.rows if row["collected"]}
    assert sum(found.values()) == answer.sum["collected"]
    return found


@pytest.mark.usefixtures("desk")
def test_as_then(totals):
    """Each day in its own tree: districts until February, communes under the province from March on."""
    assert {"380": 5, "391": 1, "405": 5} == collected(
        totals, unit="38", hierarchy="then", to_day=date(2024, 12, 31)
    )
    assert {"380": 6} == collected(
        totals, unit="38", hierarchy="then", from_day=date(2025, 1, 1), to_day=date(2025, 2, 28)
    )
    assert {"14755": 6, "14758": 7} == collected(
        totals, unit="38", hierarchy="then", from_day=date(2025, 3, 1)
    )
    assert {"380": 11, "391": 1, "405": 5, "14755": 6, "14758": 7} == collected(
        totals, unit="38", hierarchy="then"
    )


@pytest.mark.usefixtures("desk")
def test_restated(totals):
    """At the successors of July; what was split, what nobody knows of, and districts' own work is unallocated."""
    assert {"14758": 3 + 6 + 7, "16378": 4 + 5, None: 2 + 1 + 1 + 1} == collected(
        totals, unit="38", hierarchy="now"
    )
    assert {"14758": 16} == collected(totals, unit="14758", hierarchy="now")
    assert {"14758": 16, "16378": 9, None: 5} == collected(totals, unit="38", hierarchy="2025-07-01")


@pytest.mark.usefixtures("desk")
def test_restated_to_any_day(totals):
    """Also backwards: what was recorded at a unit of July counts, before it, where all its people came from."""
    # The seven of July's Hàm Rồng came from several wards of one district, so they are nobody's under it.
    assert {"380": 3 + 2 + 4 + 5 + 1 + 6 + 7, "391": 1, None: 1} == collected(
        totals, unit="38", hierarchy="2025-02-28"
    )
    assert {"14755": 9, "14758": 2, "16378": 9, "380": 1, None: 7} == collected(
        totals, unit="380", hierarchy="2025-02-28"
    )
    assert {"380": 3 + 2 + 1 + 6 + 7, "391": 1, "405": 10} == collected(
        totals, unit="38", hierarchy="2024-12-31"
    )


@pytest.mark.usefixtures("desk")
def test_by_level_of_the_tree(totals):
    """All communes of the province at once; what counts above them has rows of its own."""
    assert {"14755": 3, "14758": 2, "16378": 4, "15217": 1, "405": 1} == collected(
        totals, unit="38", by="commune", to_day=date(2024, 12, 31)
    )


def test_an_operator_decides(desk, totals):
    """Whom the absorbed commune belongs to; as then nothing changes."""
    then = collected(totals, unit="38", hierarchy="then")
    desk.ledger.change_units(
        MergeUnits(units=("15217",), into="15214", effective=date(2025, 1, 1), decree="operator")
    )
    heir = desk.ledger.tree().resolve("15214", date(2025, 1, 1))

    assert then == collected(totals, unit="38", hierarchy="then")
    assert 1 == collected(totals, unit="391", hierarchy="2025-01-01")[heir.code]
    assert 4 == collected(totals, unit="38", hierarchy="now")[None]


QUESTIONS = [
    {"unit": unit, "by": by, "hierarchy": hierarchy}
    for unit, by, hierarchy in product(
        ("38", None),
        ("unit", "commune", "month", ("level", "week")),
        ("then", "2024-12-31", "2025-02-28", "2025-06-30"),
    )
]


@pytest.mark.usefixtures("now")
def test_recorded_late(ledger, totals):
    """A decree that comes months late changes nothing before its day, and everything at once from then on."""
    desk = Desk(ledger)
    for unit, day in product(("14755", "14758", "405", "16378"), ("2024", "2025", "166")):
        desk.collect(unit, DAYS[day])
    # What waits is bound by no days, so only what has happened is compared.
    questions = [
        {"unit": unit, "by": by, "hierarchy": hierarchy, "to_day": date(2024, 12, 31)}
        for unit, by, hierarchy in product(("38", "380"), ("unit", "commune"), ("then", "2024-12-31"))
    ]
    before = [collected(totals, **question) for question in questions]
    for change in (FIRST, SECOND, THIRD):
        ledger.change_units(change)

    assert before == [collected(totals, **question) for question in questions]
    # What was recorded meanwhile at units that were no more counts at their successors, if there is one.
    found = collected(totals, unit="38", hierarchy="then", from_day=date(2025, 7, 1))
    assert {"14758": 1, "16378": 1, None: 2} == found


def test_withdrawn(desk, totals):
    """As if it had never been: every number is what it was; and what was recorded meanwhile is not lost."""
    ledger = desk.ledger
    before = [totals.read(TotalsQuery(**question)) for question in QUESTIONS]
    change = ledger.change_units(AbolishUnits(effective=date(2025, 7, 15), decree="by mistake", unit="16378"))
    assert before != [totals.read(TotalsQuery(**question)) for question in QUESTIONS]
    ledger.change_units(WithdrawReorganisation(reorganisation=change.plan.reorganisation, reason="a mistake"))

    after = [totals.read(TotalsQuery(**question)) for question in QUESTIONS]
    assert [(answer.rows, answer.sum) for answer in before] == [(answer.rows, answer.sum) for answer in after]
    [third] = [one for one in ledger.tree().reorganisations.values() if one.effective == THIRD.effective]
    total = totals.read(TotalsQuery()).sum
    ledger.change_units(
        WithdrawReorganisation(reorganisation=third.id, reason="the Assembly changed its mind")
    )
    restated = collected(totals, unit="38", hierarchy="now")
    assert total == totals.read(TotalsQuery()).sum
    # The seven of July came from several communes, which are under the province now.
    assert {"14755": 9, "14758": 2, "16378": 9, None: 1 + 1 + 1 + 7} == restated


def test_a_position_has_one_answer_for_ever(desk, totals):
    """Whatever is recorded later, and whatever becomes of the units: the tree too is that of the position."""
    ledger = desk.ledger
    position = ledger.head().position
    asked = [{**question, "position": position} for question in QUESTIONS]
    asked += [
        {"by": by, "position": position, "hierarchy": "now"} for by in ("unit", "place", ("actor", "day"))
    ]
    before = [totals.read(TotalsQuery(**question)) for question in asked]
    desk.collect("14758", DAYS["166"])
    for one in list(ledger.tree().reorganisations.values())[::-1]:
        ledger.change_units(WithdrawReorganisation(reorganisation=one.id, reason="all of it"))
    desk.collect("14755", DAYS["2024"])
    totals.catch_up()

    assert before == [totals.read(TotalsQuery(**question)) for question in asked]


def test_positions_and_times_that_are_not(ledger, totals, clock):
    """The ledger tells only what it knew: neither positions nor times to come."""
    head = ledger.head()
    with pytest.raises(FieldInvalidError, match=f"the ledger ends at position {head.position}"):
        totals.read(TotalsQuery(position=head.position + 1))
    for known_at in (clock.now, datetime.fromisoformat("2999-01-01T00:00:00+07:00")):
        with pytest.raises(FieldInvalidError, match="10 s ago at least"):
            totals.read(TotalsQuery(known_at=known_at))
    with pytest.raises(FieldInvalidError, match="one of them"):
        totals.read(TotalsQuery(known_at=clock.now, position=1))
    assert 0 == totals.read(TotalsQuery(position=0)).sum["collected"]


@pytest.mark.usefixtures("now")
def test_preview(ledger, totals):
    """Every unit whose total changes, before and after; and what it tells is what it is once it is recorded."""
    desk = Desk(ledger)
    for unit, number in (("14755", 3), ("14758", 2), ("16378", 4), ("15217", 1), ("405", 1)):
        for _ in range(number):
            desk.collect(unit, DAYS["2024"])
    told = preview(totals, ledger.change_units(FIRST, dry_run=True).plan)
    changed = {
        (row.code, row.unallocated): tuple(
            None if counts is None else counts["collected"] for counts in (row.before, row.after)
        )
        for row in told.days[0].rows
    }

    # 14 communes change hands without a total of their own changing; 11 are absorbed.
    assert {
        ("38", True): (None, 1),
        ("380", False): (5, 9),
        ("391", True): (None, 1),
        ("405", False): (5, None),
        ("15217", False): (1, None),
    } == {line: counts for line, counts in changed.items() if any(counts)}
    assert 11 + 1 == sum(row.after is None for row in told.days[0].rows)
    assert ledger.head().position == told.position
    assert [(date(2025, 1, 1), None, True)] == [(days.on, days.until, days.today) for days in told.days]
    ledger.change_units(FIRST)
    assert changed["380", False][1] == sum(collected(totals, unit="380", hierarchy="2025-01-01").values())
    assert [] == preview(totals, ledger.change_units(FIRST_RENAME, dry_run=True).plan).days


@pytest.mark.usefixtures("desk")
def test_a_preview_of_a_change_long_past(ledger, totals):
    """It tells each tree from its day on in which totals differ, that of today too; and so they are once it is recorded."""
    command = MergeUnits(units=("15217",), into="15214", effective=date(2025, 1, 1), decree="công văn")
    told = preview(totals, ledger.change_units(command, dry_run=True).plan)
    changed = [
        (
            days.on,
            days.until,
            days.today,
            {
                (row.code, row.unallocated): tuple(
                    None if counts is None else counts["collected"] for counts in (row.before, row.after)
                )
                for row in days.rows
            },
        )
        for days in told.days
    ]

    # Thạch Đồng's one stood under its district; under the province once there were none, beside districts' own work and what
    # a ward of July has; in July 15214 became a part of 15187.
    one = ("15214", False), (0, 1)
    assert [
        (date(2025, 1, 1), date(2025, 2, 28), False, {("391", True): (1, None), one[0]: one[1]}),
        (date(2025, 3, 1), date(2025, 6, 30), False, {("38", True): (10, 9), one[0]: one[1]}),
        (date(2025, 7, 1), None, True, {("38", True): (5, 4), ("15187", False): (0, 1)}),
    ] == changed
    before = collected(totals, unit="38", hierarchy="now")
    ledger.change_units(command)
    assert before | {"15187": 1, None: before[None] - 1} == collected(totals, unit="38", hierarchy="now")


FIRST_RENAME = RenameUnit(effective=date(2025, 2, 1), decree="NQ", unit="14755", name="Phường Khác")


@pytest.mark.usefixtures("desk")
def test_the_period_before(totals):
    """Whole months are compared with as many months, other days with as many days; a row that was only then is told."""
    answer = totals.read(
        TotalsQuery(
            unit="38",
            hierarchy="then",
            from_day=date(2025, 2, 1),
            to_day=date(2025, 3, 31),
            compare="previous",
        )
    )
    assert (date(2024, 12, 1), date(2025, 1, 31)) == (answer.previous.from_day, answer.previous.to_day)
    assert (6, 11) == (answer.sum["collected"], answer.previous.sum["collected"])
    told = {row["unit"]["code"]: (row["collected"], row["previous"]["collected"]) for row in answer.rows}
    assert {"380": (6, 5), "391": (0, 1), "405": (0, 5)} == {c: n for c, n in told.items() if any(n)}

    days = totals.read(
        TotalsQuery(by="level", from_day=date(2024, 12, 10), to_day=date(2024, 12, 12), compare="previous")
    )
    assert (date(2024, 12, 7), date(2024, 12, 9)) == (days.previous.from_day, days.previous.to_day)
    assert [(2, 0, 11)] == [
        (row["level"], row["collected"], row["previous"]["collected"]) for row in days.rows
    ]


@pytest.mark.parametrize(
    "query",
    [
        {"from_day": date(2024, 12, 1)},
        {},
        {"by": "day", "from_day": date(2024, 12, 1), "to_day": date(2024, 12, 2)},
    ],
)
def test_nothing_to_compare(totals, query):
    """A period without an end has none before it, and days are not those of another period."""
    with pytest.raises(FieldInvalidError, match="compare"):
        totals.read(TotalsQuery(compare="previous", **query))


def test_sums_and_deltas_agree(desk, totals):
    """Sums of months and days tell what the deltas tell one by one, also where a tree changes within a month."""
    ledger = desk.ledger
    for unit, parent, day in (("16378", "38", date(2025, 2, 10)), ("14761", "381", date(2024, 12, 5))):
        ledger.change_units(MoveUnits(units=(unit,), parent=parent, effective=day, decree="NQ"))
    for unit, at in product(
        ("14761", "16378", "380"), ("2024-12-04T09:00:00+07:00", "2024-12-05T09:00:00+07:00")
    ):
        desk.collect(unit, datetime.fromisoformat(at))
    desk.collect("16378", datetime.fromisoformat("2025-02-10T09:00:00+07:00"))
    days = [
        None,
        date(2024, 12, 1),
        date(2024, 12, 5),
        date(2025, 2, 3),
        date(2025, 2, 28),
        date(2025, 7, 31),
    ]
    asked = 0
    for unit, by, hierarchy, first, last in product(
        (None, "38", "380"),
        ("unit", "commune", "level", "month"),
        ("then", "2024-12-31", "2025-02-20"),
        days,
        days,
    ):
        if (first and last and last < first) or (unit == "380" and last == days[-1]):
            continue
        query = TotalsQuery(unit=unit, by=by, hierarchy=hierarchy, from_day=first, to_day=last)
        try:
            told = totals.read(query)
        except UnitNotValidError:
            continue
        asked += 1
        name = "unit" if by == "commune" else by
        one_by_one: dict = {}
        for row in totals.read(replace(query, by=(by, "place"))).rows:
            key = str(row[name])
            for measure in MEASURES:
                one_by_one.setdefault(key, Counter())[measure] += row[measure]
        rows = {str(row[name]): Counter({measure: row[measure] for measure in MEASURES}) for row in told.rows}
        assert {key: +row for key, row in rows.items() if any(row.values())} == {
            key: +row for key, row in one_by_one.items() if any(row.values())
        }, query
    assert 200 < asked


def test_where_citizens_live(ledger, totals, clock):
    """By what the code meant on the day on which it was sent, whatever it means when the account is activated."""
    clock.now = datetime.fromisoformat("2025-08-01T12:00:00+07:00")
    desk = Desk(ledger)
    for change in (FIRST, SECOND, THIRD):
        ledger.change_units(change)
    # 14758 is Đông Thọ, which was split in July; since then Hàm Rồng has that code.
    for _ in range(2):
        citizen = desk.collect("14755", DAYS["2024"], residence_unit="14758")
        desk.then(Approve, citizen, DAYS["2025"])
    desk.then(Activate, citizen, DAYS["166"], unit="14797")
    desk.collect("14797", DAYS["166"], residence_unit="14758")
    desk.collect("14797", DAYS["166"], residence_unit="01234")
    desk.collect("14797", DAYS["166"])

    def counted(**query) -> dict:
        answer = totals.read(TotalsQuery(unit="38", attribution="residence", **query))
        measures = ("collected", "approved", "activated", "awaiting_approval", "awaiting_activation")
        found = {row["unit"]["code"]: tuple(row[name] for name in measures) for row in answer.rows}
        return {code: counts for code, counts in found.items() if any(counts)}

    assert {"14758": (1, 0, 0, 1, 0), None: (2, 2, 1, 0, 1)} == counted(hierarchy="now")
    assert {"380": (3, 2, 1, 1, 1)} == counted(hierarchy="2025-01-31")
    # As then: in districts until February; what was split in July is nobody's from then on.
    assert {"380": (2, 2, 0, 0, 1), "14758": (1, 0, 0, 1, 0), None: (0, 0, 1, 0, 0)} == counted(
        hierarchy="then"
    )
    # Of another province, and of nobody knows where.
    assert 2 == totals.read(TotalsQuery(attribution="residence")).rows[-1]["collected"]


def test_what_is_unallocated_is_told_once(desk, totals):
    """What nobody knows the residence of, and what a split leaves undecided, stand in one row, and in the sum."""
    for residence in ("14758", "99999"):
        desk.collect("14797", DAYS["2024"] if residence == "14758" else DAYS["166"], residence_unit=residence)
    query = TotalsQuery(by="commune", attribution="residence", hierarchy="now")
    answer = totals.read(query)
    level = totals.read(replace(query, by="level"))

    assert level.sum == answer.sum
    assert [level.sum["collected"]] == [
        row["collected"] for row in answer.rows if row["unit"]["code"] is None
    ]
