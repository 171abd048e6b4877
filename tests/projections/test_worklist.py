"""Worklists against the log, followed by hand; and pages while things change."""

from datetime import date, datetime, timedelta
from itertools import product
from random import Random
from uuid import UUID

import msgspec
import pytest

from ledger import (
    Activate,
    Allocate,
    Amend,
    Approve,
    Collect,
    Ledger,
    Lock,
    Notify,
    Reassign,
    Reject,
    Unlock,
    Void,
)
from ledger.access import Grant, Principal, Role
from ledger.errors import FieldInvalidError, NotPermittedError, UnitNotValidError, UnitUnknownError
from ledger.units.commands import MergeUnits, SplitUnit
from ledger.working_days import WORKING_DAYS
from projections import (
    AgeingQuery,
    NotCaughtUpError,
    PositionLostError,
    Worklist,
    WorklistAnswer,
    WorklistQuery,
    WorklistRow,
    catch_up,
    open_ageing,
    open_worklist,
    rebuild,
    stretches,
)
from tests.projections import campaigns
from tests.projections.by_hand import VIETNAM
from tests.projections.waits_by_hand import check_worklist, tables_of, waits_of

ON = date(2024, 12, 9)


@pytest.fixture
def worklist(ledger: Ledger) -> Worklist:
    return open_worklist(ledger)


def read_all(worklist: Worklist, query: WorklistQuery) -> list[WorklistRow]:
    """Return the rows of all pages."""
    rows: list[WorklistRow] = []
    while True:
        answer = worklist.read(query)
        rows += answer.rows
        assert len(answer.rows) == query.limit or answer.next is None
        if answer.next is None:
            return rows
        query = msgspec.structs.replace(query, cursor=answer.next)


# The tables.


def test_the_tables_of_a_campaign(campaign):
    """What a runner wrote while two writers recorded, corrected too, is what the log comes to by hand."""
    check_worklist(campaign.ledger.database)
    found = tables_of(campaign.ledger.database)
    assert {"collected", "approved", "notified"} == {row[2] for row in found.worklist}
    assert (100, 100) < (len(found.worklist), found.times.total())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_stretches_of_any_length(ledger, database, monkeypatch, seed):
    """However the log is cut into stretches, steps and corrections of a dossier within one or apart, it is the same."""
    reports = campaigns.commands(seed, 120)
    campaigns.record(ledger, reports)
    campaigns.correct(ledger, reports, seed=seed, corrections=150)
    head = ledger.head().position
    tables = []
    for length in (1 + 6 * seed, 200, 20_000):
        monkeypatch.setattr(stretches, "BATCH_EVENTS_MAX", length)
        assert head == rebuild(database, ["worklist"])
        tables.append(tables_of(database))
    catch_up(database)

    assert tables[0] == tables[1] == tables[2]
    check_worklist(database)


# Lives of dossiers.


