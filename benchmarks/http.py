"""How fast does the API answer: reports from many clients at once, and questions one after the other?"""

import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from benchmarks.http_load import LoadGeneratorMissingError, post_load
from benchmarks.server import serving
from benchmarks.table import Results, step
from ledger import Ledger, open_ledger
from ledger.access import Role

CONNECTIONS = 64
REQUESTS = 300
"""How often a question is asked, in a run of full size."""
YEAR = "from=2024-01-10&to=2025-01-09"
QUESTIONS = {
    "totals": ("/v1/totals?unit=38&to=2024-12-31", REQUESTS),
    "totals_days": ("/v1/totals?unit=38&from=2024-10-10&to=2024-12-05", REQUESTS),
    "totals_year_then": (f"/v1/totals?unit=38&by=commune&{YEAR}&hierarchy=then", 100),
    "totals_year_now": (f"/v1/totals?unit=38&by=commune&{YEAR}&hierarchy=2025-07-01", 100),
    "progress": ("/v1/progress?unit=38&by=commune&on=2024-12-09", 100),
    "totals_by_day": ("/v1/totals?by=day", 100),
    "totals_by_place": ("/v1/totals?by=place", 30),
}
LOOKING = {"Purpose": "audit"}
"""What histories are read for; that they are is recorded each time."""
_PATH = "/v1/events"
RECORDERS = {"http.post": "38", "http.post.commune": "14758"}
"""Over which unit the one who sends the load may report, by line: a province, and the commune at which all of it counts. Not
over everything: of whoever may report all there is nothing is asked."""
LOAD_KEYS = ("http.idle", "http.open", *RECORDERS, "http.post.p50", "http.post.p99", "http.post.refused")


def serve_command(home: Path, schema: str = "ledger") -> list[str]:
    return [sys.executable, "-m", "api.main", "--home", str(home), "--schema", schema, "serve"]


def measure_load(ledger: Ledger, home: Path, seconds: int, repeats: int, results: Results) -> None:
    """Load the API, one that asks nobody who they are, and an idle one in turn.

    Only one of them runs at a time: what follows the log beside one would take from the other's processors.
    """
    idle = [sys.executable, "-m", "benchmarks.idle_app"]
    unlocked = [sys.executable, "-m", "benchmarks.open_app", "--home", str(home)]
    tokens = {
        key: ledger.create_key([Role.RECORDER], unit=unit, name="benchmark").token
        for key, unit in RECORDERS.items()
    }
    try:
        for repeat in range(repeats):
            with step(f"HTTP, {CONNECTIONS} connections, {repeat + 1} of {repeats}"):
                results.add("http.idle", _load(idle, home, seconds)["rate"])
                results.add("http.open", _load(unlocked, home, seconds, ledger)["rate"])
                for key, token in tokens.items():
                    done = _load(serve_command(home), home, seconds, ledger, token)
                    results.add(key, (done["requests"] - done["not_2xx"]) / done["seconds"])
                    results.add("http.post.refused", done["not_2xx"] + done["broken"])
                    if key == "http.post":
                        results.add("http.post.p50", done["p50_ms"])
                        results.add("http.post.p99", done["p99_ms"])
    except LoadGeneratorMissingError as missing:
        for key in LOAD_KEYS:
            results.lack(key, str(missing))


def _load(
    command: Sequence[str], home: Path, seconds: int, ledger: Ledger | None = None, token: str | None = None
) -> dict[str, Any]:
    """Load a server, and check that the ledger has grown by as many reports as it answered.

    Args:
        ledger: None: the server records nothing.
    """
    with serving(command, home) as url:
        post_load(url, _PATH, 1, CONNECTIONS, token)
        before = ledger.head().position if ledger else 0
        done = post_load(url, _PATH, seconds, CONNECTIONS, token)
        if ledger is None:
            assert done["not_2xx"] + done["broken"] == 0, done
            return done
        recorded = ledger.head().position - before
    good = done["requests"] - done["not_2xx"]
    # wrk hangs up on those that are under way when its time is over, also that of warming up.
    assert good <= recorded <= done["requests"] + done["broken"] + 2 * CONNECTIONS, (done, recorded)
    return done


def measure_questions(
    home: Path, dossier_ids: Sequence[str], scale: float, results: Results, *, suffix: str = ""
) -> None:
    """Ask one after the other; the client's own time is part of it."""
    with (
        serving(serve_command(home), home) as url,
        httpx.Client(base_url=url, headers=headers_of(home)) as client,
    ):
        for key, (address, count) in QUESTIONS.items():
            _latency(results, f"get.{key}", suffix, client, [address] * _asked(count, scale))
        histories = [f"/v1/dossiers/{one}/history" for one in dossier_ids[: _asked(REQUESTS, scale)]]
        _latency(results, "get.history", suffix, client, histories)


def headers_of(home: Path) -> dict[str, str]:
    """Return what a client sends that may ask everything of a home's ledger, by a key that is made for it."""
    with open_ledger(home=home) as ledger:
        token = ledger.create_key([Role.OPERATOR], name="benchmark").token
    return LOOKING | {"Authorization": f"Bearer {token}"}


def _asked(count: int, scale: float) -> int:
    return max(10, round(count * min(1, scale)))


def _latency(results: Results, key: str, suffix: str, client: httpx.Client, addresses: Sequence[str]) -> None:
    ask(client, addresses[:1])
    times = ask(client, addresses)
    results.add(f"{key}.median{suffix}", statistics.median(times))
    results.add(f"{key}.p95{suffix}", p95(times))


def ask(client: httpx.Client, addresses: Sequence[str]) -> list[float]:
    """Return how many milliseconds each answer took."""
    times = []
    for address in addresses:
        began = time.perf_counter()
        client.get(address).raise_for_status()
        times.append((time.perf_counter() - began) * 1000)
    return times


def p95(times: Sequence[float]) -> float:
    return statistics.quantiles(times, n=20)[18]
