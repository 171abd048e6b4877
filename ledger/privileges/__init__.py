"""Who may do what in the database: what is declared, what the catalogue says, and where they differ."""

from ledger.privileges.catalogue import read_catalogue
from ledger.privileges.comparing import Deviation, compare
from ledger.privileges.declared import declare
from ledger.privileges.state import Held, Named, RoleFacts, State, Thing

__all__ = [
    "Deviation",
    "Held",
    "Named",
    "RoleFacts",
    "State",
    "Thing",
    "compare",
    "declare",
    "read_catalogue",
]
