"""POST reports as fast as a server answers, over many connections at once.

    python -m benchmarks.http_load http://127.0.0.1:8000 [--seconds N] [--connections N]

The load comes from wrk, a program in C: a generator in Python would be slower than what it measures.
"""

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import click

HOW_TO_GET_IT = "wrk is not on PATH (Debian: apt-get install wrk)"
CITIZENS_A_SECOND = 100_000
"""More than any server here answers, so that no two loads, one after the other, report the same citizen."""

_SCRIPT = Path(__file__).with_name("post_reports.lua")


class LoadGeneratorMissingError(Exception):
    """Nothing was measured: there is no wrk."""


def post_load(
    url: str, path: str, seconds: int, connections: int, token: str | None = None
) -> dict[str, Any]:
    """POST one report a request, each of another citizen, and return what came of it.

    Args:
        token: Of whoever reports; None: nobody says who it is.

    Returns:
        ``requests`` answered, ``seconds``, ``rate`` (answers a second), ``p50_ms``, ``p99_ms``, ``max_ms``;
        ``not_2xx`` answers and ``broken`` requests (not connected, cut or timed out), which both should be 0.

    Raises:
        LoadGeneratorMissingError: wrk is not on PATH.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        raise LoadGeneratorMissingError(HOW_TO_GET_IT)
    first = int(time.time() * CITIZENS_A_SECOND) % 10**11
    load = ["-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--timeout", "10s"]
    done = subprocess.run(
        [wrk, *load, "-s", str(_SCRIPT), url, "--", path, str(first), *([token] if token else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    last = done.stdout.strip().splitlines()[-1:]
    if done.returncode != 0 or not last or not last[0].startswith("{"):
        raise RuntimeError(f"wrk failed ({done.returncode}): {done.stdout[-2000:]}")
    told: dict[str, Any] = json.loads(last[0])
    return told | {"rate": told["requests"] / told["seconds"]}


@click.command()
@click.argument("url")
@click.option("--path", default="/v1/events", show_default=True)
@click.option("--seconds", default=5, show_default=True)
@click.option("--connections", default=64, show_default=True)
@click.option("--token", envvar="TOKEN", help="Of whoever reports.  [env var: TOKEN]")
def main(url: str, path: str, seconds: int, connections: int, token: str | None) -> None:
    """Load a server that runs already, and print what came of it."""
    click.echo(json.dumps(post_load(url, path, seconds, connections, token), indent=2))


if __name__ == "__main__":
    main()
