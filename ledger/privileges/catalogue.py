"""Who may do what, and what the schemas hold, by the database's catalogue."""

from typing import Any

from psycopg import Connection

from ledger import sql
from ledger.privileges.state import Held, Named, Part, RoleFacts, State, Thing

_QUERIES = sql.load("ledger.sql", "catalogue.sql")


def read_catalogue(connection: Connection[Any], declared: State) -> State:
    """Return what there is in the schemas that are declared, and what is said of the roles that are, anywhere.

    Everybody may read the catalogue. The search path is pg_catalog while this lasts: the schemas may hold
    functions that somebody planted, which are not to run with the rights of whoever asks.
    """
    schemas = [thing.schema for thing in declared.owners if thing.kind == "schema"]
    asked = {"schemas": schemas, "roles": [*declared.roles]}

    def rows(query: str) -> list[Any]:
        return connection.execute(_QUERIES[query], asked).fetchall()

    with connection.transaction():
        connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")
        triggers = {
            Named(Thing("table", schema, table), name): (enabled, definition)
            for schema, table, name, enabled, definition in rows("triggers")
        }
        return State(
            roles={name: RoleFacts(login, frozenset(powers)) for name, login, powers in rows("roles")},
            members={(member, held): inherits for member, held, inherits in rows("members")},
            owners={Thing(kind, schema, name): owner for kind, schema, name, owner in rows("owners")},
            rights=frozenset(
                Held(Thing(kind, schema, name), column, verb, grantee, grantable)
                for kind, schema, name, column, verb, grantee, grantable in rows("rights")
            ),
            definers={
                Thing("function", schema, name): path.removeprefix("search_path=")
                for schema, name, path in rows("definers")
            },
            triggers={trigger: definition for trigger, (_, definition) in triggers.items()},
            secured={Thing("table", schema, table): how for schema, table, how in rows("secured")},
            policies={
                Named(Thing("table", schema, table), name): lets
                for schema, table, name, lets in rows("policies")
            },
            made={
                Part(kind, Thing("function" if kind == "function" else "table", schema, thing), name): text
                for kind, schema, thing, name, text in rows("made")
            },
            unlogged=frozenset(Thing("table", schema, table) for schema, table in rows("unlogged")),
            heirs=frozenset(
                Named(Thing("table", schema, table), heir) for schema, table, heir in rows("heirs")
            ),
            disabled=frozenset(trigger for trigger, (enabled, _) in triggers.items() if not enabled),
            rules=frozenset(
                Named(Thing("table", schema, table), name) for schema, table, name in rows("rules")
            ),
            defaults=frozenset(rows("defaults")),
            settings=frozenset(rows("settings")),
        )
