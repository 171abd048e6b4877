"""Rotate the key that citizens' keys are wrapped with: a new one in the key file, rows wrapped anew, the old one retired.

Reports come in meanwhile. Whatever is killed leaves a key file that opens every citizen, and the next run goes on.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from ledger import sql
from ledger.database import Database
from ledger.errors import (
    ContentionError,
    FieldInvalidError,
    KeyFileInvalidError,
    KeyFileWrongError,
    KeyNeededError,
)
from ledger.identities import WRAP_NUMBER_MAX, Identities, read_key_file
from ledger.key_files import add_wrapping_key, remove_wrapping_key
from ledger.owner import as_owner

BATCH_ROWS = 1_000
"""How many rows one statement changes: their locks are held for some ten milliseconds."""
PASSES_MAX = 3
"""How often citizens are looked for that others sealed meanwhile with an older key."""
LOCK_SECONDS_MAX = 5
"""How long a table's lock is waited for; whoever writes waits behind it."""

_LOCK = 0x6B657973
"""Advisory lock of rotations; one at a time in a ledger."""
_QUERIES = sql.load("ledger.sql", "sealed.sql")
_FIRST = UUID(int=0)


class Rotated(msgspec.Struct, frozen=True):
    """What a rotation did."""

    wrapping_key: int
    """The number of the one that seals now."""
    added: bool
    """Whether it is new; otherwise a rotation from before was gone on with."""
    rewrapped: int
    """Citizens whose key was wrapped anew."""
    behind: int
    """Citizens who still need an older one: others sealed them meanwhile. Another run wraps those."""
    seconds: float


