"""Files of reports that come over the network: received whole, then imported, then answered line by line.

A file waits on disk, where it has no name, and so does what is answered: memory holds a part of each. The import
itself is that of the command line.
"""

import asyncio
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import timezone
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TextIO, TypeVar

import msgspec
from litestar.exceptions import InternalServerException

from api.bodies import BodyCutError
from api.edge.counts import Counts
from api.ending import Ending, ServerEndingError
from ledger import Ledger, UnavailableError
from ledger.access import Principal
from ledger.commands import FIELDS
from ledger.errors import ImportSpaceError
from ledger.importing import ImportResult, import_file
from ledger.importing.spool import spooling
from ledger.masking import shown

SILENCE_SECONDS_MAX = 60.0
"""A client that has sent nothing for so long is taken for gone: others wait for its place."""
WRITE_BYTES = 1_000_000
"""How much of a file is collected before it is written."""
SPACE_KEPT = 0.05
"""Part of the disk that no file gets: a PostgreSQL whose disk is full cannot even start again."""
SPACE_KEPT_BYTES_MAX = 500_000_000
ANSWER_LINES = 500
"""How many refused lines an answer holds in memory."""

_FOLDER = "ledger-import-"
_KEY, _FIELDS_END = 1, 1 + len(FIELDS)
"""Where the columns of a file of refused lines stand: line, those of a report, error, detail."""
_fields = re.compile(r'("[^"]*(?:""[^"]*)*"|[^,"\n]*)[,\n]').findall
_encode = msgspec.json.Encoder().encode
_threads = ThreadPoolExecutor(2, thread_name_prefix="import")
"""Its own, so that an import takes no thread from requests; a second one ends while the next begins."""

T = TypeVar("T")


class ImportBusyError(UnavailableError):
    """The process imports another file."""

    code = "import_busy"


class RefusedLine(msgspec.Struct, frozen=True):
    """A line of a file that was not recorded."""

    line: int
    """Where it begins in the file; the first line is 1."""
    key: str | None
    """Of the report; null where none could be read, or where it may be a personal number."""
    error: str
    """A stable code, as of problems."""
    detail: str
    """What to do, for people; it holds no personal number."""


class ImportAnswer(ImportResult, frozen=True):
    """What an import did, and what it did not record."""

    refused_lines: list[RefusedLine]
    """In the order of the file."""


