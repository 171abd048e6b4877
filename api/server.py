"""The API under granian: one parent, which follows the log, and workers that each open the ledger and answer."""

import errno
import gc
import logging
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from threading import Thread

import msgspec
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from litestar import Litestar
from litestar.concurrency import set_asyncio_executor

from api.access import Authenticator, TokenSettings
from api.app import create_app
from api.edge.hosts import only_hosts
from api.edge.logs import logging_of
from api.edge.settings import LOOPBACK, EdgeSettings
from api.edge.shared import Shared
from ledger import Ledger, LedgerError, Policy, UnavailableError
from ledger.access import NOBODY
from ledger.application import Opening, open_again
from ledger.embedded import EmbeddedPostgres
from ledger.recording import DEFAULT_POLICY
from projections import Runner, Totals, open_totals

THREADS_MAX = 64
"""Of a worker, for requests. asyncio's own would be 6 on two cores: six requests that wait for a lost
database would keep all others waiting."""
STOP_SECONDS_MAX = 10
"""A worker that has not ended by then, because a client is slow to send its body say, is killed. What it had
acknowledged is safe."""
GARBAGE_OBJECTS = 20_000
"""How many more objects there are before Python looks which of them nobody can reach. Its own number is 700."""
_READY_SECONDS_MAX = 60
_OPEN_AGAIN_SECONDS = 2.0
HEAD_SECONDS_MAX = 10
"""How long the head of a request may take to come, and a connection may be silent between two requests."""
HEAD_BYTES_MAX = 64 * 1024
"""Of a request's head; also how much of a body is read at once."""

_log = logging.getLogger(__name__)


class ServerEndedError(UnavailableError):
    """The workers ended though nobody asked them to."""

    code = "server_ended"


class ServeSettings(msgspec.Struct, frozen=True):
    """What a worker process needs to know; it crosses to another process."""

    url: str | None
    home: Path
    schema: str
    key_file: Path | None
    host: str
    port: int
    workers: int
    policy: Policy = DEFAULT_POLICY
    """Read once, by whoever starts us: a worker that is replaced later records by the same."""
    edge: EdgeSettings = EdgeSettings()
    shared: Shared | None = None
    """The memory of all workers, which the parent makes."""
    tokens: TokenSettings = TokenSettings()
    """Whose access tokens are taken beside API keys."""

    def __repr__(self) -> str:
        # The default would print the URL, which may hold a password.
        return f"ServeSettings(host={self.host!r}, port={self.port!r}, workers={self.workers!r})"


