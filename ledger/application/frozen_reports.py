"""Reports that were frozen: which totals were told, as of which position."""

from bisect import bisect_right
from contextlib import suppress
from datetime import date
from operator import itemgetter

from msgspec.structs import replace

from ledger.access import Principal, Right
from ledger.access.asking import is_masked
from ledger.application.log import TellsTheLog
from ledger.errors import ContentionError, NotPermittedError, ReportUnknownError
from ledger.frozen_events import REPORTS_STREAM, ReportFrozen
from ledger.frozen_reports import FrozenReport, check_report, decide_freeze
from ledger.store import ATTEMPTS_MAX, translated
from ledger.units import UnitTree, grow


class KeepsFrozenReports(TellsTheLog):
    """Frozen reports by their names, each given once."""

    def reports_for(self, by: Principal | None) -> list[FrozenReport]:
        """Return the frozen reports about units whose totals somebody, or the ledger's own principal, may see.

        Whoever sees masked counts alone is not told who froze them: that is left empty.

        Raises:
            NotPermittedError: They may see no totals at all.
        """
        reader = self.asking(by, Right.TOTALS)
        found = []
        for frozen in self.frozen_reports():
            with suppress(NotPermittedError):
                is_public = self.check_report_asked(reader, Right.TOTALS, frozen.report)
                report = replace(frozen.report, actor="") if is_public else frozen.report
                found.append(replace(frozen, report=report))
        return found

    def report_for(self, name: str, by: Principal) -> tuple[FrozenReport, bool]:
        """Return the report of a name, and whether small counts of it are masked for somebody.

        Raises:
            ReportUnknownError: None has the name, or none whose unit's totals they may see: they are not told which of the two.
        """
        frozen = self.frozen_report(name)
        try:
            return frozen, self.check_report_asked(by, Right.TOTALS, frozen.report)
        except NotPermittedError:
            raise ReportUnknownError(name) from None

    def frozen_reports(self) -> list[FrozenReport]:
        """Return every report that was frozen, in that order."""
        with translated():
            entries = self.recorder.read_stream(REPORTS_STREAM)
        return [
            FrozenReport(entry.event, entry.position, entry.recorded_at)
            for entry in entries
            if isinstance(entry.event, ReportFrozen)
        ]

    def frozen_report(self, name: str) -> FrozenReport:
        """Return the report of that name; raise ReportUnknownError if none was frozen."""
        for found in self.frozen_reports():
            if found.report.name == name:
                return found
        raise ReportUnknownError(name)

    def record_frozen(
        self, report: ReportFrozen, *, by: Principal | None = None
    ) -> tuple[FrozenReport, bool]:
        """Record that a report was frozen; return it, and whether it is new: the same again records nothing.

        ``projections.freeze_report`` makes it; nothing here looks whether its hash is that of the totals.

        Args:
            by: Who does it; the ledger's own principal if absent.

        Raises:
            NotPermittedError: They may not freeze reports of its unit.
            InputError: It cannot be called so, or has a position that the ledger does not have.
            ReportNameTakenError: Another one has the name.
            UnavailableError: Not known whether it was recorded; repeat it.
        """
        keeper = self.asking(by, Right.KEEP)
        check_report(report.name, report.title, report.actor)
        self.at(position=report.position)
        self.check_report_asked(keeper, Right.KEEP, report)
        for _ in range(ATTEMPTS_MAX):
            known = self.frozen_reports()
            same = decide_freeze(known, report)
            if same is not None:
                return same, False
            # Where another report was frozen first, it may have the name.
            appended = self.recorder.append_after(REPORTS_STREAM, len(known), [report])
            if appended is not None:
                return FrozenReport(report, *appended), True
        raise ContentionError(
            f"others kept freezing reports first, {ATTEMPTS_MAX} times; nothing was recorded"
        )

    def check_report_asked(self, by: Principal, right: Right, report: ReportFrozen) -> bool:
        """Check that somebody holds a right over the unit that a report is about; return whether small counts are masked for them.

        Raises:
            NotPermittedError: Somebody does not hold a right over that unit, on the day of the report.
            UnitError: It is no unit of that day.
        """
        tree = self.tree()
        known = bisect_right(tree.entries, report.position, key=itemgetter(0))
        if known < tree.version:
            tree = grow(UnitTree(), tree.entries[:known])
        asked = report.definition
        day = asked.to_day if asked.hierarchy == "then" else date.fromisoformat(asked.hierarchy)
        unit = None if asked.unit is None else tree.resolve(asked.unit, day)
        self.check_asked(by, right, unit, day, tree)
        return is_masked(by, frozenset() if unit is None else self.reach(tree).above(unit.id, day))
