"""What may happen to a dossier.

Pure functions: ``decide`` turns a dossier and a wish into an event or raises a
LedgerError. No clock, no database, no ids invented here.
"""

from ledger.decisions.deciding import decide
from ledger.decisions.placing import Placing, unit_at
from ledger.decisions.sent import as_sent, differences

__all__ = ["Placing", "as_sent", "decide", "differences", "unit_at"]
