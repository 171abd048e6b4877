"""The questions that unit totals answer; the one code path for page, API, export and command line."""

from projections.totals.answers import Period, TotalsAnswer, masked_totals
from projections.totals.days import Parted, parted
from projections.totals.questions import (
    BY_DAYS,
    BY_UNITS,
    BYS,
    By,
    TotalsQuery,
    check_days,
    check_told_to_the_public,
    read_bys,
    read_hierarchy,
)
from projections.totals.reading import WAIT_SECONDS, Totals, open_totals

__all__ = [
    "BYS",
    "BY_DAYS",
    "BY_UNITS",
    "WAIT_SECONDS",
    "By",
    "Parted",
    "Period",
    "Totals",
    "TotalsAnswer",
    "TotalsQuery",
    "check_days",
    "check_told_to_the_public",
    "masked_totals",
    "open_totals",
    "parted",
    "read_bys",
    "read_hierarchy",
]
