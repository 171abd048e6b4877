"""A frozen report, and what is asked of its changes."""

from ledger import Ledger
from ledger.access import Principal, Right
from ledger.errors import FieldInvalidError, NotPermittedError
from projections.frozen_reports import reissue_report
from projections.report_changes.answers import PAGE_MAX, Kind, ReportChanges
from projections.report_changes.comparing import Comparison, itself
from projections.totals import WAIT_SECONDS, Totals


def report_changes(
    ledger: Ledger,
    totals: Totals,
    name: str,
    *,
    position: int | None = None,
    kind: Kind | None = None,
    after: int = 0,
    limit: int = 100,
    wait_seconds: float = WAIT_SECONDS,
    by: Principal | None = None,
) -> ReportChanges:
    """Compare a frozen report with the same question asked of what is known now; the period before is left aside.

    Args:
        position: What *now* means; the head of the log if absent.
        kind: Only events of this kind.
        after: Only events after this position.
        limit: At most so many of them, ``PAGE_MAX`` at most.
        by: Who asks; the ledger's own principal if absent.

    Raises:
        NotPermittedError: They may see no totals at all; or they are of the public, to whom no single event is told.
        ReportUnknownError: No report has the name, or none whose unit's totals they may see.
        FieldInvalidError: The position is before the report's, or the ledger does not have it yet.
        ReportDiffersError: Its bytes are not those that were frozen.
        CountsDifferError: The counts, then and now, and what was recorded between do not add up.
        UnitNotValidError: The report is about a unit that, by what was recorded since, was none on its day.
        UnavailableError: The read model cannot answer, or has not reached the position.
    """
    reader = ledger.asking(by, Right.TOTALS)
    if ledger.report_for(name, reader)[1]:
        raise NotPermittedError(
            "what has become of a report names single events: it is not told to the public"
        )
    cut = ledger.at(position=ledger.head().position if position is None else position)
    reissued = reissue_report(ledger, totals, name, wait_seconds=wait_seconds, by=reader)
    report = reissued.frozen.report
    if cut.position < report.position:
        raise FieldInvalidError("position", f"the report was frozen at position {report.position}")
    before, tree = (
        totals.read_in_tree(itself, at=(at, reissued.answer.recorded_at), after=at, wait_seconds=wait_seconds)
        for at in (report.position, cut.position)
    )
    comparison = Comparison(totals, reissued.frozen, reissued.answer, before, tree, cut.position)
    rows, sums = comparison.rows()
    page, more = comparison.events(ledger, rows, kind, max(after, report.position), min(limit, PAGE_MAX))
    return ReportChanges(
        name,
        report.position,
        cut.position,
        cut.recorded_at,
        rows,
        sums,
        page,
        page[-1].position if more else None,
    )
