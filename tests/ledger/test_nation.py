"""A whole nation reorganised at once: as large as Vietnam's of 2025, made up."""

import time
from collections import Counter, defaultdict
from datetime import date

from benchmarks.nation import NEW, OLD, SPLIT, make_nation
from ledger import Ledger
from ledger.units import TreeOn, read_merge_rows, read_unit_rows, read_units
from tests.conftest import check_ledger
from tests.ledger.unit_trees import DAY, FROM, Keeper

ON = date(2025, 7, 1)


def listed(text: str) -> set[tuple[str, str, str, str]]:
    return {(row.code, row.name, row.level, row.parent_code) for row in read_units(text)}


def test_the_nation_is_as_large_as_it_was():
    """The same every time; the numbers are those of 2025."""
    nation = make_nation()
    merges = read_merge_rows(nation.map)

    assert nation == make_nation()
    assert OLD == Counter(row.level for row in read_units(nation.old))
    assert NEW == Counter(row.level for row in read_units(nation.new))
    assert SPLIT == len({row.old_code for row in merges if row.kind.startswith("part")})
    assert {"whole", "unchanged", "part", "part_area_only"} == {row.kind for row in merges}


def test_a_nation_is_reorganised(database, identities, clock, tmp_path):
    """Recorded in one commit, and read back: each day's tree is its list, each old unit counts where its line says.

    It may take a minute; it takes about a second.
    """
    nation = make_nation()
    paths = {}
    for name in ("old", "new", "map"):
        paths[name] = tmp_path / f"{name}.csv"
        paths[name].write_text(getattr(nation, name), encoding="utf-8")
    with Ledger(database, identities, now=clock) as ledger:
        ledger.load_units(paths["old"], valid_from=FROM)
        began = time.monotonic()
        changed = ledger.reorganise(paths["new"], paths["map"], effective=ON, decree="NQ 1")
        assert time.monotonic() - began < 60
    with Ledger(database, identities, now=clock) as another:
        keeper = Keeper()
        keeper.tree = another.tree()
        check_ledger(another, length=len(keeper.tree.entries))

    assert sum(OLD.values()) + len(changed.plan.events) == changed.position == keeper.tree.version
    assert listed(nation.old) == keeper.listed(ON - DAY)
    assert listed(nation.new) == keeper.listed(ON)
    before, after = TreeOn(keeper.tree, ON - DAY), TreeOn(keeper.tree, ON)
    codes = {unit.id: unit.code for unit in after.units.values()}
    province_of = {row.code: row.parent_code for row in read_unit_rows(nation.new)}
    heirs = defaultdict(list)
    for row in read_merge_rows(nation.map):
        if row.kind != "part_area_only":
            heirs[row.old_code].append(row.new_code)
    for unit in before.units.values():
        place = after.place(unit.id)
        to = heirs.get(unit.code, [])
        expected = (to[0], True) if len(to) == 1 else (province_of[to[0]], False) if to else None
        if expected is None:
            assert (unit.level, False) == ("district", place.allocated)
        else:
            assert expected == (codes[place.unit_id], place.allocated), unit.code
