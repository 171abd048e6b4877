"""What the ledger says of keys and units, never older than a second: so soon a revocation reaches every process."""

import math
import threading
import time
from collections import deque
from contextlib import suppress

import msgspec

from api.access.again import Again
from ledger import Ledger, UnavailableError, UnitTree
from ledger.access import Keys
from ledger.errors import StoreUnavailableError

FRESH_SECONDS_MAX = 1.0
"""What was asked for longer ago counts no more."""
WATCH_SECONDS = 0.4
FAILED_SECONDS = 0.5
"""For so long after the ledger could not be asked nobody asks it: whoever comes, also from a queue, is told so at once."""
UNKNOWN_LOOKS_MAX = 20
"""How often in a second the ledger is asked for keys that nobody knows: made-up ones cost the database no more."""


class Known(msgspec.Struct, frozen=True):
    """What the ledger said."""

    since: float
    """When it was asked, by the monotonic clock: what was recorded before is in it."""
    keys: Keys
    tree: UnitTree


class Watch(Again):
    """Asks the ledger again and again, in a thread of its own; threads may share it.

    Where that thread does not come to it, whoever needs to know asks the ledger directly.
    """

    def __init__(self, ledger: Ledger) -> None:
        super().__init__("keys", WATCH_SECONDS)
        self._ledger = ledger
        self._known: Known | None = None
        self._lock = threading.Lock()
        self._looks: deque[float] = deque(maxlen=UNKNOWN_LOOKS_MAX)
        self._looks_lock = threading.Lock()
        self._failed_at = -math.inf
        self._failure = ""

    def at_hand(self) -> Known | None:
        """Return what is known, without asking; None where it is not fresh."""
        known = self._known
        return known if known is not None and time.monotonic() - known.since < FRESH_SECONDS_MAX else None

    def fresh(self) -> Known:
        """Return what is known; where it is not fresh, ask.

        Raises:
            UnavailableError: The ledger does not say.
        """
        return self.at_hand() or self.look()

    def look_again(self, known: Known) -> Known:
        """Ask once more for what *known* does not have, unless that was done too often within a second.

        Raises:
            UnavailableError: The ledger does not say.
        """
        now = time.monotonic()
        with self._looks_lock:
            looks = self._looks
            if len(looks) == UNKNOWN_LOOKS_MAX and now - looks[0] < 1:
                return known
            looks.append(now)
        return self.look()

    def look(self) -> Known:
        """Ask the ledger; who asks while another one does gets the answer to a question put after their own."""
        asked = time.monotonic()
        with self._lock:
            known = self._known
            if known is not None and known.since >= asked:
                return known
            if time.monotonic() - self._failed_at < FAILED_SECONDS:
                # A database that is away lets each wait for seconds: those behind must not wait one after the other.
                raise StoreUnavailableError(self._failure)
            began = time.monotonic()
            try:
                known = Known(began, self._ledger.keys(), self._ledger.tree())
            except UnavailableError as error:
                self._failed_at, self._failure = time.monotonic(), str(error)
                raise
            self._known = known
            return known

    def once(self) -> None:
        # Where it is away: whoever needs to know asks for themselves, and is told.
        with suppress(UnavailableError):
            self.look()
