"""What a ledger's operator asks first: versions, sizes, lags, and what is wrong."""

from pathlib import Path
from typing import Any, LiteralString

import msgspec
from psycopg import Connection, sql

from ledger.database import Database
from ledger.errors import KeyFileError, StoreNotReadyError
from ledger.identities import read_key_file
from ledger.migrations import LOGS, become, check_migrated, connect
from ledger.privileges import compare, declare, read_catalogue
from ledger.wrapping import wrapped_with
from projections import COMPONENTS, NAMES
from projections.errors import PositionLostError

_TABLES = ("head", "events", "citizens", "key_check", "projections", "unit_readers")
Names = dict[str, sql.Composable]
"""What stands for the ledger's tables in a query, and for its schema as a text."""


class Report(msgspec.Struct, frozen=True):
    """Facts by name, units in the names or values; and what is wrong, each with what to do about it."""

    facts: dict[str, Any]
    problems: list[str]


def examine(database: Database, key_path: Path, *, version: str) -> Report:
    """Look at a ledger without changing anything.

    Raises:
        UnavailableError: The database cannot be reached.
    """
    facts: dict[str, Any] = {"activation-ledger": version, "database": database.describe()}
    problems: list[str] = []
    with connect(database.as_operator()) as connection:
        # Not the ledger's schema: the projector may create functions in it, which would run here with the
        # operator's rights. So every table is named in full.
        connection.execute("SET search_path = pg_catalog, pg_temp")
        names: Names = {table: sql.Identifier(database.schema, table) for table in _TABLES}
        names["schema"] = sql.Literal(database.schema)
        facts["PostgreSQL"] = _one(connection, "SHOW server_version")
        try:
            check_migrated(connection, database, (*LOGS, *COMPONENTS))
        except StoreNotReadyError as error:
            return Report(facts, [str(error)])
        _read_settings(connection, facts, problems)
        _read_privileges(connection, database, problems)
        become(connection, database.projector)
        _read_projections(connection, names, facts, problems)
        become(connection, database.owner)
        _read_log(connection, names, facts, problems)
        _read_looks(connection, database.reads, facts, problems)
        _read_key(connection, names, database, key_path, facts, problems)
    return Report(facts, problems)


def _one(connection: Connection[Any], query: LiteralString, **names: sql.Composable) -> Any:
    row = connection.execute(sql.SQL(query).format(**names)).fetchone()
    assert row is not None
    return row[0]


def _read_log(connection: Connection[Any], names: Names, facts: dict[str, Any], problems: list[str]) -> None:
    [[size, recorded_at, units]] = connection.execute(
        sql.SQL("SELECT size, recorded_at, units_version FROM {head}").format(**names)
    ).fetchall()
    facts["events"] = size
    facts["last recorded (UTC)"] = f"{recorded_at:%Y-%m-%d %H:%M:%S}" if size else "never"
    facts["unit events"] = units
    facts["dossiers"] = _one(connection, "SELECT count(*) FROM {citizens}", **names)
    facts["size of the log"] = _one(
        connection,
        "SELECT pg_size_pretty(pg_total_relation_size(({schema} || '.events')::regclass))",
        **names,
    )
    highest = _one(connection, "SELECT coalesce(max(notification_id), 0) FROM {events}", **names)
    if highest != size:
        problems.append(
            f"the head says {size} events, the log ends at {highest}: somebody changed tables by hand; restore a backup"
        )
    ahead = _one(
        connection, "SELECT extract(epoch FROM recorded_at - clock_timestamp())::float8 FROM {head}", **names
    )
    if ahead > 1:
        problems.append(f"the server's clock is {ahead:.0f} s behind the last recorded event; set the clock")