def rotate(
    database: Database,
    key_path: Path,
    *,
    add_only: bool = False,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Rotated:
    """Add a wrapping key to the key file, and wrap every citizen's key with it.

    Where citizens need an older key than the newest, a rotation from before was not ended: no key is added then, and
    that one is gone on with. Killed at any moment it leaves every citizen open to the key file.

    Args:
        add_only: Wrap nothing yet, so that the key file can be brought to other machines first.
        on_progress: Called with how many were wrapped, and how many there are to be wrapped.

    Raises:
        KeyFileError: It is not this ledger's, older than the ledger's own, or does not open a row.
        ContentionError: Another rotation is at work.
        UnavailableError: The database cannot be reached.
    """
    began = time.monotonic()
    with as_owner(database) as connection:
        _lock(connection, database)
        identities = _own(connection, database, key_path)
        behind = _behind(connection, database, identities.newest)
        added = not behind
        if added:
            if identities.newest == WRAP_NUMBER_MAX:
                raise KeyFileInvalidError(
                    f"the key file has had {WRAP_NUMBER_MAX} wrapping keys, and there are no more numbers"
                )
            # On the disk before anything is wrapped with it.
            add_wrapping_key(key_path)
            identities = read_key_file(key_path)
            behind = _behind(connection, database, identities.newest)
        rewrapped = 0
        for _ in range(0 if add_only else PASSES_MAX):
            if not behind:
                break
            rewrapped += _rewrap(connection, database, identities, rewrapped, behind, on_progress)
            behind = _behind(connection, database, identities.newest)
    return Rotated(identities.newest, added, rewrapped, behind, round(time.monotonic() - began, 1))


def _rewrap(
    connection: Connection[Any],
    database: Database,
    identities: Identities,
    done: int,
    behind: int,
    on_progress: Callable[[int, int], None],
) -> int:
    """Wrap what needs an older key, a batch in a transaction of its own; return how many."""
    # A table that was never analysed would be sorted from end to end for each batch.
    connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off")
    after, changed = _FIRST, 0
    while True:
        rows = connection.execute(
            _query("keys_to_rewrap", database),
            {"after": after, "newest": identities.newest, "limit": BATCH_ROWS},
        ).fetchall()
        if not rows:
            return changed
        dossiers, old_keys = [row[0] for row in rows], [row[1] for row in rows]
        new_keys = [identities.rewrap(key, dossier_id) for dossier_id, key in rows]
        # One that was erased meanwhile is not there any more, and nothing is done for it.
        [[number]] = connection.execute(
            _query("rewrap", database), {"dossiers": dossiers, "old_keys": old_keys, "new_keys": new_keys}
        ).fetchall()
        changed += number
        after = dossiers[-1]
        on_progress(done + changed, done + behind)


def retire(database: Database, key_path: Path, number: int) -> int:
    """Take an old wrapping key out of the key file, and return the number of the newest.

    The database first refuses everything that is sealed with it from then on, then looks whether any row needs it. A
    process that still sealed with it reads the key file anew and seals again.

    Raises:
        FieldInvalidError: The key file has no such key, or it is the newest.
        KeyNeededError: Citizens need it; nothing was changed.
        KeyFileError: The key file is not this ledger's.
        ContentionError: A rotation is at work, or somebody holds the table.
        UnavailableError: The database cannot be reached.
    """
    with as_owner(database) as connection:
        _lock(connection, database)
        identities = _own(connection, database, key_path)
        if number not in identities.numbers:
            raise FieldInvalidError("number", f"the key file has no wrapping key {number}")
        if number == identities.newest:
            raise FieldInvalidError("number", f"wrapping key {number} seals: first run ledger key rotate")
        _refuse_key(connection, database, number)
        remove_wrapping_key(key_path, number)
    return identities.newest


def _refuse_key(connection: Connection[Any], database: Database, number: int) -> None:
    names = {"constraint": Identifier(f"wrapping_key_{number}_is_retired"), "number": Literal(number)}
    connection.execute(SQL("SET lock_timeout = {}").format(Literal(LOCK_SECONDS_MAX * 1000)))
    try:
        # Whoever retired it was killed before the key file was written.
        with suppress(psycopg.errors.DuplicateObject):
            connection.execute(_query("refuse_key", database, **names))
        connection.execute(_query("check_key_unused", database, **names))
    except psycopg.errors.CheckViolation:
        connection.execute(_query("take_key_again", database, **names))
        raise KeyNeededError(number, wrapped_with(connection, database).get(number, 0)) from None
    except psycopg.errors.LockNotAvailable:
        raise ContentionError(
            f"somebody has held the citizens' table for {LOCK_SECONDS_MAX} s, a backup say; no key was retired, "
            "try again"
        ) from None


def wrapped_with(connection: Connection[Any], database: Database) -> dict[int, int]:
    """Return how many citizens need each wrapping key, by its number. It reads the whole table."""
    rows = connection.execute(_query("wrapped_with", database)).fetchall()
    return {int(number): int(citizens) for number, citizens in rows}


def _lock(connection: Connection[Any], database: Database) -> None:
    [[locked]] = connection.execute(
        SQL(_QUERIES["lock_keys"]), {"lock": _LOCK, "schema": database.schema}
    ).fetchall()
    if not locked:
        raise ContentionError("another ledger key rotate or retire is at work; nothing was changed")


def _own(connection: Connection[Any], database: Database, key_path: Path) -> Identities:
    """Return the key file's secrets; raise KeyFileError unless it is this ledger's, and no older copy of it."""
    identities = read_key_file(key_path)
    claimed = connection.execute(_query("claimed_key", database)).fetchone()
    if claimed is not None and bytes(claimed[0]) != identities.check():
        raise KeyFileWrongError(f"the key file {key_path} is not the one of {database.describe()}")
    lacking = wrapped_with(connection, database).keys() - identities.numbers
    if lacking:
        raise KeyFileInvalidError(
            f"the key file {key_path} lacks wrapping key {', '.join(map(str, sorted(lacking)))}, which citizens need; "
            "use the current key file"
        )
    return identities


def _behind(connection: Connection[Any], database: Database, newest: int) -> int:
    return sum(citizens for number, citizens in wrapped_with(connection, database).items() if number < newest)


def _query(name: str, database: Database, **names: Composable) -> Composed:
    return SQL(_QUERIES[name]).format(schema=Identifier(database.schema), **names)
