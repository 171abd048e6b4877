"""One tree in place of another, from two files: what comes of it, and what is refused, whole. Pure."""

from datetime import date

import pytest

from ledger.errors import FileInvalidError, UnitsRefusedError
from ledger.unit_events import UnitAbolished, UnitMerged, UnitMoved, UnitOpened, UnitRenamed, UnitSplit
from ledger.units import read_merge_rows, read_unit_rows
from ledger.units.commands import Reorganise
from tests.ledger.unit_trees import DAY, Keeper

ON = date(2025, 7, 1)
OLD = """code,name,level,parent_code
1,Tỉnh Một,province,
11,Huyện A,district,1
12,Huyện B,district,1
101,Xã Một,commune,11
102,Xã Hai,commune,11
103,Xã Ba,commune,12
104,Xã Bốn,commune,12
2,Tỉnh Hai,province,
201,Xã Xa,commune,2
"""
TREE = """code,name,level,parent_code
1,Tỉnh Một,province,
101,Xã Mới,commune,1
104,Xã Bốn,commune,1
103,Phường Ba,commune,1
"""
MAP = """old_code,new_code,kind,note
101,101,whole,
102,101,part,
102,104,part,
103,103,renamed,
104,104,unchanged,
"""


def reorganise(tree: str = TREE, merges: str = MAP, effective: date = ON) -> Reorganise:
    return Reorganise(
        effective=effective,
        decree="NQ 1",
        tree=tuple(read_unit_rows(tree)),
        merges=tuple(read_merge_rows(merges)),
    )


def test_two_files_become_events():
    """Parents first; then what ends. What goes on keeps its id."""
    keeper = Keeper(OLD)
    ids = {unit.code: unit.id for unit in keeper.tree.valid(ON).values()}
    plan = keeper.do(reorganise())

    assert [
        (UnitOpened, "101"),
        (UnitMoved, ids["104"]),
        (UnitRenamed, ids["103"]),
        (UnitMoved, ids["103"]),
        (UnitAbolished, ids["11"]),
        (UnitAbolished, ids["12"]),
        (UnitMerged, ids["101"]),
        (UnitSplit, ids["102"]),
    ] == [
        (type(event), event.code if isinstance(event, UnitOpened) else event.unit_id) for event in plan.events
    ]
    assert {"NQ 1"} == {event.decree for event in plan.events}
    assert {plan.reorganisation} == {event.reorganisation for event in plan.events}
    assert {
        ("1", "Tỉnh Một", "province", ""),
        ("101", "Xã Mới", "commune", "1"),
        ("104", "Xã Bốn", "commune", "1"),
        ("103", "Phường Ba", "commune", "1"),
        ("2", "Tỉnh Hai", "province", ""),
        ("201", "Xã Xa", "commune", "2"),
    } == keeper.listed(ON)
    assert ids["103"] == keeper.tree.resolve("103", ON).id
    assert ids["101"] != keeper.tree.resolve("101", ON).id
    assert (
        "2 units (district) are abolished: what counts at themselves is unallocated from then on",
    ) == plan.warnings


def test_the_day_before_is_as_it_was():
    keeper = Keeper(OLD)
    before = keeper.listed(ON - DAY)
    keeper.do(reorganise())

    assert before == keeper.listed(ON - DAY)


