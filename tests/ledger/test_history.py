"""What an auditor reads of corrections: both ends of each, what stands, and where the levels stand after them."""

import pytest

from ledger import Policy
from tests.conftest import check_ledger
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
    notify,
    reassign,
    void,
)

THIRD = {"actor": "cb03"}


@pytest.fixture
def history(ledger):
    """The history of the citizen after more reports, of which each gets a key of its own; audited."""

    def after(*reports, four_eyes: bool = False):
        ledger.policy = Policy(four_eyes=four_eyes)
        for report in reports:
            fields = {name: getattr(report, name) for name in report.__struct_fields__}
            ledger.record(type(report)(**fields | {"key": f"k{ledger.head().position}"}))
        check_ledger(ledger)
        return ledger.history(citizen=CITIZEN)

    return after


def ends(history) -> list[tuple]:
    """Of each line: its version and type, whether it stands, was asked, what it corrects, and what corrects it."""
    return [(e.version, e.type, e.standing, e.asked, e.corrects, e.corrected_by) for e in history.events]


def states(history) -> dict[str, str]:
    return {level: state.state for level, state in history.levels.items()}


def test_steps_stand_and_nothing_is_about_them(history):
    """The usual trail."""
    told = history(collect(), approve())
    assert [(1, "collected", True, False, None, []), (2, "approved", True, False, None, [])] == ends(told)


def test_both_ends_of_a_void(history):
    """The entry stays in its place, as it was recorded, and says that it no longer stands, and why to look where."""
    told = history(collect(), approve(note="hẹn"), void(corrects=2, note="gõ nhầm"))
    assert ends(told)[1:] == [
        (2, "approved", False, False, None, [3]),
        (3, "voided", True, False, 2, []),
    ]
    assert {"2": "collected"} == states(told)
    assert ("hẹn", MONDAY + DAY) == (told.events[1].note, told.events[1].occurred_at)
    voided = told.events[2]
    assert ("mistyped", "gõ nhầm", "cb02", 2) == (voided.reason, voided.note, voided.actor, voided.level)
    assert [None] * 6 == [
        getattr(voided, name)
        for name in ("unit", "collecting_unit", "place", "partner", "attempt", "residence_unit")
    ]


def test_a_void_of_a_void(history):
    """Three entries, of which the first stands again and the second does not."""
    told = history(collect(), void(corrects=1), void(corrects=2))
    assert ends(told) == [
        (1, "collected", True, False, None, [2]),
        (2, "voided", False, False, 1, [3]),
        (3, "voided", True, False, 2, []),
    ]
    assert {"2": "collected"} == states(told)


def test_a_level_of_which_nothing_stands_is_absent(history):
    """As one that was never collected; the other level stays."""
    told = history(collect(), collect(level=1), void(corrects=1))
    assert {"1": "collected"} == states(told)
    assert [1, 2, 3] == [event.version for event in told.events]
    assert {} == states(history(void(corrects=2, level=1)))


def test_several_corrections_of_one_entry(history):
    """All of them are named, in order, whether they count or not."""
    told = history(
        collect(),
        reassign(corrects=1),
        amend(corrects=1),
        reassign(corrects=1, unit="14764"),
        void(corrects=4),
    )
    assert [2, 3, 4] == told.events[0].corrected_by
    assert [True, True, True, False, True] == [event.standing for event in told.events]
    assert "14761" == told.levels["2"].collecting_unit.code


def test_lines_tell_what_was_recorded_levels_what_stands(history):
    """A collection that was moved says where it was taken for; the reassignment and the level say where it counts."""
    told = history(
        collect(place="school"), approve(), reassign(corrects=1), amend(corrects=1, place="online")
    )
    collected, approved, reassigned, amended = told.events
    assert [UNIT, UNIT] == [collected.unit.code, approved.unit.code]
    assert (OTHER_UNIT, "Phường Nam Ngạn", OTHER_UNIT) == (
        reassigned.unit.code,
        reassigned.unit.name,
        reassigned.unit_as_sent,
    )
    assert ("school", "online", None) == (collected.place, amended.place, amended.partner)
    assert (OTHER_UNIT, "approved") == (told.levels["2"].collecting_unit.code, told.levels["2"].state)
    # What comes after is recorded as it counts.
    last = history(notify(occurred_at=MONDAY + 2 * DAY)).events[-1]
    assert (OTHER_UNIT, OTHER_UNIT) == (last.unit.code, last.collecting_unit.code)


def test_an_asked_correction(history):
    """It does not stand until it is confirmed, and neither end forgets that it was asked."""
    waiting = history(collect(), approve(), void(corrects=2), four_eyes=True)
    assert ends(waiting)[1:] == [
        (2, "approved", True, False, None, [3]),
        (3, "voided", False, True, 2, []),
    ]
    assert {"2": "approved"} == states(waiting)

    confirmed = history(confirm(corrects=3, **THIRD))
    assert ends(confirmed)[1:] == [
        (2, "approved", False, False, None, [3]),
        (3, "voided", True, True, 2, [4]),
        (4, "confirmed", True, False, 3, []),
    ]
    assert {"2": "collected"} == states(confirmed)

    taken_back = history(void(corrects=4))
    assert [True, False, False, True] == [event.standing for event in taken_back.events[1:]]
    assert {"2": "approved"} == states(taken_back)


def test_a_declined_correction(history):
    """It never stands; its void does at once."""
    told = history(collect(), reassign(corrects=1), void(corrects=2), four_eyes=True)
    assert ends(told) == [
        (1, "collected", True, False, None, [2]),
        (2, "reassigned", False, True, 1, [3]),
        (3, "voided", True, False, 2, []),
    ]
    assert UNIT == told.levels["2"].collecting_unit.code


def test_attempt_and_time_of_a_level_follow_what_stands(history):
    """Once the second collection is voided, the level stands where the first one left it."""
    told = history(collect(), approve(), activate(), void(corrects=3))
    level = told.levels["2"]
    assert ("approved", 1, MONDAY + DAY) == (level.state, level.attempt, level.since)


def test_a_part_tells_both_ends(ledger, history):
    """What corrects an entry is told even where that line was not asked for, and stands or not as of now."""
    history(collect(), approve(), void(corrects=2), void(corrects=3))
    dossier_id = ledger.find(CITIZEN)
    [entry] = ledger.history(dossier_id=dossier_id, after=1, limit=1).events
    assert (2, True, [3]) == (entry.version, entry.standing, entry.corrected_by)
    [first, second] = ledger.history(dossier_id=dossier_id, after=2).events
    assert [(3, False, 2, [4]), (4, True, 3, [])] == [
        (e.version, e.standing, e.corrects, e.corrected_by) for e in (first, second)
    ]


def test_the_state_is_that_of_the_history(ledger, history):
    """One answer, whichever is asked; the position is that of the last entry, a correction too."""
    told = history(collect(), approve(), void(corrects=2))
    state = ledger.dossier(told.dossier_id)
    assert (told.levels, 3, ledger.head().position) == (state.levels, state.version, state.position)