class Office:
    """Reports of one dossier, an hour after each other, and what the worklist makes of them."""

    BEGIN = datetime(2024, 12, 2, 8, tzinfo=VIETNAM)

    def __init__(self, ledger: Ledger, worklist: Worklist) -> None:
        self.ledger, self.worklist = ledger, worklist
        self.number = 0

    def report(self, kind: type, *, citizen: str = "038090000001", level: int = 2, **fields: object) -> int:
        """Record a report; return its version."""
        self.number += 1
        fields = {"unit": "14758"} | fields if kind in (Collect, Reassign) else fields
        fields = {"actor": "th-1", "occurred_at": self.BEGIN + timedelta(hours=self.number)} | fields
        command = kind(key=str(self.number), citizen=citizen, level=level, **fields)
        return self.ledger.record(command).version

    def waiting(self, **fields: object) -> list[WorklistRow]:
        after = catch_up(self.ledger.database, ["worklist"])
        check_worklist(self.ledger.database)
        return self.worklist.read(WorklistQuery(**fields), after=after).rows

    def only(self) -> tuple:
        """Return state, hours since the beginning, unit, place, team and attempt of the only row; () where there is none."""
        return next(
            (
                (
                    row.state,
                    (row.since - self.BEGIN) // timedelta(hours=1),
                    row.unit["code"],
                    row.place,
                    row.team,
                    row.attempt,
                )
                for row in self.waiting()
            ),
            (),
        )

    def took(self) -> dict[str, list[int]]:
        """Return how many hours approvals and activations took."""
        hours: dict[str, list[int]] = {}
        for (_, _, step, _, seconds), number in tables_of(self.ledger.database).times.items():
            hours.setdefault(step, []).extend([seconds // 3600] * number)
        return hours


@pytest.fixture
def office(ledger, worklist) -> Office:
    return Office(ledger, worklist)


def test_a_life(office):
    """It waits for its approval, then for its activation; what is told of it is what its collection said."""
    office.report(Collect, place="school", team="t7", actor="th-2", residence_unit="16093")
    [row] = office.waiting()
    assert (UUID, 2, "collected", "approval", 7, True, date(2024, 12, 5)) == (
        *(type(row.dossier_id), row.level, row.state, row.awaiting),
        *(row.age_days, row.overdue, row.due),
    )
    assert ({"code": "14758", "name": "Phường Đông Thọ", "level": "commune"}, True, "16093", "valid") == (
        *(row.unit, row.allocated),
        *(row.residence, row.card),
    )
    assert row.unit == row.collecting_unit

    office.report(Approve, actor="c06")
    [row] = office.waiting()
    assert ("approved", "activation", None, False) == (row.state, row.awaiting, row.due, row.overdue)
    assert ("school", "t7", "th-2", "16093", 588) == (
        *(row.place, row.team, row.actor, row.residence),
        row.position,
    )

    office.report(Notify, actor="c06")
    [row] = office.waiting()
    assert ("notified", date(2024, 12, 9), False) == (row.state, row.due, row.overdue)

    office.report(Activate, unit="16093", actor="self")
    assert [] == office.waiting()
    assert {"approval": [1], "activation": [1]} == office.took()


def test_rejected_and_collected_again(office):
    """A new attempt waits anew, with what its own collection says."""
    office.report(Collect, place="school", team="t7")
    office.waiting()
    office.report(Reject, reason="photo")
    office.report(Collect, unit="16093", place="household")
    assert ("collected", 3, "16093", "household", None, 2) == office.only()
    office.report(Reject, reason="photo")
    assert () == office.only()


def test_levels_wait_apart(office):
    """Each level of a dossier has a row of its own."""
    office.report(Collect, level=1)
    office.report(Collect, level=2)
    office.report(Approve, level=1)
    assert [(2, "collected"), (1, "approved")] == [(row.level, row.state) for row in office.waiting()]
    assert [1] == [row.level for row in office.waiting(level=1)]


def test_locked_before_its_activation(office):
    """It waits no longer; unlocked, it waits since it did before."""
    office.report(Collect, place="school", team="t7")
    office.report(Approve)
    office.report(Lock, reason="card_expired", unit="16093")
    assert () == office.only()
    office.report(Unlock, reason="card_renewed", unit="16093")
    assert ("approved", 2, "14758", "school", "t7", 1) == office.only()
    office.report(Activate, unit="14758")
    assert () == office.only()
    assert {"approval": [1], "activation": [3]} == office.took()
    # An account that was active waits for nothing when it is unlocked.
    office.report(Lock, reason="death", unit="16093")
    office.report(Unlock, reason="card_renewed", unit="16093")
    assert () == office.only()


@pytest.mark.parametrize("apart", [True, False], ids=["stretch by stretch", "in one stretch"])
def test_a_voided_step_brings_it_back(office, apart):
    """It waits as it did, since it did; and how long the step took is taken off again."""

    def told() -> tuple:
        return office.only() if apart else ()

    office.report(Collect, place="school", team="t7")
    approval = office.report(Approve)
    told()
    activation = office.report(Activate, unit="16093")
    assert () == told()
    if apart:
        assert {"approval": [1], "activation": [1]} == office.took()
    office.report(Void, corrects=activation, reason="mistyped")
    assert not apart or ("approved", 2, "14758", "school", "t7", 1) == told()
    office.report(Void, corrects=approval, reason="mistyped")
    assert ("collected", 1, "14758", "school", "t7", 1) == office.only()
    assert {} == office.took()


def test_a_voided_collection(office):
    """Nothing waits; a later one is the first."""
    collection = office.report(Collect)
    office.waiting()
    office.report(Void, corrects=collection, reason="mistyped")
    assert () == office.only()
    office.report(Collect, unit="16093", place="online")
    assert ("collected", 3, "16093", "online", None, 1) == office.only()


def test_a_voided_notice_in_the_middle(office):
    """The activation took longer than was thought: from the approval."""
    office.report(Collect)
    office.report(Approve)
    notice = office.report(Notify)
    office.report(Activate, unit="14758")
    office.waiting()
    assert {"approval": [1], "activation": [1]} == office.took()
    office.report(Void, corrects=notice, reason="mistyped")
    assert () == office.only()
    assert {"approval": [1], "activation": [2]} == office.took()


def test_a_reassigned_collection(office):
    """What waits goes with it, and how long its approval took."""
    collection = office.report(Collect, place="school")
    office.report(Approve)
    office.waiting()
    office.report(Reassign, corrects=collection, unit="16093")
    assert ("approved", 2, "16093", "school", None, 1) == office.only()
    [(leaf, *_)] = tables_of(office.ledger.database).times
    assert str(office.ledger.tree().resolve("16093", ON).id) == leaf


def test_amended_details(office):
    """Those of the collection are told as amended; those of an approval tell nothing."""
    collection = office.report(Collect, place="school", team="t7")
    approval = office.report(Approve)
    office.report(Amend, corrects=collection, place="household", team="-")
    assert ("approved", 2, "14758", "household", None, 1) == office.only()
    office.report(Amend, corrects=approval, place="online", team="t9")
    assert ("approved", 2, "14758", "household", None, 1) == office.only()


# Questions.


def overdue_by_hand(level: int, state: str, since: date, card: str) -> bool:
    if state == "approved":
        return False
    if state == "notified":
        return since + timedelta(7) < ON
    return WORKING_DAYS.due(since, 7 if card != "valid" else {1: 1, 2: 3}[level]) < ON


@pytest.fixture(scope="module")
def by_hand_rows(campaign) -> list[tuple]:
    """The whole list in its order: (overdue, since, dossier, level), and the columns by name."""
    names = "dossier_id level state since position unit allocated leaf residence place team actor card attempt clock"
    rows = []
    for values in waits_of(campaign.rows).worklist:
        row = dict(zip(names.split(), values, strict=True))
        day = row["since"].astimezone(VIETNAM).date()
        row["overdue"] = overdue_by_hand(row["level"], row["state"], day, row["card"])
        row["awaiting"] = "approval" if row["state"] == "collected" else "activation"
        row["age_days"] = (ON - day).days
        rows.append(row)
    return sorted(
        rows,
        key=lambda row: (not row["overdue"], row["since"], UUID(row["dossier_id"]).bytes, row["level"]),
    )


FILTERS: dict[str, list[dict]] = {
    "unit": [{}, {"unit": "38"}, {"unit": "380"}, {"unit": "14758"}, {"unit": "16093"}],
    "what": [
        {},
        {"state": "collected"},
        {"state": "notified"},
        {"awaiting": "activation"},
        {"awaiting": "approval", "level": 1},
        {"level": 2},
        {"awaiting": "approval", "state": "approved"},
    ],
    "time": [{}, {"overdue": True}, {"overdue": False}],
    "who": [
        {},
        {"place": "school"},
        {"actor": "th-1"},
        {"actor": "nobody"},
        {"team": "t1"},
        {"residence": "14758"},
    ],
}


@pytest.mark.parametrize("limit", [1000, 37])
def test_every_question_of_a_campaign(campaign, by_hand_rows, limit, monkeypatch):
    """Whatever is asked, and in pages of whatever length: those rows of the list, in its order, each once."""
    worklist = open_worklist(campaign.ledger)
    units = {code: campaign.tree.under(code) for code in ("38", "380", "14758", "16093")}
    chance = Random(limit)
    questions = [
        dict(item for part in parts for item in part.items()) for parts in product(*FILTERS.values())
    ]
    for few in (0, 32):
        monkeypatch.setattr("projections.worklist.reading.LEAVES_MAX", few)
        for question in chance.sample(questions, 60):
            rows = read_all(worklist, WorklistQuery(**question, limit=limit))
            expected = [
                row
                for row in by_hand_rows
                if all(
                    row["unit"] in units[value] if name == "unit" else row[name] == value
                    for name, value in question.items()
                )
            ]
            assert [(row["dossier_id"], row["level"], row["state"], row["overdue"]) for row in expected] == [
                (str(row.dossier_id), row.level, row.state, row.overdue) for row in rows
            ], question


def test_a_row_tells_all(campaign, by_hand_rows):
    """Each of its fields is that of the log."""
    rows = read_all(open_worklist(campaign.ledger), WorklistQuery(limit=200))
    names = (
        "level",
        "state",
        "awaiting",
        "since",
        "age_days",
        "overdue",
        "residence",
        "place",
        "team",
        "actor",
    )
    for expected, row in zip(by_hand_rows, rows, strict=True):
        assert {name: expected[name] for name in (*names, "card", "attempt", "position")} == {
            name: getattr(row, name) for name in (*names, "card", "attempt", "position")
        }
        assert expected["unit"] == campaign.tree.ids[row.unit["code"]]
        assert row.overdue == (row.due is not None and row.due < ON)


def test_true_for_a_position(office):
    """The answer says the position, the time and the day that it is true for."""
    office.report(Collect)
    office.waiting()
    answer = office.worklist.read(WorklistQuery())
    assert ("worklist", 587, ON, False, None) == (
        *(answer.projection, answer.position),
        *(answer.on, answer.provisional, answer.next),
    )
    assert office.ledger.head().recorded_at == answer.recorded_at


def test_nothing_waits(worklist, ledger):
    catch_up(ledger.database)
    assert ([], None) == (worklist.read(WorklistQuery()).rows, worklist.read(WorklistQuery()).next)


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (WorklistQuery(limit=0), FieldInvalidError),
        (WorklistQuery(limit=1001), FieldInvalidError),
        (WorklistQuery(place="moon"), FieldInvalidError),
        (WorklistQuery(team="a\x00"), FieldInvalidError),
        (WorklistQuery(actor="\udcff"), FieldInvalidError),
        (WorklistQuery(cursor=""), FieldInvalidError),
        (WorklistQuery(cursor="x" * 80), FieldInvalidError),
        (WorklistQuery(cursor="é"), FieldInvalidError),
        (WorklistQuery(unit="99999"), UnitUnknownError),
    ],
)
def test_what_cannot_be_asked(worklist, query, error):
    with pytest.raises(error):
        worklist.read(query)


