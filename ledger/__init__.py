"""The activation ledger: every collection, approval and activation of an electronic identity account, for good."""

from ledger.application import Ledger, UnitsLoaded, open_ledger
from ledger.commands import Activate, AnyCommand, Approve, Collect, Reject
from ledger.errors import LedgerError, UnavailableError
from ledger.events import Activated, AnyEvent, Approved, Collected, Recorded, Rejected, UnitOpened
from ledger.history import DossierState, History, HistoryEvent
from ledger.recording import Receipt, Refusal
from ledger.reports import read_report
from ledger.store import Head
from ledger.units import Unit, UnitTree

__all__ = [
    "Activate",
    "Activated",
    "AnyCommand",
    "AnyEvent",
    "Approve",
    "Approved",
    "Collect",
    "Collected",
    "DossierState",
    "Head",
    "History",
    "HistoryEvent",
    "Ledger",
    "LedgerError",
    "Receipt",
    "Recorded",
    "Refusal",
    "Reject",
    "Rejected",
    "UnavailableError",
    "Unit",
    "UnitOpened",
    "UnitTree",
    "UnitsLoaded",
    "open_ledger",
    "read_report",
]
