"""The one function that writes: what it promises, and to whom."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise, product
from threading import Event
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo

from ledger import Ledger
from ledger.database import Database
from tests.conftest import leaf_v1

TOPIC, STATE = "dossier.tested.v1", b'{"type":"dossier.tested.v1"}'


def append(connection: psycopg.Connection, *events: tuple, citizens: list = [], units_seen: Any = None):  # noqa: B006
    """Call the function with (stream, version) pairs, or whole (stream, version, topic, state) rows."""
    rows = [(*event, TOPIC, STATE)[:4] if len(event) == 2 else event for event in events]
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
    people = [list(column) for column in zip(*citizens, strict=True)] or [[], [], [], []]
    [row] = connection.execute(
        "SELECT first_position, recorded FROM append("
        "%s::uuid[], %s::bigint[], %s::text[], %s::bytea[], %s::bytea[], %s::uuid[], %s::bytea[], %s::bytea[], %s)",
        [*columns, *people, units_seen],
    ).fetchall()
    return row


def citizen(dossier_id: UUID, lookup: bytes = b"") -> tuple:
    return (lookup or dossier_id.bytes * 2, dossier_id, b"sealed", b"key")


@pytest.fixture
def writer(database: Database):
    """The application's way in."""
    with psycopg.connect(database.as_writer(), autocommit=True) as connection:
        yield connection


def rows_of(connection: psycopg.Connection) -> list:
    return connection.execute(
        "SELECT notification_id, originator_id, originator_version, topic, state, recorded_at, leaf "
        "FROM events ORDER BY notification_id"
    ).fetchall()


def head_of(connection: psycopg.Connection) -> tuple:
    [head] = connection.execute("SELECT size, recorded_at, units_version FROM head").fetchall()
    return head


def check_rows(connection: psycopg.Connection, length: int) -> None:
    """As check_ledger, for rows that hold no dossiers."""
    rows = rows_of(connection)
    assert list(range(1, length + 1)) == [row[0] for row in rows]
    assert all(a[5] <= b[5] for a, b in pairwise(rows))
    assert head_of(connection)[:2] == (length, rows[-1][5])
    for position, stream, version, topic, state, recorded_at, leaf in rows:
        assert leaf == leaf_v1(position, stream, version, recorded_at, topic, state)


def test_positions_follow_on(writer):
    """It returns the first position and the time, and the rows say the same."""
    one, two = uuid4(), uuid4()
    first, recorded = append(writer, (one, 1), (two, 1), (one, 2))
    assert 1 == first
    assert 4 == append(writer, (two, 2))[0]
    rows = rows_of(writer)
    assert [(1, one, 1), (2, two, 1), (3, one, 2), (4, two, 2)] == [row[:3] for row in rows]
    assert [recorded] * 3 == [row[5] for row in rows[:3]]
    check_rows(writer, 4)


def test_leaf_is_one_for_ever(writer, operator):
    """Version 1 of the leaf: Python's against a value made with a shell's sha256sum once, SQL's against Python's."""
    stream = UUID("0192f000-0000-7000-8000-00000000000a")
    at = datetime(2024, 12, 9, 16, 0, 0, 123456, tzinfo=UTC)
    topic, state = "dossier.đã_thử.v1", b"\x00\xff"
    assert (
        "cdae97e21e59e53a37656b19be69aa0314bad38f774ff55c5e4eb39b5a94fb0e"
        == leaf_v1(42, stream, 7, at, topic, state).hex()
    )
    operator.execute("SET session_replication_role = replica")
    operator.execute("UPDATE head SET size = 41, recorded_at = clock_timestamp() + interval '30 s'")
    [[recorded]] = operator.execute(
        "UPDATE head SET recorded_at = date_trunc('second', recorded_at) + interval '123456 microseconds' "
        "RETURNING recorded_at"
    ).fetchall()
    append(writer, (stream, 7, topic, state))
    [[leaf]] = writer.execute("SELECT leaf FROM events").fetchall()
    assert leaf_v1(42, stream, 7, recorded, topic, state) == leaf


