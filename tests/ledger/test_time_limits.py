"""No session of the application's keeps the database for longer than it may."""

import time

import psycopg
import pytest

from ledger import database as places
from ledger.errors import StoreUnavailableError
from ledger.store import POOL_CONNECTIONS_MAX, translated


def shown(conninfo: str, name: str) -> str:
    with psycopg.connect(conninfo) as connection:
        [[value]] = connection.execute("SELECT current_setting(%s)", [name]).fetchall()
    return value


def test_every_role_has_its_limits(database):
    """The writer's are those of questions, a projection's those of a rebuild; an audit of the whole log has none."""
    found = {
        name: (
            shown(conninfo, "statement_timeout"),
            shown(conninfo, "idle_in_transaction_session_timeout"),
            shown(conninfo, "lock_timeout"),
        )
        for name, conninfo in (
            ("writer", database.as_writer()),
            ("projector", database.as_projector()),
            ("patient", database.as_patient_writer()),
        )
    }
    assert {
        "writer": ("1min", "1min", "30s"),
        "projector": ("1h", "1min", "0"),
        "patient": ("0", "0", "0"),
    } == found


def test_a_question_that_takes_too_long_is_ended(monkeypatch, database, open_again):
    """The caller is told that there is no answer, and the connection serves the next one."""
    monkeypatch.setattr(places, "STATEMENT_SECONDS_MAX", 0.2)
    ledger = open_again()
    datastore = ledger.recorder.datastore
    began = time.monotonic()
    with (
        pytest.raises(StoreUnavailableError, match="statement timeout"),
        translated(),
        datastore.get_connection() as connection,
    ):
        connection.execute("SELECT pg_sleep(20)")
    assert 10 > time.monotonic() - began
    assert 0 == ledger.head().position


def test_a_transaction_that_falls_silent_is_ended(monkeypatch, database):
    """What it holds is free for others."""
    monkeypatch.setattr(places, "SILENCE_SECONDS_MAX", 0.2)
    with (
        psycopg.connect(database.as_writer()) as silent,
        pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout),
    ):
        silent.execute("SELECT 1")
        time.sleep(0.5)
        silent.execute("SELECT 1")


def test_a_process_has_no_more_connections_than_its_pool(open_again):
    """However many ask at once; who waits for too long is told so."""
    pool = open_again().recorder.datastore.pool
    assert (1, POOL_CONNECTIONS_MAX) == (pool.min_size, pool.max_size)
    assert pool.timeout <= 5
