"""How long a body may take to come.

Not by ``asyncio.timeout``: that makes a timer for each request and leaves it behind in the loop's heap. Where thousands
of reports come in a second it was a twentieth of the loop's time. Here one timer looks after all.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

from litestar import Litestar

BODY_SECONDS_MAX = 30.0
"""A file has no such limit, but may not fall silent."""
LOOK_SECONDS = 1.0
"""So much later than that something may be ended."""


class Patience:
    """Within ``with patience:`` a task may wait for so long and no longer; belongs to one event loop.

    Raises:
        TimeoutError: It took longer, and was ended.
    """

    def __init__(self, seconds_max: float = BODY_SECONDS_MAX, look_seconds: float = LOOK_SECONDS) -> None:
        self.seconds_max = seconds_max
        self._look_seconds = look_seconds
        self._since: dict[asyncio.Task[Any] | None, float] = {}
        """Who waits, those first who have waited the longest."""
        self._loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def lifespan(self, _app: Litestar) -> AsyncIterator[None]:
        """Look after them for as long as the application lives."""
        # Python asks the system for the process each time that it is asked for the running loop: a 25th of an answer.
        self._loop = asyncio.get_running_loop()
        looking = asyncio.create_task(self._look())
        try:
            yield
        finally:
            looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await looking

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(self._look_seconds)
            self._end_those_before(time.monotonic() - self.seconds_max)

    def _end_those_before(self, latest: float) -> None:
        late = []
        for task, since in self._since.items():
            if since > latest:
                break
            late.append(task)
        for task in late:
            del self._since[task]
            if task is not None:
                task.cancel()

    def __enter__(self) -> None:
        self._since[asyncio.current_task(self._loop)] = time.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        task = asyncio.current_task(self._loop)
        if self._since.pop(task, None) is not None or task is None:
            return
        # We have ended it. Whoever else has wants it to end altogether.
        if kind is asyncio.CancelledError and task.uncancel() == 0:
            raise TimeoutError from error
