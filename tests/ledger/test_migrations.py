"""Setting up and upgrading a database."""

import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from api.doctor import examine
from ledger import Ledger, migrations, open_ledger
from ledger.application import migrate_ledger
from ledger.database import SUPPORTED_MAJORS, Database, check_schema, external
from ledger.embedded import EmbeddedPostgres
from ledger.errors import KeyFileMissingError, KeyFileWrongError, StoreNotReadyError, StoreUnavailableError
from ledger.identities import read_key_file
from ledger.key_files import create_key_file
from ledger.migrations import LOG, LOGS, READS, check_migrated, connect, migrate, migrations_of, missing
from ledger.privileges import compare, declare, read_catalogue
from tests.conftest import COMPONENTS, FAST, PROJECTIONS, Server, check_ledger, temporary_home
from tests.ledger.reports import a_life, collect

ROOT = Path(__file__).parents[2]
MADE = [f"{log.name} {migration.name}" for log in LOGS for migration in migrations_of(log)]
"""What setting up both logs applies."""


@pytest.fixture
def schema(server: Server) -> Iterator[str]:
    """A schema's name that no role of the server carries yet; its roles are dropped at the end."""
    name = f"l{uuid4().hex[:12]}"
    yield name
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        for role in Database("", name).roles.values():
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


@pytest.fixture
def fresh(server: Server, schema: str) -> Iterator[Database]:
    """A database with nothing in it, for a ledger of a name of its own; entered as any other server's."""
    name = server.create()
    yield Database(server.conninfo(name), schema)
    server.drop(name)


def snapshot(database: Database) -> list:
    """Everything the catalogue says of the schemas of both logs."""
    return [*_snapshot(database), *_snapshot(database.reads)]


def _snapshot(database: Database) -> list:
    with connect(database.as_operator()) as connection:
        return [
            connection.execute(query, {"schema": database.schema}).fetchall()
            for query in (
                "SELECT relname, relkind, relowner::regrole::text, relacl::text FROM pg_class "
                "WHERE relnamespace = to_regnamespace(%(schema)s) ORDER BY 1",
                "SELECT table_name, column_name, data_type, is_nullable, column_default "
                "FROM information_schema.columns WHERE table_schema = %(schema)s ORDER BY 1, 2",
                "SELECT proname, prosrc, proacl::text, prosecdef, proconfig FROM pg_proc "
                "WHERE pronamespace = to_regnamespace(%(schema)s) ORDER BY 1",
                "SELECT component, number, name, sha256, applied_at FROM migrations ORDER BY 1, 2",
                "SELECT nspname, nspowner::regrole::text, nspacl::text FROM pg_namespace "
                "WHERE nspname = %(schema)s",
            )
        ]


def test_migrating_twice_changes_nothing(fresh):
    """The second time nothing is applied, not even a grant."""
    applied = migrate(fresh, COMPONENTS)
    assert "log 0001_log" == applied[0]
    assert sum(len(migrations_of(component)) for component in COMPONENTS) == len(applied)
    before = snapshot(fresh)
    assert [] == migrate(fresh, COMPONENTS)
    assert before == snapshot(fresh)


def test_a_component_may_come_later(fresh):
    """What is there stays; only what is lacking is applied."""
    assert MADE == migrate(fresh)
    assert migrate(fresh, COMPONENTS) == [
        f"{component.name} {migration.name}"
        for component in PROJECTIONS
        for migration in migrations_of(component)
    ]


def test_migrations_are_numbered_without_a_gap():
    """From 1, each file once; anything else is a mistake that shows at once."""
    for component in COMPONENTS:
        found = migrations_of(component)
        assert list(range(1, len(found) + 1)) == [migration.number for migration in found]
        assert found


