"""Where dossiers of a split unit belong: what an allocation says of itself, of what comes after it, and of the counts."""

import json
from datetime import date
from io import BytesIO
from uuid import UUID

import msgspec
import pytest

from ledger import Allocated, Policy, Refusal
from ledger.commands import Command, CorrectionCommand
from ledger.decisions import Placing, decide, differences
from ledger.dossier import Dossier, counted, evolve, standing_steps
from ledger.errors import (
    AlreadyVoidedError,
    FieldMissingError,
    IsAllocationError,
    NothingChangesError,
    NotSplitError,
    PersonalNumberError,
    UnitNotValidError,
)
from ledger.events import Change
from ledger.importing import import_file
from ledger.units.commands import SplitUnit, WithdrawReorganisation
from tests.conftest import check_ledger
from tests.ledger.reports import (
    CITIZEN,
    DAY,
    MONDAY,
    OTHER_PART,
    OTHER_UNIT,
    PART,
    UNIT,
    activate,
    allocate,
    amend,
    approve,
    collect,
    confirm,
    lock,
    notify,
    reassign,
    reject,
    unlock,
    void,
)
from tests.projections.model import sums

HERE, THERE, FAR = UUID(int=0xA), UUID(int=0xB), UUID(int=0xC)
EAST, WEST, SOUTH = UUID(int=0xD), UUID(int=0xE), UUID(int=0xF)
SOUTH_CODE = "14770"
UNITS = {
    "": None,
    UNIT: HERE,
    OTHER_UNIT: THERE,
    "14776": FAR,
    PART: EAST,
    OTHER_PART: WEST,
    SOUTH_CODE: SOUTH,
}
HEIRS = {HERE: {EAST, WEST}, THERE: {EAST, SOUTH}}
"""Two communes that were split; the east has people of both."""
SPLIT_DAY = date(2024, 12, 20)


def then(dossier: Dossier, *wishes: Command, four_eyes: bool = False) -> Dossier:
    """Return the dossier after wishes; each gets a key of its own."""
    for wish in wishes:
        command = msgspec.structs.replace(wish, key=f"k{dossier.version + 1}")
        unit_id = UNITS[getattr(command, "unit", "")]
        split_ids = frozenset(unit for unit, heirs in HEIRS.items() if unit_id in heirs)
        placing = Placing(
            unit_id,
            f"{command.note}, sealed".encode() if command.note else None,
            before_activation=True,
            four_eyes=four_eyes and isinstance(command, CorrectionCommand),
            split_ids=split_ids,
        )
        dossier = evolve(dossier, decide(dossier, command, placing))
    check_counts(dossier)
    return dossier


def given(*wishes: Command) -> Dossier:
    return then(Dossier(UUID(int=1)), *wishes)


def check_counts(dossier: Dossier) -> None:
    """Check that the counts are the sum of what all events say."""
    assert counted(dossier.entries) == sums(dossier.entries)


def where(dossier: Dossier) -> dict[int, tuple[UUID, UUID | None]]:
    """Return where what stands counts, by version: the unit, and the part to which it was allocated."""
    steps = standing_steps(dossier.entries)
    return {version: (step.unit_id, step.allocated_id) for version, step in steps.items()}


def waits(dossier: Dossier) -> list[tuple[UUID, UUID | None]]:
    """Return where a dossier waits."""
    return [(place.unit_id, place.allocated_id) for place in counted(dossier.entries) if place.waits]


# What is recorded.


