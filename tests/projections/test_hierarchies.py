"""Parents are the sum of what is under them, in any tree, on any day, in both hierarchies. Pure."""

from collections import Counter
from datetime import date, timedelta
from itertools import count
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import LedgerError
from ledger.units import LEVELS, TreeOn, UnitTree, allocation_id, allocations
from ledger.units.commands import (
    AbolishUnits,
    MergeUnits,
    MoveUnits,
    RenameUnit,
    SplitUnit,
    WithdrawReorganisation,
    decide_units,
)
from ledger.units.files import UnitRow
from ledger.units.growing import try_grow
from ledger.units.opening import decide_open
from projections.hierarchies import FIRST_DAY, LAST_DAY, UNALLOCATED, Rows

BEGIN = date(2024, 1, 1)
CODES = ("1", "11", "12", "13", "111", "112", "113", "121", "122", "131", "132")
"""A province, its districts, their communes; the digits say who stands where in the beginning."""
DAYS = st.integers(1, 400).map(lambda number: BEGIN + timedelta(number))
MORE = ("141", "142", "21")


def rows() -> list[UnitRow]:
    return [
        UnitRow(code, f"N{code}", LEVELS[len(code)], code[:-1] if len(code) > 1 else "", line)
        for line, code in enumerate(CODES, 2)
    ]


@st.composite
def changes(draw):
    code, codes = st.sampled_from(CODES), st.sampled_from((*CODES, *MORE))
    basis = {"effective": draw(DAYS), "decree": "NQ"}
    match draw(st.sampled_from(("rename", "move", "merge", "split", "abolish", "level", "withdraw"))):
        case "rename":
            return RenameUnit(unit=draw(code), code=draw(codes), **basis)
        case "move":
            return MoveUnits(units=(draw(code),), parent=draw(code), **basis)
        case "merge":
            return MergeUnits(
                units=tuple(draw(st.sets(code, min_size=1, max_size=3))), into=draw(code), **basis
            )
        case "split":
            return SplitUnit(
                unit=draw(code), parts=tuple(draw(st.sets(code, min_size=2, max_size=3))), **basis
            )
        case "abolish":
            return AbolishUnits(unit=draw(code), **basis)
        case "level":
            return AbolishUnits(level=draw(st.sampled_from(LEVELS[2:])), **basis)
        case _:
            return draw(st.integers(0, 3))


def tree_after(wishes) -> UnitTree:
    """Return a small tree after the changes that fit, in the order in which they were recorded."""
    ids = count(1)

    def new_id() -> UUID:
        return UUID(int=next(ids))

    opened = decide_open(UnitTree(), rows(), valid_from=BEGIN, decree=None, actor="o", new_id=new_id)
    tree, faults = try_grow(UnitTree(), [(number, event) for number, event in enumerate(opened, 1)])
    assert not faults
    for wish in wishes:
        made = list(tree.reorganisations)
        if isinstance(wish, int):
            if wish >= len(made):
                continue
            wish = WithdrawReorganisation(reorganisation=made[wish], reason="wrong")  # noqa: PLW2901
        try:
            plan = decide_units(tree, wish, new_id=new_id)
        except LedgerError:
            continue
        start = tree.version + 1
        tree, faults = try_grow(tree, [(start + number, event) for number, event in enumerate(plan.events)])
        assert not faults
    return tree


def counted(found: Rows, facts) -> Counter:
    """Return what is counted in each bucket, as the query does it."""
    told: Counter = Counter()
    parameters = found.parameters
    arrays = [split(parameters[name]) for name in ("members", "firsts", "afters", "buckets")]
    # In the tree of one day the days are left out.
    arrays = [
        array or [day] * len(arrays[0])
        for array, day in zip(arrays, ("", "0001", "9999-13", ""), strict=True)
    ]
    shares = list(zip(*arrays, strict=True))
    for (leaf, day), number in facts.items():
        buckets = [
            int(bucket)
            for member, first, after, bucket in shares
            if member == str(leaf) and first <= day.isoformat() < after
        ]
        assert len(buckets) <= 1
        for bucket in buckets:
            told[bucket] += number
    return told


def split(array: str) -> list[str]:
    return [text.strip('"') for text in array[1:-1].split(",") if text]


@st.composite
def cases(draw):
    tree = tree_after(draw(st.lists(changes(), max_size=6)))
    leaves = list(tree.by_id)
    leaves += allocations(tree)
    facts = draw(
        st.dictionaries(st.tuples(st.sampled_from(leaves), DAYS), st.integers(1, 5), min_size=1, max_size=25)
    )
    return tree, facts, draw(DAYS), draw(st.sampled_from(("then", "day")))


