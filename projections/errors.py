"""Why a projection cannot answer, or go on."""

from ledger.errors import LedgerError, UnavailableError


class PoisonEventError(Exception):
    """An event that a projection cannot fold. It stops there, and never skips."""

    def __init__(self, position: int, cause: Exception) -> None:
        super().__init__(f"position {position}: {type(cause).__name__}: {cause}")
        self.position = position


class ProjectionStoppedError(UnavailableError):
    """The projection stopped at an event that it cannot fold; its answers end before it."""

    code = "projection_stopped"


class PositionLostError(UnavailableError):
    """Somebody deleted the projection's position; what its tables hold is anybody's guess."""

    code = "position_lost"

    def __init__(self, name: str) -> None:
        super().__init__(f"the projection {name} has lost its position; run ledger rebuild")


class NotCaughtUpError(UnavailableError):
    """The projection has not reached the position asked for yet."""

    code = "not_caught_up"


class RebuildBlockedError(UnavailableError):
    """Something that is not the projection's hangs on its live tables, a view say, so they cannot be replaced."""

    code = "rebuild_blocked"


class RebuildRunningError(LedgerError):
    """Another rebuild of this projection is under way."""

    code = "rebuild_running"
