"""Bring a database to the schema this program needs: numbered SQL files, applied once each.

A component's first migration finds the schema on the search path. Those after it do not,
and name it with everything they touch: {schema}.events. Whoever migrates may do much, and
the projector may create in the schema: a function or an operator that it left there, and
that fits a call better than PostgreSQL's own, would run with the rights of whoever migrates.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, Literal

import msgspec
import psycopg
from psycopg import Connection, sql
from psycopg.conninfo import conninfo_to_dict

from ledger.database import SUPPORTED_MAJORS, Database
from ledger.errors import StoreNotReadyError, StoreUnavailableError

_FILE = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
CHANNEL = "{}.events"
"""Of a schema: on which the server hints that there are more events."""
_LOCK = 0x6C656467
"""Advisory lock of migrations; one at a time in a database."""


class Component(msgspec.Struct, frozen=True):
    """A package whose tables live in the ledger's schema."""

    name: str
    package: str
    """Where its folder ``migrations`` is."""
    owner: Literal["owner", "projector"]
    """The role that its tables belong to."""
    of_reads: bool = False
    """Whether it lives in the schema of the second log, and begins, before its own migrations, with the first one of the
    first log: both are made by the same text."""

    def place(self, database: Database) -> Database:
        """Return where it lives."""
        return database.reads if self.of_reads else database


class Migration(msgspec.Struct, frozen=True):
    component: str
    number: int
    name: str
    text: str

    @property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.text.encode()).digest()


LOG = Component("log", "ledger.sql", "owner")
READS = Component("reads", "ledger.reads.sql", "owner", of_reads=True)
LOGS = (LOG, READS)
"""What no ledger is without."""


def migrations_of(component: Component) -> list[Migration]:
    """Return a component's migrations in the order of their numbers, which have no gap."""
    found = []
    if component.of_reads:
        first = files(LOG.package) / "migrations" / "0001_log.sql"
        found.append(Migration(component.name, 1, "0001_log", first.read_text(encoding="utf-8")))
    for file in (files(component.package) / "migrations").iterdir():
        match = _FILE.fullmatch(file.name)
        if match:
            text = file.read_text(encoding="utf-8")
            found.append(Migration(component.name, int(match[1]), file.name.removesuffix(".sql"), text))
    found.sort(key=lambda migration: migration.number)
    assert [migration.number for migration in found] == list(range(1, len(found) + 1)), component
    return found


def migrate(database: Database, components: Sequence[Component] = LOGS) -> list[str]:
    """Create or upgrade a ledger's schema; return the names of what was applied.

    Idempotent, atomic (all of it or nothing), and safe when several start at once: one
    works, the others wait for it and find nothing left to do.

    Raises:
        StoreUnavailableError: The database cannot be reached.
        StoreNotReadyError: The login lacks a right it needs, the server's version is not
            supported, or the database was made by a newer program; says what to do.
    """
    with connect(database.as_operator()) as connection:
        connection.execute("SET search_path = pg_catalog, pg_temp")
        _check_server(connection)
        try:
            if not missing(connection, database, components):
                return []
            with connection.transaction():
                return _migrate(connection, database, components)
        except psycopg.errors.InsufficientPrivilege as error:
            raise StoreNotReadyError(
                f"the login may not set up the ledger: {error.diag.message_primary}. Let a superuser or a "
                "login with CREATEROLE and CREATE on the database run ledger migrate once"
            ) from None


def _migrate(connection: Connection[Any], database: Database, components: Sequence[Component]) -> list[str]:
    connection.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (_LOCK, database.schema))
    _create_roles(connection, database)
    for place in dict.fromkeys(component.place(database) for component in components):
        _create_schema(connection, place)
    applied = []
    for component in components:
        names = _names(component.place(database))
        for migration in missing(connection, database, (component,)):
            path = "{schema}" if migration.number == 1 else "pg_catalog"
            _execute(connection, f"SET LOCAL ROLE {{{component.owner}}}", names)
            _execute(connection, f"SET LOCAL search_path = {path}, pg_temp", names)
            _execute(connection, migration.text, names)
            _execute(connection, "SET LOCAL ROLE {owner}; SET LOCAL search_path = pg_catalog, pg_temp", names)
            connection.execute(
                sql.SQL(
                    "INSERT INTO {schema}.migrations (component, number, name, sha256) VALUES (%s, %s, %s, %s)"
                ).format(**names),
                (migration.component, migration.number, migration.name, migration.sha256),
            )
            applied.append(f"{migration.component} {migration.name}")
    return applied


