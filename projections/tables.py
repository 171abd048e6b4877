"""What a projection is to the runner, which follows the log for all of them."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import msgspec
from psycopg import Cursor

from ledger.events import Recorded

_encode = msgspec.json.Encoder().encode


class Tables(ABC):
    """The tables of one projection: the live ones, or those that are filled beside them to take their place.

    The runner asks for a fold of events in a row, and has it added in the transaction that moves the projection's
    position: each event is added once, in the order of the log.
    """

    NAME: ClassVar[str]
    """Of the projection; in its status, in errors, and as an argument of commands."""
    LIVE: ClassVar[tuple[str, ...]]
    """The names of the live tables. Who may read them is kept when they are replaced, and so are their indexes."""

    def __init__(self, *, rebuild: bool = False) -> None:
        self.names = {live: f"{live}_rebuild" if rebuild else live for live in self.LIVE}
        """What these tables are called, by the name of the live one."""
        self.tracking = f"{self.NAME}.rebuild" if rebuild else self.NAME
        """The row of ``projections`` with the position up to which these tables hold the log."""

    @abstractmethod
    def fold(self, entries: Iterable[Recorded]) -> Any:
        """Return what events in a row come to, for ``add``. Pure; it may be asked before their turn comes.

        Raises:
            PoisonEventError: An event does not fold, whatever the reason.
        """

    @abstractmethod
    def add(self, cursor: Cursor[Any], folded: Any) -> None:
        """Write what events come to, in the caller's transaction."""


def as_array(values: Sequence[Any]) -> str | list[Any]:
    """Return values as PostgreSQL writes an array, which is made 20 times faster of JSON than by psycopg."""
    text = _encode(values).decode()
    # What JSON escapes, an array would escape otherwise.
    return list(values) if "\\" in text else f"{{{text[1:-1]}}}"
