"""Exactly once, whatever happens to the runners, the database, or an event."""

import logging
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from random import Random
from threading import Event, get_ident
from uuid import UUID, uuid4

import psycopg
import pytest
from eventsourcing.persistence import StoredEvent
from msgspec.structs import replace
from psycopg import Connection

from ledger import Collect, Ledger
from ledger.migrations import connect
from ledger.unit_events import UNITS_STREAM
from projections import (
    NAMES,
    PositionLostError,
    ProjectionStatus,
    ProjectionStoppedError,
    Runner,
    TotalsQuery,
    catch_up,
    rebuild,
    runner,
    stretches,
    tracking,
)
from projections import status as status_of_all
from projections.errors import PoisonEventError
from projections.unit_totals import UnitTotalsTables
from tests.conftest import NOW, check_ledger
from tests.projections import by_hand, campaigns
from tests.projections.waits_by_hand import check_all

UNITS = 586


def report(number: int, **fields) -> Collect:
    fields = {"unit": "16093", "occurred_at": NOW} | fields
    return Collect(key="a", citizen=f"{number:012}", level=2, actor="o", **fields)


def wait_until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def status(ledger: Ledger) -> list[ProjectionStatus]:
    """Return where the totals are, of which most of these tests tell."""
    return [told for told in status_of_all(ledger) if told.name == "unit_totals"]


def caught_up(ledger: Ledger) -> bool:
    return {0} == {told.lag_events for told in status_of_all(ledger)}


def ended(running: Runner) -> bool:
    return not running._thread.is_alive()


@pytest.fixture
def impatient(monkeypatch):
    """Runners that look at the log more often, and so end sooner, where a test is not about that."""
    monkeypatch.setattr(runner, "POLL_SECONDS_MAX", 0.1)


# One log, one runner.


def test_follows(ledger, totals):
    """A runner counts what was there before it and what is recorded while it runs; its status says so."""
    ledger.record(report(1))
    with Runner(ledger):
        position = ledger.record(report(2)).position
        assert 2 == totals.read(TotalsQuery(), after=position, wait_seconds=20).sum["collected"]
        [told] = status(ledger)

    assert ("unit_totals", UNITS + 2, UNITS + 2, 0, 0.0, None) == (
        told.name,
        told.position,
        told.head,
        told.lag_events,
        told.lag_seconds,
        told.error,
    )
    check_all(ledger.database, length=2)


def test_behind(ledger):
    """Status counts the events that are left, whoever asks."""
    catch_up(ledger.database)
    ledger.record(report(1))
    ledger.record(report(2))
    [told] = status(ledger)

    assert (UNITS, UNITS + 2, 2, None) == (told.position, told.head, told.lag_events, told.error)
    assert 0 < told.lag_seconds < 600


def test_behind_after_an_idle_night(ledger, operator):
    """An event that has just been recorded has waited no longer than that, however old the one before it is."""
    catch_up(ledger.database)
    operator.execute("UPDATE projections SET recorded_at = recorded_at - interval '9 hours'")
    assert 0.0 == status(ledger)[0].lag_seconds
    position = ledger.record(report(1)).position

    assert 0 < status(ledger)[0].lag_seconds < 600
    age(operator, position, "2 hours")
    ledger.record(report(2))
    assert 7200 < status(ledger)[0].lag_seconds < 7800


def age(operator: Connection, position: int, interval: str) -> None:
    """Let an event have been recorded so much earlier."""
    operator.execute("SET session_replication_role = replica")
    operator.execute(
        "UPDATE events SET recorded_at = recorded_at - %s::interval WHERE notification_id = %s",
        [interval, position],
    )


@pytest.mark.usefixtures("impatient")
def test_fails(ledger, monkeypatch, caplog):
    """An error of the program is told in the log, and does not end the runner."""
    original, failures = stretches.step, iter([True, True])

    def step(*arguments):
        if next(failures, False):
            raise RuntimeError("a bug")
        return original(*arguments)

    monkeypatch.setattr(stretches, "step", step)
    monkeypatch.setattr(runner, "RECONNECT_SECONDS_MIN", 0.01)
    ledger.record(report(1))
    with Runner(ledger), caplog.at_level(logging.ERROR):
        wait_until(lambda: caught_up(ledger))

    assert 2 == caplog.text.count("RuntimeError: a bug")