def test_a_cursor_is_of_one_question(campaign):
    """With another one it is refused; the length of a page may change."""
    worklist = open_worklist(campaign.ledger)
    first = worklist.read(WorklistQuery(unit="38", limit=10))
    with pytest.raises(FieldInvalidError, match="none that a page has told you in answer to this question"):
        worklist.read(WorklistQuery(unit="380", cursor=first.next))
    second = worklist.read(WorklistQuery(unit="38", limit=5, cursor=first.next))
    assert worklist.read(WorklistQuery(unit="38", limit=15)).rows == first.rows + second.rows


def test_not_caught_up(worklist, ledger, operator):
    position = ledger.head().position
    with pytest.raises(NotCaughtUpError, match=f"worklist has counted up to position 0, not yet {position}"):
        worklist.read(WorklistQuery(), after=position, wait_seconds=0.05)
    operator.execute("DELETE FROM projections WHERE name = 'worklist'")
    with pytest.raises(PositionLostError, match="the projection worklist has lost its position"):
        worklist.read(WorklistQuery())


# While things change.


def test_pages_while_things_change(office):
    """What waits from the first page to the last is told once; what has begun, ended or gone on meanwhile is not doubled."""
    citizens = [f"0380900001{number:02}" for number in range(30)]
    ids = {}
    for citizen in citizens:
        office.report(Collect, citizen=citizen)
        ids[citizen] = office.ledger.find(citizen)
    catch_up(office.ledger.database)
    chance = Random(5)
    seen: list[UUID] = []
    touched: set[UUID] = set()
    answer: WorklistAnswer | None = None
    while answer is None or answer.next:
        cursor = None if answer is None else answer.next
        answer = office.worklist.read(WorklistQuery(unit="38", limit=4, cursor=cursor))
        seen += [row.dossier_id for row in answer.rows]
        # One that was told and one that may not have been go on; one more begins, and it is older than all others.
        for citizen in chance.sample(citizens, 2):
            if ids[citizen] not in touched:
                touched.add(ids[citizen])
                office.report(Approve, citizen=citizen)
        office.report(Collect, citizen=f"0380900002{len(seen):02}", occurred_at=office.BEGIN)
        catch_up(office.ledger.database)

    assert len(seen) == len(set(seen))
    assert set(ids.values()) - touched <= set(seen) <= set(ids.values())
    assert 0 < len(touched & set(seen))


