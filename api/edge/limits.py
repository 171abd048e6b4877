"""Who asks too often is told when to come back."""

import time
from collections.abc import Callable
from typing import Any

from api.edge.buckets import Buckets, Rate
from ledger import LedgerError


class TooManyRequestsError(LedgerError):
    """The caller asks more often than it may; nothing was looked at."""

    code = "too_many_requests"

    def __init__(self, wait_seconds: float) -> None:
        super().__init__("more requests came than one caller may send; wait for the seconds of Retry-After")
        self.wait_seconds = wait_seconds
        """Until there is room for one more."""


def caller_of(scope: Any) -> str:
    """Return whose requests are counted together: a principal's, or all those of an address that are nobody's."""
    principal = scope.get("principal")
    if principal is not None and principal.kind != "nobody":
        return f"{principal.kind} {principal.name}"
    return f"address {address_of(scope)}"


def address_of(scope: Any) -> str:
    """Return where a request comes from: behind a proxy, the proxy."""
    client = scope.get("client")
    return client[0] if client else ""


def limiting(buckets: Buckets, rate: Rate) -> Callable[[Any], None]:
    """Return what takes a token of the caller for each request, and refuses where there is none."""

    def limit(request: Any) -> None:
        wait = buckets.take(caller_of(request.scope), rate, time.monotonic_ns())
        if wait:
            raise TooManyRequestsError(wait)

    return limit


def failing(buckets: Buckets, rate: Rate) -> Callable[[Any], float]:
    """Return what is asked for each authentication that failed: 0.0, or how long that address should be silent."""

    def fail(request: Any) -> float:
        return buckets.take(f"failed {address_of(request.scope)}", rate, time.monotonic_ns())

    return fail
