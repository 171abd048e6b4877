"""The ledger whole, and the ways to open it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from ledger import database as databases
from ledger.access import LOCAL, Principal
from ledger.application.base import Opening, utc_now
from ledger.application.cascading import CascadesTargets
from ledger.application.dropping import DropsLooks
from ledger.application.erasing import ErasesCitizens
from ledger.application.frozen_reports import KeepsFrozenReports
from ledger.application.keys import KeepsKeys
from ledger.application.looks import TellsLooks
from ledger.application.recording import RecordsReports
from ledger.application.units import KeepsUnits
from ledger.database import Database
from ledger.embedded import default_home
from ledger.identities import KEY_FILE_NAME, read_key_file
from ledger.key_files import create_key_file
from ledger.key_ring import DAYS_MAX
from ledger.migrations import LOGS, Component, become, check_migrated, connect, migrate
from ledger.reads import read_purposes
from ledger.reasons import read_reasons
from ledger.recording import Policy


class Ledger(
    RecordsReports,
    TellsLooks,
    DropsLooks,
    ErasesCitizens,
    KeepsUnits,
    CascadesTargets,
    KeepsFrozenReports,
    KeepsKeys,
):
    """Commands in, receipts out; safe to share between threads.

    A refused command records nothing. After an UnavailableError it is not known
    whether anything was recorded; repeating the same commands is always safe.
    """


def open_ledger(
    url: str | None = None,
    *,
    home: Path | None = None,
    schema: str = "ledger",
    key_file: Path | None = None,
    reasons_file: Path | None = None,
    four_eyes: bool = False,
    small_counts: int = 5,
    purposes_file: Path | None = None,
    key_days_max: int = DAYS_MAX,
    principal: Principal = LOCAL,
    now: Callable[[], datetime] = utc_now,
) -> Ledger:
    """Open a ledger; use it in a ``with``.

    Without *url* it runs its own PostgreSQL in *home*, starting it if need be (seconds at
    first; longer after a crash), brings the schema up to date and makes a key file. With
    *url* it never changes the database: ``ledger migrate`` does.

    Args:
        url: A PostgreSQL (15 to 18) that is already there.
        home: Where an own PostgreSQL and the key file live; ``~/.local/share/activation-ledger`` if absent.
        schema: The schema that holds the ledger; there may be several in a database.
        key_file: The secret that finds and seals citizens; ``ledger.key`` in *home* if absent.
        reasons_file: The reasons that reports may name, in place of the package's (``ledger/data/reasons.csv``).
        four_eyes: Whether corrections count only once another officer has confirmed them. Corrections that wait
            from before go on waiting, whatever it is.
        small_counts: Counts below it, but 0, are masked where the public sees them.
        purposes_file: What anybody may look at a dossier for, in place of the package's (``ledger/data/purposes.csv``).
        key_days_max: How many days API keys that are made may last.
        principal: For whom it does what is asked of it, where nobody else is named: whoever has the database and the
            key file may do everything.
        now: The clock that says what is in the future.

    Raises:
        UnavailableError: The database cannot be reached, or is not set up for this version.
        KeyFileError: The key file is missing, unreadable, or another ledger's.
        InputError: The list of reasons, or that of purposes, cannot be read.
        ValueError: *url* or *schema* is malformed.
    """
    policy = Policy(
        reasons=read_reasons(reasons_file),
        four_eyes=four_eyes,
        small_counts=small_counts,
        purposes=read_purposes(purposes_file),
        key_days_max=key_days_max,
    )
    # Wherever the program goes from here, and the processes that it starts, these stay what they are.
    home = (home or default_home()).absolute()
    return _open(Opening(url, home, schema, key_file and key_file.absolute(), policy, principal), now)


def open_again(opening: Opening) -> Ledger:
    """Open what another process has open; as ``open_ledger`` does, and with its errors."""
    return _open(opening, utc_now)


def _open(opening: Opening, now: Callable[[], datetime]) -> Ledger:
    key_path = opening.key_file or opening.home / KEY_FILE_NAME
    if opening.url is None:
        database = databases.embedded(opening.home, schema=opening.schema)
        migrate_ledger(database, key_path)
    else:
        database = databases.external(opening.url, schema=opening.schema)
    for log in LOGS:
        with connect(log.place(database).as_writer()) as connection:
            check_migrated(connection, database, (log,))
    ledger = Ledger(
        database,
        read_key_file(key_path),
        policy=opening.policy,
        now=now,
        opening=opening if now is utc_now else None,
        principal=opening.principal,
    )
    try:
        ledger.check_key(key_path)
        ledger.tree()
    except BaseException:
        ledger.close()
        raise
    return ledger


def migrate_ledger(database: Database, key_path: Path, components: Sequence[Component] = LOGS) -> list[str]:
    """Bring a database up to date, and make the key file of a ledger that has none yet.

    Returns:
        The names of the migrations applied.
    """
    applied = migrate(database, components)
    with connect(database.as_operator()) as connection:
        become(connection, database.owner)
        [[claimed]] = connection.execute("SELECT EXISTS (SELECT FROM key_check)").fetchall()
    # Once a key file is claimed, a new one would fork every citizen: never make a second.
    if not claimed and not key_path.exists():
        create_key_file(key_path)
    return applied