def test_catch_up_tells_progress(ledger, monkeypatch):
    """Progress is told after every batch, and ends at the head."""
    monkeypatch.setattr(stretches, "BATCH_EVENTS_MAX", 200)
    told = []
    catch_up(ledger.database, on_progress=lambda position, head: told.append((position, head)))

    assert [(200, UNITS), (400, UNITS), (UNITS, UNITS)] == told


@pytest.mark.usefixtures("impatient")
def test_a_write_through_another_ledger(totals, open_again):
    """Who waits for a position sees its event, through whatever ledger it was written."""
    writer, following = open_again(), open_again()
    with Runner(following):
        for number in range(1, 4):
            position = writer.record(report(number)).position
            answer = totals.read(TotalsQuery(unit="401"), after=position, wait_seconds=20)
            assert number == answer.sum["collected"]


# Exactly once.


@pytest.mark.parametrize("runners", [2, 4])
@pytest.mark.usefixtures("impatient")
def test_runners_in_threads(ledger, open_again, monkeypatch, runners):
    """However many runners follow one log at once, every event counts once."""
    workers: set[int] = set()

    def step(*arguments):
        counted = original(*arguments)
        if counted:
            workers.add(get_ident())
        return counted

    original = stretches.step
    monkeypatch.setattr(stretches, "step", step)
    monkeypatch.setattr(stretches, "BATCH_EVENTS_MAX", 23)
    reports = campaigns.commands(runners, 250)
    with ExitStack() as stack:
        for _ in range(runners):
            stack.enter_context(Runner(open_again()))
        campaigns.record(ledger, reports, batch_max=40)
        wait_until(lambda: caught_up(ledger))

    assert 1 < len(workers)
    check_all(ledger.database, length=len(reports))


@pytest.mark.parametrize("runners", [2, 4])
def test_runners_in_processes(ledger, start_child, runners):
    """However many processes follow one log at once, every event counts once."""
    with ThreadPoolExecutor(runners) as pool:
        list(pool.map(lambda _: start_child("follow", batch=23), range(runners)))
    reports = campaigns.commands(runners, 250)
    campaigns.record(ledger, reports, batch_max=40)
    wait_until(lambda: caught_up(ledger))

    check_all(ledger.database, length=len(reports))


def test_catching_up_together(ledger, open_again, monkeypatch):
    """Command lines that catch up at once, each reading ahead, beside a runner: every event counts once."""
    monkeypatch.setattr(stretches, "BATCH_EVENTS_MAX", 23)
    reports = campaigns.commands(7, 250)
    campaigns.record(ledger, reports)
    with Runner(open_again()), ThreadPoolExecutor(3) as pool:
        reached = list(pool.map(catch_up, [ledger.database] * 3))

    assert [UNITS + len(reports)] * 3 == reached
    check_all(ledger.database, length=len(reports))


def test_killed_at_any_moment(ledger, start_child):
    """Ten times kill -9 in the middle of a batch: what was not committed never happened, the rest counts once."""
    chance = Random(9)
    reports = campaigns.commands(9, 250)
    campaigns.record(ledger, reports[:200])
    positions = []
    for round_ in range(10):
        child = start_child("follow", batch=4, pause=0.005)
        campaigns.record(ledger, reports[200 + 20 * round_ : 220 + 20 * round_])
        time.sleep(chance.random() / 5)
        child.kill()
        child.wait()
        [told] = status(ledger)
        positions.append(told.position)
    campaigns.record(ledger, reports[400:])

    # They were killed at work, not when it was done.
    assert positions == sorted(positions)
    assert 0 < positions[-1] < told.head
    catch_up(ledger.database)
    check_ledger(ledger, length=UNITS + len(reports))
    check_all(ledger.database, length=len(reports))


def test_killed_between_tables_and_position(ledger, database, operator, start_child):
    """Tables and position commit together: a batch that was written but not yet committed leaves no trace."""
    ledger.record_many([report(number) for number in range(100)])
    child = start_child("follow", batch=10_000, pause=60)
    wait_until(lambda: ["idle in transaction"] == states_of_projectors(operator))
    time.sleep(0.1)
    assert ["idle in transaction"] == states_of_projectors(operator)
    child.kill()
    child.wait()
    wait_until(lambda: [] == states_of_projectors(operator))

    assert 0 == status(ledger)[0].position
    assert {} == by_hand.tables_of(database)["deltas"]
    assert UNITS + 100 == catch_up(database)
    check_all(database, length=100)