def test_positions_are_dense_under_eight_writers(database):
    """And time never falls; in the order of positions every writer's own appends stand as it made them."""

    def write(number: int) -> list[int]:
        with psycopg.connect(database.as_writer(), autocommit=True) as connection:
            stream = uuid4()
            return [
                append(connection, *[(stream, 3 * n + k) for k in range(3)])[0]
                for n in range(25 + number % 2)
            ]

    with ThreadPoolExecutor(8) as pool:
        firsts = list(pool.map(write, range(8)))
    with psycopg.connect(database.as_operator(), autocommit=True) as connection:
        check_rows(connection, sum(map(len, firsts)) * 3)
    assert all(sorted(positions) == positions for positions in firsts)


def test_a_batch_is_not_interleaved(database):
    """Batches of two writers lie one after the other, never mixed."""
    streams = [uuid4() for _ in range(6)]

    def write(stream: UUID) -> int:
        with psycopg.connect(database.as_writer(), autocommit=True) as connection:
            return append(connection, *[(stream, n) for n in range(500)])[0]

    with ThreadPoolExecutor(6) as pool:
        firsts = list(pool.map(write, streams))
    assert {1 + 500 * n for n in range(6)} == set(firsts)
    with psycopg.connect(database.as_operator()) as connection:
        found = [row[1] for row in rows_of(connection)]
    for first, stream in zip(firsts, streams, strict=True):
        assert {stream} == set(found[first - 1 : first + 499])


def test_time_is_taken_after_the_lock(database, operator):
    """A writer that waited for another records a time after the other's, not of when it began to wait."""
    waiting = Event()

    def wait_and_write() -> datetime:
        with psycopg.connect(database.as_writer(), autocommit=True) as connection:
            waiting.set()
            return append(connection, (uuid4(), 1))[1]

    with ThreadPoolExecutor(1) as pool, psycopg.connect(database.as_writer()) as holder:
        append(holder, (uuid4(), 1))
        late = pool.submit(wait_and_write)
        waiting.wait()
        wait_for_lock(operator)
        [[now]] = operator.execute("SELECT clock_timestamp()").fetchall()
        holder.commit()
        assert now < late.result()
    check_rows(operator, 2)


def wait_for_lock(operator: psycopg.Connection) -> None:
    for _ in range(1000):
        [[waiting]] = operator.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%append(%'"
        ).fetchall()
        if waiting:
            return
        operator.execute("SELECT pg_sleep(0.01)")
    raise AssertionError("nobody waits for the head")


def test_a_reader_never_meets_a_gap(database, operator):
    """What is not committed is not seen; what rolls back gives its numbers back."""
    with psycopg.connect(database.as_writer()) as undecided:
        assert 1 == append(undecided, (uuid4(), 1))[0]
        assert [] == rows_of(operator)
        undecided.rollback()
    with psycopg.connect(database.as_writer(), autocommit=True) as writer:
        assert 1 == append(writer, (uuid4(), 1))[0]
    check_rows(operator, 1)


def test_versions_of_a_stream_are_unique(writer):
    """The second writer of a version loses, and nothing of its batch is recorded; no number is burnt."""
    stream, other = uuid4(), uuid4()
    append(writer, (stream, 1))
    before = head_of(writer)
    for events in ([(other, 1), (stream, 1)], [(stream, 2), (stream, 2)]):
        with pytest.raises(errors.UniqueViolation):
            append(writer, *events, citizens=[citizen(other)])
    assert before == head_of(writer)
    assert [] == writer.execute("SELECT * FROM citizens").fetchall()
    assert 2 == append(writer, (stream, 2))[0]
    check_rows(writer, 2)


def test_citizens_are_unique(writer):
    """A citizen has one dossier, a dossier one citizen; whoever registers second records nothing."""
    one, two = uuid4(), uuid4()
    append(writer, (one, 1), citizens=[citizen(one, b"A" * 32)])
    with pytest.raises(errors.UniqueViolation):
        append(writer, (two, 1), citizens=[citizen(two, b"A" * 32)])
    with pytest.raises(errors.UniqueViolation):
        append(writer, (two, 1), citizens=[citizen(one, b"B" * 32)])
    check_rows(writer, 1)
    assert [(one,)] == writer.execute("SELECT dossier_id FROM citizens").fetchall()