def serve_api(settings: ServeSettings, *, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM, then finish the requests at hand.

    Args:
        on_ready: Called with the address once a worker accepts connections there.

    Raises:
        ValueError: Others can reach the host, and there is neither an issuer nor an API key; or the port is taken.
        UnavailableError: The ledger cannot be opened.
        ServerEndedError: No worker could start, or workers kept ending; the log says why.
    """
    # Here and not in the workers: following the log beside requests would take a tenth of a worker's time, and each
    # of them would look at the log.
    with _open(settings)[0] as ledger:
        if settings.host not in LOOPBACK and not settings.tokens.issuer and not has_keys(ledger):
            raise ValueError(
                f"will not serve on {settings.host}: there is no API key and no issuer, so nobody could ask anything; "
                "make a key with ledger token create, or name an issuer with LEDGER_ISSUER"
            )
        _check_port(settings)
        on_lost = (lambda: None) if settings.url else partial(_revive, settings.home)
        with Runner(ledger, on_lost=on_lost):
            run_workers(msgspec.structs.replace(settings, shared=Shared()), load_app, on_ready=on_ready)


def has_keys(ledger: Ledger) -> bool:
    """Whether any API key of a ledger is taken now."""
    return bool(ledger.keys().standing(ledger.now()))


def run_workers(
    settings: ServeSettings, load: Callable[[ServeSettings], Litestar], *, on_ready: Callable[[str], None]
) -> None:
    """Serve the application that *load* returns in each worker, until SIGINT or SIGTERM.

    Raises:
        ServerEndedError: No worker could start, or workers kept ending; the log says why.
    """
    server = Granian(
        "ledger",
        address=_address(settings),
        port=settings.port,
        interface=Interfaces.ASGI,
        workers=settings.workers,
        websockets=False,
        # Nobody needs the other one behind a proxy, and without TLS browsers do not speak it.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=HEAD_SECONDS_MAX * 1000, max_buffer_size=HEAD_BYTES_MAX
        ),
        log_level=LogLevels.warning,
        log_dictconfig=logging_of(settings.edge.log),
        log_access=False,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS_MAX,
    )
    Thread(target=_announce, args=(settings, on_ready), daemon=True).start()
    # granian takes the default, which is fork up to Python 3.13: a copy of our threads' locks and connections.
    default = multiprocessing.get_start_method()
    multiprocessing.set_start_method("spawn", force=True)
    try:
        server.serve(target_loader=partial(load, settings), wrap_loader=False)
    except SystemExit as ended:
        # It also ends so when a worker saw Ctrl-C, which goes to all of them, sooner than the parent.
        if not server.interrupt_signal:
            raise ServerEndedError("the server's workers ended; the log says why") from ended
    finally:
        multiprocessing.set_start_method(default, force=True)


def _address(settings: ServeSettings) -> str:
    return "127.0.0.1" if settings.host == "localhost" else settings.host


def _family(settings: ServeSettings) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in settings.host else socket.AF_INET


def _check_port(settings: ServeSettings) -> None:
    # granian shares a port with whoever shares theirs: two servers would each get half of the requests.
    with socket.socket(_family(settings)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_address(settings), settings.port))
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
            if probe.connect_ex((_address(settings), settings.port)) == 0:
                on_ready(f"http://{host}:{settings.port}")
                return
        time.sleep(0.1)


def load_app(settings: ServeSettings) -> Litestar:
    """Open the ledger in this process and return the API over it; the server closes it at its end.

    While the database is away it waits; a process that cannot open the ledger ends with a sentence in the log.
    """
    Thread(target=_end_with_parent, name="parent", daemon=True).start()
    set_asyncio_executor(ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="request"))
    try:
        ledger, totals = _open(settings)
    except LedgerError as error:
        _log.critical("a worker cannot open the ledger: %s", error)
        sys.exit(1)

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        with ledger:
            yield

    app = create_app(
        ledger,
        totals,
        Authenticator(ledger, settings.tokens),
        checks=[only_hosts(settings.edge.hosts)],
        edge=settings.edge,
        shared=settings.shared,
        lifespan=[lifespan],
    )
    _collect_rarely()
    return app


def _collect_rarely() -> None:
    """Let Python look for garbage in what requests leave, now and then, and not at all in what the process began with.

    Else it would look through all of that again and again: an eighth of the time of reports that come at full
    speed, and half of the longest waits.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS, *gc.get_threshold()[1:])


def _open(settings: ServeSettings) -> tuple[Ledger, Totals]:
    # Whoever started us has opened it a moment ago. If it is away now, it comes back: should we end instead,
    # we would be replaced at once, again and again, and that ends the server.
    opening = Opening(
        settings.url, settings.home, settings.schema, settings.key_file, settings.policy, principal=NOBODY
    )
    while True:
        try:
            ledger = open_again(opening)
            try:
                return ledger, open_totals(ledger)
            except BaseException:
                ledger.close()
                raise
        except UnavailableError as error:
            _log.warning("the server waits for the ledger: %s", error)
            time.sleep(_OPEN_AGAIN_SECONDS)


def _revive(home: Path) -> None:
    try:
        if EmbeddedPostgres(home).revive():
            _log.warning("PostgreSQL was killed; it was started again")
    except UnavailableError as error:
        _log.error("PostgreSQL was killed, and cannot be started again: %s", error)


def _end_with_parent() -> None:
    # A parent that was killed cannot tell its workers: they would hold the port, with nobody to stop them.
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_SECONDS_MAX)
    os.kill(os.getpid(), signal.SIGKILL)
