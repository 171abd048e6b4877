"""What a change of units would do to the totals, before it is recorded."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
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
_DAY = timedelta(1)
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


class PreviewDays(msgspec.Struct, frozen=True):
    """What a change of units does to totals restated to any of some days, between which nothing of it differs."""

    on: date
    """The first of them."""
    until: date | None
    """The last of them; null: no later change of units is known."""
    today: bool
    """Whether one of them is today: then these are the totals that are told to whoever asks for no day."""
    rows: list[PreviewRow]
    """From the top of the tree down; totals that stay as they are have none."""


class Preview(msgspec.Struct, frozen=True):
    """What a change of units does to the totals of everything counted until now, in the trees in which it differs."""

    position: int
    """The ledger position that the counts are true for."""
    recorded_at: datetime
    """When the event at that position was recorded, UTC."""
    effective: date
    """The first day on which the change holds."""
    days: list[PreviewDays]
    """From that day on, in order: a change of the past differs in the tree of its own day from what it does to that of
    today. Days on which no total is another one are left out."""


def preview(totals: Totals, plan: Plan, *, by: Principal | None = None) -> Preview:
    """Return every total that a change will change, restated to the day from which it holds and to all later ones.

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
        days = _days(tree, plan, leaves, totals.today())
        return Preview(position, recorded_at, plan.effective, days)

    return totals.read_in_tree(read)


def _days(tree: UnitTree, plan: Plan, leaves: Mapping[UUID, Counts], today: date) -> list[PreviewDays]:
    """Return what differs from when until when; a tree is the same from one of its days until the next."""
    later = {day for day in (*tree.days, *plan.tree.days) if day > plan.effective}
    starts = [plan.effective, *sorted(later)]
    found: list[PreviewDays] = []
    for on, after in zip(starts, [*starts[1:], None], strict=True):
        old, new = TreeOn(tree, on), TreeOn(plan.tree, on)
        rows = _differences(old, _sums(old, leaves), new, _sums(new, leaves))
        first, is_today = on, on <= today and (after is None or today < after)
        if found and found[-1].until == on - _DAY and found[-1].rows == rows:
            last = found.pop()
            first, is_today = last.on, last.today or is_today
        if rows:
            found.append(PreviewDays(first, None if after is None else after - _DAY, is_today, rows))
    return found


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
