"""Writes ``made.toml`` beside the migrations of each component: ``make made``, after a migration was added.

What the file holds is told by a database that was made anew. Of the read models the functions alone: their tables are
counted anew from the log, and a rebuild calls their indexes otherwise.
"""

import json
from collections import defaultdict
from importlib.resources import files
from pathlib import Path

from ledger.database import Database
from ledger.embedded import EmbeddedPostgres
from ledger.migrations import Component, connect, migrate
from ledger.privileges import State, declare, read_catalogue
from ledger.privileges.made import FILE, placeholders
from tests.conftest import COMPONENTS, Server, temporary_home

HEAD = """# What the migrations make, as PostgreSQL tells it: `ledger doctor` compares every ledger with it.
#
# Written by `make made`, by no hand; a test compares it with a database that was made anew.
"""
SECTIONS = {"column": "columns", "constraint": "constraints", "index": "indexes"}


def main() -> None:
    with temporary_home() as home:
        postgres = EmbeddedPostgres(home)
        postgres.start()
        server = Server(postgres.conninfo(dbname="postgres"), embedded=True)
        database = server.database(server.create())
        migrate(database, COMPONENTS)
        for component in COMPONENTS:
            path_of(component).write_text(as_made(component, database), encoding="utf-8")


def path_of(component: Component) -> Path:
    return Path(str(files(component.package) / FILE))


def as_made(component: Component, database: Database) -> str:
    """Return the file of a component, by a database that has all of them."""
    alone = declare(database, [component])
    schema = component.place(database).schema
    with connect(database.as_operator()) as connection:
        found = read_catalogue(connection, declare(database, COMPONENTS))
    functions, tables = parts_of(component, alone, found)
    lines = [HEAD, "[functions]"]
    for signature, text in sorted(functions.items()):
        assert "'''" not in text, signature
        lines += [f"{json.dumps(signature)} = '''", f"{text}'''"]
    for (table, kind), parts in sorted(tables.items()):
        lines += ["", f"[tables.{table}.{SECTIONS[kind]}]"]
        lines += [f"{name} = {json.dumps(text, ensure_ascii=False)}" for name, text in sorted(parts.items())]
    whole = "\n".join(lines) + "\n"
    for placeholder, name in placeholders(schema).items():
        assert placeholder not in whole, placeholder
        # In a line of JSON what PostgreSQL has quoted is escaped.
        whole = whole.replace(name, placeholder).replace(json.dumps(name)[1:-1], placeholder)
    return whole


def parts_of(component: Component, alone: State, found: State) -> tuple[dict, dict]:
    functions: dict[str, str] = {}
    tables: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for part, text in found.made.items():
        if part.thing not in alone.owners:
            continue
        if part.kind == "function":
            functions[part.thing.name] = text
        elif component.owner == "owner":
            tables[part.thing.name, part.kind][part.name] = text
    return functions, tables


if __name__ == "__main__":
    main()