def _read_looks(
    connection: Connection[Any], place: Database, facts: dict[str, Any], problems: list[str]
) -> None:
    """The second log: it is as much a log as the first."""
    names: Names = {table: sql.Identifier(place.schema, table) for table in ("head", "events", "dropped")}
    names["schema"] = sql.Literal(place.schema)
    size = _one(connection, "SELECT size FROM {head}", **names)
    facts["looks"] = there = _one(connection, "SELECT count(*) FROM {events}", **names)
    facts["looks dropped"] = dropped = _one(connection, "SELECT count(*) FROM {dropped}", **names)
    facts["size of the looks"] = _one(
        connection,
        "SELECT pg_size_pretty(pg_total_relation_size(({schema} || '.events')::regclass))",
        **names,
    )
    highest = _one(connection, "SELECT coalesce(max(notification_id), 0) FROM {events}", **names)
    if highest != size:
        problems.append(
            f"the head of the looks says {size}, their log ends at {highest}: somebody changed tables by hand; "
            "restore a backup"
        )
    elif there + dropped != size:
        problems.append(
            f"of {size} positions of the looks {there} are there and {dropped} were dropped: the others somebody took away "
            "by hand; restore a backup"
        )


def _read_projections(
    connection: Connection[Any], names: Names, facts: dict[str, Any], problems: list[str]
) -> None:
    rows = connection.execute(
        sql.SQL(
            "SELECT name, position, error, size - position FROM {projections}, {head} ORDER BY name"
        ).format(**names)
    ).fetchall()
    gone = connection.execute(
        sql.SQL(
            "SELECT DISTINCT reader FROM {unit_readers} WHERE reader NOT IN (SELECT rolname FROM pg_roles) ORDER BY 1"
        ).format(**names)
    ).fetchall()
    for (reader,) in gone:
        problems.append(
            f"unit_readers names {reader}, a role that is gone: one made anew by that name would see its units; "
            "delete its rows there"
        )
    lost = {*NAMES} - {name for name, *_ in rows}
    problems.extend(str(PositionLostError(name)) for name in sorted(lost))
    for name, position, error, lag in rows:
        if name.endswith(".rebuild"):
            facts[f"{name} position"] = position
            continue
        facts[f"{name} position"] = position
        facts[f"{name} lag (events)"] = lag
        if error:
            problems.append(
                f"the projection {name} stopped at {error}; mend the program, then run ledger rebuild"
            )


def _read_settings(connection: Connection[Any], facts: dict[str, Any], problems: list[str]) -> None:
    for name in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
        facts[name] = _one(connection, "SHOW {name}", name=sql.Identifier(name))
        if name != "data_checksums" and facts[name] == "off":
            problems.append(f"{name} is off: events that were acknowledged can be lost; set it on")


def _read_privileges(connection: Connection[Any], database: Database, problems: list[str]) -> None:
    declared = declare(database, (*LOGS, *COMPONENTS))
    problems.extend(map(str, compare(declared, read_catalogue(connection, declared))))


def _read_key(
    connection: Connection[Any],
    names: Names,
    database: Database,
    key_path: Path,
    facts: dict[str, Any],
    problems: list[str],
) -> None:
    facts["key file"] = str(key_path)
    claimed = connection.execute(sql.SQL("SELECT value FROM {key_check}").format(**names)).fetchone()
    wrapped = wrapped_with(connection, database)
    for number, citizens in wrapped.items():
        facts[f"citizens on wrapping key {number}"] = citizens
    try:
        identities = read_key_file(key_path)
    except KeyFileError as error:
        problems.append(str(error))
        return
    if claimed is not None and bytes(claimed[0]) != identities.check():
        problems.append(
            f"the key file {key_path} is another ledger's; name the right one with LEDGER_KEY_FILE"
        )
        return
    problems.extend(
        f"the key file {key_path} lacks wrapping key {number}, which {wrapped[number]:,} citizens need: "
        "it is an old copy; use the current key file"
        for number in sorted(wrapped.keys() - identities.numbers)
    )
    facts["wrapping key that seals"] = identities.newest
