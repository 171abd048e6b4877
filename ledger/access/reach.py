"""Under which units something counts on a day: what the parts of the tree that rights are held over are compared with."""

from bisect import bisect_right
from collections.abc import Iterable
from datetime import date
from uuid import UUID

from ledger.units import TreeOn, UnitTree


class Reach:
    """Answers for one version of the tree; threads may share it.

    What counts at a unit that has ended counts at its successor, so whoever holds a right over the successor holds it
    over that too. What a split has left undecided is reached by whoever holds the right over all of its parts.
    """

    def __init__(self, tree: UnitTree) -> None:
        self.tree = tree
        self._days: dict[int, TreeOn] = {}
        self._above: dict[tuple[int, UUID, UUID | None], frozenset[UUID]] = {}

    def above(self, unit_id: UUID, day: date, allocated_id: UUID | None = None) -> frozenset[UUID]:
        """Return the unit at which it counts on a business day, and all above that. Empty where it counts nowhere.

        Args:
            unit_id: Where it was recorded; one that this version of the tree does not have reaches nothing.
            allocated_id: The part of that unit, where it was split, to which it was allocated.
        """
        # Between two days on which something changed it is one tree.
        epoch = bisect_right(self.tree.days, day)
        found = self._above.get((epoch, unit_id, allocated_id))
        if found is None:
            on = self._days.get(epoch)
            if on is None:
                on = self._days[epoch] = TreeOn(self.tree, day)
            found = self._above[epoch, unit_id, allocated_id] = frozenset(
                self._way(on, unit_id, allocated_id)
            )
        return found

    def _way(self, on: TreeOn, unit_id: UUID, allocated_id: UUID | None) -> Iterable[UUID]:
        if not {unit_id, allocated_id or unit_id} <= self.tree.by_id.keys():
            return ()
        place = on.place(unit_id) if allocated_id is None else on.place_allocated(unit_id, allocated_id)
        return on.above(place.unit_id)
