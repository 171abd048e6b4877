"""Changes of units, recorded: all of one or nothing, whoever else records meanwhile; and what is recorded at units meanwhile."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from uuid import UUID

import pytest

from ledger import Ledger, Refusal
from ledger.errors import (
    FileInvalidError,
    LedgerError,
    UnitNotValidError,
    UnitsRefusedError,
    UnitUnknownError,
)
from ledger.units import TreeOn
from ledger.units.commands import (
    AbolishUnits,
    AnyUnitsCommand,
    MergeUnits,
    MoveUnits,
    RenameUnit,
    SplitUnit,
    WithdrawReorganisation,
)
from tests.conftest import check_ledger
from tests.ledger.reports import approve, citizen, collect
from tests.ledger.unit_trees import (
    DAY,
    JANUARY,
    JULY,
    MARCH,
    POLICE,
    RESOLUTION_1238,
    RESOLUTION_1686,
    Keeper,
    packaged,
    published,
)

UNITS = 586
REAL = 40 + 573 + 670
"""Events of the three real changes."""
LAW = {"effective": date(2024, 12, 1), "decree": "NQ 1"}


def keeper_of(ledger: Ledger) -> Keeper:
    keeper = Keeper()
    keeper.tree = ledger.tree()
    return keeper


def reorganise_thanh_hoa(ledger: Ledger) -> list[UUID]:
    """Record the three real changes; return their ids."""
    changes = [
        ledger.reorganise(
            "units_2025-01-01.csv", "merge_2025-01-01.csv", effective=JANUARY, decree=RESOLUTION_1238
        ),
        ledger.change_units(AbolishUnits(effective=MARCH, decree=POLICE, level="district")),
        ledger.reorganise("units_2025.csv", "merge_2025.csv", effective=JULY, decree=RESOLUTION_1686),
    ]
    return [change.plan.reorganisation for change in changes]


def test_the_real_changes_are_recorded_and_read_back(ledger, open_again):
    """From the bare names of what comes with the package; another process has the published trees."""
    ids = reorganise_thanh_hoa(ledger)
    another = open_again()
    keeper = keeper_of(another)

    for day, name in (
        (date(2024, 12, 31), "units_2024.csv"),
        (JANUARY, "units_2025-01-01.csv"),
        (date(2025, 2, 28), "units_2025-01-01.csv"),
        (JULY, "units_2025.csv"),
    ):
        assert published(name) == keeper.listed(day)
    told = [
        (one.id, one.effective, one.decree, one.position, one.events, one.withdrawn_at)
        for one in another.tree().reorganisations.values()
    ]
    assert [
        (ids[0], JANUARY, RESOLUTION_1238, UNITS + 1, 40, None),
        (ids[1], MARCH, POLICE, UNITS + 41, 573, None),
        (ids[2], JULY, RESOLUTION_1686, UNITS + 614, 670, None),
    ] == told
    # A list that is loaded again, of whatever time, opens nothing.
    for name, day in (
        ("units_2024.csv", date(2021, 1, 1)),
        ("units_2025-01-01.csv", JANUARY),
        ("units_2025.csv", JULY),
    ):
        assert 0 == ledger.load_units(name, valid_from=day).opened
    check_ledger(ledger, length=UNITS + REAL)


def test_the_position_is_of_the_last_event(ledger):
    changed = ledger.change_units(MergeUnits(units=("14761", "14764"), into="14758", **LAW))

    assert (UNITS + 2, UNITS + 2) == (changed.position, ledger.head().position)
    assert 2 == len(changed.plan.events)


def test_a_dry_run_records_nothing(ledger, open_again):
    """It tells the same as the change itself would."""
    command = MergeUnits(units=("14761",), into="14758", **LAW)
    shown = ledger.change_units(command, dry_run=True)

    assert (0, UNITS) == (shown.position, ledger.head().position)
    assert UNITS == open_again().tree().version == ledger.tree().version
    done = ledger.change_units(command)
    assert [(type(event), event.unit_id) for event in shown.plan.events] == [
        (type(event), event.unit_id) for event in done.plan.events
    ]
    shown = ledger.change_units(
        WithdrawReorganisation(reorganisation=done.plan.reorganisation, reason="x"), dry_run=True
    )
    assert (0, UNITS + 1) == (shown.position, ledger.head().position)


@pytest.mark.parametrize(
    "command",
    [
        MergeUnits(units=("14761",), into="99999", **LAW),
        MergeUnits(units=("14761",), into="14761", **LAW),
        MoveUnits(units=("380",), parent="14758", **LAW),
        MoveUnits(units=("14761", "99999"), parent="381", **LAW),
        RenameUnit(unit="14761", code="14758", **LAW),
        RenameUnit(unit="14761", name="X", decree="NQ 1", effective=date(2021, 1, 1)),
        SplitUnit(unit="14761", parts=("14758",), **LAW),
        AbolishUnits(level="nation", **LAW),
        MergeUnits(units=("380",), into="381", **LAW),
        WithdrawReorganisation(reorganisation=UUID(int=7), reason="x"),
    ],
)
def test_refused_nothing_is_recorded(ledger, command: AnyUnitsCommand):
    with pytest.raises(LedgerError):
        ledger.change_units(command)

    check_ledger(ledger, length=UNITS)
    assert published("units_2024.csv") == keeper_of(ledger).listed(LAW["effective"])


def test_bad_files_are_refused_whole(ledger, tmp_path):
    """With every line of both that is wrong; nothing is recorded."""
    tree, merges = tmp_path / "tree.csv", tmp_path / "map.csv"
    lines = packaged("merge_2025-01-01.csv").splitlines(keepends=True)
    merges.write_text("".join([*lines[:10], *lines[12:], lines[20]]), encoding="utf-8")
    tree.write_text(
        packaged("units_2025-01-01.csv") + "14758,Phường Đông Thọ,commune,381\n", encoding="utf-8"
    )
    with pytest.raises(UnitsRefusedError) as caught:
        ledger.reorganise(tree, merges, effective=JANUARY, decree=RESOLUTION_1238)

    missing = [line.split(",")[0] for line in lines[10:12]]
    doubled = lines[20].split(",")[0]
    expected = [
        "tree: line 576: the code 14758 stands on line ",
        f"map: no line says where the people of {missing[0]} ",
        f"map: no line says where the people of {missing[1]} ",
        f"map: lines 19, 558: {doubled} goes to ",
    ]
    for start in expected:
        assert 1 == sum(fault.startswith(start) for fault in caught.value.faults), (
            start,
            caught.value.faults,
        )
    reached = {line.split(",")[1] for line in lines[1:]}
    assert len(expected) + len(reached & set(missing)) == len(caught.value.faults)
    check_ledger(ledger, length=UNITS)


def test_files_that_cannot_be_read_are_both_told(ledger, tmp_path):
    (tmp_path / "latin.csv").write_bytes("old_code,new_code,kind\n1,1,xã\n".encode("latin-1", "replace"))
    (tmp_path / "short.csv").write_text("code,name,level,parent_code\n1,2\n3,4,5\n", encoding="utf-8")
    with pytest.raises(FileInvalidError) as caught:
        ledger.reorganise(tmp_path / "short.csv", tmp_path / "none.csv", effective=JANUARY, decree="NQ")
    assert (
        "tree: line 2 has 2 fields",
        "tree: line 3 has 3 fields",
        f"map: {tmp_path / 'none.csv'} cannot be read: No such file or directory",
    ) == caught.value.faults
    with pytest.raises(FileInvalidError, match="is not UTF-8"):
        ledger.reorganise("units_2025.csv", tmp_path / "latin.csv", effective=JANUARY, decree="NQ")
    check_ledger(ledger, length=UNITS)


def test_of_keepers_with_one_resolution_one_records_it(database, ledger, identities, clock):
    """The others are told who has; no unit is opened twice."""
    ledgers = [Ledger(database, identities, now=clock) for _ in range(6)]
    begin = threading.Barrier(6)

    def reorganise(one: Ledger):
        begin.wait()
        try:
            return one.reorganise(
                "units_2025-01-01.csv", "merge_2025-01-01.csv", effective=JANUARY, decree=RESOLUTION_1238
            )
        except UnitsRefusedError as refusal:
            return refusal

    try:
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(reorganise, ledgers))
        [done] = [answer for answer in answers if not isinstance(answer, UnitsRefusedError)]
        for answer in answers:
            if answer is not done:
                assert f"by the reorganisation {done.plan.reorganisation} ({RESOLUTION_1238}" in str(answer)
        check_ledger(ledgers[0], length=UNITS + 40)
    finally:
        for one in ledgers:
            one.close()


def test_keepers_that_change_different_units_are_all_recorded(database, ledger, identities, clock):
    """Each is decided again on what the others have made of the tree."""
    communes = [unit.code for unit in ledger.units(under="380") if unit.level == "commune"][:9]
    ledgers = [Ledger(database, identities, now=clock) for _ in range(8)]
    begin = threading.Barrier(8)

    def merge(pair: tuple[Ledger, str]):
        begin.wait()
        return pair[0].change_units(MergeUnits(units=(pair[1],), into=communes[8], **LAW))

    try:
        with ThreadPoolExecutor(8) as pool:
            positions = [done.position for done in pool.map(merge, zip(ledgers, communes, strict=False))]
        assert list(range(UNITS + 1, UNITS + 9)) == sorted(positions)
        assert set(communes[:8]).isdisjoint(unit.code for unit in ledger.units(on=LAW["effective"]))
        check_ledger(ledger, length=UNITS + 8)
    finally:
        for one in ledgers:
            one.close()


def test_of_keepers_who_contradict_each_other_one_is_refused(ledger, open_again):
    """As if the one had come after the other: here it has read the tree before."""
    another = open_again()
    another.tree()
    ledger.change_units(MoveUnits(units=("14758",), parent="381", **LAW))
    with pytest.raises(UnitsRefusedError, match="is put under 381 Thị xã Bỉm Sơn from 2024-12-01 on already"):
        another.change_units(MoveUnits(units=("14758",), parent="382", **LAW))

    check_ledger(ledger, length=UNITS + 1)


def test_withdrawn_the_units_are_as_if_it_had_never_been(ledger, open_again):
    """On every day; and it may be made again."""
    days = [date(2024, 12, 31), JANUARY, date(2025, 2, 28), MARCH, date(2025, 6, 30), JULY]
    before = keeper_of(ledger)
    ids = reorganise_thanh_hoa(ledger)
    for done in reversed(ids):
        ledger.change_units(WithdrawReorganisation(reorganisation=done, reason="a test", actor="keeper"))
    keeper = keeper_of(open_again())

    for day in days:
        assert before.listed(day) == keeper.listed(day)
        there, here = TreeOn(before.tree, day), TreeOn(keeper.tree, day)
        assert {unit: there.place(unit) for unit in before.tree.by_id} == {
            unit: here.place(unit) for unit in before.tree.by_id
        }
    reorganise_thanh_hoa(ledger)
    assert published("units_2025.csv") == keeper_of(open_again()).listed(JULY)
    check_ledger(ledger, length=UNITS + 2 * REAL + 3)


def test_what_something_later_needs_is_not_withdrawn(ledger):
    """January's reorganisation, once the police of the districts is abolished that stood in it."""
    first, *_ = reorganise_thanh_hoa(ledger)
    with pytest.raises(UnitsRefusedError, match="recorded before, would not hold any more"):
        ledger.change_units(WithdrawReorganisation(reorganisation=first, reason="x"))

    check_ledger(ledger, length=UNITS + REAL)