@settings(deadline=None, max_examples=150)
@given(case=cases())
def test_children_and_unallocated_are_the_parent(case):
    """At every depth; and each child's row is what a question about the child is answered with."""
    tree, facts, day, kind = case
    hierarchy = day if kind == "day" else "then"
    everything = Rows(tree, hierarchy, day, None, "unit")
    assert sum(facts.values()) == sum(counted(everything, facts).values())
    for scope in [None, *TreeOn(tree, day).units.values()]:
        at_all = sum(counted(Rows(tree, hierarchy, day, scope, ""), facts).values())
        for by in ("unit", "district", "commune"):
            found = Rows(tree, hierarchy, day, scope, by)
            told = counted(found, facts)
            assert at_all == told.total(), (scope, by)
            lines, total = found.tell({bucket: [number] for bucket, number in told.items()}, ["n"])
            assert {"n": at_all} == total == {"n": sum(line["n"] for line in lines)}
        found = Rows(tree, hierarchy, day, scope, "unit")
        told = counted(found, facts)
        # As then, a child that has stood elsewhere counts there for those days.
        for child in TreeOn(tree, day).children.get(scope.id if scope else None, ()) if kind == "day" else ():
            inside = sum(counted(Rows(tree, hierarchy, day, child, ""), facts).values())
            assert inside == told[found._buckets[child.id, True]], child.code


@settings(deadline=None, max_examples=150)
@given(case=cases())
def test_where_something_counts_is_where_its_unit_is_placed(case):
    """As then, in the tree of the day on which it occurred; else in that of the day asked for."""
    tree, facts, day, kind = case
    of_parts = allocations(tree)
    expected: Counter = Counter()
    for (leaf, occurred), number in facts.items():
        on = TreeOn(tree, day if kind == "day" else occurred)
        place = on.place_allocated(*of_parts[leaf]) if leaf in of_parts else on.place(leaf)
        above = list(on.above(place.unit_id))
        expected[above[-1] if above else None] += number
    found = Rows(tree, day if kind == "day" else "then", day, None, "unit")
    names = {bucket: place.unit_id for place, bucket in found._buckets.items()}

    assert expected == Counter({names[bucket]: number for bucket, number in counted(found, facts).items()})


@settings(deadline=None, max_examples=100)
@given(wishes=st.lists(changes(), max_size=4), late=changes(), day=DAYS)
def test_then_never_changes_for_days_before_a_change(wishes, late, day):
    """However late it is recorded; and once it is withdrawn, nothing is as if it had been."""
    if isinstance(late, int):
        return
    before, after = tree_after(wishes), tree_after([*wishes, late])
    changed = len(after.reorganisations) > len(before.reorganisations)
    undone = tree_after([*wishes, late, len(after.reorganisations) - 1]) if changed else before
    for unit_id in before.by_id:
        if day < late.effective:
            assert TreeOn(before, day).place(unit_id) == TreeOn(after, day).place(unit_id)
        assert TreeOn(before, day).place(unit_id) == TreeOn(undone, day).place(unit_id)


def test_unallocated_has_a_row_of_its_own():
    """Between two districts: under the province; within one: under it."""
    tree = tree_after(
        [
            SplitUnit(unit="111", parts=("112", "121"), effective=date(2024, 6, 1), decree="NQ"),
            SplitUnit(unit="131", parts=("132", "122"), effective=date(2024, 6, 1), decree="NQ"),
            SplitUnit(unit="113", parts=("112", "121"), effective=date(2024, 7, 1), decree="NQ"),
        ]
    )
    day = date(2024, 8, 1)
    split_unit = tree.resolve("111", BEGIN).id
    facts = {(split_unit, BEGIN): 3, (allocation_id(split_unit, tree.resolve("121", BEGIN).id), BEGIN): 2}
    found = Rows(tree, day, day, tree.resolve("1", day), "unit")
    lines, _ = found.tell({bucket: [n] for bucket, n in counted(found, facts).items()}, ["n"])

    assert [("11", 0), ("12", 2), ("13", 0), (None, 3)] == [
        (line["unit"]["code"], line["n"]) for line in lines
    ]
    assert UNALLOCATED == lines[-1]["unit"]


def test_days_are_covered_without_gaps():
    """From the first day that there can be to the last; in the tree of one day they do not matter."""
    tree = tree_after([MoveUnits(units=("111",), parent="12", effective=date(2024, 6, 15), decree="NQ")])
    day = date(2024, 8, 1)
    parameters = Rows(tree, "then", day, tree.resolve("1", BEGIN), "unit").parameters
    firsts, afters = set(split(parameters["firsts"])), set(split(parameters["afters"]))
    assert ({FIRST_DAY.isoformat(), "2024-06-15"}, {LAST_DAY.isoformat(), "2024-06-15"}) == (firsts, afters)
    found = Rows(tree, day, day, tree.resolve("1", BEGIN), "unit")
    assert ([], "{}", "{}") == (found.boundaries, found.parameters["firsts"], found.parameters["afters"])
    # Who leaves in the middle of a month breaks it, also where nobody comes.
    leaves = Rows(tree, "then", day, tree.resolve("11", BEGIN), "unit")
    assert [date(2024, 6, 15)] == leaves.boundaries
