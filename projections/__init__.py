"""The read side: followers of the log, their tables, and the questions they answer."""

from projections.components import COMPONENTS
from projections.errors import (
    NotCaughtUpError,
    PositionLostError,
    ProjectionStoppedError,
    RebuildBlockedError,
    RebuildRunningError,
)
from projections.runner import Runner, catch_up, rebuild
from projections.status import ProjectionStatus, status
from projections.totals import Totals, TotalsAnswer, TotalsQuery, open_totals

__all__ = [
    "COMPONENTS",
    "NotCaughtUpError",
    "PositionLostError",
    "ProjectionStatus",
    "ProjectionStoppedError",
    "RebuildBlockedError",
    "RebuildRunningError",
    "Runner",
    "Totals",
    "TotalsAnswer",
    "TotalsQuery",
    "catch_up",
    "open_totals",
    "rebuild",
    "status",
]