def test_older_units_are_al001(writer):
    """So that what was resolved against an older tree is decided again."""
    units = UUID("00000000-0000-8000-8000-756e69747300")
    append(writer, (units, 1), (units, 2), units_seen=0)
    assert 2 == head_of(writer)[2]
    for units_seen in (0, 1, 3):
        with pytest.raises(psycopg.DatabaseError, match="units are at version 2") as caught:
            append(writer, (uuid4(), 1), units_seen=units_seen)
        assert "AL001" == caught.value.sqlstate
    append(writer, (uuid4(), 1), units_seen=2)
    append(writer, (uuid4(), 1), units_seen=None)
    check_rows(writer, 4)


def test_a_clock_behind_is_al002(writer, operator):
    """More than a minute: refused. Less: the time stands still until the clock has caught up."""
    append(writer, (uuid4(), 1))
    [[before]] = operator.execute("SELECT recorded_at FROM head").fetchall()
    operator.execute("UPDATE head SET recorded_at = clock_timestamp() + interval '70 seconds'")
    with pytest.raises(psycopg.DatabaseError, match="the clock says") as caught:
        append(writer, (uuid4(), 1))
    assert "AL002" == caught.value.sqlstate
    assert 1 == head_of(writer)[0]
    [[ahead]] = operator.execute(
        "UPDATE head SET recorded_at = clock_timestamp() + interval '50 seconds' RETURNING recorded_at"
    ).fetchall()
    assert ahead == append(writer, (uuid4(), 1))[1] == append(writer, (uuid4(), 1))[1]
    assert before < ahead
    check_rows(writer, 3)


def test_arrays_that_do_not_fit_are_al004(writer):
    """A batch cut on its way is refused, never recorded in part."""
    empty = ["'{}'"] * 8
    good = ["ARRAY[gen_random_uuid()]", "ARRAY[1]", "ARRAY['t']", "ARRAY[''::bytea]"] + ["'{}'"] * 4
    longer = ["", "ARRAY[1,2]", "ARRAY['t','u']", "ARRAY[''::bytea,'']", "ARRAY[''::bytea]"]
    longer += ["ARRAY[gen_random_uuid()]", "ARRAY[''::bytea]", "ARRAY[''::bytea]"]
    unfit = [empty] + [[*good[:n], longer[n], *good[n + 1 :]] for n in range(1, 8)]
    unfit += [[*good[:n], "'{}'", *good[n + 1 :]] for n in range(4)]
    for arrays in unfit:
        with pytest.raises(psycopg.DatabaseError) as caught:
            writer.execute(f"SELECT append({', '.join(arrays)}, NULL)")
        assert "AL004" == caught.value.sqlstate, arrays
    assert 0 == head_of(writer)[0]


def test_nothing_may_be_null(writer):
    """Neither a whole array nor an element."""
    good = ["ARRAY[gen_random_uuid()]", "ARRAY[1::bigint]", "ARRAY['t']", "ARRAY[''::bytea]"] * 2
    good[4:] = ["ARRAY['l'::bytea]", "ARRAY[gen_random_uuid()]", "ARRAY['s'::bytea]", "ARRAY['k'::bytea]"]
    kinds = ["uuid[]", "bigint[]", "text[]", "bytea[]", "bytea[]", "uuid[]", "bytea[]", "bytea[]"]
    for which, null in product(range(8), ("NULL::{}", "ARRAY[NULL]::{}")):
        arrays = [null.format(kinds[which]) if n == which else array for n, array in enumerate(good)]
        with pytest.raises(psycopg.DatabaseError):
            writer.execute(f"SELECT append({', '.join(arrays)}, NULL)")
    assert 0 == head_of(writer)[0]
    assert [] == writer.execute("SELECT * FROM citizens").fetchall()


