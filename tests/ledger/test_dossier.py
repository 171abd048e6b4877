"""What a dossier allows, told as given events, when a wish, then an event or a refusal."""

from datetime import datetime, timedelta
from itertools import count
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import Activated, Approved, Collected, LedgerError, Rejected
from ledger.commands import Collect
from ledger.decisions import Placing, as_sent, decide, differences
from ledger.dossier import Dossier, evolve, replay
from ledger.errors import (
    AlreadyActiveError,
    AlreadyApprovedError,
    AlreadyCollectedError,
    NotApprovedError,
    NotCollectedError,
    OutOfOrderError,
    StateError,
)
from ledger.events import Stand
from tests.ledger.reports import DAY, MONDAY, UNIT, VIETNAM, activate, approve, collect, reject

ID = UUID(int=1)
HERE, THERE = UUID(int=0xA), UUID(int=0xB)
SECOND = timedelta(seconds=1)


def dossier_after(*wishes, at: UUID = HERE) -> Dossier:
    """A dossier in which all the wishes came true at one unit."""
    dossier = Dossier(ID)
    for wish in wishes:
        dossier = evolve(dossier, decide(dossier, wish, Placing(at if wish.unit else None)))
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
        attempt=1,
        first=True,
        collecting_unit_id=HERE,
        previous=Stand(state="collected", occurred_at=MONDAY, place="school", partner="none"),
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
        previous=Stand(state="collected", occurred_at=MONDAY),
    )


def test_collection_after_a_rejection():
    """It is the next attempt, no longer the person's first, and brings its own unit and residence."""
    rejected = dossier_after(collect(residence_unit="99999"), reject(place="online"))
    event = decide(rejected, collect(key="c2", occurred_at=MONDAY + 2 * DAY), Placing(THERE))

    assert (2, False, THERE, None) == (event.attempt, event.first, event.unit_id, event.residence)
    assert event.previous == Stand(state="rejected", occurred_at=MONDAY + DAY, place="online")


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
        previous=Stand(state="approved", occurred_at=MONDAY + DAY),
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


STATES = {
    "nothing": (),
    "collected": (collect(),),
    "rejected": (collect(), reject()),
    "approved": (collect(), approve()),
    "activated": (collect(), approve(), activate()),
}
LATER = MONDAY + 5 * DAY
WISHES = {
    "collected": collect(key="x", occurred_at=LATER),
    "approved": approve(key="x", occurred_at=LATER),
    "rejected": reject(key="x", occurred_at=LATER),
    "activated": activate(key="x", occurred_at=LATER),
}
LAW = {
    ("nothing", "collected"): None,
    ("nothing", "approved"): NotCollectedError,
    ("nothing", "rejected"): NotCollectedError,
    ("nothing", "activated"): NotApprovedError,
    ("collected", "collected"): AlreadyCollectedError,
    ("collected", "approved"): None,
    ("collected", "rejected"): None,
    ("collected", "activated"): NotApprovedError,
    ("rejected", "collected"): None,
    ("rejected", "approved"): NotCollectedError,
    ("rejected", "rejected"): NotCollectedError,
    ("rejected", "activated"): NotApprovedError,
    ("approved", "collected"): AlreadyCollectedError,
    ("approved", "approved"): AlreadyApprovedError,
    ("approved", "rejected"): AlreadyApprovedError,
    ("approved", "activated"): None,
    ("activated", "collected"): AlreadyCollectedError,
    ("activated", "approved"): AlreadyApprovedError,
    ("activated", "rejected"): AlreadyApprovedError,
    ("activated", "activated"): AlreadyActiveError,
}


@pytest.mark.parametrize(("state", "wish"), [(state, wish) for state in STATES for wish in WISHES])
def test_law(state, wish):
    """Every state meets every wish; what is lawful on one level is judged by that level alone."""
    others = [
        type(step)(**{**fields(step), "level": 1, "key": f"o{n}"})
        for n, step in enumerate(STATES["activated"])
    ]
    for dossier in (dossier_after(*STATES[state]), dossier_after(*others, *STATES[state])):
        expected = LAW[state, wish]
        if expected is None:
            assert wish == decide(dossier, WISHES[wish], Placing(HERE)).TYPE
        else:
            with pytest.raises(StateError) as caught:
                decide(dossier, WISHES[wish], Placing(HERE))
            assert expected is type(caught.value)


