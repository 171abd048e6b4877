"""Who may do what and what the migrations make, in the form in which what is declared and what is there are compared."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec


class Thing(NamedTuple):
    """Something that rights are about."""

    kind: str
    """schema, table, view, sequence, function, database, parameter and the like, as PostgreSQL calls it."""
    schema: str
    name: str
    """Of a function, with the types of its arguments; of a schema empty."""


class Held(NamedTuple):
    """One right of one role. An owner has all rights, and none is held here."""

    thing: Thing
    column: str
    """Empty: it is about all of the thing."""
    verb: str
    grantee: str
    """A role, or PUBLIC."""
    grantable: bool = False


class RoleFacts(NamedTuple):
    """What a role is, besides what it was granted."""

    may_log_in: bool
    powers: frozenset[str] = frozenset()
    """SUPERUSER, CREATEROLE, CREATEDB, REPLICATION, BYPASSRLS."""


class Named(NamedTuple):
    """A trigger, a rule or a policy of a table."""

    table: Thing
    name: str


class Part(NamedTuple):
    """Something that the migrations make, and of which they say more than whose it is."""

    kind: str
    """function; or of a table column, constraint, index."""
    thing: Thing
    """The function, or the table."""
    name: str = ""
    """Of a function empty."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a ledger's schemas and roles that says who may do what, and what is done then."""

    roles: Mapping[str, RoleFacts]
    members: Mapping[tuple[str, str], bool]
    """By a member and what it is a member of, whether it has the rights of that without becoming it."""
    owners: Mapping[Thing, str]
    rights: frozenset[Held]
    definers: Mapping[Thing, str]
    """Functions that run with their owner's rights, and the search path that they set: empty where they set none."""
    triggers: Mapping[Named, str]
    """What each does, as PostgreSQL tells it after its name, but with ``{schema}`` for the schema."""
    secured: Mapping[Thing, str]
    """Tables with row-level security: ENABLE, or FORCE where it binds the owner too."""
    policies: Mapping[Named, str]
    """What each lets whom see, in the words of CREATE POLICY, and as PostgreSQL tells it."""
    made: Mapping[Part, str]
    """What each is, as PostgreSQL tells it: a function's whole definition, a column's type, an index as it is created."""
    disabled: frozenset[Named] = frozenset()
    unlogged: frozenset[Thing] = frozenset()
    """Tables whose rows a crash takes away."""
    heirs: frozenset[Named] = frozenset()
    """Tables that inherit from one, by their full name: their rows are told as if they were its own."""
    rules: frozenset[Named] = frozenset()
    defaults: frozenset[tuple[str, str, str, str]] = frozenset()
    """What is granted of whatever will be made: by whom, in which schema, of what, to whom."""
    settings: frozenset[tuple[str, str, str]] = frozenset()
    """Settings with which roles' sessions begin: role, database or empty, setting."""


class Deviation(msgspec.Struct, frozen=True):
    """Something that is not as declared."""

    says: str
    mend: str
    """What to type as a superuser, or as the owner of it."""

    def __str__(self) -> str:
        return f"{self.says}; as a superuser type: {self.mend}"
