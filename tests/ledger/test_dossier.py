"""What a dossier allows, told as given events, when a wish, then an event or a refusal."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import get_args
from uuid import UUID

import msgspec
import pytest

from ledger import Activated, Approved, Collected, Lock, Rejected
from ledger.commands import COMMANDS, Collect, CorrectionCommand
from ledger.decisions import Placing, as_sent, decide, differences
from ledger.dossier import Dossier, evolve
from ledger.errors import OutOfOrderError, StateError
from ledger.events import Stand, State
from ledger.reasons import DEFAULT_REASONS
from tests.ledger.reports import (
    DAY,
    MONDAY,
    OTHER_PART,
    OTHER_UNIT,
    PART,
    UNIT,
    VIETNAM,
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
    withdraw,
)

ID = UUID(int=1)
HERE, THERE = UUID(int=0xA), UUID(int=0xB)
PARTS = {PART: UUID(int=0xC), OTHER_PART: UUID(int=0xD)}
"""Over which the first of them was split."""
SECOND = timedelta(seconds=1)


ASKED = object()
"""From here on corrections need another officer."""


def placing(wish, *, at: UUID = HERE, four_eyes: bool = False) -> Placing:
    """What the ledger would look up for a wish; the other code is another unit, which was not split."""
    unit = getattr(wish, "unit", "")
    ground = DEFAULT_REASONS.of("locked")[wish.reason] if isinstance(wish, Lock) else None
    return Placing(
        {"": None, OTHER_UNIT: THERE, **PARTS}.get(unit, at),
        before_activation=bool(ground and ground.before_activation),
        four_eyes=four_eyes,
        split_ids=frozenset((HERE,) if unit in PARTS else ()),
    )


ERASED = object()
"""Here the citizen is erased."""


def dossier_after(*wishes, at: UUID = HERE) -> Dossier:
    """A dossier in which all the wishes came true at one unit."""
    dossier = Dossier(ID)
    for wish in wishes:
        if wish is ERASED:
            dossier = msgspec.structs.replace(dossier, erasures=dossier.erasures + 1)
            continue
        dossier = evolve(dossier, decide(dossier, wish, placing(wish, at=at)))
    return dossier


def test_first_collection():
    """It opens the level, counts where it was sent from, and is the person's first."""
    event = decide(Dossier(ID), collect(residence_unit="99999", team="t1"), Placing(HERE, b"sealed"))

    assert event == Collected(
        key="c1",
        level=2,
        occurred_at=MONDAY,
        actor="cb01",
        unit=UNIT,
        team="t1",
        residence_unit="99999",
        note=b"sealed",
        unit_id=HERE,
        residence="99999",
        attempt=1,
        first=True,
        previous=None,
    )


def test_approval_counts_where_it_was_collected():
    """Without a unit of its own; and it says what it follows, so that a follower need not look back."""
    event = decide(dossier_after(collect(place="school", residence_unit="99999")), approve(), Placing(None))

    assert event == Approved(
        key="p1",
        level=2,
        occurred_at=MONDAY + DAY,
        actor="cb01",
        unit_id=HERE,
        residence="99999",
        residence_on=MONDAY.date(),
        attempt=1,
        first=True,
        collecting_unit_id=HERE,
        previous=Stand(
            state="collected", occurred_at=MONDAY, place="school", actor="cb01", residence="99999"
        ),
    )


def test_approval_with_a_unit_counts_there():
    """The collecting unit is kept beside it."""
    event = decide(dossier_after(collect()), approve(unit="14761"), Placing(THERE))
    assert (THERE, HERE) == (event.unit_id, event.collecting_unit_id)


def test_rejection():
    """It names its reason."""
    event = decide(dossier_after(collect()), reject(reason="face"), Placing(None))

    assert event == Rejected(
        key="r1",
        level=2,
        occurred_at=MONDAY + DAY,
        actor="cb01",
        unit_id=HERE,
        first=True,
        reason="face",
        collecting_unit_id=HERE,
        previous=Stand(state="collected", occurred_at=MONDAY, actor="cb01"),
    )