def fields(command) -> dict:
    return {name: getattr(command, name) for name in command.__struct_fields__}


@pytest.mark.parametrize(
    ("state", "wish"), [pair for pair, error in LAW.items() if error is None and pair[0] != "nothing"]
)
def test_nothing_happens_before_the_last_standing_event(state, wish):
    """The same instant is allowed, in any offset: forms are stamped to the minute."""
    dossier = dossier_after(*STATES[state])
    last = dossier.levels[2].occurred_at
    same = type(WISHES[wish])(**{**fields(WISHES[wish]), "occurred_at": last.astimezone(VIETNAM)})
    assert wish == decide(dossier, same, Placing(HERE)).TYPE
    before = type(same)(**{**fields(same), "occurred_at": last - timedelta(microseconds=1)})
    with pytest.raises(OutOfOrderError) as caught:
        decide(dossier, before, Placing(HERE))
    assert (before.occurred_at, last) == (caught.value.occurred_at, caught.value.last_at)


def test_an_activation_after_years():
    """Overdue is derived, never refused."""
    late = activate(occurred_at=MONDAY + 2000 * DAY)
    assert "activated" == decide(dossier_after(collect(), approve()), late, Placing(HERE)).TYPE


def test_decisions_change_nothing():
    """A decision is a value; only evolving makes the next dossier, and the old one stays as it was."""
    dossier = dossier_after(collect())
    before = (dossier.version, dict(dossier.levels), dict(dossier.keys), dossier.types)
    evolve(dossier, decide(dossier, approve(), Placing(None)))
    assert before == (dossier.version, dossier.levels, dossier.keys, dossier.types)


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


# Any sequence of wishes against a model.

steps = st.tuples(
    st.sampled_from(["collected", "approved", "rejected", "activated"]), st.integers(1, 2), st.integers(0, 3)
)


class Model:
    """One person's account, written down as a clerk would: a list of what happened on each level."""

    def __init__(self):
        self.trail = {1: [], 2: []}

    def allows(self, kind, level, time) -> bool:
        trail = self.trail[level]
        last = trail[-1][0] if trail else "nothing"
        follows = {
            "nothing": "collected",
            "collected": "approved rejected",
            "rejected": "collected",
            "approved": "activated",
            "activated": "",
        }
        return kind in follows[last].split() and (not trail or trail[-1][1] <= time)

    def note(self, kind, level, time):
        self.trail[level].append((kind, time))


@settings(max_examples=300)
@given(st.lists(steps, max_size=40))
def test_any_history(wishes):
    """Whatever is wished, in whatever order: the dossier agrees with the model, and so does its replay."""
    makers = {"collected": collect, "approved": approve, "rejected": reject, "activated": activate}
    dossier, model, events, keys = Dossier(ID), Model(), [], count()
    now = 0
    for kind, level, ahead in wishes:
        # Mostly forward, at times a step back.
        time = now + ahead - 1
        at = MONDAY + timedelta(minutes=time)
        wish = makers[kind](key=f"k{next(keys)}", level=level, occurred_at=at)
        try:
            event = decide(dossier, wish, Placing(HERE))
        except LedgerError:
            assert not model.allows(kind, level, time)
            continue
        assert model.allows(kind, level, time)
        seen_before = any(kind == other for trail in model.trail.values() for other, _ in trail)
        assert event.first != seen_before
        model.note(kind, level, time)
        now = max(now, time)
        assert event.attempt == sum(kind == "collected" for kind, _ in model.trail[level])
        dossier = evolve(dossier, event)
        events.append(event)

    assert {level: trail[-1][0] for level, trail in model.trail.items() if trail} == {
        level: standing.state for level, standing in dossier.levels.items()
    }
    assert len(events) == dossier.version
    assert dossier == replay(Dossier(ID), events)
