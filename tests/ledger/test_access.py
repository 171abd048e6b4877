"""Roles, rights, and the parts of the tree over which they are held."""

from datetime import date, timedelta
from uuid import UUID

import pytest

from ledger.access import LOCAL, NOBODY, RIGHT_TO_REPORT, RIGHTS, Grant, Principal, Reach, Right, Role
from ledger.commands import COMMANDS
from ledger.units.commands import AbolishUnits, MergeUnits, SplitUnit
from tests.ledger.unit_trees import DAY, FROM, MARCH, Keeper

FILE = """code,name,level,parent_code
38,Tỉnh A,province,
380,Huyện A,district,38
381,Huyện B,district,38
00001,Xã A,commune,380
00002,Xã B,commune,380
00003,Xã C,commune,381
39,Tỉnh B,province,
"""


@pytest.fixture
def keeper() -> Keeper:
    return Keeper(FILE)


def unit(keeper: Keeper, code: str, day: date = FROM) -> UUID:
    return keeper.tree.resolve(code, day).id


def may(keeper: Keeper, grant: str | None, code: str, day: date, *, of: date = FROM) -> bool:
    """Whether a recorder of *grant*, a code of the beginning, may record for a code on a day."""
    part = None if grant is None else unit(keeper, grant)
    principal = Principal("p", "machine", (Grant(Role.RECORDER, part),))
    return principal.may(Right.RECORD, Reach(keeper.tree).above(unit(keeper, code, of), day))


def test_every_report_takes_one_right():
    assert set(COMMANDS) == set(RIGHT_TO_REPORT)
    for right in RIGHT_TO_REPORT.values():
        assert any(right in rights for role, rights in RIGHTS.items() if role is not Role.OPERATOR)


def test_an_operator_has_every_right_and_nobody_has_none():
    above = frozenset({UUID(int=1)})
    assert all(LOCAL.may(right, above) for right in Right)
    assert all(LOCAL.may(right, frozenset()) for right in Right)
    assert not any(NOBODY.holds(right) for right in Right)


def test_only_the_roles_that_are_said_to_see_a_dossier():
    assert {Role.CORRECTOR, Role.AUDITOR, Role.OPERATOR} == {
        role for role, rights in RIGHTS.items() if Right.HISTORY in rights
    }
    assert {Role.AUDITOR, Role.OPERATOR} == {
        role for role, rights in RIGHTS.items() if Right.REVEAL in rights
    }


def test_a_right_reaches_its_own_unit_and_what_is_under_it(keeper):
    assert may(keeper, "00001", "00001", FROM)
    assert may(keeper, "380", "00001", FROM)
    assert may(keeper, "38", "00003", FROM)
    assert may(keeper, None, "39", FROM)


@pytest.mark.parametrize(
    ("grant", "code"), [("00001", "00002"), ("00001", "380"), ("380", "00003"), ("38", "39"), ("380", "38")]
)
def test_a_right_reaches_nothing_beside_or_above_it(keeper, grant, code):
    assert not may(keeper, grant, code, FROM)


def test_a_role_gives_no_other_right(keeper):
    above = Reach(keeper.tree).above(unit(keeper, "00001"), FROM)
    principal = Principal("p", "machine", (Grant(Role.VIEWER, unit(keeper, "38")),))
    assert principal.may(Right.TOTALS, above)
    assert not principal.may(Right.RECORD, above)
    assert not principal.may(Right.HISTORY, above)


def test_several_roles_are_held_each_over_its_own_part(keeper):
    principal = Principal(
        "p",
        "person",
        (Grant(Role.RECORDER, unit(keeper, "00001")), Grant(Role.VIEWER, unit(keeper, "38"))),
    )
    reach = Reach(keeper.tree)
    assert principal.may(Right.RECORD, reach.above(unit(keeper, "00001"), FROM))
    assert principal.may(Right.TOTALS, reach.above(unit(keeper, "00003"), FROM))
    assert not principal.may(Right.RECORD, reach.above(unit(keeper, "00003"), FROM))


def test_a_merged_unit_is_reached_by_its_successor_from_then_on(keeper):
    keeper.do(MergeUnits(units=("00001",), into="00003", effective=MARCH, decree="d"))
    assert may(keeper, "381", "00001", MARCH)
    assert not may(keeper, "380", "00001", MARCH)
    assert may(keeper, "380", "00001", MARCH - DAY)
    assert not may(keeper, "381", "00001", MARCH - DAY)


def test_whoever_holds_a_right_over_a_unit_that_has_ended_holds_it_no_more(keeper):
    keeper.do(MergeUnits(units=("00001",), into="00003", effective=MARCH, decree="d"))
    assert may(keeper, "00001", "00001", MARCH - DAY)
    assert not may(keeper, "00001", "00001", MARCH)
    assert not may(keeper, "00001", "00003", MARCH)


def test_what_a_split_leaves_undecided_is_reached_from_above_all_its_parts_alone(keeper):
    keeper.do(SplitUnit(unit="00001", parts=("00002", "00003"), effective=MARCH, decree="d"))
    assert may(keeper, "38", "00001", MARCH)
    for part in ("00002", "00003", "380", "381"):
        assert not may(keeper, part, "00001", MARCH)


def test_an_abolished_level_leaves_what_was_under_it_to_what_was_above(keeper):
    keeper.do(AbolishUnits(level="district", effective=MARCH, decree="d"))
    reach = Reach(keeper.tree)
    assert {unit(keeper, "00001"), unit(keeper, "380"), unit(keeper, "38")} == reach.above(
        unit(keeper, "00001"), MARCH - DAY
    )
    assert {unit(keeper, "00001"), unit(keeper, "38")} == reach.above(unit(keeper, "00001"), MARCH)


def test_days_between_two_changes_are_answered_alike(keeper):
    keeper.do(AbolishUnits(level="district", effective=MARCH, decree="d"))
    reach = Reach(keeper.tree)
    for days in (0, 1, 400):
        assert reach.above(unit(keeper, "00002"), MARCH) is reach.above(
            unit(keeper, "00002"), MARCH + timedelta(days)
        )


def test_a_unit_that_begins_later_is_reached_by_nobody_below_the_whole(keeper):
    before = date(2020, 12, 31)
    assert frozenset() == Reach(keeper.tree).above(unit(keeper, "38"), before)
    assert may(keeper, None, "38", before)
    assert not may(keeper, "38", "38", before)