def test_log_belongs_to_the_owner(fresh):
    """Nobody logs in as it: a role without a login and, but for migrations, without use."""
    migrate(fresh)
    with connect(fresh.as_operator()) as connection:
        owners = connection.execute(
            "SELECT DISTINCT relowner::regrole::text FROM pg_class "
            "WHERE relnamespace = to_regnamespace(%s) AND relname IN ('events', 'head', 'citizens', 'migrations')",
            (fresh.schema,),
        ).fetchall()
        [[may_log_in]] = connection.execute(
            "SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", (fresh.owner,)
        ).fetchall()
    assert [(fresh.owner,)] == owners
    assert not may_log_in


MIGRATE = """
import sys
from pathlib import Path
from ledger.application import migrate_ledger
from ledger.database import Database
from tests.conftest import COMPONENTS
print("ready", flush=True)
sys.stdin.readline()
print(len(migrate_ledger(Database(sys.argv[1], sys.argv[2]), Path(sys.argv[3]), COMPONENTS)))
"""


def test_six_processes_migrate_at_once(fresh, tmp_path):
    """One works; the others wait for it and find nothing left to do. There is one key file, and it fits."""
    key_path = tmp_path / "ledger.key"
    command = [sys.executable, "-B", "-c", MIGRATE, fresh.conninfo, fresh.schema, str(key_path)]
    children = [
        subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(6)
    ]
    assert ["ready\n"] * 6 == [child.stdout.readline() for child in children]
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    said = sorted(int(child.communicate(timeout=120)[0]) for child in children)
    assert [0, 0, 0, 0, 0, sum(len(migrations_of(component)) for component in COMPONENTS)] == said
    assert [key_path] == list(tmp_path.iterdir())
    open_there(fresh, key_path).close()


def test_databases_of_one_server_migrate_at_once(server, schema):
    """Roles belong to the whole server: both make them, and neither stumbles over the other."""
    names = [server.create() for _ in range(6)]
    try:
        with ThreadPoolExecutor(6) as pool:
            applied = list(pool.map(lambda name: migrate(Database(server.conninfo(name), schema)), names))
        assert [MADE] * 6 == applied
    finally:
        for name in names:
            server.drop(name)


def test_a_migration_is_applied_whole_or_not_at_all(fresh, monkeypatch):
    """A fault in the last of several leaves the database as it was."""
    number = len(MADE) + 1
    fault = migrations.Migration("log", number, "fault", "CREATE TABLE {schema}.half (x int); SELECT 1 / 0;")
    monkeypatch.setattr(migrations, "migrations_of", lambda component: [*migrations_of(component), fault])
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(fresh)
    with connect(fresh.as_operator()) as connection:
        [[there]] = connection.execute("SELECT to_regnamespace(%s)", (fresh.schema,)).fetchall()
    assert None is there
    monkeypatch.undo()
    assert MADE == migrate(fresh)


LATER = {
    "owner": "CREATE TABLE {schema}.tried AS "
    "SELECT cardinality(ARRAY[gen_random_uuid()]) AS n, 2.0 * 3 AS product, octet_length('x') AS bytes;",
    "projector": "CREATE TABLE {schema}.tried_too AS SELECT cardinality(ARRAY['x'::bytea]) AS n;",
}
"""What a later migration may well do; each call has a planted one that fits better."""
PLANTED = (
    ("cardinality", "uuid[]", "int"),
    ("cardinality", "bytea[]", "int"),
    ("times", "numeric, int", "numeric"),
    ("octet_length", "varchar", "int"),
    # Called by migrate itself.
    ("pg_has_role", "text, text", "boolean"),
    ("hashtext", "varchar", "int"),
    ("to_regclass", "varchar", "regclass"),
)


