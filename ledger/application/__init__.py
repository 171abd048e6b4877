"""The ledger: the only way to record anything.

Each subject has a file and a class; ``Ledger`` is all of them.
"""

from ledger.application.base import Opening, utc_now
from ledger.application.log import Moment
from ledger.application.opening import Ledger, migrate_ledger, open_again, open_ledger
from ledger.application.targets import TargetsRecorded
from ledger.application.units import UnitsChanged, UnitsLoaded

__all__ = [
    "Ledger",
    "Moment",
    "Opening",
    "TargetsRecorded",
    "UnitsChanged",
    "UnitsLoaded",
    "migrate_ledger",
    "open_again",
    "open_ledger",
    "utc_now",
]
