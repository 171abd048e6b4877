"""Units over HTTP."""

from collections.abc import Iterator
from datetime import date, datetime
from operator import attrgetter
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import PathParameter, QueryParameter

from api.admission import needs
from api.problems import problems
from ledger import Ledger, Unit, UnitTree
from ledger.access import Principal, Right
from ledger.unit_events import ReorganisationWithdrawn, UnitOpened

Day = Annotated[date | None, QueryParameter(description="A day in Vietnam; absent: today.")]


class UnitRow(msgspec.Struct, frozen=True):
    """A unit as the command line and the API show it."""

    code: str
    name: str
    level: str
    parent_code: str | None
    valid_from: date
    """First business day (Asia/Ho_Chi_Minh) on which it is valid under this code, name and parent."""
    valid_to: date | None
    """Last one; null: no end is known."""


class UnitList(msgspec.Struct, frozen=True):
    """Units, parents before children."""

    on: date
    """The day on which they are valid."""
    rows: list[UnitRow]


def unit_row(unit: Unit, tree: UnitTree, day: date) -> UnitRow:
    parent = tree.called(unit.parent_id, day).code if unit.parent_id else None
    return UnitRow(unit.code, unit.name, unit.level, parent, unit.valid_from, unit.valid_to)


def list_units(
    ledger: Ledger, *, on: date | None, under: str | None, by: Principal | None = None
) -> UnitList:
    """Return the units valid on a day (Vietnam; today if absent), parents before children."""
    day = on or ledger.today()
    found = ledger.units(on=day, under=under, by=by)
    tree = ledger.tree()
    return UnitList(day, [unit_row(unit, tree, day) for unit in found])


class ChangeRow(msgspec.Struct, frozen=True):
    """A change of units that was recorded at once: a reorganisation, or the units of a list that was loaded."""

    reorganisation: UUID | None
    """What it is withdrawn by; null: units were loaded from a list, which cannot be."""
    effective: date
    """First business day (Asia/Ho_Chi_Minh) on which it holds."""
    decree: str | None
    """The legal basis; null: a list that was loaded without one."""
    actor: str
    position: int
    """Of its first event."""
    recorded_at: datetime
    """When, UTC."""
    events: int
    withdrawn_position: int | None
    """Of its withdrawal; null, as are the others: it stands."""
    withdrawn_recorded_at: datetime | None
    """When, UTC."""
    withdrawn_by: str | None
    withdrawn_reason: str | None
    withdrawn_decree: str | None
    """The legal basis of the withdrawal; null: it has none."""


class ChangeList(msgspec.Struct, frozen=True):
    """Changes in the order in which they were recorded."""

    rows: list[ChangeRow]


def list_changes(ledger: Ledger, *, by: Principal | None = None) -> ChangeList:
    """Return every change of units, withdrawn ones too; raise NotPermittedError to who may not see units."""
    ledger.asking(by, Right.TOTALS)
    tree = ledger.tree()
    withdrawals = {
        event.reorganisation: event for _, event in tree.entries if isinstance(event, ReorganisationWithdrawn)
    }

    def recorded_at(position: int) -> datetime:
        return ledger.at(position=position).recorded_at

    rows = [
        ChangeRow(
            reorganisation=None,
            effective=effective,
            decree=decree,
            actor=actor,
            position=positions[0],
            recorded_at=recorded_at(positions[0]),
            events=len(positions),
            withdrawn_position=None,
            withdrawn_recorded_at=None,
            withdrawn_by=None,
            withdrawn_reason=None,
            withdrawn_decree=None,
        )
        for (effective, decree, actor), positions in _loads(tree)
    ]
    for one in tree.reorganisations.values():
        withdrawal = withdrawals.get(one.id)
        rows.append(
            ChangeRow(
                reorganisation=one.id,
                effective=one.effective,
                decree=one.decree,
                actor=one.actor,
                position=one.position,
                recorded_at=recorded_at(one.position),
                events=one.events,
                withdrawn_position=one.withdrawn_at,
                withdrawn_recorded_at=None if one.withdrawn_at is None else recorded_at(one.withdrawn_at),
                withdrawn_by=withdrawal.actor if withdrawal else None,
                withdrawn_reason=withdrawal.reason if withdrawal else None,
                withdrawn_decree=withdrawal.decree if withdrawal else None,
            )
        )
    return ChangeList(sorted(rows, key=attrgetter("position")))


def _loads(tree: UnitTree) -> Iterator[tuple[tuple[date, str | None, str], list[int]]]:
    """Yield day, decree and officer of the lists that were loaded, and the positions of their units.

    Lists loaded right after each other under one decree, for one day and by one officer, are told as one.
    """
    last: tuple[tuple[date, str | None, str], list[int]] | None = None
    for position, event in tree.entries:
        if not isinstance(event, UnitOpened) or event.reorganisation is not None:
            continue
        basis = event.valid_from, event.decree, event.actor
        if last is None or last[0] != basis or last[1][-1] != position - 1:
            if last is not None:
                yield last
            last = basis, []
        last[1].append(position)
    if last is not None:
        yield last


class UnitController(Controller):
    path = "/v1/units"
    tags = ("units",)

    @get(
        operation_id="list_units",
        opt=needs(Right.TOTALS),
        summary="The tree valid on a day",
        response_description="Parents before children.",
        sync_to_thread=True,
        responses=problems(400, 422, 503),
    )
    def units(
        self,
        ledger: NamedDependency[Ledger],
        principal: NamedDependency[Principal],
        on: Day = None,
        under: Annotated[
            str | None, QueryParameter(description="Code of a unit: it and everything under it.")
        ] = None,
    ) -> UnitList:
        return list_units(ledger, on=on, under=under, by=principal)

    @get(
        "/changes",
        operation_id="list_unit_changes",
        opt=needs(Right.TOTALS),
        summary="How units changed: every reorganisation, and every list that was loaded",
        response_description="In the order in which they were recorded, withdrawn ones too.",
        sync_to_thread=True,
        responses=problems(400, 503),
    )
    def changes(self, ledger: NamedDependency[Ledger], principal: NamedDependency[Principal]) -> ChangeList:
        return list_changes(ledger, by=principal)

    @get(
        "/{code:str}",
        operation_id="get_unit",
        opt=needs(Right.TOTALS),
        response_description="The unit, as it is called on that day.",
        summary="The unit that a code meant",
        sync_to_thread=True,
        responses=problems(400, 422, 503),
    )
    def unit(
        self,
        code: Annotated[str, PathParameter(description="It may mean different units on different days.")],
        ledger: NamedDependency[Ledger],
        principal: NamedDependency[Principal],
        on: Day = None,
    ) -> UnitRow:
        ledger.asking(principal, Right.TOTALS)
        tree, day = ledger.tree(), on or ledger.today()
        return unit_row(tree.resolve(code, day), tree, day)
