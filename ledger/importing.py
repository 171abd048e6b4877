"""Import a file of reports: in the order in which they happened, each once, none lost.

The order of a file's lines does not matter, because reports are decided by the time
they happened. Killed half-way and run again, the result is as if it had run once,
because every line has a key.
"""

import csv
import heapq
import marshal
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from ledger.application import Ledger
from ledger.commands import FIELDS, AnyCommand, command_of, read_time
from ledger.errors import BatchTooLargeError, InputError, StateError
from ledger.recording import Receipt, Refusal
from ledger.report_files import Line, read_lines

BATCH_LINES_MAX = 2_000
ATOMIC_LINES_MAX = 100_000
SORT_LINES_MAX = 100_000
"""How many lines are sorted in memory at a time, some 100 MB."""

SAME_INSTANT_LINES_MAX = 10_000
"""How many lines of one instant are held together; a file with more of them is sorted first."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_RANKS = {"collected": 0, "rejected": 1, "approved": 2, "activated": 3}
"""At one instant a rejection comes before an approval: only so can both stand, of two attempts."""
_CITIZEN, _KEY, _TYPE, _TIME = map(FIELDS.index, ("citizen", "key", "type", "occurred_at"))

Timed = tuple[int, str, int, str, int, tuple[str, ...]]
"""instant in microseconds, citizen, rank of the type, key, line number, values as given.

