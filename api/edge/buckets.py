"""How often each caller may ask, over all workers: token buckets.

Of a bucket one number is kept, the time at which it will be full again. Each request puts that off by the time one token
takes to come; where it would be farther away than the whole bucket takes, the caller must wait.
"""

from functools import lru_cache
from hashlib import blake2b
from struct import Struct

import msgspec

from api.edge.shared import BUCKET_BYTES, HEAD_BYTES, Shared

WAYS = 4
"""So many callers share a place: the lock's range, and what is searched."""
_SET = Struct(f"={2 * WAYS}q")
_SLOT = Struct("=2q")
_SETS = BUCKET_BYTES // _SET.size
NANOSECONDS = 1_000_000_000
LEASE_PART = 200
"""Of a burst, the part that a process takes at once. Each look at the shared memory locks it, two calls of the system, and
while they last other threads get Python's lock: of reports at full speed that was a fifth of the time."""
LEASE_NANOSECONDS = NANOSECONDS
"""What a process has not used of it by then, nobody uses."""
LEASES_MAX = 4096


class Rate(msgspec.Struct, frozen=True):
    """How many requests."""

    per_second: float
    """In the long run; 0: as many as come."""
    burst: int
    """At once, by a caller who was silent before."""


class Buckets:
    """The buckets of all callers, in the memory that workers share.

    A process that is killed between any two steps leaves a bucket with one token more or less. Nothing is ever emptied:
    a place whose buckets are all in use lends the fullest of them to whoever comes, with what was taken from it, so
    too many callers at once find the limit stricter and never laxer.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._place = lru_cache(4096)(self._find_place)
        self._leases: dict[str, tuple[int, int]] = {}
        """How many tokens this process has taken for a caller and not used, and until when it may."""

    def take(self, caller: str, rate: Rate, now: int) -> float:
        """Take a token; return 0.0, or after how many seconds there will be one. Then none was taken.

        Args:
            now: Of the clock that all processes share, ``time.monotonic_ns``.
        """
        if not rate.per_second:
            return 0.0
        left, until = self._leases.pop(caller, (0, 0))
        if not left or now >= until:
            left, wait = self._lease(caller, rate, now)
            if not left:
                return wait
            until = now + LEASE_NANOSECONDS
        if left > 1:
            if len(self._leases) >= LEASES_MAX:
                self._leases.clear()
            self._leases[caller] = left - 1, until
        return 0.0

    def _lease(self, caller: str, rate: Rate, now: int) -> tuple[int, float]:
        """Take some tokens, and return how many; if there is none, after how many seconds there will be one."""
        each = NANOSECONDS / rate.per_second
        start, tag = self._place(caller)
        memory = self._shared.memory
        with self._shared.locked(start, _SET.size):
            slots = _SET.unpack_from(memory, start)
            # Tags and times alternate.
            tags, times = slots[::2], slots[1::2]
            way = tags.index(tag) if tag in tags else times.index(min(times))
            begin = max(now, times[way])
            wait = begin + round(each) - now - round(each * rate.burst)
            if wait > 0:
                return 0, float(wait / NANOSECONDS)
            there = int((now - begin + round(each * rate.burst)) / each)
            number = max(1, min(rate.burst // LEASE_PART, there))
            _SLOT.pack_into(memory, start + way * _SLOT.size, tag, begin + round(number * each))
        return number, 0.0

    def _find_place(self, caller: str) -> tuple[int, int]:
        digest = blake2b(caller.encode(), digest_size=16, key=self._shared.secret).digest()
        place = int.from_bytes(digest[:8]) % _SETS
        return HEAD_BYTES + place * _SET.size, int.from_bytes(digest[8:], signed=True)
