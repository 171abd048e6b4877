"""Units renamed, moved, merged, split and abolished, and all of it taken back: what comes of it, and what is refused. Pure."""

from collections.abc import Callable
from datetime import date
from uuid import UUID

import pytest

from ledger.errors import (
    AlreadyWithdrawnError,
    FieldInvalidError,
    FieldMissingError,
    PersonalNumberError,
    ReorganisationUnknownError,
    UnitNotValidError,
    UnitsRefusedError,
    UnitUnknownError,
)
from ledger.unit_events import UnitMoved, UnitOpened
from ledger.units import TreeOn, UnitTree, grow, told, try_grow
from ledger.units.commands import (
    AbolishUnits,
    AnyUnitsCommand,
    MergeUnits,
    MoveUnits,
    RenameUnit,
    SplitUnit,
    WithdrawReorganisation,
)
from tests.ledger.unit_trees import DAY, FROM, Keeper

ON = date(2025, 1, 1)
LATER = date(2025, 7, 1)
SMALL = """code,name,level,parent_code
1,Tỉnh,province,
11,Huyện A,district,1
12,Huyện B,district,1
101,Xã Một,commune,11
102,Xã Hai,commune,11
103,Xã Ba,commune,12
104,Xã Bốn,commune,12
"""
LAW = {"decree": "NQ 1"}


@pytest.fixture
def keeper() -> Keeper:
    return Keeper(SMALL)


def rename(unit: str, name: str | None = None, code: str | None = None, on: date = ON) -> RenameUnit:
    return RenameUnit(effective=on, unit=unit, name=name, code=code, **LAW)


def move(*units: str, to: str | None, on: date = ON) -> MoveUnits:
    return MoveUnits(effective=on, units=units, parent=to, **LAW)


def merge(*units: str, into: str, on: date = ON) -> MergeUnits:
    return MergeUnits(effective=on, units=units, into=into, **LAW)


def split(unit: str, *parts: str, land: tuple[str, ...] = (), on: date = ON) -> SplitUnit:
    return SplitUnit(effective=on, unit=unit, parts=parts, land=land, **LAW)


def abolish(unit: str | None = None, level: str | None = None, on: date = ON) -> AbolishUnits:
    return AbolishUnits(effective=on, unit=unit, level=level, **LAW)


def withdraw(reorganisation: UUID) -> WithdrawReorganisation:
    return WithdrawReorganisation(reorganisation=reorganisation, reason="another decree")


def faults(keeper: Keeper, command: AnyUnitsCommand) -> tuple[str, ...]:
    """Return why a command is refused; that it changed nothing is seen by the tree."""
    before = keeper.tree
    with pytest.raises(UnitsRefusedError) as caught:
        keeper.do(command)
    assert before is keeper.tree
    return caught.value.faults


def places(keeper: Keeper, day: date) -> dict[UUID, object]:
    there = TreeOn(keeper.tree, day)
    return {unit_id: there.place(unit_id) for unit_id in keeper.tree.by_id}


def test_a_unit_is_renamed_and_recoded(keeper):
    """It is the same unit, called otherwise from the day on."""
    before = keeper.tree.resolve("101", ON)
    plan = keeper.do(rename("101", "Phường Một", "901"))

    assert ("901", "Phường Một", before.id) == (
        (unit := keeper.tree.resolve("901", ON)).code,
        unit.name,
        unit.id,
    )
    assert ("101", "Xã Một") == ((unit := keeper.tree.called(before.id, ON - DAY)).code, unit.name)
    with pytest.raises(UnitNotValidError, match="Xã Một held it from 2021-01-01 to 2024-12-31"):
        keeper.tree.resolve("101", ON)
    assert [
        ("renamed", "101", "Xã Một", "Xã Một", "Phường Một"),
        ("recoded", "101", "Xã Một", "101", "901"),
    ] == [(one.what, one.code, one.name, one.before, one.after) for one in told(plan)]