def test_collection_after_a_rejection():
    """It is the next attempt, no longer the person's first, and brings its own unit and residence."""
    rejected = dossier_after(collect(residence_unit="99999"), reject(place="online"))
    event = decide(rejected, collect(key="c2", occurred_at=MONDAY + 2 * DAY), Placing(THERE))

    assert (2, False, THERE, None) == (event.attempt, event.first, event.unit_id, event.residence)
    assert event.previous == Stand(
        state="rejected",
        occurred_at=MONDAY + DAY,
        place="online",
        actor="cb01",
        residence="99999",
        residence_on=MONDAY.date(),
    )


def test_activation():
    """It counts where it was done, and remembers who collected and on which attempt."""
    approved = dossier_after(
        collect(),
        reject(),
        collect(key="c2", occurred_at=MONDAY + DAY),
        approve(occurred_at=MONDAY + DAY),
    )
    event = decide(approved, activate(), Placing(THERE))

    assert event == Activated(
        key="k1",
        level=2,
        occurred_at=MONDAY + 2 * DAY,
        actor="cb01",
        unit=UNIT,
        unit_id=THERE,
        attempt=2,
        first=True,
        collecting_unit_id=HERE,
        previous=Stand(state="approved", occurred_at=MONDAY + DAY, actor="cb01"),
    )


def test_first_is_counted_over_both_levels():
    """Person-level counts must not count a person twice."""
    both = dossier_after(collect(level=1), approve(level=1, key="p0"), collect(key="c2"))
    event = decide(both, approve(key="p2"), Placing(None))
    assert not event.first
    assert 1 == event.attempt
    assert decide(both, activate(level=1), Placing(HERE)).first


def test_levels_do_not_wait_for_each_other():
    """Level 1 may be reported after level 2, and of earlier days."""
    level_2 = dossier_after(collect(), approve())
    event = decide(level_2, collect(level=1, key="c0", occurred_at=MONDAY - 30 * DAY), Placing(HERE))
    assert 1 == event.level


# The tables of docs/life-cycle.md.

LATER = MONDAY + 5 * DAY
STATES = {
    "nothing": (),
    "collected": (collect(),),
    "rejected": (collect(), reject()),
    "approved": (collect(), approve()),
    "notified": (collect(), approve(), notify()),
    "withdrawn": (collect(), approve(), withdraw()),
    "activated": (collect(), approve(), activate()),
    "locked before activation": (collect(), approve(), lock()),
    "locked after activation": (collect(), approve(), activate(), lock()),
    "any, and its citizen was erased": (collect(), approve(), ERASED),
}
WISHES = {
    "collected": collect(key="x", occurred_at=LATER),
    "approved": approve(key="x", occurred_at=LATER),
    "rejected": reject(key="x", occurred_at=LATER),
    "notified": notify(key="x", occurred_at=LATER),
    "withdrawn": withdraw(key="x", occurred_at=LATER),
    "activated": activate(key="x", occurred_at=LATER),
    "locked (death)": lock(key="x", occurred_at=LATER),
    "locked (holder_request)": lock(key="x", occurred_at=LATER, reason="holder_request"),
    "unlocked": unlock(key="x", occurred_at=LATER),
}
CORRECTED = {
    "none of that version and level": ((collect(), approve()), 3),
    "a step that no later one needs": ((collect(), approve()), 2),
    "a step that a later one needs": ((collect(), approve()), 1),
    "a step that counts like that already": ((collect(unit=OTHER_UNIT, place="school"),), 1),
    "a step that was voided": ((collect(), approve(), void(corrects=2)), 2),
    "a correction that counts": ((collect(), reassign(corrects=1)), 2),
    "a correction that was asked": ((collect(), ASKED, reassign(corrects=1, actor="cb01")), 2),
    "a correction that the same officer asked": ((collect(), ASKED, reassign(corrects=1, actor="CB02")), 2),
    "an allocation": ((collect(), allocate()), 2),
    "an allocation that a later one overruled": (
        (collect(), allocate(), allocate(unit=OTHER_PART, key="b2")),
        2,
    ),
    "any, and the citizen was erased": ((collect(), approve(), ERASED), 2),
}


