"""The read side: followers of the log, their tables, and the questions they answer."""

from projections.ageing import Ageing, AgeingAnswer, AgeingQuery, open_ageing
from projections.catching_up import catch_up
from projections.components import COMPONENTS, NAMES
from projections.cue_rules import RULE_NAMES, Rule, RuleName
from projections.cues import Cue, CueQuery, Cues, CuesAnswer, open_cues
from projections.errors import (
    CountsDifferError,
    NotCaughtUpError,
    PositionLostError,
    ProjectionStoppedError,
    RebuildBlockedError,
    RebuildRunningError,
    ReportDiffersError,
    ReportFormatUnknownError,
)
from projections.frozen_reports import Freezing, Reissue, freeze_report, reissue_report
from projections.overdue import Overdue, OverdueAnswer, OverdueQuery, TimeLimit, open_overdue
from projections.preview import Preview, PreviewDays, PreviewRow, preview
from projections.progress import Progress, ProgressAnswer, open_progress
from projections.progress_rows import GoalProgress, ProgressQuery, ProgressRow
from projections.rebuilding import rebuild
from projections.reconcile import Difference, Proved, Reconciled, reconcile
from projections.report_changes import ChangingEvent, CountChange, ReportChanges, report_changes
from projections.runner import Runner
from projections.status import ProjectionStatus, status
from projections.totals import Period, Totals, TotalsAnswer, TotalsQuery, open_totals
from projections.worklist import Worklist, WorklistAnswer, WorklistQuery, WorklistRow, open_worklist

__all__ = [
    "COMPONENTS",
    "NAMES",
    "RULE_NAMES",
    "Ageing",
    "AgeingAnswer",
    "AgeingQuery",
    "ChangingEvent",
    "CountChange",
    "CountsDifferError",
    "Cue",
    "CueQuery",
    "Cues",
    "CuesAnswer",
    "Difference",
    "Freezing",
    "GoalProgress",
    "NotCaughtUpError",
    "Overdue",
    "OverdueAnswer",
    "OverdueQuery",
    "Period",
    "PositionLostError",
    "Preview",
    "PreviewDays",
    "PreviewRow",
    "Progress",
    "ProgressAnswer",
    "ProgressQuery",
    "ProgressRow",
    "ProjectionStatus",
    "ProjectionStoppedError",
    "Proved",
    "RebuildBlockedError",
    "RebuildRunningError",
    "Reconciled",
    "Reissue",
    "ReportChanges",
    "ReportDiffersError",
    "ReportFormatUnknownError",
    "Rule",
    "RuleName",
    "Runner",
    "TimeLimit",
    "Totals",
    "TotalsAnswer",
    "TotalsQuery",
    "Worklist",
    "WorklistAnswer",
    "WorklistQuery",
    "WorklistRow",
    "catch_up",
    "freeze_report",
    "open_ageing",
    "open_cues",
    "open_overdue",
    "open_progress",
    "open_totals",
    "open_worklist",
    "preview",
    "rebuild",
    "reconcile",
    "reissue_report",
    "report_changes",
    "status",
]
