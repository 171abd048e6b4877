"""What a code meant on a day, and how units are opened. Pure."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from importlib.resources import files
from itertools import count
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import UnitOpened
from ledger.errors import (
    FileEmptyError,
    FileInvalidError,
    LedgerError,
    UnitDiffersError,
    UnitNotValidError,
    UnitUnknownError,
)
from ledger.units import LEVELS, Unit, UnitTree, decide_open, grow, read_units

FROM = date(2021, 1, 1)
SMALL = """code,name,level,parent_code
38,Tỉnh Thanh Hóa,province,
380,Thành phố Thanh Hóa,district,38
14758,Phường Đông Thọ,commune,380
14761,Phường Nam Ngạn,commune,380
"""


def placed(events: Sequence[UnitOpened]) -> list[tuple[int, UnitOpened]]:
    """Events with positions, which none of these tests is about."""
    return [(0, event) for event in events]


def opening(tree: UnitTree, text: str, valid_from: date = FROM, start: int = 1) -> list[UnitOpened]:
    ids = count(start)
    return decide_open(
        tree,
        read_units(text),
        valid_from=valid_from,
        decree="NQ 1",
        actor="op",
        new_id=lambda: UUID(int=next(ids)),
    )


def tree_of(text: str = SMALL, valid_from: date = FROM) -> UnitTree:
    return grow(UnitTree(), placed(opening(UnitTree(), text, valid_from)))


def packaged(name: str) -> str:
    return (files("ledger") / "data" / name).read_text(encoding="utf-8")


def test_units_are_opened_parents_first():
    """Whatever the order of the file's lines."""
    header, *lines = SMALL.splitlines(keepends=True)
    opened = opening(UnitTree(), header + "".join(reversed(lines)))

    assert ["38", "380", "14761", "14758"] == [event.code for event in opened]
    assert opened[1] == UnitOpened(
        unit_id=UUID(int=2),
        code="380",
        name="Thành phố Thanh Hóa",
        level="district",
        parent_id=UUID(int=1),
        valid_from=FROM,
        decree="NQ 1",
        actor="op",
    )


def test_loading_twice_changes_nothing():
    """Nor does a part of it, in another order of columns and lines."""
    tree = tree_of()
    assert [] == opening(tree, SMALL)
    assert [] == opening(tree, "parent_code,level,name,code\n38,district,Thành phố Thanh Hóa,380\n")


def test_loading_later_changes_nothing():
    """Units that are open stay open: the same file from a later day is the same tree."""
    assert [] == opening(tree_of(), SMALL, FROM + timedelta(days=400))


def test_loading_earlier_is_refused():
    """What opens later was not there before; two units of one code would meet."""
    with pytest.raises(UnitDiffersError, match="4 of the file's codes"):
        opening(tree_of(), SMALL, FROM - timedelta(days=1))


def test_loading_more_opens_the_rest():
    """A new unit may stand under one that is open already, in the file or not."""
    tree = tree_of()
    more = opening(tree, SMALL + "14764,Phường Trường Thi,commune,380\n", start=100)
    assert ["14764"] == [event.code for event in more]
    more = opening(tree, "code,name,level,parent_code\n14764,Phường Trường Thi,commune,380\n", start=100)
    assert [tree.resolve("380", FROM).id] == [event.parent_id for event in more]


def test_differing_codes_are_refused_saying_what_differs():
    """A changed name, level or parent; nothing is opened, and the way out is named."""
    changed = (
        SMALL.replace("Phường Đông Thọ", "Phường Hàm Rồng")
        .replace("14761,Phường Nam Ngạn,commune,380", "14761,Phường Nam Ngạn,commune,38")
        .replace("380,Thành phố Thanh Hóa,district", "380,Thành phố Thanh Hóa,commune")
        .replace("14758,Phường Hàm Rồng,commune,380", "14758,Phường Hàm Rồng,commune,38")
    )
    with pytest.raises(UnitDiffersError) as caught:
        opening(tree_of(), changed + "14764,Phường Trường Thi,commune,38\n")
    sentence = str(caught.value)
    for words in ("3 of the file's codes", "line 3: 380", "line 4: 14758 Phường Hàm Rồng", "line 5: 14761"):
        assert words in sentence
    for told in (
        "380 Thành phố Thanh Hóa, but Thành phố Thanh Hóa held it from 2021-01-01: "
        "the level is district, not commune;",
        "14758 Phường Hàm Rồng, but Phường Đông Thọ held it from 2021-01-01: "
        "the name is Phường Đông Thọ, not Phường Hàm Rồng and the parent code is 380, not 38;",
        "14761 Phường Nam Ngạn, but Phường Nam Ngạn held it from 2021-01-01: the parent code is 380, not 38",
    ):
        assert told in sentence
    assert "to change units is the work of ledger units reorganise" in sentence
    assert "14764" not in sentence


