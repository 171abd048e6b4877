"""Who may do what, as ``privileges.toml`` beside each component's migrations declares it."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from importlib.resources import files

import msgspec

from ledger.database import Database
from ledger.migrations import Component
from ledger.privileges.made import filled, read_made
from ledger.privileges.state import Held, Named, Part, RoleFacts, State, Thing

DEFINERS_PATH = "pg_catalog, pg_temp"
"""The search path of a function that runs with its owner's rights: nothing that others make is on it."""

_TABLE_OF_TRIGGER = re.compile(r" ON \{schema\}\.([a-z_]+) ").search


class _Role(msgspec.Struct, forbid_unknown_fields=True):
    may_log_in: bool = False
    may_become: list[str] = []
    """What it is a member of, without having the rights of that before it becomes it."""


class _Thing(msgspec.Struct, forbid_unknown_fields=True):
    """Verbs are those of GRANT; each has the roles that may."""

    owner: str
    definer: bool = False
    columns: dict[str, dict[str, list[str]]] = {}
    """By verb and role, the columns that it may."""
    policies: dict[str, str] = {}
    """By name, what they let whom see."""
    SELECT: list[str] = []
    USAGE: list[str] = []
    CREATE: list[str] = []
    EXECUTE: list[str] = []

    def verbs(self) -> Iterator[tuple[str, list[str]]]:
        for verb in ("SELECT", "USAGE", "CREATE", "EXECUTE"):
            yield verb, getattr(self, verb)


class _File(msgspec.Struct, forbid_unknown_fields=True):
    roles: dict[str, _Role] = {}
    schema: _Thing | None = None
    tables: dict[str, _Thing] = {}
    sequences: dict[str, _Thing] = {}
    functions: dict[str, _Thing] = {}
    triggers: dict[str, str] = {}


def declare(database: Database, components: Sequence[Component]) -> State:
    """Return what is declared of a ledger's places: of the schema of each log, and of its roles; and what was made there."""
    roles: dict[str, RoleFacts] = {}
    members: dict[tuple[str, str], bool] = {}
    owners: dict[Thing, str] = {}
    rights: set[Held] = set()
    definers: dict[Thing, str] = {}
    policies: dict[Named, str] = {}
    triggers: dict[Named, str] = {}
    made: dict[Part, str] = {}
    for component in components:
        names, schema = database.roles, component.place(database).schema
        placeholders = {f"{{{role}}}": name for role, name in names.items()}
        file = _read(component)
        for role, facts in file.roles.items():
            roles[names[role]] = RoleFacts(facts.may_log_in)
            members |= {(names[role], names[held]): False for held in facts.may_become}
        for thing, of in _things(file, schema):
            owners[thing] = names[of.owner]
            if of.definer:
                definers[thing] = DEFINERS_PATH
            rights |= {Held(thing, "", verb, names[role]) for verb, may in of.verbs() for role in may}
            rights |= {
                Held(thing, column, verb, names[role])
                for verb, may in of.columns.items()
                for role, columns in may.items()
                for column in columns
            }
            for name, lets in of.policies.items():
                policies[Named(thing, name)] = filled(lets, placeholders)
        for name, does in file.triggers.items():
            table = _TABLE_OF_TRIGGER(does)
            assert table, name
            triggers[Named(Thing("table", schema, table[1]), name)] = does
        made |= read_made(component, schema)
    return State(
        roles=roles,
        members=members,
        owners=owners,
        rights=frozenset(rights),
        definers=definers,
        triggers=triggers,
        secured={policy.table: "ENABLE" for policy in policies},
        policies=policies,
        made=made,
    )


def _read(component: Component) -> _File:
    text = (files(component.package) / "privileges.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), _File)


def _things(file: _File, schema: str) -> Iterator[tuple[Thing, _Thing]]:
    if file.schema:
        yield Thing("schema", schema, ""), file.schema
    for kind, things in (
        ("table", file.tables),
        ("sequence", file.sequences),
        ("function", file.functions),
    ):
        for name, thing in things.items():
            yield Thing(kind, schema, name), thing
