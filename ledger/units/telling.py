"""What a change of units changes, unit by unit: for whoever is to read it before it is recorded, or after."""

from collections.abc import Iterator
from datetime import timedelta
from typing import assert_never
from uuid import UUID

import msgspec

from ledger.unit_events import (
    Placed,
    ReorganisationWithdrawn,
    UnitAbolished,
    UnitMerged,
    UnitMoved,
    UnitOpened,
    UnitRecoded,
    UnitRenamed,
    UnitSplit,
)
from ledger.units.changing import Plan
from ledger.units.tree import UnitTree

_DAY = timedelta(days=1)


class Told(msgspec.Struct, frozen=True, rename={"before": "from", "after": "to"}):
    """One thing that changes about one unit."""

    what: str
    """opened, renamed, recoded, moved, merged, split, abolished; with *not* before it: taken back."""
    code: str
    """As it is called on the day before; of one that is opened, on the first day."""
    name: str
    level: str
    before: str | None
    """Its name, its code, or the code and name of its parent; None: there was nothing."""
    after: str | None
    """The same, or code and name of what it becomes; None: nothing, or nobody knows."""


def told(plan: Plan) -> list[Told]:
    """Return what changes, in the order of the events. A withdrawal tells what it takes back."""
    return list(_told(plan))


def _told(plan: Plan) -> Iterator[Told]:
    for event in plan.events:
        if not isinstance(event, ReorganisationWithdrawn):
            yield _tell(event, plan.before, plan.tree)
            continue
        # The tree with it is the one before its withdrawal.
        for _, made in plan.before.entries:
            if made.reorganisation == event.reorganisation and not isinstance(made, ReorganisationWithdrawn):
                one = _tell(made, plan.before, plan.before)
                yield Told(f"not {one.what}", one.code, one.name, one.level, one.after, one.before)


def _tell(event: Placed, before: UnitTree, after: UnitTree) -> Told:  # noqa: PLR0911 - one for each event
    day = event.effective
    if isinstance(event, UnitOpened):
        return Told(
            "opened", event.code, event.name, event.level, None, _named(after, event.parent_id, event)
        )
    # The unit as it is the day before.
    unit = before.called(event.unit_id, day - _DAY)
    this = (unit.code, unit.name, unit.level)
    match event:
        case UnitRenamed(name=name):
            return Told("renamed", *this, unit.name, name)
        case UnitRecoded(code=code):
            return Told("recoded", *this, unit.code, code)
        case UnitMoved(parent_id=parent_id):
            return Told(
                "moved", *this, _named(before, unit.parent_id, event, 1), _named(after, parent_id, event)
            )
        case UnitMerged(into=into):
            return Told("merged", *this, None, _named(after, into, event))
        case UnitSplit(parts=parts):
            named = [
                f"{_named(after, part.unit_id, event)}{'' if part.people else ' (land without people)'}"
                for part in parts
            ]
            return Told("split", *this, None, "; ".join(named))
        case UnitAbolished():
            return Told("abolished", *this, None, None)
        case _:
            assert_never(event)


def _named(tree: UnitTree, unit_id: UUID | None, event: Placed, days_before: int = 0) -> str | None:
    if unit_id is None:
        return None
    unit = tree.called(unit_id, event.effective - days_before * _DAY)
    return f"{unit.code} {unit.name}"
