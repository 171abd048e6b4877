"""The ledger as its callers meet it: commands in, receipts out."""

import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import Ledger, Receipt, Refusal, open_ledger
from ledger.database import Database
from ledger.embedded import EmbeddedPostgres
from ledger.errors import (
    AlreadyActiveError,
    AlreadyCollectedError,
    CitizenInvalidError,
    CitizenUnknownError,
    ContentionError,
    DossierUnknownError,
    FileInvalidError,
    InputError,
    KeyConflictError,
    KeyFileWrongError,
    LedgerError,
    NotCollectedError,
    NotRecordedError,
    NotUtf8Error,
    OutOfOrderError,
    StoreUnavailableError,
    UnitDiffersError,
    UnitNotValidError,
    UnitUnknownError,
)
from ledger.key_files import create_key_file
from ledger.unit_events import UNITS_STREAM
from tests.conftest import NOW, UNITS_VALID_FROM, check_ledger, temporary_home
from tests.ledger.reports import (
    CITIZEN,
    DAY,
    MONDAY,
    OTHER_UNIT,
    UNIT,
    VIETNAM,
    a_life,
    activate,
    approve,
    citizen,
    collect,
    reject,
)

UNITS = 586
"""Events of a ledger that has the units of 2024."""


def codes(outcomes) -> list[str]:
    """Say of each outcome whether it is recorded, a duplicate, or why it was refused."""
    return [
        outcome.code
        if isinstance(outcome, Refusal)
        else "duplicate"
        if outcome.duplicate
        else f"{outcome.position}/{outcome.version}"
        for outcome in outcomes
    ]


class Statements:
    """Counts the statements that a recorder executes, by its own verbs."""

    def __init__(self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        self.texts: list[str] = []
        execute = psycopg.Cursor.execute

        def counted(cursor, query, *args, **kwargs):
            text = query if isinstance(query, str) else query.as_string(None)
            # The pool may make another connection at any moment, and configures it.
            if not text.startswith("SELECT set_config"):
                self.texts.append(text.split("(")[0].strip())
            return execute(cursor, query, *args, **kwargs)

        ledger.head()  # The pool's first connection is made and configured.
        monkeypatch.setattr(psycopg.Cursor, "execute", counted)

    def count(self, words: str) -> int:
        return sum(words in text for text in self.texts)


# Recording.


def test_receipts_count_positions_and_versions(ledger):
    """Positions number the ledger's events, versions the dossier's; the time is the server's."""
    before = datetime.now(UTC)
    one = ledger.record(collect())
    two = ledger.record(collect(citizen=citizen(2)))
    three = ledger.record(approve())

    assert (587, 1, False) == (one.position, one.version, one.duplicate)
    assert (588, 1) == (two.position, two.version)
    assert (589, 2) == (three.position, three.version)
    assert one.dossier_id == three.dossier_id != two.dossier_id
    assert before - timedelta(seconds=1) < one.recorded_at <= two.recorded_at <= three.recorded_at
    assert 7 == one.dossier_id.version
    check_ledger(ledger, length=UNITS + 3)


def test_receipts_come_in_order(ledger):
    """One for each command, and in the log they stand in that order too."""
    commands = [report for n in range(5) for report in a_life(citizen=citizen(n))]
    outcomes = ledger.record_many(commands)
    assert [f"{587 + n}/{n % 3 + 1}" for n in range(15)] == codes(outcomes)
    assert 1 == len({outcome.recorded_at for outcome in outcomes})
    check_ledger(ledger, length=UNITS + 15)


def test_refused_command_records_nothing(ledger):
    """And is raised, where it was recorded alone."""
    with pytest.raises(NotCollectedError):
        ledger.record(approve())
    with pytest.raises(CitizenInvalidError):
        ledger.record(collect(citizen="38090001234"))
    with pytest.raises(CitizenUnknownError):
        ledger.find(CITIZEN)
    check_ledger(ledger, length=UNITS)


def test_refusals_stand_in_their_places(ledger):
    """Those of one item leave the others alone, whatever the fault."""
    outcomes = ledger.record_many(
        [
            collect(),
            collect(citizen="x"),
            approve(citizen=citizen(2)),
            approve(),
            collect(citizen=citizen(3), unit="99999"),
            collect(citizen=citizen(4), level=3),
            collect(citizen=citizen(5)),
            activate(occurred_at=MONDAY),
        ]
    )
    assert [
        "587/1",
        "invalid_citizen",
        "not_collected",
        "588/2",
        "unknown_unit",
        "invalid_level",
        "589/1",
        "out_of_order",
    ] == codes(outcomes)
    check_ledger(ledger, length=UNITS + 3)


def test_no_commands(ledger):
    """Nothing asked, nothing done."""
    assert [] == ledger.record_many([])
    assert [] == ledger.record_many([], atomic=True)
    check_ledger(ledger, length=UNITS)


def test_a_batch_is_decided_in_its_order(ledger):
    """As if each were recorded alone."""
    later = {"occurred_at": MONDAY + 2 * DAY}
    commands = [
        approve(),
        collect(),
        approve(key="p2", **later),
        collect(key="c2", occurred_at=NOW),
        activate(),
    ]
    assert ["not_collected", "587/1", "588/2", "already_collected", "589/3"] == codes(
        ledger.record_many(commands)
    )


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 0, 2)])
def test_reports_of_one_instant_have_no_order(ledger, order):
    """Forms are stamped to the minute; which one a file names first says nothing."""
    commands = [collect(), approve(occurred_at=MONDAY), activate(occurred_at=MONDAY)]
    outcomes = ledger.record_many([commands[n] for n in order])
    versions = [outcome.version for outcome in outcomes]
    assert [n + 1 for n in order] == versions
    positions = sorted((outcome.version, outcome.position) for outcome in outcomes)
    assert [(1, 587), (2, 588), (3, 589)] == positions
    check_ledger(ledger, length=UNITS + 3)


