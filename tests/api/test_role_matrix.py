"""Every role, every object of the database, every verb: as declared, by PostgreSQL's own word and by trying."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product

import psycopg
import pytest
from msgspec.structs import replace
from psycopg import sql

from ledger.database import Database
from ledger.migrations import connect
from ledger.privileges import Deviation, Held, Part, State, Thing, compare, declare, read_catalogue
from tests.conftest import COMPONENTS, Server
from tests.made import as_made, path_of

VERBS = {
    "table": ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"),
    "view": ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"),
    "sequence": ("SELECT", "UPDATE", "USAGE"),
    "column": ("SELECT", "INSERT", "UPDATE", "REFERENCES"),
    "function": ("EXECUTE",),
    "schema": ("USAGE", "CREATE"),
    "database": ("CREATE",),
    "parameter": ("SET", "ALTER SYSTEM"),
    "role": ("MEMBER", "USAGE"),
}
OBJECTS = """
SELECT CASE relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' ELSE 'table' END, nspname::text, relname::text, ''
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = ANY(%(schemas)s) AND relkind NOT IN ('i', 't', 'c')
UNION ALL
SELECT 'column', nspname, relname, attname::text
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = ANY(%(schemas)s) AND relkind IN ('r', 'v') AND attnum > 0 AND NOT attisdropped
UNION ALL
SELECT 'function', nspname, proname || '(' || replace(oidvectortypes(proargtypes), ',', ',') || ')', ''
FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
WHERE nspname = ANY(%(schemas)s)
UNION ALL
SELECT 'schema', nspname, '', '' FROM pg_namespace WHERE nspname = ANY(%(schemas)s)
UNION ALL
SELECT 'database', '', current_database(), ''
UNION ALL
SELECT 'parameter', '', 'session_replication_role', ''
UNION ALL
SELECT 'role', '', rolname, '' FROM pg_roles WHERE rolname = ANY(%(roles)s)
"""
ASKED = """
SELECT CASE kind
           WHEN 'column' THEN has_column_privilege(role, format('%%I.%%I', schema, name), attribute, verb)
           WHEN 'sequence' THEN has_sequence_privilege(role, format('%%I.%%I', schema, name), verb)
           WHEN 'function' THEN has_function_privilege(role, format('%%I.%%s', schema, name), verb)
           WHEN 'schema' THEN has_schema_privilege(role, schema, verb)
           WHEN 'database' THEN has_database_privilege(role, name, verb)
           WHEN 'parameter' THEN has_parameter_privilege(role, name, verb)
           WHEN 'role' THEN pg_has_role(role, name, verb)
           ELSE has_table_privilege(role, format('%%I.%%I', schema, name), verb)
       END
FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[]) WITH ORDINALITY
     AS cell (role, kind, schema, name, attribute, verb, place)
ORDER BY place
"""
Cell = tuple[str, str, str, str, str, str]
"""Role; kind, schema and name of the object; its column or nothing; verb."""
STRANGER = "a_stranger"
"""A role that was granted nothing: what it may, everybody may."""


class Matrix:
    """The cells of one database: what is declared, and what is."""

    def __init__(self, database: Database) -> None:
        self.declared = declare(database, COMPONENTS)
        schemas = [thing.schema for thing in self.declared.owners if thing.kind == "schema"]
        asked = {"schemas": schemas, "roles": [*self.declared.roles]}
        with connect(database.as_operator()) as connection:
            connection.execute("SET search_path = pg_catalog, pg_temp")
            objects = connection.execute(OBJECTS, asked).fetchall()
            self.cells: list[Cell] = [
                (role, *one, verb)
                for role, one in product((*self.declared.roles, STRANGER), objects)
                for verb in VERBS[one[0]]
            ]
            columns = list(map(list, zip(*self.cells, strict=True)))
            may = [may for (may,) in connection.execute(ASKED, columns).fetchall()]
            found = read_catalogue(connection, self.declared)
        self.found = dict(zip(self.cells, may, strict=True))
        self.guards = (guards(self.declared), guards(found))
        self.deviations = compare(self.declared, found)

    def differences(self) -> list:
        """Return the cells that are not as declared, and the triggers and search paths."""
        cells = [cell for cell, may in self.found.items() if may != expected(self.declared, cell)]
        declared, found = self.guards
        return cells + sorted(declared ^ found, key=str)


def guards(state: State) -> set:
    """What no privilege says: which triggers fire, on what; the search paths of functions with their owner's rights; policies."""
    firing = {(one, does) for one, does in state.triggers.items() if one not in state.disabled}
    seen = {*state.secured.items(), *state.policies.items()}
    return firing | seen | {*state.definers.items()} | {(rule, "") for rule in state.rules}


