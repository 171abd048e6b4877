"""Which row of an answer something counts in: the tree of units, applied to leaves when a question is asked.

Two ways, from one log: as *then*, each day in its own tree; or in the tree of one day, where what has ended counts at
its successors. What those leave undecided is *unallocated*.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Literal, NamedTuple
from uuid import UUID

from ledger.units import NOWHERE, Place, TreeOn, Unit, UnitTree, allocations
from projections.tables import as_array

FIRST_DAY = date(1900, 1, 1)
LAST_DAY = date(9999, 1, 1)
"""No event is after it, and a month later still is a date."""
REST = -1
"""The bucket of what is unallocated, and of what no leaf of the tree is known for."""
UNALLOCATED: dict[str, str | None] = {"code": None, "name": "unallocated", "level": None}
"""What belongs to none of the rows' units, so that rows add up."""

Hierarchy = Literal["then"] | date
"""Each day in its own tree, or all in that of one day (Vietnam)."""
Attribution = Literal["acting", "residence"]
"""At the unit whose work it is, or at that where the citizen lives."""


class Share(NamedTuple):
    """A leaf counts in a bucket, from a day on and before another."""

    leaf: UUID
    first: date
    after: date
    bucket: int


class Rows:
    """The rows of answers by unit: what counts in which of them."""

    def __init__(
        self,
        tree: UnitTree,
        hierarchy: Hierarchy,
        day: date,
        scope: Unit | None,
        by: str,
    ) -> None:
        """Work out who counts where.

        Args:
            day: Of whose tree all units have a row, and by which they are called.
            scope: Only this unit and everything under it; None: the whole ledger.
            by: ``unit``: the direct children of the scope; a level: the units of it; ``""``: none of these, only
                what is in the scope at all.
        """
        self._tree, self._scope, self._by, self._day = tree, scope, by, day
        self._buckets: dict[Place, int] = {NOWHERE: REST}
        self._rows = self._rows_of_the_day(TreeOn(tree, day))
        for place in self._rows:
            self._bucket(place)
        shares = self._shares_of_leaves(hierarchy)
        days = {day for share in shares for day in (share.first, share.after)}
        self.boundaries = sorted(days - {FIRST_DAY, LAST_DAY})
        """The days on which something begins to count elsewhere, or no more."""
        self.parameters: dict[str, Any] = {
            "scoped": scope is not None,
            "members": as_array([share.leaf for share in shares]),
            # In the tree of one day each leaf counts in one bucket: then the days are left out, some milliseconds of a nation's.
            "firsts": as_array([share.first for share in shares] if self.boundaries else []),
            "afters": as_array([share.after for share in shares] if self.boundaries else []),
            "buckets": as_array([share.bucket for share in shares]),
        }
        """What the queries of ``unit_totals.sql`` take."""

    def _rows_of_the_day(self, on: TreeOn) -> list[Place]:
        if not self._by:
            return []
        if self._by == "unit":
            found = on.children.get(None if self._scope is None else self._scope.id, [])
        else:
            found = [
                unit
                for unit in on.units.values()
                if unit.level == self._by and (self._scope is None or self._scope.id in on.above(unit.id))
            ]
        return [Place(unit.id) for unit in found]

    def _shares_of_leaves(self, hierarchy: Hierarchy) -> list[Share]:
        shares: list[Share] = []
        open_shares: dict[UUID, tuple[date, int]] = {}
        of_parts = allocations(self._tree)
        for first, after, on in spans(self._tree, hierarchy):
            for leaf, place in places(on, of_parts):
                bucket = self._bucket_of(on, place)
                known = open_shares.get(leaf)
                if known is not None and known[1] != bucket:
                    shares.append(Share(leaf, known[0], first, known[1]))
                    known = None
                if bucket is None:
                    open_shares.pop(leaf, None)
                elif known is None:
                    open_shares[leaf] = (first, bucket)
            last = after
        shares += [Share(leaf, first, last, bucket) for leaf, (first, bucket) in open_shares.items()]
        return shares

    def _bucket_of(self, on: TreeOn, place: Place) -> int | None:
        """Return the bucket of what counts at a place; None: it is outside the scope."""
        below: UUID | None = None
        of_level: UUID | None = None
        for unit_id in on.above(place.unit_id):
            if self._scope is not None and unit_id == self._scope.id:
                break
            if on.units[unit_id].level == self._by:
                of_level = unit_id
            below = unit_id
        else:
            if self._scope is not None:
                return None
        if not self._by:
            return self._bucket(NOWHERE)
        row = below if self._by == "unit" else of_level
        if row is not None:
            return self._bucket(Place(row))
        return self._bucket(place if place.allocated else NOWHERE)

    def _bucket(self, row: Place) -> int:
        return self._buckets.setdefault(row, len(self._buckets))

    def tell(
        self, counted: Mapping[int, Sequence[int]], measures: Sequence[str]
    ) -> tuple[list[dict[str, Any]], dict[str, int]]:
        """Return the rows of an answer by unit alone, each unit with one, and their sum."""
        nothing = [0] * len(measures)
        told = [(key, counted.get(bucket, nothing)) for bucket, key in self.keys(self._nonzero(counted))]
        rows = [{"unit": key, **dict(zip(measures, counts, strict=True))} for key, counts in told]
        return rows, {name: sum(counts[index] for _, counts in told) for index, name in enumerate(measures)}

    @staticmethod
    def _nonzero(counted: Mapping[int, Sequence[int]]) -> list[int]:
        return [bucket for bucket, counts in counted.items() if any(counts)]

    def keys(self, found: Sequence[int]) -> list[tuple[int, dict[str, str | None]]]:
        """Return the buckets that an answer tells, in its order, with what they are called.

        Args:
            found: The buckets in which something was counted.
        """
        own = None if self._scope is None else self._scope.id
        told = {*(self._buckets[place] for place in self._rows), *found}
        units: list[tuple[str, int, dict[str, str | None]]] = []
        last: list[tuple[int, dict[str, str | None]]] = []
        for place, bucket in self._buckets.items():
            if bucket not in told or place.unit_id is None:
                continue
            unit = self._tree.called(place.unit_id, self._day)
            key = told_unit(unit)
            if place.unit_id == own:
                last.append((bucket, key))
            else:
                units.append((unit.code, bucket, key))
        units.sort(key=lambda one: (one[0], one[1]))
        ordered = [(bucket, key) for _, bucket, key in units] + last
        if REST in told:
            ordered.append((REST, UNALLOCATED))
        return ordered