def states_of_projectors(operator) -> list[str]:
    """Return the states of the sessions that have written to the finest table and not committed yet."""
    rows = operator.execute(
        "SELECT state FROM pg_stat_activity JOIN pg_locks USING (pid) "
        "WHERE relation = 'unit_totals_deltas'::regclass AND mode = 'RowExclusiveLock'"
    ).fetchall()
    return [state for (state,) in rows]


@pytest.mark.parametrize(
    "meddle",
    [
        "UPDATE projections SET position = position + 1 WHERE name = 'unit_totals'",
        "DELETE FROM projections WHERE name = 'unit_totals'",
    ],
)
def test_position_moved_under_a_step(ledger, database, monkeypatch, meddle):
    """A step whose position is not the one that it read counts nothing at all."""
    ledger.record(report(1))
    add = UnitTotalsTables.add

    def add_and_meddle(tables, cursor, entries):
        add(tables, cursor, entries)
        cursor.execute(meddle)

    monkeypatch.setattr(UnitTotalsTables, "add", add_and_meddle)
    with connect(database.as_projector()) as connection, pytest.raises(AssertionError, match="moved from 0"):
        stretches.step(connection, UnitTotalsTables())

    assert 0 == status(ledger)[0].position
    assert {} == by_hand.tables_of(database)["deltas"]


# Hints.


def test_told_at_once(ledger, totals):
    """A notification wakes the runner: nobody waits for its next look at the log."""
    with Runner(ledger):
        wait_until(lambda: caught_up(ledger))
        begun = time.monotonic()
        for number in range(10):
            position = ledger.record(report(number)).position
            totals.read(TotalsQuery(), after=position, wait_seconds=20)

    # By polling alone it would be some nine seconds.
    assert time.monotonic() - begun < 5


def test_one_by_one(ledger, monkeypatch):
    """Events that come thick and fast are counted several at a time, not each by a transaction of its own."""
    steps = []

    def step(*arguments):
        steps.append(original(*arguments))
        return steps[-1]

    original = stretches.step
    monkeypatch.setattr(stretches, "step", step)
    begun = time.monotonic()
    with Runner(ledger):
        for number in range(100):
            ledger.record(report(number))
        wait_until(lambda: caught_up(ledger))
        lasted = time.monotonic() - begun

    # A step for each of the projections.
    assert len(NAMES) * (UNITS + 100) == sum(steps)
    assert len(steps) <= len(NAMES) * (1 + lasted / runner.LOOK_SECONDS_MIN)


@pytest.mark.usefixtures("impatient")
def test_idle(ledger, operator):
    """A runner that finds nothing to count leaves no trace of having looked, not even a lock."""

    def trace():
        return operator.execute("SELECT ctid::text, xmin::text, xmax::text FROM projections").fetchall()

    with Runner(ledger), Runner(ledger):
        wait_until(lambda: caught_up(ledger))
        time.sleep(0.3)
        before = trace()
        time.sleep(0.5)
        assert before == trace()


def test_reads_on_by_the_index(database):
    """The next events are found where they are, without a look at all those before them."""
    with connect(database.as_projector()) as connection:
        # The tests' log is so small that reading all of it would be as good.
        connection.execute("SET enable_seqscan = off")
        plan = connection.execute(
            "EXPLAIN (COSTS OFF) " + tracking.QUERIES["read"], {"after": 0, "limit": 10}
        ).fetchall()

    assert [
        "Limit",
        "  ->  Index Scan using events_pkey on events",
        "        Index Cond: (notification_id > '0'::bigint)",
    ] == [line for (line,) in plan]


def test_lost_notification(ledger, totals, operator):
    """Without any notification an event is counted within about a second, for that is how often a runner looks."""
    definition = operator.execute("SELECT pg_get_functiondef('append'::regproc)").fetchone()[0]
    silent = re.sub(r"PERFORM pg_notify\([^;]*\);", "", definition)
    assert definition != silent
    operator.execute(silent)
    with Runner(ledger):
        wait_until(lambda: caught_up(ledger))
        time.sleep(0.2)  # It listens by now, and will for 0.8 s more.
        begun = time.monotonic()
        position = ledger.record(report(1)).position
        totals.read(TotalsQuery(), after=position, wait_seconds=20)
        waited = time.monotonic() - begun

    assert 0.2 < waited < 2.5