# What is recorded at units that change.


def at(day: date, hour: int = 9) -> datetime:
    return datetime.fromisoformat(f"{day}T{hour:02}:00:00+07:00")


def test_a_code_means_the_unit_of_the_day(ledger, clock):
    """By the time it occurred, to the minute in Vietnam; else refused, naming who had the code when."""
    clock.now = at(date(2026, 1, 1))
    reorganise_thanh_hoa(ledger)
    eve = datetime.fromisoformat("2025-06-30T23:59:59+07:00")
    morning = datetime.fromisoformat("2025-06-30T17:00:00+00:00")
    for key, when in (("a", eve), ("b", morning)):
        ledger.record(collect(key=key, citizen=citizen(ord(key)), unit="14758", occurred_at=when))
    names = [ledger.history(citizen=citizen(ord(key))).events[0].unit.name for key in ("a", "b")]
    [refusal] = ledger.record_many([collect(unit="15226", occurred_at=morning)])

    assert ["Phường Đông Thọ", "Phường Hàm Rồng"] == names
    assert isinstance(refusal, Refusal)
    assert isinstance(refusal.error, UnitNotValidError)
    assert "Xã Thành Yên held it" in refusal.detail
    check_ledger(ledger, length=UNITS + REAL + 2)


def test_what_names_no_unit_counts_at_the_collecting_one_valid_or_not(ledger, clock):
    """A commune that was split in between; the history calls it as it was called."""
    clock.now = at(date(2026, 1, 1))
    reorganise_thanh_hoa(ledger)
    ledger.record(collect(unit="14758", occurred_at=at(date(2025, 6, 30))))
    ledger.record(approve(occurred_at=at(JULY)))
    collected, approved = ledger.history(citizen=collect().citizen).events

    assert ("14758", "Phường Đông Thọ") == (collected.unit.code, collected.unit.name)
    assert ("14758", "Phường Đông Thọ") == (approved.collecting_unit.code, approved.collecting_unit.name)
    check_ledger(ledger, length=UNITS + REAL + 2)


