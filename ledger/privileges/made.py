"""What the migrations make, as ``made.toml`` beside them tells it.

The file is written by ``make made``, from a database that was made anew; a test compares it with another one. So a ledger is
compared with what the migrations come to, and whoever compares needs to make nothing.
"""

import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files

import msgspec
from psycopg import sql

from ledger.migrations import CHANNEL, Component
from ledger.privileges.state import Part, Thing

FILE = "made.toml"


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    columns: dict[str, str] = {}
    constraints: dict[str, str] = {}
    indexes: dict[str, str] = {}
    """But for those of constraints."""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    functions: dict[str, str] = {}
    """By signature, as CREATE OR REPLACE makes them."""
    tables: dict[str, _Table] = {}


def read_made(component: Component, schema: str) -> dict[Part, str]:
    """Return what a component's migrations make in a schema."""
    text = (files(component.package) / FILE).read_text(encoding="utf-8")
    file = msgspec.convert(tomllib.loads(text), _File)
    names = placeholders(schema)
    return {part: filled(definition, names) for part, definition in _parts(file, schema)}


def placeholders(schema: str) -> dict[str, str]:
    """Return what stands in the file for what is called by the schema's name."""
    return {
        "{schema}": sql.Identifier(schema).as_string(),
        "{channel}": sql.Literal(CHANNEL.format(schema)).as_string(),
    }


def filled(text: str, names: Mapping[str, str]) -> str:
    """Return a text with the names that its placeholders, braces and all, stand for."""
    for placeholder, name in names.items():
        text = text.replace(placeholder, name)
    return text


def _parts(file: _File, schema: str) -> Iterator[tuple[Part, str]]:
    for signature, text in file.functions.items():
        yield Part("function", Thing("function", schema, signature)), text
    for name, table in file.tables.items():
        thing = Thing("table", schema, name)
        for kind, parts in (
            ("column", table.columns),
            ("constraint", table.constraints),
            ("index", table.indexes),
        ):
            for part, text in parts.items():
                yield Part(kind, thing, part), text