def test_a_refusal_is_told_as_it_stands_at_last(ledger):
    """What was asked again and refused again has the reason of the second time."""
    same_time = {"occurred_at": MONDAY}
    outcomes = ledger.record_many(
        [
            activate(key="k1", **same_time),
            activate(key="k1", team="t2", **same_time),
            activate(key="k2", **same_time),
            approve(**same_time),
            collect(),
        ]
    )
    assert ["589/3", "key_conflict", "already_active", "588/2", "587/1"] == codes(outcomes)


def test_time_is_not_turned_back(ledger):
    """On one level; the other has its own time. The database's time plays no part."""
    ledger.record_many([collect(), approve()])
    with pytest.raises(OutOfOrderError):
        ledger.record(activate(occurred_at=MONDAY + DAY - timedelta(seconds=1)))
    ledger.record(collect(level=1, key="c0", occurred_at=MONDAY - DAY))
    ledger.record(activate(occurred_at=(MONDAY + DAY).astimezone(UTC)))
    check_ledger(ledger, length=UNITS + 4)


def test_second_activation_is_refused(ledger):
    """A new phone is no second activation."""
    ledger.record_many(a_life())
    with pytest.raises(AlreadyActiveError, match="only the first activation counts"):
        ledger.record(activate(key="k2", occurred_at=NOW))


def test_clock_is_asked_for_the_future(ledger, clock):
    """Ten minutes ahead is refused now and taken in five minutes."""
    soon = collect(occurred_at=clock.now + timedelta(minutes=10))
    with pytest.raises(InputError, match="is in the future"):
        ledger.record(soon)
    clock.now += timedelta(minutes=5)
    ledger.record(soon)


# Retries.


def test_a_retry_returns_the_first_receipt(ledger):
    """Marked as duplicate; nothing is recorded."""
    first = ledger.record(collect(note="n"))
    again = ledger.record(collect(note="n"))
    assert again == msgspec.structs.replace(first, duplicate=True)
    check_ledger(ledger, length=UNITS + 1)


def test_a_retry_after_later_events(ledger):
    """Whatever became of the citizen since, the first receipt is the answer."""
    receipts = ledger.record_many(a_life())
    assert [msgspec.structs.replace(receipt, duplicate=True) for receipt in receipts] == ledger.record_many(
        a_life()
    )
    assert receipts[0].position == ledger.record(collect()).position
    check_ledger(ledger, length=UNITS + 3)


@pytest.mark.parametrize(
    "changes",
    [
        {"occurred_at": MONDAY.astimezone(UTC)},
        {"place": "other", "partner": "none"},
        {"team": "", "residence_unit": "", "note": ""},
    ],
    ids=str,
)
def test_a_retry_may_say_the_same_otherwise(ledger, changes):
    """Another offset of the same instant; empty, absent and the default are one."""
    ledger.record(collect())
    assert ledger.record(collect(**changes)).duplicate


@pytest.mark.parametrize(
    "changes",
    [
        {"occurred_at": MONDAY + timedelta(seconds=1)},
        {"level": 1},
        {"unit": OTHER_UNIT},
        {"actor": "cb02"},
        {"place": "school"},
        {"team": "t1"},
        {"partner": "veterans"},
        {"residence_unit": UNIT},
        {"note": "another"},
        {"note": ""},
    ],
    ids=str,
)
def test_the_same_key_with_other_content_is_refused(ledger, changes):
    """Naming the event that has the key, and the fields that differ; never their content."""
    ledger.record(collect(note="a note"))
    with pytest.raises(KeyConflictError) as caught:
        ledger.record(collect(**{"note": "a note", **changes}))
    assert (1, tuple(changes)) == (caught.value.version, caught.value.fields)
    assert "a note" not in str(caught.value)
    check_ledger(ledger, length=UNITS + 1)


def test_the_same_key_for_another_type_is_refused(ledger):
    """Keys are of a dossier, not of a type."""
    ledger.record(collect(key="a"))
    with pytest.raises(KeyConflictError, match="type"):
        ledger.record(approve(key="a"))


def test_keys_are_per_dossier(ledger):
    """Two citizens may have the same key."""
    ledger.record_many([collect(), collect(citizen=citizen(2))])
    check_ledger(ledger, length=UNITS + 2)


def test_duplicates_within_a_batch(ledger):
    """The second of two equal reports is answered as in the next batch; a differing one is refused."""
    outcomes = ledger.record_many([collect(), collect(), collect(team="t1"), approve(), collect()])
    assert ["587/1", "duplicate", "key_conflict", "588/2", "duplicate"] == codes(outcomes)
    assert 587 == outcomes[1].position == outcomes[4].position
    check_ledger(ledger, length=UNITS + 2)