def expected(declared: State, cell: Cell) -> bool:
    """Whether a role may by what is declared: as the owner, by a right on all of it, or on the column."""
    role, kind, schema, name, column, verb = cell
    if kind == "role":
        # The migrator becomes what it is a member of, and has none of its rights before.
        return role == name or (verb == "MEMBER" and (role, name) in declared.members)
    thing = Thing("table" if kind == "column" else kind, schema, name)
    if role != STRANGER and declared.owners.get(thing) == role:
        return True
    columns = {"", column} if kind == "column" else {""}
    return any(Held(thing, one, verb, role) in declared.rights for one in columns)


@pytest.fixture(scope="module", autouse=True)
def stranger(server: Server) -> Iterator[None]:
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {STRANGER}")
        yield
        connection.execute(f"DROP ROLE {STRANGER}")


@pytest.fixture(scope="module")
def place(server: Server, migrated_template: str) -> Iterator[Database]:
    """A database that each test of this module leaves as it was."""
    name = server.create(migrated_template)
    yield server.database(name)
    server.drop(name)


@pytest.fixture(scope="module")
def superuser(place: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(place.conninfo, autocommit=True) as connection:
        connection.execute("SET search_path = pg_catalog")
        yield connection


def test_every_cell_is_as_declared(place):
    """Roles by objects by verbs: at least 500 without the columns, and no difference."""
    matrix = Matrix(place)
    assert [] == matrix.differences()
    assert 500 <= sum(cell[1] != "column" for cell in matrix.cells)
    assert {*VERBS} - {"view", "sequence"} <= {cell[1] for cell in matrix.cells}
    # It says no and yes: of every verb that is declared, both.
    for verb in {held.verb for held in matrix.declared.rights}:
        assert {True, False} == {may for cell, may in matrix.found.items() if cell[5] == verb}


DANGEROUS = {
    "change events": "UPDATE {s}.events SET state = ''",
    "take events away": "DELETE FROM {s}.events",
    "empty the log": "TRUNCATE {s}.events",
    "forge events": "INSERT INTO {s}.events SELECT * FROM {s}.events",
    "change looks": "UPDATE {s}_reads.events SET state = ''",
    "take looks away": "DELETE FROM {s}_reads.events",
    "empty the looks": "TRUNCATE {s}_reads.events",
    "drop looks": "SELECT {s}_reads.drop_looks(0, current_date, 0, '{{}}')",
    "forget what was dropped": "DELETE FROM {s}_reads.dropped",
    "silence the looks": "ALTER TABLE {s}_reads.events DISABLE TRIGGER ALL",
    "turn the head back": "UPDATE {s}.head SET size = 0",
    "exchange the key": "DELETE FROM {s}.key_check",
    "forget a migration": "DELETE FROM {s}.migrations",
    "disable a trigger": "ALTER TABLE {s}.events DISABLE TRIGGER events_are_immutable",
    "drop a trigger": "DROP TRIGGER events_are_immutable ON {s}.events",
    "make a trigger": "CREATE TRIGGER t BEFORE INSERT ON {s}.events EXECUTE FUNCTION {s}.refuse_change()",
    "make a rule": "CREATE RULE r AS ON INSERT TO {s}.events DO INSTEAD NOTHING",
    "silence triggers": "SET session_replication_role = replica",
    "replace append": "CREATE OR REPLACE FUNCTION {s}.claim_key(wanted bytea) RETURNS bytea RETURN wanted",
    "lead append elsewhere": "ALTER FUNCTION {s}.claim_key(bytea) SET search_path = {s}",
    "plant a function": "CREATE FUNCTION {s}.cardinality(uuid[]) RETURNS int RETURN 1",
    "plant a table": "CREATE TABLE {s}.events_rebuild ()",
    "plant in public": "CREATE FUNCTION public.cardinality(uuid[]) RETURNS int RETURN 1",
    "make a schema": "CREATE SCHEMA planted",
    # Whoever may grant nothing is only warned.
    "grant itself": "GRANT UPDATE ON {s}.events TO {role}; UPDATE {s}.events SET state = ''",
    "change counts": "UPDATE {s}.unit_totals_ever SET collected = 0",
    "see numbers": "SELECT sealed FROM {s}.citizens",
    "read a file": "COPY {s}.events FROM '/etc/passwd'",
    "run a program": "COPY {s}.head TO PROGRAM 'true'",
    "make a role": "CREATE ROLE another",
}
OWNS = {
    "owner": DANGEROUS.keys()
    - {"silence triggers", "plant in public", "make a schema", "change counts"}
    - {"read a file", "run a program", "make a role"},
    "projector": {"plant a function", "plant a table", "change counts"},
    "writer": {"see numbers"},
}
"""What a role may, because it owns it; the writer looks citizens up. Triggers then stop the owner's hand."""
STOPPED = {
    "change looks",
    "take looks away",
    "empty the looks",
    "forget what was dropped",
    "grant itself",
    "change events",
    "take events away",
    "empty the log",
    "exchange the key",
}


@contextmanager
def acting_as(database: Database, role: str) -> Iterator[psycopg.Connection]:
    """A session that began as a role, with no way back to more."""
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        connection.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(role)))
        yield connection


