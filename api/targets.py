"""Denominators and targets as the command line shows them."""

from datetime import date
from uuid import UUID

import msgspec

from ledger import Ledger
from ledger.units import UnitTree


class DenominatorLine(msgspec.Struct, frozen=True, rename={"from_day": "from"}):
    """How many people of one kind a unit has."""

    code: str
    unit: str
    """Its name, on the day from which the value holds; so is its code."""
    name: str
    value: int | None
    """Null: not available."""
    from_day: date
    source: str
    position: int


class DenominatorList(msgspec.Struct, frozen=True):
    """Denominators by unit, by its code, and name."""

    on: date
    """The day on which they hold."""
    rows: list[DenominatorLine]


class TargetLine(msgspec.Struct, frozen=True, rename={"from_day": "from"}):
    """A target as it was set."""

    code: str
    unit: str
    """Its name, on the target's first day; so is its code."""
    measure: str
    level: int | None
    """Null: both together."""
    number: int | None
    percent: str | None
    denominator: str | None
    from_day: date
    deadline: date
    issuer: str
    basis: str
    part_of: UUID | None
    """The target that it was cascaded from."""
    position: int
    withdrawn_at: int | None
    """The position of its withdrawal; null: it stands."""
    reason: str
    """Why it was withdrawn."""
    id: UUID


class TargetList(msgspec.Struct, frozen=True):
    """Targets in the order in which they were set."""

    rows: list[TargetLine]


def list_denominators(
    ledger: Ledger, *, name: str | None, on: date | None, at: int | None
) -> DenominatorList:
    """Return what holds on a day (Vietnam; today if absent), as the ledger knew it at a position."""
    day = on or ledger.today()
    known, tree = ledger.targets(at=at), ledger.tree()
    rows = []
    for unit_id, one in known.denominators:
        found = known.denominator(unit_id, one, day)
        if found is not None and name in (None, one):
            code, called = _called(tree, unit_id, found.from_day)
            rows.append(
                DenominatorLine(code, called, one, found.value, found.from_day, found.source, found.position)
            )
    return DenominatorList(day, sorted(rows, key=lambda row: (row.code, row.name)))


def list_targets(
    ledger: Ledger, *, unit: str | None, issuer: str | None, at: int | None, withdrawn: bool
) -> TargetList:
    """Return the targets that stand, and those that were withdrawn if asked, as the ledger knew them at a position."""
    tree = ledger.tree()
    rows = []
    for target in ledger.targets(at=at).by_id.values():
        code, called = _called(tree, target.unit_id, target.from_day)
        if (
            unit not in (None, code)
            or issuer not in (None, target.issuer)
            or (target.withdrawn_at is not None and not withdrawn)
        ):
            continue
        rows.append(
            TargetLine(
                code=code,
                unit=called,
                measure=target.measure,
                level=target.level,
                number=target.number,
                percent=None if target.percent is None else f"{target.percent:f}",
                denominator=target.denominator,
                from_day=target.from_day,
                deadline=target.deadline,
                issuer=target.issuer,
                basis=target.basis,
                part_of=target.part_of,
                position=target.position,
                withdrawn_at=target.withdrawn_at,
                reason=target.reason,
                id=target.id,
            )
        )
    return TargetList(rows)


def _called(tree: UnitTree, unit_id: UUID, day: date) -> tuple[str, str]:
    unit = tree.called(unit_id, day)
    return unit.code, unit.name
