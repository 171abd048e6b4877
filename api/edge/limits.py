"""Who asks too often is told when to come back."""

import time
from collections.abc import Callable
from typing import Any

from api.edge.buckets import Buckets, Rate
from api.edge.proxies import peer_of
from ledger import LedgerError
from ledger.access import Principal


class TooManyRequestsError(LedgerError):
    """The caller asks more often than it may; nothing was looked at."""

    code = "too_many_requests"

    def __init__(self, wait_seconds: float) -> None:
        super().__init__("more requests came than one caller may send; wait for the seconds of Retry-After")
        self.wait_seconds = wait_seconds
        """Until there is room for one more."""


ClientOf = Callable[[Any], str]
"""Tells the address that a request comes from."""


def caller_of(scope: Any, client_of: ClientOf = peer_of) -> str:
    """Return whose requests are counted together: a principal's, or all those of an address that are nobody's."""
    principal = scope.get("principal")
    if principal is not None and principal.kind != "nobody":
        return f"{principal.kind} {principal.name}"
    return f"address {client_of(scope)}"


def limiting(buckets: Buckets, rate: Rate, client_of: ClientOf = peer_of) -> Callable[[Any], None]:
    """Return what takes a token of the caller for each request, and refuses where there is none."""

    def limit(request: Any) -> None:
        wait = buckets.take(caller_of(request.scope, client_of), rate, time.monotonic_ns())
        if wait:
            raise TooManyRequestsError(wait)

    return limit


def straying(
    buckets: Buckets, rate: Rate, known: Callable[[Any], Principal | None], client_of: ClientOf = peer_of
) -> Callable[[Any], float]:
    """Return what is asked for each request that finds no route: 0.0, or how long its caller should be silent.

    They have buckets of their own: behind a proxy that is not named all have one address, and whoever looks for routes must not
    keep others there from the public ones.

    Args:
        known: Says who asks, where that can be told without asking anybody.
    """

    def stray(request: Any) -> float:
        scope = request.scope
        principal = known(scope)
        if principal is not None:
            scope["principal"] = principal
        return buckets.take(f"strayed {caller_of(scope, client_of)}", rate, time.monotonic_ns())

    return stray


def failing(buckets: Buckets, rate: Rate, client_of: ClientOf = peer_of) -> Callable[[Any], float]:
    """Return what is asked for each authentication that failed: 0.0, or how long that address should be silent."""

    def fail(request: Any) -> float:
        return buckets.take(f"failed {client_of(request.scope)}", rate, time.monotonic_ns())

    return fail