# The database.


@pytest.mark.usefixtures("impatient")
def test_database_goes_away_and_comes_back(ledger, totals, server, operator, caplog):
    """A runner whose connections are killed waits for the database, and goes on where it was."""
    name = operator.info.dbname
    reports = campaigns.commands(3, 100)
    with Runner(ledger), psycopg.connect(server.conninfo(), autocommit=True) as admin:
        campaigns.record(ledger, reports[:150], batch_max=20)
        for reports_more in (reports[150:200], reports[200:]):
            # Nobody is let in for a moment, and everybody is thrown out.
            admin.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            time.sleep(0.25)
            admin.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')
            campaigns.record(ledger, reports_more, batch_max=20)
        wait_until(lambda: caught_up(ledger))
        assert None is status(ledger)[0].error

    assert "projections wait for the database" in caplog.text
    check_all(ledger.database, length=len(reports))


@pytest.mark.usefixtures("impatient")
def test_a_fault_that_stays(ledger, operator, caplog):
    """While every step fails, the runner asks ever more seldom; it goes on when the fault is mended."""
    operator.execute("ALTER TABLE unit_totals_day RENAME TO mislaid")
    ledger.record(report(1))
    with Runner(ledger), caplog.at_level(logging.WARNING):
        time.sleep(1.2)
        assert 2 <= len(caplog.records) <= 5
        operator.execute("ALTER TABLE mislaid RENAME TO unit_totals_day")
        wait_until(lambda: caught_up(ledger))

    check_all(ledger.database, length=1)


@pytest.mark.usefixtures("impatient")
def test_a_fault_that_stays_is_old_news(ledger, operator, monkeypatch, caplog):
    """A runner that has said often enough what it waits for says no more."""
    monkeypatch.setattr(runner, "RECONNECT_SECONDS_MAX", 0.2)
    operator.execute("ALTER TABLE unit_totals_day RENAME TO mislaid")
    ledger.record(report(1))
    with Runner(ledger), caplog.at_level(logging.WARNING):
        time.sleep(1)

    # After 0 and 0.1 seconds; then it would be after 0.3, 0.5, 0.7 and 0.9.
    assert ["WARNING"] == [record.levelname for record in caplog.records]


def test_a_host_that_is_lost(ledger, database, monkeypatch, caplog):
    """A runner that says nothing more, and yet holds the lock, keeps the others waiting for a bounded time."""
    monkeypatch.setattr(tracking, "SILENCE_SECONDS_MAX", 0.5)
    add = UnitTotalsTables.add
    silent, found = Event(), Event()

    def add_or_fall_silent(tables, *arguments):
        add(tables, *arguments)
        if not silent.is_set():
            silent.set()
            found.wait(20)

    monkeypatch.setattr(UnitTotalsTables, "add", add_or_fall_silent)
    ledger.record(report(1))
    with Runner(ledger):
        assert silent.wait(20)
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(catch_up, database)
            try:
                assert UNITS + 1 == other.result(10)
            finally:
                found.set()
        # And when it finds its voice again, it goes on with the others.
        ledger.record(report(2))
        wait_until(lambda: caught_up(ledger))

    assert "idle-in-transaction timeout" in caplog.text
    check_all(database, length=2)


@pytest.mark.usefixtures("impatient")
def test_lost_position(ledger, totals, operator, caplog):
    """Without a position nobody counts or answers, and everybody says what to do; then they go on."""
    ledger.record(report(1))
    catch_up(ledger.database)
    lost = "the projection unit_totals has lost its position; run ledger rebuild"
    operator.execute("DELETE FROM projections")
    with Runner(ledger):
        wait_until(lambda: lost in caplog.text)
        assert [(0, UNITS + 1, lost)] == [(told.position, told.head, told.error) for told in status(ledger)]
        for ask in (
            lambda: catch_up(ledger.database),
            totals.position,
            *(lambda by=by: totals.read(TotalsQuery(by=by)) for by in ("unit", "day", "place")),
        ):
            with pytest.raises(PositionLostError, match=lost):
                ask()

        rebuild(ledger.database)
        position = ledger.record(report(2)).position
        assert 2 == totals.read(TotalsQuery(), after=position, wait_seconds=20).sum["collected"]
        assert [None] == [told.error for told in status(ledger)]
        wait_until(lambda: caught_up(ledger))
    check_all(ledger.database, length=2)


