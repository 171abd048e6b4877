"""More lines than memory should hold, in temporary files.

The files have no name: they hold personal numbers, and are gone with the process, however it ends.
"""

import heapq
import marshal
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

_RECORD_LINES = 250


class Buckets:
    """Lines parted by a number; each part is small enough for memory. A single part stays there."""

    def __init__(self, count: int) -> None:
        self._parts: list[list[Any]] = [[] for _ in range(count)]
        self._files: list[BinaryIO | None] = [None] * count

    def add(self, number: int, line: tuple[Any, ...]) -> None:
        """Keep a line, of numbers, texts and tuples of them, in one of the parts."""
        part = self._parts[number]
        part.append(line)
        if len(part) == _RECORD_LINES and len(self._parts) > 1:
            file = self._files[number]
            if file is None:
                file = self._files[number] = tempfile.TemporaryFile()  # noqa: SIM115  # Closed by take.
            _write(file, part)
            part.clear()

    def take(self) -> Iterator[list[Any]]:
        """Yield part after part, each in the order in which its lines were added; their files are gone then."""
        for number, file in enumerate(self._files):
            part, self._parts[number] = self._parts[number], []
            if file is not None:
                with file:
                    part = [*_read(file), *part]
            yield part


class Sorter:
    """Sorts any number of tuples of numbers and texts."""

    def __init__(self, lines_max: int) -> None:
        """Hold at most *lines_max* of them in memory."""
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
        file = tempfile.TemporaryFile()  # noqa: SIM115  # Closed by sorted.
        for begin in range(0, len(self._lines), _RECORD_LINES):
            _write(file, self._lines[begin : begin + _RECORD_LINES])
        self._files.append(file)
        self._lines = []

    def sorted(self) -> Iterator[Any]:
        """Yield all of them in their order; once."""
        yield from heapq.merge(*map(_read, self._files), sorted(self._lines))
        for file in self._files:
            file.close()


def _write(file: BinaryIO, lines: list[Any]) -> None:
    record = marshal.dumps(lines)
    file.write(len(record).to_bytes(4))
    file.write(record)


def _read(file: BinaryIO) -> Iterator[Any]:
    file.seek(0)
    # Not marshal.load, which asks the file for a few bytes at a time.
    while size := file.read(4):
        yield from marshal.loads(file.read(int.from_bytes(size)))  # noqa: S302  # Nobody else can open our file.