def test_a_refused_key_stays_free(ledger):
    """Nothing was recorded, so the key was not used."""
    with pytest.raises(NotCollectedError):
        ledger.record(approve(key="x"))
    ledger.record(collect(key="x"))


def test_a_retry_is_judged_as_sent(ledger):
    """A unit that is no longer valid, or a clock that went back, cannot make a retry look different."""
    ledger.record(collect())
    ledger._tree = type(ledger._tree)(ledger._tree.version, {}, {})
    assert ledger.record(collect()).duplicate


def test_a_retry_after_a_lost_answer(ledger, database, monkeypatch):
    """Committed, but the connection was lost before the answer: the retry gets the receipt, and no event is added."""
    append = ledger.recorder.append

    def commit_and_lose(batch):
        append(batch)
        monkeypatch.setattr(ledger.recorder, "append", append)
        with ledger.recorder.datastore.get_connection() as connection:
            kill(database, connection.info.backend_pid)
            connection.execute("SELECT 1")

    monkeypatch.setattr(ledger.recorder, "append", commit_and_lose)
    with pytest.raises(StoreUnavailableError):
        ledger.record_many(a_life())
    assert ["duplicate"] * 3 == codes(ledger.record_many(a_life()))
    check_ledger(ledger, length=UNITS + 3)


def kill(database: Database, pid: int | None = None) -> None:
    """Kill one client of a database, or all of them."""
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND pid = coalesce(%s, pid)",
            (pid,),
        )


# All or nothing; nothing at all.


def test_one_refusal_refuses_an_atomic_batch(ledger):
    """The refused say why; the others say that nothing was recorded. What was there before is still a duplicate."""
    ledger.record(collect(citizen=citizen(2)))
    commands = [collect(), collect(citizen=citizen(2)), approve(citizen=citizen(3)), collect(citizen="x")]
    outcomes = ledger.record_many([*commands, collect()], atomic=True)
    assert ["not_recorded", "duplicate", "not_collected", "invalid_citizen", "not_recorded"] == codes(
        outcomes
    )
    assert isinstance(outcomes[0].error, NotRecordedError)
    assert "because other reports of this batch were refused" in outcomes[0].detail
    check_ledger(ledger, length=UNITS + 1)


def test_an_atomic_batch_without_a_refusal(ledger):
    """It is recorded as any other, duplicates included."""
    ledger.record(collect())
    assert ["duplicate", "588/2"] == codes(ledger.record_many([collect(), approve()], atomic=True))
    check_ledger(ledger, length=UNITS + 2)


def test_a_spoilt_batch(ledger):
    """What was refused before it got here refuses the rest; what was recorded before is still a duplicate."""
    ledger.record(collect())
    outcomes = ledger.record_many(
        [collect(), approve(), activate(citizen=citizen(2))], atomic=True, spoilt=True
    )
    assert ["duplicate", "not_recorded", "not_approved"] == codes(outcomes)
    check_ledger(ledger, length=UNITS + 1)


def test_dry_run_records_nothing(ledger):
    """It answers as recording would, with position 0 where something would be recorded."""
    first = ledger.record(collect())
    commands = [collect(), approve(), approve(key="p2"), collect(citizen=citizen(2)), approve()]
    outcomes = ledger.record_many(commands, dry_run=True)
    assert ["duplicate", "0/2", "already_approved", "0/1", "duplicate"] == codes(outcomes)
    assert first.dossier_id == outcomes[1].dossier_id
    assert [first.position, 0] == [outcomes[0].position, outcomes[4].position]
    check_ledger(ledger, length=UNITS + 1)
    assert ["duplicate", "588/2", "already_approved", "589/1", "duplicate"] == codes(
        ledger.record_many(commands)
    )


def test_dry_run_of_an_atomic_batch(ledger):
    """One refusal refuses all there too."""
    outcomes = ledger.record_many([collect(), approve(citizen=citizen(2))], atomic=True, dry_run=True)
    assert ["not_recorded", "not_collected"] == codes(outcomes)


# Units.


def test_unit_is_resolved_on_the_day_it_happened(ledger):
    """By the business day in Vietnam, not by today's tree, nor by UTC's day."""
    first = datetime(2021, 1, 1, 0, 0, tzinfo=VIETNAM)
    ledger.record(collect(occurred_at=first.astimezone(UTC)))
    with pytest.raises(UnitNotValidError, match="Phường Đông Thọ held it from 2021-01-01"):
        ledger.record(collect(citizen=citizen(2), occurred_at=first - timedelta(seconds=1)))
    with pytest.raises(UnitUnknownError, match="ledger units list"):
        ledger.record(collect(citizen=citizen(2), unit="00000"))
    [event] = ledger.history(citizen=CITIZEN).events
    assert ("14758", "Phường Đông Thọ", "commune") == (event.unit.code, event.unit.name, event.unit.level)


def test_residence_is_never_resolved(ledger):
    """People of other provinces are served too; it is kept as sent."""
    ledger.record_many([collect(residence_unit="00001"), approve()])
    first, second = ledger.history(citizen=CITIZEN).events
    assert ("00001", None) == (first.residence_unit, second.residence_unit)
    assert ["00001", "00001"] == [entry.event.residence for entry in ledger.read(after=UNITS)]