def _names(place: Database) -> dict[str, sql.Composable]:
    return {
        "schema": sql.Identifier(place.schema),
        "channel": sql.Literal(CHANNEL.format(place.schema)),
        **{role: sql.Identifier(name) for role, name in place.roles.items()},
        "writer": sql.Identifier(place.writer),
    }


def _create_schema(connection: Connection[Any], place: Database) -> None:
    names = _names(place)
    _execute(connection, "RESET ROLE", names)
    [[there]] = connection.execute(
        "SELECT to_regnamespace(%s)", (names["schema"].as_string(connection),)
    ).fetchall()
    if there is None:
        _execute(connection, "CREATE SCHEMA {schema} AUTHORIZATION {owner}", names)
    _execute(connection, _SCHEMA, names)
    if not place.reads_of:
        _execute(connection, "GRANT USAGE, CREATE ON SCHEMA {schema} TO {projector}", names)


_SCHEMA = """
SET LOCAL ROLE {owner};
GRANT USAGE ON SCHEMA {schema} TO {writer};
CREATE TABLE IF NOT EXISTS {schema}.migrations (
    component  text        NOT NULL,
    number     int         NOT NULL,
    name       text        NOT NULL,
    sha256     bytea       NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (component, number)
);
"""


def _execute(connection: Connection[Any], text: str, names: dict[str, sql.Composable]) -> None:
    # The texts ship with the program; the names are made from a checked identifier.
    connection.execute(sql.SQL(text).format(**names))


def _create_roles(connection: Connection[Any], database: Database) -> None:
    """Make the roles that lack, and let this login become those that the migrations and the program work as.

    A login that may become the owner already, as a member of the migrator may, needs no right but that once the roles
    are there.
    """
    for role, name in database.roles.items():
        if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (name,)).fetchone() is None:
            # Members of the migrator become the owner or the projector by SET ROLE, and else may nothing.
            create = sql.SQL("CREATE ROLE {} NOLOGIN " + ("NOINHERIT" if role == "migrator" else "INHERIT"))
            _unless_another_does(connection, create.format(sql.Identifier(name)))
    for role in ("owner", "projector"):
        if not _may_become(connection, role, database, "migrator"):
            _grant(connection, database.roles[role], sql.Identifier(database.roles["migrator"]))
    if not _may_become(connection, "owner", database):
        for role in ("owner", "writer", "reads_writer", "projector"):
            if not _may_become(connection, role, database):
                _grant(connection, database.roles[role], sql.SQL("CURRENT_USER"))
    if database.embedded:
        password = conninfo_to_dict(database.conninfo)["password"]
        assert isinstance(password, str)
        for role in (database.writer, database.reads.writer, database.projector):
            verifier = connection.pgconn.encrypt_password(
                password.encode(), role.encode(), b"scram-sha-256"
            ).decode()
            connection.execute(
                sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(verifier))
            )


def _may_become(
    connection: Connection[Any], role: str, database: Database, member: str | None = None
) -> bool:
    """Return whether one of the ledger's roles, or else this login, may become another one."""
    # Since PostgreSQL 16 a login with CREATEROLE is a member of what it creates, but may not become it.
    right = "SET" if connection.info.server_version >= 160_000 else "MEMBER"
    who = None if member is None else database.roles[member]
    [[may]] = connection.execute(
        "SELECT pg_has_role(coalesce(%s, current_user), %s, %s)", (who, database.roles[role], right)
    ).fetchall()
    return bool(may)


def _grant(connection: Connection[Any], role: str, member: sql.Composable) -> None:
    _unless_another_does(connection, sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), member))


def _unless_another_does(connection: Connection[Any], statement: sql.Composed) -> None:
    """Make or grant a role. Roles belong to the whole cluster, which the lock does not cover.

    Another database's migration may do the same at this moment: we wait for its end, and take what it made.
    """
    handler = "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL"
    connection.execute(sql.SQL("DO $$ BEGIN {}; " + handler + "; END $$").format(statement))


