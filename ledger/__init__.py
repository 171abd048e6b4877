"""The activation ledger: every collection, approval and activation of an electronic identity account, for good."""

from ledger.application import Ledger, TargetsRecorded, UnitsLoaded, open_ledger
from ledger.commands import (
    Activate,
    Allocate,
    Amend,
    AnyCommand,
    Approve,
    Collect,
    Confirm,
    Lock,
    Notify,
    Reassign,
    Reject,
    Unlock,
    Void,
    Withdraw,
)
from ledger.erasing import Erased
from ledger.errors import LedgerError, UnavailableError
from ledger.events import (
    Activated,
    Allocated,
    Amended,
    AnyEvent,
    Approved,
    CitizenErased,
    Collected,
    Confirmed,
    Locked,
    Notified,
    Reassigned,
    Recorded,
    Rejected,
    Unlocked,
    Voided,
    Withdrawn,
)
from ledger.frozen_events import Definition, ReportFrozen
from ledger.frozen_reports import FrozenReport
from ledger.history import DossierState, History, HistoryEvent
from ledger.reads import Look, Looks, Purpose, Purposes, read_purposes
from ledger.reasons import Reason, Reasons, read_reasons
from ledger.recording import Policy, Receipt, Refusal
from ledger.reports import read_report
from ledger.store import Head
from ledger.targets import Denominator, DenominatorRow, Target, TargetRow, Targets
from ledger.unit_events import UnitOpened
from ledger.units import Unit, UnitTree

__all__ = [
    "Activate",
    "Activated",
    "Allocate",
    "Allocated",
    "Amend",
    "Amended",
    "AnyCommand",
    "AnyEvent",
    "Approve",
    "Approved",
    "CitizenErased",
    "Collect",
    "Collected",
    "Confirm",
    "Confirmed",
    "Definition",
    "Denominator",
    "DenominatorRow",
    "DossierState",
    "Erased",
    "FrozenReport",
    "Head",
    "History",
    "HistoryEvent",
    "Ledger",
    "LedgerError",
    "Lock",
    "Locked",
    "Look",
    "Looks",
    "Notified",
    "Notify",
    "Policy",
    "Purpose",
    "Purposes",
    "Reason",
    "Reasons",
    "Reassign",
    "Reassigned",
    "Receipt",
    "Recorded",
    "Refusal",
    "Reject",
    "Rejected",
    "ReportFrozen",
    "Target",
    "TargetRow",
    "Targets",
    "TargetsRecorded",
    "UnavailableError",
    "Unit",
    "UnitOpened",
    "UnitTree",
    "UnitsLoaded",
    "Unlock",
    "Unlocked",
    "Void",
    "Voided",
    "Withdraw",
    "Withdrawn",
    "open_ledger",
    "read_purposes",
    "read_reasons",
    "read_report",
]
