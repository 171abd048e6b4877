"""The log itself: its end, its order, and what was known when."""

from datetime import UTC, datetime, timedelta

import msgspec

from ledger.access import Principal
from ledger.application.base import LedgerBase
from ledger.errors import FieldInvalidError
from ledger.events import Recorded
from ledger.store import Head, translated

SETTLED_SECONDS = 10
"""Nobody records for so long: what is known as of a time before that stays so."""
_BEFORE = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(msgspec.Struct, frozen=True):
    """What the ledger knew, up to a position."""

    position: int
    """0: nothing."""
    recorded_at: datetime
    """When the event at that position was recorded, UTC; 1970 for nothing."""


class TellsTheLog(LedgerBase):
    """Events in the order of their positions."""

    def head(self) -> Head:
        """Return the end of the log: position, time, and version of the units."""
        with translated():
            return self.recorder.head()

    def at(self, *, position: int | None = None, known_at: datetime | None = None) -> Moment:
        """Return the last position that the ledger knew at a time, or the time of a position.

        Raises:
            FieldInvalidError: The ledger does not have the position yet; the time has no offset, or is not past
                for some seconds: what was being recorded then could still become known as of it.
        """
        head = self.head()
        if position is not None:
            if not 0 <= position <= head.position:
                raise FieldInvalidError("position", f"the ledger ends at position {head.position}")
            with translated():
                recorded_at = self.recorder.recorded_at(position)
            return Moment(position, recorded_at or _BEFORE)
        assert known_at is not None
        if known_at.utcoffset() is None:
            raise FieldInvalidError("known_at", "it needs an offset, as 2024-12-09T23:00:00+07:00")
        if known_at > self._now() - timedelta(seconds=SETTLED_SECONDS):
            raise FieldInvalidError(
                "known_at",
                f"it must be {SETTLED_SECONDS} s ago at least; what was being recorded then is known then",
            )
        known, unknown = Moment(0, _BEFORE), head.position + 1
        with translated():
            while unknown - known.position > 1:
                # Positions and times rise together.
                middle = (known.position + unknown) // 2
                recorded_at = self.recorder.recorded_at(middle)
                assert recorded_at is not None, middle
                if recorded_at <= known_at:
                    known = Moment(middle, recorded_at)
                else:
                    unknown = middle
        return known

    def read(self, *, after: int = 0, limit: int = 1000, by: Principal | None = None) -> list[Recorded]:
        """Return the log in order: at most *limit* events with positions greater than *after*.

        Positions have no gaps and never appear out of order, so a reader that asks
        with the last position it saw misses nothing.

        Args:
            by: Who reads; the ledger's own principal if absent.

        Raises:
            NotPermittedError: They may not follow the whole ledger.
        """
        self.check_following(by)
        with translated():
            return self.recorder.read(after=after, limit=limit)
