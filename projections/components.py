"""What there is on the read side: what follows the log, and what ``ledger migrate`` sets up for it."""

from collections.abc import Collection

from ledger.migrations import Component
from projections.tables import Tables
from projections.unit_totals import UnitTotalsTables
from projections.waits import WorklistTables

PROJECTIONS: tuple[type[Tables], ...] = (UnitTotalsTables, WorklistTables)
"""Everything that follows the log. A new projection is a line here, and a migration with its tables and its row in
``projections``."""
NAMES = tuple(projection.NAME for projection in PROJECTIONS)

# One component for all tables: migrations are applied in the order of their numbers. Its name is what databases know.
COMPONENTS = (Component("unit_totals", "projections.sql", "projector"),)


def chosen(names: Collection[str] | None) -> tuple[type[Tables], ...]:
    """Return the projections of these names, None: all of them. Raise KeyError where there is none of a name."""
    if names is None:
        return PROJECTIONS
    by_name = {projection.NAME: projection for projection in PROJECTIONS}
    return tuple(by_name[name] for name in names)
