"""Which targets stand, and which denominators hold: the fold of the targets' stream."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import NamedTuple, assert_never
from uuid import UUID

import msgspec

from ledger.target_events import DenominatorSet, Measure, TargetEvent, TargetSet, TargetWithdrawn


class Denominator(msgspec.Struct, frozen=True):
    """How many people of one kind a unit has, from a day on until the next one's."""

    unit_id: UUID
    name: str
    value: int | None
    """None: not available."""
    from_day: date
    source: str
    actor: str
    position: int


class Target(msgspec.Struct, frozen=True):
    """What a unit is to reach, and whether it still is."""

    id: UUID
    unit_id: UUID
    measure: Measure
    level: int | None
    """1 or 2; None: both together."""
    number: int | None
    percent: Decimal | None
    denominator: str | None
    from_day: date
    deadline: date
    issuer: str
    basis: str
    part_of: UUID | None
    actor: str
    position: int
    withdrawn_at: int | None = None
    """The position of its withdrawal; None: it stands."""
    reason: str = ""
    """Why it was withdrawn."""

    @property
    def goal(self) -> "Goal":
        return Goal(self.issuer, self.measure, self.level, self.from_day, self.deadline)


class Goal(NamedTuple):
    """What targets of several units have in common, so that the units can be compared."""

    issuer: str
    measure: Measure
    level: int | None
    from_day: date
    deadline: date


class Targets(msgspec.Struct, frozen=True):
    """All targets and denominators, as of one version of their stream."""

    version: int = 0
    entries: tuple[tuple[int, TargetEvent], ...] = ()
    """Every event of the stream with its position, by version."""
    denominators: Mapping[tuple[UUID, str], tuple[Denominator, ...]] = {}
    """What holds of a unit by its name, the earliest day first."""
    names: frozenset[str] = frozenset()
    """Of denominators."""
    by_id: Mapping[UUID, Target] = {}
    """Every target that ever was, in the order in which they were set."""
    goals: Mapping[Goal, Mapping[UUID, Target]] = {}
    """The targets that stand, by goal and unit."""

    @property
    def position(self) -> int:
        """Of the last event; 0 where there is none."""
        return self.entries[-1][0] if self.entries else 0

    def at(self, position: int) -> "Targets":
        """Return what the ledger knew when it ended at *position*."""
        if position >= self.position:
            return self
        return grow(Targets(), [entry for entry in self.entries if entry[0] <= position])

    def standing(self) -> list[Target]:
        return [target for target in self.by_id.values() if target.withdrawn_at is None]

    def denominator(self, unit_id: UUID, name: str, day: date) -> Denominator | None:
        """Return what holds on a day; None where nobody has said anything for that day."""
        known = self.denominators.get((unit_id, name), ())
        later = bisect_right([one.from_day for one in known], day)
        return known[later - 1] if later else None

    def number(self, target: Target, day: date) -> int | None:
        """Return how many a target asks for, by the denominator that holds on a day; None: not available.

        A percentage is rounded up: fewer would not reach it.
        """
        if target.percent is None:
            return target.number
        assert target.denominator is not None
        found = self.denominator(target.unit_id, target.denominator, day)
        if found is None or found.value is None:
            return None
        return ceil(Fraction(target.percent) * found.value / 100)


def grow(targets: Targets, entries: Iterable[tuple[int, TargetEvent]]) -> Targets:
    """Return what the next events of the stream, with their positions, make of the targets."""
    added = tuple(entries)
    denominators = dict(targets.denominators)
    by_id = dict(targets.by_id)
    goals = {goal: dict(units) for goal, units in targets.goals.items()}
    names = set(targets.names)
    for position, event in added:
        match event:
            case DenominatorSet():
                key = event.unit_id, event.name
                others = (one for one in denominators.get(key, ()) if one.from_day != event.from_day)
                denominators[key] = tuple(
                    sorted((*others, _denominator(event, position)), key=lambda one: one.from_day)
                )
                names.add(event.name)
            case TargetSet():
                target = _target(event, position)
                by_id[target.id] = target
                goals.setdefault(target.goal, {})[target.unit_id] = target
            case TargetWithdrawn():
                target = by_id[event.target_id]
                by_id[target.id] = msgspec.structs.replace(target, withdrawn_at=position, reason=event.reason)
                units = goals[target.goal]
                del units[target.unit_id]
                if not units:
                    del goals[target.goal]
            case _:
                assert_never(event)
    return Targets(
        targets.version + len(added), targets.entries + added, denominators, frozenset(names), by_id, goals
    )


def _denominator(event: DenominatorSet, position: int) -> Denominator:
    return Denominator(
        event.unit_id, event.name, event.value, event.from_day, event.source, event.actor, position
    )


def _target(event: TargetSet, position: int) -> Target:
    return Target(
        id=event.target_id,
        unit_id=event.unit_id,
        measure=event.measure,
        level=event.level,
        number=event.number,
        percent=event.percent,
        denominator=event.denominator,
        from_day=event.from_day,
        deadline=event.deadline,
        issuer=event.issuer,
        basis=event.basis,
        part_of=event.part_of,
        actor=event.actor,
        position=position,
    )
