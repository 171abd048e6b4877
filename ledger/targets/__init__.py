"""What units are to reach, and the populations that it is measured against.

Pure functions over target events. A target stays the unit's for which it was set, also when the unit ends.
"""

from ledger.targets.book import Denominator, Goal, Target, Targets, grow
from ledger.targets.cascading import Cascade, cascade, split
from ledger.targets.deciding import decide_denominators, decide_targets, decide_withdrawal
from ledger.targets.files import DenominatorRow, Fault, TargetRow, read_denominators, read_targets

__all__ = [
    "Cascade",
    "Denominator",
    "DenominatorRow",
    "Fault",
    "Goal",
    "Target",
    "TargetRow",
    "Targets",
    "cascade",
    "decide_denominators",
    "decide_targets",
    "decide_withdrawal",
    "grow",
    "read_denominators",
    "read_targets",
    "split",
]
