"""Who may do what: roles over parts of the tree of units, and who holds them. Pure."""

from ledger.access.keys import Key, Keys
from ledger.access.reach import Reach
from ledger.access.rights import (
    LOCAL,
    NOBODY,
    RIGHT_TO_REPORT,
    RIGHTS,
    Grant,
    Principal,
    Right,
    Role,
)

__all__ = [
    "LOCAL",
    "NOBODY",
    "RIGHTS",
    "RIGHT_TO_REPORT",
    "Grant",
    "Key",
    "Keys",
    "Principal",
    "Reach",
    "Right",
    "Role",
]
