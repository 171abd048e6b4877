"""Where dossiers count in the tree of a day."""

from datetime import date
from uuid import UUID

from ledger import UnitTree
from ledger.units import Place, TreeOn, allocations
from projections.hierarchies import UNALLOCATED, told_unit


class Today:
    """One tree on one day, that of a list's first page; worked out whole, once for all pages of the day."""

    def __init__(self, tree: UnitTree, day: date) -> None:
        self.tree, self.day = tree, day
        self._on = TreeOn(tree, day)
        self._leaves: dict[UUID | None, list[UUID]] = {}
        for unit_id in tree.by_id:
            self._leaves.setdefault(self.place(unit_id, None).unit_id, []).append(unit_id)
        for leaf, (unit_id, to) in allocations(tree).items():
            self._leaves.setdefault(self.place(unit_id, to).unit_id, []).append(leaf)

    def place(self, unit_id: UUID, allocated_id: UUID | None) -> Place:
        """Return where what was collected at a unit counts, and was allocated to a part of it where that was split."""
        if allocated_id is None:
            return self._on.place(unit_id)
        return self._on.place_allocated(unit_id, allocated_id)

    def leaves(self, code: str) -> list[UUID]:
        """Return what counts at a unit or under it. Raise UnitError where the code is none, or is not valid that day."""
        found: list[UUID] = []
        pending = [self.tree.resolve(code, self.day).id]
        while pending:
            unit_id = pending.pop()
            found += self._leaves.get(unit_id, ())
            pending += [child.id for child in self._on.children.get(unit_id, ())]
        return found

    def name(self, unit_id: UUID | None, day: date) -> dict[str, str | None]:
        """Return what a unit was called on a day, in this tree; None: what is unallocated under no unit."""
        if unit_id is None:
            return UNALLOCATED
        return told_unit(self.tree.called(unit_id, day))
