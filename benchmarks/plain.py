"""How fast is PostgreSQL itself, with the same rows, the same indexes, and nothing of ours in the way?"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict

from benchmarks.server import create_database, settle
from benchmarks.table import Results, step
from ledger.embedded import EmbeddedPostgres

COLUMNS = "notification_id, originator_id, originator_version, topic, state, recorded_at, leaf"
TYPES = ("int8", "uuid", "int8", "text", "bytea", "timestamptz", "bytea")
TABLE = "plain.events"
INSERTS = (500, 2_000)
PGBENCH_CLIENTS = (1, 16)

_INSERT = f"""
INSERT INTO {TABLE} ({COLUMNS})
SELECT * FROM unnest({", ".join(f"%b::{kind}[]" for kind in TYPES)})
"""
_ONE_ROW = """\
INSERT INTO one_row (originator_id, originator_version, topic, state, recorded_at, leaf)
VALUES (gen_random_uuid(), 1, 'dossier.collected.v1', convert_to(repeat('x', 300), 'UTF8'), now(),
        convert_to(repeat('x', 32), 'UTF8'));
"""
_CREATE_ONE_ROW = """
CREATE TABLE one_row (
    notification_id    bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    originator_id      uuid        NOT NULL,
    originator_version bigint      NOT NULL,
    topic              text        NOT NULL,
    state              bytea       NOT NULL,
    recorded_at        timestamptz NOT NULL,
    leaf               bytea       NOT NULL,
    UNIQUE (originator_id, originator_version)
)
"""


def measure_plain(postgres: EmbeddedPostgres, schema: str, repeats: int, results: Results) -> None:
    """Write the rows of a ledger's log once more, into a table like it."""
    with psycopg.connect(postgres.conninfo(), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA plain")
        read = (
            f"COPY (SELECT {COLUMNS} FROM {schema}.events ORDER BY notification_id) TO STDOUT (FORMAT binary)"
        )
        with connection.cursor().copy(read) as copy:
            blocks = [bytes(block) for block in copy]
        cursor = connection.cursor(binary=True)
        rows = cursor.execute(f"SELECT {COLUMNS} FROM {schema}.events ORDER BY notification_id").fetchall()
        for repeat in range(repeats):
            with step(f"plain COPY and INSERT, {repeat + 1} of {repeats}"):
                _like(postgres, connection, schema)
                results.add("plain.copy", len(rows) / _copy_blocks(connection, blocks))
                assert _count(connection) == len(rows)
                _like(postgres, connection, schema)
                results.add("plain.copy.rows", len(rows) / _copy_rows(connection, rows))
                assert _count(connection) == len(rows)
                for size in INSERTS:
                    _like(postgres, connection, schema)
                    results.add(f"plain.insert.{size}", len(rows) / _insert(connection, rows, size))
                    assert _count(connection) == len(rows)
        connection.execute("DROP SCHEMA plain CASCADE")


def _like(postgres: EmbeddedPostgres, connection: Connection[Any], schema: str) -> None:
    """Make the empty table; its indexes are those of the log, its triggers are not copied."""
    connection.execute(f"DROP TABLE IF EXISTS {TABLE}")
    connection.execute(f"CREATE TABLE {TABLE} (LIKE {schema}.events INCLUDING ALL)")
    settle(postgres)


def _copy_blocks(connection: Connection[Any], blocks: Sequence[bytes]) -> float:
    """Send what a COPY from the log gave, as it is: no client could be faster."""
    began = time.monotonic()
    with connection.cursor().copy(f"COPY {TABLE} ({COLUMNS}) FROM STDIN (FORMAT binary)") as copy:
        for block in blocks:
            copy.write(block)
    return time.monotonic() - began


def _copy_rows(connection: Connection[Any], rows: Sequence[tuple[Any, ...]]) -> float:
    """Send rows as a Python program has them."""
    began = time.monotonic()
    with connection.cursor().copy(f"COPY {TABLE} ({COLUMNS}) FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(TYPES)
        for row in rows:
            copy.write_row(row)
    return time.monotonic() - began


def _insert(connection: Connection[Any], rows: Sequence[tuple[Any, ...]], size: int) -> float:
    """Insert arrays of so many rows, a commit each."""
    began = time.monotonic()
    for start in range(0, len(rows), size):
        columns = [list(column) for column in zip(*rows[start : start + size], strict=True)]
        connection.execute(_INSERT, columns, prepare=True)
    return time.monotonic() - began


def _count(connection: Connection[Any]) -> int:
    [[count]] = connection.execute(f"SELECT count(*) FROM {TABLE}").fetchall()
    return int(count)


def measure_one_row_commits(postgres: EmbeddedPostgres, seconds: int, repeats: int, results: Results) -> None:
    """Let pgbench commit rows one by one, from 1 and from 16 clients."""
    pgbench = _find_pgbench(postgres)
    if pgbench is None:
        for clients in PGBENCH_CLIENTS:
            results.lack(
                f"pgbench.{clients}", "no pgbench beside the server, on PATH or in /usr/lib/postgresql"
            )
        return
    conninfo = create_database(postgres, "one_row_commits")
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(_CREATE_ONE_ROW)
    script = postgres.home / "one_row.sql"
    script.write_text(_ONE_ROW, encoding="utf-8")
    for repeat in range(repeats):
        for clients in PGBENCH_CLIENTS:
            with step(f"pgbench, {clients} clients, {repeat + 1} of {repeats}"):
                settle(postgres)
                results.add(f"pgbench.{clients}", _pgbench(pgbench, conninfo, script, clients, seconds))


def _find_pgbench(postgres: EmbeddedPostgres) -> str | None:
    """Return the one of the server's own version if there is one, else any."""
    places = [postgres.bin_dir, *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    found = [str(place / "pgbench") for place in places if os.access(place / "pgbench", os.X_OK)]
    return found[0] if found else shutil.which("pgbench")


def _pgbench(pgbench: str, conninfo: str, script: Path, clients: int, seconds: int) -> float:
    given = conninfo_to_dict(conninfo)
    # As environment: a password on a command line is read by everybody.
    environment = os.environ | {
        "PGHOST": str(given["host"]),
        "PGPORT": str(given["port"]),
        "PGUSER": str(given["user"]),
        "PGPASSWORD": str(given["password"]),
        "PGDATABASE": str(given["dbname"]),
    }
    load = ["-n", "-M", "prepared", "-c", str(clients), "-j", str(min(clients, 2)), "-T", str(seconds)]
    done = subprocess.run(
        [pgbench, *load, "-f", str(script)], env=environment, capture_output=True, text=True, check=False
    )
    told = re.search(r"^tps = ([0-9.]+) \(without", done.stdout, re.MULTILINE)
    if done.returncode != 0 or told is None or "number of failed transactions: 0 " not in done.stdout:
        raise RuntimeError(f"pgbench failed ({done.returncode}): {(done.stdout + done.stderr)[-2000:]}")
    return float(told[1])
