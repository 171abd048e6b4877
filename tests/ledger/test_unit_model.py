"""Any tree, any changes, recorded in any order: where everything counts on every day. Pure.

The promises that totals lean on: every unit that ever was has one place on every day, so that children and what is
unallocated sum to their parent; what is recorded later changes no day before its effective date; and withdrawn, a
reorganisation leaves everything as if it had never been. ``MODEL_EXAMPLES=20`` makes 20 times as many examples.
"""

import os
from collections import Counter
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from hypothesis import event, given, settings
from hypothesis import strategies as st

from ledger.errors import LedgerError
from ledger.units import MergeRow, Place, TreeOn, UnitRow, UnitTree, grow
from ledger.units.commands import (
    AbolishUnits,
    AnyUnitsCommand,
    MergeUnits,
    MoveUnits,
    RenameUnit,
    Reorganise,
    SplitUnit,
    WithdrawReorganisation,
)
from ledger.units.tree import LEVELS
from tests.ledger.unit_trees import Keeper

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "1"))
FIRST = date(2025, 1, 1)
DAYS = [FIRST + timedelta(days=day) for day in range(-1, 6)]
"""The day before the first units, and those on which something may change."""
CODES = [f"{number:02}" for number in range(14)]

Places = dict[UUID, Place]


@st.composite
def unit_files(draw: st.DrawFn) -> str:
    """A nation's units, or those of a province, with codes in no order."""
    codes = list(draw(st.permutations(CODES)))
    lines, above = [], {"": ""}
    for level in LEVELS[draw(st.integers(0, 1)) :]:
        parents = list(above)
        made = {}
        for _ in range(draw(st.integers(1, 2 if level != "commune" else 5))):
            code = codes.pop()
            made[code] = draw(st.sampled_from(parents))
            lines.append(f"{code},Unit {code},{level},{made[code]}")
        # A level may be left out here and there.
        above = {**made, **({} if draw(st.booleans()) else above)}
    return "code,name,level,parent_code\n" + "\n".join(lines) + "\n"


def commands(draw: Any, keeper: Keeper) -> AnyUnitsCommand:
    """Draw a change: sensible often enough to be taken, and whatever else."""
    effective = draw(st.sampled_from(DAYS[1:]))
    on = [unit.code for unit in keeper.tree.valid(effective - timedelta(days=1)).values()] or CODES
    code = st.sampled_from(on)
    some = st.lists(code, min_size=1, max_size=3, unique=True).map(tuple)
    law = {"effective": effective, "decree": "NQ"}
    match draw(
        st.sampled_from(
            ["rename", "move", "merge", "merge", "split", "abolish", *["reorganise"] * 4, "withdraw"]
        )
    ):
        case "rename":
            return RenameUnit(
                unit=draw(code), name="Renamed", code=draw(st.sampled_from([None, *CODES])), **law
            )
        case "move":
            return MoveUnits(units=draw(some), parent=draw(st.none() | code), **law)
        case "merge":
            return MergeUnits(units=draw(some), into=draw(code), **law)
        case "split":
            parts = draw(st.lists(code, min_size=1, max_size=3, unique=True))
            return SplitUnit(unit=draw(code), parts=tuple(parts[:2]), land=tuple(parts[2:]), **law)
        case "abolish":
            if draw(st.booleans()):
                return AbolishUnits(unit=draw(code), **law)
            return AbolishUnits(level=draw(st.sampled_from(LEVELS)), **law)
        case "reorganise":
            return reorganisations(draw, keeper.tree, law)
        case _:
            made = list(keeper.tree.reorganisations) or [UUID(int=0)]
            return WithdrawReorganisation(reorganisation=draw(st.sampled_from(made)), reason="mistake")


def reorganisations(draw: Any, tree: UnitTree, law: dict[str, Any]) -> Reorganise:
    """Draw new communes for all there are: some go on, some are merged into new ones or split over them, some are absorbed."""
    valid = tree.valid(law["effective"] - timedelta(days=1))
    old = [unit for unit in valid.values() if unit.level == "commune"]
    kept = [
        unit
        for unit in valid.values()
        if unit.level != "commune" and (draw(st.integers(0, 2)) or not unit.parent_id)
    ]
    parents = [unit.code for unit in kept] or [""]
    rows = [
        UnitRow(
            unit.code, unit.name, unit.level, valid[unit.parent_id].code if unit.parent_id in valid else "", 2
        )
        for unit in kept
    ]
    codes = {row.code for row in rows}
    rows = [
        UnitRow(row.code, row.name, row.level, row.parent_code if row.parent_code in codes else "", row.line)
        for row in rows
    ]
    free = sorted(set(CODES) - codes)
    new = free[: draw(st.integers(1, 3))]
    merges, reached = [], set()
    for line, unit in enumerate(old, 2):
        match draw(st.sampled_from(["whole", "part", "part", "unchanged", "absorbed"])):
            case "unchanged" if unit.code not in new and unit.code not in codes:
                merges.append(MergeRow(unit.code, unit.code, "unchanged", line))
                rows.append(UnitRow(unit.code, unit.name, "commune", draw(st.sampled_from(parents)), line))
            case "part" if len(new) > 1:
                land = len(new) > 2 and draw(st.booleans())
                kinds = ["part"] * (len(new) - land) + ["part_area_only"] * land
                merges += [
                    MergeRow(unit.code, code, kind, line) for code, kind in zip(new, kinds, strict=True)
                ]
                reached |= set(new)
            case "absorbed":
                merges.append(MergeRow(unit.code, "", "absorbed", line))
            case _:
                to = draw(st.sampled_from(new))
                merges.append(MergeRow(unit.code, to, "whole", line))
                reached.add(to)
    rows += [
        UnitRow(code, f"New {code}", "commune", draw(st.sampled_from(parents)), 2)
        for code in new
        if code in reached
    ]
    return Reorganise(tree=tuple(rows), merges=tuple(merges), **law)


