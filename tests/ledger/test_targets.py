"""Targets and denominators: what is set, refused, handed down and withdrawn. Pure."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import count, pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import (
    FieldInvalidError,
    FieldMissingError,
    FileEmptyError,
    FileInvalidError,
    PersonalNumberError,
    TargetsRefusedError,
)
from ledger.target_events import DenominatorSet, TargetSet, TargetWithdrawn
from ledger.targets import (
    DenominatorRow,
    TargetRow,
    Targets,
    cascade,
    decide_denominators,
    decide_targets,
    decide_withdrawal,
    grow,
    read_denominators,
    read_targets,
    split,
)
from ledger.unit_events import UnitMerged
from ledger.units import UnitTree, decide_open, read_units
from ledger.units import grow as grow_tree

FROM = date(2024, 10, 1)
DEADLINE = date(2024, 12, 31)
DAY = timedelta(days=1)
UNITS = """code,name,level,parent_code
38,Tỉnh Thanh Hóa,province,
380,Thành phố Thanh Hóa,district,38
381,Thị xã Bỉm Sơn,district,38
1,Phường Một,commune,380
2,Phường Hai,commune,380
3,Phường Ba,commune,381
"""
HEADER = "unit,measure,level,number,percent,denominator,from,deadline"


def a_tree() -> UnitTree:
    ids = count(1)
    opened = decide_open(
        UnitTree(),
        read_units(UNITS),
        valid_from=date(2021, 1, 1),
        decree=None,
        actor="op",
        new_id=lambda: UUID(int=next(ids)),
    )
    return grow_tree(UnitTree(), [(0, event) for event in opened])


TREE = a_tree()
IDS = {code: TREE.resolve(code, FROM).id for code in ("38", "380", "381", "1", "2", "3")}


def row(unit: str = "1", **fields) -> TargetRow:
    whole = {"measure": "activated", "number": 100, "from_day": FROM, "deadline": DEADLINE} | fields
    return TargetRow(unit=unit, **whole)


def decide(
    rows: list[TargetRow], targets: Targets | None = None, *, tree: UnitTree = TREE, start: int = 1, **how
) -> list[TargetSet]:
    ids = count(start)
    told = {"issuer": "Bộ", "basis": "", "actor": "op", "new_id": lambda: UUID(int=next(ids))} | how
    return decide_targets(tree, targets or Targets(), rows, **told)


def with_targets(rows: list[TargetRow], targets: Targets | None = None, **how) -> Targets:
    targets = targets or Targets()
    events = decide(rows, targets, **how)
    return grow(targets, [(targets.position + n, event) for n, event in enumerate(events, 1)])


def people(
    values: dict[str, int | None], targets: Targets | None = None, *, name: str = "eligible", day: date = FROM
) -> Targets:
    targets = targets or Targets()
    events = decide_denominators(
        TREE,
        targets,
        [DenominatorRow(unit=code, value=value) for code, value in values.items()],
        name=name,
        from_day=day,
        source="C06",
        actor="op",
    )
    return grow(targets, [(targets.position + n, event) for n, event in enumerate(events, 1)])


def faults_of(call, *arguments, **how) -> tuple[str, ...]:
    with pytest.raises(TargetsRefusedError) as refusal:
        call(*arguments, **how)
    return refusal.value.faults


# Denominators.


def test_a_denominator_holds_from_its_day_until_the_next():
    targets = people({"1": 2000})
    targets = people({"1": 2100}, targets, day=FROM + 31 * DAY)
    held = [targets.denominator(IDS["1"], "eligible", FROM + days * DAY) for days in (-1, 0, 30, 31)]
    assert [None, 2000, 2000, 2100] == [one and one.value for one in held]
    assert targets.denominator(IDS["2"], "eligible", FROM) is None
    assert targets.denominator(IDS["1"], "residents", FROM) is None


def test_a_denominator_said_late_holds_for_its_own_days():
    """Whatever the order in which they are recorded."""
    targets = people({"1": 2000}, people({"1": 2100}, day=FROM + 31 * DAY))
    assert [2000, 2100] == [one.value for one in targets.denominators[IDS["1"], "eligible"]]


def test_a_denominator_for_the_same_day_takes_the_place_of_the_one_before():
    """Also one that is not available any more."""
    before = people({"1": 2000})
    after = people({"1": None}, before)
    assert None is after.denominator(IDS["1"], "eligible", FROM).value
    assert 2000 == after.at(1).denominator(IDS["1"], "eligible", FROM).value
    assert 1 == len(after.denominators[IDS["1"], "eligible"])
    assert Targets() == after.at(0)
    assert after is after.at(2)


def test_the_same_denominators_again_change_nothing():
    assert 2 == people({"1": 2000, "2": None}, people({"1": 2000, "2": None})).version


@pytest.mark.parametrize(
    "name", ["", "Eligible", "approved", "target", "activated", "a" * 33, "1st", "dân số", "038090001234"]
)
def test_what_is_no_denominator_is_refused(name):
    """What the ledger counts by itself has no number that somebody sets."""
    with pytest.raises(FieldInvalidError):
        people({"1": 1}, name=name)


def test_denominators_are_refused_whole_and_every_line_is_named():
    rows, faults = read_denominators("code,value\n1,5\n9,5\n1,6\n2,many\n,3\n3,2000000000\n")
    told = faults_of(
        decide_denominators,
        TREE,
        Targets(),
        rows,
        faults,
        name="eligible",
        from_day=FROM,
        source="C06",
        actor="op",
    )
    assert ["line 3", "line 4", "line 5", "line 6", "line 7"] == [fault[:6] for fault in told]
    assert "no unit ever had this code: '9'" in told[0]
    assert "line 4: 1 stands on line 2 already" == told[1]
    assert "'many' is no whole number of people" in told[2]


def test_a_value_that_its_quality_does_not_stand_for_is_not_available():
    rows, faults = read_denominators(
        "code,name,population,quality\n1,Một,63166,ok\n2,Hai,188,SUSPECT\n3,Ba,,ok\n"
    )
    assert [] == faults
    assert [("1", 63166), ("2", None), ("3", None)] == [(one.unit, one.value) for one in rows]


@pytest.mark.parametrize("text", ["", "code,value\n"])
def test_a_file_without_lines_is_refused(text):
    with pytest.raises(FileEmptyError):
        read_denominators(text)
    with pytest.raises(FileEmptyError):
        read_targets(text)


@pytest.mark.parametrize(
    "text",
    [
        "code\n1\n",
        "value\n1\n",
        "code,value,population\n1,2,3\n",
        "code,code,value\n1,1,2\n",
        "code,value\n1\n",
    ],
)
def test_a_file_that_holds_no_denominators_is_refused(text):
    with pytest.raises(FileInvalidError):
        read_denominators(text)


# Targets.


def test_a_line_is_a_target():
    rows, faults = read_targets(
        f"\ufeff{HEADER}\n1,activated,2,,50%,eligible,2024-10-01,2024-12-31\n2,collected,,300,,,2024-10-01,2024-11-30\n"
    )
    assert [] == faults
    first, second = decide(rows, people({"1": 2069}))
    assert (IDS["1"], "activated", 2, None, Decimal(50), "eligible") == (
        first.unit_id,
        first.measure,
        first.level,
        first.number,
        first.percent,
        first.denominator,
    )
    assert (IDS["2"], "collected", None, 300, None, None) == (
        second.unit_id,
        second.measure,
        second.level,
        second.number,
        second.percent,
        second.denominator,
    )
    assert (FROM, DEADLINE, "Bộ", "op") == (first.from_day, first.deadline, first.issuer, first.actor)


def test_columns_that_nobody_needs_may_be_absent():
    rows, faults = read_targets("deadline,from,number,unit,measure\n2024-12-31,2024-10-01,5,1,collected\n")
    assert ([], [(5, None)]) == (faults, [(event.number, event.level) for event in decide(rows)])


@pytest.mark.parametrize(
    "header",
    ["unit,measure,from", f"{HEADER},due", "unit,unit,measure,from,deadline", "unit;measure;from;deadline"],
)
def test_a_header_of_another_file_is_refused(header):
    with pytest.raises(FileInvalidError, match="the header must have unit,measure,from,deadline"):
        read_targets(f"{header}\n{header}\n")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("1,activated,2,5,,,2024-10-01,", "there is no deadline"),
        ("1,activated,2,5,,,,2024-12-31", "there is no first day (from)"),
        (
            "1,activated,2,5,,,2024-10-01,2024-09-30",
            "the deadline 2024-09-30 is before the first day, 2024-10-01",
        ),
        ("1,activated,2,5,,,2024-10-01,2124-10-01", "the deadline 2124-10-01 is more than ten years"),
        ("1,activated,2,,50,,2024-10-01,2024-12-31", "a percent needs the name of its denominator"),
        (
            "1,activated,2,,50,people,2024-10-01,2024-12-31",
            "no denominator is called 'people'; known are eligible;",
        ),
        ("1,activated,2,5,50,eligible,2024-10-01,2024-12-31", "it needs a number or a percent, one of them"),
        ("1,activated,2,,,,2024-10-01,2024-12-31", "it needs a number or a percent, one of them"),
        ("1,activated,2,5,,eligible,2024-10-01,2024-12-31", "a denominator belongs to a percent"),
        ("1,activated,2,0,,,2024-10-01,2024-12-31", "the number 0 is not from 1 to 1,000,000,000"),
        ("1,activated,2,,0,eligible,2024-10-01,2024-12-31", "the percent 0 is not over 0 and up to 1000"),
        ("1,activated,2,,1000.1,eligible,2024-10-01,2024-12-31", "the percent 1000.1 is not over 0"),
        ("1,activated,3,5,,,2024-10-01,2024-12-31", "the level 3 is neither 1 nor 2"),
        ("1,rejected,2,5,,,2024-10-01,2024-12-31", "the measure 'rejected' is none of collected, approved,"),
        ("9,activated,2,5,,,2024-10-01,2024-12-31", "no unit ever had this code: '9'"),
        ("1,activated,2,5,,,2020-10-01,2020-12-31", "the code 1 was not valid on 2020-10-01"),
        ("1,activated,x,5,,,2024-10-01,2024-12-31", "level: 'x' is no whole number"),
        ("1,activated,2,5.5,,,2024-10-01,2024-12-31", "number: '5.5' is no whole number"),
        ("1,activated,2,,half,eligible,2024-10-01,2024-12-31", "percent: 'half' is no percentage"),
        ("1,activated,2,,1e9,eligible,2024-10-01,2024-12-31", "percent: '1e9' is no percentage"),
        ("1,activated,2,5,,,1 Oct,2024-12-31", "from: '1 Oct' is no day"),
        ("038090001234,activated,2,5,,,2024-10-01,2024-12-31", "a value that may be a personal number"),
    ],
)
def test_a_line_that_is_wrong_is_named_with_what_is_wrong(line, why):
    rows, faults = read_targets(f"{HEADER}\n{line}\n")
    [told] = faults_of(decide, rows, people({"1": 2069}), faults=faults)
    assert told.startswith("line 2: ")
    assert why in told


def test_one_wrong_line_refuses_the_file_and_all_wrong_ones_are_named():
    """Those that cannot be read, and those that the ledger refuses, by their lines; a good one in between is not recorded."""
    good = "2,activated,2,5,,,2024-10-01,2024-12-31"
    rows, faults = read_targets(
        f"{HEADER}\n9,activated,2,5,,,2024-10-01,2024-12-31\n{good}\n1,activated,x,5,,,never,2024-12-31\n"
        "1,rejected,2,5,,,2024-10-01,\n"
    )
    told = faults_of(decide, rows, faults=faults)
    assert [2, 4, 5, 5] == [int(fault.split(":")[0].removeprefix("line ")) for fault in told]
    assert "level: 'x' is no whole number; from: 'never' is no day" in told[1]


def test_two_targets_of_one_issuer_for_one_time_are_refused():
    """In the ledger, or in the file; the sentence names the other one."""
    standing = with_targets([row()])
    [target_id] = standing.by_id
    [told] = faults_of(decide, [row(number=101)], standing)
    assert (
        f"1 has a target of Bộ for activated, both levels in this time: 100 from {FROM} to {DEADLINE}" in told
    )
    assert str(target_id) in told
    for days in ((-5, 0), (0, 5), (10, 20), (-5, 500)):
        begin, end = FROM + days[0] * DAY, FROM + days[1] * DAY
        faults_of(decide, [row(from_day=begin, deadline=end)], standing)
    rows, _ = read_targets(
        f"{HEADER}\n1,collected,2,5,,,2024-10-01,2024-12-31\n1,collected,2,5,,,2024-10-01,2024-12-31\n"
    )
    [told] = faults_of(decide, rows)
    assert told.startswith("line 3: 1 has a target")
    assert "line 2 says already" in told


def test_a_line_doubled_in_a_file_that_was_loaded_before_is_refused_too():
    rows, _ = read_targets(f"{HEADER}\n" + 2 * "1,activated,,100,,,2024-10-01,2024-12-31\n")
    [told] = faults_of(decide, rows, with_targets(rows[:1]))
    assert told.startswith("line 3: ")


def test_other_targets_stand_beside_it():
    """Of another issuer, unit, measure, level or time."""
    standing = with_targets([row()])
    others = [
        row("2"),
        row(measure="collected"),
        row(level=2),
        row(level=1),
        row(from_day=DEADLINE + DAY, deadline=DEADLINE + DAY),
        row(from_day=FROM - DAY, deadline=FROM - DAY),
    ]
    assert len(others) == len(decide(others, standing))
    assert 1 == len(decide([row()], standing, issuer="Tỉnh"))


def test_the_same_targets_again_change_nothing():
    rows = [row(), row("2", number=None, percent=Decimal("50.0"), denominator="eligible")]
    standing = with_targets(rows, people({"1": 1}))
    rows[1] = row("2", number=None, percent=Decimal(50), denominator="eligible")
    assert [] == decide(rows, standing)
    faults_of(decide, rows, standing, basis="KH 02")


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"issuer": ""}, FieldMissingError),
        ({"issuer": " Bộ"}, FieldInvalidError),
        ({"issuer": "a\nb"}, FieldInvalidError),
        ({"issuer": "x" * 201}, FieldInvalidError),
        ({"basis": "số 038090001234"}, PersonalNumberError),
        ({"actor": ""}, FieldMissingError),
    ],
)
def test_texts_are_one_line_and_hold_no_personal_number(how, error):
    with pytest.raises(error):
        decide([row()], **how)


def replacing(rows: list[TargetRow], targets: Targets, start: int) -> Targets:
    return with_targets(rows, targets, start=start, replace=True)


def test_what_stands_in_the_way_is_replaced_if_asked():
    """In one batch, the old ones first; what stands exactly so stays, and what others have set."""
    before = with_targets([row(), row("2"), row("3")])
    before = with_targets([row()], before, start=4, issuer="Tỉnh")
    wishes = [row(number=150), row("2"), row("3", deadline=FROM)]
    after = replacing(wishes, before, 5)
    assert [
        ("1", 100, "Tỉnh", DEADLINE),
        ("1", 150, "Bộ", DEADLINE),
        ("2", 100, "Bộ", DEADLINE),
        ("3", 100, "Bộ", FROM),
    ] == sorted(
        (str(TREE.called(one.unit_id, FROM).code), one.number, one.issuer, one.deadline)
        for one in after.standing()
    )
    assert [TargetWithdrawn, TargetWithdrawn, TargetSet, TargetSet] == [
        type(event) for _, event in after.entries[4:]
    ]
    assert "replaced" == after.by_id[UUID(int=1)].reason
    assert after == replacing(wishes, after, 9)


def test_one_target_may_take_the_place_of_several():
    halves = [row(deadline=FROM + 30 * DAY), row(from_day=FROM + 31 * DAY)]
    assert [DEADLINE] == [one.deadline for one in replacing([row()], with_targets(halves), 3).standing()]
    again = replacing(halves, replacing([row()], with_targets(halves), 3), 4)
    assert [FROM + 30 * DAY, DEADLINE] == [one.deadline for one in again.standing()]


def test_lines_of_one_file_never_replace_each_other():
    standing = with_targets([row()])
    for rows in ([row(number=150), row(number=160)], [row(), row(number=150)], [row(number=150), row()]):
        faults_of(decide, rows, standing, replace=True)


# What a target asks for.


@pytest.mark.parametrize(
    ("percent", "value", "number"),
    [
        ("50", 2069, 1035),
        ("50", 2068, 1034),
        ("12.5", 8, 1),
        ("0.1", 1, 1),
        ("33.3", 1000, 333),
        ("100", 0, 0),
    ],
)
def test_a_percentage_is_rounded_up(percent, value, number):
    """Fewer would not be so many percent."""
    targets = with_targets(
        [row(number=None, percent=Decimal(percent), denominator="eligible")], people({"1": value})
    )
    [target] = targets.standing()
    assert number == targets.number(target, FROM)


def test_a_percentage_follows_its_denominator():
    """It is of those that are eligible on the day asked about; before anybody said so, of nobody knows how many."""
    targets = people({"1": 100}, day=FROM + DAY)
    targets = people({"1": 200}, targets, day=FROM + 2 * DAY)
    targets = people({"1": None}, targets, day=FROM + 3 * DAY)
    targets = with_targets([row(number=None, percent=Decimal(10), denominator="eligible")], targets)
    [target] = targets.standing()
    assert [None, 10, 20, None] == [targets.number(target, FROM + days * DAY) for days in range(4)]


# Withdrawn.


def withdrawn(targets: Targets, *ids: UUID, parts: bool = False) -> Targets:
    events = decide_withdrawal(targets, ids, reason="replaced", actor="op", parts=parts)
    return grow(targets, [(targets.position + n, event) for n, event in enumerate(events, 1)])


def test_a_withdrawn_target_stands_no_more_and_another_may_take_its_place():
    before = with_targets([row()])
    [target] = before.standing()
    after = withdrawn(before, target.id)
    assert ([], {}) == (after.standing(), after.goals)
    assert (2, "replaced") == (after.by_id[target.id].withdrawn_at, after.by_id[target.id].reason)
    assert [target] == after.at(1).standing()
    assert [101] == [event.number for event in decide([row(number=101)], after)]


def test_what_cannot_be_withdrawn_is_named():
    standing = with_targets([row(), row("2")])
    first, second = standing.by_id
    after = withdrawn(standing, first)
    told = faults_of(withdrawn, after, UUID(int=99), first, second)
    assert [
        f"there is no target {UUID(int=99)}; ledger targets list shows them",
        f"the target {first} was withdrawn at position 3 already",
    ] == list(told)
    with pytest.raises(FieldMissingError):
        decide_withdrawal(standing, [first], reason="", actor="op")


def test_parts_are_withdrawn_with_the_whole_if_asked():
    """And the parts of parts."""
    standing = with_targets([row("38")])
    [whole] = standing.by_id
    standing = with_targets([row("380")], standing, start=2, part_of=whole)
    standing = with_targets([row("1")], standing, start=3, part_of=UUID(int=2))
    standing = with_targets([row("3")], standing, start=4)
    assert {IDS["380"], IDS["1"], IDS["3"]} == {one.unit_id for one in withdrawn(standing, whole).standing()}
    assert [IDS["3"]] == [one.unit_id for one in withdrawn(standing, whole, parts=True).standing()]


# Handed down.


@given(
    whole=st.integers(0, 10**9),
    weights=st.lists(st.integers(0, 10**7), min_size=1, max_size=60).filter(any),
)
def test_parts_add_up_and_are_off_their_share_by_less_than_one(whole, weights):
    parts = split(whole, weights)
    assert whole == sum(parts)
    shares = [Fraction(whole * weight, sum(weights)) for weight in weights]
    assert all(abs(part - share) < 1 for part, share in zip(parts, shares, strict=True))
    assert [0] * weights.count(0) == [part for part, weight in zip(parts, weights, strict=True) if not weight]


@given(st.integers(0, 10**6), st.lists(st.integers(0, 1000), min_size=2, max_size=20).filter(any))
def test_who_has_more_people_gets_no_smaller_part(whole, weights):
    parts = split(whole, weights)
    pairs = sorted(zip(weights, parts, strict=True))
    for (lighter, smaller), (heavier, larger) in pairwise(pairs):
        assert lighter == heavier or smaller <= larger


def test_a_target_is_split_over_the_units_below():
    """By the tree and the denominators of its first day; the largest remainder gets what is left."""
    targets = people({"1": 10, "2": 10, "3": 10})
    targets = people({"1": 1000}, targets, day=FROM + DAY)
    targets = with_targets([row("38", level=2)], targets)
    found = cascade(TREE, targets, "38", to_level="commune", by="eligible", issuer="Bộ")
    assert (100, []) == (found.whole, found.without)
    assert [("1", 34), ("2", 33), ("3", 33)] == [(one.unit, one.number) for one in found.rows]
    assert {("activated", 2, FROM, DEADLINE)} == {
        (one.measure, one.level, one.from_day, one.deadline) for one in found.rows
    }
    assert 3 == len(decide(found.rows, targets, part_of=found.target.id))


def test_only_what_stands_under_the_unit_gets_a_part():
    targets = with_targets([row("380")], people({"1": 10, "2": 30, "3": 60}))
    found = cascade(TREE, targets, "380", to_level="commune", by="eligible", issuer="Bộ")
    assert [("1", 25), ("2", 75)] == [(one.unit, one.number) for one in found.rows]


def test_who_has_no_denominator_gets_no_part_and_is_named():
    """Nor does who has none of the people; the others' parts add up to the whole all the same."""
    targets = with_targets([row("38")], people({"1": 10, "2": None}))
    found = cascade(TREE, targets, "38", to_level="commune", by="eligible", issuer="Bộ")
    assert [("1", 100)] == [(one.unit, one.number) for one in found.rows]
    assert ["2", "3"] == [one.code for one in found.without]


