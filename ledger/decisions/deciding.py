"""Any wish of a dossier."""

from ledger.commands import Allocate, AnyCommand, StepCommand
from ledger.decisions.allocating import decide_allocation
from ledger.decisions.correcting import decide_correction
from ledger.decisions.placing import Placing
from ledger.decisions.stepping import decide_step
from ledger.dossier import Dossier
from ledger.errors import ErasedError
from ledger.events import AnyDossierEvent


def decide(dossier: Dossier, command: AnyCommand, placing: Placing) -> AnyDossierEvent:
    """Return the event that *command* makes of *dossier*.

    Raises:
        StateError: The dossier is elsewhere or erased, or what would remain of it is not lawful; nothing changes.
    """
    if dossier.erasures:
        raise ErasedError(
            f"level {command.level} of this dossier takes no more reports: its citizen was erased"
        )
    if isinstance(command, StepCommand):
        return decide_step(dossier, command, placing)
    if isinstance(command, Allocate):
        return decide_allocation(dossier, command, placing)
    return decide_correction(dossier, command, placing)
