"""What a decision needs beside the dossier and the wish."""

from datetime import datetime
from uuid import UUID

import msgspec

from ledger.commands import AnyCommand, Reassign
from ledger.dossier import Dossier


class Placing(msgspec.Struct, frozen=True, gc=False):
    """What a decision needs beside the dossier and the wish."""

    unit_id: UUID | None = None
    """The unit that the command's code means at its time; None where no code was sent."""
    note: bytes | None = None
    """The sealed note."""
    before_activation: bool = False
    """Of a lock: whether its ground also meets an account that is not activated yet."""
    four_eyes: bool = False
    """Whether corrections wait until another officer confirms them."""
    split_ids: frozenset[UUID] = frozenset()
    """Of an allocation: of the units where its level counts those that were split with ``unit_id`` among their heirs."""


def unit_at(dossier: Dossier, command: AnyCommand) -> datetime:
    """Return when the unit code of a command has to be valid."""
    if isinstance(command, Reassign) and command.corrects <= len(dossier.entries):
        return dossier.entries[command.corrects - 1].occurred_at
    return command.occurred_at
