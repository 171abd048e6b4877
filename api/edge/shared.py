"""Memory that all processes of a server share: how often each caller has asked, and what was counted.

The parent makes it and hands it to its workers. It has no name, so nothing of it is left when the last of them has ended,
however that happens. What is written holds no secret but its own key, and nothing personal.
"""

import fcntl
import mmap
import os
import sys
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.reduction import DupFd
from typing import Any

WORKERS_MAX = 64
HEAD_BYTES = 4096
BUCKET_BYTES = 1 << 20
WORKER_BYTES = 1 << 16
"""Of each worker, which alone writes there."""
SECRET_BYTES = 16
_SIZE = HEAD_BYTES + BUCKET_BYTES + WORKERS_MAX * WORKER_BYTES


class Shared:
    """The memory, and locks on parts of it.

    Locks are the kernel's, on ranges of bytes, and belong to a process: one that is killed holds nothing. Within a
    process they keep nobody out; only its event loop may write.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        """Make new memory, or open that of *descriptor*, which is taken over."""
        self.descriptor = _new() if descriptor is None else descriptor
        weakref.finalize(self, os.close, self.descriptor)
        self.memory = mmap.mmap(self.descriptor, _SIZE)
        self.secret = bytes(self.memory[:SECRET_BYTES])
        """What makes places in it unpredictable for who chooses their own name."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Cross to a process that is being started; a descriptor can go nowhere else."""
        return _inherited, (DupFd(self.descriptor),)

    @contextmanager
    def locked(self, start: int, length: int) -> Iterator[None]:
        """Hold a range of bytes; waits for another process that holds it, which takes microseconds."""
        fcntl.lockf(self.descriptor, fcntl.LOCK_EX, length, start)
        try:
            yield
        finally:
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN, length, start)

    def claim_worker(self) -> int:
        """Return the number of a worker's place that no process has, and hold it for as long as this one lives.

        A worker that is replaced leaves its place, with what it has counted, to the next one.
        """
        for number in range(WORKERS_MAX):
            try:
                fcntl.lockf(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, worker_start(number))
            except OSError:
                continue
            return number
        raise AssertionError(f"more than {WORKERS_MAX} workers")

    def numbers(self, worker: int) -> memoryview:
        """Return a worker's place as signed numbers of 64 bits. Each is written at once, so it may be read at any time."""
        start = worker_start(worker)
        return memoryview(self.memory)[start : start + WORKER_BYTES].cast("q")


def worker_start(number: int) -> int:
    return HEAD_BYTES + BUCKET_BYTES + number * WORKER_BYTES


def _new() -> int:
    if sys.platform == "linux":
        # In memory alone: a page of a file is written to the disk again and again.
        descriptor = os.memfd_create("ledger-server")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, _SIZE)
    os.pwrite(descriptor, os.urandom(SECRET_BYTES), 0)
    return descriptor


def _inherited(descriptor: Any) -> Shared:
    return Shared(descriptor.detach())
