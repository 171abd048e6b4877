"""To which part of a split unit a level of a dossier belongs from now on."""

import msgspec

from ledger.commands import Allocate
from ledger.decisions.placing import Placing
from ledger.decisions.sent import as_sent
from ledger.dossier import Dossier, changes, counting_at
from ledger.errors import NothingChangesError, NotSplitError
from ledger.events import Allocated


def decide_allocation(dossier: Dossier, command: Allocate, placing: Placing) -> Allocated:
    """Return the event that an allocation makes of *dossier*, with what it does to the counts.

    Raises:
        NotSplitError: Nothing of the level counts at a unit that was split with the named one among its heirs.
        NothingChangesError: It belongs there already.
    """
    assert placing.unit_id is not None, "an allocation has a unit"
    split_ids = tuple(unit for unit in counting_at(dossier, command.level) if unit in placing.split_ids)
    if not split_ids:
        raise NotSplitError(
            f"level {command.level} of this dossier counts at no unit that was split with {command.unit} among its "
            "parts; the tree of units tells what became of each"
        )
    if all(dossier.allocations.get((command.level, unit)) == placing.unit_id for unit in split_ids):
        raise NothingChangesError(
            f"level {command.level} of this dossier belongs to {command.unit} already; nothing would change"
        )
    allocated = Allocated(**as_sent(command), note=placing.note, unit_id=placing.unit_id, split_ids=split_ids)
    after = (*dossier.entries, allocated)
    return msgspec.structs.replace(allocated, changes=changes(dossier.entries, after))