def test_functions_of_the_projector_are_not_called_by_a_later_migration(fresh, monkeypatch):
    """It may create in the schema; whoever migrates may do more, and must not run what it left there."""
    migrate(fresh, COMPONENTS)
    with psycopg.connect(fresh.as_projector(), autocommit=True) as projector:
        for name, arguments, returns in PLANTED:
            projector.execute(
                f"CREATE FUNCTION {name}({arguments}) RETURNS {returns} LANGUAGE plpgsql "
                "AS $$ BEGIN RAISE EXCEPTION 'it ran as %', current_user; END $$"
            )
        projector.execute("CREATE OPERATOR * (FUNCTION = times, LEFTARG = numeric, RIGHTARG = int)")

    def with_later(component):
        found = migrations_of(component)
        later = migrations.Migration(component.name, len(found) + 1, "later", LATER[component.owner])
        return [*found, later]

    monkeypatch.setattr(migrations, "migrations_of", with_later)
    assert [f"{component.name} later" for component in COMPONENTS] == migrate(fresh, COMPONENTS)
    with connect(fresh.as_operator()) as connection:
        assert [(1, 6, 1)] == connection.execute("SELECT n, product, bytes FROM tried").fetchall()
        assert [] == migrate(fresh, COMPONENTS)


def test_a_newer_database_is_refused(fresh):
    """By migrate and by opening; the sentence says what to upgrade."""
    migrate(fresh)
    with connect(fresh.as_operator()) as connection:
        connection.execute(
            "INSERT INTO migrations (component, number, name, sha256) VALUES ('log', 9, '0009_later', '')"
        )
    for attempt in (lambda: migrate(fresh), lambda: open_there(fresh)):
        with pytest.raises(StoreNotReadyError, match=r"at migration 9 of log.*upgrade activation-ledger"):
            attempt()


def test_a_different_migration_is_refused(fresh):
    """One that was applied never changes; a program that has another one is another program."""
    migrate(fresh)
    with connect(fresh.as_operator()) as connection:
        connection.execute("UPDATE migrations SET sha256 = 'x' WHERE component = 'log'")
    for attempt in (lambda: migrate(fresh), lambda: open_there(fresh)):
        with pytest.raises(StoreNotReadyError, match="another migration 0001_log of log"):
            attempt()


def open_there(database: Database, key_file: Path = Path("/nonexistent")) -> Ledger:
    return open_ledger(database.conninfo, schema=database.schema, key_file=key_file)


def test_a_database_that_is_not_migrated_is_refused(fresh, server):
    """With the hint to migrate: whether its roles are there, from another database, or not."""
    with pytest.raises(StoreNotReadyError, match="run ledger migrate"):
        open_there(fresh)
    other = server.create()
    try:
        migrate(Database(server.conninfo(other), fresh.schema))
        with pytest.raises(StoreNotReadyError, match=r"run ledger migrate \(missing: 0001_log, "):
            open_there(fresh)
    finally:
        server.drop(other)


def test_opening_never_migrates(fresh, key_file):
    """A program that records must not be able to change the schema."""
    with pytest.raises(StoreNotReadyError):
        open_there(fresh, key_file)
    with connect(fresh.as_operator()) as connection:
        assert (
            []
            == connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", (fresh.schema,)).fetchall()
        )


@pytest.fixture
def login(server: Server, fresh: Database) -> Iterator:
    """Make a login with some rights, and return the ledger's place as it enters it."""
    names = []

    def make(rights: str = "", *grants: str) -> Database:
        name = f"{fresh.schema}_{len(names)}"
        names.append(name)
        with psycopg.connect(fresh.conninfo, autocommit=True) as connection:
            [[dbname]] = connection.execute("SELECT current_database()").fetchall()
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x' " + rights).format(sql.Identifier(name))
            )
            for grant in grants:
                connection.execute(
                    sql.SQL(grant).format(database=sql.Identifier(dbname), login=sql.Identifier(name))
                )
        return Database(make_conninfo(fresh.conninfo, user=name, password="x"), fresh.schema)

    yield make
    with psycopg.connect(fresh.conninfo, autocommit=True) as connection:
        for name in names:
            names_of = sql.SQL("{}").format(sql.Identifier(name))
            connection.execute(sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(names_of))
            connection.execute(sql.SQL("DROP OWNED BY {}").format(names_of))
        # Whoever made the roles granted them to itself: those go first.
        roles = [*fresh.roles.values()]
        if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (roles[0],)).fetchone():
            connection.execute(
                sql.SQL("DROP OWNED BY {} CASCADE").format(sql.SQL(", ").join(map(sql.Identifier, roles)))
            )
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.SQL(", ").join(map(sql.Identifier, roles))))
        for name in names:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


