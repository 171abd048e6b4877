"""The API under granian: one parent, and workers that each open the ledger and follow the log."""

import errno
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from threading import Thread

import msgspec
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels
from litestar import Litestar

from api.app import create_app
from ledger import open_ledger
from projections import Runner, open_totals

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_READY_SECONDS_MAX = 60


class ServeSettings(msgspec.Struct, frozen=True):
    """What a worker process needs to know; it crosses to another process."""

    url: str | None
    home: Path
    schema: str
    key_file: Path | None
    host: str
    port: int
    workers: int


def serve_api(settings: ServeSettings, *, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM, then finish the requests at hand.

    Args:
        on_ready: Called with the address once a worker accepts connections there.

    Raises:
        ValueError: The host is not loopback, or the port is taken.
    """
    if settings.host not in LOOPBACK:
        raise ValueError(
            f"will not serve on {settings.host}: until access control is built, anyone who reaches the port could "
            f"read and record everything; use {LOOPBACK[0]}"
        )
    _check_port(settings)
    server = Granian(
        "ledger",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        workers=settings.workers,
        websockets=False,
        log_level=LogLevels.warning,
        log_access=False,
    )
    Thread(target=_announce, args=(settings, on_ready), daemon=True).start()
    server.serve(target_loader=partial(load_app, settings), wrap_loader=False)


def _family(settings: ServeSettings) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in settings.host else socket.AF_INET


def _check_port(settings: ServeSettings) -> None:
    with socket.socket(_family(settings)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            taken = "another program uses it" if error.errno == errno.EADDRINUSE else error.strerror
            raise ValueError(
                f"cannot serve on port {settings.port}: {taken}; choose another with --port"
            ) from None


def _announce(settings: ServeSettings, on_ready: Callable[[str], None]) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    deadline = time.monotonic() + _READY_SECONDS_MAX
    while time.monotonic() < deadline:
        with socket.socket(_family(settings)) as probe:
            if probe.connect_ex((settings.host, settings.port)) == 0:
                on_ready(f"http://{host}:{settings.port}")
                return
        time.sleep(0.1)


def load_app(settings: ServeSettings) -> Litestar:
    """Open the ledger in this process and return the API over it; the server closes it at its end."""
    stack = ExitStack()
    ledger = stack.enter_context(
        open_ledger(settings.url, home=settings.home, schema=settings.schema, key_file=settings.key_file)
    )
    totals = open_totals(ledger)
    runner = Runner(ledger)

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        with stack:
            stack.enter_context(runner)
            yield

    return create_app(ledger, totals, runner, lifespan=[lifespan])
