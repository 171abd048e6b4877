"""Lanes of an import, each in a process of its own: Python runs one thread at a time.

A lane is a new program, not a fork: a fork would copy our threads' locks and database connections.
It gets its job over a socket, where nobody else can read it, and ends when we do.
"""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

import msgspec

from ledger.application import Opening
from ledger.errors import ImportBrokenError, LedgerError, UnavailableError
from ledger.importing import lane
from ledger.importing.lane import Job, Met, Settled


class Order(msgspec.Struct, frozen=True):
    """What crosses to a lane's process."""

    opening: Opening
    descriptor: int
    """The file, which the process inherits."""
    job: Job


class Ended(msgspec.Struct, frozen=True):
    """The last word of a lane."""

    error: LedgerError | UnavailableError | None = None


def run(opening: Opening, descriptor: int, jobs: Sequence[Job]) -> Generator[Met | Settled, None, None]:
    """Do all jobs at once; yield what the lanes tell. Whatever ends this generator ends them.

    Raises:
        LedgerError: A lane could not open the ledger.
        UnavailableError: What ended a lane: the database went away, or the process was killed.
    """
    with ExitStack() as stack:
        running: dict[Connection, subprocess.Popen[bytes]] = {}
        for job in jobs:
            connection, process = _start(stack, descriptor)
            running[connection] = process
            connection.send(Order(opening, descriptor, job))
        while running:
            ready = wait(list(running))
            for connection in [one for one in running if one in ready]:
                try:
                    message = connection.recv()
                except (EOFError, ConnectionResetError):
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
    with theirs:
        program = (
            f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import main; main({theirs.fileno()})"
        )
        process = subprocess.Popen(  # noqa: S603  # Our own program.
            [sys.executable, "-c", program],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), descriptor),
        )
    stack.callback(process.wait)
    # Of a process that has ended already this does nothing.
    stack.callback(process.terminate)
    return ours, process


def main(descriptor: int) -> None:
    """Do the job that comes over the socket *descriptor*; the program of a lane's process."""
    # Ctrl-C goes to us all; our parent decides what it means, and ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Connection(descriptor) as connection:
        order: Order = connection.recv()
        try:
            with order.opening.open() as ledger:
                for message in lane.work(ledger, _file(order.descriptor), order.job):
                    connection.send(message)
        except (LedgerError, UnavailableError) as error:
            connection.send(Ended(error))
        except (BrokenPipeError, ConnectionResetError):
            # Our parent is gone, and with it whoever wanted to know.
            sys.exit(1)
        else:
            connection.send(Ended())


def _file(descriptor: int) -> io.BufferedReader:
    return io.BufferedReader(_SharedFile(descriptor), 1 << 20)


class _SharedFile(io.RawIOBase):
    """A file that several processes read at once, each at a place of its own."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
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
        count = os.preadv(self._descriptor, [buffer], self._place)
        self._place += count
        return count