def test_an_allocation_says_what_it_moves():
    """Off the split unit and on its part, events and what waits, each on its own day."""
    dossier = given(collect(team="t1"), approve(), allocate(note="theo nơi ở"))

    collection = Change(type="collected", level=2, unit_id=HERE, occurred_at=MONDAY, team="t1", actor="cb01")
    approval = Change(type="approved", level=2, unit_id=HERE, occurred_at=MONDAY + DAY, actor="cb01")
    waiting = Change(waits="approved", level=2, unit_id=HERE, occurred_at=MONDAY + DAY, actor="cb01")
    off = [
        msgspec.structs.replace(collection, count=-1, persons=-1),
        msgspec.structs.replace(approval, count=-1, persons=-1),
        msgspec.structs.replace(waiting, count=-1),
    ]
    on = [
        msgspec.structs.replace(place, count=-place.count, persons=-place.persons, allocated_id=EAST)
        for place in off
    ]
    assert dossier.entries[2] == Allocated(
        key="k3",
        level=2,
        occurred_at=MONDAY + 30 * DAY,
        actor="cb02",
        unit=PART,
        unit_id=EAST,
        split_ids=(HERE,),
        note="theo nơi ở, sealed".encode(),
        changes=(*off, *on),
    )
    assert {1: (HERE, EAST), 2: (HERE, EAST)} == where(dossier)
    assert given(collect(team="t1"), approve()).levels == dossier.levels


def test_what_comes_after_says_to_which_part_it_belongs():
    """Wherever it counts itself: at the split unit, or elsewhere while the dossier waited at the split unit."""
    dossier = given(
        collect(),
        allocate(),
        approve(),
        notify(unit="14776"),
        activate(occurred_at=MONDAY + 3 * DAY),
    )
    _, _, approved, notified, activated = dossier.entries
    assert (HERE, EAST, HERE, EAST) == (
        approved.unit_id,
        approved.allocated_id,
        approved.collecting_unit_id,
        approved.collecting_allocated_id,
    )
    assert (FAR, None, EAST) == (
        notified.unit_id,
        notified.allocated_id,
        notified.collecting_allocated_id,
    )
    assert (EAST, EAST) == (activated.allocated_id, activated.collecting_allocated_id)


def test_the_next_attempt_is_allocated_where_it_is_collected_again():
    """At the split unit, yes; at another one, no."""
    rejected = given(collect(), allocate(), reject())
    at = {"occurred_at": MONDAY + 2 * DAY}
    again = then(rejected, collect(**at)).entries[-1]
    assert (EAST, EAST) == (again.allocated_id, again.collecting_allocated_id)
    elsewhere = then(rejected, collect(**at, unit="14776"), approve(**at))
    assert [None, None] == [entry.allocated_id for entry in elsewhere.entries[3:]]
    assert [(FAR, None)] == waits(elsewhere)


def test_levels_are_allocated_apart():
    """The other one stays unallocated, also in what comes."""
    dossier = given(collect(), collect(level=1), allocate(), approve(level=1))
    assert {1: (HERE, EAST), 2: (HERE, None), 4: (HERE, None)} == where(dossier)
    with pytest.raises(NotSplitError):
        then(given(collect()), allocate(level=1))


def test_all_split_units_of_the_part_are_meant():
    """A life that began in one commune and ended in another, of which the part has people too."""
    life = given(collect(), approve(), activate(unit=OTHER_UNIT))
    east = then(life, allocate())
    assert (HERE, THERE) == east.entries[3].split_ids
    assert {1: (HERE, EAST), 2: (HERE, EAST), 3: (THERE, EAST)} == where(east)
    # The south has nothing of the first.
    south = then(life, allocate(unit=SOUTH_CODE))
    assert {1: (HERE, None), 2: (HERE, None), 3: (THERE, SOUTH)} == where(south)
    both = then(south, allocate())
    assert {1: (HERE, EAST), 2: (HERE, EAST), 3: (THERE, EAST)} == where(both)


def test_only_where_the_level_counted_is_it_said():
    """Of what counts later at another split unit nothing was said yet; the same allocation may be made again."""
    dossier = given(collect(), approve(), allocate(), activate(unit=OTHER_UNIT))
    assert (THERE, None) == where(dossier)[4]
    again = then(dossier, allocate())
    assert (THERE, EAST) == where(again)[4]
    assert [THERE] * 2 == [change.unit_id for change in again.entries[4].changes]