def test_units_changed_by_another_process(ledger, open_again):
    """A ledger with an older tree learns of it: what it would refuse is asked again, what it records is compared."""
    other = open_again()
    assert UNITS == ledger.tree().version
    more = "code,name,level,parent_code\n99999,Phường Mới,commune,380\n"
    load(other, more)
    assert UNITS == ledger._tree.version
    receipt = ledger.record(collect(unit="99999"))
    assert UNITS + 2 == receipt.position
    assert UNITS + 1 == ledger._tree.version
    load(other, more.replace("99999", "99998"))
    ledger.record(collect(citizen=citizen(2)))
    assert UNITS + 2 == ledger._tree.version
    check_ledger(ledger, length=UNITS + 4)


def load(ledger: Ledger, text: str, valid_from: date = UNITS_VALID_FROM):
    with tempfile.NamedTemporaryFile("w", suffix=".csv", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        return ledger.load_units(file.name, valid_from=valid_from, decree="NQ 1", actor="op")


def test_loading_units(database, identities, clock):
    """Receipts count what was opened; the same again changes nothing, and knows where the units end."""
    with Ledger(database, identities, now=clock) as ledger:
        loaded = ledger.load_units("units_2024.csv", valid_from=UNITS_VALID_FROM)
        assert (586, 0, 586) == (loaded.opened, loaded.unchanged, loaded.position)
        ledger.record(collect())
        loaded = ledger.load_units("units_2024.csv", valid_from=UNITS_VALID_FROM)
        assert (0, 586, 586) == (loaded.opened, loaded.unchanged, loaded.position)
        loaded = load(ledger, "code,name,level,parent_code\n99999,Phường Mới,commune,380\n")
        assert (1, 0, 588) == (loaded.opened, loaded.unchanged, loaded.position)
        assert 587 == len(ledger.units())
        assert ["38"] == [unit.code for unit in ledger.units(on=date(2024, 12, 9)) if unit.parent_id is None]
        assert 36 == len(ledger.units(under="380"))
        assert [] == ledger.units(on=date(2020, 12, 31))
        check_ledger(ledger, length=588)


def test_loading_differing_units_opens_nothing(ledger):
    """All of the file or none of it."""
    with pytest.raises(UnitDiffersError):
        ledger.load_units("units_2025.csv", valid_from=date(2025, 7, 1))
    with pytest.raises(UnitDiffersError):
        load(ledger, "code,name,level,parent_code\n99999,Mới,commune,38\n14758,Khác,commune,380\n")
    check_ledger(ledger, length=UNITS)


def test_units_file_that_cannot_be_read(ledger, tmp_path):
    """It names the file and what is wrong with it."""
    (tmp_path / "latin.csv").write_bytes("code,name\n1,Tỉnh".encode("utf-16"))
    with pytest.raises(NotUtf8Error, match=r"latin\.csv is not UTF-8"):
        ledger.load_units(tmp_path / "latin.csv", valid_from=UNITS_VALID_FROM)
    for missing in (tmp_path / "none.csv", "none.csv", tmp_path, tmp_path / "units_2024.csv"):
        with pytest.raises(FileInvalidError, match="cannot be read"):
            ledger.load_units(missing, valid_from=UNITS_VALID_FROM)


def test_keepers_load_units_at_once(database, identities, clock):
    """The same file by eight: each unit is opened once, and everybody is told of success."""
    ledgers = [Ledger(database, identities, now=clock) for _ in range(8)]
    begin = threading.Barrier(8)

    def load_one(ledger: Ledger):
        begin.wait()
        return ledger.load_units("units_2025.csv", valid_from=date(2025, 7, 1))

    try:
        with ThreadPoolExecutor(8) as pool:
            loaded = list(pool.map(load_one, ledgers))
        assert [0] * 7 + [167] == sorted(result.opened for result in loaded)
        assert {167} == {result.position for result in loaded}
        check_ledger(ledgers[0], length=167)
    finally:
        for ledger in ledgers:
            ledger.close()


def test_threads_read_the_units_at_once(ledger):
    """The tree that they share never counts an event twice, however they meet."""
    read_stream = ledger.recorder.read_stream
    slow, fast = threading.Event(), threading.Event()

    def held_up(stream: UUID, **bounds):
        entries = read_stream(stream, **bounds)
        if threading.current_thread() is not threading.main_thread():
            slow.set()
            fast.wait(10)
        return entries

    ledger.recorder.read_stream = held_up
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(ledger.tree)
        slow.wait(10)
        assert UNITS == ledger.tree().version
        fast.set()
        assert UNITS == late.result().version
    assert UNITS == ledger.tree().version
    ledger.record(collect())


# Races.


def outcome_of(call: Callable):
    try:
        return call()
    except LedgerError as error:
        return Refusal(error)


def race(*calls: Callable) -> list:
    begin = threading.Barrier(len(calls))

    def run(call: Callable):
        begin.wait()
        return outcome_of(call)

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(run, call) for call in calls]]


