"""The facts about frozen reports: which totals were told, as of which position, and what their bytes came to.

All of them in one stream, so that no name can be given twice. What is said of tags and fields in ``ledger/events.py`` holds
here too. What is frozen is a question and the hash of its answer: the counts themselves stay what the log makes of them.
"""

from datetime import date
from uuid import UUID

from ledger.facts import Fact

REPORTS_STREAM = UUID("00000000-0000-8000-8000-7265706f7274")
"""The one stream of all frozen reports."""


class Definition(Fact, frozen=True, gc=False, kw_only=True, rename={"from_day": "from", "to_day": "to"}):
    """A question about totals in which nothing is left that another day would answer otherwise.

    Codes of units need no ids beside them: at the report's position the tree of units is the same for ever.
    """

    unit: str | None = None
    """Code of a unit: it and everything under it; None: the whole ledger."""
    by: tuple[str, ...]
    """What the rows are."""
    level: int | None = None
    from_day: date | None = None
    to_day: date
    """Last business day (Asia/Ho_Chi_Minh), included; where none was asked for, that of the position."""
    hierarchy: str
    """``then``, or a day."""
    attribution: str = "acting"
    compare: str | None = None


class ReportFrozen(Fact, frozen=True, gc=False, kw_only=True, tag="report.frozen.v1"):
    """The answer to a question, as the ledger knew it at a position, was told as a report."""

    name: str
    """Of the report, given once: ``2024-12-09-evening``."""
    title: str = ""
    definition: Definition
    position: int
    """What the ledger knew up to this position, and nothing later."""
    format: int
    """How the bytes are made of the answer, so that a later program makes the same."""
    sha256: str
    """Of the bytes, in hex."""
    actor: str = "local"
    """Who froze it, a staff code."""
