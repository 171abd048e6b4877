"""The fold of the log, told as given events, then deltas."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import Activate, Approve, Collect, Reject
from ledger.commands import PARTNERS, PLACES
from ledger.decisions import Placing, decide
from ledger.dossier import Dossier, evolve
from ledger.events import AnyEvent, Recorded
from ledger.store import encode
from ledger.unit_events import UnitOpened
from ledger.units import Unit
from projections.errors import PoisonEventError
from projections.unit_totals import COUNTS, EVENTS, WAITS, Delta, Folded, fold
from tests.projections import by_hand

COLLECTING, ANOTHER = UUID(int=0xC0), UUID(int=0xA0)
TUESDAY = datetime.fromisoformat("2024-10-01T09:00:00+07:00")
LEARNT = datetime.fromisoformat("2024-10-05T12:00:00+00:00")
DAYS_LATER = [TUESDAY + timedelta(days) for days in range(5)]


class Life:
    """Dossiers as the ledger itself decides them, recorded in a log of their own."""

    def __init__(self) -> None:
        self.dossiers: dict[int, Dossier] = {}
        self.log: list[Recorded] = []

    def report(
        self, kind, at=TUESDAY, *, unit=COLLECTING, dossier=1, level=2, learnt=LEARNT, **fields
    ) -> None:
        file = self.dossiers.setdefault(dossier, Dossier(UUID(int=dossier)))
        fields |= {"reason": "photo"} if kind is Reject else {}
        command = kind(
            key=str(file.version),
            citizen="0" * 12,
            level=level,
            occurred_at=at,
            actor="o",
            unit="as sent" if unit else "",
            **fields,
        )
        event = decide(file, command, Placing(unit))
        self.dossiers[dossier] = file = evolve(file, event)
        self.log.append(entry(event, len(self.log) + 1, stream=file.id, version=file.version, learnt=learnt))


def entry(event: AnyEvent, position: int = 1, *, stream=COLLECTING, version=1, learnt=LEARNT) -> Recorded:
    return Recorded(
        originator_id=stream, originator_version=version, event=event, position=position, recorded_at=learnt
    )


def deltas(log) -> dict:
    """Return what a log folds to: by unit, day, place, shift and partner; measures that are zero left out."""
    told: dict = {}
    for delta in fold(log).deltas:
        cell = (UUID(int=delta.leaf), delta.day.isoformat(), delta.place, delta.shift, delta.partner)
        for measure in measures_of(delta):
            told.setdefault(cell, Counter())[measure] += delta.number
    return {
        cell: {measure: n for measure, n in row.items() if n}
        for cell, row in told.items()
        if any(row.values())
    }


def measures_of(delta: Delta) -> list[str]:
    measures = [] if delta.event is None else [EVENTS[delta.event]]
    return measures if delta.waits is None else [*measures, *WAITS[delta.waits]]


def office(unit: UUID, day: str, place: str = "other", partner: str = "none"):
    return unit, day, place, "office", partner


def test_nothing():
    """An empty stretch of the log changes nothing."""
    assert Folded([], {}) == fold([])


def test_units_count_nowhere():
    """A unit's opening is no event of a dossier."""
    opened = UnitOpened(unit_id=ANOTHER, code="1", name="One", level="commune", valid_from=date(2021, 1, 1))
    assert Folded([], {}) == fold([entry(opened)])


def test_collected():
    """A collection counts at its unit, day, place, shift and partner, and waits there for approval."""
    life = Life()
    life.report(Collect, place="school", partner="youth_union")

    assert {
        office(COLLECTING, "2024-10-01", "school", "youth_union"): {"collected": 1, "awaiting_approval": 1}
    } == deltas(life.log)


def test_approved():
    """An approval takes the dossier from where it waited, and lets it wait anew where the approval stands."""
    life = Life()
    life.report(Collect, DAYS_LATER[0], place="school")
    life.report(Approve, DAYS_LATER[1], place="online")

    assert {
        office(COLLECTING, "2024-10-01", "school"): {"collected": 1},
        office(COLLECTING, "2024-10-02", "online"): {"approved": 1, "awaiting_activation": 1},
    } == deltas(life.log)


def test_approved_elsewhere():
    """An approval counts at the unit whose work it is; what waits, waits at the collecting unit."""
    life = Life()
    life.report(Collect, DAYS_LATER[0])
    life.report(Approve, DAYS_LATER[1], unit=ANOTHER)

    assert {
        office(COLLECTING, "2024-10-01"): {"collected": 1},
        office(ANOTHER, "2024-10-02"): {"approved": 1},
        office(COLLECTING, "2024-10-02"): {"awaiting_activation": 1},
    } == deltas(life.log)