class Imports:
    """Imports files into one ledger, one at a time in this process."""

    def __init__(
        self, ledger: Ledger, ending: Ending, *, on_done: Callable[[ImportResult], object] = lambda _: None
    ) -> None:
        """Take what is told of each import that was no trial, in the event loop."""
        self._ledger = ledger
        self._ending = ending
        self._on_done = on_done
        self._busy = False

    async def run(
        self,
        body: AsyncGenerator[bytes, None],
        *,
        by: Principal,
        size: int | None,
        atomic: bool,
        dry_run: bool,
        offset: timezone | None,
    ) -> AsyncIterator[bytes]:
        """Receive a file and import it; return the answer, an ``ImportAnswer`` in JSON, piece by piece.

        Nothing is recorded before the whole file is there. What was recorded stays, whatever happens then.

        Args:
            by: Who reports all of it.
            size: Of the body, if it was announced.

        Raises:
            ImportBusyError: Another file is being received or imported.
            BodyCutError: The file did not come whole; nothing was recorded.
            ImportSpaceError: There is no room for it, or for what is refused.
            ServerEndingError: The process was told to end meanwhile.
            LedgerError, UnavailableError: As ``import_file`` does.
        """
        if self._busy:
            raise ImportBusyError("another file is being imported; send this one when that is done")
        self._busy = True
        try:
            with ExitStack() as stack:
                with spooling():
                    file = stack.enter_context(tempfile.TemporaryFile())
                _check_space(file, size or 0)
                await self._receive(body, file)
                work = partial(self._import, file, by=by, atomic=atomic, dry_run=dry_run, offset=offset)
                result, refused = await _in_thread(work)
                if not dry_run:
                    self._on_done(result)
                return _answer(result, refused)
        finally:
            self._busy = False

    async def _receive(self, body: AsyncGenerator[bytes, None], file: BinaryIO) -> None:
        ending = asyncio.ensure_future(self._ending.wait())
        held = bytearray()
        try:
            while chunk := await self._next(body, ending):
                held += chunk
                if len(held) >= WRITE_BYTES:
                    await _in_thread(partial(_write, file, bytes(held)))
                    held.clear()
            await _in_thread(partial(_write, file, bytes(held)))
        finally:
            ending.cancel()

    async def _next(self, body: AsyncGenerator[bytes, None], ending: "asyncio.Future[None]") -> bytes:
        """Return the next piece of a body; nothing at its end."""
        reading = asyncio.ensure_future(_piece(body))
        waiting: list[asyncio.Future[Any]] = [reading, ending]
        await asyncio.wait(waiting, timeout=SILENCE_SECONDS_MAX, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            return reading.result()
        reading.cancel()
        with suppress(asyncio.CancelledError, BodyCutError):
            await reading
        if ending.done():
            raise ServerEndingError("the server ends; nothing of the file was recorded, send it again")
        raise BodyCutError(
            f"nothing came for {SILENCE_SECONDS_MAX:g} seconds; nothing of the file was recorded, send it again"
        )

    def _import(
        self, file: BinaryIO, *, by: Principal, atomic: bool, dry_run: bool, offset: timezone | None
    ) -> tuple[ImportResult, TextIO | None]:
        """Return what was done, and the file of refused lines if there are any, which has no name any more."""

        def check_ending(_done: int, _all: int | None) -> None:
            if self._ending.begun:
                raise ServerEndingError("the server ends; what was recorded stays, send the file again")

        with _folder() as folder:
            refused_path = folder / "refused.csv"
            result = import_file(
                self._ledger,
                file,
                refused_path=refused_path,
                atomic=atomic,
                dry_run=dry_run,
                offset=offset,
                on_progress=check_ending,
                by=by,
            )
            if not result.refused:
                return result, None
            # What was not UTF-8 was written as it came.
            return result, refused_path.open(encoding="utf-8", errors="replace", newline="\n")


def count_import(counts: Counts, result: ImportResult) -> None:
    """Count what became of a file's lines; why some were refused, its answer tells."""
    counts.reported("recorded", result.recorded)
    counts.reported("duplicate", result.duplicates)
    counts.reported("refused_line", result.refused)


async def _piece(body: AsyncGenerator[bytes, None]) -> bytes:
    try:
        while True:
            piece = await anext(body)
            if piece:
                return piece
    except StopAsyncIteration:
        return b""
    except InternalServerException:
        raise BodyCutError("the file was cut on the way; nothing of it was recorded, send it again") from None


async def _in_thread(call: "partial[T]") -> T:
    return await asyncio.get_running_loop().run_in_executor(_threads, call)


def _write(file: BinaryIO, piece: bytes) -> None:
    with spooling():
        file.write(piece)
        file.flush()
    _check_space(file, 0)


def _check_space(file: BinaryIO, wanted: int) -> None:
    disk = os.fstatvfs(file.fileno())
    kept = min(SPACE_KEPT * disk.f_blocks * disk.f_frsize, SPACE_KEPT_BYTES_MAX)
    if disk.f_bavail * disk.f_frsize - wanted < kept:
        raise ImportSpaceError(
            f"the disk of {tempfile.gettempdir()} is nearly full; make room there or name another folder with TMPDIR"
        )


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder that nobody else can enter; one that a killed process left is removed before."""
    with ExitStack() as stack:
        with spooling():
            _sweep()
            folder, lock = _new_folder()
        stack.callback(os.close, lock)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


def _new_folder() -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_FOLDER))
        lock = _lock(folder)
        # Somebody may have swept it away before it was held.
        if lock is not None and folder.exists():
            return folder, lock


def _sweep() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        lock = _lock(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _lock(folder: Path) -> int | None:
    """Return a hold on a folder of ours, which ends with the process however that ends; None if somebody has it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        if os.fstat(descriptor).st_uid == os.geteuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
    except BlockingIOError:
        pass
    os.close(descriptor)
    return None


async def _answer(result: ImportResult, refused: TextIO | None) -> AsyncIterator[bytes]:
    with ExitStack() as stack:
        yield _encode(result)[:-1] + b',"refused_lines":['
        if refused is not None:
            lines = _refused_lines(stack.enter_context(refused))
            comma = b""
            while some := await _in_thread(partial(_some, lines)):
                yield comma + b",".join(map(_encode, some))
                comma = b","
        yield b"]}"


def _some(lines: Iterator[RefusedLine]) -> list[RefusedLine]:
    return list(islice(lines, ANSWER_LINES))


def _refused_lines(file: TextIO) -> Iterator[RefusedLine]:
    records = _records(file)
    next(records)  # The header.
    for record in records:
        fields = [_unquoted(field) for field in _fields(record)]
        others = fields[_KEY + 1 : _FIELDS_END]
        # A line that could not be told apart into fields stands where the key does.
        key = fields[_KEY] if any(others) else ""
        yield RefusedLine(
            int(fields[0]), key if key and shown(key) == repr(key[:40]) else None, *fields[_FIELDS_END:]
        )


def _records(file: TextIO) -> Iterator[str]:
    # Not csv.reader, which refuses fields of 131,073 characters unless the whole process is told otherwise.
    record = ""
    for line in file:
        record += line
        if record.count('"') % 2 == 0:
            yield record
            record = ""


def _unquoted(field: str) -> str:
    return field[1:-1].replace('""', '"') if field.startswith('"') else field
