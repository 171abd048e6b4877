"""Whoever keeps, or operates, a part of the tree changes that part and nothing beside or above it."""

from collections.abc import Callable, Iterator
from datetime import date
from itertools import count
from typing import Any

import pytest
from msgspec.structs import replace

from ledger import DenominatorRow, Ledger, TargetRow
from ledger.access import Grant, Principal, Role
from ledger.errors import NotPermittedError
from ledger.identities import Identities
from ledger.units.commands import AbolishUnits, MergeUnits, MoveUnits, RenameUnit, WithdrawReorganisation
from projections import Totals, TotalsQuery, catch_up, freeze_report, preview
from tests.conftest import Clock, Server, check_ledger

OWN, BELOW, OTHER, ABOVE = "380", "14758", "401", "38"
"""A district, a commune of it, another district, the province that both stand in."""
TODAY, LATER, LAST = date(2024, 12, 9), date(2024, 12, 10), date(2024, 12, 31)
_numbers = count(1)


@pytest.fixture(scope="module")
def ledger(server: Server, units_template: str) -> Iterator[Ledger]:
    """A ledger in which each of the units has a target, and a key over it."""
    name = server.create(units_template)
    with Ledger(server.database(name), Identities(lookup=bytes(32), wrap=bytes(32)), now=Clock()) as ledger:
        rows = [
            DenominatorRow(unit=unit.code, value=100) for unit in ledger.units() if unit.level == "commune"
        ]
        ledger.set_denominators(rows, name="people", from_day=TODAY, source="x")
        ledger.set_targets([target(code) for code in (OWN, BELOW, OTHER, ABOVE)], issuer="all")
        catch_up(ledger.database)
        yield ledger
        check_ledger(ledger)
    server.drop(name)


def target(unit: str) -> TargetRow:
    return TargetRow(unit=unit, measure="collected", number=10, from_day=TODAY, deadline=LAST)


def rename(unit: str) -> RenameUnit:
    return RenameUnit(unit=unit, name="Tên mới", effective=LATER, decree="d")


def withdraw(ledger: Ledger, code: str, by: Principal) -> None:
    unit_id = ledger.tree().resolve(code, TODAY).id
    ids = [one.id for one in ledger.targets().standing() if one.unit_id == unit_id]
    ledger.withdraw_targets(ids, reason="mistyped", dry_run=True, by=by)


def freeze(ledger: Ledger, code: str, by: Principal) -> None:
    query = TotalsQuery(unit=code, position=ledger.head().position - 1)
    catch_up(ledger.database)
    freeze_report(ledger, Totals(ledger), f"r{next(_numbers)}", query, by=by)


def revoke(ledger: Ledger, code: str, by: Principal) -> None:
    key = ledger.create_key([Role.VIEWER], unit=code).key
    ledger.revoke_key(key.id, by=by)


KEEPING: dict[str, Callable[[Ledger, str, Principal], Any]] = {
    "change_units": lambda ledger, code, by: ledger.change_units(rename(code), dry_run=True, by=by),
    "set_denominators": lambda ledger, code, by: ledger.set_denominators(
        [DenominatorRow(unit=code, value=7)], name="n", from_day=TODAY, source="x", dry_run=True, by=by
    ),
    "set_targets": lambda ledger, code, by: ledger.set_targets(
        [target(code)], issuer="mine", dry_run=True, by=by
    ),
    "withdraw_targets": withdraw,
    "cascade_target": lambda ledger, code, by: ledger.cascade_target(
        code, to_level="commune", denominator="people", issuer="all", parts_issuer="mine", dry_run=True, by=by
    ),
    "freeze_report": freeze,
}
OPERATING: dict[str, Callable[[Ledger, str, Principal], Any]] = {
    "create_key": lambda ledger, code, by: ledger.create_key([Role.OPERATOR], unit=code, by=by),
    "revoke_key": revoke,
}
CASES = [
    (name, code)
    for name in (*KEEPING, *OPERATING)
    for code in (OWN, BELOW, OTHER, ABOVE)
    # Nothing stands under a commune that could get a part of its target.
    if (name, code) != ("cascade_target", BELOW)
]


def holder(ledger: Ledger, role: Role, *codes: str | None) -> Principal:
    tree = ledger.tree()
    return Principal(
        "p", "machine", tuple(Grant(role, code and tree.resolve(code, TODAY).id) for code in codes)
    )


@pytest.mark.parametrize(("name", "code"), CASES)
def test_a_part_is_kept_by_who_keeps_or_operates_it(ledger, name, code):
    """And by who does so over the whole ledger; never by who only sees it, or keeps where operating is asked for."""
    act = KEEPING.get(name) or OPERATING[name]
    able = {Role.KEEPER, Role.OPERATOR} if name in KEEPING else {Role.OPERATOR}
    for role in (Role.KEEPER, Role.OPERATOR, Role.VIEWER, Role.AUDITOR):
        for held in (OWN, None):
            by = holder(ledger, role, held)
            if role in able and (held is None or code in (OWN, BELOW)):
                act(ledger, code, by)
            else:
                before = ledger.head().position
                with pytest.raises(NotPermittedError):
                    act(ledger, code, by)
                # But for the key that is to be revoked.
                assert before + (name == "revoke_key") == ledger.head().position


