"""The facts about units: all of them in one stream, so that two keepers can never open one code twice.

What is said of tags and fields in ``ledger/events.py`` holds here too. Events with one ``reorganisation`` were recorded together
and stand or fall together.
"""

from datetime import date
from uuid import UUID

import msgspec

from ledger.facts import Fact

UNITS_STREAM = UUID("00000000-0000-8000-8000-756e69747300")
"""The one stream of all unit events: two keepers can never open one code twice."""


class UnitOpened(Fact, frozen=True, gc=False, kw_only=True, tag="unit.opened.v1"):
    """A unit exists from a day on."""

    unit_id: UUID
    code: str
    """The code it is called by; codes are given to other units later, ids never."""
    name: str
    level: str
    parent_id: UUID | None = None
    valid_from: date
    """First business day (Asia/Ho_Chi_Minh) on which it is valid."""
    decree: str | None = None
    actor: str = "local"
    reorganisation: UUID | None = None
    """None: opened from a list of units."""

    @property
    def effective(self) -> date:
        return self.valid_from


class UnitChange(Fact, frozen=True, gc=False, kw_only=True):
    """A unit is not what it was, from a day on. Nothing before that day changes, whenever it is recorded."""

    unit_id: UUID
    effective: date
    """First business day (Asia/Ho_Chi_Minh) on which it holds."""
    decree: str
    """The legal basis."""
    actor: str = "local"
    reorganisation: UUID


class UnitRenamed(UnitChange, frozen=True, gc=False, kw_only=True, tag="unit.renamed.v1"):
    """It is called by another name, which also says its type (xã, phường, thị trấn)."""

    name: str


class UnitRecoded(UnitChange, frozen=True, gc=False, kw_only=True, tag="unit.recoded.v1"):
    """It is called by another code."""

    code: str


class UnitMoved(UnitChange, frozen=True, gc=False, kw_only=True, tag="unit.moved.v1"):
    """It stands under another parent; None: at the top."""

    parent_id: UUID | None = None


class UnitMerged(UnitChange, frozen=True, gc=False, kw_only=True, tag="unit.merged.v1"):
    """It ended the day before, and what was there belongs to another unit.

    Of a unit that ended without a successor: the operator's decision who that is.
    """

    into: UUID


class Part(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """One of the units over which another was split."""

    unit_id: UUID
    people: bool = True
    """Whether people went there, and so dossiers; not only land."""


class UnitSplit(UnitChange, frozen=True, gc=False, kw_only=True, tag="unit.split.v1"):
    """It ended the day before, and several units have parts of it."""

    parts: tuple[Part, ...]


class UnitAbolished(UnitChange, frozen=True, gc=False, kw_only=True, tag="unit.abolished.v1"):
    """It ended the day before; nobody has said where what was there belongs."""


class ReorganisationWithdrawn(
    Fact, frozen=True, gc=False, kw_only=True, tag="units.reorganisation_withdrawn.v1"
):
    """A reorganisation is taken back, whole: the tree is as if it had never been."""

    reorganisation: UUID
    reason: str
    actor: str = "local"
    decree: str | None = None
    """The legal basis, where there is one: a mistake in what was recorded needs none."""


AnyUnitChange = UnitRenamed | UnitRecoded | UnitMoved | UnitMerged | UnitSplit | UnitAbolished
Placed = UnitOpened | AnyUnitChange
"""Those that say what holds from a day on."""
UnitEvent = Placed | ReorganisationWithdrawn