Its order is the order in which lines are decided; no two lines of a file are equal in it.
"""
_instant = itemgetter(0)
_citizen = itemgetter(1)
_instant_and_citizen = itemgetter(0, 1)


class ImportResult(msgspec.Struct, frozen=True):
    """What an import did. Every line read was recorded, a duplicate, or refused."""

    read: int
    """Lines with a report; header and blank lines are none."""
    recorded: int
    duplicates: int
    """Lines that were recorded before, by this or another import."""
    refused: int
    first_position: int | None
    """The position of the first event this import recorded; null if none."""
    last_position: int | None
    seconds: float


def import_file(
    ledger: Ledger,
    file: BinaryIO,
    *,
    refused_path: Path,
    atomic: bool = False,
    dry_run: bool = False,
    offset: timezone | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> ImportResult:
    """Record the reports of a file, CSV or one JSON object a line.

    Args:
        file: Positioned anywhere; read twice, so one that cannot seek is copied to a temporary file first.
        refused_path: Where refused lines are written, mode 0600, if there are any. An older
            file of that name is kept as ``.old``: it may hold corrections not imported yet.
        atomic: One refusal refuses all; at most 100,000 lines.
        dry_run: Decide and count, but record nothing.
        offset: Applied to times without one; without it they are refused.
        on_progress: Called with the number of lines done and of all lines.

    Raises:
        InputError: The file as a whole cannot be read; nothing was recorded.
        UnavailableError: The database went away; what was recorded stays, and importing
            the file again records the rest.
    """
    begun = time.monotonic()
    work = _Import(ledger, offset, dry_run=dry_run, on_progress=on_progress)
    with _seekable(file) as source:
        work.run(source, atomic=atomic)
    if work.refused:
        _write_refused(refused_path, work.refused)
    return ImportResult(
        work.read,
        work.recorded,
        work.duplicates,
        len(work.refused),
        work.first_position,
        work.last_position,
        round(time.monotonic() - begun, 3),
    )


class _Import:
    """One import under way. Owns its counters; the ledger owns everything that lasts."""

    def __init__(
        self,
        ledger: Ledger,
        offset: timezone | None,
        *,
        dry_run: bool,
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        self._ledger = ledger
        self._offset = offset
        self._dry_run = dry_run
        self._on_progress = on_progress
        self.read = 0
        self.done = 0
        self.recorded = 0
        self.duplicates = 0
        self.refused: list[tuple[int, tuple[str, ...], str, str]] = []
        """Line number, values as given, error, detail."""
        self.first_position: int | None = None
        self.last_position: int | None = None

    def run(self, source: BinaryIO, *, atomic: bool) -> None:
        self.read, in_order = self._survey(source)
        # Where the database goes away, the reading must end before the caller closes the file.
        with closing(self._timed(source)) as lines:
            if atomic:
                self._run_atomic(lines)
            else:
                self._run(lines, in_order=in_order)

    def _run(self, lines: Iterable[Timed], *, in_order: bool) -> None:
        if self._dry_run:
            # Nothing is recorded in between, so all lines of a dossier are decided together.
            batches = _batches(_sorted_by_citizen(lines), together=_citizen)
        elif in_order:
            batches = _batches(lines, together=_instant)
        else:
            batches = _batches(_sorted(lines), together=_instant_and_citizen)
        waiting = self._record(batches)
        while waiting and not self._dry_run:
            # Another client may have sent meanwhile what these lines were waiting for.
            recorded = self.recorded
            waiting = self._record(_batches((line for line, _ in waiting), together=_instant_and_citizen))
            if self.recorded == recorded:
                break
        for line, refusal in waiting:
            self._refuse(line, refusal.code, refusal.detail)

    def _survey(self, source: BinaryIO) -> tuple[int, bool]:
        """Return how many lines there are, and whether they stand in the order of their times already."""
        count = 0
        last = ""
        alike = 0
        in_order = True
        for line in read_lines(source):
            count += 1
            if in_order:
                text = line.values[_TIME]
                # Times written alike, with one offset, compare as text; all others are sorted to be sure.
                in_order = text[19:] == last[19:] and text >= last if last else len(text) >= 19
                alike = alike + 1 if text == last else 0
                in_order = in_order and alike < SAME_INSTANT_LINES_MAX
                last = text
        return count, in_order

    def _timed(self, source: BinaryIO) -> Generator[Timed, None, None]:
        """Yield the lines that have a time; refuse the others."""
        for line in read_lines(source):
            values = line.values
            try:
                if line.error is not None:
                    raise line.error
                instant = self._instant(line)
            except InputError as error:
                self.refused.append((line.number, values, error.code, str(error)))
                continue
            yield instant, values[_CITIZEN], _RANKS.get(values[_TYPE], 9), values[_KEY], line.number, values

    def _instant(self, line: Line) -> int:
        return (read_time(line.values[_TIME], offset=self._offset) - _EPOCH) // _MICROSECOND

    def _record(self, batches: Iterable[list[Timed]]) -> list[tuple[Timed, Refusal]]:
        """Record batch after batch; return the lines refused for the state of their dossier.

        While one batch is with the database, the next is read and its reports are made.
        """
        waiting: list[tuple[Timed, Refusal]] = []
        with ThreadPoolExecutor(1, thread_name_prefix="import") as pool:
            under_way: tuple[list[Timed], Future[list[Receipt | Refusal]]] | None = None
            for batch in batches:
                lines, commands = self._commands(batch)
                if under_way is not None:
                    waiting += self._settle(*under_way)
                future = pool.submit(self._ledger.record_many, commands, dry_run=self._dry_run)
                under_way = lines, future
            if under_way is not None:
                waiting += self._settle(*under_way)
        return waiting

    def _run_atomic(self, lines: Iterable[Timed]) -> None:
        if self.read > ATOMIC_LINES_MAX:
            raise BatchTooLargeError(
                f"the file has {self.read} lines; all or nothing takes at most {ATOMIC_LINES_MAX}"
            )
        timed, commands = self._commands(sorted(lines))
        outcomes = self._ledger.record_many(
            commands, atomic=True, dry_run=self._dry_run, spoilt=bool(self.refused)
        )
        for line, outcome in zip(timed, outcomes, strict=True):
            self._count(line, outcome)
        self._progress(len(timed))

    def _commands(self, batch: Iterable[Timed]) -> tuple[list[Timed], list[AnyCommand]]:
        """Make the reports of a batch; refuse the lines that are none."""
        lines: list[Timed] = []
        commands: list[AnyCommand] = []
        for line in batch:
            try:
                command = command_of(dict(zip(FIELDS, line[5], strict=True)), offset=self._offset)
            except InputError as error:
                self._refuse(line, error.code, str(error))
            else:
                lines.append(line)
                commands.append(command)
        return lines, commands

    def _settle(
        self, lines: list[Timed], future: Future[list[Receipt | Refusal]]
    ) -> Iterator[tuple[Timed, Refusal]]:
        outcomes = future.result()
        for line, outcome in zip(lines, outcomes, strict=True):
            if isinstance(outcome, Refusal) and isinstance(outcome.error, StateError):
                yield line, outcome
            else:
                self._count(line, outcome)
        self._progress(len(lines))

    def _count(self, line: Timed, outcome: Receipt | Refusal) -> None:
        if isinstance(outcome, Refusal):
            self._refuse(line, outcome.code, outcome.detail)
        elif outcome.duplicate:
            self.duplicates += 1
        else:
            self.recorded += 1
            if outcome.position:
                self.first_position = min(self.first_position or outcome.position, outcome.position)
                self.last_position = max(self.last_position or 0, outcome.position)

    def _refuse(self, line: Timed, code: str, detail: str) -> None:
        self.refused.append((line[4], line[5], code, detail))

    def _progress(self, lines: int) -> None:
        self.done = min(self.done + lines, self.read)
        if self._on_progress:
            self._on_progress(self.done, self.read)


def _batches(lines: Iterable[Timed], *, together: Callable[[Timed], Hashable]) -> Iterator[list[Timed]]:
    """Yield the lines in sorted batches; lines that *together* gives one value for are never parted."""
    batch: list[Timed] = []
    for line in lines:
        if len(batch) >= BATCH_LINES_MAX and together(line) != together(batch[-1]):
            yield sorted(batch)
            batch = []
        batch.append(line)
    if batch:
        yield sorted(batch)


def _sorted_by_citizen(lines: Iterable[Timed]) -> Iterator[Timed]:
    for citizen, instant, rank, key, number, values in _sorted(
        (citizen, instant, rank, key, number, values) for instant, citizen, rank, key, number, values in lines
    ):
        yield instant, citizen, rank, key, number, values


def _sorted(items: Iterable[Any]) -> Iterator[Any]:
    """Yield tuples in their order, holding at most ``SORT_LINES_MAX`` of them in memory.

    The rest waits in temporary files that have no name: they hold personal numbers, and
    are gone with the process, however it ends.
    """
    iterator = iter(items)
    first = sorted(islice(iterator, SORT_LINES_MAX))
    with ExitStack() as stack:
        runs: list[Iterable[Any]] = []
        run = first
        while len(run) == SORT_LINES_MAX:
            file = stack.enter_context(tempfile.TemporaryFile())
            for begin in range(0, len(run), _RECORD_LINES):
                marshal.dump(run[begin : begin + _RECORD_LINES], file)
            runs.append(_read_run(file))
            run = sorted(islice(iterator, SORT_LINES_MAX))
        yield from heapq.merge(*runs, run)


_RECORD_LINES = 500


def _read_run(file: BinaryIO) -> Iterator[Any]:
    file.seek(0)
    while True:
        try:
            yield from marshal.load(file)  # noqa: S302  # Our own file, which nobody else can open.
        except EOFError:
            return


@contextmanager
def _seekable(file: BinaryIO) -> Iterator[BinaryIO]:
    if file.seekable():
        yield file
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(file, copy)
        yield copy


def _write_refused(path: Path, refused: Iterable[tuple[int, tuple[str, ...], str, str]]) -> None:
    """Write refused lines, by number, so that the file can be corrected and imported as it is.

    Whole or not there: it is made beside and renamed.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("line", *FIELDS, "error", "detail"))
        writer.writerows((number, *values, code, detail) for number, values, code, detail in sorted(refused))
    if path.exists():
        path.replace(path.with_name(f"{path.name}.old"))
    draft.rename(path)
