"""What may be said of targets and denominators: decided whole or refused whole, with everything that is wrong."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple, get_args
from uuid import UUID

from ledger.checks import check_text
from ledger.errors import FieldInvalidError, TargetsRefusedError, UnitError
from ledger.events import Type
from ledger.masking import shown
from ledger.target_events import MEASURES, DenominatorSet, TargetSet, TargetWithdrawn
from ledger.targets.book import Target, Targets
from ledger.targets.files import DenominatorRow, Fault, TargetRow
from ledger.units import UnitTree

NUMBER_MAX = 10**9
"""More than there are people to be asked for; a number as long as this was mistyped."""
PERCENT_MAX = 1000
REPLACED = "replaced"
"""Why a target was withdrawn in whose place another was set."""
DAYS_MAX = 3660
"""Ten years: a deadline further off was mistyped."""

_is_name = re.compile(r"[a-z][a-z0-9_]{0,31}").fullmatch
NOT_DENOMINATORS = frozenset({*get_args(Type), "target"})
"""What the ledger counts itself, or sets otherwise: a rate of these has its own denominator."""


def decide_denominators(
    tree: UnitTree,
    targets: Targets,
    rows: Sequence[DenominatorRow],
    faults: Iterable[Fault] = (),
    *,
    name: str,
    from_day: date,
    source: str,
    actor: str,
) -> list[DenominatorSet]:
    """Return the events that make the rows hold; none for a row that holds already.

    Args:
        faults: What is wrong with other lines.

    Raises:
        InputError: The name, the source or the actor cannot be one.
        TargetsRefusedError: Names everything that is wrong.
    """
    if not _is_name(name) or name in NOT_DENOMINATORS:
        raise FieldInvalidError(
            "name",
            f"{shown(name)} is no denominator: up to 32 small letters, digits and _, and nothing that is counted here, "
            f"such as {', '.join(MEASURES)}",
        )
    check_text("source", source)
    check_text("actor", actor)
    found = list(faults)
    events = []
    first: dict[UUID, int] = {}
    for row in rows:
        unit_id = _unit(tree, row.unit, from_day, row.line, found)
        if unit_id is None:
            continue
        if unit_id in first:
            found.append(Fault(row.line, f"{row.unit} stands on line {first[unit_id]} already"))
            continue
        first[unit_id] = row.line
        if row.value is not None and not 0 <= row.value <= NUMBER_MAX:
            found.append(Fault(row.line, f"{row.value} is no number of people"))
            continue
        known = targets.denominator(unit_id, name, from_day)
        if known and (known.value, known.from_day, known.source) == (row.value, from_day, source):
            continue
        events.append(
            DenominatorSet(
                unit_id=unit_id, name=name, value=row.value, from_day=from_day, source=source, actor=actor
            )
        )
    _refuse(found)
    return events


class _Period(NamedTuple):
    """When a unit has a target of a kind, and where that is said."""

    from_day: date
    deadline: date
    said: str
    target: Target | None


def decide_targets(
    tree: UnitTree,
    targets: Targets,
    rows: Sequence[TargetRow],
    faults: Iterable[Fault] = (),
    *,
    issuer: str,
    basis: str,
    actor: str,
    new_id: Callable[[], UUID],
    part_of: UUID | None = None,
    replace: bool = False,
) -> list[TargetSet | TargetWithdrawn]:
    """Return the events that set the targets of the rows; none for one that stands exactly so.

    Args:
        faults: What is wrong with other lines.
        replace: Withdraw what stands in the way, in place of refusing the row.

    Raises:
        InputError: The issuer, the basis or the actor cannot be one.
        TargetsRefusedError: Names everything that is wrong.
    """
    check_text("issuer", issuer)
    check_text("actor", actor)
    if basis:
        check_text("basis", basis)
    found = list(faults)
    taken: dict[tuple[UUID, str, int | None], list[_Period]] = {}
    for target in targets.standing():
        if target.issuer == issuer:
            taken.setdefault((target.unit_id, target.measure, target.level), []).append(
                _Period(target.from_day, target.deadline, _said(target), target)
            )
    events: list[TargetSet | TargetWithdrawn] = []
    replaced: dict[UUID, TargetWithdrawn] = {}
    for row in rows:
        wrong = list(_row_faults(row, targets))
        found += (Fault(row.line, why) for why in wrong)
        if row.from_day is None:
            continue
        unit_id = _unit(tree, row.unit, row.from_day, row.line, found)
        if unit_id is None or wrong:
            continue
        assert row.deadline is not None
        event = TargetSet(
            target_id=new_id(),
            unit_id=unit_id,
            measure=row.measure,  # type: ignore[arg-type]  # It is one: the row has no fault.
            level=row.level,
            number=row.number,
            percent=row.percent,
            denominator=row.denominator,
            from_day=row.from_day,
            deadline=row.deadline,
            issuer=issuer,
            basis=basis,
            part_of=part_of,
            actor=actor,
        )
        periods = taken.setdefault((unit_id, row.measure, row.level), [])
        overlapping = [
            one for one in periods if one.from_day <= row.deadline and row.from_day <= one.deadline
        ]
        periods.append(_Period(row.from_day, row.deadline, f"line {row.line} says already", None))
        if len(overlapping) == 1 and overlapping[0].target and _is_so(overlapping[0].target, event):
            continue
        if replace and all(one.target for one in overlapping):
            ids = [one.target.id for one in overlapping if one.target]
            replaced |= {one: TargetWithdrawn(target_id=one, reason=REPLACED, actor=actor) for one in ids}
        elif overlapping:
            found.append(
                Fault(
                    row.line,
                    f"{row.unit} has a target of {issuer} for {_kind(row.measure, row.level)} in this time: "
                    + ", ".join(one.said for one in overlapping),
                )
            )
        events.append(event)
    _refuse(found)
    return [*replaced.values(), *events]


def _row_faults(row: TargetRow, targets: Targets) -> Iterator[str]:
    if row.measure not in MEASURES:
        yield f"the measure {shown(row.measure)} is none of {', '.join(MEASURES)}"
    if row.level not in (None, 1, 2):
        yield f"the level {row.level} is neither 1 nor 2, nor empty for both"
    yield from _time_faults(row.from_day, row.deadline)
    if (row.number is None) == (row.percent is None):
        yield "it needs a number or a percent, one of them"
    if row.number is not None and not 1 <= row.number <= NUMBER_MAX:
        yield f"the number {row.number} is not from 1 to {NUMBER_MAX:,}"
    if row.percent is None:
        if row.denominator is not None:
            yield "a denominator belongs to a percent; a number has none"
    else:
        yield from _percent_faults(row.percent, row.denominator, targets)


def _time_faults(from_day: date | None, deadline: date | None) -> Iterator[str]:
    if from_day is None:
        yield "there is no first day (from)"
    if deadline is None:
        yield "there is no deadline"
    elif from_day is not None:
        if deadline < from_day:
            yield f"the deadline {deadline} is before the first day, {from_day}"
        elif (deadline - from_day).days > DAYS_MAX:
            yield f"the deadline {deadline} is more than ten years after the first day, {from_day}"


def _percent_faults(percent: Decimal, denominator: str | None, targets: Targets) -> Iterator[str]:
    if not 0 < percent <= PERCENT_MAX:
        yield f"the percent {percent} is not over 0 and up to {PERCENT_MAX}"
    if denominator is None:
        yield "a percent needs the name of its denominator"
    elif denominator not in targets.names:
        known = ", ".join(sorted(targets.names)) or "none"
        yield f"no denominator is called {shown(denominator)}; known are {known}; denominators are loaded first"


def decide_withdrawal(
    targets: Targets, ids: Sequence[UUID], *, reason: str, actor: str, parts: bool = False
) -> list[TargetWithdrawn]:
    """Return the events that take targets back.

    Args:
        parts: Whether to take back as well what was cascaded from them.

    Raises:
        InputError: The reason or the actor cannot be one.
        TargetsRefusedError: No such target, or taken back before; names all of those.
    """
    check_text("reason", reason)
    check_text("actor", actor)
    found = []
    taken: dict[UUID, None] = {}
    for target_id in ids:
        target = targets.by_id.get(target_id)
        if target is None:
            found.append(Fault(0, f"there is no target {target_id}; ledger targets list shows them"))
        elif target.withdrawn_at is not None:
            found.append(
                Fault(0, f"the target {target_id} was withdrawn at position {target.withdrawn_at} already")
            )
        else:
            taken[target_id] = None
    if parts:
        # A part is set after what it is a part of, so one look in that order finds the parts of parts.
        for target in targets.standing():
            if target.part_of in taken:
                taken[target.id] = None
    _refuse(found)
    return [TargetWithdrawn(target_id=target_id, reason=reason, actor=actor) for target_id in taken]


def _unit(tree: UnitTree, code: str, day: date, line: int, faults: list[Fault]) -> UUID | None:
    try:
        return tree.resolve(code, day).id
    except UnitError as error:
        faults.append(Fault(line, str(error)))
        return None


def _is_so(target: Target, event: TargetSet) -> bool:
    return (
        target.goal == (event.issuer, event.measure, event.level, event.from_day, event.deadline)
        and (target.number, target.percent, target.denominator)
        == (event.number, event.percent, event.denominator)
        and (target.basis, target.part_of) == (event.basis, event.part_of)
    )


def _said(target: Target) -> str:
    asked = f"{target.number:,}" if target.number is not None else _share(target.percent, target.denominator)
    return f"{asked} from {target.from_day} to {target.deadline} (target {target.id}; withdraw or replace it)"


def _share(percent: Decimal | None, denominator: str | None) -> str:
    return f"{percent} % of {denominator}"


def _kind(measure: str, level: int | None) -> str:
    return f"{measure}, level {level}" if level else f"{measure}, both levels"


def _refuse(faults: Sequence[Fault]) -> None:
    if faults:
        raise TargetsRefusedError([str(fault) for fault in sorted(faults, key=lambda fault: fault.line)])
