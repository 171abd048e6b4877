"""More lines than memory should hold, in temporary files.

The files have no name: they hold personal numbers, and are gone with the process, however it ends.
"""

import heapq
import marshal
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, BinaryIO, Self

from ledger.errors import ImportSpaceError

_RECORD_LINES = 250


class _Spool:
    """Owns temporary files; use it in a ``with``."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _open(self) -> BinaryIO:
        file = tempfile.TemporaryFile()  # noqa: SIM115  # Closed with us.
        self._stack.callback(_close, file)
        return file


class Buckets(_Spool):
    """Lines parted by a number; each part is small enough for memory. A single part stays there."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._parts: list[list[Any]] = [[] for _ in range(count)]
        self._files: list[BinaryIO | None] = [None] * count

    def add(self, number: int, line: tuple[Any, ...]) -> None:
        """Keep a line, of numbers, texts and tuples of them, in one of the parts."""
        part = self._parts[number]
        part.append(line)
        if len(part) == _RECORD_LINES and len(self._parts) > 1:
            with spooling():
                file = self._files[number]
                if file is None:
                    file = self._files[number] = self._open()
                _write(file, part)
            part.clear()

    def take(self) -> Iterator[list[Any]]:
        """Yield part after part, each in the order in which its lines were added; once."""
        for number, file in enumerate(self._files):
            part, self._parts[number] = self._parts[number], []
            if file is not None:
                part = [*_read(file), *part]
                file.close()
            yield part


class Sorter(_Spool):
    """Sorts any number of tuples of numbers and texts."""

    def __init__(self, lines_max: int) -> None:
        """Hold at most *lines_max* of them in memory."""
        super().__init__()
        self._lines_max = lines_max
        self._lines: list[Any] = []
        self._files: list[BinaryIO] = []
        self.count = 0

    def add(self, lines: Iterable[tuple[Any, ...]]) -> None:
        for line in lines:
            self._lines.append(line)
            self.count += 1
            if len(self._lines) == self._lines_max:
                self._spill()

    def _spill(self) -> None:
        self._lines.sort()
        with spooling():
            file = self._open()
            for begin in range(0, len(self._lines), _RECORD_LINES):
                _write(file, self._lines[begin : begin + _RECORD_LINES])
            file.flush()
        self._files.append(file)
        self._lines = []

    def sorted(self) -> Iterator[Any]:
        """Yield all of them in their order."""
        return heapq.merge(*map(_read, self._files), sorted(self._lines))


def _close(file: BinaryIO) -> None:
    # What cannot be written is not needed any more.
    with suppress(OSError):
        file.close()


@contextmanager
def spooling() -> Iterator[None]:
    """Say what a temporary file that cannot be written means."""
    try:
        yield
    except OSError as error:
        raise ImportSpaceError(
            f"temporary files cannot be written to {tempfile.gettempdir()}: {error.strerror}; "
            "make room there or name another folder with TMPDIR, and import the file again"
        ) from error


def _write(file: BinaryIO, lines: list[Any]) -> None:
    record = marshal.dumps(lines)
    file.write(len(record).to_bytes(4))
    file.write(record)


def _read(file: BinaryIO) -> Iterator[Any]:
    with spooling():
        file.seek(0)  # Writes what is left.
    # Not marshal.load, which asks the file for a few bytes at a time.
    while size := file.read(4):
        yield from marshal.loads(file.read(int.from_bytes(size)))  # noqa: S302  # Nobody else can open our file.
