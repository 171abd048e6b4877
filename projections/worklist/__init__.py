"""Which dossiers wait, page by page: those overdue first, then the oldest. Whom to visit tonight.

Ids of dossiers only: whose they are is told by a dossier itself, to those who may know.
"""

from projections.worklist.questions import (
    PAGE_MAX,
    Awaiting,
    Waits,
    WorklistAnswer,
    WorklistQuery,
    WorklistRow,
)
from projections.worklist.reading import Worklist, open_worklist

__all__ = [
    "PAGE_MAX",
    "Awaiting",
    "Waits",
    "Worklist",
    "WorklistAnswer",
    "WorklistQuery",
    "WorklistRow",
    "open_worklist",
]
