"""Any use of the ledger, against the ledger on paper (``model.py``): every answer, every state, every count.

Two machines make reports up: of every type, lawful or not, of a few citizens, on both levels, alone and in batches,
sent again, corrected, the corrections corrected and confirmed, while the setting of four eyes changes. One machine asks
only the pure functions; the other records with two writers in a real database, and asks history, states and totals.

``MODEL_EXAMPLES=20`` makes 20 times as many examples, and shrinks those of the database too, which takes minutes; run it
with ``--timeout=0``.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from ledger import Allocate, AnyCommand, Ledger, Lock, Policy, Refusal
from ledger.business_time import business_day
from ledger.commands import COMMANDS
from ledger.database import Database
from ledger.decisions import Placing, decide, differences, unit_at
from ledger.dossier import Dossier, counted, counting_at, evolve, replay, standing_steps
from ledger.errors import CitizenUnknownError, KeyConflictError, LedgerError
from ledger.events import Change
from ledger.reasons import DEFAULT_REASONS
from ledger.unit_events import Part, UnitOpened, UnitSplit
from ledger.units import UnitTree, grow, heirs_of
from ledger.units.commands import SplitUnit
from projections import catch_up
from tests.conftest import UNITS_VALID_FROM, Clock, check_ledger
from tests.ledger.test_ledger import load
from tests.projections import by_hand
from tests.projections.model import STEPS, Outcome, Paper, Sheets, sums

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "1"))

START = datetime.fromisoformat("2024-11-29T08:00:00+07:00")
"""A Friday, near the end of a month."""
HOUR = timedelta(hours=1)
LATE = "99999"
"""A unit that is valid from the fourth day on."""
PARTS = ("14764", "14767", "14770", "14773", "14776")
VALID_FROM = {
    **dict.fromkeys(("14758", "14761", "380", *PARTS), UNITS_VALID_FROM),
    LATE: START.date() + timedelta(days=3),
}
SPLITS = {
    "14758": (START.date() + timedelta(days=5), ("14764", "14767")),
    "14761": (START.date() + timedelta(days=6), ("14764", "14770")),
    # What was split over it can be told from then on more exactly.
    "14767": (START.date() + timedelta(days=7), ("14773", "14776")),
}
ENDS = {code: day for code, (day, _) in SPLITS.items()}
HEIRS = {
    code: {*parts, *(SPLITS["14767"][1] if "14767" in parts else ())} for code, (_, parts) in SPLITS.items()
}
CODES = (*("14758", "14761", "380") * 3, LATE, LATE, "14767", "14764", "00000")
ACTORS = ("cb01", "cb02", "CB01")
REASONS = {"locked": ("death", "holder_request"), "rejected": ("photo",), "withdrawn": ("face",)}
FOLLOWS = ("approved", "rejected", "notified", "withdrawn")
LIVES = (
    (),
    ("collected", "approved"),
    ("collected", "approved", "notified"),
    ("collected", "approved", "withdrawn"),
    ("collected", "rejected", "collected"),
    ("collected", "approved", "activated"),
    ("collected", "approved", "locked"),
)
"""What may have happened before an example begins, so that it is not spent on making something to correct."""

Wish = dict[str, Any]
"""A report as somebody would wish for it. It means something wherever the dossiers stand, so that any of several wishes can
be left out when an example is made smaller."""

lives = st.sampled_from(LIVES)
hours = st.sampled_from((0, 0, 0, 1, 5, 16, 24, 40, -1))
seldom = st.integers(0, 9).map(lambda number: number == 9)
step_wishes = st.fixed_dictionaries(
    {
        "citizen": st.integers(0, 1),
        "level": st.sampled_from((2, 2, 1)),
        "next": st.integers(0, 3),
        "any": st.sampled_from((*[""] * 40, *STEPS)),
        "hours": hours,
        "unit": st.sampled_from(CODES),
        "follows": st.sampled_from((True, True, True, False)),
        "place": st.sampled_from(("", "other", "school")),
        "partner": st.sampled_from(("", "veterans")),
        "team": st.sampled_from(("", "t1")),
        "residence_unit": st.sampled_from(("", "", "00001", "14758")),
        "note": st.sampled_from(("", "", "máy hỏng")),
        "card": st.sampled_from(("", "valid", "expired")),
        "reason": st.integers(0, 1),
    }
)
correction_wishes = st.fixed_dictionaries(
    {
        "citizen": st.integers(0, 1),
        "corrects": st.sampled_from(("the last", "the last", "what waits", 1, 1, *range(2, 16))),
        "type": st.sampled_from(("voided", "reassigned", "amended", "confirmed")),
        "other level": seldom,
        "hours": hours,
        "actor": st.sampled_from(ACTORS),
        "unit": st.sampled_from(CODES),
        "place": st.sampled_from(("school", "online", "other", "")),
        "partner": st.sampled_from(("", "veterans", "none")),
        "team": st.sampled_from(("", "t2", "-")),
    }
)
allocation_wishes = st.fixed_dictionaries(
    {
        "citizen": st.integers(0, 1),
        "part": st.sampled_from((*PARTS, "14764", "14767", "380", "00000")),
        "level": st.sampled_from((2, 2, 2, 1)),
        "hours": hours,
        "note": st.sampled_from(("", "", "theo nơi ở")),
    }
)
repeat_wishes = st.fixed_dictionaries(
    {
        "back": st.integers(0, 11),
        "again": st.sampled_from(("same", "same", "other offset", "other actor", "other note")),
    }
)
# Each of the first two twice as often as the third; equal ones would count as one.
wishes = st.one_of(
    step_wishes,
    step_wishes.map(dict),
    correction_wishes,
    correction_wishes.map(dict),
    repeat_wishes,
    allocation_wishes,
)


def life(kinds: tuple[str, ...], citizen: str) -> list[AnyCommand]:
    """Return the reports of a life on level 2, a day apart."""
    return [
        COMMANDS[kind](
            key=f"life{number}",
            citizen=citizen,
            level=2,
            occurred_at=START + number * 24 * HOUR,
            actor="cb01",
            **({} if kind in FOLLOWS else {"unit": "14758"}),
            **({"reason": REASONS[kind][0]} if kind in REASONS else {}),
        )
        for number, kind in enumerate(kinds)
    ]


def make(wish: Wish, paper: Paper, sent: list[AnyCommand], citizens: list[str]) -> AnyCommand:
    """Return the report that a wish comes to where the dossiers stand as on *paper*.

    Args:
        sent: Those that were made before; it is put to them.
    """
    if "again" in wish:
        command = _again(wish, sent) if sent else life(("collected",), citizens[0])[0]
    else:
        citizen = citizens[wish["citizen"] % len(citizens)]
        key = f"k{len(sent)}"
        if "part" in wish:
            command = _allocation(wish, key=key, citizen=citizen)
        elif "corrects" not in wish:
            command = _step(wish, paper.of(citizen), key=key, citizen=citizen)
        elif paper.of(citizen).sheets:
            command = _correction(wish, paper.of(citizen), key=key, citizen=citizen)
        else:
            collect = {"hours": wish["hours"], "unit": wish["unit"]}
            command = _step(collect, paper.of(citizen), key=key, citizen=citizen)
    sent.append(command)
    return command


def _step(wish: Wish, dossier: Sheets, **whose: str) -> AnyCommand:
    level = wish.get("level", 2)
    stood = dossier.levels().get(level)
    at = stood.at if stood else START
    lawful = [kind for kind in STEPS if stood and not stood.fault(_like(kind, at))] or ["collected"]
    kind = wish.get("any") or lawful[wish.get("next", 0) % len(lawful)]
    fields = {name: wish.get(name, "") for name in ("place", "partner", "team", "residence_unit", "note")}
    fields["unit"] = "" if kind in FOLLOWS and wish.get("follows", True) else wish["unit"]
    if kind == "collected":
        fields["card"] = wish.get("card", "")
    elif kind not in ("approved", "notified", "activated"):
        reasons = REASONS.get(kind, ("other",))
        fields["reason"] = reasons[wish.get("reason", 0) % len(reasons)]
    at += wish["hours"] * HOUR
    return COMMANDS[kind](**whose, level=level, occurred_at=at, actor="cb01", **fields)


def _like(kind: str, at: datetime) -> dict[str, Any]:
    return {"type": kind, "at": at, "reason": "death"}


def _correction(wish: Wish, dossier: Sheets, **whose: str) -> AnyCommand:
    versions = range(1, len(dossier.sheets) + 1)
    waiting = [version for version in versions if dossier.stands(version) and dossier.waits(version)]
    kind, about = wish["type"], wish["corrects"]
    if about == "what waits" or (waiting and kind == "confirmed"):
        about = [versions[-1], *waiting][-1]
    elif about == "the last":
        about = versions[-1]
    else:
        # Now and then the next one, which there is not yet.
        about = 1 + (about - 1) % (len(versions) + 1)
    level = dossier[about]["level"] if about in versions else 2
    fields: dict[str, Any] = {}
    if kind == "voided":
        fields["reason"] = "mistyped"
    elif kind == "reassigned":
        fields["unit"] = wish["unit"]
    elif kind == "amended":
        fields = {name: wish[name] for name in ("place", "partner", "team")}
        if not any(fields.values()):
            fields["note"] = "hẹn lại"
    return COMMANDS[kind](
        **whose,
        level=3 - level if wish["other level"] else level,
        # Often before what is corrected; that is of no account.
        occurred_at=START + wish["hours"] * HOUR,
        actor=wish["actor"],
        corrects=about,
        **fields,
    )


def _allocation(wish: Wish, **whose: str) -> AnyCommand:
    return Allocate(
        **whose,
        level=wish["level"],
        unit=wish["part"],
        # Often before what it is about; that is of no account.
        occurred_at=START + wish["hours"] * HOUR,
        actor="cb07",
        note=wish["note"],
    )


def _again(wish: Wish, sent: list[AnyCommand]) -> AnyCommand:
    """Return a report that was sent before; as it was, or with other content under its key."""
    report = sent[-1 - wish["back"] % len(sent)]
    fields = {name: getattr(report, name) for name in report.__struct_fields__}
    match wish["again"]:
        case "other offset":
            fields["occurred_at"] = report.occurred_at.astimezone(UTC)
        case "other actor":
            fields["actor"] = "cb09"
        case "other note":
            fields["note"] = "khác"
    return type(report)(**fields)


class Decisions(RuleBasedStateMachine):
    """One dossier of pure functions: look up the key, decide, evolve."""

    def __init__(self) -> None:
        super().__init__()
        self.paper = Paper(VALID_FROM, ENDS, HEIRS)
        self.dossier = Dossier(UUID(int=1))
        self.sent: list[AnyCommand] = []
        self.four_eyes = False

    @initialize(kinds=lives, four_eyes=st.booleans())
    def begin(self, kinds: tuple[str, ...], *, four_eyes: bool) -> None:
        for command in life(kinds, "1"):
            self.answer(command)
        self.four_eyes = four_eyes

    @rule(wish=wishes, switch=seldom)
    def send(self, wish: Wish, *, switch: bool) -> None:
        self.four_eyes ^= switch
        self.answer(make(wish, self.paper, self.sent, ["1"]))

    def answer(self, command: AnyCommand) -> None:
        expected = self.paper.take(command, four_eyes=self.four_eyes)
        assert expected == self.take(command), command
        sheets, dossier = self.paper.of("1"), self.dossier
        assert len(sheets.sheets) == dossier.version
        assert {
            number: (level.state, level.attempt, level.entered["at"], TREE_IDS[level.collector], level.at)
            for number, level in sheets.levels().items()
        } == {
            number: (
                standing.state,
                standing.attempt,
                standing.stand.occurred_at,
                standing.collecting_unit_id,
                standing.occurred_at,
            )
            for number, standing in dossier.levels.items()
        }
        assert dossier.allocations == {
            (level, TREE_IDS[unit]): TREE_IDS[part] for (level, unit), part in sheets.allocated().items()
        }
        assert {
            step["version"]: (
                step["type"],
                TREE_IDS[step["unit"]],
                TREE_IDS.get(step["allocated"]),
                step["place"],
                step["partner"],
                step["team"],
            )
            for step in sheets.steps()
        } == {
            version: (
                step.TYPE,
                step.unit_id,
                step.allocated_id,
                step.place,
                step.partner,
                step.team or "",
            )
            for version, step in standing_steps(dossier.entries).items()
        }
        assert {step["type"] for step in sheets.steps()} == dossier.types
        assert replay(Dossier(dossier.id), dossier.entries) == dossier
        counts = counted(dossier.entries)
        assert counts == sums(dossier.entries)
        assert sheets.counts() == spread(counts)
        persons = [place.type for place, (_, first) in counts.items() for _ in range(first)]
        assert sorted(dossier.types) == sorted(filter(None, persons))

    def take(self, command: AnyCommand) -> Outcome:
        dossier = self.dossier
        try:
            if version := dossier.keys.get(command.key):
                event = dossier.entries[version - 1]
                note = "" if event.note is None else event.note.decode().split("#")[0]
                if fields := differences(event, note, command):
                    raise KeyConflictError(command.key, version, fields)
                return "duplicate", version
            event = decide(dossier, command, self.placing(command))
        except LedgerError as refusal:
            return refusal.code
        self.dossier = evolve(dossier, event)
        return "recorded", self.dossier.version

    def placing(self, command: AnyCommand) -> Placing:
        unit_id = None
        if code := getattr(command, "unit", ""):
            unit_id = TREE.resolve(code, business_day(unit_at(self.dossier, command))).id
        # Two seals of one text differ.
        note = f"{command.note}#{self.dossier.version}".encode() if command.note else None
        before = isinstance(command, Lock) and DEFAULT_REASONS.of("locked")[command.reason].before_activation
        split_ids: frozenset[UUID] = frozenset()
        if isinstance(command, Allocate):
            at = counting_at(self.dossier, command.level)
            split_ids = frozenset(unit for unit in at if unit_id in heirs_of(TREE, unit))
        return Placing(unit_id, note, before, self.four_eyes, split_ids)


def spread(counts: Mapping[Change, tuple[int, int]]) -> Counter[tuple[str, by_hand.Where]]:
    """Return counts as they are written on paper."""
    codes = {unit_id: code for code, unit_id in TREE_IDS.items()}
    spread: Counter[tuple[str, by_hand.Where]] = Counter()
    for place, (number, _) in counts.items():
        event = {
            **{name: value for name, value in msgspec.to_builtins(place).items() if value},
            "unit_id": codes[place.unit_id],
            "allocated_id": None,
        }
        where = by_hand.where_of(event)
        if place.allocated_id:
            where = where._replace(unit=f"{where.unit}>{codes[place.allocated_id]}")
        measures = [place.type] if place.type else list(by_hand.WAITING[place.waits or ""])
        if place.card != "valid":
            measures.append("awaiting_long")
        spread.update((measure, where) for measure in measures for _ in range(number))
    return spread


TREE_IDS = {code: UUID(int=number) for number, code in enumerate(VALID_FROM, 1)}
TREE = grow(
    UnitTree(),
    [
        (0, UnitOpened(unit_id=TREE_IDS[code], code=code, name=code, level="commune", valid_from=first))
        for code, first in VALID_FROM.items()
    ]
    + [
        (
            0,
            UnitSplit(
                unit_id=TREE_IDS[code],
                effective=day,
                decree="NQ 1686/NQ-UBTVQH15",
                reorganisation=UUID(int=number),
                parts=tuple(Part(TREE_IDS[part]) for part in parts),
            ),
        )
        for number, (code, (day, parts)) in enumerate(SPLITS.items(), 1)
    ],
)


def test_decisions_are_those_on_paper():
    """Whatever was sent: the answer with its code, the levels, the types; and the counts are the sum of all that the
    events say, each person once for each type."""
    run_state_machine_as_test(
        Decisions, settings=settings(max_examples=600 * EXAMPLES, stateful_step_count=20)
    )


class Writers:
    """Two writers of one ledger, each with the setting of four eyes and without it."""

    def __init__(self, ledgers: dict[tuple[int, bool], Ledger], database: Database) -> None:
        self.ledgers = ledgers
        self.database = database
        self.citizens = 0
        self.ids = by_hand.tree_of(by_hand.rows_of(database)).ids


class Recordings(RuleBasedStateMachine):
    """Two citizens whom the ledger did not know; those of earlier examples stay where they are."""

    def __init__(self, writers: Writers) -> None:
        super().__init__()
        self.writers = writers
        self.paper = Paper(VALID_FROM, ENDS, HEIRS)
        self.before = by_hand.tables_of(writers.database)
        self.citizens = [f"{writers.citizens + number:012}" for number in range(2)]
        writers.citizens += 2
        self.sent: list[AnyCommand] = []
        self.four_eyes = False

    @initialize(kinds=st.tuples(lives, lives), four_eyes=st.booleans())
    def begin(self, kinds: tuple[tuple[str, ...], ...], *, four_eyes: bool) -> None:
        for citizen, theirs in zip(self.citizens, kinds, strict=True):
            self.record(life(theirs, citizen), 0)
        self.four_eyes = four_eyes

    @rule(wish=wishes, writer=st.integers(0, 1), switch=seldom)
    def record_one(self, wish: Wish, writer: int, *, switch: bool) -> None:
        self.four_eyes ^= switch
        self.record([make(wish, self.paper, self.sent, self.citizens)], writer)

    @rule(
        several=st.lists(wishes, min_size=2, max_size=6),
        writer=st.integers(0, 1),
        backwards=st.booleans(),
        how=st.sampled_from(("", "", "atomic", "dry_run")),
    )
    def record_many(self, several: list[Wish], writer: int, how: str, *, backwards: bool) -> None:
        tried, batch = self.paper.copy(), []
        for wish in several:
            batch.append(make(wish, tried, self.sent, self.citizens))
            tried.record(batch[-1:], four_eyes=self.four_eyes)
        # Those of one instant are lawful backwards too.
        self.record(batch[::-1] if backwards else batch, writer, **({how: True} if how else {}))

    def record(self, batch: list[AnyCommand], writer: int, **how: bool) -> None:
        ledger = self.writers.ledgers[writer, self.four_eyes]
        head = ledger.head().position
        expected = self.paper.record(batch, four_eyes=self.four_eyes, **how)
        outcomes = ledger.record_many(batch, **how)
        assert expected == [
            outcome.code
            if isinstance(outcome, Refusal)
            else ("duplicate" if outcome.duplicate else "recorded", outcome.version)
            for outcome in outcomes
        ]
        recorded = {
            (outcome.dossier_id, outcome.version): outcome.position
            for outcome in outcomes
            if not isinstance(outcome, Refusal) and outcome.position > head
        }
        assert head + len(recorded) == ledger.head().position
        assert set(range(head + 1, head + len(recorded) + 1)) == set(recorded.values())
        for citizen in {command.citizen for command in batch}:
            self.check(citizen, self.writers.ledgers[1 - writer, self.four_eyes])

    def check(self, citizen: str, ledger: Ledger) -> None:
        """What the other writer reads is what is on paper."""
        sheets = self.paper.of(citizen)
        if not sheets.sheets:
            with pytest.raises(CitizenUnknownError):
                ledger.find(citizen)
            return
        history = ledger.history(citizen=citizen)
        told = sheets.history()
        assert told == [{name: getattr(event, name) for name in told[0]} for event in history.events]
        levels = {
            str(number): (
                *(level.state, level.attempt, level.entered["at"], level.collector),
                sheets.allocated().get((number, level.collector)),
            )
            for number, level in sheets.levels().items()
        }
        assert levels == {
            number: (
                *(level.state, level.attempt, level.since, level.collecting_unit.code),
                level.allocated_to and level.allocated_to.code,
            )
            for number, level in history.levels.items()
        }
        state = ledger.dossier(history.dossier_id)
        assert (len(told), history.levels) == (state.version, state.levels)
        assert history.events[-1].position == state.position

    def teardown(self) -> None:
        assert catch_up(self.writers.database) == self.writers.ledgers[0, False].head().position
        counted = by_hand.tables_by_hand(self.paper.counts(self.writers.ids))
        for grain, counts in by_hand.tables_of(self.writers.database).items():
            counts.subtract(self.before[grain])
            assert counted[grain] == {place: number for place, number in counts.items() if number}


@pytest.fixture
def writers(ledger: Ledger, clock: Clock, database: Database) -> Iterator[Writers]:
    clock.now = datetime(2025, 6, 1, tzinfo=UTC)
    load(ledger, f"code,name,level,parent_code\n{LATE},Phường Mới,commune,380\n", VALID_FROM[LATE])
    for code, (day, parts) in SPLITS.items():
        ledger.change_units(SplitUnit(unit=code, parts=parts, effective=day, decree="NQ 1686/NQ-UBTVQH15"))
    ledgers = {
        (writer, four_eyes): Ledger(
            database, ledger._identities, policy=Policy(four_eyes=four_eyes), now=clock
        )
        for writer in (0, 1)
        for four_eyes in (False, True)
    }
    for each in ledgers.values():
        each.tree()
    yield Writers(ledgers, database)
    for each in ledgers.values():
        each.close()


def test_ledger_is_what_is_on_paper(writers):
    """Every answer, history and state, read by the other writer; then the totals, as counted on paper and by hand.

    The examples share one database, each with citizens of its own: to clone one takes longer than an example.
    """
    run_state_machine_as_test(
        lambda: Recordings(writers),
        settings=settings(
            max_examples=80 * EXAMPLES,
            stateful_step_count=20,
            # Nearly everything is found by the other machine too, which shrinks it in seconds.
            phases=settings().phases if EXAMPLES > 1 else (Phase.generate,),
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
        ),
    )
    check_ledger(writers.ledgers[0, False])
    by_hand.check_totals(writers.database)