CREATE_HERE = "GRANT CREATE ON DATABASE {database} TO {login}"


@pytest.mark.parametrize("rights", [("",), ("", CREATE_HERE), ("CREATEROLE",)])
def test_a_login_without_the_rights_is_refused(login, rights):
    """In a sentence that says who can do it."""
    with pytest.raises(StoreNotReadyError, match="login with CREATEROLE and CREATE on the database"):
        migrate(login(*rights))


def test_a_login_without_the_rights_is_refused_later_too(login, fresh):
    """It may neither upgrade what another has set up, nor open it, nor look into it."""
    migrate(fresh)
    poor = login()
    with pytest.raises(StoreNotReadyError, match="login with CREATEROLE and CREATE on the database"):
        migrate(poor)
    with pytest.raises(StoreNotReadyError, match="let an operator GRANT that role to this login"):
        open_there(poor)


def test_a_login_that_makes_roles_can_migrate(login, key_file):
    """It needs CREATEROLE and CREATE on the database, and no superuser; then it is the ledger's only login."""
    maker = login("CREATEROLE", CREATE_HERE)
    assert MADE == migrate_ledger(maker, key_file)
    assert [] == migrate_ledger(maker, key_file)
    with open_there(maker, key_file) as ledger:
        ledger.load_units("units_2025.csv", valid_from=a_life()[0].occurred_at.date())
        ledger.record(collect(unit="14797"))
        check_ledger(ledger, length=168)


def test_a_login_that_is_a_migrator_upgrades(login, fresh, key_file):
    """It makes no roles and nothing in the database; and may nothing at all before it becomes the owner."""
    migrate_ledger(fresh, key_file)
    deploy = login("", "GRANT " + fresh.roles["migrator"] + " TO {login}")
    assert [] != migrate_ledger(deploy, key_file, COMPONENTS)
    assert [] == migrate_ledger(deploy, key_file, COMPONENTS)
    report = examine(deploy, key_file, version="1")
    assert [] == [problem for problem in report.problems if problem.split()[0] not in FAST]
    with psycopg.connect(deploy.conninfo, autocommit=True) as connection:
        for statement in (
            "SELECT FROM {}.events",
            "UPDATE {}.events SET state = ''",
            "DROP TABLE {}.worklist",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.format(fresh.schema))


def test_a_database_of_the_first_migrations_is_upgraded(fresh, monkeypatch):
    """It has three roles, one log and none of the grants that came later; then it is as declared."""
    first = {"log": 1, "unit_totals": 4}
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "migrations_of", lambda one: migrations_of(one)[: first[one.name]])
        migrate(fresh, (LOG, *PROJECTIONS))
    with connect(fresh.as_operator()) as connection:
        for role in fresh.roles.keys() - {"owner", "writer", "projector"}:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(fresh.roles[role])))
        assert [] != migrate(fresh, COMPONENTS)
        declared = declare(fresh, COMPONENTS)
        assert [] == compare(declared, read_catalogue(connection, declared))


def test_a_login_of_the_application(login, fresh, key_file):
    """It needs to be granted the writer's role of each log, and nothing else: one alone is not enough."""
    migrate(fresh)
    create_key_file(key_file)
    half = login("", "GRANT " + fresh.writer + " TO {login}")
    with pytest.raises(StoreNotReadyError, match=f"{fresh.reads.writer}.*let an operator GRANT that role"):
        open_there(half, key_file)
    application = login("", *(f"GRANT {place.writer} TO {{login}}" for place in (fresh, fresh.reads)))
    with open_there(application, key_file) as ledger:
        assert 0 == ledger.head().position
    with pytest.raises(StoreNotReadyError):
        migrate(application, COMPONENTS)