def test_writers_race_for_one_dossier(ledger, open_again):
    """Exactly one approval wins in each dossier; the others are refused for what the winner did."""
    ledgers = [open_again() for _ in range(6)]
    for n in range(8):
        ledger.record(collect(citizen=citizen(n)))
        outcomes = race(
            *[
                lambda other=other, key=key: other.record(approve(citizen=citizen(n), key=f"p{key}"))
                for key, other in enumerate(ledgers)
            ]
        )
        assert Counter(already_approved=5, recorded=1) == Counter(
            outcome.code if isinstance(outcome, Refusal) else "recorded" for outcome in outcomes
        )
    check_ledger(ledger, length=UNITS + 16)


def test_writers_race_for_a_new_citizen(ledger, open_again):
    """One registers the citizen; the others' reports enter the same dossier, or are refused by its law."""
    ledgers = [open_again() for _ in range(6)]
    for n in range(8):
        outcomes = race(
            *[
                lambda other=other, key=key: other.record(
                    collect(citizen=citizen(n), key=f"c{key}", level=1 + key % 2, note=f"n{key}")
                )
                for key, other in enumerate(ledgers)
            ]
        )
        receipts = [outcome for outcome in outcomes if isinstance(outcome, Receipt)]
        assert 2 == len(receipts)
        assert 1 == len({receipt.dossier_id for receipt in receipts})
        assert {1, 2} == {receipt.version for receipt in receipts}
        assert {AlreadyCollectedError} == {type(o.error) for o in outcomes if isinstance(o, Refusal)}
        history = ledger.history(citizen=citizen(n))
        assert {receipt.dossier_id for receipt in receipts} == {history.dossier_id}
        assert {"n0", "n1", "n2", "n3", "n4", "n5"} >= {event.note for event in history.events}
    check_ledger(ledger, length=UNITS + 16)


def test_the_same_report_sent_at_once(ledger, open_again):
    """By an impatient client: one is recorded, the others are duplicates of it."""
    ledgers = [open_again() for _ in range(6)]
    for n in range(8):
        receipts = race(*[lambda other=other: other.record(collect(citizen=citizen(n))) for other in ledgers])
        assert [False] + [True] * 5 == sorted(receipt.duplicate for receipt in receipts)
        assert 1 == len({(r.position, r.version, r.dossier_id, r.recorded_at) for r in receipts})
    check_ledger(ledger, length=UNITS + 8)


def test_batches_race(ledger, open_again):
    """Many dossiers in other orders: no deadlock, none lost, every receipt true."""
    ledgers = [open_again() for _ in range(4)]
    people = [citizen(n) for n in range(60)]

    def batch(number: int):
        own = people[number * 7 :] + people[: number * 7]
        return [
            report(citizen=person, key=f"{number}-{kind}", level=1 + number % 2)
            for person in own
            for kind, report in (("c", collect), ("p", approve))
        ]

    batches = [batch(number) for number in range(4)]
    results = race(*[lambda n=n: ledgers[n].record_many(batches[n]) for n in range(4)])
    recorded = {}
    for commands, outcomes in zip(batches, results, strict=True):
        for command, outcome in zip(commands, outcomes, strict=True):
            if isinstance(outcome, Receipt):
                assert not outcome.duplicate
                recorded[outcome.position] = (outcome.dossier_id, outcome.version, command.key)
    # Of the two that report one level, one wins each step.
    assert 60 * 2 * 2 == len(recorded)
    for entry in ledger.read(after=UNITS):
        assert recorded[entry.position] == (entry.originator_id, entry.originator_version, entry.event.key)
    check_ledger(ledger, length=UNITS + 240)


def test_one_ledger_shared_by_threads(ledger):
    """Safe to share; more threads than connections wait their turn."""
    with ThreadPoolExecutor(24) as pool:
        receipts = list(pool.map(lambda n: ledger.record(collect(citizen=citizen(n))), range(120)))
    assert set(range(UNITS + 1, UNITS + 121)) == {receipt.position for receipt in receipts}
    check_ledger(ledger, length=UNITS + 120)


@contextmanager
def before_each_append(ledger: Ledger, action: Callable[[int], None]):
    """Let somebody else write between a decision and its append."""
    append, attempts = ledger.recorder.append, []

    def later(batch):
        attempts.append(batch)
        action(len(attempts))
        return append(batch)

    ledger.recorder.append = later
    yield attempts
    del ledger.recorder.append


def test_only_dossiers_in_conflict_are_decided_again(ledger, open_again, monkeypatch):
    """The others keep their events, sealed notes and ids; the batch is one append more."""
    other = open_again()
    commands = [collect(citizen=citizen(n), note="n") for n in range(20)]

    def interfere(attempt: int) -> None:
        if attempt == 1:
            other.record(collect(citizen=citizen(3), key="theirs", level=1))

    with before_each_append(ledger, interfere) as attempts:
        receipts = ledger.record_many(commands)
    first, second = attempts
    assert [2 if n == 3 else 1 for n in range(20)] == second.versions
    kept = [n for n in range(20) if n != 3]
    assert [first.states[n] for n in kept] == [second.states[n] for n in kept]
    assert [first.ids[n] for n in kept] == [second.ids[n] for n in kept]
    assert first.ids[3] != second.ids[3] == ledger.find(citizen(3))
    assert 19 == len(second.citizen_dossiers)
    assert 2 == receipts[3].version
    assert {"n"} == {event.note for event in ledger.history(citizen=citizen(3)).events if event.level == 2}
    check_ledger(ledger, length=UNITS + 21)


