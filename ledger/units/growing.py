"""Unit events become a tree: in the order of the days from which they hold, whenever they were recorded."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import NamedTuple, assert_never
from uuid import UUID

from msgspec.structs import replace

from ledger.unit_events import (
    Placed,
    ReorganisationWithdrawn,
    UnitAbolished,
    UnitEvent,
    UnitMerged,
    UnitMoved,
    UnitOpened,
    UnitRecoded,
    UnitRenamed,
    UnitSplit,
)
from ledger.units.lineage import (
    by_code,
    came_from,
    heirs_in,
    never_valid,
    reorganisations_in,
    succession_by,
)
from ledger.units.tree import Succession, Unit, UnitTree, stands_above, tenure

_DAY = timedelta(days=1)


class Fault(NamedTuple):
    """Why an event cannot hold."""

    version: int
    """Of the event, in the units' stream."""
    why: str


def grow(tree: UnitTree, entries: Iterable[tuple[int, UnitEvent]]) -> UnitTree:
    """Apply the next events of the units' stream, each with its position. They come from the log, so a misfit is a bug."""
    grown, faults = try_grow(tree, entries)
    assert not faults, faults[:3]
    return grown


def try_grow(tree: UnitTree, entries: Iterable[tuple[int, UnitEvent]]) -> tuple[UnitTree, list[Fault]]:
    """Return the tree with the next events, and everything that is wrong with it.

    A change that is recorded late comes before what holds from a later day, so the events
    after it may turn out not to hold any more: then it is they that are told.
    """
    every = (*tree.entries, *entries)
    return _Growing(every).grown()