@pytest.mark.parametrize(
    "role", ["owner", "migrator", "writer", "reads_writer", "reader", "projector", "auditor"]
)
def test_what_is_dangerous_is_tried(place, role):
    """By each role: whatever it does not own is refused, and the triggers refuse the owner."""
    done, stopped = set(), set()
    with acting_as(place, place.roles[role]) as connection:
        for what, statement in DANGEROUS.items():
            try:
                with connection.transaction(force_rollback=True):
                    connection.execute(statement.format(s=place.schema, role=place.roles[role]))
            except psycopg.errors.InsufficientPrivilege:
                continue
            except psycopg.DatabaseError as error:
                assert "AL003" == error.sqlstate, f"{what}: {error}"
                stopped.add(what)
            done.add(what)
    assert OWNS.get(role, set()) == done
    assert (STOPPED if role == "owner" else set()) == stopped


def test_nobody_becomes_another_but_the_migrator(place):
    """Each tries to become each, and the superuser."""
    became = set()
    for role in place.roles:
        with acting_as(place, place.roles[role]) as connection:
            for other in {**place.roles, "superuser": "postgres"}.items():
                try:
                    connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(other[1])))
                    became.add((role, other[0]))
                    connection.execute("RESET ROLE")
                except psycopg.errors.InsufficientPrivilege:
                    continue
    assert {("migrator", "owner"), ("migrator", "projector")} == {
        pair for pair in became if pair[0] != pair[1]
    }