def test_of_many_differing_codes_three_are_told():
    with pytest.raises(UnitDiffersError) as caught:
        opening(tree_of(), SMALL, FROM - timedelta(days=1))
    sentence = str(caught.value)
    assert [3, 1] == [sentence.count("held it from 2021-01-01: not before"), sentence.count("; and 1 more")]


def test_resolve():
    """A code means its holder from the first day of its validity on."""
    tree = tree_of()
    assert "Phường Đông Thọ" == tree.resolve("14758", FROM).name
    assert "Phường Đông Thọ" == tree.resolve("14758", date(2999, 1, 1)).name


def test_resolve_before_the_first_day():
    """Refused, naming who held the code and from when."""
    with pytest.raises(UnitNotValidError) as caught:
        tree_of().resolve("14758", FROM - timedelta(days=1))
    assert "2020-12-31" in str(caught.value)
    assert "Phường Đông Thọ held it from 2021-01-01" in str(caught.value)
    assert ("14758", FROM - timedelta(days=1)) == (caught.value.unit, caught.value.day)


@pytest.mark.parametrize("code", ["99999", "", "1475", "014758", " 14758"])
def test_resolve_unknown(code):
    """Nobody ever had it: another fault than being late or early."""
    with pytest.raises(UnitUnknownError):
        tree_of().resolve(code, FROM)


def test_a_code_may_have_had_several_holders():
    """Each day has one of them; a day between them has none, and all are named."""
    old = Unit(UUID(int=1), "14758", "Phường Đông Thọ", "commune", None, FROM, date(2025, 6, 30))
    new = Unit(UUID(int=2), "14758", "Phường Hàm Rồng", "commune", None, date(2025, 8, 1))
    tree = UnitTree(by_id={old.id: (old,), new.id: (new,)}, by_code={"14758": (old, new)})

    assert old == tree.resolve("14758", date(2025, 6, 30))
    assert new == tree.resolve("14758", date(2025, 8, 1))
    with pytest.raises(UnitNotValidError) as caught:
        tree.resolve("14758", date(2025, 7, 1))
    assert "Phường Đông Thọ held it from 2021-01-01 to 2025-06-30" in str(caught.value)
    assert "Phường Hàm Rồng held it from 2025-08-01" in str(caught.value)


def test_a_code_that_became_free_can_be_opened_again():
    """From the day after its last; on that last day it is still taken."""
    old = Unit(UUID(int=1), "14758", "Phường Đông Thọ", "commune", None, FROM, date(2025, 6, 30))
    tree = UnitTree(by_id={old.id: (old,)}, by_code={"14758": (old,)})
    text = "code,name,level,parent_code\n14758,Phường Hàm Rồng,commune,\n"
    assert ["14758"] == [event.code for event in opening(tree, text, date(2025, 7, 1), start=5)]
    with pytest.raises(UnitDiffersError):
        opening(tree, text, date(2025, 6, 30))


def test_tree_on_a_day():
    """Parents stand before their children, siblings by code."""
    tree = tree_of()
    assert ["38", "380", "14758", "14761"] == [unit.code for unit in tree.on(FROM)]
    assert ["380", "14758", "14761"] == [unit.code for unit in tree.on(FROM, under="380")]
    assert ["14761"] == [unit.code for unit in tree.on(FROM, under="14761")]
    assert [] == tree.on(FROM - timedelta(days=1))
    with pytest.raises(UnitNotValidError):
        tree.on(FROM - timedelta(days=1), under="38")
    with pytest.raises(UnitUnknownError):
        tree.on(FROM, under="x")


def test_growing_leaves_the_old_tree_alone():
    """Threads share trees."""
    old = tree_of()
    new = grow(old, placed(opening(old, SMALL + "14764,Phường Trường Thi,commune,380\n", start=100)))
    assert (4, 5) == (old.version, new.version)
    assert (4, 5) == (len(old.by_id), len(new.by_id))
    assert "14764" not in old.by_code


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("units_2024.csv", {"province": 1, "district": 27, "commune": 558}),
        ("units_2025-01-01.csv", {"province": 1, "district": 26, "commune": 547}),
        ("units_2025.csv", {"province": 1, "commune": 166}),
    ],
)
def test_real_trees(name, expected):
    """Thanh Hoá before and after its two reorganisations, as DOMAIN.md counts it."""
    opened = opening(UnitTree(), packaged(name))
    assert expected == Counter(event.level for event in opened)
    assert 1 == sum(event.parent_id is None for event in opened)
    tree = grow(UnitTree(), placed(opened))
    assert len(opened) == len(tree.on(FROM, under="38"))


# Files.