def test_a_dossier_waits_at_the_part():
    """Also after a lock."""
    dossier = given(collect(), approve(), allocate())
    assert [(HERE, EAST)] == waits(dossier)
    locked = then(dossier, lock())
    assert [] == waits(locked)
    moved = then(locked, allocate(unit=OTHER_PART), unlock())
    assert [(HERE, WEST)] == waits(moved)


# Overruled, taken back, and beside corrections.


def test_the_last_allocation_counts():
    """It moves from part to part; taken back, the one before counts again."""
    first = given(collect(), allocate())
    second = then(first, allocate(unit=OTHER_PART))
    assert {1: (HERE, WEST)} == where(second)
    assert [(EAST, -1), (EAST, -1), (WEST, 1), (WEST, 1)] == [
        (change.allocated_id, change.count) for change in second.entries[2].changes
    ]
    back = then(second, void(corrects=3))
    assert (where(first), counted(first.entries)) == (where(back), counted(back.entries))
    none = then(back, void(corrects=2))
    assert {1: (HERE, None)} == where(none)
    assert {1: (HERE, EAST)} == where(then(none, void(corrects=5)))


def test_the_same_again_changes_nothing():
    """Nor does taking back what was overruled."""
    dossier = given(collect(), allocate())
    with pytest.raises(NothingChangesError, match=f"belongs to {PART} already"):
        then(dossier, allocate())
    overruled = then(dossier, allocate(unit=OTHER_PART))
    with pytest.raises(NothingChangesError):
        then(overruled, void(corrects=2))
    assert {1: (HERE, EAST)} == where(then(overruled, allocate()))


def test_an_allocation_by_which_nothing_counts_now_is_taken_back():
    """What comes would count by it."""
    dossier = given(collect(), allocate(), reassign(corrects=1, unit="14776"))
    assert {1: (FAR, None)} == where(dossier)
    assert {1: (HERE, EAST)} == where(then(dossier, void(corrects=3)))
    taken_back = then(dossier, void(corrects=2))
    assert () == taken_back.entries[3].changes
    assert {1: (HERE, None)} == where(then(taken_back, void(corrects=3)))


def test_a_voided_allocation_holds_for_nothing_that_comes():
    """Neither at the unit nor at the collecting unit."""
    dossier = given(collect(), allocate(), approve(), void(corrects=2), activate())
    assert {1: (HERE, None), 3: (HERE, None), 5: (HERE, None)} == where(dossier)
    assert (None, None) == (dossier.entries[4].allocated_id, dossier.entries[4].collecting_allocated_id)
    with pytest.raises(AlreadyVoidedError):
        then(dossier, void(corrects=2))


def test_a_reassigned_entry_leaves_its_allocation_behind():
    """With it goes what follows the collection; back at the split unit it has it again."""
    dossier = given(collect(), approve(), allocate())
    away = then(dossier, reassign(corrects=1, unit="14776"))
    assert {1: (FAR, None), 2: (FAR, None)} == where(away)
    assert [(FAR, None)] == waits(away)
    approved = then(away, notify())
    assert (None, None) == (approved.entries[4].allocated_id, approved.entries[4].collecting_allocated_id)
    back = then(approved, reassign(corrects=1, unit=UNIT))
    assert {1: (HERE, EAST), 2: (HERE, EAST), 5: (HERE, EAST)} == where(back)
    # One that is moved there from elsewhere gets it.
    joined = then(dossier, activate(unit="14776"), reassign(corrects=4, unit=UNIT))
    assert (HERE, EAST) == where(joined)[4]


def test_a_voided_step_is_taken_off_its_part():
    """And put back there."""
    dossier = then(given(collect(), approve(), allocate()), void(corrects=2))
    assert {EAST} == {change.allocated_id for change in dossier.entries[3].changes}
    moved = then(dossier, allocate(unit=OTHER_PART), void(corrects=4))
    assert {WEST} == {change.allocated_id for change in moved.entries[5].changes}


