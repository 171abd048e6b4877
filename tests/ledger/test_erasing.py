"""A citizen is erased, and with the row goes what would tell whose the dossier was; nothing else changes."""

import threading
from concurrent.futures import ThreadPoolExecutor
from random import Random
from uuid import UUID, uuid4

import psycopg
import pytest

from ledger import Ledger, Policy, Receipt
from ledger.access import Grant, Principal, Role
from ledger.database import Database
from ledger.errors import (
    CitizenUnknownError,
    DossierUnknownError,
    ErasedError,
    FieldInvalidError,
    FieldMissingError,
    NotCollectedError,
    PersonalNumberError,
    StoreNotReadyError,
)
from ledger.events import CitizenErased
from projections import Totals, TotalsQuery, reconcile
from tests.conftest import check_ledger
from tests.ledger.reports import (
    CITIZEN,
    MONDAY,
    UNIT,
    activate,
    approve,
    citizen,
    collect,
    confirm,
    reassign,
    void,
)

WHY = "at the holder's request"


def rows(operator: psycopg.Connection) -> list:
    return operator.execute("SELECT lookup, dossier_id, sealed, key FROM citizens ORDER BY lookup").fetchall()


def test_what_is_erased_and_what_stays(ledger, operator):
    """The row goes, and that is the dossier's last event; its other events and everybody else's row stay."""
    [one, *_] = ledger.record_many([collect(note="hẹn 9 giờ"), approve(), collect(citizen=citizen(2))])
    [before] = [row for row in rows(operator) if row[1] != one.dossier_id]
    log = ledger.read(limit=10_000)
    erased = ledger.erase(one.dossier_id, reason=WHY, basis="QĐ 12/2026", actor="cb09")

    assert (one.dossier_id, len(log) + 1, True) == (erased.dossier_id, erased.position, erased.vacuumed)
    *kept, last = ledger.read(limit=10_000)
    assert log == kept
    assert (one.dossier_id, 3, erased.recorded_at) == (
        last.originator_id,
        last.originator_version,
        last.recorded_at,
    )
    assert (
        CitizenErased(occurred_at=ledger._now(), actor="cb09", reason=WHY, basis="QĐ 12/2026") == last.event
    )
    assert [before] == rows(operator)
    check_ledger(ledger)


def test_history_tells_the_erasure_and_which_notes_are_gone(ledger):
    """By the dossier's id; and the state says that it is nobody's."""
    receipt = ledger.record(collect(note="hẹn 9 giờ"))
    ledger.record(approve())
    ledger.erase(receipt.dossier_id, reason=WHY, basis="QĐ 12/2026", actor="cb09")
    told = ledger.history(dossier_id=receipt.dossier_id)

    assert told.erased
    assert [("collected", None, True), ("approved", None, False), ("erased", None, False)] == [
        (event.type, event.note, event.note_erased) for event in told.events
    ]
    last = told.events[-1]
    assert (3, None, None, "cb09", WHY, "QĐ 12/2026", True) == (
        last.version,
        last.level,
        last.key,
        last.actor,
        last.reason,
        last.basis,
        last.standing,
    )
    assert [last] == ledger.history(dossier_id=receipt.dossier_id, after=2).events
    state = ledger.dossier(receipt.dossier_id)
    assert (True, 3, last.position, "approved") == (
        state.erased,
        state.version,
        state.position,
        state.levels["2"].state,
    )
    assert not ledger.dossier(ledger.record(collect(citizen=citizen(2))).dossier_id).erased


def test_nobody_is_found_by_the_number(ledger):
    """And nobody's number is told."""
    receipt = ledger.record(collect())
    assert CITIZEN == ledger.reveal(receipt.dossier_id)
    ledger.erase(receipt.dossier_id, reason=WHY)
    with pytest.raises(CitizenUnknownError):
        ledger.find(CITIZEN)
    with pytest.raises(CitizenUnknownError):
        ledger.history(citizen=CITIZEN)
    with pytest.raises(ErasedError, match=str(receipt.dossier_id)):
        ledger.reveal(receipt.dossier_id)


def test_the_number_begins_another_dossier(ledger):
    """With its first event; what the erased one had reached is of no account to it."""
    old = ledger.record(collect())
    ledger.erase(old.dossier_id, reason=WHY)
    with pytest.raises(NotCollectedError):
        ledger.record(approve())
    new = ledger.record(collect())
    assert (1, False) == (new.version, new.duplicate)
    assert new.dossier_id != old.dossier_id
    assert new.dossier_id == ledger.find(CITIZEN)
    check_ledger(ledger)


def test_twice(ledger):
    """The second time there is nobody to erase, and nothing is recorded."""
    receipt = ledger.record(collect())
    ledger.erase(receipt.dossier_id, reason=WHY)
    head = ledger.head()
    with pytest.raises(ErasedError, match="erased"):
        ledger.erase(receipt.dossier_id, reason=WHY)
    assert head == ledger.head()