def test_activated_elsewhere():
    """An activation counts where it was done, and the dossier waits nowhere any more."""
    life = Life()
    life.report(Collect, DAYS_LATER[0], place="school")
    life.report(Approve, DAYS_LATER[1], unit=ANOTHER, place="online", partner="veterans")
    life.report(Activate, DAYS_LATER[2], unit=ANOTHER, place="household", partner="volunteers")

    assert {
        office(COLLECTING, "2024-10-01", "school"): {"collected": 1},
        office(ANOTHER, "2024-10-02", "online", "veterans"): {"approved": 1},
        office(ANOTHER, "2024-10-03", "household", "volunteers"): {"activated": 1},
    } == deltas(life.log)


def test_rejected():
    """A rejected dossier waits nowhere."""
    life = Life()
    life.report(Collect, DAYS_LATER[0], place="school")
    life.report(Reject, DAYS_LATER[1])

    assert {
        office(COLLECTING, "2024-10-01", "school"): {"collected": 1},
        office(COLLECTING, "2024-10-02"): {"rejected": 1},
    } == deltas(life.log)


def test_second_attempt():
    """Collected again after a rejection it waits where it was collected last, and is taken off there."""
    life = Life()
    life.report(Collect, DAYS_LATER[0])
    life.report(Reject, DAYS_LATER[1])
    life.report(Collect, DAYS_LATER[2], unit=ANOTHER, place="school")

    assert {
        office(COLLECTING, "2024-10-01"): {"collected": 1},
        office(COLLECTING, "2024-10-02"): {"rejected": 1},
        office(ANOTHER, "2024-10-03", "school"): {"collected": 1, "awaiting_approval": 1},
    } == deltas(life.log)

    life.report(Approve, DAYS_LATER[3], unit=None)

    assert {
        office(COLLECTING, "2024-10-01"): {"collected": 1},
        office(COLLECTING, "2024-10-02"): {"rejected": 1},
        office(ANOTHER, "2024-10-03", "school"): {"collected": 1},
        office(ANOTHER, "2024-10-04"): {"approved": 1, "awaiting_activation": 1},
    } == deltas(life.log)


def test_all_at_one_instant():
    """Steps within one minute, at one place, leave nothing waiting behind."""
    life = Life()
    for kind in (Collect, Reject, Collect, Approve, Activate):
        life.report(kind)

    assert {
        office(COLLECTING, "2024-10-01"): {"collected": 2, "rejected": 1, "approved": 1, "activated": 1}
    } == deltas(life.log)


def test_levels_apart():
    """The two levels of one dossier count in cells of their own, and wait on their own."""
    life = Life()
    life.report(Collect, level=1)
    life.report(Collect, level=2)
    life.report(Approve, level=1)
    folded = fold(life.log)

    assert {
        1: {"collected": 1, "approved": 1, "awaiting_activation": 1},
        2: {"collected": 1, "awaiting_approval": 1},
    } == {
        cell[1]: {measure: n for measure, n in zip(COUNTS, counts, strict=True) if n}
        for cell, counts in folded.cells.items()
    }


def test_day_of_recording():
    """What an event takes off is taken off on the day it was learnt, so that a sum over days is a cut-off."""
    life = Life()
    life.report(Collect, DAYS_LATER[0], learnt=datetime.fromisoformat("2024-10-01T16:59:59+00:00"))
    life.report(Approve, DAYS_LATER[1], learnt=datetime.fromisoformat("2024-10-02T17:00:00+00:00"))

    assert [(date(2024, 10, 1), 1), (date(2024, 10, 3), -1)] == [
        (delta.recorded_on, delta.number)
        for delta in fold(life.log).deltas
        if "awaiting_approval" in measures_of(delta)
    ]


@pytest.mark.parametrize(
    ("instant", "day", "shift"),
    [
        ("2024-10-01T00:00:00+07:00", "2024-10-01", "night"),
        ("2024-10-01T06:59:59.999999+07:00", "2024-10-01", "night"),
        ("2024-10-01T07:00:00+07:00", "2024-10-01", "office"),
        ("2024-10-01T16:59:59.999999+07:00", "2024-10-01", "office"),
        ("2024-10-01T17:00:00+07:00", "2024-10-01", "evening"),
        ("2024-10-01T22:29:59.999999+07:00", "2024-10-01", "evening"),
        ("2024-10-01T22:30:00+07:00", "2024-10-01", "night"),
        ("2024-10-01T23:59:59+07:00", "2024-10-01", "night"),
        ("2024-10-01T23:59:59.999999+07:00", "2024-10-01", "night"),
        ("2024-10-01T16:59:59Z", "2024-10-01", "night"),
        ("2024-10-01T17:00:00Z", "2024-10-02", "night"),
        ("2024-10-01T23:00:00-11:00", "2024-10-02", "evening"),
        ("2024-10-01T01:30:00+14:00", "2024-09-30", "evening"),
        ("2024-10-04T23:59:59+07:00", "2024-10-04", "night"),
        ("2024-10-05T06:59:59+07:00", "2024-10-05", "night"),
        ("2024-10-05T07:00:00+07:00", "2024-10-05", "weekend"),
        ("2024-10-05T17:00:00+07:00", "2024-10-05", "weekend"),
        ("2024-10-05T22:30:00+07:00", "2024-10-05", "night"),
        ("2024-10-06T22:29:59+07:00", "2024-10-06", "weekend"),
        ("2024-10-07T07:00:00+07:00", "2024-10-07", "office"),
        ("2024-12-31T17:00:00Z", "2025-01-01", "night"),
    ],
)
def test_days_and_shifts(instant, day, shift):
    """Days begin at midnight in Vietnam, whatever offset was sent; a bound belongs to the later shift."""
    life = Life()
    life.report(Collect, datetime.fromisoformat(instant))

    assert [(COLLECTING, day, "other", shift, "none")] == list(deltas(life.log))