def test_an_amendment_stays_at_the_part():
    """Both what it takes off and what it puts on."""
    dossier = then(given(collect(), allocate()), amend(corrects=1))
    assert {EAST} == {change.allocated_id for change in dossier.entries[2].changes}


def test_an_allocation_is_not_corrected_but_made_again():
    """It says so."""
    dossier = given(collect(), allocate())
    for correction in (reassign, amend):
        with pytest.raises(IsAllocationError, match="entry 2 of this dossier is an allocation; void it, or"):
            then(dossier, correction(corrects=2))


def test_four_eyes_are_for_corrections():
    """An allocation counts at once; that one is taken back waits."""
    dossier = then(given(collect()), allocate(), four_eyes=True)
    assert {1: (HERE, EAST)} == where(dossier)
    asked = then(dossier, void(corrects=2), four_eyes=True)
    assert {1: (HERE, EAST)} == where(asked)
    assert {1: (HERE, None)} == where(then(asked, confirm(corrects=3, actor="cb03")))


def test_an_allocation_sent_again_is_compared_as_sent():
    """By its code, also once that means another unit."""
    event = msgspec.structs.replace(given(collect(), allocate()).entries[1], key=allocate().key)
    assert () == differences(event, "", allocate())
    assert ("unit",) == differences(event, "", allocate(unit=OTHER_PART))
    assert ("note",) == differences(event, "", allocate(note="n"))
    assert "type" in differences(event, "", void(corrects=1))


# In a ledger.


@pytest.fixture
def split(ledger, clock):
    """The ledger, in which the commune of the reports was split over two others; it is January."""
    ledger.change_units(
        SplitUnit(unit=UNIT, parts=(PART, OTHER_PART), land=(SOUTH_CODE,), effective=SPLIT_DAY, decree="NQ 1")
    )
    clock.now = MONDAY + 60 * DAY
    return ledger


def parts(ledger) -> list[str | None]:
    """Return the part of each event of the citizen's history, codes."""
    return [
        event.allocated_to and event.allocated_to.code for event in ledger.history(citizen=CITIZEN).events
    ]


def test_the_ledger_finds_what_was_split(split):
    """And tells it: what was recorded before stays as it was told, what comes says its part, and so does the level."""
    split.record(collect())
    receipt = split.record(allocate(note="theo nơi ở"))
    split.record(approve())
    check_ledger(split)

    assert [None, None, PART] == parts(split)
    history = split.history(citizen=CITIZEN)
    allocated = history.events[receipt.version - 1]
    assert ("allocated", PART, "Phường Trường Thi", PART, "theo nơi ở") == (
        allocated.type,
        allocated.unit.code,
        allocated.unit.name,
        allocated.unit_as_sent,
        allocated.note,
    )
    assert [UNIT] == [unit.code for unit in allocated.allocated_of]
    level = history.levels["2"]
    assert (UNIT, PART) == (level.collecting_unit.code, level.allocated_to.code)


def test_a_unit_with_land_alone_is_no_part(split):
    """Nobody lives there."""
    split.record(collect())
    with pytest.raises(NotSplitError, match=f"level 2 of this dossier .* with {SOUTH_CODE} among its parts"):
        split.record(allocate(unit=SOUTH_CODE))
    with pytest.raises(NotSplitError):
        split.record(allocate(unit=UNIT, occurred_at=MONDAY))
    check_ledger(split)


def test_the_part_is_one_of_the_day(split):
    """The split unit itself has ended by then."""
    split.record(collect())
    with pytest.raises(UnitNotValidError):
        split.record(allocate(unit=UNIT))


