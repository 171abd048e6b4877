"""What has become of a frozen report: the same question asked of what is known now, and every event between the two.

Each count adds up: what was frozen, and what arrived late, occurred since, was corrected, was allocated and was moved by
reorganisations, is what is counted now.
"""

from projections.report_changes.answers import (
    KINDS,
    PAGE_MAX,
    ChangingEvent,
    CountChange,
    Kind,
    ReportChanges,
)
from projections.report_changes.asking import report_changes

__all__ = [
    "KINDS",
    "PAGE_MAX",
    "ChangingEvent",
    "CountChange",
    "Kind",
    "ReportChanges",
    "report_changes",
]