def test_pages_past_midnight(office, clock):
    """The list stays that of the day on which it began: nothing becomes overdue between two pages."""
    for number in range(6):
        office.report(
            Collect,
            citizen=f"03809000010{number}",
            occurred_at=datetime(2024, 12, 4, 8 + number, tzinfo=VIETNAM),
        )
    catch_up(office.ledger.database)
    first = office.worklist.read(WorklistQuery(limit=3))
    assert [False] * 3 == [row.overdue for row in first.rows]
    clock.now += timedelta(days=1)
    second = office.worklist.read(WorklistQuery(limit=3, cursor=first.next))

    assert (first.on, [False] * 3) == (second.on, [row.overdue for row in second.rows])
    assert 6 == len({row.dossier_id for row in first.rows + second.rows})
    assert [True] * 3 == [row.overdue for row in office.worklist.read(WorklistQuery(limit=3)).rows]


def test_a_list_goes_on_for_whoever_began_it(office):
    """A cursor that somebody else was told, or that somebody made up, leads nowhere; nor one of a list begun long ago."""
    for number in range(3):
        office.report(Collect, citizen=f"03809000010{number}")
    catch_up(office.ledger.database)
    an, binh = (Principal(name, "person", (Grant(Role.RECORDER),)) for name in ("an.nguyen", "binh.le"))
    query = WorklistQuery(limit=1)
    query = msgspec.structs.replace(query, cursor=office.worklist.read(query, by=an).next)

    assert 1 == len(open_worklist(office.ledger).read(query, by=an).rows)
    with pytest.raises(FieldInvalidError, match="none that a page has told you"):
        office.worklist.read(query, by=binh)
    with pytest.raises(NotPermittedError):
        office.worklist.read(query, by=Principal("an.nguyen", "person"))