def test_two_ledgers_in_one_database(fresh, tmp_path):
    """Neither knows of the other: own log, own units, own key file, own roles."""
    places = [fresh, Database(fresh.conninfo, fresh.schema + "_too")]
    key_files = [tmp_path / "a.key", tmp_path / "b.key"]
    try:
        for place, key_path in zip(places, key_files, strict=True):
            migrate_ledger(place, key_path, COMPONENTS)
        with open_there(places[0], key_files[0]) as one, open_there(places[1], key_files[1]) as two:
            one.load_units("units_2024.csv", valid_from=a_life()[0].occurred_at.date())
            assert [587, 588, 589] == [receipt.position for receipt in one.record_many(a_life())]
            assert 0 == two.head().position
            two.load_units("units_2025.csv", valid_from=a_life()[0].occurred_at.date())
            assert 168 == two.record(collect(unit="14797")).position
            check_ledger(one, length=589)
            check_ledger(two, length=168)
            with (
                pytest.raises(psycopg.errors.InsufficientPrivilege),
                connect(places[0].as_writer()) as connection,
            ):
                connection.execute(f"SELECT * FROM {places[1].schema}.events")
        with pytest.raises(KeyFileWrongError):
            open_there(places[1], key_files[0])
    finally:
        with psycopg.connect(fresh.conninfo, autocommit=True) as connection:
            roles = ", ".join(places[1].roles.values())
            connection.execute(f"DROP OWNED BY {roles} CASCADE")
            connection.execute(f"DROP ROLE {roles}")


def test_key_file_is_made_once(database, tmp_path):
    """For a ledger that has none; never again, because a second would fork every citizen."""
    key_path = tmp_path / "ledger.key"
    migrate_ledger(database, key_path, COMPONENTS)
    assert 0o600 == stat.S_IMODE(key_path.stat().st_mode)
    before = key_path.read_bytes()
    migrate_ledger(database, key_path, COMPONENTS)
    assert before == key_path.read_bytes()
    Ledger(database, read_key_file(key_path)).check_key(key_path)
    key_path.unlink()
    migrate_ledger(database, key_path, COMPONENTS)
    assert not key_path.exists()
    with pytest.raises(KeyFileMissingError):
        open_there(database, key_path)


def test_a_server_that_is_too_old_or_too_new_is_refused(fresh, monkeypatch):
    """By its number, with those that are supported."""
    assert [15, 16, 17, 18] == list(SUPPORTED_MAJORS)
    monkeypatch.setattr(migrations, "SUPPORTED_MAJORS", range(1, 3))
    with pytest.raises(StoreNotReadyError, match="the ledger needs 1 to 2"):
        migrate(fresh)


def test_a_server_that_is_not_there(tmp_path):
    """It cannot be reached; the sentence holds no password."""
    url = "postgresql://user:s3cret@127.0.0.1:1/ledger?connect_timeout=2"
    for attempt in (lambda: migrate(external(url, schema="ledger")), lambda: open_ledger(url, home=tmp_path)):
        with pytest.raises(StoreUnavailableError, match="PostgreSQL cannot be reached") as caught:
            attempt()
        assert "s3cret" not in str(caught.value)


def test_a_database_that_is_not_there(server):
    """The server is, and says so."""
    with pytest.raises(StoreUnavailableError, match="does not exist"):
        migrate(server.database("nosuchdatabase"))


@pytest.mark.parametrize("schema", ["ledger", "ledger_read", "_x", "a" * 40, "user", "p38"])
def test_schema_may_have_this_name(schema):
    """Every name of roles made from it fits PostgreSQL's 63 bytes."""
    assert schema == check_schema(schema)
    assert len(Database("", schema).reads.projector) < 63


