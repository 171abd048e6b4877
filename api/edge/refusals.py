"""What the plain log says of those who were refused: how many, and nothing of whom."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar

REFUSALS = {401: "it is not known who asks", 403: "not permitted", 429: "too many requests"}
"""The statuses that are told, with what they mean."""
TELL_SECONDS = 1.0
"""How long those that come together are counted: of each status there is at most one line in that time."""

_log = logging.getLogger(__name__)


class Refusals:
    """Counts the refusals of one worker, and tells them; belongs to one event loop.

    The first one is told at once. What a worker has counted and not told is lost with it when it is killed.
    """

    def __init__(self, tell_seconds: float = TELL_SECONDS) -> None:
        self._tell_seconds = tell_seconds
        self._untold: dict[int, int] = {}
        """By status, those since a line that was written less than that time ago."""

    @asynccontextmanager
    async def lifespan(self, _app: Litestar) -> AsyncIterator[None]:
        """Tell at the end what was not told yet."""
        yield
        for status in list(self._untold):
            self._tell_rest(status)

    def count(self, status: int) -> None:
        """Count an answer; of other statuses than these nothing is told."""
        if status not in REFUSALS:
            return
        if status in self._untold:
            self._untold[status] += 1
            return
        self._untold[status] = 0
        self._tell(status, 1)
        self._tell_later(status)

    def _tell_later(self, status: int) -> None:
        asyncio.get_running_loop().call_later(self._tell_seconds, self._look, status)

    def _look(self, status: int) -> None:
        if self._tell_rest(status):
            self._untold[status] = 0
            self._tell_later(status)

    def _tell_rest(self, status: int) -> bool:
        number = self._untold.pop(status, 0)
        if number:
            self._tell(status, number)
        return number > 0

    def _tell(self, status: int, number: int) -> None:
        _log.warning("answered with %d (%s): %d", status, REFUSALS[status], number)