APPEND = "ledger.append(uuid[], bigint[], text[], bytea[], bytea[], uuid[], bytea[], bytea[], bigint)"
DAMAGE = [
    ("GRANT DELETE ON ledger.events TO ledger_writer", "ledger_writer may DELETE on the table ledger.events"),
    (
        "GRANT SELECT, UPDATE ON ledger.head TO PUBLIC",
        "everybody (PUBLIC) may SELECT, UPDATE on the table ledger.head",
    ),
    (
        "GRANT UPDATE (state) ON ledger.events TO ledger_reader",
        'ledger_reader may UPDATE ("state") on the table ledger.events',
    ),
    (f"GRANT SELECT ON ledger.worklist TO {STRANGER}", f"{STRANGER} may SELECT on the table ledger.worklist"),
    (
        "REVOKE SELECT ON ledger.head FROM ledger_projector",
        "ledger_projector may not SELECT on the table ledger.head",
    ),
    (
        "REVOKE SELECT (team) ON ledger.worklist FROM ledger_reader",
        'ledger_reader may not SELECT ("team") on the table ledger.worklist',
    ),
    (
        f"REVOKE EXECUTE ON FUNCTION {APPEND} FROM ledger_writer",
        "ledger_writer may not EXECUTE on the function",
    ),
    (
        "GRANT EXECUTE ON FUNCTION ledger.claim_key(bytea) TO PUBLIC",
        "everybody (PUBLIC) may EXECUTE on the function ledger.claim_key(bytea)",
    ),
    ("GRANT CREATE ON SCHEMA ledger TO ledger_reader", "ledger_reader may CREATE on the schema ledger"),
    ("ALTER TABLE ledger.events OWNER TO ledger_writer", "belongs to ledger_writer, not to ledger_owner"),
    (
        "ALTER FUNCTION ledger.refuse_change() OWNER TO ledger_projector",
        "the function ledger.refuse_change() belongs to ledger_projector, not to ledger_owner",
    ),
    (
        "ALTER TABLE ledger.events DISABLE TRIGGER events_are_immutable",
        "the trigger events_are_immutable of the table ledger.events is disabled",
    ),
    (
        "ALTER TABLE ledger.head ENABLE REPLICA TRIGGER head_is_kept",
        "head_is_kept of the table ledger.head is disabled",
    ),
    ("DROP TRIGGER head_is_kept ON ledger.head", "head_is_kept of the table ledger.head is missing"),
    (
        "CREATE OR REPLACE TRIGGER head_is_kept BEFORE TRUNCATE ON ledger.head EXECUTE FUNCTION ledger.refuse_change()",
        "head_is_kept of the table ledger.head does something else",
    ),
    (
        "CREATE TRIGGER mine BEFORE INSERT ON ledger.events EXECUTE FUNCTION ledger.refuse_change()",
        "ledger.events has a trigger mine that the ledger does not know",
    ),
    (
        "CREATE RULE lost AS ON INSERT TO ledger.events DO INSTEAD NOTHING",
        "ledger.events has a rule lost that the ledger does not know",
    ),
    (
        "ALTER FUNCTION ledger.claim_key(bytea) SET search_path = ledger, pg_temp",
        "runs with its owner's rights, and its search path is ledger, pg_temp",
    ),
    (
        "ALTER FUNCTION ledger.claim_key(bytea) RESET search_path",
        "its search path is that of whoever calls it",
    ),
    (
        "ALTER FUNCTION ledger.refuse_change() SECURITY DEFINER",
        "ledger.refuse_change() runs with its owner's rights",
    ),
    (
        "ALTER FUNCTION ledger.claim_key(bytea) SECURITY INVOKER",
        "claim_key(bytea) does not run with its owner's rights",
    ),
    (
        "ALTER TABLE ledger.worklist DISABLE ROW LEVEL SECURITY",
        "sees all of its rows: row-level security is off",
    ),
    ("ALTER TABLE ledger.worklist FORCE ROW LEVEL SECURITY", "table ledger.worklist binds its owner too"),
    (
        "ALTER TABLE ledger.events ENABLE ROW LEVEL SECURITY",
        "the table ledger.events has row-level security, which",
    ),
    (
        "ALTER POLICY readers ON ledger.worklist USING (true)",
        "the policy readers of the table ledger.worklist is",
    ),
    (
        "ALTER POLICY application ON ledger.worklist TO PUBLIC",
        "the policy application of the table ledger.worklist is",
    ),
    (
        "DROP POLICY application ON ledger.worklist",
        "the policy application of the table ledger.worklist is missing",
    ),
    (
        "CREATE POLICY mine ON ledger.worklist USING (true)",
        "ledger.worklist has a policy mine that the ledger does not",
    ),
    ("GRANT ledger_owner TO ledger_writer", "ledger_writer is a member of ledger_owner"),
    (f"GRANT ledger_owner TO {STRANGER}", f"{STRANGER} is a member of ledger_owner"),
    ("GRANT pg_read_all_data TO ledger_reader", "ledger_reader is a member of pg_read_all_data"),
    ("REVOKE ledger_projector FROM ledger_migrator", "ledger_migrator is no member of ledger_projector"),
    (
        "GRANT SET ON PARAMETER session_replication_role TO ledger_writer",
        "ledger_writer may SET on the parameter",
    ),
]
"""What both the doctor and the matrix see, each with how it is told."""
UNSEEN = [
    (
        "GRANT SELECT ON ledger.events TO ledger_auditor WITH GRANT OPTION",
        "ledger_auditor may grant SELECT on the table ledger.events to others",
    ),
    ("ALTER ROLE ledger_owner LOGIN", "the role ledger_owner may log in"),
    ("ALTER ROLE ledger_writer BYPASSRLS", "the role ledger_writer has BYPASSRLS"),
    (
        "ALTER ROLE ledger_writer SET search_path = public",
        "sessions of ledger_writer begin with a search_path",
    ),
    (
        "ALTER DEFAULT PRIVILEGES FOR ROLE ledger_owner IN SCHEMA ledger GRANT SELECT ON TABLES TO ledger_reader",
        "whatever TABLES ledger_owner makes are given to ledger_reader by default",
    ),
]
"""What gives rights only later, or by another way than a grant: the doctor alone sees it."""