def load_late(draw: Any, keeper: Keeper, known: dict[date, Places]) -> dict[date, Places]:
    """Open one more unit, from a day on; that day, too, may be long past when it is recorded."""
    day = draw(st.sampled_from(DAYS[1:]))
    parent = draw(st.sampled_from(["", *(unit.code for unit in keeper.tree.valid(day).values())]))
    text = f"code,name,level,parent_code\n{draw(st.sampled_from(CODES))},Late,commune,{parent}\n"
    try:
        keeper.load(text, day)
    except LedgerError:
        return known
    now = places(keeper.tree)
    for each, placed in known.items():
        assert placed == {unit_id: now[each][unit_id] for unit_id in placed}
        check_partition(keeper.tree, each, now[each])
    return now


def places(tree: UnitTree) -> dict[date, Places]:
    """Return where every unit that ever was counts, on every day."""
    return {
        day: {unit_id: there.place(unit_id) for unit_id in tree.by_id}
        for day in DAYS
        for there in [TreeOn(tree, day)]
    }


def check_partition(tree: UnitTree, day: date, placed: Places) -> None:
    """Give each unit a count of its own, and sum them up the tree: each stands at one place, none is lost or counted twice."""
    there = TreeOn(tree, day)
    counts = {unit_id: 1 << number for number, unit_id in enumerate(placed)}
    at: Counter[tuple[UUID | None, bool]] = Counter()
    for unit_id, place in placed.items():
        assert place.unit_id in there.units or place == (None, False)
        assert unit_id not in there.units or place == (unit_id, True)
        at[place] += counts[unit_id]

    def total(unit_id: UUID | None) -> int:
        children = there.children.get(unit_id, ())
        return at[unit_id, True] + at[unit_id, False] + sum(total(child.id) for child in children)

    assert total(None) == sum(counts.values())


def without(tree: UnitTree) -> UnitTree:
    """Return the tree of a log in which what was withdrawn never was."""
    gone = {one.id for one in tree.reorganisations.values() if one.withdrawn_at}
    return grow(UnitTree(), [entry for entry in tree.entries if entry[1].reorganisation not in gone])


@settings(max_examples=200 * EXAMPLES)
@given(st.data())
def test_any_changes_in_any_order(data):
    """Each is taken whole or refused whole; what is taken keeps all promises."""
    keeper = Keeper(data.draw(unit_files()), FIRST)
    known = places(keeper.tree)
    for _ in range(data.draw(st.integers(1, 6))):
        before = keeper.tree
        if not data.draw(st.integers(0, 5)):
            known = load_late(data.draw, keeper, known)
            continue
        command = commands(data.draw, keeper)
        try:
            plan = keeper.do(command)
        except LedgerError as refusal:
            event(f"{type(command).__name__} refused ({refusal.code})")
            assert before is keeper.tree
            continue
        event(f"{type(command).__name__} taken")
        now = places(keeper.tree)
        for day, placed in now.items():
            check_partition(keeper.tree, day, placed)
            if day < plan.effective:
                assert known[day] == {unit_id: placed[unit_id] for unit_id in known[day]}
        never = without(keeper.tree)
        if isinstance(command, WithdrawReorganisation):
            clean = places(never)
            for day, placed in clean.items():
                assert placed == {unit_id: now[day][unit_id] for unit_id in placed}
                assert TreeOn(never, day).units == TreeOn(keeper.tree, day).units
        else:
            # Taken back at once, it leaves no trace.
            withdrawal = keeper.plan(WithdrawReorganisation(reorganisation=plan.reorganisation, reason="x"))
            restored = places(withdrawal.tree)
            for day, placed in known.items():
                assert placed == {unit_id: restored[day][unit_id] for unit_id in placed}
                check_partition(withdrawal.tree, day, restored[day])
        known = now
