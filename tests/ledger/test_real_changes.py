"""The three real changes of Thanh Hoá in 2025, against the lists that were published. Pure."""

from collections import Counter, defaultdict
from datetime import date

import pytest

from ledger.units import TreeOn
from ledger.units.commands import MergeUnits, WithdrawReorganisation
from tests.ledger.unit_trees import (
    DAY,
    FROM,
    JANUARY,
    JULY,
    MARCH,
    REAL_CHANGES,
    Keeper,
    map_rows,
    packaged,
    published,
)

UNKNOWN = {"15217": "391", "16651": "407"}
"""The absorbed communes of which nobody knows where their people went, and their districts."""


@pytest.fixture(scope="module")
def real() -> Keeper:
    keeper = Keeper(packaged("units_2024.csv"))
    for command in REAL_CHANGES:
        keeper.do(command)
    return keeper


@pytest.mark.parametrize(
    ("day", "name"),
    [
        (FROM, "units_2024.csv"),
        (date(2024, 12, 31), "units_2024.csv"),
        (JANUARY, "units_2025-01-01.csv"),
        (date(2025, 2, 28), "units_2025-01-01.csv"),
        (JULY, "units_2025.csv"),
        (date(2026, 11, 24), "units_2025.csv"),
    ],
)
def test_the_tree_of_a_day_is_the_published_list(real, day, name):
    """Codes, names, levels and parents, and nothing else."""
    assert published(name) == real.listed(day)


@pytest.mark.parametrize("day", [MARCH, date(2025, 5, 15), date(2025, 6, 30)])
def test_communes_stand_under_the_province_while_there_is_no_district_police(real, day):
    """The same 547 as before, with their names."""
    before = published("units_2025-01-01.csv")

    assert {
        (code, name, level, "38" if level == "commune" else "")
        for code, name, level, _ in before
        if level != "district"
    } == real.listed(day)
    assert {"province": 1, "commune": 547} == Counter(level for _, _, level, _ in real.listed(day))


def test_the_abolition_of_police_may_be_recorded_last():
    """It says what holds in between; July's reorganisation, which ended the districts too, holds as before."""
    keeper = Keeper(packaged("units_2024.csv"))
    first, second, third = REAL_CHANGES
    for command in (first, third):
        keeper.do(command)
    assert published("units_2025-01-01.csv") == keeper.listed(date(2025, 6, 30))
    abolition = keeper.do(second).reorganisation

    assert {"province": 1, "commune": 547} == Counter(level for _, _, level, _ in keeper.listed(MARCH))
    assert published("units_2025-01-01.csv") == keeper.listed(date(2025, 2, 28))
    assert published("units_2025.csv") == keeper.listed(JULY)
    keeper.do(WithdrawReorganisation(reorganisation=abolition, reason="test"))
    assert published("units_2025-01-01.csv") == keeper.listed(date(2025, 6, 30))
    assert published("units_2025.csv") == keeper.listed(JULY)


def expected_places(name: str, above: dict[str, str]) -> dict[str, tuple[str | None, bool]]:
    """Follow the lines of a map: a split unit is unallocated under what is above its parts."""
    lines = defaultdict(list)
    for row in map_rows(name):
        if row.kind != "part_area_only":
            lines[row.old_code].append(row.new_code)
    return {
        old: (new[0], True) if len(new) == 1 and new[0] else (above.get(old, "38"), False)
        for old, new in lines.items()
    }


def test_each_commune_counts_where_its_line_says_in_january(real):
    """The two of which nobody knows it are unallocated under their district, then under the province."""
    expected = expected_places("merge_2025-01-01.csv", UNKNOWN)
    assert 558 == len(expected)
    for code, place in expected.items():
        assert place == real.place(code, date(2024, 12, 31), JANUARY), code
    for code in UNKNOWN:
        assert ("38", False) == real.place(code, date(2024, 12, 31), MARCH)
        assert ("38", False) == real.place(code, date(2024, 12, 31), JULY)


def test_each_commune_counts_where_its_line_says_in_july(real):
    """Ten were split, of which the one that gave only land to another commune besides is split over two."""
    expected = expected_places("merge_2025.csv", {})
    assert (547, 10) == (len(expected), sum(not allocated for _, allocated in expected.values()))
    for code, place in expected.items():
        assert place == real.place(code, date(2025, 6, 30), JULY), code


def test_codes_are_given_to_other_communes(real):
    """What was recorded at Phường Đông Thọ is not at Phường Hàm Rồng, who has its code now."""
    dong_tho = real.tree.resolve("14758", date(2024, 12, 9))
    ham_rong = real.tree.resolve("14758", JULY)

    assert ("Phường Đông Thọ", "Phường Hàm Rồng") == (dong_tho.name, ham_rong.name)
    assert dong_tho.id != ham_rong.id
    assert ("38", False) == real.place("14758", date(2024, 12, 9), JULY)


def test_what_is_recorded_at_new_communes_counts_in_older_trees(real):
    """Where all its people were; where they were of several communes, unallocated above these."""
    assert ("380", False) == real.place("14758", JULY, date(2025, 2, 28))
    assert ("38", False) == real.place("14758", JULY, date(2025, 6, 30))
    # Xã Tam Chung went on as it was: it is the same unit.
    assert ("14848", True) == real.place("14848", JULY, date(2024, 12, 31))


def test_districts_leave_what_counts_at_themselves(real):
    """Not allocated to any commune: nobody has said so."""
    assert ("38", False) == real.place("401", date(2024, 12, 31), MARCH)
    assert ("38", False) == real.place("405", date(2024, 12, 31), JANUARY)


def test_an_operator_decides_where_the_people_went(real):
    """From the day on which the commune ended; then all that was undecided is there."""
    keeper = Keeper()
    keeper.tree = real.tree
    keeper.new_id = real.new_id
    keeper.do(MergeUnits(effective=JANUARY, decree="letter 12", units=("15217",), into="15214"))

    assert ("15214", True) == keeper.place("15217", date(2024, 12, 31), JANUARY)
    [line] = [row for row in map_rows("merge_2025.csv") if row.old_code == "15214"]
    assert (line.new_code, True) == keeper.place("15217", date(2024, 12, 31), JULY)
    assert ("407", False) == keeper.place("16651", date(2024, 12, 31), JANUARY)
    for day in (date(2024, 12, 31), JANUARY, MARCH, JULY):
        assert real.listed(day) == keeper.listed(day)


def test_every_unit_has_one_place_on_every_day(real):
    """Of that day's tree, or none."""
    for day in (FROM - DAY, FROM, *(day + off for day in (JANUARY, MARCH, JULY) for off in (-DAY, 0 * DAY))):
        there = TreeOn(real.tree, day)
        for unit_id in real.tree.by_id:
            place = there.place(unit_id)
            assert unit_id not in there.units or (unit_id, True) == place
            assert place.unit_id in there.units if day >= FROM else (None, False) == place
