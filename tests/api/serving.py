"""A real server for all tests of a module: what most of them ask leaves no trace for the next one."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from ledger.database import Database
from ledger.key_files import create_key_file
from tests.api.conftest import wait_until
from tests.api.test_server import ROOT, Served, answers, free_port
from tests.tokens import SERVED, served_issuer


@contextmanager
def serving(database: Database, folder: Path, *arguments: str) -> Iterator[Served]:
    """Serve a ledger that is there; at the end tell the server to end, and check that nobody is left."""
    key_file = folder / "ledger.key"
    if not key_file.exists():
        create_key_file(key_file)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LEDGER_")}
    environment |= {"LEDGER_DATABASE_URL": database.conninfo, "LEDGER_KEY_FILE": str(key_file)}
    environment |= served_issuer(folder)
    port = free_port()
    output, log = folder / f"{port}.out", folder / f"{port}.log"
    with output.open("w") as stdout, log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "api.main", "serve", "--port", str(port), *arguments],
            cwd=ROOT,
            env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=url, timeout=20, auth=SERVED, verify=False) as client:
            served = Served(process, client, url, output, log)
            wait_until(lambda: answers(served) and "serving at" in log.read_text(), 30)
            yield served
            process.send_signal(signal.SIGTERM)
            assert 0 == process.wait(timeout=15), log.read_text()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
