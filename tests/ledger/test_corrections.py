"""What corrections allow and what they leave, told as given entries, when a wish, then an event or a refusal."""

from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from ledger import Amended, Confirmed, Lock, Reassigned, Voided
from ledger.commands import Command, CorrectionCommand
from ledger.decisions import Placing, decide, differences, unit_at
from ledger.dossier import Dossier, counted, evolve, standing_steps
from ledger.errors import (
    AlreadyVoidedError,
    EntryUnknownError,
    IsCorrectionError,
    NothingChangesError,
    NothingToConfirmError,
    SameOfficerError,
    StillNeededError,
    UnitNotValidError,
    UnitUnknownError,
)
from ledger.events import AnyStep, Change
from ledger.reasons import DEFAULT_REASONS
from tests.ledger.reports import (
    CITIZEN,
    DAY,
    MONDAY,
    OTHER_UNIT,
    UNIT,
    activate,
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
    withdraw,
)
from tests.ledger.test_ledger import load
from tests.projections.model import sums

HERE, THERE, FAR = UUID(int=0xA), UUID(int=0xB), UUID(int=0xC)
UNITS = {"": None, UNIT: HERE, OTHER_UNIT: THERE, "14764": FAR}
THIRD = {"actor": "cb03"}
"""Somebody who neither reported nor corrected."""


def asked(correction: CorrectionCommand) -> tuple[CorrectionCommand]:
    """A correction that is sent while the setting of four eyes is on."""
    return (correction,)


def then(dossier: Dossier, *wishes: Command | tuple[CorrectionCommand]) -> Dossier:
    """Return the dossier after wishes; each gets a key of its own."""
    for wish in wishes:
        four_eyes = isinstance(wish, tuple)
        command = msgspec.structs.replace(wish[0] if four_eyes else wish, key=f"k{dossier.version + 1}")
        ground = DEFAULT_REASONS.of("locked")[command.reason] if isinstance(command, Lock) else None
        placing = Placing(
            UNITS[getattr(command, "unit", "")],
            f"{command.note}, sealed for {command.key}".encode() if command.note else None,
            bool(ground and ground.before_activation),
            four_eyes,
        )
        dossier = evolve(dossier, decide(dossier, command, placing))
    return dossier


def given(*wishes: Command | tuple[CorrectionCommand]) -> Dossier:
    return then(Dossier(UUID(int=1)), *wishes)


def steps(dossier: Dossier) -> dict[int, AnyStep]:
    """Return what stands, by version."""
    return standing_steps(dossier.entries)


def states(dossier: Dossier) -> dict[int, str]:
    return {level: standing.state for level, standing in dossier.levels.items()}


def units(dossier: Dossier) -> dict[int, UUID]:
    """Return where what stands counts, by version."""
    return {version: step.unit_id for version, step in steps(dossier).items()}


def check_counts(dossier: Dossier) -> dict[Change, tuple[int, int]]:
    """Check that the counts are the sum of what all events say; return them."""
    counts = counted(dossier.entries)
    assert counts == sums(dossier.entries)
    return counts


# Voided.


def test_a_void_says_what_it_takes_off():
    """The event and what waits, where and when they counted; and puts back what the step had left."""
    before = given(collect(place="school", card="expired"), approve(team="t1", residence_unit="00001"))
    after = then(before, void(corrects=2, note="gõ nhầm"))

    waits = Change(
        waits="collected",
        level=2,
        unit_id=HERE,
        occurred_at=MONDAY,
        place="school",
        card="expired",
        actor="cb01",
    )
    approval = {
        "level": 2,
        "unit_id": HERE,
        "occurred_at": MONDAY + DAY,
        "team": "t1",
        "residence": "00001",
        "actor": "cb01",
    }
    assert after.entries[2] == Voided(
        key="k3",
        level=2,
        occurred_at=MONDAY + 7 * DAY,
        actor="cb02",
        corrects=2,
        note="gõ nhầm, sealed for k3".encode(),
        reason="mistyped",
        changes=(
            Change(type="approved", count=-1, persons=-1, **approval),
            Change(waits="approved", count=-1, **approval),
            msgspec.structs.replace(waits, count=1),
        ),
    )
    assert {2: "collected"} == states(after)
    assert ("expired", "school") == (after.levels[2].stand.card, after.levels[2].stand.place)
    assert frozenset(("collected",)) == after.types
    assert given(collect(place="school", card="expired")).levels == after.levels
    check_counts(after)


