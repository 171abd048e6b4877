"""Record the reports of a file.

Killed half-way and run again, the result is as if it had run once, because every line has a key.
"""

import csv
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import timezone
from itertools import count
from pathlib import Path
from typing import BinaryIO

import msgspec

from ledger.access import RIGHT_TO_REPORT, Principal
from ledger.application import Ledger
from ledger.commands import FIELDS
from ledger.errors import FileInvalidError, ImportSpaceError, UnitsMissingError
from ledger.importing import lane, processes
from ledger.importing.lane import Job, Met, RefusedLine, Settled
from ledger.importing.report_files import read_lines
from ledger.importing.spool import Sorter, spooling

LANES_MAX = 4
"""Appends go one after the other, so more would wait for each other."""
LANE_BYTES_MIN = 2_500_000
"""A lane takes a third of a second to start: what it gets to do must be worth it. Some 25,000 lines."""
BUCKET_BYTES = 5_000_000
"""How much of the file a lane holds in memory, where it takes ten times the space."""
BUCKETS_MAX = 200
"""A bucket is a temporary file; of files larger than 4 GB the buckets grow instead."""
REFUSED_LINES_MAX = 50_000
"""How many refused lines are held in memory."""


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
    lanes: int | None = None,
    on_progress: Callable[[int, int | None], None] | None = None,
    by: Principal | None = None,
) -> ImportResult:
    """Record the reports of a file, CSV or one JSON object a line, dossier by dossier.

    Memory does not grow with the file: what does not fit waits in temporary files that have no name.

    Args:
        file: Positioned anywhere; one that cannot seek is copied to a temporary file first.
        refused_path: Where refused lines are written, mode 0600, if there are any. An older
            file of that name is kept as ``.old``, ``.old1``, ...: it may hold corrections not imported yet.
        atomic: One refusal refuses all; at most 100,000 lines.
        dry_run: Decide and count, but record nothing.
        offset: Applied to times without one; without it they are refused.
        lanes: How many processes share the work; as the file's size and this machine suggest if absent.
            One does it where it must be all or nothing, where the ledger is none of ``open_ledger``'s,
            and where the file is one that processes cannot share.
        on_progress: Called with the number of lines done and of all lines; while the file
            is being read, with the lines read and None.
        by: Who reports; the ledger's own principal if absent. Lines that they may not report are refused.

    Raises:
        NotPermittedError: They may report nothing at all; nothing was recorded.
        InputError: The file as a whole cannot be read, or *refused_path* is no place to write to; nothing
            was recorded.
        UnitsMissingError: The ledger has no units yet; nothing was recorded.
        UnavailableError: The database went away, or a process of the import was killed; what was
            recorded stays, and importing the file again records the rest.
    """
    begun = time.monotonic()
    by = ledger.asking(by, *dict.fromkeys(RIGHT_TO_REPORT.values()))
    _check_folder(refused_path.parent)
    with _seekable(file) as source:
        with closing(read_lines(source)) as lines:
            next(lines)  # What is wrong with the file as a whole shows at its first line.
        if not ledger.tree().version:
            raise UnitsMissingError
        jobs = _jobs(ledger, source, Job(offset=offset, atomic=atomic, dry_run=dry_run, by=by), lanes)
        if len(jobs) == 1:
            messages = lane.work(ledger, source, jobs[0])
        else:
            assert ledger.opening is not None
            messages = processes.run(ledger.opening, source.fileno(), _size(source), jobs)
        # Where the database goes away, the lanes must end before the caller closes the file.
        with Sorter(REFUSED_LINES_MAX) as refused, closing(messages):
            work = _Tally(len(jobs), refused, on_progress)
            for message in messages:
                work.add(message)
            if refused.count:
                _write_refused(refused_path, refused.sorted())
    return ImportResult(
        work.read,
        work.recorded,
        work.duplicates,
        refused.count,
        work.first_position,
        work.last_position,
        round(time.monotonic() - begun, 3),
    )


class _Tally:
    """What the lanes have told so far."""

    def __init__(
        self, lanes: int, refused: Sorter, on_progress: Callable[[int, int | None], None] | None
    ) -> None:
        self._reading = lanes
        self._on_progress = on_progress
        self.read = 0
        self.recorded = 0
        self.duplicates = 0
        self.refused = refused
        self.first_position: int | None = None
        self.last_position: int | None = None

    def add(self, message: Met | Settled) -> None:
        match message:
            case Met(lines, whole):
                # Each lane reads all lines, so that the furthest tells how many there are.
                self.read = max(self.read, lines)
                self._reading -= whole
            case Settled():
                self.recorded += message.recorded
                self.duplicates += message.duplicates
                self.refused.add(message.refused)
                if message.first_position is not None and message.last_position is not None:
                    self.first_position = min(
                        self.first_position or message.first_position, message.first_position
                    )
                    self.last_position = max(self.last_position or 0, message.last_position)
        if self._on_progress:
            done = self.recorded + self.duplicates + self.refused.count
            if self._reading:
                self._on_progress(self.read, None)
            else:
                self._on_progress(done, self.read)


def _jobs(ledger: Ledger, source: BinaryIO, job: Job, lanes: int | None) -> list[Job]:
    size = _size(source)
    # A ledger that was given its parts by hand cannot be opened by another process.
    alone = job.atomic or ledger.opening is None or not _is_shared(source) or not sys.executable
    suggested = min(len(os.sched_getaffinity(0)), size // LANE_BYTES_MIN)
    lanes = 1 if alone else max(1, min(LANES_MAX, lanes or suggested))
    buckets = 1 if job.atomic else min(BUCKETS_MAX, 1 + size // lanes // BUCKET_BYTES)
    return [
        msgspec.structs.replace(job, lane=number, lanes=lanes, buckets=buckets) for number in range(lanes)
    ]


def _check_folder(folder: Path) -> None:
    # Not when the first line is refused: by then others are recorded, and nobody could say which.
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise FileInvalidError(
            f"refused lines, if there are any, could not be written to {folder.absolute()}: {error.strerror}; "
            "do this in a folder where you may write"
        ) from None


def _size(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)


def _is_shared(file: BinaryIO) -> bool:
    # Of one that unpacks what it reads, the descriptor gives what is packed.
    return isinstance(file, io.BufferedReader | io.BufferedRandom | io.FileIO)


@contextmanager
def _seekable(file: BinaryIO) -> Iterator[BinaryIO]:
    if file.seekable():
        yield file
        return
    with tempfile.TemporaryFile() as copy:
        while chunk := file.read(1 << 20):
            with spooling():
                copy.write(chunk)
        with spooling():
            copy.flush()
        yield copy


def _write_refused(path: Path, refused: Iterable[RefusedLine]) -> None:
    """Write refused lines, by number, so that the file can be corrected and imported as it is.

    Whole or not there: it is made beside and renamed.
    """
    # A name that nobody can have put there: the file holds numbers.
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".new", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("line", *FIELDS, "error", "detail"))
            writer.writerows((number, *values, code, detail) for number, values, code, detail in refused)
        if path.exists():
            path.rename(_free_name(path))
        draft.rename(path)
    except OSError as error:
        raise ImportSpaceError(
            f"refused lines cannot be written to {path}: {error.strerror}; make room there and import the file "
            "again: what was recorded stays"
        ) from error
    finally:
        draft.unlink(missing_ok=True)


def _free_name(path: Path) -> Path:
    names = (path.with_name(f"{path.name}.old{number or ''}") for number in count())
    return next(name for name in names if not name.exists())