def test_a_retry_is_known_again_after_its_unit_has_gone(ledger):
    """By a merger that is recorded later and held before: what was sent is compared, not what the code means now."""
    receipt = ledger.record(collect(unit="14758", occurred_at=at(date(2024, 12, 2))))
    ledger.change_units(MergeUnits(units=("14758",), into="14761", **LAW))
    again = ledger.record(collect(unit="14758", occurred_at=at(date(2024, 12, 2))))

    assert (receipt.position, True) == (again.position, again.duplicate)
    there = TreeOn(ledger.tree(), date(2024, 12, 2))
    gone = ledger.tree().resolve("14758", date(2024, 11, 30))
    assert (ledger.tree().resolve("14761", JANUARY).id, True) == there.place(gone.id)
    assert "Phường Đông Thọ" == ledger.history(citizen=collect().citizen).events[0].unit.name
    check_ledger(ledger, length=UNITS + 2)


def test_a_reorganisation_between_decision_and_append_is_heeded(ledger, open_again, clock):
    """A report decided against the older tree is decided again, and refused where its unit has gone."""
    ledger.tree()
    append = ledger.recorder.append

    def late(batch):
        ledger.recorder.append = append
        open_again().change_units(MergeUnits(units=("14758",), into="14761", **LAW))
        return append(batch)

    ledger.recorder.append = late
    [gone, stays] = ledger.record_many(
        [
            collect(unit="14758", occurred_at=at(date(2024, 12, 2))),
            collect(unit="14764", citizen=citizen(5), occurred_at=at(date(2024, 12, 2))),
        ]
    )

    assert isinstance(gone, Refusal)
    assert "Phường Đông Thọ held it from 2021-01-01 to 2024-11-30" in gone.detail
    assert UNITS + 2 == stays.position
    check_ledger(ledger, length=UNITS + 2)