def test_a_life_is_voided_from_its_end():
    """Until nothing stands, and the level may begin as if it never had."""
    dossier = given(collect(), approve(), activate())
    for version, left in ((3, "approved"), (2, "collected")):
        dossier = then(dossier, void(corrects=version))
        assert {2: left} == states(dossier)
    dossier = then(dossier, void(corrects=1))
    assert ({}, frozenset(), {}) == (dossier.levels, dossier.types, check_counts(dossier))

    again = then(dossier, collect(occurred_at=MONDAY - DAY))
    assert 1 == again.levels[2].attempt
    assert again.entries[-1].first
    assert again.entries[-1].previous is None
    check_counts(again)


@pytest.mark.parametrize(
    ("life", "version", "needed_by"),
    [
        ((collect(), approve()), 1, "entry 2 (approved) would not be"),
        ((collect(), reject(), collect(occurred_at=MONDAY + DAY)), 1, "entry 2 (rejected)"),
        ((collect(), reject(), collect(occurred_at=MONDAY + DAY)), 2, "entry 3 (collected)"),
        ((collect(), approve(), activate()), 2, "entry 3 (activated)"),
        ((collect(), approve(), withdraw(), collect(occurred_at=MONDAY + 2 * DAY)), 3, "entry 4 (collected)"),
        ((collect(), approve(), activate(), lock(), unlock()), 4, "entry 5 (unlocked)"),
        ((collect(), approve(), activate(), lock(reason="holder_request")), 3, "entry 4 (locked)"),
        # Reports of the other level stand between, and need nothing.
        ((collect(), collect(level=1), approve(level=1), approve()), 1, "entry 4 (approved)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_step_that_a_later_one_needs_stays(life, version, needed_by):
    """The refusal names the first entry that would not be lawful, which is the one to correct first."""
    dossier = given(*life)
    with pytest.raises(StillNeededError) as caught:
        then(dossier, void(corrects=version))
    assert needed_by in str(caught.value)
    assert str(caught.value).endswith(f"correct {needed_by.split(' (')[0]} first")


@pytest.mark.parametrize(
    ("life", "version", "left"),
    [
        ((collect(), approve(), notify(), activate()), 3, "activated"),
        ((collect(), approve(), notify(), withdraw()), 3, "withdrawn"),
        # Death meets any account.
        ((collect(), approve(), activate(), lock()), 3, "locked"),
    ],
    ids=["notice", "notice before a withdrawal", "activation under a lock"],
)
def test_a_step_in_the_middle_that_nothing_needs_can_go(life, version, left):
    """What is left is lawful: that is all that is asked."""
    dossier = then(given(*life), void(corrects=version))
    assert {2: left} == states(dossier)
    assert version not in steps(dossier)
    check_counts(dossier)


def test_what_a_lock_resumes_follows_what_is_voided_before_it():
    """An unlocked account stands where it would have stood without the voided step."""
    locked = given(collect(), approve(), notify(), activate(), lock())
    locked = then(locked, void(corrects=4))
    assert "notified" == locked.levels[2].resumes.state
    unlocked = then(locked, unlock())
    assert ({2: "notified"}, "notified") == (states(unlocked), unlocked.entries[-1].resumes.state)
    back = then(unlocked, void(corrects=6))
    assert {2: "activated"} == states(back)
    for dossier in (locked, unlocked, back):
        check_counts(dossier)


def test_a_void_of_a_void_brings_the_entry_back():
    """As it was, and so do its counts; a third void takes it away again."""
    before = given(collect(), approve(), activate())
    dossier = then(before, void(corrects=3), void(corrects=4))
    assert (before.levels, before.types, steps(before)) == (dossier.levels, dossier.types, steps(dossier))
    assert check_counts(before) == check_counts(dossier)
    taken, put_back = (entry.changes for entry in dossier.entries[3:])
    assert {
        msgspec.structs.replace(change, count=-change.count, persons=-change.persons) for change in taken
    } == {*put_back}

    gone = then(dossier, void(corrects=5))
    assert {2: "approved"} == states(gone)
    check_counts(gone)


@pytest.mark.parametrize(
    ("since", "needed_by"),
    [
        ((approve(occurred_at=MONDAY + 3 * DAY),), "entry 4 (approved)"),
        ((reject(occurred_at=MONDAY),), "entry 4 (rejected)"),
    ],
    ids=["approved again", "rejected instead"],
)
def test_a_void_of_a_void_must_be_lawful_with_what_came_since(since, needed_by):
    """Two approvals of one attempt cannot stand."""
    dossier = then(given(collect(), approve()), void(corrects=2), *since)
    with pytest.raises(StillNeededError) as caught:
        then(dossier, void(corrects=3))
    assert needed_by in str(caught.value)


def test_what_comes_back_must_not_turn_time_back():
    """Entries stand in the order of their versions, so what was recorded since may not have happened before."""
    told_late = given(collect(), approve(), notify(occurred_at=MONDAY + 5 * DAY))
    early = then(told_late, void(corrects=3), activate(occurred_at=MONDAY + 4 * DAY))
    with pytest.raises(StillNeededError, match=r"entry 5 \(activated\) would not be, for .*2024-12-06"):
        then(early, void(corrects=4))
    same = then(told_late, void(corrects=3), activate(occurred_at=MONDAY + 5 * DAY))
    assert {2: "activated"} == states(then(same, void(corrects=4)))


def test_a_voided_step_no_longer_bounds_time():
    """Only what stands does."""
    dossier = then(given(collect(), approve(occurred_at=MONDAY + 5 * DAY)), void(corrects=2))
    again = then(dossier, approve(occurred_at=MONDAY + DAY))
    assert MONDAY + DAY == again.levels[2].occurred_at


def test_the_key_of_a_voided_entry_stays_used():
    """A client that sends it again is told the first receipt, never a second event."""
    dossier = then(given(collect(), approve()), void(corrects=2))
    assert {"k1": 1, "k2": 2, "k3": 3} == dossier.keys
    assert () == differences(dossier.entries[1], "", approve(key="k2"))


def test_an_entry_is_voided_once():
    """Again only once it is back."""
    dossier = then(given(collect()), void(corrects=1))
    with pytest.raises(AlreadyVoidedError, match=r"entry 1 of this dossier \(collected\)"):
        then(dossier, void(corrects=1))
    with pytest.raises(AlreadyVoidedError):
        then(dossier, reassign(corrects=1))
    back = then(dossier, void(corrects=2))
    assert {} == states(then(back, void(corrects=1)))


def test_each_person_is_counted_once_for_each_type():
    """When the first of a type goes, the next one becomes it, on whichever level; when it comes back, it is again."""

    def firsts(dossier: Dossier) -> dict[str, int]:
        """The level of each type's first."""
        found = {place.type: place.level for place, (_, persons) in check_counts(dossier).items() if persons}
        assert all(persons in (0, 1) for _, persons in counted(dossier.entries).values())
        assert len(found) == sum(persons for _, persons in counted(dossier.entries).values())
        return found

    dossier = given(collect(), approve(), collect(level=1), approve(level=1))
    assert {"collected": 2, "approved": 2} == firsts(dossier)
    dossier = then(dossier, void(corrects=2))
    assert {"collected": 2, "approved": 1} == firsts(dossier)
    assert [("approved", 2, -1, -1), ("approved", 1, 0, 1)] == [
        (change.type, change.level, change.count, change.persons)
        for change in dossier.entries[-1].changes
        if change.type
    ]
    dossier = then(dossier, void(corrects=1))
    assert {"collected": 1, "approved": 1} == firsts(dossier)
    gone = then(dossier, void(corrects=4, level=1))
    assert {"collected": 1} == firsts(gone)
    assert then(gone, approve(level=1)).entries[-1].first
    back = then(dossier, void(corrects=6), void(corrects=5))
    assert {"collected": 2, "approved": 2} == firsts(back)


@pytest.mark.parametrize(
    "fields",
    [
        {"actor": "cb05"},
        {"team": "t5"},
        {"residence_unit": "00005"},
        {"reason": "card"},
        {"place": "online"},
        {"partner": "veterans"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_is_taken_off_is_taken_off_where_it_was_put(fields):
    """Of two that differ in nothing else, the one that is voided goes, and no other."""
    of_collections = {name: text for name, text in fields.items() if name != "reason"}
    now = {"occurred_at": MONDAY}
    first = given(collect(), reject(**now))
    both = then(first, collect(**now, **of_collections), reject(**now, **fields))
    dossier = then(both, void(corrects=4), void(corrects=3))
    assert check_counts(first) == check_counts(dossier)
    (change,) = [change for change in dossier.entries[4].changes if change.type]
    expected = {"residence" if name == "residence_unit" else name: text for name, text in fields.items()}
    assert expected == {name: getattr(change, name) for name in expected}
    # What it leaves stands is told by the events themselves.
    assert sums(first.entries) == sums(dossier.entries)


def test_what_waits_is_kept_by_who_put_it_there():
    """Officer, team and residence are those of the collection, also when a lock in between tells another residence."""
    dossier = given(
        collect(actor="cb05", team="t5", residence_unit="00005"),
        approve(actor="c06", team="t6"),
        lock(residence_unit="00006"),
        unlock(),
    )
    (waits,) = [place for place in check_counts(dossier) if place.waits]
    assert ("c06", "t6", "00005") == (waits.actor, waits.team, waits.residence)
    assert ("cb05", "t5", "00005") == tuple(
        getattr(dossier.entries[1].previous, name) for name in ("actor", "team", "residence")
    )


# Reassigned.


def test_what_follows_the_collecting_unit_goes_with_the_collection():
    """Approvals, rejections, notices and withdrawals of that attempt that have no unit of their own."""
    life = (collect(), approve(), notify(), withdraw(), collect(occurred_at=MONDAY + 2 * DAY, unit="14764"))
    dossier = then(given(*life, reject(occurred_at=MONDAY + 3 * DAY)), reassign(corrects=1))

    assert {1: THERE, 2: THERE, 3: THERE, 4: THERE, 5: FAR, 6: FAR} == units(dossier)
    check_counts(dossier)


def test_a_reassignment_says_what_moves():
    """Off one unit and on the other, on the day of what is corrected."""
    dossier = then(given(collect(), approve()), reassign(corrects=1))

    assert isinstance(dossier.entries[2], Reassigned)
    assert (OTHER_UNIT, THERE, 1) == (
        dossier.entries[2].unit,
        dossier.entries[2].unit_id,
        dossier.entries[2].corrects,
    )
    assert {
        (change.type or change.waits, change.unit_id, change.occurred_at, change.count, change.persons)
        for change in dossier.entries[2].changes
    } == {
        (what, unit, at, sign, sign * person)
        for what, at, person in (
            ("collected", MONDAY, 1),
            ("approved", MONDAY + DAY, 1),
            ("approved", MONDAY + DAY, 0),
        )
        for unit, sign in ((HERE, -1), (THERE, 1))
    }
    assert THERE == dossier.levels[2].collecting_unit_id
    check_counts(dossier)


def test_steps_with_a_unit_of_their_own_stay():
    """Sent with it, or given it by a reassignment."""
    life = (collect(), approve(unit="14764"), notify(), activate())
    dossier = then(given(*life), reassign(corrects=3, unit="14764"), reassign(corrects=1))
    assert {1: THERE, 2: FAR, 3: FAR, 4: HERE} == units(dossier)

    # Once that is taken back, it follows again.
    dossier = then(dossier, void(corrects=5))
    assert {1: THERE, 2: FAR, 3: THERE, 4: HERE} == units(dossier)
    check_counts(dossier)


def test_what_comes_after_a_reassignment_follows_it():
    """Later reports without a unit count at the right one from the start."""
    dossier = then(given(collect()), reassign(corrects=1), approve())
    assert (THERE, THERE) == (dossier.entries[2].unit_id, dossier.entries[2].collecting_unit_id)

    # And go back with it.
    back = then(dossier, void(corrects=2))
    assert {1: HERE, 3: HERE} == units(back)
    assert check_counts(given(collect(), approve())) == check_counts(back)


def test_the_last_reassignment_counts():
    """And when it is taken back, the one before."""
    dossier = then(given(collect()), reassign(corrects=1), reassign(corrects=1, unit="14764"))
    assert {1: FAR} == units(dossier)
    assert {1: THERE} == units(then(dossier, void(corrects=3)))
    for correction in (reassign(corrects=1, unit="14764"), void(corrects=2)):
        with pytest.raises(NothingChangesError):
            then(dossier, correction)


def test_a_reassignment_waits_for_its_entry_to_come_back():
    """An entry that was voided and comes back counts where it was moved to."""
    dossier = then(given(collect()), reassign(corrects=1), void(corrects=1), void(corrects=3))
    assert {1: THERE} == units(dossier)
    check_counts(dossier)


def test_the_unit_is_one_of_the_day_of_the_entry():
    """Not of the day of the correction."""
    dossier = given(collect(), approve())
    assert MONDAY == unit_at(dossier, reassign(corrects=1))
    assert MONDAY + DAY == unit_at(dossier, reassign(corrects=2))
    assert MONDAY == unit_at(dossier, collect())


def test_a_unit_that_did_not_exist_yet_is_refused(ledger):
    """A ledger that knows a unit from Wednesday on takes it for what happened on Wednesday, whenever it is told."""
    wednesday = MONDAY + 2 * DAY
    load(ledger, "code,name,level,parent_code\n99999,Phường Mới,commune,380\n", wednesday.date())
    ledger.record_many([collect(), reject(), collect(key="c2", occurred_at=wednesday)])
    with pytest.raises(UnitNotValidError, match="99999"):
        ledger.record(reassign(corrects=1, unit="99999"))
    # Even one that is reported before it, by a clock that is behind.
    early = reassign(corrects=3, unit="99999", occurred_at=MONDAY)
    assert 4 == ledger.record(early).version
    assert "Phường Mới" == ledger.history(citizen=CITIZEN).levels["2"].collecting_unit.name
    with pytest.raises(UnitUnknownError):
        ledger.record(reassign(key="s2", corrects=1, unit="00000"))


# Amended.


def test_an_amendment_changes_what_it_names():
    """The rest stays."""
    before = given(collect(place="school", partner="veterans", team="t1", note="máy hỏng"))
    sealed = before.entries[0].note

    def details(*corrections: CorrectionCommand) -> tuple:
        step = steps(then(before, *corrections))[1]
        return step.place, step.partner, step.team, step.note

    assert ("online", "veterans", "t1", sealed) == details(amend(corrects=1, place="online"))
    assert ("other", "veterans", "t1", sealed) == details(amend(corrects=1, place="other"))
    assert ("school", "none", "t1", sealed) == details(amend(corrects=1, place="", partner="none"))
    assert ("school", "veterans", "t2", sealed) == details(amend(corrects=1, place="", team="t2"))
    assert ("school", "veterans", None, sealed) == details(amend(corrects=1, place="", team="-"))
    assert ("school", "veterans", "t1", b"m, sealed for k2") == details(amend(corrects=1, place="", note="m"))


def test_an_amendment_moves_counts():
    """Of the event, and of what waits where it put it."""
    dossier = then(given(collect(place="school", team="t1")), amend(corrects=1, place="online", team="-"))
    assert isinstance(dossier.entries[1], Amended)
    assert {
        (change.type, change.waits, change.place, change.team, change.count, change.persons)
        for change in dossier.entries[1].changes
    } == {
        ("collected", None, "school", "t1", -1, -1),
        ("collected", None, "online", None, 1, 1),
        (None, "collected", "school", "t1", -1, 0),
        (None, "collected", "online", None, 1, 0),
    }
    assert "online" == dossier.levels[2].stand.place
    check_counts(dossier)
    # What waits moves only where it stands.
    approved = then(given(collect(), approve()), amend(corrects=1))
    assert [None, None] == [change.waits for change in approved.entries[2].changes]
    check_counts(then(approved, void(corrects=2)))


def test_the_amendment_that_came_to_count_last_wins():
    """One that was asked came to count when it was confirmed."""
    first, second = amend(corrects=1, place="school"), amend(corrects=1, place="online")
    assert "online" == steps(then(given(collect()), first, second))[1].place
    late = then(given(collect()), asked(first), second, confirm(corrects=2, **THIRD))
    assert "school" == steps(late)[1].place
    taken_back = then(late, void(corrects=4))
    assert "online" == steps(taken_back)[1].place
    for dossier in (late, taken_back):
        check_counts(dossier)


def test_a_correction_that_was_confirmed_twice_counts_since_the_first_time():
    """A confirmation that was taken back may come back, when there is another one by then."""
    dossier = then(
        given(collect()),
        asked(amend(corrects=1, place="school", team="t1")),
        confirm(corrects=2, **THIRD),
        void(corrects=3),
        amend(corrects=1, place="online"),
        confirm(corrects=2, **THIRD),
        void(corrects=6),
        void(corrects=4),
    )
    assert ("online", "t1") == (steps(dossier)[1].place, steps(dossier)[1].team)
    with pytest.raises(NothingChangesError):
        then(dossier, void(corrects=7))
    check_counts(dossier)


def test_reassigned_and_amended_do_not_meet():
    """Each about its own, in any order."""
    moved, mended = reassign(corrects=1), amend(corrects=1)
    one, other = then(given(collect()), moved, mended), then(given(collect()), mended, moved)
    assert steps(one) == steps(other)
    assert (THERE, "school") == (steps(one)[1].unit_id, steps(one)[1].place)


# Refused.


@pytest.mark.parametrize("make", [void, reassign, amend, confirm], ids=lambda make: make.__name__)
def test_only_an_entry_of_this_dossier_and_level_is_corrected(make):
    """A mistyped version is found out, also that of an entry of the other level."""
    dossier = given(collect(), collect(level=1, occurred_at=MONDAY - DAY))
    with pytest.raises(EntryUnknownError, match="this dossier has no entry 3; its last is 2"):
        then(dossier, make(corrects=3))
    with pytest.raises(EntryUnknownError, match="entry 2 of this dossier is of level 1, not 2"):
        then(dossier, make(corrects=2))
    with pytest.raises(EntryUnknownError, match="this dossier has no entry 1$"):
        given(make(corrects=1))


def test_a_correction_is_not_corrected_but_voided():
    """The refusal says what the correction is about, which can be corrected again."""
    dossier = then(given(collect()), reassign(corrects=1))
    for correction in (reassign, amend):
        with pytest.raises(IsCorrectionError, match=r"\(reassigned\); void it, or .* entry 1$"):
            then(dossier, correction(corrects=2))


@pytest.mark.parametrize(
    "correction",
    [
        reassign(corrects=1, unit=UNIT),
        # Follows the collection there already.
        reassign(corrects=2, unit=UNIT),
        amend(corrects=1, place="school"),
        amend(corrects=1, place="", team="t1"),
        amend(corrects=2, place="other", partner="none"),
        amend(corrects=2, place="", team="-"),
    ],
    ids=str,
)
def test_a_correction_must_change_something(correction):
    """Also one that is asked: nobody confirms nothing."""
    dossier = given(collect(place="school", team="t1"), approve())
    for wish in (correction, asked(correction)):
        with pytest.raises(NothingChangesError, match=f"entry {correction.corrects} of this dossier"):
            then(dossier, wish)


def test_a_correction_of_what_is_gone_is_not_taken_back():
    """It makes no difference until the entry is back."""
    dossier = then(given(collect()), reassign(corrects=1), void(corrects=1))
    with pytest.raises(NothingChangesError):
        then(dossier, void(corrects=2))
    assert {1: HERE} == units(then(dossier, void(corrects=3), void(corrects=2)))


# Four eyes.


@pytest.mark.parametrize(
    "correction",
    [void(corrects=2), reassign(corrects=1), amend(corrects=1)],
    ids=["void", "reassign", "amend"],
)
@pytest.mark.parametrize("setting", [True, False], ids=["four eyes", "no longer"])
def test_an_asked_correction_counts_once_it_is_confirmed(correction, setting):
    """Until then everything stands as it did; then as if it had counted at once, whatever the setting is by then."""
    before = given(collect(), approve())
    waiting = then(before, asked(correction))
    assert (True, ()) == (waiting.entries[2].asked, waiting.entries[2].changes)
    assert (before.levels, before.types, steps(before)) == (waiting.levels, waiting.types, steps(waiting))

    confirmation = confirm(corrects=3, **THIRD)
    counting = then(waiting, asked(confirmation) if setting else confirmation)
    at_once = then(before, correction)
    assert isinstance(counting.entries[3], Confirmed)
    assert (False, at_once.entries[2].changes) == (counting.entries[3].asked, counting.entries[3].changes)
    assert (at_once.levels, at_once.types, steps(at_once)) == (
        counting.levels,
        counting.types,
        steps(counting),
    )
    check_counts(waiting)
    check_counts(counting)


def test_reports_go_on_while_a_correction_waits():
    """It stops nothing."""
    dossier = then(given(collect(), approve()), asked(void(corrects=2)), activate())
    assert {2: "activated"} == states(dossier)


def test_a_confirmation_must_be_lawful_when_it_is_made():
    """What was lawful when it was asked may not be any more."""
    dossier = then(given(collect(), approve()), asked(void(corrects=2)), activate())
    with pytest.raises(StillNeededError, match=r"entry 4 \(activated\)"):
        then(dossier, confirm(corrects=3, **THIRD))
    assert {2: "collected"} == states(then(dossier, void(corrects=4), confirm(corrects=3, **THIRD)))


def test_an_asked_correction_must_be_lawful_when_it_is_asked():
    """Nobody is asked to confirm what cannot be."""
    with pytest.raises(StillNeededError):
        then(given(collect(), approve()), asked(void(corrects=1)))


def test_a_confirmation_must_change_something():
    """Two officers asked for the same."""
    dossier = then(given(collect()), asked(reassign(corrects=1)), asked(reassign(corrects=1)))
    dossier = then(dossier, confirm(corrects=2, **THIRD))
    with pytest.raises(NothingChangesError):
        then(dossier, confirm(corrects=3, **THIRD))


def test_an_asked_correction_is_declined_at_once():
    """By anybody, also by who asked; it counted nothing, so declining it changes nothing."""
    waiting = then(given(collect()), asked(reassign(corrects=1)))
    for actor in ("cb02", "cb03"):
        declined = then(waiting, asked(void(corrects=2, actor=actor)))
        assert (False, ()) == (declined.entries[2].asked, declined.entries[2].changes)
        assert {1: HERE} == units(declined)
        with pytest.raises(
            AlreadyVoidedError, match=r"entry 2 of this dossier \(reassigned\) was voided before"
        ):
            then(declined, confirm(corrects=2, **THIRD))


def test_a_declined_correction_can_be_asked_again():
    """By a new entry; that it was declined is not taken back, for it counted nothing before and would not after."""
    declined = then(given(collect()), asked(reassign(corrects=1)), asked(void(corrects=2)))
    with pytest.raises(NothingChangesError):
        then(declined, void(corrects=3))
    again = then(declined, asked(reassign(corrects=1)), confirm(corrects=4, **THIRD))
    assert {1: THERE} == units(again)
    check_counts(again)


def test_a_confirmed_correction_is_taken_back_by_four_eyes():
    """A void of it waits in turn."""
    counting = then(given(collect()), asked(reassign(corrects=1)), confirm(corrects=2, **THIRD))
    waiting = then(counting, asked(void(corrects=2)))
    assert (True, {1: THERE}) == (waiting.entries[3].asked, units(waiting))
    taken_back = then(waiting, confirm(corrects=4, **THIRD))
    assert {1: HERE} == units(taken_back)
    check_counts(taken_back)


def test_a_confirmation_is_taken_back():
    """Then the correction waits again."""
    counting = then(given(collect()), asked(reassign(corrects=1)), confirm(corrects=2, **THIRD))
    waiting = then(counting, void(corrects=3))
    assert {1: HERE} == units(waiting)
    assert {1: THERE} == units(then(waiting, confirm(corrects=2, **THIRD)))


@pytest.mark.parametrize("actor", ["cb02", "CB02", "Cb02"])
def test_nobody_confirms_what_they_asked_for(actor):
    """However the staff code is written."""
    dossier = then(given(collect()), asked(void(corrects=1)))
    with pytest.raises(SameOfficerError, match=f"{actor} asked for this correction"):
        then(dossier, confirm(corrects=2, actor=actor))
    # Who reported what is corrected may confirm.
    assert {} == states(then(dossier, confirm(corrects=2, actor="cb01")))


def test_a_correction_of_what_was_voided_meanwhile_is_not_confirmed():
    """Not until the entry is back."""
    dossier = then(given(collect(), approve()), asked(reassign(corrects=2)), void(corrects=2))
    with pytest.raises(AlreadyVoidedError, match="entry 2 of this dossier, .* was voided meanwhile"):
        then(dossier, confirm(corrects=3, **THIRD))
    back = then(dossier, void(corrects=4), confirm(corrects=3, **THIRD))
    assert THERE == units(back)[2]


@pytest.mark.parametrize(
    "version", [1, 2, 3, 4], ids=["step", "counted at once", "confirmed", "confirmation"]
)
def test_only_what_waits_is_confirmed(version):
    """Everything else counts already."""
    dossier = then(
        given(collect()), amend(corrects=1), asked(reassign(corrects=1)), confirm(corrects=3, **THIRD)
    )
    with pytest.raises(NothingToConfirmError, match=f"entry {version} of this dossier"):
        then(dossier, confirm(corrects=version, actor="cb04"))


# Retries.


@pytest.mark.parametrize(
    ("correction", "other", "field"),
    [
        (void(corrects=1), void(corrects=1, reason="other"), "reason"),
        (void(corrects=1), void(corrects=2), "corrects"),
        (void(corrects=1), void(corrects=1, note="n"), "note"),
        (void(corrects=1), void(corrects=1, occurred_at=MONDAY + timedelta(days=8)), "occurred_at"),
        (reassign(corrects=1), reassign(corrects=1, unit="14764"), "unit"),
        (amend(corrects=1), amend(corrects=1, place="other"), "place"),
        (amend(corrects=1), amend(corrects=1, team="-"), "team"),
        (amend(corrects=1), amend(corrects=1, partner="none"), "partner"),
        (amend(corrects=1), amend(corrects=1, place=""), "place"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_correction_sent_again_is_compared_as_sent(correction, other, field):
    """In an amendment, absent is not the same as other or none: it leaves what there is."""
    event = msgspec.structs.replace(then(given(collect()), correction).entries[1], key=correction.key)
    assert () == differences(event, "", correction)
    assert (field,) == differences(event, "", other)


def test_a_correction_is_compared_also_by_its_type():
    """A confirmation has nothing of its own but what it is about."""
    event = then(given(collect()), void(corrects=1)).entries[1]
    assert "type" in differences(event, "", confirm(corrects=1))
