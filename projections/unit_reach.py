"""What each unit has under it, day by day, and what units are called: for whoever asks the read models without the ledger.

The ledger itself works out who counts where from its own tree of units. In the database row-level security needs it
too: who may see a unit sees every leaf that counts at it, or at something under it, as the tree stands on the day of the question.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Cursor
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Identifier

from ledger import UnitTree, sql
from ledger.business_time import business_day
from ledger.store import Row, recorded
from ledger.unit_events import UNITS_STREAM, UnitEvent
from ledger.units import allocations, grow
from projections.hierarchies import LAST_DAY, places, spans
from projections.tables import as_array


class Reaching(NamedTuple):
    """A leaf counts at a unit or under it, from a day on and before another. The columns of ``unit_reach``."""

    unit_id: UUID
    leaf_id: UUID
    first: date
    after: date


def reach(tree: UnitTree, day: date) -> Iterator[Reaching]:
    """Yield what counts under what, on a day and all later ones. Pure."""
    of_parts = allocations(tree)
    since: dict[tuple[UUID, UUID], date] = {}
    for first, after, on in spans(tree, "then"):
        if after <= day:
            continue
        now = {(unit_id, leaf) for leaf, place in places(on, of_parts) for unit_id in on.above(place.unit_id)}
        for pair in since.keys() - now:
            yield Reaching(*pair, since.pop(pair), first)
        for pair in now - since.keys():
            since[pair] = first
    for pair, first in since.items():
        yield Reaching(*pair, first, LAST_DAY)


class UnitReach:
    """The tables of the tree. Whoever follows the log asks for them to be kept, and it is written anew when the tree has changed.

    They hold the log's newest tree, also where counts of earlier events are still to come.
    """

    TABLES = ("unit_reach", "unit_names", "unit_tree")

    def __init__(self, names: Mapping[str, str]) -> None:
        """Take what the tables are called, live or being rebuilt."""
        tables = {table.removeprefix("unit_"): Identifier(names[table]) for table in self.TABLES}
        self._queries = {name: SQL(text).format(**tables) for name, text in _QUERIES.items()}

    def keep(self, cursor: Cursor[Any]) -> None:
        """Write the tree if it is another one than what is written, in the caller's transaction."""
        if cursor.execute(self._queries["changed"]).fetchone() is None:
            return
        with cursor.connection.cursor(row_factory=tuple_row, binary=True) as reader:
            rows: list[Row] = reader.execute(self._queries["changes"], {"units": UNITS_STREAM}).fetchall()
        try:
            entries = [recorded(row) for row in rows]
            changes = [
                (entry.position, entry.event) for entry in entries if isinstance(entry.event, UnitEvent)
            ]
            tree = grow(UnitTree(), changes)
        except Exception:  # noqa: BLE001
            # Whatever it is, the event is told with its position when its turn comes; until then what is written stays.
            return
        # Nobody asks any more what was reached before the day on which it changed last.
        reaching = reach(tree, business_day(entries[-1].recorded_at))
        cursor.execute(self._queries["clear"])
        for query, values in (
            ("put_reach", reaching),
            ("put_names", _names(tree)),
            ("put_tree", [[len(changes)]]),
        ):
            columns = [as_array(column) for column in zip(*values, strict=True)]
            cursor.execute(self._queries[query], columns)


def _names(tree: UnitTree) -> Iterator[tuple[Any, ...]]:
    for tenures in tree.by_id.values():
        for unit in tenures:
            # Not one whose opening was withdrawn, which is valid on no day.
            if unit.valid_to is None or unit.valid_from <= unit.valid_to:
                yield (
                    unit.id,
                    unit.code,
                    unit.name,
                    unit.level,
                    unit.parent_id,
                    unit.valid_from,
                    unit.valid_to,
                )


_QUERIES = sql.load("projections.sql", "unit_reach.sql")