def missing(
    connection: Connection[Any], database: Database, components: Sequence[Component]
) -> list[Migration]:
    """Return the migrations that the database lacks.

    Raises:
        StoreNotReadyError: It has some that this program does not know, or knows differently.
    """
    lacking = []
    places = dict.fromkeys(component.place(database) for component in components)
    applied = {place.schema: _applied(connection, place) for place in places}
    for component in components:
        place = component.place(database)
        there = applied[place.schema]
        known = migrations_of(component)
        newest = max((number for name, number in there if name == component.name), default=0)
        if newest > len(known):
            raise StoreNotReadyError(
                f"{place.describe()} is at migration {newest} of {component.name}, made by a newer program "
                f"than this one, which knows {len(known)}; upgrade activation-ledger"
            )
        for migration in known:
            digest = there.get((component.name, migration.number))
            if digest is None:
                lacking.append(migration)
            elif digest != migration.sha256:
                raise StoreNotReadyError(
                    f"{place.describe()} has another migration {migration.name} of {component.name} than this "
                    "program; it was made by a different version, which must not be mixed with this one"
                )
    return lacking


def _applied(connection: Connection[Any], place: Database) -> dict[tuple[str, int], bytes]:
    """Return the hash of each migration that a schema has, by component and number."""
    # Asked by all kinds of connections: whatever their search path, what is meant is found.
    table = sql.Identifier(place.schema, "migrations")
    name = table.as_string(connection)
    [[found]] = connection.execute("SELECT pg_catalog.to_regclass(%s)", (name,)).fetchall()
    if found is None:
        return {}
    query = sql.SQL("SELECT component, number, sha256 FROM {}").format(table)
    rows = connection.execute(query).fetchall()
    return {(component, number): bytes(digest) for component, number, digest in rows}


def check_migrated(connection: Connection[Any], database: Database, components: Sequence[Component]) -> None:
    """Raise StoreNotReadyError unless the database is exactly as this program needs it."""
    _check_server(connection)
    try:
        lacking = missing(connection, database, components)
    except psycopg.errors.InsufficientPrivilege:
        lacking = [migration for component in components for migration in migrations_of(component)]
    if lacking:
        raise StoreNotReadyError(
            f"{database.describe()} is not set up for this version: run ledger migrate "
            f"(missing: {', '.join(migration.name for migration in lacking)})"
        )


def become(connection: Connection[Any], role: str) -> None:
    """Go on as one of the ledger's roles, with its rights and no others, as an operator's login may.

    Raises:
        StoreNotReadyError: This one may not.
    """
    try:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
    except psycopg.errors.InsufficientPrivilege as error:
        raise StoreNotReadyError(
            f"{error.diag.message_primary}: let a superuser GRANT the ledger's role migrator to this login"
        ) from None


def _check_server(connection: Connection[Any]) -> None:
    major = connection.info.server_version // 10_000
    if major not in SUPPORTED_MAJORS:
        raise StoreNotReadyError(
            f"the server is PostgreSQL {major}; the ledger needs {SUPPORTED_MAJORS[0]} to {SUPPORTED_MAJORS[-1]}"
        )


@contextmanager
def connect(conninfo: str) -> Iterator[Connection[Any]]:
    """Open a connection in autocommit mode, for set-up and checks.

    Raises:
        StoreUnavailableError: The server cannot be reached, or went away.
        StoreNotReadyError: The server is there and refuses the login.
    """
    try:
        connection = psycopg.connect(conninfo, autocommit=True)
    except psycopg.OperationalError as error:
        # libpq's first line says which server and why; a hint follows on the next.
        reason = " ".join(str(error).split())
        if "permission denied to set role" in reason:
            raise StoreNotReadyError(f"{reason}: let an operator GRANT that role to this login") from None
        if "role" in reason and "does not exist" in reason:
            raise StoreNotReadyError(f"{reason}: run ledger migrate") from None
        raise StoreUnavailableError(f"PostgreSQL cannot be reached: {reason}") from None
    with connection:
        try:
            yield connection
        except psycopg.OperationalError as error:
            raise StoreUnavailableError(f"PostgreSQL went away: {str(error).strip()}") from None
