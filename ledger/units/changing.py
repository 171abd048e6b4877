"""What changes units: decided whole or refused whole, with everything that is wrong."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from uuid import UUID

import msgspec

from ledger.checks import check_day, check_text
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
from ledger.units.files import CODE_LENGTH_MAX
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

    def check(self) -> None:
        """Raise FieldInvalidError where it is no basis."""
        _text("decree", self.decree)
        _text("actor", self.actor)
        check_day("effective", self.effective)

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
    before: UnitTree
    """The tree without it."""
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
    if not changes:
        raise UnitsRefusedError([f"it changes nothing: the units are so already on {basis.effective}"])
    events = tuple(event for _, event in changes)
    return Plan(basis.reorganisation, basis.effective, events, tree, fit(tree, changes), tuple(warnings))


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
    if name is not None and _text("name", name) != found.name:
        changes.append(("", basis.change(UnitRenamed, found.id, name=_text("name", name))))
    if code is not None and _text("code", code) != found.code:
        changes.append(("", basis.change(UnitRecoded, found.id, code=_text("code", code))))
    if code is not None and len(code.strip()) > CODE_LENGTH_MAX:
        raise FieldInvalidError("code", f"it has at most {CODE_LENGTH_MAX} characters")
    return plan(tree, basis, changes)


def move(tree: UnitTree, basis: Basis, units: Sequence[str], parent: str | None) -> Plan:
    """Put units under another parent; None: at the top."""
    to, faults = _resolved(tree, [] if parent is None else [parent], basis.effective)
    found, more = _resolved(tree, units, basis.day_before)
    faults += more
    parent_id = to[0].id if to else None
    if not faults:
        faults = [
            f"{unit.code} {unit.name} stands there already" for unit in found if unit.parent_id == parent_id
        ]
    if faults:
        raise UnitsRefusedError(faults)
    return plan(
        tree, basis, [(unit.code, basis.change(UnitMoved, unit.id, parent_id=parent_id)) for unit in found]
    )


def merge(tree: UnitTree, basis: Basis, units: Sequence[str], into: str) -> Plan:
    """End units; what was there belongs to another one.

    Of units that ended the day before without a successor: decide who it is.
    """
    to, faults = _resolved(tree, [into], basis.effective)
    found, more = _resolved(tree, units, basis.day_before)
    faults += more
    faults += [f"{into} cannot be merged into itself" for unit in found if to and unit.id == to[0].id]
    if faults:
        raise UnitsRefusedError(faults)
    return plan(
        tree, basis, [(unit.code, basis.change(UnitMerged, unit.id, into=to[0].id)) for unit in found]
    )


def split(tree: UnitTree, basis: Basis, unit: str, parts: Sequence[str], land: Sequence[str] = ()) -> Plan:
    """End a unit, of which several others that are open that day have parts.

    Args:
        parts: Codes of those where people went.
        land: Codes of those that got land alone.
    """
    found, faults = _resolved(tree, [unit], basis.day_before)
    if not parts:
        faults.append(f"{unit} is split, and no part has its people")
    elif len(parts) + len(land) < 2:
        faults.append(f"{unit} is split, and has one part; it needs two at least, or is merged")
    shares, more = _resolved(tree, [*parts, *land], basis.effective)
    faults += more
    faults += [f"{unit} cannot be a part of itself" for share in shares if found and share.id == found[0].id]
    if faults:
        raise UnitsRefusedError(faults)
    told = tuple(Part(share.id, index < len(parts)) for index, share in enumerate(shares))
    return plan(tree, basis, [("", basis.change(UnitSplit, found[0].id, parts=told))])


def abolish(tree: UnitTree, basis: Basis, *, unit: str | None = None, level: str | None = None) -> Plan:
    """End a unit, or every unit of a level; what stands under them stands under their parents then."""
    day = basis.day_before
    if (unit is None) == (level is None):
        raise FieldInvalidError("unit", "name a unit or a level, one of them")
    if level is not None and level not in LEVELS:
        raise FieldInvalidError("level", f"{level} is none of {', '.join(LEVELS)}")
    # Another decree may hold from the same day on: what stands under them is that day's.
    valid = tree.valid(basis.effective)
    if unit is None:
        ending = {found.id: found for found in valid.values() if found.level == level}
    else:
        found = tree.resolve(unit, day)
        ending = {found.id: valid.get(found.id, found)}
    if not ending:
        raise UnitsRefusedError([f"no {level} is open on {day}"])
    children = tree.children_on(basis.effective)
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
    return plan(tree, basis, changes, abolition_warnings(ending.values()))


def abolition_warnings(units: Iterable[Unit]) -> Iterator[str]:
    """Tell what abolishing units leaves undecided, a whole level in one sentence."""
    by_level: dict[str, list[Unit]] = {}
    for unit in units:
        by_level.setdefault(unit.level, []).append(unit)
    for level, ended in by_level.items():
        which = (
            f"{ended[0].code} {ended[0].name} ({level}) is"
            if len(ended) == 1
            else f"{len(ended)} units ({level}) are"
        )
        yield f"{which} abolished: what counts at {'itself' if len(ended) == 1 else 'themselves'} is unallocated from then on"


def withdraw(
    tree: UnitTree, reorganisation: UUID, *, reason: str, actor: str, decree: str | None = None
) -> Plan:
    """Take a reorganisation back, whole.

    Raises:
        InputError: There is no reason, or a text is none.
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
        reorganisation=reorganisation,
        reason=_text("reason", reason),
        actor=actor,
        decree=None if decree is None else _text("decree", decree),
    )
    _text("actor", actor)
    return Plan(reorganisation, known.effective, (event,), tree, fit(tree, [("", event)]))


def _resolved(tree: UnitTree, codes: Sequence[str], day: date) -> tuple[list[Unit], list[str]]:
    """Return the units that codes mean on a day, and what is wrong with them."""
    units = []
    faults = [f"{code} is named {number} times" for code, number in Counter(codes).items() if number > 1]
    for code in codes:
        try:
            units.append(tree.resolve(code, day))
        except UnitError as error:
            faults.append(str(error))
    return units, faults


def _text(field: str, text: str) -> str:
    check_text(field, text.strip())
    return text.strip()