def test_an_event_that_does_not_fold():
    """Whatever an event's fault is, the fold ends with its position."""
    life = Life()
    life.report(Collect)
    too_late = msgspec.structs.replace(life.log[0].event, occurred_at=datetime(9999, 12, 31, 23, tzinfo=UTC))

    with pytest.raises(PoisonEventError, match="position 7: OverflowError") as raised:
        fold([*life.log, entry(too_late, 7)])
    assert 7 == raised.value.position


def test_an_event_of_no_known_kind():
    """A kind that the log knows and the fold does not is told, not left out."""
    stranger = Unit(ANOTHER, "1", "One", "commune", None, date(2021, 1, 1))
    with pytest.raises(PoisonEventError, match="position 3"):
        fold([entry(stranger, 3)])


INSTANTS = st.sampled_from(
    [
        TUESDAY + timedelta(days=day, hours=hour, seconds=second)
        for day in (0, 3, 4, 29, 30)
        for hour in (0, 8, 13.5, 15)
        for second in (-1, 0)
    ]
)
WISHES = st.lists(
    st.fixed_dictionaries(
        {
            "well": st.sampled_from([True, True, False]),
            "at": INSTANTS,
            "unit": st.sampled_from([COLLECTING, ANOTHER]),
            "dossier": st.integers(1, 2),
            "level": st.sampled_from([1, 2]),
            "place": st.sampled_from(["", *sorted(PLACES)[:2]]),
            "partner": st.sampled_from(["", *sorted(PARTNERS)[:2]]),
            "learnt": st.sampled_from([LEARNT, LEARNT + timedelta(hours=5)]),
        }
    ),
    min_size=2,
    max_size=25,
)


NEXT = {None: Collect, "collected": Approve, "rejected": Collect, "approved": Activate}


def lawful(wishes) -> list[Recorded]:
    """Take each wish as the next step of its dossier's level, for better or worse; one that is active stays so."""
    life = Life()
    for wish in sorted(wishes, key=lambda wish: wish["at"]):
        dossier = life.dossiers.get(wish["dossier"], Dossier(COLLECTING))
        standing = dossier.levels.get(wish["level"])
        kind = NEXT.get(standing and standing.state)
        well, step = wish["well"], {name: wish[name] for name in wish if name != "well"}
        if kind is not None:
            life.report(Reject if kind is Approve and not well else kind, **step)
    return life.log


@settings(deadline=None)
@given(wishes=WISHES, cut=st.integers(0, 25))
def test_a_log_cut_anywhere(wishes, cut):
    """The folds of two parts of a log add up to the fold of the whole: an event never looks back."""
    log = lawful(wishes)
    parts = fold(log[:cut]), fold(log[cut:])
    added: dict = {}
    for part in parts:
        for cell, counts in part.cells.items():
            before = added.get(cell, [0] * len(COUNTS))
            added[cell] = [a + b for a, b in zip(before, counts, strict=True)]

    assert fold(log) == Folded(parts[0].deltas + parts[1].deltas, added)


@settings(deadline=None, max_examples=200)
@given(wishes=WISHES)
def test_any_log(wishes):
    """Any lawful log folds to what its rows come to when every dossier is followed to its end by hand."""
    log = lawful(wishes)
    told = Counter()
    folded = fold(log)
    for delta in folded.deltas:
        where = by_hand.Where(str(UUID(int=delta.leaf)), delta.level, delta.day, *delta[5:11], delta.reason)
        for measure in measures_of(delta):
            told[measure, where] += delta.number
    cells = Counter()
    for (measure, where), number in told.items():
        cells[where.unit, where.level, where.day, measure] += number
    assert +cells == Counter(
        {
            (str(UUID(int=leaf)), level, day, measure): number
            for (leaf, level, day), counts in folded.cells.items()
            for measure, number in zip(COUNTS, counts, strict=True)
            if number
        }
    )
    rows = [
        (entry.position, entry.originator_id, entry.event.__struct_config__.tag, encode(entry.event))
        for entry in log
    ]

    assert by_hand.count(rows) == Counter({key: number for key, number in told.items() if number})
