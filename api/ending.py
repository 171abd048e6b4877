"""Whether this process was told to end: long answers look, so that they do not hold it up."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType

from litestar import Litestar

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Ending:
    """Begins with the signal that ends the process, while the server still waits for its answers."""

    def __init__(self) -> None:
        self.begun = False
        """Whether answers should end; may be read in any thread."""
        self._calls: list[Callable[[], None]] = []

    def on_begin(self, call: Callable[[], None]) -> None:
        """Have something called in the event loop when it begins."""
        self._calls.append(call)

    def begin(self) -> None:
        self.begun = True
        for call in self._calls:
            call()

    @asynccontextmanager
    async def lifespan(self, _app: Litestar) -> AsyncIterator[None]:
        """Hear the signals as long as the application lives; its own end, later, is a beginning too."""
        self.begun = False
        loop = asyncio.get_running_loop()
        with _hearing(lambda: loop.call_soon_threadsafe(self.begin)):
            yield
        self.begin()


@contextmanager
def _hearing(call: Callable[[], object]) -> Iterator[None]:
    """Have something called at the signals, beside what they do already."""
    if threading.current_thread() is not threading.main_thread():
        # Python hears signals in its main thread alone; that we are not in it means a test's server.
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def hear(number: int, frame: FrameType | None) -> None:
        call()
        handler = before[signal.Signals(number)]
        # An event loop's own handler does nothing: it hears of signals through a socket, whoever else does.
        if callable(handler):
            handler(number, frame)

    for number in SIGNALS:
        signal.signal(number, hear)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
