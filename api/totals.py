"""Counts per unit, level, day, place, shift or partner."""

from datetime import date
from typing import Annotated, Literal

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from api.dossiers import POSITION_MAX
from api.problems import documented
from api.units import UNIT_CHARACTERS_MAX
from projections import Totals, TotalsAnswer, TotalsQuery

By = Literal["unit", "level", "day", "place", "shift", "partner"]


@get(
    "/totals",
    tags=["totals"],
    sync_to_thread=True,
    operation_id="readTotals",
    summary="Totals",
    response_description="Rows that add up to the sum, and the position and time that they are true for.",
    responses=documented(400, 422, 503),
)
def read_totals(
    totals: NamedDependency[Totals],
    unit: Annotated[
        str | None,
        QueryParameter(
            min_length=1,
            max_length=UNIT_CHARACTERS_MAX,
            description="The code of a unit, 1 to 32 characters: it with everything under it; absent: everything.",
        ),
    ] = None,
    by: Annotated[
        By,
        QueryParameter(description="What the rows are: unit, level, day, place, shift or partner."),
    ] = "unit",
    level: Annotated[
        Literal[1, 2] | None, QueryParameter(description="Level of the account, 1 or 2; absent: both.")
    ] = None,
    from_day: Annotated[
        date | None,
        QueryParameter(
            name="from",
            description="First business day (Asia/Ho_Chi_Minh) of occurred_at, YYYY-MM-DD, included.",
        ),
    ] = None,
    to_day: Annotated[
        date | None,
        QueryParameter(
            name="to",
            description="Last business day, YYYY-MM-DD, included; the unit's code is read on it, else today.",
        ),
    ] = None,
    after: Annotated[
        int | None,
        QueryParameter(
            ge=0,
            le=POSITION_MAX,
            description="A position, 0 or more, as a receipt gives it: wait up to 2 seconds until it is counted.",
            schema_extra={"minimum": 0},  # Litestar leaves out a bound of 0.
        ),
    ] = None,
) -> TotalsAnswer:
    """Tell the counts of events, at the unit whose work they are, net of corrections.

    awaiting_approval and awaiting_activation are dossiers that wait now, at the collecting unit.
    """
    return totals.read(TotalsQuery(unit, by, level, from_day, to_day), after=after)