ALLOCATED = {
    "nowhere, for nothing of it stands": ((collect(), void(corrects=1)), PART),
    "at no unit that was split": ((collect(unit=OTHER_UNIT), approve()), PART),
    "at a unit that was split over others": ((collect(), approve()), OTHER_UNIT),
    "at a unit that was split, with the named one among its parts": ((collect(), approve()), PART),
    "there, and belongs to another part": ((collect(), allocate(unit=OTHER_PART)), PART),
    "there, and belongs to that part": ((collect(), allocate()), PART),
    "anywhere, and the citizen was erased": ((collect(), approve(), ERASED), PART),
}


def table(heading: str) -> dict[tuple[str, str], str]:
    """Return the cells of a table of the page, by row and column."""
    page = (Path(__file__).parents[2] / "docs" / "life-cycle.md").read_text(encoding="utf-8")
    lines = [line for line in page.split(f"## {heading}")[1].split("## ")[0].splitlines() if line[:1] == "|"]
    header, _, *rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]
    return {(row[0], column): cell for row in rows for column, cell in zip(header[1:], row[1:], strict=True)}


STEPS_TABLE = table("Every state, every step")
CORRECTIONS_TABLE = table("Every correction")
ALLOCATIONS_TABLE = table("Every allocation")
TABLES = (STEPS_TABLE, CORRECTIONS_TABLE, ALLOCATIONS_TABLE)


def test_tables_are_whole():
    """Every state meets every step, every kind of entry every correction; and all that there is stands there."""
    assert {(state, wish) for state in STATES for wish in WISHES} == set(STEPS_TABLE)
    columns = {column.split()[0] for cells in TABLES for _, column in cells}
    assert set(COMMANDS) == columns
    assert {entry for entry, _ in CORRECTIONS_TABLE} == set(CORRECTED)
    assert {where for where, _ in ALLOCATIONS_TABLE} == set(ALLOCATED)
    assert set(get_args(State)) == {state.split()[0] for state in STATES} - {"nothing", "any,"}
    # Each of the refusals there are is told, but for the order of time.
    told = {cell for cells in TABLES for cell in cells.values() if cell[:1] != "→"}
    classes = [StateError]
    for error in classes:
        classes += error.__subclasses__()
    assert {error.code for error in classes} - {"state", "correction", "out_of_order"} == told


@pytest.mark.parametrize(("state", "wish"), STEPS_TABLE, ids=" ".join)
def test_every_state_and_step(state, wish):
    """As docs/life-cycle.md says; what is lawful on one level is judged by that level alone."""
    others = [
        msgspec.structs.replace(step, level=1, key=f"o{n}") for n, step in enumerate(STATES["activated"])
    ]
    for dossier in (dossier_after(*STATES[state]), dossier_after(*others, *STATES[state])):
        told = STEPS_TABLE[state, wish]
        command = WISHES[wish]
        if told[:1] != "→":
            with pytest.raises(StateError, match="level 2 of this dossier") as caught:
                decide(dossier, command, placing(command))
            assert told == caught.value.code
            continue
        event = decide(dossier, command, placing(command))
        assert wish.split()[0] == event.TYPE
        assert told == f"→ {evolve(dossier, event).levels[2].state}"


@pytest.mark.parametrize(("entry", "correction"), CORRECTIONS_TABLE, ids=" ".join)
def test_every_entry_and_correction(entry, correction):
    """As docs/life-cycle.md says."""
    steps, version = CORRECTED[entry]
    four_eyes = ASKED in steps
    dossier = Dossier(ID)
    for step in steps:
        if step is ERASED:
            dossier = msgspec.structs.replace(dossier, erasures=1)
        elif step is not ASKED:
            eyes = four_eyes and isinstance(step, CorrectionCommand)
            dossier = evolve(dossier, decide(dossier, step, placing(step, four_eyes=eyes)))
    wish = {"voided": void, "reassigned": reassign, "amended": amend, "confirmed": confirm}[correction]
    command = wish(key="x", corrects=version)
    told = CORRECTIONS_TABLE[entry, correction]
    if told[:1] == "→":
        assert told == f"→ {decide(dossier, command, placing(command)).TYPE}"
        return
    with pytest.raises(StateError) as caught:
        decide(dossier, command, placing(command))
    assert told == caught.value.code