def test_a_conflict_that_becomes_a_refusal(ledger, open_again):
    """Decided again, it is refused by what the other wrote; atomically then all of the batch."""
    other = open_again()

    def interfere(attempt: int) -> None:
        if attempt == 1:
            other.record(collect(citizen=citizen(1), key="theirs"))

    with before_each_append(ledger, interfere):
        outcomes = ledger.record_many([collect(citizen=citizen(n)) for n in range(3)], atomic=True)
    assert ["not_recorded", "already_collected", "not_recorded"] == codes(outcomes)
    check_ledger(ledger, length=UNITS + 1)


def test_endless_contention_is_given_up(ledger, open_again):
    """After fifty times, saying that nothing was recorded."""
    other = open_again()
    key = iter(range(1000))

    def interfere(_: int) -> None:
        n = next(key)
        at = MONDAY + timedelta(minutes=n)
        command = collect(key=f"t{n}", occurred_at=at) if n % 2 == 0 else reject(key=f"t{n}", occurred_at=at)
        other.record(command)

    with (
        before_each_append(ledger, interfere) as attempts,
        pytest.raises(ContentionError, match="nothing was"),
    ):
        ledger.record_many([collect(level=1)])
    assert 50 == len(attempts)
    check_ledger(ledger, length=UNITS + 50)


def test_units_change_between_decision_and_append(ledger, open_again):
    """Decided again on the new tree, once."""
    other = open_again()

    def interfere(attempt: int) -> None:
        if attempt == 1:
            load(other, "code,name,level,parent_code\n99999,Phường Mới,commune,380\n")

    with before_each_append(ledger, interfere) as attempts:
        receipt = ledger.record(collect())
    assert [UNITS, UNITS + 1] == [batch.units_seen for batch in attempts]
    assert UNITS + 2 == receipt.position
    with before_each_append(ledger, lambda n: n == 1 and load(other, MORE)):
        assert 1 == load(ledger, MORE.replace("99998", "99997")).opened
    check_ledger(ledger, length=UNITS + 4)


MORE = "code,name,level,parent_code\n99998,Phường Mới,commune,380\n"


# Cost.


def test_a_large_batch_is_one_query_and_one_append(ledger, monkeypatch):
    """2,000 commands of 700 people; the same for a retry, which appends nothing."""
    commands = [report for n in range(700) for report in a_life(citizen=citizen(n))][:2000]
    ledger.tree()
    statements = Statements(ledger, monkeypatch)
    receipts = ledger.record_many(commands)
    assert 2 == len(statements.texts)
    assert 1 == statements.count("SELECT wanted.lookup")
    assert 1 == statements.count("FROM append")
    again = ledger.record_many(commands)
    assert 3 == len(statements.texts)
    monkeypatch.undo()
    assert list(range(UNITS + 1, UNITS + 2001)) == [receipt.position for receipt in receipts]
    assert all(receipt.duplicate for receipt in again)
    check_ledger(ledger, length=UNITS + 2000)


def test_a_batch_larger_than_a_socket_buffer(ledger):
    """Some megabytes in one statement, which psycopg's pipeline mode would hang on for ever."""
    note = "Nhà văn hoá thôn " * 29
    receipts = ledger.record_many([collect(citizen=citizen(n), note=note) for n in range(4000)])
    assert 4000 == sum(isinstance(receipt, Receipt) for receipt in receipts)
    assert note == ledger.history(citizen=citizen(3999)).events[0].note


# History.


def test_history_of_a_citizen(ledger):
    """Every event with every field, as an auditor reads it; the note opened, the number nowhere."""
    receipts = ledger.record_many(
        [
            collect(place="school", team="t-1", partner="veterans", residence_unit="00001", note="Máy hỏng"),
            reject(reason="face"),
            collect(key="c2", occurred_at=MONDAY + 2 * DAY, unit=OTHER_UNIT),
            approve(occurred_at=MONDAY + 3 * DAY),
            activate(occurred_at=MONDAY + 4 * DAY),
        ]
    )
    history = ledger.history(citizen=CITIZEN)
    assert receipts[0].dossier_id == history.dossier_id
    first, rejected, second, approved, activated = history.events
    assert [receipt.position for receipt in receipts] == [event.position for event in history.events]
    assert ["collected", "rejected", "collected", "approved", "activated"] == [e.type for e in history.events]
    assert ("school", "t-1", "veterans", "00001", "Máy hỏng", "14758", "c1", "cb01", 1) == (
        first.place,
        first.team,
        first.partner,
        first.residence_unit,
        first.note,
        first.unit_as_sent,
        first.key,
        first.actor,
        first.attempt,
    )
    assert (MONDAY, receipts[0].recorded_at) == (first.occurred_at, first.recorded_at)
    assert VIETNAM.utcoffset(None) == first.occurred_at.utcoffset()
    assert ("face", None, "other", "none", None) == (
        rejected.reason,
        rejected.note,
        rejected.place,
        rejected.partner,
        rejected.team,
    )
    assert ["14758", "14758", "14761", "14761", "14758"] == [event.unit.code for event in history.events]
    assert ["14758", "14758", "14761", "14761", "14761"] == [e.collecting_unit.code for e in history.events]
    assert (None, 2, 2) == (approved.unit_as_sent, second.attempt, activated.attempt)
    assert ["2"] == list(history.levels)
    level = history.levels["2"]
    assert ("activated", 2, MONDAY + 4 * DAY) == (level.state, level.attempt, level.since)
    assert "Phường Nam Ngạn" == level.collecting_unit.name
    assert CITIZEN.encode() not in msgspec.json.encode(history)