@pytest.mark.parametrize(("damage", "told"), DAMAGE + UNSEEN, ids=[damage for damage, _ in DAMAGE + UNSEEN])
def test_a_deviation_is_seen_and_mended(place, superuser, damage, told):
    """It turns the matrix red, the doctor says which it is, and what it says to type makes it good again."""
    superuser.execute(damage)
    mended: list[Deviation] = []
    try:
        matrix = Matrix(place)
        assert ((damage, told) in UNSEEN) == (matrix.differences() == [])
        mended = matrix.deviations
        assert any(told in deviation.says for deviation in mended), [one.says for one in mended]
    finally:
        for deviation in mended:
            superuser.execute(deviation.mend)
    matrix = Matrix(place)
    assert ([], []) == (matrix.differences(), matrix.deviations)


PLANTED = [
    ("CREATE VIEW ledger.leak AS SELECT * FROM ledger.events", "view ledger.leak"),
    ("CREATE TABLE ledger.copied AS SELECT * FROM ledger.events", "table ledger.copied"),
    ("CREATE SEQUENCE ledger.numbers", "sequence ledger.numbers"),
    (
        "CREATE FUNCTION ledger.cardinality(uuid[]) RETURNS int RETURN 1",
        "function ledger.cardinality(uuid[])",
    ),
    ("CREATE PROCEDURE ledger.p() LANGUAGE sql BEGIN ATOMIC END", "procedure ledger.p()"),
    (
        "CREATE OPERATOR ledger.* (FUNCTION = pg_catalog.numeric_mul, LEFTARG = numeric, RIGHTARG = numeric)",
        "operator ledger.* (numeric, numeric)",
    ),
    (
        "CREATE MATERIALIZED VIEW ledger.kept AS SELECT * FROM ledger.events",
        "materialized view ledger.kept",
    ),
]


@pytest.mark.parametrize(("statement", "called"), PLANTED, ids=[called for _, called in PLANTED])
def test_what_is_planted_is_told(place, superuser, statement, called):
    """Whatever stands in the schema and is not the ledger's; dropped as it says, all is well."""
    superuser.execute(statement)
    [deviation] = Matrix(place).deviations
    assert f"postgres has a {called} that the ledger does not know" == deviation.says
    superuser.execute(deviation.mend)
    assert [] == Matrix(place).deviations


def test_a_rebuild_under_way_is_no_deviation(place, superuser):
    """Its tables stand beside the live ones; who may read them is."""
    superuser.execute(
        "CREATE TABLE ledger.worklist_rebuild (LIKE ledger.worklist);"
        "ALTER TABLE ledger.worklist_rebuild OWNER TO ledger_projector"
    )
    assert [] == Matrix(place).deviations
    superuser.execute("GRANT SELECT ON ledger.worklist_rebuild TO ledger_writer")
    [deviation] = Matrix(place).deviations
    superuser.execute("DROP TABLE ledger.worklist_rebuild")
    assert "ledger_writer may SELECT on the table ledger.worklist_rebuild" in deviation.says