@pytest.mark.parametrize(
    "schema",
    ["", "Ledger", "38", "a-b", "a b", "a" * 41, "tỉnh", "a;b", 'a"b', "a\n", "pg_x", "public"]
    + ["information_schema", "ledger_reads"],
)
def test_schema_may_not_have_this_name(schema):
    """Refused before anything is connected to."""
    with pytest.raises(ValueError, match="schema"):
        external("postgresql://127.0.0.1:1/x", schema=schema)


def test_schema_named_as_a_keyword(server, tmp_path):
    """Identifiers are quoted everywhere."""
    name = server.create()
    place = Database(server.conninfo(name), "user")
    try:
        migrate_ledger(place, tmp_path / "ledger.key", COMPONENTS)
        with open_there(place, tmp_path / "ledger.key") as ledger:
            ledger.load_units("units_2025.csv", valid_from=a_life()[0].occurred_at.date())
            check_ledger(ledger, length=167)
        declared = declare(place, COMPONENTS)
        with connect(place.as_operator()) as connection:
            assert [] == compare(declared, read_catalogue(connection, declared))
    finally:
        server.drop(name)
        with psycopg.connect(server.conninfo(), autocommit=True) as connection:
            connection.execute(f"DROP ROLE {', '.join(place.roles.values())}")


def test_a_url_that_is_none_is_not_repeated():
    """It may hold a password."""
    with pytest.raises(ValueError, match="is not one that PostgreSQL understands") as caught:
        external("postgres//user:s3cret@host/db", schema="ledger")
    assert "s3cret" not in str(caught.value)


def test_place_is_described_without_password():
    """For people."""
    place = external("postgresql://user:s3cret@db.example:5433/thanhhoa", schema="p38")
    assert "database thanhhoa at db.example:5433, schema p38" == place.describe()
    assert "s3cret" not in place.describe()


def test_settings_of_the_url_are_kept(server, database):
    """What an operator puts into the URL stays; the ledger's own settings come last."""
    url = make_conninfo(database.conninfo, options="-c statement_timeout=4321 -c search_path=public")
    with psycopg.connect(Database(url, "ledger").as_writer()) as connection:
        [[timeout]] = connection.execute("SHOW statement_timeout").fetchall()
        [[path]] = connection.execute("SHOW search_path").fetchall()
        [[name]] = connection.execute("SHOW application_name").fetchall()
    assert ("4321ms", "activation-ledger") == (timeout, name)
    assert re.fullmatch(r"ledger, ?pg_temp", path)


def test_missing_is_asked_per_component(database):
    """As each program asks for what it needs itself."""
    with connect(database.reads.as_writer()) as connection:
        check_migrated(connection, database, (READS,))
        with pytest.raises(StoreNotReadyError, match="ledger migrate"):
            check_migrated(connection, database, (LOG,))
    with connect(database.as_writer()) as connection:
        assert [] == missing(connection, database, (LOG, *PROJECTIONS))
        check_migrated(connection, database, (LOG, *PROJECTIONS))
        stranger = migrations.Component("stranger", "ledger.sql", "owner")
        with pytest.raises(StoreNotReadyError, match=r"missing: 0001_log"):
            check_migrated(connection, database, (LOG, stranger))


def test_embedded_default():
    """No set-up at all: server, schema and key file are made, and found again; the application is the writer."""
    with temporary_home() as home:
        with open_ledger(home=home) as ledger:
            ledger.load_units("units_2025.csv", valid_from=a_life()[0].occurred_at.date())
            receipt = ledger.record(collect(unit="14797"))
            with ledger.recorder.datastore.get_connection() as connection:
                assert "ledger_writer" == connection.info.user
        assert EmbeddedPostgres(home).running()
        with open_ledger(home=home) as ledger:
            assert receipt.position == ledger.record(collect(unit="14797")).position
            check_ledger(ledger, length=168)