def test_every_append_sends_a_hint(database, writer):
    """On the channel that followers listen to; a refused one sends none."""
    with psycopg.connect(database.as_projector(), autocommit=True) as follower:
        follower.execute('LISTEN "ledger.events"')
        stream = uuid4()
        append(writer, (stream, 1))
        with pytest.raises(errors.UniqueViolation):
            append(writer, (stream, 1))
        assert ["ledger.events"] == [hint.channel for hint in follower.notifies(timeout=1, stop_after=1)]
        assert [] == list(follower.notifies(timeout=0.1))


# Who may do what.

VERBS = {
    "SELECT": "SELECT * FROM {0} LIMIT 1",
    "INSERT": "INSERT INTO {0} SELECT * FROM {0}",
    "UPDATE": "UPDATE {0} SET {column} = {column}",
    "DELETE": "DELETE FROM {0}",
    "TRUNCATE": "TRUNCATE {0}",
    "LOCK": "LOCK TABLE {0} IN EXCLUSIVE MODE",
    "FOR UPDATE": "SELECT * FROM {0} FOR UPDATE",
    "DROP": "DROP TABLE {0}",
    "ALTER": "ALTER TABLE {0} ADD COLUMN x int",
    "TRIGGER": "ALTER TABLE {0} DISABLE TRIGGER ALL",
    "COPY": "COPY {0} FROM STDIN",
}
COLUMNS = {
    "head": "size",
    "events": "state",
    "citizens": "sealed",
    "key_check": "value",
    "migrations": "name",
}
READERS = {
    "writer": {"head", "events", "citizens", "migrations"},
    "projector": {"head", "events", "migrations"},
}


@pytest.mark.parametrize("role", READERS)
def test_roles_may_read_and_nothing_else(database, role):
    """Table by verb: reading what they need is all."""
    conninfo = database.as_writer() if role == "writer" else database.as_projector()
    allowed = set()
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for table, column in COLUMNS.items():
            for verb, statement in VERBS.items():
                try:
                    with connection.transaction(force_rollback=True):
                        connection.execute(statement.format(table, column=column))
                except errors.InsufficientPrivilege:
                    continue
                allowed.add((verb, table))
    assert {("SELECT", table) for table in READERS[role]} == allowed


def test_only_the_writer_may_append(database):
    """The projector reads the log; it may neither append to it nor claim its key."""
    with psycopg.connect(database.as_projector(), autocommit=True) as projector:
        with pytest.raises(errors.InsufficientPrivilege):
            append(projector, (uuid4(), 1))
        with pytest.raises(errors.InsufficientPrivilege):
            projector.execute("SELECT claim_key('x')")


def test_the_writer_makes_nothing(writer):
    """In the ledger's schema: no table of its own could ever stand in for the log's."""
    for statement in ("CREATE TABLE x (y int)", "CREATE FUNCTION f() RETURNS int RETURN 1"):
        with pytest.raises(errors.InsufficientPrivilege):
            writer.execute(statement)


def test_temporary_tables_do_not_deceive_append(writer):
    """A function that runs with the owner's rights must not be led to a caller's objects."""
    writer.execute("CREATE TEMP TABLE head (size bigint, recorded_at timestamptz, units_version bigint)")
    writer.execute("INSERT INTO pg_temp.head VALUES (1000, now(), 0)")
    writer.execute("SET search_path = pg_temp, ledger")
    assert 1 == append(writer, (uuid4(), 1))[0]


def test_functions_of_the_projector_do_not_deceive_append(database, writer, operator):
    """It may create in the ledger's schema; what it creates must never run with the owner's rights."""
    takeover = "BEGIN EXECUTE 'ALTER TABLE ledger.events DISABLE TRIGGER ALL'; RETURN {}; END"
    with psycopg.connect(database.as_projector(), autocommit=True) as projector:
        for name, arguments, returns, value in (
            ("cardinality", "uuid[]", "int", "pg_catalog.cardinality($1)"),
            ("cardinality", "bytea[]", "int", "pg_catalog.cardinality($1)"),
            ("times", "numeric, int", "numeric", "$1 OPERATOR(pg_catalog.*) $2::numeric"),
            ("joined", "name, text", "text", "$1::text OPERATOR(pg_catalog.||) $2"),
        ):
            projector.execute(
                f"CREATE FUNCTION {name}({arguments}) RETURNS {returns} LANGUAGE plpgsql "
                f"AS $$ {takeover.format(value)} $$"
            )
        projector.execute("CREATE OPERATOR * (FUNCTION = times, LEFTARG = numeric, RIGHTARG = int)")
        projector.execute("CREATE OPERATOR || (FUNCTION = joined, LEFTARG = name, RIGHTARG = text)")
    stream = uuid4()
    append(writer, (stream, 1), citizens=[citizen(stream)])
    assert b"k" == writer.execute("SELECT claim_key('k')").fetchone()[0]
    assert {("O",)} == set(
        operator.execute(
            "SELECT tgenabled FROM pg_trigger WHERE tgrelid = 'events'::regclass AND NOT tgisinternal"
        )
    )


