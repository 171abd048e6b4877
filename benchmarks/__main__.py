"""Measure a whole ledger in a home of its own: import, lag, rebuild, totals, history.

    python -m benchmarks [--dossiers N] [--home DIR] [--json FILE]

Everything runs on the embedded PostgreSQL with fsync on. Times are wall-clock.
"""

import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import click
import httpx

from api.campaign import COLUMNS, Campaign, made_up_name, simulate, write
from ledger import Ledger, open_ledger, read_report
from ledger.embedded import EmbeddedPostgres
from ledger.importing import import_file
from projections import Runner, catch_up, open_totals, rebuild

REQUESTS = 300


@click.command()
@click.option("--dossiers", default=200_000, show_default=True)
@click.option("--home", type=click.Path(path_type=Path), help="Kept; default: a temporary one, removed.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the numbers here as well.")
def main(dossiers: int, home: Path | None, json_path: Path | None) -> None:
    """Measure, and print a table."""
    folder = home or Path(tempfile.mkdtemp(prefix="b"))
    folder.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}",
        "dossiers": dossiers,
    }
    try:
        measure(folder, dossiers, results)
    finally:
        EmbeddedPostgres(folder).stop()
        if home is None:
            shutil.rmtree(folder)
    for name, value in results.items():
        print(f"{name:55} {value:>14,}" if isinstance(value, int | float) else f"{name:55} {value}")
    if json_path:
        json_path.write_text(json.dumps(results, indent=2), encoding="utf-8")


def measure(home: Path, dossiers: int, results: dict[str, Any]) -> None:
    campaign = Campaign(dossiers=dossiers, seed=1)
    path = home / made_up_name(campaign)
    seconds(results, "made-up campaign (s)", lambda: write(simulate(campaign), path))
    began = time.perf_counter()
    with open_ledger(home=home) as ledger:
        results["cold start of the ledger (s)"] = round(time.perf_counter() - began, 2)
        ledger.load_units("units_2024.csv", valid_from=date(2021, 1, 1))
        open_totals(ledger)
        with path.open("rb") as file:
            done = import_file(ledger, file, refused_path=home / "refused.csv")
        results["import, projections stopped (events/s)"] = round(done.recorded / done.seconds)
        results["import refused (lines)"] = done.refused
        events = ledger.head().position
        took = seconds(results, "catch up after it (s)", lambda: catch_up(ledger.database))
        results["catch up (events/s)"] = round(events / took)
        took = seconds(results, "rebuild (s)", lambda: rebuild(ledger.database))
        results["rebuild (events/s)"] = round(events / took)
        with path.open("rb") as file:
            again = import_file(ledger, file, refused_path=home / "refused.csv")
        results["import again, all duplicates (lines/s)"] = round(again.read / again.seconds)
        citizens = [
            line.split(",")[2] for line in path.read_text(encoding="utf-8").splitlines()[1 : REQUESTS + 1]
        ]
        dossier_ids = [str(ledger.find(citizen)) for citizen in citizens]
        measure_lag(home, results)
    measure_http(home, dossier_ids, results)


def measure_lag(home: Path, results: dict[str, Any]) -> None:
    """Import while the projections follow, into a second ledger of the same server."""
    campaign = Campaign(dossiers=20_000, seed=2)
    path = home / made_up_name(campaign)
    write(simulate(campaign), path)
    with open_ledger(home=home, schema="lag") as ledger:
        ledger.load_units("units_2024.csv", valid_from=date(2021, 1, 1))
        totals = open_totals(ledger)
        with Runner(ledger):
            with path.open("rb") as file:
                done = import_file(ledger, file, refused_path=home / "refused.csv")
            began = time.perf_counter()
            wait_for(lambda: totals.position() >= (done.last_position or 0))
            results["lag after an import, projections following (s)"] = round(time.perf_counter() - began, 3)
        results["import, projections following (events/s)"] = round(done.recorded / done.seconds)
        measure_single(ledger, results)


def measure_single(ledger: Ledger, results: dict[str, Any]) -> None:
    """One caller, one report a commit: what an officer's form costs."""
    rows = simulate(Campaign(dossiers=200, seed=3))
    commands = [read_report(dict(zip(COLUMNS, row, strict=True))) for row in rows]
    began = time.perf_counter()
    for command in commands:
        ledger.record(command)
    results["record, one by one (events/s)"] = round(len(commands) / (time.perf_counter() - began))


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.005)


def measure_http(home: Path, dossier_ids: list[str], results: dict[str, Any]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "api.main", "--home", str(home), "serve", "--port", str(port)]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        assert "serving" in server.stderr.readline()
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            latency(results, "GET totals, province by district", client, ["/v1/totals?unit=38"] * REQUESTS)
            days = ["/v1/totals?unit=38&from=2024-10-10&to=2024-12-05"] * REQUESTS
            latency(results, "GET totals, the same between two days", client, days)
            latency(results, "GET totals by day", client, ["/v1/totals?by=day"] * 100)
            latency(results, "GET totals by place", client, ["/v1/totals?by=place"] * 30)
            latency(results, "GET history", client, [f"/v1/dossiers/{one}/history" for one in dossier_ids])
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)


def latency(results: dict[str, Any], name: str, client: httpx.Client, addresses: list[str]) -> None:
    """Ask one after the other; the client's own time is part of it."""
    client.get(addresses[0]).raise_for_status()
    times = []
    for address in addresses:
        began = time.perf_counter()
        client.get(address).raise_for_status()
        times.append((time.perf_counter() - began) * 1000)
    results[f"{name}, median (ms)"] = round(statistics.median(times), 1)
    results[f"{name}, p95 (ms)"] = round(statistics.quantiles(times, n=20)[18], 1)


def seconds(results: dict[str, Any], name: str, work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    took = time.perf_counter() - began
    results[name] = round(took, 2)
    return took


if __name__ == "__main__":
    main()