# An event that cannot be folded.


GOOD = (
    b'{"type":"dossier.collected.v1","key":"a","level":2,"occurred_at":"2024-10-01T09:00:00+07:00",'
    b'"actor":"o","unit":"16093","place":"school","unit_id":"UNIT","first":true}'
)
DEEP = b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b',"type":"dossier.collected.v1"}'
TOPIC = "dossier.collected.v1"
POISONS = {
    "unknown topic": ("dossier.transferred.v9", GOOD.replace(b"collected.v1", b"transferred.v9")),
    "topic and state disagree": ("dossier.approved.v1", GOOD),
    "broken state": (TOPIC, GOOD[:100]),
    "not UTF-8": (TOPIC, GOOD.replace(b"school", b"\xff\xfe")),
    "unknown field": (TOPIC, GOOD.replace(b"actor", b"author")),
    "nested too deeply": (TOPIC, DEEP),
    "time beyond the calendar": (
        TOPIC,
        GOOD.replace(b"2024-10-01T09", b"9999-12-31T23").replace(b"+07", b"-07"),
    ),
    "text the tables cannot hold": (TOPIC, GOOD.replace(b"school", b"sch\\u0000l")),
    "number the tables cannot hold": (TOPIC, GOOD.replace(b'"level":2', b'"level":70000')),
}


@pytest.fixture
def poison(ledger) -> Callable[[str], int]:
    """Record an event that no program would record; return its position."""

    def record(name: str, before: int = 3, after: int = 4) -> int:
        ledger.record_many([report(number) for number in range(before)])
        topic, state = POISONS[name]
        state = state.replace(b"UNIT", str(ledger.tree().resolve("16093", NOW.date()).id).encode())
        row = StoredEvent(originator_id=uuid4(), originator_version=1, topic=topic, state=state)
        [position] = ledger.recorder.insert_events([row])
        ledger.record_many([report(100 + number) for number in range(after)])
        return position

    return record


def mend(ledger: Ledger, operator: psycopg.Connection, position: int) -> None:
    """Make a good event of a bad one, which needs a superuser who forgets about the triggers."""
    unit = ledger.tree().resolve("16093", NOW.date()).id
    operator.execute("SET session_replication_role = replica")
    operator.execute(
        "UPDATE events SET topic = %s, state = %s WHERE notification_id = %s",
        (TOPIC, GOOD.replace(b"UNIT", str(unit).encode()), position),
    )
    operator.execute("SET session_replication_role = DEFAULT")


@pytest.mark.parametrize("name", POISONS)
@pytest.mark.usefixtures("impatient")
def test_poison(ledger, totals, open_again, operator, poison, caplog, name):
    """The runner stops loudly at exactly the event, with everything before it counted, and never skips it.

    Every process is told; totals go on answering for the position before it; once the event can be
    read, whoever comes next goes on, and the error is gone.
    """
    position = poison(name)
    with Runner(ledger) as following:
        wait_until(lambda: ended(following))
        [told] = status(ledger)
        [told_elsewhere] = status(open_again())
        answer = totals.read(TotalsQuery(unit="401"))

    assert f"position {position}: " in told.error
    assert replace(told, lag_seconds=told_elsewhere.lag_seconds) == told_elsewhere
    assert told.lag_seconds < told_elsewhere.lag_seconds
    assert (position - 1, position + 4, 5) == (told.position, told.head, told.lag_events)
    assert (position - 1, 3) == (answer.position, answer.sum["collected"])
    errors = {each.name: each.error for each in status_of_all(ledger)}
    assert {("CRITICAL", f"the projection {name} stopped at {error}") for name, error in errors.items()} == {
        (record.levelname, record.getMessage()) for record in caplog.records
    }
    assert all(f"position {position}: " in error for error in errors.values())
    assert len(NAMES) == len(caplog.records)

    # Nobody gets past it.
    with Runner(open_again()) as another:
        wait_until(lambda: ended(another))
    with pytest.raises(ProjectionStoppedError, match=f"stopped at position {position}: "):
        catch_up(ledger.database)
    assert (position - 1, 3) == (totals.position(), totals.read(TotalsQuery()).sum["collected"])

    mend(ledger, operator, position)
    with Runner(open_again()):
        wait_until(lambda: caught_up(ledger))
        assert [None] == [told.error for told in status(ledger)]
    check_all(ledger.database, length=3 + 1 + 4)


