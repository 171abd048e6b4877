"""How things of a database are called: in words, and in SQL."""

from psycopg import sql

from ledger.privileges.state import Thing

_TABLES = ("table", "view", "materialized view", "foreign table")
"""What GRANT gives no name to."""


def quoted(name: str) -> str:
    """Return an identifier as SQL takes it."""
    return sql.Identifier(name).as_string()


def as_role(name: str) -> str:
    """Return a role as GRANT takes it."""
    return name if name == "PUBLIC" else quoted(name)


def who(grantee: str) -> str:
    """Return a role in words."""
    return "everybody (PUBLIC)" if grantee == "PUBLIC" else grantee


def called(thing: Thing) -> str:
    """Return it in words."""
    return f"{thing.kind} {'.'.join(filter(None, (thing.schema, thing.name)))}"


def granted(thing: Thing) -> str:
    """Return it as GRANT takes it."""
    return _address(thing) if thing.kind in _TABLES else named(thing)


def named(thing: Thing) -> str:
    """Return it as ALTER and DROP take it."""
    return f"{thing.kind.upper()} {_address(thing)}"


def _address(thing: Thing) -> str:
    if thing.kind == "operator":
        return f"{quoted(thing.schema)}.{thing.name}"
    name, bracket, arguments = thing.name.partition("(")
    parts = [quoted(part) for part in (thing.schema, name) if part]
    return ".".join(parts) + bracket + arguments
