"""A server on its own PostgreSQL outlives it, and leaves it in peace when somebody stops it."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ledger.embedded import EmbeddedPostgres
from tests.acceptance.test_cli import COMMAND, ledger
from tests.api.conftest import report, wait_until
from tests.api.test_server import free_port
from tests.conftest import temporary_home


@pytest.fixture
def home() -> Iterator[Path]:
    with temporary_home() as home:
        loaded = ledger("units", "load", "units_2024.csv", "--valid-from", "2021-01-01", home=home)
        assert 0 == loaded.returncode, loaded.stderr
        yield home


@pytest.fixture
def client(home: Path) -> Iterator[httpx.Client]:
    """Somebody who asks ``ledger serve`` over that home."""
    port = free_port()
    log = (home / "serve.log").open("wb")
    process = subprocess.Popen(
        [*COMMAND, "--home", str(home), "serve", "--port", str(port)], stdout=subprocess.DEVNULL, stderr=log
    )
    try:
        with log, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            wait_until(lambda: answers(client, "/health/live"), 30)
            assert 401 == client.get("/v1/units").status_code
            # A ledger that nobody could ask anything gets a key, which is told once.
            [key] = re.findall(r"alk_[a-z]{12}_\S{43}", (home / "serve.log").read_text())
            client.headers["Authorization"] = f"Bearer {key}"
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def answers(client: httpx.Client, address: str) -> bool:
    try:
        return client.get(address).status_code == 200
    except httpx.TransportError:
        return False


def test_a_killed_postgresql_is_started_again(home, client):
    """What was acknowledged is there, and reports go on; one that was stopped stays so."""
    first = client.post("/v1/events", json=report()).json()
    os.kill(int((EmbeddedPostgres(home).data_dir / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    said = b"PostgreSQL was killed; it was started again"
    # Until then its sessions may still answer: a kill of their parent reaches them a moment later.
    wait_until(lambda: said in (home / "serve.log").read_bytes(), 30)
    wait_until(lambda: client.post("/v1/events", json=report()).status_code == 201, 30)
    wait_until(lambda: answers(client, "/health/ready"))

    assert first | {"duplicate": True} == client.post("/v1/events", json=report()).json()

    assert 0 == ledger("stop", home=home).returncode
    # Several times as long as it took to notice that it was killed.
    time.sleep(4)
    assert not EmbeddedPostgres(home).running()
    assert 503 == client.post("/v1/events", json=report()).status_code
