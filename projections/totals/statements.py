"""The SQL of a question about totals: which sums it reads, and how."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from psycopg.sql import SQL, Composed

from ledger import sql
from projections.tables import as_array
from projections.totals.days import days_of, parted
from projections.totals.questions import BY_DAYS, BY_UNITS, TotalsQuery

_QUERIES = sql.load("projections.sql", "unit_totals.sql")

PARTS: Mapping[str, SQL] = {
    **dict.fromkeys(BY_UNITS, SQL("coalesce(bucket, -1)")),
    "level": SQL("level"),
    # What waits since a day that was not asked for waits still: it has no day.
    "day": SQL("CASE WHEN sign <> 0 THEN parts.day END"),
    "week": SQL("CASE WHEN sign <> 0 THEN to_char(parts.day, 'IYYY\"-W\"IW') END"),
    "month": SQL("CASE WHEN sign <> 0 THEN to_char(parts.day, 'YYYY-MM') END"),
    "place": SQL("place"),
    "shift": SQL("shift"),
    "partner": SQL("partner"),
    "team": SQL("team"),
    "actor": SQL("actor"),
    "reason": SQL("reason"),
    "recorded_on": SQL("recorded_on::text"),
    "": SQL("''::text"),
}
"""What rows are of, as a part of a statement."""

DAYLESS = frozenset((*BY_UNITS, "level"))
"""What tells no days apart, in the tree of one day."""
COARSE = DAYLESS | frozenset(BY_DAYS)
"""What the sums by day and month can tell."""


def parts_of(query: TotalsQuery) -> dict[str, SQL]:
    """Return what differs in a statement that reads deltas: what its rows are of, and at which leaf each counts."""
    part_1, part_2 = (PARTS[by] for by in (*query.bys, "")[:2])
    acting = query.attribution == "acting"
    return {
        "part_1": part_1,
        "part_2": part_2,
        "held": SQL("" if acting else _QUERIES["held"]),
        "leaf": SQL("leaf_id" if acting else "holder"),
    }


def statement_of(query: TotalsQuery, *, fine: bool) -> Composed:
    """Return the statement of a question.

    Args:
        fine: Whether it reads single deltas, not their sums.
    """
    parts = parts_of(query)
    if fine:
        return SQL(_QUERIES["read_deltas"]).format(**parts)
    coarse = SQL(_QUERIES["coarse"]).format(events=SQL(_QUERIES["events"]))
    if DAYLESS.issuperset(query.bys):
        coarse = SQL(_QUERIES["coarse_summed"]).format(coarse=coarse)
    return SQL(_QUERIES["read_coarse"]).format(**parts, coarse=coarse)


def coarse_parameters(query: TotalsQuery, boundaries: Sequence[date]) -> dict[str, Any]:
    """Return what months, pentads and days a question of the sums reads."""
    first, after_last = query.days
    broken = sorted({day.replace(day=1) for day in boundaries if day.day != 1})
    parts = parted(first, after_last)
    return {
        # By month, days that are not whole months would be told apart from what waits since the others of those months.
        "months": {"day", "week"}.isdisjoint(query.bys) and ("month" not in query.bys or parts.in_months),
        # In the tree of one day, what awaits is the same whenever it began to; so is all of it where no days are asked for.
        "ever": not boundaries and DAYLESS.issuperset(query.bys),
        "bounded": query.from_day is not None or query.to_day is not None,
        "from": first,
        "to": after_last,
        "month_from": parts.month_from,
        "month_to": parts.month_to,
        "boundaries": as_array(boundaries),
        "broken": as_array(broken),
        "broken_days": as_array([day for month in broken for day in days_of(month)]),
        # A month within which the tree changes is read day by day, whatever is asked of it.
        **{
            name: as_array([day for day in days if day.replace(day=1) not in broken])
            for name, days in {
                "pentads": parts.pentads + parts.pentads_off,
                "pentads_off": parts.pentads_off,
                "days": parts.days + parts.days_off,
                "days_off": parts.days_off,
            }.items()
        },
    }