def test_poison_first_and_last(ledger, poison, operator):
    """An event that comes alone stops a projection as one among many does; so do two in a row."""
    position = poison("broken state", before=1, after=0)
    assert position + 1 == poison("text the tables cannot hold", before=0, after=0)
    for bad in (position, position + 1):
        with pytest.raises(ProjectionStoppedError, match=f"position {bad}: "):
            catch_up(ledger.database)
        assert bad - 1 == status(ledger)[0].position
        mend(ledger, operator, bad)

    assert position + 1 == catch_up(ledger.database)
    check_all(ledger.database, length=3)


def test_a_unit_event_that_is_broken(ledger, database):
    """It stops the counts at its own position, though the tree is read ahead of them."""
    ledger.record(report(1))
    row = StoredEvent(
        originator_id=UNITS_STREAM, originator_version=UNITS + 1, topic="unit.opened.v1", state=b"{"
    )
    [position] = ledger.recorder.insert_events([row])
    with pytest.raises(ProjectionStoppedError, match=f"stopped at position {position}: "):
        catch_up(database)
    assert position - 1 == status(ledger)[0].position


def test_unreadable_for_this_program_only(ledger, database, monkeypatch):
    """A program that cannot read an event yet stops; a newer one counts it, and then nothing is wrong."""
    ledger.record_many([report(number) for number in range(5)])
    readable = stretches.recorded

    def of_an_older_program(row):
        if row[0] == UNITS + 3:
            raise ValueError("never heard of it")
        return readable(row)

    monkeypatch.setattr(stretches, "recorded", of_an_older_program)
    with Runner(ledger) as following:
        wait_until(lambda: ended(following))
        assert [f"position {UNITS + 3}: ValueError: never heard of it"] == [
            told.error for told in status(ledger)
        ]
    monkeypatch.undo()
    assert UNITS + 5 == catch_up(database)
    # The old program comes late to say what is no longer true.
    with connect(database.as_projector()) as connection:
        tracking.stop(connection, "unit_totals", PoisonEventError(UNITS + 3, ValueError("never heard of it")))

    assert [None] == [told.error for told in status(ledger)]
    check_all(database, length=5)


@pytest.mark.parametrize("offset", [-2, 0], ids=["in the middle", "at the end"])
def test_an_event_taken_away(ledger, operator, offset):
    """A row that somebody took out of the log is not skipped over, nor waited for."""
    position = ledger.record_many([report(number) for number in range(5)])[-1].position + offset
    operator.execute("SET session_replication_role = replica")
    operator.execute("DELETE FROM events WHERE notification_id = %s", [position])
    with pytest.raises(
        ProjectionStoppedError, match=f"position {position}: LookupError: the log has no such event"
    ):
        catch_up(ledger.database)

    assert (position - 1, True) == (status(ledger)[0].position, bool(status(ledger)[0].error))


def test_any_text(ledger, database):
    """A place is counted letter by letter, whatever is in it; the tables take it as the log has it."""
    unit = str(ledger.tree().resolve("16093", NOW.date()).id).encode()
    places = (b'{a,\\"b\\"}', b"\\\\n", b"\\n", b"\\u0007", "xã".encode(), b"NULL", b"", b" ", b"a")
    states = [GOOD.replace(b"UNIT", unit).replace(b"school", place) for place in places]
    for some in (states, states[4:]):
        ledger.recorder.insert_events(
            [
                StoredEvent(originator_id=uuid4(), originator_version=1, topic=TOPIC, state=state)
                for state in some
            ]
        )
        catch_up(database)

    check_all(database, length=len(places) + 5)


def test_units_stream_is_counted_by_nobody(ledger, database):
    """Positions of unit events are passed like any others."""
    assert UNITS == catch_up(database)
    assert {} == by_hand.tables_of(database)["deltas"]
    assert UUID(int=0) not in ledger.tree().by_id
