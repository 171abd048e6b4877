"""Whether this process was told to end: long answers look, so that they do not hold it up."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType

from litestar import Litestar

from ledger import UnavailableError

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class ServerEndingError(UnavailableError):
    """The process was told to end while it was at something long."""

    code = "server_ending"


class Ending:
    """Begins with the signal that ends the process, while the server still waits for its answers."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._calls: list[Callable[[], None]] = []

    @property
    def begun(self) -> bool:
        """Whether answers should end; may be asked in any thread."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Wait until it begins."""
        await self._event.wait()

    def on_begin(self, call: Callable[[], None]) -> None:
        """Have something called in the event loop when it begins."""
        self._calls.append(call)

    def begin(self) -> None:
        self._event.set()
        for call in self._calls:
            call()

    @asynccontextmanager
    async def lifespan(self, _app: Litestar) -> AsyncIterator[None]:
        """Hear the signals as long as the application lives; its own end, later, is a beginning too."""
        self._event = asyncio.Event()
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