def test_history_in_pages(ledger):
    """After a version, at most so many; the state told is that of now."""
    [receipt, *_] = ledger.record_many(a_life())
    page = ledger.history(dossier_id=receipt.dossier_id, after=1, limit=1)
    assert [2] == [event.version for event in page.events]
    assert "activated" == page.levels["2"].state
    assert [] == ledger.history(dossier_id=receipt.dossier_id, after=3).events
    assert [] == ledger.history(dossier_id=receipt.dossier_id, limit=0).events
    assert 3 == len(ledger.history(dossier_id=receipt.dossier_id, limit=10).events)


def test_state_of_a_dossier(ledger):
    """Both levels, its version and the position of its last event."""
    ledger.record_many(a_life())
    receipt = ledger.record(collect(level=1, key="c0"))
    state = ledger.dossier(receipt.dossier_id)
    assert (4, receipt.position, receipt.dossier_id) == (state.version, state.position, state.dossier_id)
    assert {"1": "collected", "2": "activated"} == {level: s.state for level, s in state.levels.items()}


def test_what_nobody_has(ledger):
    """Unknown citizens and dossiers are not found; the units' stream is no dossier; numbers are not repeated."""
    with pytest.raises(CitizenUnknownError) as caught:
        ledger.history(citizen=CITIZEN)
    assert CITIZEN not in str(caught.value)
    for nobody in (uuid4(), UNITS_STREAM):
        with pytest.raises(DossierUnknownError, match=str(nobody)):
            ledger.history(dossier_id=nobody)
        with pytest.raises(DossierUnknownError):
            ledger.dossier(nobody)
    for number in ("", "38090001234", "'; DROP TABLE events; --"):
        with pytest.raises(CitizenInvalidError):
            ledger.find(number)
    with pytest.raises(TypeError):
        ledger.history()
    with pytest.raises(TypeError):
        ledger.history(citizen=CITIZEN, dossier_id=uuid4())


def test_texts_are_only_texts(ledger):
    """Nothing in a field is ever SQL, a format or markup."""
    nasty = "'); DROP TABLE events; -- %s {0} \\x00 \\ “ở” 🙂"
    ledger.record(collect(key=nasty, actor=nasty, note=nasty + "\n\r\t", residence_unit=nasty[:30].strip()))
    assert ledger.record(
        collect(key=nasty, actor=nasty, note=nasty + "\n\r\t", residence_unit=nasty[:30].strip())
    ).duplicate
    [event] = ledger.history(citizen=CITIZEN).events
    assert (nasty, nasty, nasty + "\n\r\t") == (event.key, event.actor, event.note)
    check_ledger(ledger, length=UNITS + 1)


# Key files.


def test_another_key_file_is_refused(ledger, database, key_file, tmp_path):
    """With it every citizen would silently get a second dossier."""
    ledger.check_key(key_file)
    ledger.check_key(key_file)
    create_key_file(tmp_path / "other.key")
    with pytest.raises(KeyFileWrongError, match=r"other\.key is not the one of database test_"):
        open_ledger(database.conninfo, key_file=tmp_path / "other.key")
    with open_ledger(database.conninfo, key_file=key_file) as same:
        same.record(collect())
    check_ledger(ledger, length=UNITS + 1)


def test_key_files_race_for_a_new_ledger(database, tmp_path):
    """One is claimed; all others are refused from then on."""
    paths = [tmp_path / f"{n}.key" for n in range(6)]
    for path in paths:
        create_key_file(path)

    def open_with(path: Path) -> str:
        with open_ledger(database.conninfo, key_file=path):
            return path.name

    outcomes = race(*[lambda path=path: open_with(path) for path in paths])
    assert 1 == sum(isinstance(outcome, str) for outcome in outcomes)
    assert 5 == sum(isinstance(o, Refusal) and o.code == "wrong_key_file" for o in outcomes)
    [winner] = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert winner == open_with(tmp_path / winner)


# The database goes away.


def test_connections_are_killed_between_commands(ledger, database):
    """Nobody notices: a dead connection is found out before it is used, and so are all the others at once."""
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda n: ledger.record(collect(citizen=citizen(n))), range(60)))
    assert ledger.recorder.datastore.pool.get_stats()["pool_available"] > 3
    for n in range(60, 63):
        kill(database)
        began = time.monotonic()
        ledger.record(collect(citizen=citizen(n)))
        assert time.monotonic() - began < 3
    check_ledger(ledger, length=UNITS + 63)