def test_a_table_that_is_gone_is_told(database, operator):
    """No statement brings it back."""
    operator.execute("DROP TABLE key_check CASCADE")
    [deviation] = Matrix(database).deviations
    assert "the table ledger.key_check is missing" == deviation.says


REPLACED = "DO $do$ BEGIN EXECUTE replace(pg_get_functiondef('{}'::regproc), '{}', '{}'); END $do$"
"""A function made anew, with other words in it."""
NOT_THE_ONE = "is not the one that the migrations make"
LEDGER_HEAD = "the table ledger.head"
REMADE = [
    (
        REPLACED.format(
            "ledger.append", "PERFORM pg_notify", "DELETE FROM ledger.citizens; PERFORM pg_notify"
        ),
        f"the function {APPEND} {NOT_THE_ONE}",
    ),
    (
        REPLACED.format("ledger_reads.append", "greatest(recorded, old_time)", "recorded"),
        f"the function {APPEND.replace('ledger.', 'ledger_reads.')} {NOT_THE_ONE}",
    ),
    (
        REPLACED.format("ledger_reads.record_reads", "ids, next_versions", "ids[:0], next_versions"),
        f"ledger_reads.record_reads(uuid[], text[], bytea[]) {NOT_THE_ONE}",
    ),
    (
        REPLACED.format("ledger.refuse_change", "RAISE EXCEPTION", "RAISE NOTICE"),
        f"the function ledger.refuse_change() {NOT_THE_ONE}",
    ),
    (
        REPLACED.format("ledger.readable_leaves", "unit_id IN", "true OR unit_id IN"),
        f"the function ledger.readable_leaves(name) {NOT_THE_ONE}",
    ),
    ("ALTER FUNCTION ledger.claim_key(bytea) IMMUTABLE", f"ledger.claim_key(bytea) {NOT_THE_ONE}"),
    ("ALTER FUNCTION ledger.claim_key(bytea) PARALLEL SAFE", f"ledger.claim_key(bytea) {NOT_THE_ONE}"),
    ("ALTER FUNCTION ledger.claim_key(bytea) STRICT", f"ledger.claim_key(bytea) {NOT_THE_ONE}"),
    (
        "ALTER FUNCTION ledger.refuse_change() SET session_replication_role = replica",
        f"the function ledger.refuse_change() {NOT_THE_ONE}",
    ),
    (
        "ALTER TABLE ledger.events DROP CONSTRAINT events_originator_id_originator_version_key",
        "the constraint events_originator_id_originator_version_key of the table ledger.events is missing: "
        "UNIQUE (originator_id, originator_version)",
    ),
    (
        "ALTER TABLE ledger.events DROP CONSTRAINT events_pkey, ADD CONSTRAINT events_pkey PRIMARY KEY (leaf)",
        "the constraint events_pkey of the table ledger.events is PRIMARY KEY (leaf), not PRIMARY KEY (notification_id)",
    ),
    (
        "ALTER TABLE ledger.citizens DROP CONSTRAINT citizens_dossier_id_key, "
        "ADD CONSTRAINT citizens_dossier_id_key UNIQUE (dossier_id) DEFERRABLE INITIALLY DEFERRED",
        "the constraint citizens_dossier_id_key of the table ledger.citizens is UNIQUE (dossier_id) DEFERRABLE",
    ),
    (
        "UPDATE pg_index SET indisunique = false WHERE indexrelid = 'ledger.events_pkey'::regclass",
        "is PRIMARY KEY (notification_id), which its index does not enforce, not PRIMARY KEY (notification_id)",
    ),
    (
        "ALTER TABLE ledger.head DROP CONSTRAINT head_one_check",
        f"the constraint head_one_check of {LEDGER_HEAD} is missing: CHECK (one)",
    ),
    (
        "ALTER TABLE ledger_reads.citizens DROP CONSTRAINT nobody_is_registered_here",
        "nobody_is_registered_here of the table ledger_reads.citizens is missing: CHECK (false)",
    ),
    (
        "ALTER TABLE ledger.head ADD CONSTRAINT mine CHECK (size < 9)",
        f"{LEDGER_HEAD} has the constraint mine, which the ledger does not know",
    ),
    (
        "CREATE UNIQUE INDEX mine ON ledger.events (topic)",
        "the table ledger.events has the index mine, which the ledger does not know",
    ),
    (
        "ALTER TABLE ledger.events ALTER COLUMN state DROP NOT NULL",
        "the column state of the table ledger.events is bytea, not bytea NOT NULL",
    ),
    (
        "ALTER TABLE ledger.events ADD COLUMN mine text DEFAULT 'x'",
        "the table ledger.events has the column mine, which the ledger does not know",
    ),
    ("ALTER TABLE ledger.head SET UNLOGGED", f"{LEDGER_HEAD} is empty after a crash of the server"),
    (
        "CREATE TABLE public.forged () INHERITS (ledger.events)",
        "the table ledger.events shows the rows of public.forged too, which inherits from it",
    ),
]
"""What stands where it stood, and is another thing."""