def test_a_part_of_a_part(split):
    """Once a part was split again, the dossier can be allocated to what has people of it; also if it was allocated to the
    first part before."""
    split.record(collect())
    split.record(allocate(unit=OTHER_PART))
    east = SplitUnit(unit=OTHER_PART, parts=("14773", "14776"), effective=date(2025, 1, 10), decree="NQ 2")
    split.change_units(east)
    split.record(allocate(key="b2", unit="14773", occurred_at=MONDAY + 59 * DAY))
    assert "14773" == split.history(citizen=CITIZEN).levels["2"].allocated_to.code
    check_ledger(split)


def test_a_split_that_another_process_recorded_is_seen(ledger, clock, open_again):
    """The units of a process may be older than the ledger's."""
    clock.now = MONDAY + 60 * DAY
    ledger.record(collect())
    ledger.tree()
    open_again().change_units(
        SplitUnit(unit=UNIT, parts=(PART, OTHER_PART), effective=SPLIT_DAY, decree="NQ 1")
    )
    assert 2 == ledger.record(allocate()).version
    check_ledger(ledger)


def test_a_split_that_is_withdrawn_leaves_allocations_as_they_are(split):
    """They say what they say; only nobody can make more of them."""
    split.record(collect())
    split.record(allocate())
    (reorganisation,) = split.tree().reorganisations
    split.change_units(
        WithdrawReorganisation(reorganisation=reorganisation, reason="đính chính", actor="op1")
    )
    with pytest.raises(NotSplitError):
        split.record(allocate(key="b2", unit=OTHER_PART))
    split.record(approve())
    assert [None, None, PART] == parts(split)
    check_ledger(split)


def test_a_batch_with_an_allocation(split):
    """One by one as if each were recorded alone, duplicates and conflicts told as of any report."""
    receipts = split.record_many(
        [
            allocate(key="b0", occurred_at=MONDAY + DAY),
            collect(),
            allocate(),
            allocate(),
            allocate(unit=OTHER_PART),
            void(corrects=2),
        ]
    )
    assert ["not_split", 1, 2, 2, "key_conflict", 3] == [
        outcome.code if isinstance(outcome, Refusal) else outcome.version for outcome in receipts
    ]
    assert [False, True] == [receipts[2].duplicate, receipts[3].duplicate]
    check_ledger(split)


def test_of_one_instant_steps_come_before_the_allocation(split, tmp_path):
    """In a file, whatever the order of its lines; then corrections."""
    at = "2024-12-02T08:00:00+07:00"
    common = {"citizen": CITIZEN, "level": "2", "occurred_at": at, "actor": "cb01"}
    lines = [
        {"type": "voided", "key": "v1", "corrects": "4", "reason": "mistyped"},
        {"type": "allocated", "key": "b1", "unit": PART},
        {"type": "activated", "key": "k1", "unit": UNIT},
        {"type": "approved", "key": "p1"},
        {"type": "collected", "key": "c1", "unit": UNIT},
    ]
    file = BytesIO("\n".join(json.dumps({**common, **line}) for line in lines).encode())
    result = import_file(split, file, refused_path=tmp_path / "refused.csv")
    assert (5, 0) == (result.recorded, result.refused)
    events = split.history(citizen=CITIZEN).events
    assert ["collected", "approved", "activated", "allocated", "voided"] == [event.type for event in events]
    check_ledger(split)


def test_four_eyes_of_a_ledger_leave_allocations_alone(split):
    """It counts at once."""
    split.policy = Policy(four_eyes=True)
    split.record(collect())
    split.record(allocate())
    event = split.history(citizen=CITIZEN).events[1]
    assert (True, False) == (event.standing, event.asked)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"unit": ""}, FieldMissingError),
        ({"unit": f"x{CITIZEN}"}, PersonalNumberError),
        ({"note": f"của {CITIZEN}"}, PersonalNumberError),
    ],
    ids=["no unit", "a number as unit", "a number in the note"],
)
def test_an_allocation_is_checked(split, fields, error):
    """As any report is, before anything is looked up."""
    split.record(collect())
    head = split.head().position
    with pytest.raises(error):
        split.record(allocate(**fields))
    check_ledger(split, length=head)