def test_roles_own_no_power(operator):
    """None of the three may log in elsewhere as more than it is, or bypass anything."""
    for flags in operator.execute(
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls FROM pg_roles "
        "WHERE rolname IN ('ledger_owner', 'ledger_writer', 'ledger_projector')"
    ).fetchall():
        assert not any(flags)
    assert (
        []
        == operator.execute(
            "SELECT * FROM pg_auth_members JOIN pg_roles ON pg_roles.oid = member "
            "WHERE rolname IN ('ledger_owner', 'ledger_writer', 'ledger_projector')"
        ).fetchall()
    )


def identity_of(conninfo: str) -> tuple:
    with psycopg.connect(conninfo) as connection:
        return connection.execute("SELECT current_user, current_setting('is_superuser')").fetchone()


def test_a_ledger_works_as_the_writer(ledger, database, server):
    """Not as owner or superuser, whom no privilege binds: with its own login or as a role of another."""
    with ledger.recorder.datastore.get_connection() as connection:
        row = connection.execute(
            "SELECT current_user AS u, session_user AS s, current_setting('is_superuser') AS p"
        ).fetchone()
    assert ("ledger_writer", "off") == (row["u"], row["p"])
    if server.embedded:
        assert "ledger_writer" == row["s"]
    elsewhere = Database(database.conninfo, "ledger", embedded=False)
    assert ("ledger_writer", "off") == identity_of(elsewhere.as_writer())
    assert ("ledger_projector", "off") == identity_of(elsewhere.as_projector())
    assert "on" == identity_of(elsewhere.as_operator())[1]


SLIPS = (
    "UPDATE events SET state = ''",
    "UPDATE events SET state = '' WHERE false",
    "DELETE FROM events",
    "TRUNCATE events",
    "TRUNCATE events, head, citizens CASCADE",
    "DELETE FROM head",
    "TRUNCATE head",
    "UPDATE citizens SET sealed = ''",
    "UPDATE citizens SET key = ''",
    "DELETE FROM citizens",
    "TRUNCATE citizens",
    "UPDATE key_check SET value = ''",
    "DELETE FROM key_check",
    "TRUNCATE key_check",
    "INSERT INTO events SELECT * FROM events ON CONFLICT (notification_id) DO UPDATE SET state = ''",
    "MERGE INTO events USING (VALUES (1)) AS v (n) ON notification_id = n WHEN MATCHED THEN DELETE",
)


def test_even_a_superuser_slips_in_vain(ledger: Ledger, operator):
    """Triggers refuse to change the past, whoever asks; owner or superuser."""
    before = rows_of(operator)
    for role, statement in product(("ledger_owner", "none"), SLIPS):
        operator.execute(f"SET ROLE {role}")
        with pytest.raises(psycopg.DatabaseError, match="the log is append-only") as caught:
            operator.execute(statement)
        assert "AL003" == caught.value.sqlstate
    assert before == rows_of(operator)


def test_logins_by_password_only(server, database):
    """The embedded server lets nobody in without it."""
    if not server.embedded:
        pytest.skip("another server's logins are its operator's")
    for user in ("postgres", "ledger_writer", "ledger_projector"):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(make_conninfo(database.conninfo, user=user, password="x"))
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(make_conninfo(database.conninfo, user="ledger_owner"))
