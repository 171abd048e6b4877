"""The program ``ledger`` as a process, forked from one that has imported it: to import takes longer than most commands.

All else is as a shell has it: streams, environment, working directory, exit status, and an end by the interpreter.
What a new process alone would prove (how it starts; that nothing hangs on the seed of hashes) is asked of a new process.
"""

import gc
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

ROOT = Path(__file__).parents[1]
MESSAGE_BYTES_MAX = 100_000
TEXT_BYTES_MAX = 60_000
"""What a pipe takes, whether or not anybody reads it."""


class Forker:
    """Runs commands, one after the other, in forks of a process that ends with this one."""

    def __init__(self) -> None:
        self._running: tuple[subprocess.Popen[bytes], socket.socket] | None = None
        self._lock = Lock()

    def end(self) -> None:
        """End the process, if there is one; the next command starts another."""
        if self._running:
            process, line = self._running
            self._running = None
            line.close()
            process.wait(30)

    def run(
        self, command: Sequence[str], *, text: str, cwd: Path, env: Mapping[str, str], seconds: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a command until it has ended and nobody holds its output, as ``subprocess.run`` does.

        Args:
            command: Its name, which it may tell, and its arguments.
            text: What it may read.
            env: The whole of its environment.
        """
        request = json.dumps({"command": list(command), "cwd": str(cwd), "env": dict(env)}).encode()
        given = text.encode()
        assert len(given) <= TEXT_BYTES_MAX
        theirs, ours = zip(*((os.pipe()[::way]) for way in (1, -1, -1)), strict=True)
        os.write(ours[0], given)
        os.close(ours[0])
        with self._lock, ThreadPoolExecutor(2) as pool:
            self._running = self._running or _start()
            _, line = self._running
            socket.send_fds(line, [request], theirs)
            for descriptor in theirs:
                os.close(descriptor)
            printed, told = (pool.submit(_read, descriptor) for descriptor in ours[1:])
            pid = json.loads(line.recv(MESSAGE_BYTES_MAX))
            line.settimeout(seconds)
            try:
                status = json.loads(line.recv(MESSAGE_BYTES_MAX))
                return subprocess.CompletedProcess(
                    command, status, printed.result(seconds), told.result(seconds)
                )
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                # What is said of this one must not be taken for the end of the next.
                self.end()
                raise subprocess.TimeoutExpired(command, seconds) from None


FORKER = Forker()
"""That of all tests."""


def _read(descriptor: int) -> str:
    with open(descriptor, encoding="utf-8", newline="") as file:
        return file.read().replace("\r\n", "\n")


def _start() -> tuple["subprocess.Popen[bytes]", socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", f"from tests.program import serve; serve({theirs.fileno()})"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            pass_fds=[theirs.fileno()],
        )
    return process, ours


def serve(descriptor: int) -> None:
    """Fork for every command that comes; in the fork, become the program and do not return."""
    from api.main import main

    gc.freeze()
    with socket.socket(fileno=descriptor) as line:
        while True:
            request, streams, _, _ = socket.recv_fds(line, MESSAGE_BYTES_MAX, 3)
            if not request:
                return
            pid = os.fork()
            if pid == 0:
                break
            for stream in streams:
                os.close(stream)
            line.send(json.dumps(pid).encode())
            _, status = os.waitpid(pid, 0)
            line.send(json.dumps(os.waitstatus_to_exitcode(status)).encode())
    _become(streams, **json.loads(request))
    main()


def _become(streams: Sequence[int], command: Sequence[str], cwd: str, env: Mapping[str, str]) -> None:
    """Take over what a shell gives a program; streams are opened as the interpreter opens them in its UTF-8 mode."""
    for standard, stream in enumerate(streams):
        os.dup2(stream, standard)
        os.close(stream)
    sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.argv[:] = command
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
