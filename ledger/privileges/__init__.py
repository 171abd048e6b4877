"""Who may do what in the database and what stands there: as declared and made, by the catalogue, and where they differ."""

from ledger.privileges.catalogue import read_catalogue
from ledger.privileges.comparing import compare
from ledger.privileges.declared import declare
from ledger.privileges.state import Deviation, Held, Named, Part, RoleFacts, State, Thing

__all__ = [
    "Deviation",
    "Held",
    "Named",
    "Part",
    "RoleFacts",
    "State",
    "Thing",
    "compare",
    "declare",
    "read_catalogue",
]