def test_an_old_list_does_not_go_on(office, clock):
    """Two days later it is begun anew, by whomever."""
    for number in range(3):
        office.report(Collect, citizen=f"03809000010{number}")
    catch_up(office.ledger.database)
    first = office.worklist.read(WorklistQuery(limit=1))
    clock.now += timedelta(days=2)
    with pytest.raises(FieldInvalidError, match="begun on 2024-12-09; begin with the first page"):
        office.worklist.read(WorklistQuery(limit=1, cursor=first.next))


def test_the_right_is_asked_as_of_today(office, clock):
    """Who held it over a unit that was absorbed is refused from that day on, whatever day the cursor speaks of."""
    for number in range(3):
        office.report(Collect, citizen=f"03809000010{number}", unit="14758")
    change = MergeUnits(effective=date(2024, 12, 10), decree="NQ 1", units=("14758",), into="14761")
    office.ledger.change_units(change)
    catch_up(office.ledger.database)
    tree = office.ledger.tree()
    recorder = Principal("an.nguyen", "person", (Grant(Role.RECORDER, tree.resolve("14758", ON).id),))
    query = WorklistQuery(unit="14758", limit=1)
    first = office.worklist.read(query, by=recorder)
    assert 1 == len(first.rows)
    clock.now += timedelta(days=1)
    for asked in (query, WorklistQuery(unit="14761", limit=1)):
        with pytest.raises((UnitNotValidError, NotPermittedError)):
            office.worklist.read(asked, by=recorder)
    with pytest.raises(FieldInvalidError, match="units have changed"):
        office.worklist.read(msgspec.structs.replace(query, cursor=first.next), by=recorder)