def told_unit(unit: Unit) -> dict[str, str | None]:
    """Return a unit as the rows of answers tell it; where there is none, they say ``UNALLOCATED``."""
    return {"code": unit.code, "name": unit.name, "level": unit.level}


def spans(tree: UnitTree, hierarchy: Hierarchy) -> Iterator[tuple[date, date, TreeOn]]:
    """Yield from when, until before when, and the tree in which something counts."""
    if isinstance(hierarchy, date):
        yield FIRST_DAY, LAST_DAY, TreeOn(tree, hierarchy)
        return
    days = tree.days or (FIRST_DAY,)
    afters = [*days[1:], LAST_DAY]
    for number, (first, after) in enumerate(zip(days, afters, strict=True)):
        yield first if number else FIRST_DAY, after, TreeOn(tree, first)


def places(
    on: TreeOn, of_parts: Mapping[UUID, tuple[UUID, UUID]] | None = None
) -> Iterator[tuple[UUID, Place]]:
    """Yield every leaf that there can be, and where it counts on a day."""
    for unit_id in on.tree.by_id:
        yield unit_id, on.place(unit_id)
    for leaf, (unit_id, to) in (allocations(on.tree) if of_parts is None else of_parts).items():
        yield leaf, on.place_allocated(unit_id, to)


def holders(tree: UnitTree) -> dict[str, Any]:
    """Return which unit each code meant from when until before when; as the queries of ``unit_totals.sql`` take it."""
    units = [unit for meant in tree.by_code.values() for unit in meant]
    befores = [LAST_DAY if unit.valid_to is None else unit.valid_to + timedelta(1) for unit in units]
    return {
        "codes": as_array([unit.code for unit in units]),
        "held_from": as_array([unit.valid_from for unit in units]),
        "held_before": as_array(befores),
        "held_by": as_array([unit.id for unit in units]),
    }