BAD = [
    # The tree.
    (TREE + "104,Xã Bốn,commune,1\n", MAP, ["tree: line 6: the code 104 stands on line 4 already"]),
    (TREE + "104,Xã Bốn,commune,2\n", MAP, ["tree: line 6: the code 104 stands on line 4 already"]),
    (
        TREE.replace("104,Xã Bốn,commune,1", "104,Xã Bốn,xã,1").replace("103,Phường Ba", "103,"),
        MAP,
        ["tree: line 5: a unit needs a code and a name", "tree: line 4: the level 'xã' is none of"],
    ),
    (
        TREE.replace("1,Tỉnh Một,province,\n", "1,Tỉnh Một,province,104\n"),
        MAP,
        ["tree: line 2: 104 (commune) cannot be above 1 (province)"],
    ),
    (
        TREE.replace("Bốn,commune,1\n", "Bốn,commune,77\n"),
        MAP,
        ["tree: line 4: no unit ever had this code: '77'"],
    ),
    (TREE + "105,Xã Năm,commune,1\n", MAP, ["tree: line 6: no line of the map leads to 105 Xã Năm"]),
    (TREE + "201,Xã Năm,commune,1\n", MAP + "101,201,whole,\n", ["map: lines 2, 7: 101 stands on 2 lines"]),
    # The map.
    (
        TREE,
        MAP.replace("101,101,whole,\n", "").replace("104,104,unchanged,\n", ""),
        [
            "map: no line says where the people of 101 Xã Một went",
            "map: no line says where the people of 104 Xã Bốn went",
        ],
    ),
    (
        TREE,
        MAP + "104,104,unchanged,\n",
        ["map: lines 6, 7: 104 goes to 104 2 times"],
    ),
    (TREE, MAP + "102,104,part,\n", ["map: lines 4, 7: 102 goes to 104 2 times"]),
    (
        TREE,
        MAP + "101,104,whole,\n",
        ["map: lines 2, 7: 101 stands on 2 lines, so the kind of each must begin with part"],
    ),
    (
        TREE,
        MAP + "101,104,part,\n",
        ["map: line 2: 101 stands on 2 lines, so the kind of each must begin with part"],
    ),
    (TREE, MAP.replace("102,104,part,\n", ""), ["map: line 3: 102 is split, and has this one part"]),
    (
        TREE,
        MAP.replace("102,101,part,\n", "").replace("102,104,part", "102,104,part_area_only"),
        ["map: line 3: 102 is split, and has this one part"],
    ),
    (
        TREE,
        MAP.replace("102,101,part", "102,101,part_area_only").replace(
            "102,104,part", "102,104,part_area_only"
        ),
        ["map: lines 3, 4: 102 is split, and no part has its people"],
    ),
    (
        TREE,
        MAP + "999,101,whole,\n998,101,whole,\n",
        ["map: line 7: no unit ever had this code: '999'", "map: line 8: no unit"],
    ),
    (TREE, MAP + ",101,whole,\n", ["map: line 7: there is no old_code"]),
    (
        TREE,
        MAP.replace("101,101,whole", "101,555,whole"),
        ["map: line 2: the new code 555 is not in the tree"],
    ),
    (
        TREE,
        MAP.replace("101,101,whole", "101,101,swallowed").replace("unchanged", "same"),
        [
            "map: line 2: the kind 'swallowed' is none; known are whole",
            "map: line 6: the kind 'same' is none",
        ],
    ),
    (TREE, MAP.replace("101,101,whole", "101,,whole"), ["map: line 2: 101 is whole, and has no new_code"]),
    (
        TREE,
        MAP.replace("103,103,renamed", "103,,renamed"),
        ["map: line 5: 103 is renamed, and has no new_code", "tree: line 5: no line of the map leads to 103"],
    ),
    (TREE, MAP.replace("102,104,part", "102,,part"), ["map: line 4: 102 is part, and has no new_code"]),
    (TREE, MAP.replace("101,101,whole", "101,1,whole"), ["map: line 2: 101 is a commune, and 1 a province"]),
    (
        TREE,
        MAP.replace("101,101,whole", "101,104,unchanged"),
        ["map: lines 2, 6: 104 goes on from several units at once"],
    ),
    # A code that another unit has, of which the files do not speak.
    (
        TREE.replace("101,Xã Mới", "201,Xã Mới"),
        MAP.replace(",101,", ",201,"),
        [
            "tree: line 3: the code 201 means another unit on 2025-07-01 already: Xã Xa held it from 2021-01-01"
        ],
    ),
    # Everything at once.
    (
        TREE + "105,Xã Năm,commune,1\n104,Xã Bốn,commune,1\n",
        MAP.replace("103,103,renamed,\n", "") + "999,101,whole,\n101,104,whole,\n",
        [
            "tree: line 7: the code 104 stands on line 4 already",
            "map: line 6: no unit ever had this code: '999'",
            "map: lines 2, 7: 101 stands on 2 lines",
            "map: no line says where the people of 103 Xã Ba went",
            "tree: line 5: no line of the map leads to 103 Phường Ba",
            "tree: line 6: no line of the map leads to 105 Xã Năm",
        ],
    ),
]


