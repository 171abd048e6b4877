"""How much memory does a program take, and the processes it starts?"""

import os
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

SAMPLE_SECONDS = 0.05


class Peak(NamedTuple):
    """The most memory that processes held, in MB (10^6 bytes)."""

    parent: float
    child_max: float
    """Of the largest of its children that run the same interpreter; 0 if it had none."""
    together: float
    """The sum of all their peaks, which need not have been at once."""


class Watched(NamedTuple):
    output: str
    status: int
    peak: Peak


def run_watched(command: Sequence[str], folder: Path) -> Watched:
    """Run a program to its end and watch what it and its children hold.

    The kernel keeps each process's peak (VmHWM), so that looking now and then misses only what a process
    gains between the last look and its end. Not ``getrusage``: what that tells of a new program begins with
    the memory of the one that started it.

    Args:
        folder: Where its temporary files go.
    """
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(folder)}
    )
    peaks: dict[int, float] = {}
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            for pid in (process.pid, *_children(process.pid)):
                peaks[pid] = max(peaks.get(pid, 0), _peak(pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        output, _ = process.communicate()
    finally:
        ended.set()
        watcher.join()
    parent = peaks.pop(process.pid, 0)
    return Watched(
        output, process.returncode, Peak(parent, max(peaks.values(), default=0), parent + sum(peaks.values()))
    )


def _children(pid: int) -> list[int]:
    """Return the children that run the same interpreter: no client of PostgreSQL, and nobody yet to become one.

    Before it becomes another program, a child shares its parent's memory and command line.
    """
    try:
        found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        ours = _program(pid)
    except OSError:
        return []
    return [child for child in found if _is_worker(child, *ours)]


def _is_worker(pid: int, interpreter: Path, command: bytes) -> bool:
    try:
        theirs = _program(pid)
    except OSError:
        return False
    return theirs[0] == interpreter and theirs[1] not in {b"", command}


def _program(pid: int) -> tuple[Path, bytes]:
    return Path(f"/proc/{pid}/exe").readlink(), Path(f"/proc/{pid}/cmdline").read_bytes()


def _peak(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    # A process that has ended, and is not waited for yet, has none.
    lines = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(lines[0].split()[1]) * 1024 / 1e6 if lines else 0