def test_the_database_itself_erases_once(ledger, operator):
    """Whoever asks without looking gets a refusal, and no event."""
    receipt = ledger.record(collect())
    ledger.erase(receipt.dossier_id, reason=WHY)
    with pytest.raises(psycopg.Error) as caught:
        operator.execute("SELECT ledger.erase(%s, 3, '{}')", [receipt.dossier_id])
    assert "AL005" == caught.value.sqlstate
    check_ledger(ledger)


def test_at_once_by_several(ledger, open_again):
    """One erases; the others are told that it was done."""
    dossier_id = ledger.record(collect()).dossier_id
    ready = threading.Barrier(4)

    def erase(own: Ledger) -> bool:
        ready.wait()
        try:
            own.erase(dossier_id, reason=WHY)
        except ErasedError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert [False, False, False, True] == sorted(pool.map(erase, [open_again() for _ in range(4)]))
    check_ledger(ledger, length=ledger.head().position)


def test_reports_meanwhile(ledger, open_again):
    """Each is in the old dossier before its erasure, or in another one after it; no other end is lawful."""
    chance = Random(5)
    numbers = [citizen(number) for number in range(60)]
    ids = {number: ledger.record(collect(citizen=number, note="n")).dossier_id for number in numbers}
    ready = threading.Barrier(4)

    def report(own: Ledger) -> list[tuple[str, Receipt]]:
        ready.wait()
        receipts = []
        order = numbers.copy()
        chance.shuffle(order)
        for number in order:
            for command in (
                approve(citizen=number, note="n"),
                # After the erasure it opens the new dossier; before it, the level was collected already.
                collect(citizen=number, key="again", note="n"),
                activate(citizen=number),
            ):
                [outcome] = own.record_many([command])
                if isinstance(outcome, Receipt):
                    receipts.append((number, outcome))
                else:
                    assert outcome.code in {
                        "already_collected",
                        "not_approved",
                        "not_collected",
                        "already_approved",
                    }
        return receipts

    def erase(own: Ledger) -> None:
        ready.wait()
        for number in numbers:
            own.erase(ids[number], reason=WHY)

    with ThreadPoolExecutor(4) as pool:
        reporting = [pool.submit(report, open_again()) for _ in range(3)]
        pool.submit(erase, open_again()).result()
        receipts = [receipt for one in reporting for receipt in one.result()]
    check_ledger(ledger)
    later = 0
    for number, receipt in receipts:
        told = ledger.history(dossier_id=receipt.dossier_id)
        assert receipt.position == told.events[receipt.version - 1].position
        assert told.erased == (receipt.dossier_id == ids[number])
        later += not told.erased
    assert 0 < later < len(receipts), "they did not meet"


def test_a_report_that_was_decided_before_the_erasure(ledger, monkeypatch):
    """It is decided again, with another dossier: the old one ends with its erasure."""
    old = ledger.record(collect())
    append = ledger.recorder.append

    def erased_first(batch):
        monkeypatch.undo()
        ledger.erase(old.dossier_id, reason=WHY)
        return append(batch)

    monkeypatch.setattr(ledger.recorder, "append", erased_first)
    [refused] = ledger.record_many([approve(note="n")])
    assert "not_collected" == refused.code
    assert 2 == ledger.dossier(old.dossier_id).version

    def erased_before(batch):
        monkeypatch.undo()
        ledger.erase(second.dossier_id, reason=WHY)
        return append(batch)

    second = ledger.record(collect())
    monkeypatch.setattr(ledger.recorder, "append", erased_before)
    [refused, new] = ledger.record_many([approve(note="n"), collect(key="c2", note="n")])
    assert ("not_collected", 1) == (refused.code, new.version)
    assert new.dossier_id not in {old.dossier_id, second.dossier_id}
    assert ["n"] == [event.note for event in ledger.history(citizen=CITIZEN).events]
    check_ledger(ledger)


def test_a_row_that_a_backup_brought_back(ledger, operator):
    """Reports that find the dossier are refused, and it can be erased again."""
    receipt = ledger.record(collect())
    [row] = rows(operator)
    ledger.erase(receipt.dossier_id, reason=WHY)
    operator.execute("INSERT INTO citizens (lookup, dossier_id, sealed, key) VALUES (%s, %s, %s, %s)", row)
    ledger.policy = Policy(four_eyes=True)
    unit_id = ledger.tree().resolve(UNIT, MONDAY.date()).id
    there = Principal("c", "person", tuple(Grant(role, unit_id) for role in (Role.CORRECTOR, Role.APPROVER)))
    for command in (approve(), void(corrects=1), confirm(corrects=1), reassign(corrects=2, unit=UNIT)):
        for by in (None, there):
            [refused] = ledger.record_many([command], by=by)
            assert "erased" == refused.code
    again = ledger.erase(receipt.dossier_id, reason=WHY)
    assert 3 == ledger.dossier(receipt.dossier_id).version
    assert [] == rows(operator)
    assert again.position == ledger.head().position
    check_ledger(ledger)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"reason": ""}, FieldMissingError),
        ({"reason": "x" * 201}, FieldInvalidError),
        ({"reason": "a\nb"}, FieldInvalidError),
        ({"reason": f"of {citizen(7)}"}, PersonalNumberError),
        ({"reason": f"of {CITIZEN[:4]} {CITIZEN[4:8]} {CITIZEN[8:]}"}, PersonalNumberError),
        ({"basis": f"of {CITIZEN[:6]}-{CITIZEN[6:]}"}, PersonalNumberError),
        ({"actor": ".".join(CITIZEN)}, PersonalNumberError),
    ],
    ids=str,
)
def test_reasons_that_are_refused(ledger, fields, error):
    """What is written there stays for good, so nothing personal may be in it; nothing is recorded."""
    dossier_id = ledger.record(collect()).dossier_id
    head = ledger.head()
    with pytest.raises(error) as caught:
        ledger.erase(dossier_id, **{"reason": WHY, **fields})
    assert CITIZEN not in str(caught.value)
    assert head == ledger.head()


