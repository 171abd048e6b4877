"""What the tests of ledger.embedded run as a process of its own, so that it can be killed.

    python embedded_child.py <what> <home> [<uid> <gid>]

With uid and gid it becomes that user after its imports, because a virtual environment may be where
that user cannot read.
"""

import itertools
import os
import sys
import time
from pathlib import Path

import psycopg

from ledger.embedded import EmbeddedPostgres
from ledger.errors import UnavailableError

TABLE = "CREATE TABLE IF NOT EXISTS numbers (n bigint PRIMARY KEY)"


def say(text: object) -> None:
    print(text, flush=True)


def start(server: EmbeddedPostgres) -> None:
    """Start, write one row, say the server's process id."""
    server.start()
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(1)")  # CREATE TABLE IF NOT EXISTS races with itself
        connection.execute(TABLE)
        connection.execute("INSERT INTO numbers VALUES (%s)", [os.getpid()])
    say((server.data_dir / "postmaster.pid").read_text().split()[0])


def linger(server: EmbeddedPostgres) -> None:
    start(server)
    time.sleep(600)


def insert(server: EmbeddedPostgres) -> None:
    """Insert for ever and say each number once it is committed; a lost server is started again."""
    numbers = itertools.count(1)
    while True:
        server.start()
        try:
            with psycopg.connect(server.conninfo(), autocommit=True) as connection:
                connection.execute(TABLE)
                for n in numbers:
                    connection.execute("INSERT INTO numbers VALUES (%s)", [n])
                    say(n)
        except psycopg.OperationalError:
            say("lost")


def forked(server: EmbeddedPostgres) -> None:
    """Start in a forked child, then use what it started."""
    child = os.fork()
    if child == 0:
        server.start()
        os._exit(0)
    os.waitpid(child, 0)
    start(server)


def stop(server: EmbeddedPostgres) -> None:
    say(server.stop())


def where(server: EmbeddedPostgres) -> None:
    say(server.socket_dir)


def main(what: str, home: str, *ids: str) -> None:
    if ids:
        uid, gid = map(int, ids)
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    do = {"start": start, "linger": linger, "insert": insert, "forked": forked, "stop": stop, "where": where}
    try:
        do[what](EmbeddedPostgres(Path(home)))
    except UnavailableError as error:
        say(f"{type(error).__name__}: {error}")
        sys.exit(3)


if __name__ == "__main__":
    main(*sys.argv[1:])