# Units that have ended.


def test_a_merged_unit(office):
    """Its dossiers are on the list of its successor; they say who collected them."""
    office.report(Collect, unit="14758")
    office.report(Collect, citizen="038090000002", unit="16093")
    office.ledger.change_units(
        MergeUnits(effective=date(2024, 12, 5), decree="NQ 1", units=("14758",), into="14761")
    )
    rows = office.waiting(unit="14761")
    assert [("14761", "14758", True)] == [
        (row.unit["code"], row.collecting_unit["code"], row.allocated) for row in rows
    ]
    assert 2 == len(office.waiting(unit="38"))
    with pytest.raises(UnitNotValidError):
        office.waiting(unit="14758")


def test_a_split_unit(office):
    """What nobody has allocated is on the list of the nearest unit above all parts, not on those of the parts."""
    office.report(Collect, unit="14758")
    office.ledger.change_units(
        SplitUnit(effective=date(2024, 12, 5), decree="NQ 1", unit="14758", parts=("14761", "14764"))
    )
    assert [("380", False)] == [(row.unit["code"], row.allocated) for row in office.waiting(unit="380")]
    assert [] == office.waiting(unit="14761") + office.waiting(unit="14764")


def test_an_allocated_dossier(office):
    """It moves to the list of its part, and how long its approval took with it; taken back, it is under the parent again."""
    office.report(Collect, unit="14758", place="school")
    office.report(Approve)
    office.report(Collect, citizen="038090000002", unit="14758")
    office.waiting()
    office.ledger.change_units(
        SplitUnit(effective=date(2024, 12, 5), decree="NQ 1", unit="14758", parts=("14761", "14764"))
    )
    at = office.BEGIN + timedelta(days=4)
    allocation = office.report(Allocate, unit="14761", occurred_at=at)
    rows = office.waiting(unit="14761")
    assert [("approved", "14761", True, "14758", "school")] == [
        (row.state, row.unit["code"], row.allocated, row.collecting_unit["code"], row.place) for row in rows
    ]
    assert [] == office.waiting(unit="14764")
    assert [True, False] == [
        row.allocated for row in sorted(office.waiting(unit="380"), key=lambda row: row.state)
    ]
    ageing = open_ageing(office.ledger).read(AgeingQuery(unit="14761")).sum
    assert [(0, 1), (1, 0)] == [(row["waiting"], row["ended"]) for row in ageing]
    # What comes later goes with it.
    office.report(Notify, occurred_at=at)
    assert [("notified", "14761")] == [(row.state, row.unit["code"]) for row in office.waiting(unit="14761")]
    office.report(Void, corrects=allocation, reason="mistyped", occurred_at=at)
    assert [] == office.waiting(unit="14761")
    assert [False, False] == [row.allocated for row in office.waiting(unit="380")]