@pytest.mark.parametrize(("tree", "merges", "expected"), BAD)
def test_bad_files_are_refused_whole_naming_every_line(tree, merges, expected):
    """So that all can be mended in one go."""
    keeper = Keeper(OLD)
    with pytest.raises(UnitsRefusedError) as caught:
        keeper.plan(reorganise(tree, merges))

    assert len(expected) == len(caught.value.faults), caught.value.faults
    for start in expected:
        assert any(fault.startswith(start) for fault in caught.value.faults), (start, caught.value.faults)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("old_code,new_code\n1,2\n", "the header must have old_code,new_code,kind, each once"),
        (
            "old_code,new_code,kind,kind\n1,2,whole,\n",
            "the header must have old_code,new_code,kind, each once",
        ),
        ("old_code,new_code,kind\n1,2\n3,4,whole,x\n", "line 2 has 2 fields; line 3 has 4 fields"),
        ('old_code,new_code,kind\n"1,2,whole\n', "line "),
    ],
)
def test_a_map_must_be_a_csv_of_its_columns(text, words):
    with pytest.raises(FileInvalidError, match=words):
        read_merge_rows(text)


def test_before_the_units_were_there_nothing_can_be_reorganised():
    """Each line is about a code that was not valid."""
    keeper = Keeper(OLD)
    with pytest.raises(UnitsRefusedError) as caught:
        keeper.plan(reorganise(effective=date(2021, 1, 1)))

    assert 4 == sum("was not valid on 2020-12-31" in fault for fault in caught.value.faults)


def test_made_once_it_is_not_made_again():
    """The refusal names what has made it; once that is withdrawn, it can be."""
    keeper = Keeper(OLD)
    made = keeper.do(reorganise())
    with pytest.raises(
        UnitsRefusedError, match=f"so already on 2025-07-01, by the reorganisation {made.reorganisation}"
    ):
        keeper.plan(reorganise())


def test_a_list_that_changes_nothing_is_refused():
    keeper = Keeper(OLD)
    same = "old_code,new_code,kind\n" + "".join(
        f"{code},{code},unchanged\n" for code in ("101", "102", "103", "104")
    )
    with pytest.raises(UnitsRefusedError, match="it changes nothing"):
        keeper.plan(reorganise("".join(OLD.splitlines(keepends=True)[:8]), same))


def test_an_absorbed_commune_without_a_successor_is_a_warning():
    """Its line is named; what counts there is unallocated under its district, and then under whatever that is under."""
    keeper = Keeper(OLD)
    plan = keeper.do(reorganise(merges=MAP.replace("101,101,whole", "101,,absorbed")))

    assert "map: line 2: nobody knows where the people of 101 Xã Một went" in plan.warnings[0]
    assert ("1", False) == keeper.place("101", ON - DAY, ON)


def test_land_without_people_takes_nobody_along():
    """What was split over one with people, and land alone, is where the people are."""
    keeper = Keeper(OLD)
    keeper.do(reorganise(merges=MAP.replace("102,104,part", "102,104,part_area_only")))

    assert ("101", True) == keeper.place("102", ON - DAY, ON)


def test_what_is_left_empty_above_ends_too():
    """Provinces and districts of which the map does not speak, and whose communes all went elsewhere, are not left behind."""
    keeper = Keeper(OLD)
    tree = TREE.replace("101,Xã Mới,commune,1\n", "101,Xã Mới,commune,1\n201,Xã Xa,commune,1\n")
    keeper.do(reorganise(tree, MAP + "201,201,unchanged,\n"))

    assert {"1"} == {code for code, _, level, _ in keeper.listed(ON) if level == "province"}


def test_what_keeps_a_commune_stays():
    """A list of one district takes a commune of another, and leaves that one's others alone."""
    keeper = Keeper(OLD)
    tree = "code,name,level,parent_code\n11,Huyện A,district,1\n101,Xã Một,commune,11\n102,Xã Hai,commune,11\n103,Xã Ba,commune,11\n"
    keeper.do(
        reorganise(
            tree, "old_code,new_code,kind\n101,101,unchanged\n102,102,unchanged\n103,103,moved_district\n"
        )
    )

    assert {("101", "11"), ("102", "11"), ("103", "11"), ("104", "12"), ("201", "2")} == {
        (code, parent) for code, _, level, parent in keeper.listed(ON) if level == "commune"
    }
