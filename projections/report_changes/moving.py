"""What changes of units have moved, between two trees. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import groupby
from uuid import UUID

from ledger import UnitTree
from ledger.unit_events import ReorganisationWithdrawn, UnitEvent, UnitOpened
from ledger.units import TreeOn


def moves_any(before: UnitTree, since: UnitTree, days: Iterable[date], within: UUID | None) -> bool:
    """Return whether any unit counts elsewhere in the later of two trees, on some day, at or under a unit; None: anywhere."""
    for day in days:
        then, now = TreeOn(before, day), TreeOn(since, day)
        for unit_id in since.by_id:
            ways = [_way(on, unit_id) for on in (then, now) if unit_id in on.tree.by_id]
            inside = within is None or any(within in way for way in ways)
            if inside and (len(ways) < 2 or ways[0] != ways[1]):
                return True
    return False


def effective_of(event: UnitEvent, tree: UnitTree) -> date:
    """Return the first day on which a change of units holds; of a withdrawal, what it takes back."""
    if isinstance(event, ReorganisationWithdrawn):
        return tree.reorganisations[event.reorganisation].effective
    return event.effective


def together(entries: Sequence[tuple[int, UnitEvent]]) -> Iterator[tuple[int, int, UnitEvent]]:
    """Yield the first and the last position of unit events that were recorded together, and the first event."""
    for _, entries_together in groupby(entries, key=lambda entry: _mark(entry[1])):
        whole = list(entries_together)
        yield whole[0][0], whole[-1][0], whole[0][1]


def _mark(event: UnitEvent) -> object:
    if isinstance(event, UnitOpened) and event.reorganisation is None:
        return event.valid_from, event.decree
    return isinstance(event, ReorganisationWithdrawn), event.reorganisation


def _way(on: TreeOn, unit_id: UUID) -> tuple[object, ...]:
    """Return where what is recorded at a unit counts on a day, and everything above that."""
    place = on.place(unit_id)
    return (place.allocated, *on.above(place.unit_id))