def test_a_percentage_is_handed_down_as_the_number_that_it_is():
    targets = people({"38": 999, "1": 1, "2": 1})
    targets = with_targets([row("38", number=None, percent=Decimal(50), denominator="eligible")], targets)
    found = cascade(TREE, targets, "38", to_level="commune", by="eligible", issuer="Bộ")
    assert [250, 250] == [one.number for one in found.rows]


def test_what_cannot_be_handed_down_is_refused():
    targets = people({"1": 10, "2": 0}, people({"1": 5}, name="residents"))
    standing = with_targets([row("38"), row("38", measure="collected")], targets)
    standing = with_targets([row("3")], standing, start=3)
    standing = with_targets(
        [row("380", number=None, percent=Decimal(50), denominator="eligible")], standing, start=4
    )

    def told(unit: str = "38", *, number: int | None = 1, **how) -> str:
        whole = {"to_level": "commune", "by": "eligible", "issuer": "Bộ"} | how
        [fault] = faults_of(cascade, TREE, standing, unit, target_id=number and UUID(int=number), **whole)
        return fault

    assert "38 has 2 targets of Bộ, name one of them" in told(number=None)
    assert "38 has no such target of Tỉnh" in told(issuer="Tỉnh")
    assert "38 has no such target of Bộ" in told(number=3)
    assert "no nation stands under 38" in told(to_level="nation")
    assert "the level 'ward' is none of" in told(to_level="ward")
    assert "no commune stands under 3 on" in told("3", number=3)
    assert "soldiers is available of no commune under 38" in told(by="soldiers")
    assert "eligible of 380 is not available on 2024-10-01, so its target is no number" in told(
        "380", number=4
    )


