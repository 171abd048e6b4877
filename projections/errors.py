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


class ReportDiffersError(LedgerError):
    """A frozen report, computed again, is not what was frozen. Its bytes are shown to nobody."""

    code = "report_differs"

    def __init__(self, name: str, position: int, frozen: str, found: str) -> None:
        super().__init__(
            f"THE REPORT {name} IS NOT WHAT WAS FROZEN: at position {position} its SHA-256 was {frozen}, and is {found} "
            "when computed now. The counts were changed by hand, or this program computes something else: run ledger "
            "reconcile, then ledger rebuild"
        )
        self.name = name
        self.position = position
        self.frozen = frozen
        self.found = found


class CountsDifferError(LedgerError):
    """A frozen report, what was recorded since, and what is counted now do not add up."""

    code = "counts_differ"

    def __init__(self, since: int, position: int) -> None:
        super().__init__(
            f"what was counted at position {since}, and what was recorded since, is not what is counted at position {position}, "
            "and no unit has changed: the counts were changed by hand; run ledger reconcile, then ledger rebuild"
        )


class ReportFormatUnknownError(UnavailableError):
    """A frozen report has bytes that this version of the program cannot make."""

    code = "report_format"

    def __init__(self, name: str, report_format: int, known: int) -> None:
        super().__init__(
            f"the report {name} has format {report_format}, and this version of the program knows {known}; use a later one"
        )


class RebuildBlockedError(UnavailableError):
    """Something that is not the projection's hangs on its live tables, a view say, so they cannot be replaced."""

    code = "rebuild_blocked"


class RebuildRunningError(LedgerError):
    """Another rebuild of this projection is under way."""

    code = "rebuild_running"
