"""What changes units: decided whole or refused whole, with everything that is wrong."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from uuid import UUID

import msgspec

from ledger.errors import (
    AlreadyWithdrawnError,
    FieldInvalidError,
    ReorganisationUnknownError,
    UnitError,
    UnitsRefusedError,
)
from ledger.unit_events import (
    AnyUnitChange,
    Part,
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
from ledger.units.growing import try_grow
from ledger.units.tree import LEVELS, Unit, UnitTree

_DAY = timedelta(days=1)


class Basis(msgspec.Struct, frozen=True):
    """What every change of one reorganisation has in common."""

    effective: date
    """First business day (Asia/Ho_Chi_Minh) on which it holds; it may be long past."""
    decree: str
    actor: str
    reorganisation: UUID

    def change(self, cls: type[AnyUnitChange], unit_id: UUID, **fields: object) -> AnyUnitChange:
        return cls(
            unit_id=unit_id,
            effective=self.effective,
            decree=self.decree,
            actor=self.actor,
            reorganisation=self.reorganisation,
            **fields,  # type: ignore[arg-type]
        )

    def opened(self, unit_id: UUID, code: str, name: str, level: str, parent_id: UUID | None) -> UnitOpened:
        return UnitOpened(
            unit_id=unit_id,
            code=code,
            name=name,
            level=level,
            parent_id=parent_id,
            valid_from=self.effective,
            decree=self.decree,
            actor=self.actor,
            reorganisation=self.reorganisation,
        )

    @property
    def day_before(self) -> date:
        return self.effective - _DAY


class Plan(msgspec.Struct, frozen=True):
    """A reorganisation that fits, not recorded yet."""

    reorganisation: UUID
    effective: date
    events: tuple[UnitEvent, ...]
    tree: UnitTree
    """The tree with it."""
    warnings: tuple[str, ...] = ()


def plan(
    tree: UnitTree, basis: Basis, changes: Sequence[tuple[str, Placed]], warnings: Iterable[str] = ()
) -> Plan:
    """Return the changes as a plan.

    Args:
        changes: Each with where it comes from, a line of a file say; empty: the command itself.

    Raises:
        UnitsRefusedError: They do not make a tree, that day or later; names everything that is wrong.
    """
    if not basis.decree.strip():
        raise FieldInvalidError("decree", "a change of units needs its legal basis")
    events = tuple(event for _, event in changes)
    return Plan(basis.reorganisation, basis.effective, events, fit(tree, changes), tuple(warnings))


def fit(tree: UnitTree, changes: Sequence[tuple[str, UnitEvent]]) -> UnitTree:
    """Return the tree with the changes; raise UnitsRefusedError, which names everything that is wrong."""
    grown, faults = try_grow(tree, [(0, event) for _, event in changes])
    if faults:
        told = []
        for fault in faults:
            if fault.version > tree.version:
                origin = changes[fault.version - tree.version - 1][0]
                told.append(f"{origin}: {fault.why}" if origin else fault.why)
            else:
                position, _ = tree.entries[fault.version - 1]
                told.append(f"position {position}, recorded before, would not hold any more: {fault.why}")
        raise UnitsRefusedError(told)
    return grown


def rename(tree: UnitTree, basis: Basis, unit: str, *, name: str | None, code: str | None) -> Plan:
    """Give a unit another name, another code, or both.

    Raises:
        UnitError: The unit's code means none on the day before.
        UnitsRefusedError: The code means another unit that day.
    """
    found = tree.resolve(unit, basis.day_before)
    changes: list[tuple[str, Placed]] = []
    if name is not None and name != found.name:
        changes.append(("", basis.change(UnitRenamed, found.id, name=_text("name", name))))
    if code is not None and code != found.code:
        changes.append(("", basis.change(UnitRecoded, found.id, code=_text("code", code))))
    if not changes:
        raise FieldInvalidError("name", f"{unit} is called so already")
    return plan(tree, basis, changes)


def move(tree: UnitTree, basis: Basis, units: Sequence[str], parent: str | None) -> Plan:
    """Put units under another parent; None: at the top."""
    to = None if parent is None else tree.resolve(parent, basis.effective)
    found, faults = _resolved(tree, units, basis.day_before)
    if faults:
        raise UnitsRefusedError(faults)
    return plan(
        tree,
        basis,
        [(unit.code, basis.change(UnitMoved, unit.id, parent_id=to.id if to else None)) for unit in found],
    )


def merge(tree: UnitTree, basis: Basis, units: Sequence[str], into: str) -> Plan:
    """End units; what was there belongs to another one.

    Of units that have ended, that day or before, without a successor: decide who it is.
    """
    to = tree.resolve(into, basis.effective)
    found, faults = _resolved(tree, units, basis.day_before)
    if faults:
        raise UnitsRefusedError(faults)
    if any(unit.id == to.id for unit in found):
        raise UnitsRefusedError([f"{into} cannot be merged into itself"])
    return plan(tree, basis, [(unit.code, basis.change(UnitMerged, unit.id, into=to.id)) for unit in found])


def split(tree: UnitTree, basis: Basis, unit: str, parts: Sequence[str], land: Sequence[str] = ()) -> Plan:
    """End a unit, of which several others that are open that day have parts.

    Args:
        parts: Codes of those where people went.
        land: Codes of those that got land alone.
    """
    found = tree.resolve(unit, basis.day_before)
    if len(set(parts)) < 2:
        raise UnitsRefusedError([f"{unit} needs two parts with people at least; of one it is a merger"])
    shares, faults = _resolved(tree, [*parts, *land], basis.effective)
    if len({*parts, *land}) < len(parts) + len(land):
        faults.append("a part is named twice")
    if faults:
        raise UnitsRefusedError(faults)
    told = tuple(Part(share.id, index < len(parts)) for index, share in enumerate(shares))
    return plan(tree, basis, [("", basis.change(UnitSplit, found.id, parts=told))])


def abolish(tree: UnitTree, basis: Basis, *, unit: str | None = None, level: str | None = None) -> Plan:
    """End a unit, or every unit of a level; what stands under them stands under their parents then."""
    day = basis.day_before
    if (unit is None) == (level is None):
        raise FieldInvalidError("unit", "name a unit or a level, one of them")
    if level is not None and level not in LEVELS:
        raise FieldInvalidError("level", f"{level} is none of {', '.join(LEVELS)}")
    valid = tree.valid(day)
    ending = (
        {found.id: found for found in valid.values() if found.level == level}
        if unit is None
        else {found.id: found for found in [tree.resolve(unit, day)]}
    )
    if not ending:
        raise UnitsRefusedError([f"no {level} is open on {day}"])
    children = tree.children_on(day)
    changes: list[tuple[str, Placed]] = []
    for found in ending.values():
        parent_id = found.parent_id
        while parent_id in ending:
            parent_id = ending[parent_id].parent_id
        changes += [
            (child.code, basis.change(UnitMoved, child.id, parent_id=parent_id))
            for child in children.get(found.id, ())
            if child.id not in ending
        ]
        changes.append((found.code, basis.change(UnitAbolished, found.id)))
    return plan(tree, basis, changes)


def withdraw(tree: UnitTree, reorganisation: UUID, *, reason: str, actor: str) -> Plan:
    """Take a reorganisation back, whole.

    Raises:
        ReorganisationUnknownError: There is none with the id.
        AlreadyWithdrawnError: It was taken back before.
        UnitsRefusedError: Something recorded since needs it; says what.
    """
    known = tree.reorganisations.get(reorganisation)
    if known is None:
        raise ReorganisationUnknownError(reorganisation)
    if known.withdrawn_at is not None:
        raise AlreadyWithdrawnError(reorganisation, known.withdrawn_at)
    event = ReorganisationWithdrawn(
        reorganisation=reorganisation, reason=_text("reason", reason), actor=actor
    )
    return Plan(reorganisation, known.effective, (event,), fit(tree, [("", event)]))


def _resolved(tree: UnitTree, codes: Sequence[str], day: date) -> tuple[list[Unit], list[str]]:
    units, faults = [], []
    for code in codes:
        try:
            units.append(tree.resolve(code, day))
        except UnitError as error:
            faults.append(str(error))
    return units, faults


def _text(field: str, text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise FieldInvalidError(field, "it needs some text, without control characters")
    return text.strip()
