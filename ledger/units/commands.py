"""What may be asked of the tree of units. Verbs; what comes of them are the events in ``ledger/unit_events.py``."""

from collections.abc import Callable
from datetime import date
from typing import assert_never
from uuid import UUID

import msgspec

from ledger.units import changing
from ledger.units.changing import Basis, Plan
from ledger.units.files import MergeRow, UnitRow
from ledger.units.reorganising import reorganise
from ledger.units.tree import UnitTree


class ChangeUnits(msgspec.Struct, frozen=True, kw_only=True):
    """A change of units by law. Codes of what changes are those of the day before it."""

    effective: date
    """First business day (Asia/Ho_Chi_Minh) on which it holds; it may be long past or still to come."""
    decree: str
    """The legal basis."""
    actor: str = "local"


class RenameUnit(ChangeUnits, frozen=True, kw_only=True):
    """Give a unit another name, another code, or both."""

    unit: str
    name: str | None = None
    code: str | None = None


class MoveUnits(ChangeUnits, frozen=True, kw_only=True):
    """Put units under another parent."""

    units: tuple[str, ...]
    parent: str | None
    """None: at the top."""


class MergeUnits(ChangeUnits, frozen=True, kw_only=True):
    """End units; what was there belongs to another one. Of units that ended the day before without a successor: decide who it is."""

    units: tuple[str, ...]
    into: str
    """A code of the day from which it holds."""


class SplitUnit(ChangeUnits, frozen=True, kw_only=True):
    """End a unit, of which several others have parts."""

    unit: str
    parts: tuple[str, ...]
    """Codes, of the day from which it holds, of those where people went."""
    land: tuple[str, ...] = ()
    """Codes of those that got land alone."""


class AbolishUnits(ChangeUnits, frozen=True, kw_only=True):
    """End a unit, or every unit of a level; what stands under them stands under their parents then."""

    unit: str | None = None
    level: str | None = None


class Reorganise(ChangeUnits, frozen=True, kw_only=True):
    """Replace the tree of the day before by another, as two files tell it."""

    tree: tuple[UnitRow, ...]
    """The units valid from that day on."""
    merges: tuple[MergeRow, ...]
    """Where the people of each old unit went."""


class WithdrawReorganisation(msgspec.Struct, frozen=True, kw_only=True):
    """Take a reorganisation back, whole: the tree is as if it had never been."""

    reorganisation: UUID
    reason: str
    actor: str = "local"
    decree: str | None = None
    """The legal basis, where there is one."""


AnyUnitsCommand = (
    RenameUnit | MoveUnits | MergeUnits | SplitUnit | AbolishUnits | Reorganise | WithdrawReorganisation
)


def decide_units(  # noqa: PLR0911 - one for each command
    tree: UnitTree, command: AnyUnitsCommand, *, new_id: Callable[[], UUID]
) -> Plan:
    """Return what a command makes of the tree.

    Raises:
        UnitError: It does not fit; the whole of it is refused, and everything that is wrong is named.
        FieldInvalidError: The command lacks something.
    """
    if isinstance(command, WithdrawReorganisation):
        return changing.withdraw(
            tree, command.reorganisation, reason=command.reason, actor=command.actor, decree=command.decree
        )
    basis = Basis(command.effective, command.decree, command.actor, new_id())
    basis.check()
    match command:
        case RenameUnit(unit=unit, name=name, code=code):
            return changing.rename(tree, basis, unit, name=name, code=code)
        case MoveUnits(units=units, parent=parent):
            return changing.move(tree, basis, units, parent)
        case MergeUnits(units=units, into=into):
            return changing.merge(tree, basis, units, into)
        case SplitUnit(unit=unit, parts=parts, land=land):
            return changing.split(tree, basis, unit, parts, land)
        case AbolishUnits(unit=unit, level=level):
            return changing.abolish(tree, basis, unit=unit, level=level)
        case Reorganise(tree=rows, merges=merges):
            return reorganise(tree, basis, rows, merges, new_id=new_id)
        case _:
            assert_never(command)
