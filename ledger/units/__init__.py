"""Police units over time: what a code meant on a day, how units change, and where what was counted counts then.

Pure functions over unit events. Codes are given to other units later, so a unit
has an id of its own, and a code, a name and a parent with a validity.
"""

from ledger.units.changing import Plan, fit
from ledger.units.files import MergeRow, UnitRow, read_merge_rows, read_unit_rows, read_units
from ledger.units.growing import Fault, grow, try_grow
from ledger.units.opening import decide_open
from ledger.units.placing import NOWHERE, Place, TreeOn, allocation_id, allocations, heirs_of
from ledger.units.telling import Told, told
from ledger.units.tree import LEVELS, Reorganisation, Succession, Unit, UnitTree

__all__ = [
    "LEVELS",
    "NOWHERE",
    "Fault",
    "MergeRow",
    "Place",
    "Plan",
    "Reorganisation",
    "Succession",
    "Told",
    "TreeOn",
    "Unit",
    "UnitRow",
    "UnitTree",
    "allocation_id",
    "allocations",
    "decide_open",
    "fit",
    "grow",
    "heirs_of",
    "read_merge_rows",
    "read_unit_rows",
    "read_units",
    "told",
    "try_grow",
]