def test_unknown_dossiers(ledger):
    """The streams of units and targets are no dossiers either."""
    for dossier_id in (uuid4(), UUID(int=0), ledger.read(limit=1)[0].originator_id):
        with pytest.raises(DossierUnknownError):
            ledger.erase(dossier_id, reason=WHY)


def test_only_the_operator_may(ledger, database, operator):
    """The application's login cannot erase or rewrap, whatever it calls; nor does another login of the server."""
    receipt = ledger.record(collect())
    calls = (
        f"SELECT ledger.erase('{receipt.dossier_id}', 2, '{{}}')",
        "SELECT ledger.rewrap('{}', '{}', '{}')",
        "DELETE FROM ledger.citizens",
        "UPDATE ledger.citizens SET key = key",
        "SET activation_ledger.change = 'erase'; DELETE FROM ledger.citizens",
        "SET activation_ledger.change = 'rewrap'; UPDATE ledger.citizens SET key = key",
    )
    for conninfo in (database.as_writer(), database.as_projector()):
        with psycopg.connect(conninfo, autocommit=True) as connection:
            for call in calls:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(call)
    if database.embedded:
        name = f"stranger_{uuid4().hex}"
        operator.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
        try:
            stranger = Database(
                psycopg.conninfo.make_conninfo(database.conninfo, user=name, password="x"), database.schema
            )
            ledger.database = stranger
            with pytest.raises(StoreNotReadyError, match="permission denied"):
                ledger.erase(receipt.dossier_id, reason=WHY)
        finally:
            operator.execute(f"DROP ROLE {name}")
    assert 1 == len(rows(operator))


def test_counts_stay(ledger):
    """Totals, what waits, and all that reconcile proves are as if nothing had happened; the runner goes on."""
    ledger.record_many(
        [command for n in range(6) for command in (collect(citizen=citizen(n)), approve(citizen=citizen(n)))]
    )
    totals = Totals(ledger)
    totals.catch_up()
    before = totals.read(TotalsQuery(by=("level",)))
    for number in range(3):
        ledger.erase(ledger.find(citizen(number)), reason=WHY)
    # A correction in the same stretch makes the worklist follow the whole dossier.
    ids = ledger.find(citizen(4))
    ledger.record(void(citizen=citizen(4), corrects=2))
    ledger.erase(ids, reason=WHY)
    totals.catch_up()
    after = totals.read(TotalsQuery(by=("level",)))
    assert before.sum["collected"] == after.sum["collected"]
    assert before.sum["approved"] - 1 == after.sum["approved"]
    assert 1 == after.sum["awaiting_approval"]
    assert 5 == after.sum["awaiting_activation"]
    told = reconcile(ledger)
    assert (None, ledger.head().position) == (told.difference, told.position)


def test_no_sample_remains_in_the_statistics(ledger, operator):
    """PostgreSQL would keep some of a hundred thousand rows there, whoever is erased."""
    ledger.record_many([collect(citizen=citizen(number)) for number in range(50)])
    operator.execute("ANALYZE citizens")
    sampled = operator.execute("SELECT attname FROM pg_stats WHERE tablename = 'citizens'").fetchall()
    assert [("dossier_id",)] == sampled


def test_a_log_that_goes_on_after_an_erasure_is_told(ledger, operator):
    """Nobody but somebody who changes tables by hand can write one: reconcile names the position."""
    receipt = ledger.record(collect())
    erased = ledger.erase(receipt.dossier_id, reason=WHY)
    [state] = operator.execute(
        "SELECT state FROM events WHERE notification_id = %s", [receipt.position]
    ).fetchone()
    operator.execute(
        "SELECT append(ARRAY[%s]::uuid[], ARRAY[3]::bigint[], ARRAY['dossier.collected.v1'], ARRAY[%s]::bytea[], "
        "ARRAY[]::bytea[], ARRAY[]::uuid[], ARRAY[]::bytea[], ARRAY[]::bytea[], NULL)",
        [receipt.dossier_id, state],
    )
    Totals(ledger).catch_up()
    told = reconcile(ledger)
    assert told.difference is not None
    assert (erased.position + 1, True) == (told.difference.position, "erased" in str(told.difference))
