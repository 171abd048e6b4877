"""Serve the API with granian: one process that supervises, and workers that answer.

Each worker opens the ledger for itself: connections and threads do not survive being
inherited, so workers are spawned, never forked.
"""

import http.client
import logging
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

import msgspec
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server import Server
from litestar import Litestar
from litestar.concurrency import set_asyncio_executor

from api.app import create_app
from ledger import LedgerError, UnavailableError, open_ledger
from projections import Runner, open_totals

LOOPBACK = {"127.0.0.1": "127.0.0.1", "::1": "::1", "localhost": "127.0.0.1"}
"""Hosts that only this machine reaches, and the address that each is."""
THREADS_MAX = 64
"""Of a worker, for requests that wait; asyncio's own would be 6 on two cores, so six readers that wait for a
position would keep every writer waiting."""
STOP_SECONDS_MAX = 30
"""After that a worker which does not end is killed; what it had acknowledged is safe."""

LOGGING: dict[str, Any] = {
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    # Standard output is the command's, which may be writing JSON there.
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "loggers": {
        "_granian": {"handlers": ["stderr"], "propagate": False},
        "granian.access": {"handlers": [], "propagate": False},
    },
    "root": {"handlers": ["stderr"], "level": "WARNING"},
}

_log = logging.getLogger(__name__)


class HostRefusedError(ValueError):
    """The host can be reached from other machines."""


class PortTakenError(UnavailableError):
    """Somebody else listens there."""

    code = "port_taken"


class ServerEndedError(UnavailableError):
    """The server ended though nobody asked it to."""

    code = "server_ended"


class ServeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker needs to build its part. It is pickled into each."""

    url: str | None = None
    """Absent: the embedded PostgreSQL of ``home``."""
    home: Path | None = None
    schema: str = "ledger"
    key_file: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1

    def __repr__(self) -> str:
        # The default would print the URL, which may hold a password.
        return f"ServeSettings(host={self.host!r}, port={self.port}, workers={self.workers})"


def run(settings: ServeSettings, *, on_serving: Callable[[str], None] = lambda _: None) -> None:
    """Serve until SIGTERM or SIGINT; then answer what is under way, and return. Call it in the main thread.

    Args:
        on_serving: Called once with the address, from another thread, when requests are answered.

    Raises:
        HostRefusedError: The host is not this machine's loopback.
        PortTakenError: Somebody else listens there.
        LedgerError: The key file does not fit.
        UnavailableError: The database cannot be reached, or is not set up.
        ServerEndedError: A worker could not start, or workers kept ending.
    """
    address = _loopback(settings.host)
    if not 1 <= settings.port <= 65_535:
        raise ValueError(f"the port must be 1 to 65535, not {settings.port}")
    if settings.workers < 1:
        raise ValueError(f"there must be at least one worker, not {settings.workers}")
    _check_free(address, settings.port)
    # Once, and here: it makes what is missing, and its errors are sentences instead of dead workers.
    with open_ledger(
        settings.url, home=settings.home, schema=settings.schema, key_file=settings.key_file
    ) as ledger:
        open_totals(ledger)
    server = Server(
        f"{__name__}:load",
        address=address,
        port=settings.port,
        interface=Interfaces.ASGI,
        workers=settings.workers,
        http=HTTPModes.http1,
        websockets=False,
        log_level=LogLevels.warning,
        log_dictconfig=LOGGING,
        log_access=False,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS_MAX,
    )
    done = Event()
    Thread(target=_announce, args=(address, settings.port, done, on_serving), daemon=True).start()
    start_method = multiprocessing.get_start_method()
    multiprocessing.set_start_method("spawn", force=True)
    try:
        server.serve(target_loader=partial(load, settings), wrap_loader=False)
    except SystemExit as ended:
        # granian also ends so when a worker was faster than it to see the same Ctrl-C.
        if not server.interrupt_signal:
            raise ServerEndedError("the server's workers ended; the log says why") from ended
    finally:
        done.set()
        multiprocessing.set_start_method(start_method, force=True)


def _loopback(host: str) -> str:
    try:
        return LOOPBACK[host]
    except KeyError:
        raise HostRefusedError(
            f"the host {host} may be reached from other machines, and access control is not built yet; "
            f"use {', '.join(LOOPBACK)}"
        ) from None


def _check_free(address: str, port: int) -> None:
    # granian shares a port with whoever shares theirs, so two servers would each get half of the requests.
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        # Connections that are just ending do not count, listeners do.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise PortTakenError(
                f"nothing can listen at {_url(address, port)}: {error.strerror}; stop what runs there, "
                "or choose another port with --port"
            ) from None


def _url(address: str, port: int) -> str:
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}"


def _announce(address: str, port: int, done: Event, on_serving: Callable[[str], None]) -> None:
    while not done.wait(0.05):
        if _answers(address, port):
            on_serving(_url(address, port))
            return


def _answers(address: str, port: int) -> bool:
    with closing(http.client.HTTPConnection(address, port, timeout=5)) as connection:
        try:
            connection.request("GET", "/health/live", headers={"Connection": "close"})
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False


def load(settings: ServeSettings) -> Litestar:
    """Build the application of a worker; called in its process. What cannot be built ends it with a sentence."""
    Thread(target=_end_with_parent, name="parent", daemon=True).start()
    set_asyncio_executor(ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="request"))
    try:
        ledger = open_ledger(
            settings.url, home=settings.home, schema=settings.schema, key_file=settings.key_file
        )
        totals = open_totals(ledger)
    except (LedgerError, UnavailableError) as error:
        _log.critical("the worker cannot open the ledger: %s", error)
        sys.exit(1)
    runner = Runner(ledger)

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncGenerator[None, None]:
        with ledger, runner:
            yield

    return create_app(ledger, totals, runner, lifespan=[lifespan])


def _end_with_parent() -> None:
    # Killed, the supervisor cannot tell its workers; they would hold the port, with nobody to stop them.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
