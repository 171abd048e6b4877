"""What a change of units would do to the totals, before it is recorded."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg.sql import SQL

from ledger import UnitTree, sql
from ledger.access import Principal
from ledger.errors import NotPermittedError
from ledger.units import Plan, TreeOn
from projections.hierarchies import places
from projections.totals import Totals
from projections.unit_totals import MEASURES

_QUERIES = sql.load("projections.sql", "unit_totals.sql")

Counts = Sequence[int]
_NOTHING = (0,) * len(MEASURES)


class PreviewRow(msgspec.Struct, frozen=True):
    """A unit whose total, with everything under it, changes; or what is unallocated right under it."""

    code: str | None
    """Null: the whole ledger."""
    name: str
    level: str | None
    unallocated: bool
    """What stands under the unit, and belongs to none of those under it."""
    before: dict[str, int] | None
    """In the tree without the change; null: there is no such unit."""
    after: dict[str, int] | None
    """In the tree with it; null: there is no such unit any more."""


class Preview(msgspec.Struct, frozen=True):
    """What a change of units does to the totals of everything counted until now, in the tree of its day."""

    position: int
    """The ledger position that the counts are true for."""
    recorded_at: datetime
    """When the event at that position was recorded, UTC."""
    on: date
    """The first day on which the change holds; both trees are of this day."""
    rows: list[PreviewRow]
    """From the top of the tree down; totals that stay as they are have none."""


def preview(totals: Totals, plan: Plan, *, by: Principal | None = None) -> Preview:
    """Return every total that a change will change, restated to the day from which it holds.

    Args:
        by: Who asks; the ledger's own principal if absent.

    Raises:
        NotPermittedError: They may not see totals of the whole ledger, as they are and not masked.
        UnavailableError: The database cannot be reached, or the projection has lost its position.
    """
    reader = totals.asking(by)

    def read(tree: UnitTree) -> Preview:
        if totals.check_asked(reader, tree, None, plan.effective):
            raise NotPermittedError("what a change does to totals is not told to the public")
        position, recorded_at, found = totals.ask(SQL(_QUERIES["read_leaves"]).format(), {})
        leaves = {leaf: tuple(counts) for leaf, *counts in found}
        before, after = TreeOn(tree, plan.effective), TreeOn(plan.tree, plan.effective)
        rows = _differences(before, _sums(before, leaves), after, _sums(after, leaves))
        return Preview(position, recorded_at, plan.effective, rows)

    return totals.read_in_tree(read)


Line = tuple[UUID | None, bool]
"""A unit, or what is unallocated right under it."""


def _sums(on: TreeOn, leaves: Mapping[UUID, Counts]) -> dict[Line, Counts]:
    """Return the totals of every unit of a tree, with everything under it, and of what is unallocated under it."""
    sums: dict[Line, Counts] = dict.fromkeys(((unit_id, False) for unit_id in on.units), _NOTHING)
    for leaf, place in places(on):
        counts = leaves.get(leaf)
        if counts is None:
            continue
        lines: list[Line] = [(unit_id, False) for unit_id in on.above(place.unit_id)]
        if not place.allocated:
            lines.append((place.unit_id, True))
        for line in lines:
            sums[line] = tuple(map(int.__add__, sums.get(line, _NOTHING), counts))
    return sums


def _differences(
    before: TreeOn, old: Mapping[Line, Counts], after: TreeOn, new: Mapping[Line, Counts]
) -> list[PreviewRow]:
    order = [unit.id for on in (after, before) for unit in on.tree.on(on.day)]
    lines = dict.fromkeys(
        (unit_id, unallocated) for unit_id in (None, *order) for unallocated in (False, True)
    )
    return [
        _row(line, after if line[0] in after.units else before, old.get(line), new.get(line))
        for line in lines
        if old.get(line) != new.get(line)
    ]


def _row(line: Line, on: TreeOn, old: Counts | None, new: Counts | None) -> PreviewRow:
    unit_id, unallocated = line
    unit = None if unit_id is None else on.units[unit_id]
    return PreviewRow(
        unit.code if unit else None,
        unit.name if unit else "the whole ledger",
        unit.level if unit else None,
        unallocated,
        _told(old),
        _told(new),
    )


def _told(counts: Counts | None) -> dict[str, Any] | None:
    return None if counts is None else dict(zip(MEASURES, counts, strict=True))