def test_connection_is_killed_in_the_middle(ledger, database, operator):
    """The caller is told that it is not known; nothing was recorded, the retry records it, and all goes on."""
    ledger.record(collect())
    with psycopg.connect(database.as_operator()) as holder:
        holder.execute("SELECT * FROM head FOR UPDATE")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(ledger.record, approve())
            pid = None
            for _ in range(500):
                row = operator.execute(
                    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
                    "AND wait_event_type = 'Lock' AND query LIKE '%append(%'"
                ).fetchone()
                if row:
                    [pid] = row
                    break
                time.sleep(0.01)
            assert pid
            kill(database, pid)
            with pytest.raises(StoreUnavailableError, match="went away"):
                waiting.result()
    assert "588/2" == codes(ledger.record_many([approve()]))[0]
    check_ledger(ledger, length=UNITS + 2)


def test_killed_at_random_under_load(ledger, database, open_again):
    """What was acknowledged is there; what was not is there once after a retry."""
    ledgers = [open_again() for _ in range(3)]
    stop = threading.Event()
    acknowledged: dict[str, int] = {}

    def killer() -> None:
        while not stop.wait(0.05):
            kill(database)

    def client(number: int) -> int:
        lost = 0
        for n in range(40):
            command = collect(citizen=citizen(100 * number + n))
            while True:
                try:
                    receipt = ledgers[number].record(command)
                except StoreUnavailableError:
                    lost += 1
                    continue
                acknowledged[command.citizen] = receipt.position
                break
        return lost

    with ThreadPoolExecutor(4) as pool:
        killing = pool.submit(killer)
        clients = [pool.submit(client, number) for number in range(3)]
        for future in clients:
            future.result()
        stop.set()
        killing.result()
    assert 120 == len(set(acknowledged.values()))
    assert all(
        position == ledger.history(citizen=person).events[0].position
        for person, position in acknowledged.items()
    )
    check_ledger(ledger, length=UNITS + 120)


def test_server_stops_and_comes_back(monkeypatch):
    """While it is down every call says so; when it is back the same objects go on, and nothing is lost."""
    monkeypatch.setattr("ledger.store.POOL_WAIT_SECONDS_MAX", 1.0)
    with temporary_home() as home, open_ledger(home=home) as ledger:
        postgres = EmbeddedPostgres(home)
        ledger.load_units("units_2025.csv", valid_from=date(2024, 1, 1))
        receipt = ledger.record(collect(unit="14797"))
        postgres.stop()
        for call in (
            lambda: ledger.record(collect(unit="14797")),
            ledger.head,
            ledger.tree,
            lambda: ledger.history(citizen=CITIZEN),
            lambda: ledger.load_units("units_2025.csv", valid_from=date(2024, 1, 1)),
        ):
            with pytest.raises(StoreUnavailableError, match="PostgreSQL cannot be reached"):
                call()
        postgres.start()
        deadline = time.monotonic() + 60
        while True:
            try:
                again = ledger.record(collect(unit="14797"))
                break
            except StoreUnavailableError:
                assert time.monotonic() < deadline
        assert again == msgspec.structs.replace(receipt, duplicate=True)
        assert receipt.position + 1 == ledger.record(approve()).position
        check_ledger(ledger, length=167 + 2)


# Any use at all.

wishes = st.lists(
    st.tuples(
        st.sampled_from([collect, approve, reject, activate]),
        st.integers(0, 2),
        st.integers(1, 2),
        st.integers(0, 3),
        st.integers(0, 6),
    ),
    max_size=25,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wishes, st.lists(st.integers(1, 6), max_size=6))
def test_batches_do_not_matter(ledger, wishes, cuts):
    """The same wishes in one batch, or cut anywhere, or one by one, have the same outcomes and histories.

    Each at an instant of its own: only reports of one instant have no order.
    """
    run = uuid4().int % 10**7

    def commands(first: int) -> list:
        return [
            make(
                citizen=f"{first}{run:07}{person:04}"[:12].ljust(12, "0"),
                level=level,
                key=f"k{key}",
                occurred_at=MONDAY + timedelta(minutes=10 * n if late else 10 * n - 25),
            )
            for n, (make, person, level, key, late) in enumerate(wishes)
        ]

    def told(outcomes) -> list:
        return [
            outcome.code if isinstance(outcome, Refusal) else (outcome.version, outcome.duplicate)
            for outcome in outcomes
        ]

    whole = told(ledger.record_many(commands(1)))
    parts, rest = [], commands(2)
    for cut in cuts:
        parts += told(ledger.record_many(rest[:cut]))
        rest = rest[cut:]
    parts += told(ledger.record_many(rest))
    single = [told([outcome_of(lambda c=c: ledger.record(c))])[0] for c in commands(3)]
    assert whole == parts == single


def test_any_use_leaves_a_sound_ledger(ledger):
    """A few thousand random reports through many ways in, audited at the end."""
    chance = random.Random(7)
    makers = [collect, approve, reject, activate]
    for _ in range(40):
        batch = [
            chance.choice(makers)(
                citizen=citizen(chance.randrange(60)),
                key=f"k{chance.randrange(12)}",
                level=chance.choice((1, 2)),
                occurred_at=MONDAY + timedelta(minutes=chance.randrange(3000)),
                note=chance.choice(("", "ghi chú")),
            )
            for _ in range(chance.randrange(120))
        ]
        ledger.record_many(batch, atomic=chance.random() < 0.1)
    check_ledger(ledger)
    assert ledger.head().position > UNITS + 200