def test_file_as_spreadsheets_write_it():
    """Byte order mark, CR LF, quotes, blanks around, empty lines, another order of columns."""
    text = '\ufeffname, code ,parent_code,level\r\n"Tỉnh ""X"", phía Bắc", 38 ,,province\r\n\r\n'
    [row] = read_units(text)
    assert ('Tỉnh "X", phía Bắc', "38", "", "province", 2) == (
        row.name,
        row.code,
        row.parent_code,
        row.level,
        row.line,
    )


@pytest.mark.parametrize("text", ["", "\ufeff", "\n\n", "code,name,level,parent_code\n", "x"])
def test_file_without_units(text):
    """It is said to be empty, not loaded as a tree of nothing."""
    with pytest.raises(FileEmptyError):
        read_units(text)


@pytest.mark.parametrize(
    "header",
    ["code,name,level", "code,name,level,parent", "code,name,level,parent_code,x", "code,code,name,level"]
    + ["code;name;level;parent_code", "Code,name,level,parent_code", "38,Tỉnh,province,"],
)
def test_wrong_header(header):
    """The sentence says what it must be and what it is."""
    with pytest.raises(FileInvalidError, match="the header must be code,name,level,parent_code"):
        read_units(header + "\n38,Tỉnh Thanh Hóa,province,\n")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("38,Tỉnh,province", ["line 2 has 3 fields"]),
        ("38,Tỉnh,province,,\n39,Tỉnh,province", ["line 2 has 5 fields", "line 3 has 3 fields"]),
        (",Tỉnh,province,", ["line 2: a unit needs a code and a name"]),
        ("38,,province,\n39, ,province,", ["line 2: a unit needs", "line 3: a unit needs"]),
        (
            "38,A,province,\n38,B,province,\n38,C,province,",
            ["line 3: the code 38 stands on line 2", "line 4"],
        ),
        (
            "38,A,Province,\n39,A,tỉnh,",
            ["line 2: the level 'Province' is none of", "line 3: the level 'tỉnh'"],
        ),
        (f"{'A' * 33},A,province,", ["line 2: a code has at most 32 characters"]),
        ("3\x008,A,province,", ["line 2"]),
        ("38,A\x07,province,", ["line 2"]),
        ('38,"A,province,', ["line "]),
        # Circles and the like: a parent must stand above its child.
        ("38,A,province,38", ["line 2: 38 (province) cannot be above 38 (province)"]),
        ("1,A,district,2\n2,B,district,1", ["line 2: 2 (district) cannot be above", "line 3: 1 (district)"]),
        ("1,A,province,2\n2,B,commune,1", ["line 2: 2 (commune) cannot be above 1 (province)"]),
        ("1,A,commune,\n2,B,commune,1", ["line 3: 1 (commune) cannot be above 2 (commune)"]),
    ],
)
def test_file_is_refused_naming_every_line(lines, words):
    """So that all faults can be mended in one go."""
    with pytest.raises(FileInvalidError) as caught:
        read_units(f"code,name,level,parent_code\n{lines}\n")
    for word in words:
        assert word in str(caught.value)


def test_unknown_parents_are_refused_naming_every_line():
    """A parent is in the file or open on the day; opened later is not open."""
    lines = "code,name,level,parent_code\n1,A,commune,77\n2,B,commune,380\n3,C,commune,88\n"
    with pytest.raises(FileInvalidError) as caught:
        opening(tree_of(), lines)
    assert "line 2: the parent 77 is not open" in str(caught.value)
    assert "line 4: the parent 88 is not open" in str(caught.value)
    assert "line 3" not in str(caught.value)
    with pytest.raises(FileInvalidError, match="the parent 380 is not open on 2020-12-31"):
        opening(tree_of(), "code,name,level,parent_code\n2,B,commune,380\n", FROM - timedelta(days=1))


def test_open_parent_must_stand_above():
    """As one in the file must."""
    with pytest.raises(FileInvalidError, match=r"line 2: 14758 \(commune\) cannot be above 1"):
        opening(tree_of(), "code,name,level,parent_code\n1,A,commune,14758\n")


rows = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from(LEVELS), st.sampled_from(["", *"abcdef"])),
    min_size=1,
    max_size=8,
)


@given(rows, rows)
def test_any_files(first, second):
    """Two files one after the other: each opens all its new units or none, and no circle ever comes of it."""
    tree = UnitTree()
    for number, lines in enumerate((first, second)):
        text = "code,name,level,parent_code\n" + "".join(f"{c},N{c},{lv},{p}\n" for c, lv, p in lines)
        try:
            opened = opening(tree, text, start=100 * number + 1)
        except LedgerError:
            continue
        assert {code for code, _, _ in lines} - set(tree.by_code) == {event.code for event in opened}
        tree = grow(tree, placed(opened))
        assert [] == opening(tree, text)
    reached = tree.on(FROM)
    assert len(tree.by_id) == len(reached) == tree.version