def test_units_are_moved_with_what_is_under_them(keeper):
    keeper.load("code,name,level,parent_code\n2,Tỉnh Hai,province,\n")
    plan = keeper.do(move("11", "103", to="2"))

    assert {"2", "11", "101", "102", "103"} == {unit.code for unit in keeper.tree.on(ON, under="2")}
    assert {"1", "12", "104"} == {unit.code for unit in keeper.tree.on(ON, under="1")}
    assert 7 == len(keeper.tree.on(ON - DAY, under="1"))
    assert ("moved", "103", "Xã Ba", "commune", "12 Huyện B", "2 Tỉnh Hai") == (
        (one := told(plan)[1]).what,
        one.code,
        one.name,
        one.level,
        one.before,
        one.after,
    )
    keeper.do(move("103", to=None, on=LATER))
    assert None is keeper.tree.resolve("103", LATER).parent_id


def test_merged_units_count_at_another(keeper):
    """Also over several mergers, and before any of them where they were."""
    keeper.do(merge("101", "103", into="102"))
    keeper.do(merge("102", into="104", on=LATER))

    for code in ("101", "102", "103"):
        assert (code, True) == keeper.place(code, FROM, ON - DAY)
        assert ("102", True) == keeper.place(code, FROM, LATER - DAY)
        assert ("104", True) == keeper.place(code, FROM, LATER)
    with pytest.raises(UnitNotValidError):
        keeper.tree.resolve("101", ON)


def test_what_is_split_is_unallocated_above_its_parts(keeper):
    """Under the nearest unit that stands above all of them."""
    keeper.do(split("101", "102", "104", land=("103",)))

    assert ("101", True) == keeper.place("101", FROM, ON - DAY)
    assert ("1", False) == keeper.place("101", FROM, ON)
    keeper.do(merge("104", into="102", on=LATER))
    # All parts are together again.
    assert ("102", True) == keeper.place("101", FROM, LATER)


def test_a_split_with_one_part_that_has_people_goes_there(keeper):
    plan = keeper.do(split("101", "102", land=("104",)))

    assert ("102", True) == keeper.place("101", FROM, ON)
    assert ["102 Xã Hai; 104 Xã Bốn (land without people)"] == [one.after for one in told(plan)]


def test_an_abolished_unit_leaves_its_children_to_its_parent(keeper):
    plan = keeper.do(abolish("11"))

    assert {"1": {"101", "102", "12"}, "12": {"103", "104"}} == {
        parent: {
            unit.code
            for unit in keeper.tree.valid(ON).values()
            if unit.parent_id and above(keeper, unit) == parent
        }
        for parent in ("1", "12")
    }
    assert ("1", False) == keeper.place("11", FROM, ON)
    assert (
        "11 Huyện A (district) is abolished: what counts at itself is unallocated from then on",
    ) == plan.warnings


def above(keeper: Keeper, unit) -> str:
    return keeper.tree.called(unit.parent_id, ON).code


def test_several_levels_may_be_abolished_one_after_the_other(keeper):
    """What is under two of them ends at the top; then there is nothing above it."""
    keeper.do(abolish(level="district"))
    assert {"101", "102", "103", "104"} == {
        unit.code
        for unit in keeper.tree.valid(ON).values()
        if unit.parent_id == keeper.tree.resolve("1", ON).id
    }
    keeper.do(abolish(level="province", on=LATER))
    assert {None} == {unit.parent_id for unit in keeper.tree.valid(LATER).values()}
    assert (None, False) == keeper.place("11", FROM, LATER)


