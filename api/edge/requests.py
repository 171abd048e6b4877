"""What every request and every answer has, whatever the route: an id, safe headers, a count, and a line in the log."""

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Send

from api.edge.counts import NO_ROUTE, Counts
from api.edge.refusals import Refusals

ID_HEADER = b"x-request-id"
SECURITY_HEADERS: list[tuple[bytes, bytes]] = [
    # No browser takes what a client sent, told back to it, for a page.
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    # The styles are those of our own pages; what an answer names must not be loaded, nor shown inside another page.
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
]
NO_STORE = (b"cache-control", b"no-store")
ID_BYTES, IDS_AT_ONCE = 12, 256

_is_id = re.compile(rb"[A-Za-z0-9._-]{1,64}").fullmatch
# As long as a personal number, or as one that has lost its leading zero.
_has_number = re.compile(rb"\d{11}").search
_odd = re.compile(rb"//|/(?:\.|%2e){1,2}(?:/|$)|%2f|%5c|%00|\\|./$", re.IGNORECASE).search


class Told(msgspec.Struct, frozen=True):
    """A request, as the log tells it: nothing that the client chose, but for an id of a bounded form."""

    time: datetime
    """When it came, UTC."""
    request_id: str
    principal: str | None
    method: str
    route: str
    """Its template, never the address: a client may put anything into an address."""
    status: int
    """0: there was no answer."""
    ms: float
    bytes: int
    """Of the answer's body."""


Tell = Callable[[Told], object]


class Edge:
    """Lets requests in and answers out."""

    def __init__(self, counts: Counts, tell: Tell | None, refusals: Refusals | None = None) -> None:
        """Take where to count, whom to tell of each request when it is done, and who tells of those refused alone."""
        self._counts = counts
        self._tell = tell
        self._refusals = refusals
        self._ids = _new_ids()

    async def answer(self, app: ASGIApp, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Have a request answered by *app*."""
        began = time.perf_counter_ns()
        request_id = scope["request_id"] = _given_id(scope) or next(self._ids)  # type: ignore[typeddict-unknown-key]
        if is_odd(scope):
            # No route has it. What stands before us, or a rule about addresses, may read it in another way.
            scope["path"] = "/%"
        status = size = 0

        async def sending(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _with_ours(message["headers"], request_id)
                self._counts.answered(route_of(scope), status, time.perf_counter_ns() - began)
                if status >= 400 and self._refusals is not None:
                    self._refusals.count(status)
            elif message["type"] == "http.response.body":
                size += len(message["body"])
            await send(message)

        if self._tell is None:
            return await app(scope, receive, sending)
        came = datetime.now(UTC)
        try:
            await app(scope, receive, sending)
        finally:
            who, taken = principal_name(scope), round((time.perf_counter_ns() - began) / 1e6, 3)
            route = scope.get("path_template") or NO_ROUTE
            self._tell(Told(came, request_id, who, scope["method"], route, status, taken, size))


def _with_ours(theirs: Iterable[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
    headers = [*theirs, *SECURITY_HEADERS, (ID_HEADER, request_id.encode())]
    for name, _ in theirs:
        if name == b"cache-control":
            return headers
    headers.append(NO_STORE)
    return headers


def route_of(scope: HTTPScope) -> str:
    """Return the route that a request has found, as ``GET /v1/units/{code}``."""
    template = scope.get("path_template")
    return f"{scope['method']} {template}" if template else NO_ROUTE


def principal_name(scope: Any) -> str | None:
    """Return who asks, where that is known."""
    principal = scope.get("principal")
    return principal.name if principal else None


def _given_id(scope: HTTPScope) -> str | None:
    """Return the id that a client or a proxy has given, if it may stand in a log."""
    for name, value in scope["headers"]:
        if name == ID_HEADER and _is_id(value) and not _has_number(value):
            return value.decode()
    return None


def _new_ids() -> Iterator[str]:
    """Yield ids that nobody can guess.

    Many from one call of the system: while it lasts other threads get Python's lock, and whoever is to be answered waits
    until they give it back.
    """
    while True:
        block = os.urandom(ID_BYTES * IDS_AT_ONCE).hex()
        for start in range(0, len(block), 2 * ID_BYTES):
            yield block[start : start + 2 * ID_BYTES]


def is_odd(scope: HTTPScope) -> bool:
    """Whether an address is written in a way that programs read differently.

    The framework takes double and trailing slashes for single and no ones, and the server decodes encoded slashes.
    """
    return len(scope["path"]) > 1 and _odd(scope["raw_path"].partition(b"?")[0]) is not None
