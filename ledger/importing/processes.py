"""Lanes of an import, each in a process of its own: Python runs one thread at a time.

A lane is a new program, not a fork: a fork would copy our threads' locks and database connections.
It gets its job over a socket, where nobody else can read it, and ends when we do.
"""

import fcntl
import gc
import io
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

import msgspec

from ledger.application import Opening, open_again
from ledger.errors import ImportBrokenError, LedgerError, UnavailableError
from ledger.importing import lane
from ledger.importing.lane import Job, Met, Settled

GARBAGE_OBJECTS = 20_000
"""How many more objects there are before Python looks which of them nobody can reach. Its own number is 700."""


class Order(msgspec.Struct, frozen=True):
    """What crosses to a lane's process."""

    opening: Opening
    descriptor: int
    """The file, which the process inherits."""
    size: int
    """How much of it is read, by all lanes alike: it may grow meanwhile."""
    job: Job


class Ended(msgspec.Struct, frozen=True):
    """The last word of a lane."""

    error: LedgerError | UnavailableError | None = None


def run(
    opening: Opening, descriptor: int, size: int, jobs: Sequence[Job]
) -> Generator[Met | Settled, None, None]:
    """Do all jobs at once; yield what the lanes tell. Whatever ends this generator ends them.

    Raises:
        LedgerError: A lane could not open the ledger.
        UnavailableError: What ended a lane: the database went away, or the process was killed.
    """
    with ExitStack() as stack:
        descriptor = stack.enter_context(_out_of_the_way(descriptor))
        running: dict[Connection, subprocess.Popen[bytes]] = {}
        for job in jobs:
            connection, process = _start(stack, descriptor)
            running[connection] = process
            with suppress(BrokenPipeError):  # One that has ended already is met below.
                connection.send(Order(opening, descriptor, size, job))
        while running:
            ready = wait(list(running))
            for connection in [one for one in running if one in ready]:
                try:
                    message = connection.recv()
                except (EOFError, OSError):
                    code = running[connection].wait()
                    raise ImportBrokenError(
                        f"a process of this import ended unexpectedly (exit status {code}); "
                        "import the file again: what was recorded stays"
                    ) from None
                if not isinstance(message, Ended):
                    yield message
                    continue
                if message.error is not None:
                    raise message.error
                del running[connection]


def _start(stack: ExitStack, descriptor: int) -> tuple[Connection, "subprocess.Popen[bytes]"]:
    ours, theirs = Pipe()
    stack.enter_context(ours)
    with theirs, _out_of_the_way(theirs.fileno()) as end:
        path = [*map(str, sys.path)]
        program = f"import sys; sys.path[:] = {path!r}; from {__name__} import main; main({end})"
        process = subprocess.Popen(  # noqa: S603  # Our own program.
            [sys.executable, "-c", program],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(end, descriptor),
        )
    stack.callback(process.wait)
    # Whatever it is at: an append is recorded whole or not at all.
    stack.callback(process.kill)
    return ours, process


@contextmanager
def _out_of_the_way(descriptor: int) -> Iterator[int]:
    """Yield a copy that has no standard stream's number.

    Where ours are closed a file may have one, and a process gets streams of its own there.
    """
    copy = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    try:
        yield copy
    finally:
        os.close(copy)


def main(descriptor: int) -> None:
    """Do the job that comes over the socket *descriptor*; the program of a lane's process."""
    # A process of its own, whose batches leave nothing that only the collector finds.
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS, *gc.get_threshold()[1:])
    # Ctrl-C goes to us all; our parent decides what it means, and ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Connection(descriptor) as connection:
            order: Order = connection.recv()
            connection.send(Ended(_work(connection, order)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        # Our parent is gone, and with it whoever wanted to know.
        sys.exit(1)


def _work(connection: "Connection[Any, Any]", order: Order) -> LedgerError | UnavailableError | None:
    try:
        with open_again(order.opening) as ledger:
            for message in lane.work(ledger, _file(order), order.job):
                connection.send(message)
    except (LedgerError, UnavailableError) as error:
        return error
    return None


def _file(order: Order) -> io.BufferedReader:
    return io.BufferedReader(_SharedFile(order.descriptor, order.size), 1 << 20)


class _SharedFile(io.RawIOBase):
    """A file that several processes read at once, each at a place of its own."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._size = size
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        assert whence == os.SEEK_SET, whence
        self._place = place
        return place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: Any) -> int:
        wanted = memoryview(buffer)[: max(0, self._size - self._place)]
        count = os.preadv(self._descriptor, [wanted], self._place)
        self._place += count
        return count