def deviations(place: Database) -> list[Deviation]:
    declared = declare(place, COMPONENTS)
    with connect(place.as_operator()) as connection:
        return compare(declared, read_catalogue(connection, declared))


@pytest.mark.parametrize(("damage", "told"), REMADE, ids=[told for _, told in REMADE])
def test_what_is_another_thing_is_seen_and_mended(place, superuser, damage, told):
    """Functions, columns, constraints and indexes; one deviation each, and what it says to type makes it good again."""
    superuser.execute(damage)
    mended: list[Deviation] = []
    try:
        mended = deviations(place)
        [deviation] = mended
        assert told in deviation.says
    finally:
        for deviation in mended:
            superuser.execute(deviation.mend)
        superuser.execute("DROP TABLE IF EXISTS public.forged")
    assert [] == deviations(place)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (
            "ALTER COLUMN topic TYPE varchar(99)",
            "topic of the table ledger.events is character varying(99) NOT NULL",
        ),
        ("ALTER COLUMN leaf SET DEFAULT ''", "the column leaf of the table ledger.events is bytea DEFAULT "),
        ("DROP COLUMN leaf", "the column leaf of the table ledger.events is missing: bytea NOT NULL"),
    ],
)
def test_a_column_that_is_another_one_is_told(database, operator, damage, told):
    """No statement brings back what it held."""
    operator.execute(f"ALTER TABLE events {damage}")
    [deviation] = deviations(database)
    assert told in deviation.says
    assert "nothing; restore a backup" == deviation.mend


def test_an_index_that_is_gone_is_told(place, superuser):
    """One that a migration makes for its own sake; the logs have none so far."""
    declared = declare(place, COMPONENTS)
    part = Part("index", Thing("table", "ledger", "events"), "by_topic")
    wanted = 'CREATE INDEX by_topic ON "ledger".events USING btree (topic)'
    declared = replace(declared, made={**declared.made, part: wanted})
    with connect(place.as_operator()) as connection:
        [deviation] = compare(declared, read_catalogue(connection, declared))
        assert f"the index by_topic of the table ledger.events is missing: {wanted}" == deviation.says
        superuser.execute(deviation.mend)
        assert [] == compare(declared, read_catalogue(connection, declared))
        superuser.execute(deviation.mend.replace("(topic)", "(leaf)"))
        [deviation] = compare(declared, read_catalogue(connection, declared))
        assert (
            f"by_topic of the table ledger.events is {wanted.replace('topic)', 'leaf)')}, not"
            in deviation.says
        )
    superuser.execute("DROP INDEX ledger.by_topic")
    assert [] == deviations(place)


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)
def test_what_is_said_to_be_made_is_what_the_migrations_make(place, component):
    """After a migration was added: ``make made``."""
    assert path_of(component).read_text(encoding="utf-8") == as_made(component, place)
