"""Which PostgreSQL the ledger lives in, and as whom it is entered.

Nothing here decides anything: it makes connection strings. Roles are cluster-wide,
so their names carry the schema.
"""

import re
from pathlib import Path

import msgspec
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ledger.embedded import EmbeddedPostgres

SUPPORTED_MAJORS = range(15, 19)
"""PostgreSQL 15 to 18."""
CONNECT_SECONDS_MAX = 10
LOCK_SECONDS_MAX = 30.0
"""How long an append waits for its turn. One takes milliseconds; whoever holds the lock for longer hangs."""
STATEMENT_SECONDS_MAX = 60.0
"""How long one question or append may take. They take milliseconds, but an answer that nobody waits for any more would
keep a processor, and the connection of somebody else."""
PATIENT_SECONDS_MAX = 3600.0
"""The same of a projection, which writes a stretch of the log at once, and when it is rebuilt its whole table."""
SILENCE_SECONDS_MAX = 60.0
"""How long a transaction may be open while nobody says anything in it: it may hold what others wait for."""

READS_SUFFIX = "_reads"
"""Of the schema that holds a ledger's second log."""

_is_schema = re.compile(r"[a-z_][a-z0-9_]{0,39}", re.ASCII).fullmatch


ROLES = ("owner", "migrator", "writer", "reads_writer", "reader", "projector", "auditor")
"""What a ledger's roles are called, after its schema. What each may do is said in ``ledger/sql/privileges.toml`` and, of
the read models, in ``projections/sql/privileges.toml``."""


class Database(msgspec.Struct, frozen=True):
    """One ledger's place: a server, a database in it, a schema in that."""

    conninfo: str
    """The operator's connection; for an embedded server its superuser's."""
    schema: str
    embedded: bool = False
    reads_of: str = ""
    """Of the place of a second log, which tells who looked: the schema of the first one."""

    @property
    def reads(self) -> "Database":
        """Return the place of the second log. Its roles are the ledger's, but whoever may append to one may not to the other."""
        return msgspec.structs.replace(self, schema=self.schema + READS_SUFFIX, reads_of=self.schema)

    @property
    def roles(self) -> dict[str, str]:
        """Return the ledger's roles as PostgreSQL knows them, by what they are called here."""
        return {role: f"{self.reads_of or self.schema}_{role}" for role in ROLES}

    @property
    def owner(self) -> str:
        return self.roles["owner"]

    @property
    def writer(self) -> str:
        return self.roles["reads_writer" if self.reads_of else "writer"]

    @property
    def projector(self) -> str:
        return self.roles["projector"]

    def as_operator(self) -> str:
        """Return how migrations connect."""
        return self._conninfo({}, "")

    def as_writer(self, lock_seconds_max: float = LOCK_SECONDS_MAX) -> str:
        """Return how the application connects: EXECUTE on what appends and SELECT, nothing else."""
        return self._as_role(self.writer, f" -c lock_timeout={round(lock_seconds_max * 1000)}")

    def as_projector(self) -> str:
        """Return how projections connect: they read the log and own their tables."""
        return self._as_role(self.projector, statement_seconds_max=PATIENT_SECONDS_MAX)

    def as_patient_writer(self) -> str:
        """Return how somebody connects who goes through the whole log in one transaction: nothing is bounded."""
        return self._as_role(self.writer, statement_seconds_max=0, silence_seconds_max=0)

    def _as_role(
        self,
        role: str,
        options: str = "",
        *,
        statement_seconds_max: float | None = None,
        silence_seconds_max: float | None = None,
    ) -> str:
        given = str(conninfo_to_dict(self.conninfo).get("options") or "")
        for name, seconds, default in (
            ("statement_timeout", statement_seconds_max, STATEMENT_SECONDS_MAX),
            ("idle_in_transaction_session_timeout", silence_seconds_max, SILENCE_SECONDS_MAX),
        ):
            # A limit that the operator put into the URL stays; not where everything is gone through.
            if seconds is not None or name not in given:
                options += f" -c {name}={round((default if seconds is None else seconds) * 1000)}"
        if self.embedded:
            return self._conninfo({"user": role}, options)
        # One login for everything elsewhere: each session gives up all rights but the role's.
        return self._conninfo({}, f"{options} -c role={role}")

    def _conninfo(self, changes: dict[str, str], options: str) -> str:
        given = conninfo_to_dict(self.conninfo)
        settings = f"-c search_path={self.schema},pg_temp -c timezone=UTC{options}"
        return make_conninfo(
            self.conninfo,
            **changes,
            options=f"{given.get('options') or ''} {settings}".strip(),
            connect_timeout=given.get("connect_timeout") or CONNECT_SECONDS_MAX,
            application_name="activation-ledger",
        )

    def describe(self) -> str:
        """Return where it is, without password, for people."""
        given = conninfo_to_dict(self.conninfo)
        host = given.get("host") or given.get("hostaddr") or "the local socket"
        port = f":{given['port']}" if given.get("port") else ""
        return f"database {given.get('dbname') or 'postgres'} at {host}{port}, schema {self.schema}"


def check_schema(schema: str) -> str:
    """Return *schema* if it can name a ledger.

    Raises:
        ValueError: It is not 1 to 40 lower-case letters, digits and _, is PostgreSQL's own, or that of a second log.
    """
    if not _is_schema(schema):
        raise ValueError(f"the schema {schema!r} must be 1 to 40 lower-case letters, digits and _")
    if schema.startswith("pg_") or schema in {"public", "information_schema"}:
        raise ValueError(f"the schema {schema} belongs to PostgreSQL; name one of the ledger's own")
    if schema.endswith(READS_SUFFIX):
        raise ValueError(
            f"the schema {schema} would be that of another ledger's log of who looked; take another name"
        )
    return schema


def external(url: str, *, schema: str) -> Database:
    """Return a ledger's place in a PostgreSQL that is already there.

    Raises:
        ValueError: Not a connection string; the sentence does not repeat it, it may hold a password.
    """
    try:
        conninfo_to_dict(url)
    except ProgrammingError:
        raise ValueError(
            "the database URL is not one that PostgreSQL understands; "
            "write postgresql://user:password@host:5432/database"
        ) from None
    return Database(url, check_schema(schema))


def embedded(home: Path, *, schema: str) -> Database:
    """Start the home's own PostgreSQL if it does not run, and return the ledger's place in it."""
    check_schema(schema)
    server = EmbeddedPostgres(home)
    server.start()
    return Database(server.conninfo(), schema, embedded=True)
