"""Where what counts at a unit counts in the tree of another day.

A unit that has ended counts at its successor; what a split leaves undecided, and what an abolished unit leaves,
counts under the nearest unit that stands above everything it could belong to, without belonging to one of its
children: *unallocated*. So parents always add up.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from ledger.unit_events import UnitMerged, UnitSplit
from ledger.units.tree import Unit, UnitTree


class Place(NamedTuple):
    """Where something counts on a day."""

    unit_id: UUID | None
    """The unit; of what is unallocated the one under which it is, None: under none."""
    allocated: bool = True
    """Whether it belongs to that unit; else it is what is unallocated under it."""


NOWHERE = Place(None, allocated=False)


def allocation_id(unit_id: UUID, to: UUID) -> UUID:
    """Return the id under which the part of a split unit's counts is kept that was allocated to one of its successors."""
    number = int.from_bytes(sha256(b"allocation" + unit_id.bytes + to.bytes).digest()[:16])
    # Version 8 of RFC 9562, by hand: Python 3.11 knows none after 5.
    return UUID(int=number & ~(0xF000 << 64 | 0xC000 << 48) | 0x8000 << 64 | 0x8000 << 48)


class TreeOn:
    """The tree of one day."""

    def __init__(self, tree: UnitTree, day: date) -> None:
        self.tree = tree
        self.day = day
        self.units = tree.valid(day)
        """By id, siblings by code."""
        self.children: dict[UUID | None, list[Unit]] = {}
        for unit in self.units.values():
            self.children.setdefault(unit.parent_id, []).append(unit)
        self._places: dict[UUID, Place] = {}

    def above(self, unit_id: UUID | None) -> Iterator[UUID]:
        """Yield a unit and everything above it, upwards."""
        while unit_id is not None:
            yield unit_id
            unit_id = self.units[unit_id].parent_id

    def place(self, unit_id: UUID) -> Place:
        """Return where what was recorded at a unit counts on this day."""
        if unit_id in self.units:
            return Place(unit_id)
        found = self._places.get(unit_id)
        if found is None:
            found = self._places[unit_id] = self._place(unit_id)
        return found

    def _place(self, unit_id: UUID) -> Place:
        became = self.tree.became.get(unit_id)
        if became is not None and became.effective <= self.day:
            heirs, parent_id = became.into, self.tree.by_id[unit_id][-1].parent_id
        else:
            # It begins later, or its opening was withdrawn: it has what others had until then. What it was under from
            # the first day on may be changed by an event recorded later, which is not to change the days before.
            heirs, parent_id = self.tree.came_from.get(unit_id, ()), self.tree.opened_under[unit_id]
        if heirs:
            return self.common(map(self.place, heirs))
        return NOWHERE if parent_id is None else Place(self.place(parent_id).unit_id, allocated=False)

    def place_allocated(self, unit_id: UUID, to: UUID) -> Place:
        """Return where that part of a split unit counts on this day that was allocated to one of its successors."""
        way = self._way(unit_id, to)
        for one in way:
            if one in self.units:
                return Place(one)
        became = self.tree.became.get(unit_id)
        # Before it was split, and where the split was withdrawn, the allocation says nothing.
        return self.place(to if way and became and became.effective <= self.day else unit_id)

    def _way(self, unit_id: UUID, to: UUID) -> tuple[UUID, ...]:
        if unit_id == to:
            return (to,)
        became = self.tree.became.get(unit_id)
        for heir in became.into if became else ():
            way = self._way(heir, to)
            if way:
                return (unit_id, *way)
        return ()

    def common(self, places: Iterable[Place]) -> Place:
        """Return the place that has everything of several."""
        distinct = list(dict.fromkeys(places))
        if len(distinct) == 1:
            return distinct[0]
        ways = [list(self.above(place.unit_id)) for place in distinct]
        for unit_id in ways[0]:
            if all(unit_id in way for way in ways[1:]):
                return Place(unit_id, allocated=False)
        return NOWHERE


def heirs_of(tree: UnitTree, unit_id: UUID) -> list[UUID]:
    """Return the units that a dossier of a unit can be allocated to: those it was split over, then or later."""
    became = tree.became.get(unit_id)
    if became is None:
        return []
    found: dict[UUID, None] = dict.fromkeys(became.into) if len(became.into) > 1 else {}
    for heir in became.into:
        found |= dict.fromkeys(heirs_of(tree, heir))
    return list(found)


def allocations(tree: UnitTree) -> dict[UUID, tuple[UUID, UUID]]:
    """Return under which ids there may be allocated counts, each with the split unit and the part.

    Also those of splits that were withdrawn: what was allocated then was recorded, and counts somewhere.
    """
    became: dict[UUID, list[tuple[UUID, ...]]] = {}
    for _, event in tree.entries:
        if isinstance(event, UnitMerged):
            became.setdefault(event.unit_id, []).append((event.into,))
        elif isinstance(event, UnitSplit):
            people = tuple(part.unit_id for part in event.parts if part.people)
            became.setdefault(event.unit_id, []).append(people)

    def heirs(unit_id: UUID, above: frozenset[UUID]) -> dict[UUID, None]:
        found: dict[UUID, None] = {}
        for into in became.get(unit_id, ()):
            found |= dict.fromkeys(into) if len(into) > 1 else {}
            for heir in into:
                # What was withdrawn and what came instead may go round in a circle.
                if heir in became and heir not in above:
                    found |= heirs(heir, above | {heir})
        return found

    return {
        allocation_id(unit_id, to): (unit_id, to)
        for unit_id in became
        for to in heirs(unit_id, frozenset((unit_id,)))
    }
