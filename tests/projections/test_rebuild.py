"""A rebuild counts the log again beside the live tables, and swaps; nobody who reads can tell when."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Thread
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.persistence import StoredEvent
from msgspec.structs import replace
from psycopg import sql

from ledger import Ledger
from ledger.migrations import connect
from projections import (
    ProjectionStoppedError,
    RebuildBlockedError,
    RebuildRunningError,
    Runner,
    TotalsQuery,
    catch_up,
    rebuild,
    rebuilding,
    stretches,
    tracking,
)
from projections.components import PROJECTIONS
from tests.projections import by_hand, campaigns
from tests.projections.test_runner import TOPIC, UNITS, caught_up, ended, mend, report, status, wait_until
from tests.projections.waits_by_hand import check_all

TABLES = (
    "unit_totals_ever",
    "unit_totals_month",
    "unit_totals_pentad",
    "unit_totals_day",
    "unit_totals_deltas",
)


def rows_of_tables(database) -> dict[str, list]:
    with psycopg.connect(database.as_operator(), autocommit=True) as connection:
        return {
            table: sorted(
                connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))).fetchall()
            )
            for table in TABLES
        }


def shape_of_tables(database) -> list:
    """Return columns, keys, owners, rights and settings: all that a table is but its rows and the names of its indexes."""
    with psycopg.connect(database.as_operator(), autocommit=True) as connection:
        return connection.execute(
            """
            SELECT relname, relkind, relowner::regrole::text, relpersistence, reloptions, relacl::text[],
                   (SELECT array_agg((attname, atttypid::regtype, attnotnull)::text ORDER BY attnum)
                    FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
                   (SELECT array_agg(regexp_replace(pg_get_indexdef(indexrelid), 'INDEX \\S+ ', 'INDEX ')
                                     || indisprimary || indisvalid)
                    FROM pg_index WHERE indrelid = c.oid)
            FROM pg_class AS c
            WHERE relnamespace = current_schema()::regnamespace AND relname ~ '^(unit_totals|projections)'
              AND relkind <> 'i'
            ORDER BY relname
            """
        ).fetchall()


@contextmanager
def recording(ledger: Ledger, reports: list):
    """Record reports in small batches, one after the other, while the block runs; stop with it."""
    done = Event()

    def record() -> int:
        recorded = 0
        while recorded < len(reports) and not done.is_set():
            recorded += len(ledger.record_many(reports[recorded : recorded + 3]))
        return recorded

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(record)
        try:
            yield future
        finally:
            done.set()


def test_identical_tables(ledger, database):
    """What is counted again is what was counted bit by bit, row for row; the number of events is returned."""
    reports = campaigns.commands(1, 150)
    campaigns.record(ledger, reports[:150])
    catch_up(database)
    campaigns.record(ledger, reports[150:])
    catch_up(database)
    before = rows_of_tables(database)

    assert UNITS + len(reports) == rebuild(database)
    # A row whose counts came and went again is no row of a log that is counted in one go.
    assert {table: [row for row in rows if any(row[-9:])] for table, rows in before.items()} == {
        table: [row for row in rows if any(row[-9:])] for table, rows in rows_of_tables(database).items()
    }
    check_all(database, length=len(reports))


def test_of_what_was_never_counted(ledger, database):
    """A rebuild needs no runner to have been there before it."""
    ledger.record(report(1))
    told = []

    assert UNITS + 1 == rebuild(database, on_progress=lambda position, head: told.append((position, head)))
    assert (UNITS + 1, UNITS + 1) == told[-1]
    check_all(database, length=1)


def test_of_an_empty_log(database):
    """There is nothing to count in an empty log, and that is no error."""
    assert 0 == rebuild(database)


def test_while_events_are_recorded(ledger, database, totals, monkeypatch):
    """Rebuilt again and again beside a live runner and a busy writer, nothing is lost and nothing doubled.

    All that time readers get whole answers: as many collected as the log has up to the answer's position.
    """
    monkeypatch.setattr(stretches, "BATCH_EVENTS_MAX", 50)
    reports = campaigns.commands(2, 300)
    answers: list[tuple[int, int, int]] = []
    stop = Event()

    def read() -> None:
        while not stop.is_set():
            by = ("unit", "level", "day", "place")[len(answers) % 4]
            answer = totals.read(TotalsQuery(by=by))
            answers.append((answer.position, answer.sum["collected"], answer.sum["awaiting_approval"]))

    readers = [Thread(target=read) for _ in range(2)]
    with Runner(ledger):
        for reader in readers:
            reader.start()
        with recording(ledger, reports) as recorded:
            rebuilds = 0
            while not recorded.done():
                rebuild(database)
                rebuilds += 1
        length = recorded.result()
        wait_until(lambda: caught_up(ledger))
        stop.set()
        for reader in readers:
            reader.join()

    assert (len(reports), True) == (length, rebuilds > 1)
    check_all(database, length=length)
    rows = by_hand.rows_of(database)
    collected = waiting = 0
    expected = {0: (0, 0)}
    for position, _, topic, _ in rows:
        collected += topic == TOPIC
        waiting += (topic == TOPIC) - (topic in ("dossier.approved.v1", "dossier.rejected.v1"))
        expected[position] = collected, waiting
    assert [] == [answer for answer in answers if expected[answer[0]] != answer[1:]]
    assert 10 < len({position for position, *_ in answers})


def test_ends_while_events_are_recorded(ledger, database, monkeypatch):
    """A writer that never pauses cannot keep a rebuild from its end, not even where every step meets an event."""
    step = stretches.step
    written = 0

    def step_then_write(*arguments):
        nonlocal written
        counted = step(*arguments)
        written += 1
        assert written < 100, "it would go on for ever"
        ledger.record(report(written))
        return counted

    monkeypatch.setattr(stretches, "step", step_then_write)
    rebuild(database)
    monkeypatch.undo()
    catch_up(database)
    check_all(database, length=written)


def test_readers_wait_for_nobody(ledger, database, totals):
    """While a rebuild is at work, readers have the old tables and the live runner goes on."""
    ledger.record(report(1))
    catch_up(database)
    seen = []

    def ask(*_: int) -> None:
        position = ledger.record(report(10 + len(seen))).position
        seen.append((catch_up(database), position, totals.read(TotalsQuery()).sum["collected"]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stretches, "BATCH_EVENTS_MAX", 100)
        rebuild(database, on_progress=lambda position, head: ask() if head - position > 100 else None)

    assert 1 < len(seen)
    assert [(UNITS + 2 + n, UNITS + 2 + n, 2 + n) for n in range(len(seen))] == seen
    catch_up(database)
    check_all(database, length=1 + len(seen))


def test_killed_in_the_middle(ledger, database, totals, operator, start_child):
    """A rebuild that is killed leaves the live tables as they were, and the next one starts over and works."""
    reports = campaigns.commands(3, 100)
    campaigns.record(ledger, reports)
    catch_up(database)
    before = rows_of_tables(database)
    for moment in (0.05, 0.2, 0.4):
        # What the one before it left is not to be taken for its own.
        operator.execute("UPDATE projections SET position = 0 WHERE name = 'unit_totals.rebuild'")
        child = start_child("rebuild", batch=20, pause=0.02)
        wait_until(lambda: 0 < rebuilt_to(operator) < UNITS + len(reports))
        time.sleep(moment)
        child.kill()
        child.wait()

        assert 0 < rebuilt_to(operator) < UNITS + len(reports)
        assert before == rows_of_tables(database)
        assert UNITS + len(reports) == totals.position()
        # What it left lying about is no projection that lags.
        assert [("unit_totals", 0, None)] == [
            (told.name, told.lag_events, told.error) for told in status(ledger)
        ]
    ledger.record(report(1))
    catch_up(database)

    # The server may need a moment to see that its client is gone, and gives the lock back then.
    wait_until(lambda: not rebuild_locked(operator))
    assert UNITS + len(reports) + 1 == rebuild(database)
    assert -1 == rebuilt_to(operator)
    check_all(database, length=len(reports) + 1)


def rebuilt_to(operator) -> int:
    row = operator.execute("SELECT position FROM projections WHERE name = 'unit_totals.rebuild'").fetchone()
    return -1 if row is None else row[0]


def rebuild_locked(operator) -> bool:
    [[count]] = operator.execute(
        "SELECT count(*) FROM pg_locks JOIN pg_database AS d ON d.oid = database "
        "WHERE locktype = 'advisory' AND datname = current_database()"
    ).fetchall()
    return count > 0


def test_two_at_once(ledger, database):
    """Of two rebuilds one is refused, and the other is not disturbed."""
    ledger.record(report(1))
    begun, refused = Event(), Event()

    def wait(*_: int) -> None:
        begun.set()
        refused.wait(20)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(rebuild, database, on_progress=wait)
        assert begun.wait(20)
        with pytest.raises(RebuildRunningError, match="another rebuild is under way"):
            rebuild(database)
        refused.set()
        assert UNITS + 1 == first.result(20)

    assert UNITS + 1 == rebuild(database)
    check_all(database, length=1)


def test_gives_its_lock_back(database, monkeypatch):
    """A rebuild that is done is in nobody's way, even before the server notices that its session has ended."""
    held = []

    @contextmanager
    def connect_and_look(conninfo: str):
        with connect(conninfo) as connection:
            yield connection
            held.append(
                connection.execute(
                    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
                ).fetchone()
            )

    monkeypatch.setattr(tracking, "connect", connect_and_look)
    rebuild(database)

    assert [(0,)] == held


DAMAGES = (
    "UPDATE unit_totals_day SET collected = collected + 1",
    "DELETE FROM unit_totals_month",
    "TRUNCATE unit_totals_deltas",
    "UPDATE projections SET position = 3",
    "DELETE FROM projections",
    "UPDATE projections SET position = 1000000, error = 'somebody meddled'",
)


def test_heals(ledger, database, operator):
    """Whatever was done to the live tables, a rebuild makes them the fold of the log again."""
    ledger.record_many([report(number) for number in range(10)])
    catch_up(database)
    for damage in DAMAGES:
        operator.execute(damage)
        with pytest.raises(AssertionError):
            check_all(database)

        assert UNITS + 10 == rebuild(database), damage
        assert (UNITS + 10, None) == (status(ledger)[0].position, status(ledger)[0].error), damage
        check_all(database, length=10)


def test_poison(ledger, database, operator, totals):
    """A rebuild stops where the live projection does, and leaves it as it is; mended, it clears the error."""
    ledger.record_many([report(number) for number in range(3)])
    row = StoredEvent(originator_id=uuid4(), originator_version=1, topic="dossier.lost.v1", state=b"{}")
    [position] = ledger.recorder.insert_events([row])
    with Runner(ledger) as following:
        wait_until(lambda: ended(following))
    [told] = status(ledger)
    with pytest.raises(
        ProjectionStoppedError, match=f"the rebuild of unit_totals stopped at position {position}: "
    ):
        rebuild(database)
    [told_later] = status(ledger)
    assert replace(told, lag_seconds=told_later.lag_seconds) == told_later
    assert told.lag_seconds < told_later.lag_seconds
    assert (position - 1, 3) == (totals.position(), totals.read(TotalsQuery()).sum["collected"])

    mend(ledger, operator, position)
    assert position == rebuild(database)
    assert [(position, None)] == [(told.position, told.error) for told in status(ledger)]
    check_all(database, length=4)


def test_of_a_healthy_projection_that_a_rebuild_cannot_read(ledger, database, monkeypatch):
    """A rebuild that fails says so to its caller only: the live projection is not stopped by it."""
    ledger.record(report(1))
    catch_up(database)

    def broken(row):
        raise ValueError("never heard of it")

    with monkeypatch.context() as patch:
        patch.setattr(stretches, "recorded", broken)
        with pytest.raises(ProjectionStoppedError, match="position 1: ValueError"):
            rebuild(database)

    assert [None] == [told.error for told in status(ledger)]
    ledger.record(report(2))
    catch_up(database)
    check_all(database, length=2)


def test_ten_times(ledger, database):
    """After ten rebuilds the tables are what they were: keys, owners, rights, and nothing left beside them."""
    ledger.record_many([report(number) for number in range(10)])
    catch_up(database)
    before = shape_of_tables(database)
    for _ in range(10):
        rebuild(database)

    assert before == shape_of_tables(database)
    assert {"projections", *TABLES} == {row[0] for row in before}
    catch_up(database)
    check_all(database, length=10)


def test_the_writer_only_reads(ledger, database):
    """The application's role may read what was rebuilt, and change nothing of it."""
    rebuild(database)
    for table in ("projections", *TABLES):
        name = sql.Identifier(table)
        with psycopg.connect(database.as_writer(), autocommit=True) as connection:
            connection.execute(sql.SQL("SELECT * FROM {}").format(name))
            for statement in (
                "DELETE FROM {}",
                "TRUNCATE {}",
                "DROP TABLE {}",
                "INSERT INTO {} SELECT * FROM {}",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(sql.SQL(statement).format(name, name))


def test_rights_are_kept(database, operator):
    """Whoever was let to read or change the live tables, all of one or a column of it, still is."""
    # Roles that every server has.
    operator.execute("GRANT SELECT ON unit_totals_month, unit_totals_day TO pg_monitor")
    operator.execute("GRANT SELECT ON unit_totals_deltas TO pg_read_all_stats WITH GRANT OPTION")
    operator.execute("GRANT SELECT (leaf_id, count), UPDATE (count) ON unit_totals_deltas TO pg_monitor")
    operator.execute("GRANT SELECT ON unit_totals_day TO PUBLIC")
    before = rights_of_tables(operator)
    rebuild(database)

    assert before == rights_of_tables(operator)
    assert 4 + 2 * 3 < len(before)


def rights_of_tables(operator) -> list:
    return operator.execute(
        """
        SELECT relname, attname, acl.*
        FROM (
            SELECT oid, relname, NULL AS attname, relacl AS acl FROM pg_class
            UNION ALL
            SELECT attrelid, relname, attname, attacl FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid
        ) AS rights, aclexplode(acl) AS acl
        WHERE oid IN ('unit_totals_month'::regclass, 'unit_totals_day'::regclass, 'unit_totals_deltas'::regclass)
        ORDER BY relname, attname, grantee, privilege_type
        """
    ).fetchall()


def test_a_view_on_the_tables(ledger, database, operator):
    """What an operator hung on the live tables is not torn down: the rebuild says what it is, and leaves all as it was."""
    ledger.record(report(1))
    catch_up(database)
    operator.execute(
        "CREATE VIEW of_an_operator AS SELECT day, sum(collected) FROM unit_totals_day GROUP BY day"
    )
    before = rows_of_tables(database)
    with pytest.raises(RebuildBlockedError, match="view of_an_operator depends on table unit_totals_day"):
        rebuild(database)

    assert before == rows_of_tables(database)
    operator.execute("DROP VIEW of_an_operator")
    assert UNITS + 1 == rebuild(database)
    check_all(database, length=1)


def test_a_long_reader(ledger, database, operator, totals, monkeypatch, caplog):
    """While a dump of the database reads the tables, other readers and the live runner go on; then the swap comes."""
    monkeypatch.setattr(rebuilding, "SWAP_PAUSE_SECONDS", 0.05)
    ledger.record(report(1))
    catch_up(database)
    with ThreadPoolExecutor(2) as pool, Runner(ledger):
        with operator.transaction():
            operator.execute("SELECT count(*) FROM unit_totals_day")
            running = pool.submit(rebuild, database)
            wait_until(lambda: "waits for a long transaction" in caplog.text)
            for number in range(2, 12):
                position = ledger.record(report(number)).position
                reading = pool.submit(totals.read, TotalsQuery(by="day"), after=position, wait_seconds=5)
                assert number == reading.result(5).sum["collected"]
            assert not running.done()
        assert UNITS + 11 == running.result(20)

    assert 1 == caplog.text.count("waits for a long transaction")
    check_all(database, length=11)


def test_prepared_statements_survive(ledger, database):
    """A session that had its statements prepared before the swap reads and writes the new tables after it."""
    with connect(database.as_projector()) as connection:
        many = [projection() for projection in PROJECTIONS]
        for number in range(8):
            ledger.record(report(number))
            for tables in many:
                stretches.step(connection, tables)
        rebuild(database)
        for number in range(8, 16):
            ledger.record(report(number))
            for tables in many:
                stretches.step(connection, tables)

    check_all(database, length=16)