REFUSED: list[tuple[Callable[[], AnyUnitsCommand], list[str]]] = [
    # Units, parents and heirs that are not there that day, all of them told.
    (lambda: merge("101", "999", "102", into="888"), ["'888'", "'999'"]),
    (lambda: move("101", "999", "888", to="777"), ["'777'", "'999'", "'888'"]),
    (lambda: split("999", "101", "888", land=("777",)), ["'999'", "'888'", "'777'"]),
    (
        lambda: merge("101", "102", into="103", on=FROM),
        ["101 was not valid on 2020-12-31", "102 was not valid on 2020"],
    ),
    # Into itself, twice, and where it is.
    (lambda: merge("101", into="101"), ["101 cannot be merged into itself"]),
    (lambda: merge("101", "101", into="102"), ["101 is named 2 times"]),
    (lambda: move("101", to="11"), ["101 Xã Một stands there already"]),
    (lambda: move("101", "101", to="12"), ["101 is named 2 times"]),
    # Circles, and parents that are no parents.
    (lambda: move("11", to="101"), ["11 Huyện A would stand above itself: it is above 101 Xã Một already"]),
    (lambda: move("11", to="11"), ["11 Huyện A would stand above itself"]),
    (lambda: move("1", to="12"), ["1 Tỉnh would stand above itself: it is above 12 Huyện B already"]),
    (lambda: move("11", to="12"), ["12 Huyện B (district) cannot be above 11 Huyện A (district)"]),
    (lambda: move("11", to="103"), ["103 Xã Ba (commune) cannot be above 11 Huyện A (district)"]),
    # A code that another unit has.
    (
        lambda: rename("101", code="102"),
        ["the code 102 means another unit on 2025-01-01 already: Xã Hai held it from"],
    ),
    # Splits.
    (lambda: split("101"), ["101 is split, and no part has its people"]),
    (lambda: split("101", land=("102", "103")), ["101 is split, and no part has its people"]),
    (lambda: split("101", "102"), ["101 is split, and has one part"]),
    (lambda: split("101", "102", "102"), ["102 is named 2 times"]),
    (lambda: split("101", "102", "103", land=("103",)), ["103 is named 2 times"]),
    (lambda: split("101", "101", "102"), ["101 cannot be a part of itself"]),
    # What stands under a unit that ends.
    (lambda: merge("11", into="12"), ["Huyện A ends, and 2 units stand under it still, "]),
    # Nothing.
    (lambda: rename("101", "Xã Một", "101"), ["it changes nothing"]),
    (lambda: rename("101"), ["it changes nothing"]),
    (lambda: abolish(level="nation"), ["no nation is open on 2024-12-31"]),
]


@pytest.mark.parametrize(("command", "expected"), REFUSED)
def test_what_does_not_fit_is_refused_whole_naming_everything(keeper, command, expected):
    """And the tree stays what it was."""
    found = faults(keeper, command())

    assert len(expected) == len(found), found
    for words in expected:
        assert any(words in fault for fault in found), (words, found)


@pytest.mark.parametrize(
    ("command", "error", "words"),
    [
        (lambda: rename("999", "X"), UnitUnknownError, "'999'"),
        (
            lambda: rename("101", "X", on=FROM),
            UnitNotValidError,
            "101 was not valid on 2020-12-31: Xã Một held it",
        ),
        (lambda: rename("101", "X", on=date.min), FieldInvalidError, "effective"),
        (lambda: rename("101", " "), FieldMissingError, "name"),
        (lambda: rename("101", "X\x07"), FieldInvalidError, "name"),
        (lambda: rename("101", code="9" * 33), FieldInvalidError, "at most 32"),
        (abolish, FieldInvalidError, "one of them"),
        (lambda: abolish("11", "district"), FieldInvalidError, "one of them"),
        (lambda: abolish(level="xã"), FieldInvalidError, "xã is none of"),
        (lambda: rename("101", "Xã 038090001234"), PersonalNumberError, "name"),
        (
            lambda: RenameUnit(effective=ON, decree="038090001234", unit="101", name="X"),
            PersonalNumberError,
            "decree",
        ),
        (lambda: RenameUnit(effective=ON, decree=" ", unit="101", name="X"), FieldMissingError, "decree"),
        (
            lambda: RenameUnit(effective=ON, decree="NQ", actor="", unit="101", name="X"),
            FieldMissingError,
            "actor",
        ),
        (lambda: withdraw(UUID(int=99)), ReorganisationUnknownError, "ledger units changes"),
    ],
)
def test_what_is_no_command_is_refused(keeper, command, error, words):
    before = keeper.tree
    with pytest.raises(error, match=words):
        keeper.do(command())
    assert before is keeper.tree


def test_a_second_parent_is_refused(keeper):
    """Of two decrees that put one unit under two others from one day on, the second must say which is wrong."""
    first = keeper.do(move("101", to="12"))

    assert (
        "101: 101 Xã Một is put under 12 Huyện B from 2025-01-01 on already; a unit has one parent",
    ) == faults(keeper, move("101", to="1"))
    keeper.do(withdraw(first.reorganisation))
    keeper.do(move("101", to="1"))
    assert ("11", "1") == (
        above(keeper, keeper.tree.resolve("102", ON)),
        above(keeper, keeper.tree.resolve("101", ON)),
    )


