"""The machine, the PostgreSQL that everything is measured on, and servers in front of it."""

import os
import platform
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import psycopg
from psycopg import sql

from ledger.embedded import EmbeddedPostgres

START_SECONDS_MAX = 60
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


@contextmanager
def postgres_in(home: Path | None) -> Iterator[EmbeddedPostgres]:
    """Give a PostgreSQL a place that holds nothing yet; in the end stop it.

    Args:
        home: It is kept; a temporary one, removed in the end, if absent.
    """
    folder = home or Path(tempfile.mkdtemp(prefix="bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    # The server's user must pass where root measures.
    folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
    postgres = EmbeddedPostgres(folder)
    if postgres.has_data:
        raise click.UsageError(f"{folder} has a ledger already; a benchmark begins with an empty one")
    try:
        yield postgres
    finally:
        place = postgres.data_dir.parent
        postgres.stop()
        if home is None:
            for directory in {folder, place}:
                shutil.rmtree(directory, ignore_errors=True)


def facts(postgres: EmbeddedPostgres) -> dict[str, Any]:
    """Return what the numbers depend on. A server that would lose what it acknowledged is no subject."""
    with psycopg.connect(postgres.conninfo()) as connection:
        settings = {
            name: connection.execute("SELECT current_setting(%s)", [name]).fetchone()[0]  # type: ignore[index]
            for name in (*DURABLE, "shared_buffers", "max_wal_size")
        }
    assert DURABLE.items() <= settings.items(), settings
    return {
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} processors, "
        f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e9:.0f} GB",
        "load before (1, 5, 15 min)": ", ".join(f"{load:.2f}" for load in os.getloadavg()),
        "python": platform.python_version(),
        "postgresql": f"{postgres.version} ({postgres.source}), "
        + ", ".join(f"{name} {value}" for name, value in settings.items()),
        "packages": ", ".join(
            f"{name} {version(name)}" for name in ("eventsourcing", "psycopg", "litestar", "granian")
        ),
    }


def settle(postgres: EmbeddedPostgres) -> None:
    """Let nobody pay for what was written before."""
    with psycopg.connect(postgres.conninfo(), autocommit=True) as connection:
        connection.execute("CHECKPOINT")


def vacuum(postgres: EmbeddedPostgres) -> None:
    """Do at once what autovacuum would begin within a minute: clean up, and learn what the tables hold."""
    with psycopg.connect(postgres.conninfo(), autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")


def create_database(postgres: EmbeddedPostgres, name: str) -> str:
    """Make an empty database and return its connection string, the superuser's."""
    with psycopg.connect(postgres.conninfo(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return postgres.conninfo(dbname=name)


@contextmanager
def serving(command: Sequence[str], log_folder: Path) -> Iterator[str]:
    """Run a server that takes ``--port`` and says ``serving`` when it is ready; yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # A file, not a pipe: nobody reads on, and a full pipe would stop the server.
    with tempfile.NamedTemporaryFile(prefix="serving-", suffix=".log", dir=log_folder) as log:
        process = subprocess.Popen([*command, "--port", str(port)], stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + START_SECONDS_MAX
            while b"serving" not in (said := Path(log.name).read_bytes()):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command} does not serve: {said.decode(errors='replace')[-2000:]}")
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)