class _Growing:
    def __init__(self, entries: tuple[tuple[int, UnitEvent], ...]) -> None:
        self._entries = entries
        self._open: dict[UUID, Unit] = {}
        self._past: dict[UUID, list[Unit]] = {}
        self._children: dict[UUID, set[UUID]] = {}
        self._holders: dict[str, dict[UUID, None]] = {}
        self._became: dict[UUID, Succession] = {}
        self._faults: list[Fault] = []

    def grown(self) -> tuple[UnitTree, list[Fault]]:
        reorganisations = reorganisations_in(self._entries)
        withdrawn = {one.id for one in reorganisations.values() if one.withdrawn_at is not None}
        placed: list[tuple[int, Placed]] = []
        taken_back: list[Placed] = []
        for version, (_, event) in enumerate(self._entries, 1):
            if isinstance(event, ReorganisationWithdrawn):
                continue
            if event.reorganisation in withdrawn:
                taken_back.append(event)
            else:
                placed.append((version, event))
        placed.sort(key=_effective)
        days = []
        for day, group in groupby(placed, key=_effective):
            days.append(day)
            self._change(day, list(group))
        by_id = {unit_id: tuple(units) for unit_id, units in self._past.items()}
        for unit_id, unit in self._open.items():
            by_id[unit_id] = (*by_id.get(unit_id, ()), unit)
        tree = UnitTree(
            len(self._entries),
            self._entries,
            {**never_valid(taken_back), **by_id},
            by_code(by_id),
            self._became,
            came_from(event for _, event in self._entries),
            {event.unit_id: event.parent_id for _, event in self._entries if isinstance(event, UnitOpened)},
            tuple(days),
            reorganisations,
        )
        return tree, self._faults

    def _change(self, day: date, group: Sequence[tuple[int, Placed]]) -> None:
        """Apply what holds from one day on, then look whether it makes a tree: what ends and begins that day may cross."""
        given: set[tuple[UUID, type[Placed]]] = set()
        told: set[tuple[UUID, str]] = set()
        ending = {
            event.unit_id for _, event in group if isinstance(event, UnitMerged | UnitSplit | UnitAbolished)
        }
        for version, event in group:
            one = (event.unit_id, type(event))
            # Of two that say different things from one day on, neither could be told to be right.
            why = self._twice(event, day, ending) if one in given else self._apply(event, day)
            given.add(one)
            if why:
                self._faults.append(Fault(version, why))
                told.add((event.unit_id, why))
        for version, event in group:
            why = self._misfit(event, day)
            if why and (event.unit_id, why) not in told:
                self._faults.append(Fault(version, why))
                told.add((event.unit_id, why))

    def _twice(self, event: Placed, day: date, ending: set[UUID]) -> str | None:
        unit = self._open.get(event.unit_id)
        # Put under a unit that ends that day, it needs a parent yet.
        if (
            unit is None
            or isinstance(event, UnitOpened)
            or (isinstance(event, UnitMoved) and unit.parent_id in ending)
        ):
            return self._apply(event, day)
        name = f"{unit.code} {unit.name}"
        match event:
            case UnitMoved():
                above = "nothing" if unit.parent_id is None else self._called(unit.parent_id)
                return f"{name} is put under {above} from {day} on already; a unit has one parent"
            case _:
                return f"{name} is called so from {day} on already; a unit has one name and one code"

    def _called(self, unit_id: UUID) -> str:
        unit = self._open.get(unit_id) or next(reversed(self._past.get(unit_id, ())), None)
        return f"{unit.code} {unit.name}" if unit else "a unit that does not exist"

    def _apply(self, event: Placed, day: date) -> str | None:
        if isinstance(event, UnitOpened):
            if event.unit_id in self._open or event.unit_id in self._past:
                return f"the unit {event.code} was opened already"
            self._hold(Unit(event.unit_id, event.code, event.name, event.level, event.parent_id, day))
            return None
        unit = self._open.get(event.unit_id)
        if unit is None:
            return self._apply_to_ended(event, day)
        match event:
            case UnitRenamed(name=name):
                self._alter(replace(unit, name=name), day)
            case UnitRecoded(code=code):
                self._alter(replace(unit, code=code), day)
            case UnitMoved(parent_id=parent_id):
                self._alter(replace(unit, parent_id=parent_id), day)
            case UnitMerged() | UnitSplit() | UnitAbolished():
                return self._end(unit, event, day)
            case _:
                assert_never(event)
        return None

    def _apply_to_ended(self, event: Placed, day: date) -> str | None:
        ended = self._past.get(event.unit_id)
        if not ended:
            return f"the unit does not exist on {day}"
        name = f"{ended[-1].code} {ended[-1].name}"
        succession = self._became[event.unit_id]
        if isinstance(event, UnitAbolished) and not succession.into and succession.effective < day:
            return None  # Another abolition, recorded later, came before it: it had ended anyway.
        if not isinstance(event, UnitMerged | UnitSplit) or succession.into:
            return f"{name} is not open any more on {day}, it ended on {ended[-1].valid_to}"
        if day != succession.effective:
            # Else days that are before the decision would be counted otherwise.
            return f"{name} ended on {ended[-1].valid_to}: where it belongs is decided from {succession.effective} on"
        self._became[event.unit_id] = succession_by(event, day)
        return None

    def _hold(self, unit: Unit) -> None:
        self._open[unit.id] = unit
        self._holders.setdefault(unit.code, {})[unit.id] = None
        if unit.parent_id is not None:
            self._children.setdefault(unit.parent_id, set()).add(unit.id)

    def _release(self, unit: Unit, day: date) -> None:
        """End what a unit was until now, on the day before."""
        del self._open[unit.id], self._holders[unit.code][unit.id]
        if unit.parent_id is not None:
            self._children[unit.parent_id].discard(unit.id)
        if unit.valid_from < day:
            self._past.setdefault(unit.id, []).append(replace(unit, valid_to=day - _DAY))

    def _alter(self, unit: Unit, day: date) -> None:
        self._release(self._open[unit.id], day)
        self._hold(replace(unit, valid_from=max(day, unit.valid_from)))

    def _end(self, unit: Unit, event: UnitMerged | UnitSplit | UnitAbolished, day: date) -> str | None:
        if unit.valid_from == day and not self._past.get(unit.id):
            return f"{unit.code} {unit.name} cannot end on the day on which it begins, {day}"
        self._release(unit, day)
        self._became[unit.id] = succession_by(event, day)
        return None

    def _misfit(self, event: Placed, day: date) -> str | None:
        """Return what does not fit together, of the units that an event touched, once a day's events are applied."""
        unit = self._open.get(event.unit_id)
        if unit is not None:
            return self._misfit_of(unit, day)
        if event.unit_id not in self._past:
            return None  # Told already.
        left = [self._open[child] for child in self._children.get(event.unit_id, ())]
        if left:
            name = self._past[event.unit_id][-1].name
            return f"{name} ends, and {len(left)} units stand under it still, {left[0].code} {left[0].name} for one: move them first"
        missing = [heir for heir in heirs_in(event) if heir not in self._open]
        if missing:
            heirs = ", ".join(map(self._called, missing))
            return f"what was at {self._called(event.unit_id)} cannot go to {heirs}, not open on {day}"
        return None

    def _misfit_of(self, unit: Unit, day: date) -> str | None:
        for other in self._holders[unit.code]:
            if other != unit.id:
                return (
                    f"the code {unit.code} means another unit on {day} already: {tenure(self._open[other])}"
                )
        if unit.parent_id is not None:
            parent = self._open.get(unit.parent_id)
            if parent is None:
                return f"the parent of {unit.code} {unit.name} is not open on {day}"
            if unit.id in self._above(parent):
                return f"{unit.code} {unit.name} would stand above itself: it is above {parent.code} {parent.name} already"
            if not stands_above(parent.level, unit.level):
                return f"{parent.code} {parent.name} ({parent.level}) cannot be above {unit.code} {unit.name} ({unit.level})"
        return None

    def _above(self, unit: Unit) -> set[UUID]:
        """Return the ids of a unit and of everything above it, circle or not."""
        found = {unit.id}
        while unit.parent_id in self._open and unit.parent_id not in found:
            unit = self._open[unit.parent_id]
            found.add(unit.id)
        return found


def _effective(pair: tuple[int, Placed]) -> date:
    return pair[1].effective