def test_a_level_may_be_abolished_the_day_on_which_units_are_moved_in_it(keeper):
    """What was put under another district that day stands above it with the others; taken back, it is there again."""
    keeper.do(move("101", to="12"))
    abolition = keeper.do(abolish(level="district"))
    assert {"1"} == {above(keeper, unit) for unit in keeper.tree.valid(ON).values() if unit.parent_id}
    keeper.do(withdraw(abolition.reorganisation))

    assert "12" == above(keeper, keeper.tree.resolve("101", ON))


def test_a_second_name_is_refused(keeper):
    keeper.do(rename("101", "Phường Một"))
    assert [
        "a unit has one name and one code" in fault for fault in faults(keeper, rename("101", "Phường Hai"))
    ] == [True]


def test_a_late_change_that_breaks_what_holds_later_is_refused(keeper):
    """What was recorded before is named by its position."""
    keeper.do(merge("101", into="104", on=LATER))
    position = keeper.tree.entries[-1][0]

    assert (
        f"position {position}, recorded before, would not hold any more: what was at 101 Xã Một cannot go to "
        f"104 Xã Bốn, not open on {LATER}",
    ) == faults(keeper, merge("104", into="103"))
    assert [True] == [
        "is not open any more on 2025-07-01" in fault for fault in faults(keeper, merge("101", into="103"))
    ]


def test_a_late_change_leaves_what_holds_later(keeper):
    """A name given later stays; what was before the late day stays too."""
    keeper.do(rename("101", "Phường Mới", on=LATER))
    keeper.do(rename("101", "Thị trấn", on=ON))

    assert ["Xã Một", "Thị trấn", "Phường Mới"] == [
        keeper.tree.resolve("101", day).name for day in (ON - DAY, LATER - DAY, LATER)
    ]


def test_what_comes_to_a_unit_later_says_nothing_of_the_days_before_it():
    """Neither a parent that it was given later, nor a unit that was merged into it later."""
    keeper = Keeper(SMALL)
    keeper.load("code,name,level,parent_code\n105,Xã Năm,commune,11\n", ON)
    assert ("11", False) == keeper.place("105", ON, FROM)
    keeper.do(move("105", to="12", on=LATER))
    keeper.do(merge("103", into="105", on=LATER))

    assert ("11", False) == keeper.place("105", ON, FROM)
    assert ("105", True) == keeper.place("103", FROM, LATER)


def test_no_unit_ends_on_the_day_on_which_it_begins(keeper):
    """It would never have been; a list that was wrong has another remedy."""
    keeper.load("code,name,level,parent_code\n105,Xã Năm,commune,11\n", ON)

    assert ("105: 105 Xã Năm cannot end on the day on which it begins, 2025-01-01",) == faults(
        keeper, abolish(level="commune")
    )


def test_where_a_unit_was_opened_stays_for_the_days_before(keeper):
    """Though from the same day on, as was recorded later, it is under something else."""
    keeper.load("code,name,level,parent_code\n105,Xã Năm,commune,11\n", ON)
    keeper.do(abolish(level="district"))

    assert "1" == above(keeper, keeper.tree.resolve("105", ON))
    assert ("11", False) == keeper.place("105", ON, ON - DAY)


def test_who_held_a_code_is_told_once(keeper):
    """Not for each parent that it had, but for each name."""
    keeper.do(move("101", to="12"))
    keeper.do(rename("101", "Phường Một", on=date(2025, 3, 1)))
    keeper.do(merge("101", into="102", on=LATER))
    with pytest.raises(UnitNotValidError) as caught:
        keeper.tree.resolve("101", LATER)

    assert str(caught.value).endswith(
        "on 2025-07-01: Xã Một held it from 2021-01-01 to 2025-02-28; Phường Một held it from 2025-03-01 to 2025-06-30"
    )