def test_what_was_recorded_at_units_that_are_withdrawn_stays(ledger, clock):
    """It counts where its people came from, under the name that it had; nothing can be recorded there any more."""
    clock.now = at(date(2026, 1, 1))
    *_, july = reorganise_thanh_hoa(ledger)
    new = ledger.tree().resolve("14758", JULY)
    ledger.record(collect(unit="14758", occurred_at=at(JULY)))
    ledger.change_units(WithdrawReorganisation(reorganisation=july, reason="a test"))

    assert "Phường Hàm Rồng" == ledger.history(citizen=collect().citizen).events[0].unit.name
    there = TreeOn(ledger.tree(), JULY)
    assert (ledger.tree().resolve("38", JULY).id, False) == there.place(new.id)
    ledger.record(approve(occurred_at=at(JULY + DAY)))
    assert "Phường Đông Thọ" == ledger.tree().resolve("14758", JULY).name
    with pytest.raises(UnitUnknownError):
        ledger.tree().resolve("no such", JULY)
    check_ledger(ledger, length=UNITS + REAL + 3)


def test_a_list_loaded_late_may_not_break_what_holds_later(ledger):
    """A commune under a district that was abolished later, recorded before: it would be left behind."""
    reorganise_thanh_hoa(ledger)
    keeper = keeper_of(ledger)
    with pytest.raises(
        UnitsRefusedError, match=r"recorded before, would not hold any more: Thành phố Thanh Hóa ends"
    ):
        keeper.load("code,name,level,parent_code\n99999,Xã Muộn,commune,380\n", date(2024, 6, 1))
    keeper.load("code,name,level,parent_code\n99999,Xã Muộn,commune,38\n", date(2024, 6, 1))
    with pytest.raises(LedgerError, match="open as something else"):
        keeper.load("code,name,level,parent_code\n14758,Xã Muộn,commune,\n", date(2020, 6, 1))


def test_threads_that_read_the_tree_never_go_back(ledger, open_again):
    """Whoever saw a change sees it in whatever is asked next, however threads meet."""
    keeper = open_again()
    seen: list[list[int]] = []
    stop = threading.Event()

    def watch() -> None:
        versions = []
        while not stop.is_set():
            versions.append(ledger.tree().version)
        seen.append(versions)

    watchers = [threading.Thread(target=watch) for _ in range(4)]
    for watcher in watchers:
        watcher.start()
    for number in range(15):
        keeper.change_units(
            RenameUnit(unit="14758", name=f"Phường {number}", effective=date(2023, 1, 1 + number), decree="x")
        )
    stop.set()
    for watcher in watchers:
        watcher.join()

    assert all(versions == sorted(versions) for versions in seen)
    assert UNITS + 15 == ledger.tree().version
