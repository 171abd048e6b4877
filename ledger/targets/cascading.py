"""Hand a unit's target down: parts in proportion to a denominator, which add up to the whole exactly."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from ledger.errors import TargetsRefusedError
from ledger.masking import shown
from ledger.targets.book import Target, Targets
from ledger.targets.files import TargetRow
from ledger.units import LEVELS, TreeOn, Unit, UnitTree


class Cascade(NamedTuple):
    """How a target is handed down."""

    target: Target
    whole: int
    """What the parts add up to."""
    rows: list[TargetRow]
    without: list[Unit]
    """The units that get none: their denominator is not available, or too small for one."""


def split(whole: int, weights: Sequence[int]) -> list[int]:
    """Return whole numbers in proportion to the weights, by the largest remainder: they add up to *whole*.

    Of equal remainders the earlier gets more. Some weight must be over 0.
    """
    total = sum(weights)
    parts = [whole * weight // total for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda index: -(whole * weights[index] % total))
    for index in by_remainder[: whole - sum(parts)]:
        parts[index] += 1
    return parts


def cascade(
    tree: UnitTree,
    targets: Targets,
    unit: str,
    *,
    to_level: str,
    by: str,
    issuer: str,
    target_id: UUID | None = None,
) -> Cascade:
    """Return the parts that a target of a unit has in the units of a level below it.

    The tree and the denominators are those of the target's first day.

    Args:
        unit: Its code on the target's first day.
        to_level: commune, say.
        by: The name of the denominator.
        issuer: Whose target it is.
        target_id: Which of them, where there are several.

    Raises:
        TargetsRefusedError: There is no such target, or nothing to split it by.
    """
    target = _chosen(tree, targets, unit, issuer, target_id)
    day = target.from_day
    whole = targets.number(target, day)
    if whole is None:
        raise TargetsRefusedError(
            [f"{target.denominator} of {unit} is not available on {day}, so its target is no number"]
        )
    if to_level not in LEVELS:
        raise TargetsRefusedError([f"the level {shown(to_level)} is none of {', '.join(LEVELS)}"])
    on = TreeOn(tree, day)
    below = [
        one
        for one in on.units.values()
        if one.level == to_level and one.id != target.unit_id and target.unit_id in on.above(one.id)
    ]
    if not below:
        raise TargetsRefusedError([f"no {to_level} stands under {unit} on {day}"])
    found = [targets.denominator(one.id, by, day) for one in below]
    values = [one.value or 0 if one else 0 for one in found]
    if not any(values):
        raise TargetsRefusedError([f"{by} is available of no {to_level} under {unit} on {day}"])
    parts = split(whole, values)
    rows = [
        TargetRow(
            unit=one.code,
            measure=target.measure,
            level=target.level,
            number=part,
            from_day=target.from_day,
            deadline=target.deadline,
        )
        for one, part in zip(below, parts, strict=True)
        if part
    ]
    without = [one for one, part in zip(below, parts, strict=True) if not part]
    return Cascade(target, whole, rows, without)


def _chosen(tree: UnitTree, targets: Targets, unit: str, issuer: str, target_id: UUID | None) -> Target:
    found = []
    for target in targets.standing():
        called = tree.unit_on(target.unit_id, target.from_day)
        if called and called.code == unit and target.issuer == issuer and target_id in (None, target.id):
            found.append(target)
    if len(found) == 1:
        return found[0]
    if not found:
        raise TargetsRefusedError([f"{unit} has no such target of {issuer}; ledger targets list shows them"])
    told = (f"{target.id} ({target.measure} to {target.deadline})" for target in found)
    raise TargetsRefusedError(
        [f"{unit} has {len(found)} targets of {issuer}, name one of them: {', '.join(told)}"]
    )