@pytest.mark.parametrize(
    "command",
    [
        MoveUnits(units=(BELOW,), parent=OTHER, effective=LATER, decree="d"),
        MergeUnits(units=(BELOW,), into="16093", effective=LATER, decree="d"),
        AbolishUnits(level="district", effective=LATER, decree="d"),
    ],
    ids=lambda command: type(command).__name__,
)
def test_a_change_that_reaches_out_of_ones_part_is_refused(ledger, command):
    """Whoever keeps both sides makes it, and where everything is touched, whoever keeps all."""
    for role in (Role.KEEPER, Role.OPERATOR):
        with pytest.raises(NotPermittedError, match="nothing was recorded"):
            ledger.change_units(command, dry_run=True, by=holder(ledger, role, OWN))
    ledger.change_units(command, dry_run=True, by=holder(ledger, Role.KEEPER, ABOVE))


def test_a_change_within_ones_part_is_made(ledger):
    command = MergeUnits(units=(BELOW,), into="14761", effective=LATER, decree="d")
    assert ledger.change_units(command, dry_run=True, by=holder(ledger, Role.KEEPER, OWN)).plan.events


def test_a_whole_tree_is_replaced_by_who_keeps_it(ledger):
    files = "units_2025-01-01.csv", "merge_2025-01-01.csv"
    how = {"effective": date(2025, 1, 1), "decree": "d", "dry_run": True}
    with pytest.raises(NotPermittedError):
        ledger.reorganise(*files, **how, by=holder(ledger, Role.KEEPER, OWN))
    assert ledger.reorganise(*files, **how, by=holder(ledger, Role.KEEPER, None)).plan.events


def test_a_change_is_taken_back_by_who_keeps_everything(ledger):
    """It may have touched anything; and what is taken back here was made within one's part."""
    made = ledger.change_units(rename(BELOW), by=holder(ledger, Role.KEEPER, OWN))
    command = WithdrawReorganisation(reorganisation=[*ledger.tree().reorganisations][-1], reason="mistyped")
    assert made.position == ledger.head().position
    with pytest.raises(NotPermittedError):
        ledger.change_units(command, by=holder(ledger, Role.KEEPER, OWN))
    assert ledger.change_units(command, by=holder(ledger, Role.KEEPER, None)).position > made.position


@pytest.mark.parametrize("parent", [OWN, OTHER, ABOVE])
def test_units_are_opened_under_ones_own(ledger, tmp_path, parent):
    level = "district" if parent == ABOVE else "commune"
    path = tmp_path / "units.csv"
    path.write_text(f"code,name,level,parent_code\n9{parent},Mới,{level},{parent}\n", encoding="utf-8")
    by = holder(ledger, Role.KEEPER, OWN)
    if parent == OWN:
        assert 1 == ledger.load_units(path, valid_from=TODAY, by=by).opened
        return
    with pytest.raises(NotPermittedError):
        ledger.load_units(path, valid_from=TODAY, by=by)


def test_what_a_change_does_to_totals_is_told_to_who_sees_all_of_them(ledger):
    plan = ledger.change_units(rename(OWN), dry_run=True).plan
    for code in (OWN, ABOVE):
        with pytest.raises(NotPermittedError):
            preview(Totals(ledger), plan, by=holder(ledger, Role.KEEPER, code))
    with pytest.raises(NotPermittedError, match="not told to the public"):
        preview(Totals(ledger), plan, by=holder(ledger, Role.PUBLIC, None))
    assert preview(Totals(ledger), plan, by=holder(ledger, Role.KEEPER, None)).position


def test_a_key_over_everything_is_nobodys_to_make_or_revoke_who_operates_a_part(ledger):
    """Nor is whoever operates a part told whether there is a key."""
    whole = ledger.create_key([Role.VIEWER]).key
    part = holder(ledger, Role.OPERATOR, OWN)
    for act in (
        lambda: ledger.create_key([Role.VIEWER], by=part),
        lambda: ledger.revoke_key(whole.id, by=part),
        lambda: ledger.revoke_key("k" * 16, by=part),
    ):
        with pytest.raises(NotPermittedError):
            act()


def test_a_report_is_frozen_by_who_keeps_its_unit_and_asked_before_it_is_computed(ledger):
    """Also by a program that has computed it itself."""
    part = holder(ledger, Role.KEEPER, OWN)
    query = TotalsQuery(unit=OWN, position=ledger.head().position)
    catch_up(ledger.database)
    report = freeze_report(ledger, Totals(ledger), "mine", query, by=part).frozen.report
    others = replace(report, name="others", definition=replace(report.definition, unit=OTHER))
    with pytest.raises(NotPermittedError):
        ledger.record_frozen(others, by=part)
    # The read model has not come so far.
    query = TotalsQuery(unit=OTHER, position=ledger.head().position)
    with pytest.raises(NotPermittedError):
        freeze_report(ledger, Totals(ledger), "others", query, wait_seconds=0.1, by=part)