@pytest.mark.parametrize("where", ALLOCATED)
def test_every_allocation(where):
    """As docs/life-cycle.md says; the other level, which counts at the split unit too, is of no account."""
    life, part = ALLOCATED[where]
    dossier = dossier_after(*life[:1], collect(level=1, key="o1"), *life[1:])
    command = allocate(key="x", unit=part)
    told = ALLOCATIONS_TABLE[where, "allocated"]
    if told[:1] == "→":
        event = decide(dossier, command, placing(command))
        assert (told, PARTS[part], (HERE,)) == (f"→ {event.TYPE}", event.unit_id, event.split_ids)
        return
    with pytest.raises(StateError, match="level 2 of this dossier") as caught:
        decide(dossier, command, placing(command))
    assert told == caught.value.code


@pytest.mark.parametrize(
    ("state", "wish"),
    [pair for pair, told in STEPS_TABLE.items() if told[:1] == "→" and pair[0] != "nothing"],
    ids=" ".join,
)
def test_nothing_happens_before_the_last_standing_event(state, wish):
    """The same instant is allowed, in any offset: forms are stamped to the minute."""
    dossier = dossier_after(*STATES[state])
    last = dossier.levels[2].occurred_at
    same = msgspec.structs.replace(WISHES[wish], occurred_at=last.astimezone(VIETNAM))
    assert wish.split()[0] == decide(dossier, same, placing(same)).TYPE
    before = msgspec.structs.replace(same, occurred_at=last - timedelta(microseconds=1))
    with pytest.raises(OutOfOrderError) as caught:
        decide(dossier, before, placing(before))
    assert (before.occurred_at, last) == (caught.value.occurred_at, caught.value.last_at)


def test_an_activation_after_years():
    """Overdue is derived, never refused."""
    late = activate(occurred_at=MONDAY + 2000 * DAY)
    assert "activated" == decide(dossier_after(collect(), approve()), late, Placing(HERE)).TYPE


def test_decisions_change_nothing():
    """A decision is a value; only evolving makes the next dossier, and the old one stays as it was."""
    dossier = dossier_after(collect())
    before = (dossier.entries, dict(dossier.levels), dict(dossier.keys), dossier.types)
    evolve(dossier, decide(dossier, approve(), Placing(None)))
    assert before == (dossier.entries, dossier.levels, dossier.keys, dossier.types)


def test_a_key_twice_in_the_log_is_a_bug():
    """Not a refusal: the log cannot hold it, unless the store is broken."""
    dossier = dossier_after(collect())
    event = decide(dossier, approve(key="c2"), Placing(None))
    with pytest.raises(AssertionError):
        evolve(evolve(dossier, event), event)


# Retries.


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ()),
        ({"occurred_at": MONDAY.astimezone()}, ()),
        ({"occurred_at": datetime.fromisoformat("2024-12-02T01:00:00Z")}, ()),
        ({"place": "other"}, ()),
        ({"partner": "none"}, ()),
        ({"occurred_at": MONDAY + SECOND}, ("occurred_at",)),
        ({"occurred_at": MONDAY + timedelta(microseconds=1)}, ("occurred_at",)),
        ({"level": 1}, ("level",)),
        ({"actor": "cb02"}, ("actor",)),
        ({"unit": "14761"}, ("unit",)),
        ({"place": "school"}, ("place",)),
        ({"team": "t1"}, ("team",)),
        ({"partner": "veterans"}, ("partner",)),
        ({"residence_unit": "14758"}, ("residence_unit",)),
        ({"note": "n"}, ("note",)),
        ({"place": "school", "note": "n"}, ("place", "note")),
    ],
    ids=str,
)
def test_differences(changes, expected):
    """Content is compared as sent: empty equals absent equals the default, times are instants."""
    event = decide(Dossier(ID), collect(), Placing(HERE))
    assert expected == differences(event, "", collect(**changes))


def test_differences_see_type_and_reason():
    """A rejection repeated with another reason is another report, as is an approval in its place."""
    dossier = dossier_after(collect())
    event = decide(dossier, reject(), Placing(None))
    assert () == differences(event, "", reject())
    assert ("reason",) == differences(event, "", reject(reason="card"))
    assert ("type",) == differences(event, "", approve(key="r1"))


def test_every_field_of_a_report_is_compared():
    """Should a command get a new field, the comparison must learn it."""
    compared = {*as_sent(collect()), "note", "citizen"}  # The citizen is compared by finding the dossier.
    assert set(Collect.__struct_fields__) == compared