# A unit that ends.


def test_a_target_stays_the_units_for_which_it_was_set():
    """Its code means nobody later; a target that begins then is refused."""
    standing = with_targets([row()])
    merged = UnitMerged(
        unit_id=IDS["1"], effective=DEADLINE, decree="NQ", reorganisation=UUID(int=77), into=IDS["2"]
    )
    tree = grow_tree(TREE, [(7, merged)])
    assert [IDS["1"]] == [one.unit_id for one in standing.standing()]
    assert [] == decide([row()], standing, tree=tree)
    [told] = faults_of(
        decide, [row(from_day=DEADLINE, deadline=DEADLINE, measure="collected")], standing, tree=tree
    )
    assert "the code 1 was not valid on 2024-12-31" in told


@given(
    st.lists(
        st.tuples(st.sampled_from(["1", "2"]), st.integers(1, 3), st.integers(0, 40), st.integers(0, 40)),
        max_size=25,
    )
)
def test_no_unit_ever_has_two_targets_of_one_issuer_for_one_day(wishes):
    """However they come; each wish is set or refused, and the fold of the parts is the fold of the whole."""
    targets = Targets()
    for number, (unit, amount, begin, days) in enumerate(wishes, 1):
        wish = row(unit, number=amount, from_day=FROM + begin * DAY, deadline=FROM + (begin + days) * DAY)
        try:
            targets = with_targets([wish], targets, start=number)
        except TargetsRefusedError:
            continue
    taken = [
        (one.unit_id, one.from_day + n * DAY)
        for one in targets.standing()
        for n in range((one.deadline - one.from_day).days + 1)
    ]
    assert len(set(taken)) == len(taken)
    assert targets == grow(Targets(), targets.entries)


def test_events_say_what_was_decided():
    assert [DenominatorSet] == [type(event) for _, event in people({"1": 5}).entries]
    standing = with_targets([row()])
    assert [TargetSet, TargetWithdrawn] == [
        type(event) for _, event in withdrawn(standing, *standing.by_id).entries
    ]