def test_a_code_may_be_given_to_another_unit_the_day_it_is_free(keeper):
    keeper.do(merge("101", into="102"))
    keeper.do(rename("103", code="101"))

    assert ("Xã Một", "Xã Ba") == tuple(keeper.tree.resolve("101", day).name for day in (ON - DAY, ON))


def test_where_the_people_of_an_ended_unit_went_is_decided_from_its_end_on(keeper):
    """Not from a later day: counts of the days between would change."""
    keeper.do(abolish("101"))
    assert ("11", False) == keeper.place("101", FROM, LATER)
    with pytest.raises(UnitsRefusedError, match="held it from 2021-01-01 to 2024-12-31"):
        keeper.plan(merge("101", into="103", on=LATER))
    decided = keeper.do(merge("101", into="103"))

    assert ("103", True) == keeper.place("101", FROM, ON)
    assert [True] == ["is not open any more" in fault for fault in faults(keeper, merge("101", into="104"))]
    keeper.do(withdraw(decided.reorganisation))
    assert ("11", False) == keeper.place("101", FROM, ON)
    keeper.do(split("101", "102", "104"))
    assert ("1", False) == keeper.place("101", FROM, ON)


@pytest.mark.parametrize(
    "command",
    [
        lambda: rename("101", "Phường Một", "901"),
        lambda: move("101", "103", to="1"),
        lambda: merge("101", "103", into="102"),
        lambda: split("101", "102", "104"),
        lambda: abolish("11"),
        lambda: abolish(level="district"),
    ],
)
def test_withdrawn_it_is_as_if_it_had_never_been(keeper, command):
    """Every place on every day, and what codes mean; told are the same things, the other way round."""
    days = (FROM - DAY, FROM, ON - DAY, ON, LATER)
    before = keeper.tree
    expected = [(keeper.listed(day), places(keeper, day)) for day in days]
    plan = keeper.do(command())
    assert expected != [(keeper.listed(day), places(keeper, day)) for day in days]
    withdrawal = keeper.do(withdraw(plan.reorganisation))

    assert expected == [(keeper.listed(day), places(keeper, day)) for day in days]
    assert (before.by_id, before.by_code, before.became) == (
        keeper.tree.by_id,
        keeper.tree.by_code,
        keeper.tree.became,
    )
    assert [(f"not {one.what}", one.code, one.after, one.before) for one in told(plan)] == [
        (one.what, one.code, one.before, one.after) for one in told(withdrawal)
    ]
    with pytest.raises(AlreadyWithdrawnError, match=f"position {keeper.tree.entries[-1][0]}"):
        keeper.plan(withdraw(plan.reorganisation))


def test_what_something_later_needs_cannot_be_withdrawn(keeper):
    """The later one is named; taken back first, it is in nobody's way."""
    first = keeper.do(move("101", "102", to="12"))
    second = keeper.do(abolish("11", on=LATER))
    position = keeper.tree.entries[-1][0]

    assert [
        f"position {position}, recorded before, would not hold any more: Huyện A ends, and 2 units stand under it still"
    ] == [fault.split(", 10")[0] for fault in faults(keeper, withdraw(first.reorganisation))]
    keeper.do(withdraw(second.reorganisation))
    keeper.do(withdraw(first.reorganisation))
    assert Keeper(SMALL).listed(LATER) == keeper.listed(LATER)


def test_events_from_elsewhere_that_do_not_fit_are_told():
    """Whatever the log of another program holds: a unit opened twice, changed before it was there, under nothing."""
    one = UnitOpened(unit_id=UUID(int=1), code="1", name="A", level="province", valid_from=ON)
    under = UnitOpened(
        unit_id=UUID(int=2), code="2", name="B", level="commune", parent_id=UUID(int=7), valid_from=ON
    )
    early = UnitMoved(unit_id=UUID(int=1), effective=FROM, decree="x", reorganisation=UUID(int=9))
    _, found = try_grow(UnitTree(), [(1, one), (2, one), (3, under), (4, early)])

    assert [
        (4, "the unit does not exist on 2021-01-01"),
        (2, "the unit 1 was opened already"),
        (3, "the parent of 2 B is not open on 2025-01-01"),
    ] == found
    with pytest.raises(AssertionError):
        grow(UnitTree(), [(1, one), (2, one)])
