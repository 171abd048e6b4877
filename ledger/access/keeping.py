"""Whether a keeper may change units, targets and frozen reports: each over the part of the tree that it touches. Pure."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import assert_never
from uuid import UUID

from ledger.access.asking import check_everything, check_right, told_parts
from ledger.access.reach import Reach
from ledger.access.rights import Principal, Right
from ledger.errors import NotPermittedError
from ledger.target_events import DenominatorSet, TargetEvent, TargetSet, TargetWithdrawn
from ledger.targets import Targets
from ledger.unit_events import (
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

Touched = tuple[UUID | None, date]
"""A unit on a day; None: the top of the tree."""


def check_units(by: Principal, events: Sequence[UnitEvent], reach: Reach) -> None:
    """Check that somebody may change units so: what changes, on the day before, and what it comes under or goes to.

    Args:
        reach: Of the tree before the change.

    Raises:
        NotPermittedError: They may not, or not all of it.
    """
    opened = {event.unit_id for event in events if isinstance(event, UnitOpened)}
    touched = [one for event in events for one in _touched(event) if one[0] not in opened]
    _check(by, touched, reach)


def check_targets(by: Principal, events: Sequence[TargetEvent], targets: Targets, reach: Reach) -> None:
    """Check that somebody may set denominators and targets, or withdraw these, of their units on their first days.

    Raises:
        NotPermittedError: They may not, or not all of it.
    """
    touched: list[Touched] = []
    for event in events:
        match event:
            case DenominatorSet() | TargetSet():
                touched.append((event.unit_id, event.from_day))
            case TargetWithdrawn():
                target = targets.by_id[event.target_id]
                touched.append((target.unit_id, target.from_day))
            case _:
                assert_never(event)
    _check(by, touched, reach)


def _touched(event: UnitEvent) -> Iterator[Touched]:
    if isinstance(event, ReorganisationWithdrawn):
        # It takes back everything that was recorded together.
        yield None, date.min
        return
    if isinstance(event, UnitOpened):
        yield event.parent_id, event.valid_from
        return
    yield event.unit_id, event.effective - timedelta(days=1)
    match event:
        case UnitMoved():
            yield event.parent_id, event.effective
        case UnitMerged():
            yield event.into, event.effective
        case UnitSplit():
            for part in event.parts:
                yield part.unit_id, event.effective
        case UnitRenamed() | UnitRecoded() | UnitAbolished():
            pass
        case _:
            assert_never(event)


def _check(by: Principal, touched: Sequence[Touched], reach: Reach) -> None:
    check_right(by, Right.KEEP)
    if None in by.parts(Right.KEEP):
        return
    for unit_id, day in dict.fromkeys(touched):
        if unit_id is None:
            check_everything(by, Right.KEEP, reach.tree, reach.tree.days[-1] if reach.tree.days else day)
        elif not by.may(Right.KEEP, reach.above(unit_id, day)):
            code = reach.tree.called(unit_id, day).code if unit_id in reach.tree.by_id else "a new unit"
            raise NotPermittedError(
                f"you may change {told_parts(by, Right.KEEP, reach.tree, day)} and what stands under it, and this also "
                f"touches {code}; nothing was recorded"
            )
