"""Who looked at whose dossier, when and what for: the second log, and what is told of it."""

from ledger.reads.dropping import DropDone, DropPlan
from ledger.reads.events import EmbargoLifted, EmbargoPlaced, Looked, LooksDropped, What
from ledger.reads.log import Reads
from ledger.reads.purposes import (
    DEFAULT_PURPOSES,
    LOCAL_WORK,
    REPORTING,
    WORK,
    ListedPurpose,
    Purpose,
    Purposes,
    read_purposes,
)
from ledger.reads.telling import Look, Looks

__all__ = [
    "DEFAULT_PURPOSES",
    "LOCAL_WORK",
    "REPORTING",
    "WORK",
    "DropDone",
    "DropPlan",
    "EmbargoLifted",
    "EmbargoPlaced",
    "ListedPurpose",
    "Look",
    "Looked",
    "Looks",
    "LooksDropped",
    "Purpose",
    "Purposes",
    "Reads",
    "What",
    "read_purposes",
]
