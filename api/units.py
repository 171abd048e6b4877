"""The tree of units on a day."""

from datetime import date
from typing import Annotated

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import PathParameter, QueryParameter

from api.problems import documented, refuse_not_found
from ledger import Ledger, Unit
from ledger.errors import UnitError

UNIT_CHARACTERS_MAX = 32

OnDay = Annotated[
    date | None,
    QueryParameter(name="on", description="A business day (Asia/Ho_Chi_Minh), YYYY-MM-DD; absent: today."),
]


class UnitRow(msgspec.Struct, frozen=True):
    """A unit, as it was called on the day."""

    code: str
    """Codes are re-used: the same one may mean another unit on another day."""
    name: str
    level: str
    """nation, province, district or commune."""
    parent_code: str | None
    """The code, on that day, of the unit above; null at the top."""
    valid_from: date
    """First business day on which it is valid so."""
    valid_to: date | None
    """Last business day on which it is valid so; null: no end is known."""


class UnitList(msgspec.Struct, frozen=True):
    """The tree on a day."""

    on: date
    """The business day (Asia/Ho_Chi_Minh) for which it is true."""
    rows: list[UnitRow]
    """Parents before children, siblings by code."""


@get(
    "/units",
    tags=["units"],
    sync_to_thread=True,
    operation_id="listUnits",
    summary="The tree of units",
    response_description="The units valid on the day.",
    responses=documented(400, 422, 503),
)
def list_units(
    ledger: NamedDependency[Ledger],
    on_day: OnDay = None,
    under: Annotated[
        str | None,
        QueryParameter(
            min_length=1,
            max_length=UNIT_CHARACTERS_MAX,
            description="The code of a unit, 1 to 32 characters: only it and everything under it.",
        ),
    ] = None,
) -> UnitList:
    """List the units valid on a day."""
    day = on_day or ledger.today()
    return UnitList(day, _rows(ledger, ledger.units(on=day, under=under)))


@get(
    "/units/{code:str}",
    tags=["units"],
    sync_to_thread=True,
    operation_id="readUnit",
    summary="One unit",
    response_description="The unit that the code means on the day.",
    responses=documented(400, 404, 503),
    exception_handlers={UnitError: refuse_not_found},
)
def read_unit(
    code: Annotated[
        str,
        PathParameter(
            min_length=1, max_length=UNIT_CHARACTERS_MAX, description="A unit code, 1 to 32 characters."
        ),
    ],
    ledger: NamedDependency[Ledger],
    on_day: OnDay = None,
) -> UnitRow:
    """Tell which unit a code means on a day; where none has it then, who held it and when."""
    [row] = _rows(ledger, [ledger.tree().resolve(code, on_day or ledger.today())])
    return row


def _rows(ledger: Ledger, units: list[Unit]) -> list[UnitRow]:
    by_id = ledger.tree().by_id
    return [
        UnitRow(
            unit.code,
            unit.name,
            unit.level,
            None if unit.parent_id is None else by_id[unit.parent_id].code,
            unit.valid_from,
            unit.valid_to,
        )
        for unit in units
    ]
