"""A thread that does one thing again and again."""

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Again(ABC):
    """Does ``once`` again and again in a thread of its own, between start and end."""

    def __init__(self, name: str, seconds: float, *, end_seconds_max: float | None = None) -> None:
        """Start nothing yet.

        Args:
            name: Of the thread.
            seconds: From the end of one time to the next.
            end_seconds_max: How long the end waits for the time at hand; None: until it is over.
        """
        self._name = name
        self._seconds = seconds
        self._end_seconds_max = end_seconds_max
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    @abstractmethod
    def once(self) -> None:
        """Do it; what it raises ends the thread."""

    def __enter__(self) -> Self:
        self._end.clear()
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._end.set()
        if self._thread is not None:
            self._thread.join(self._end_seconds_max)
            self._thread = None

    def _run(self) -> None:
        while not self._end.is_set():
            self.once()
            self._end.wait(self._seconds)
