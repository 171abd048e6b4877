"""The edge over a real socket: odd addresses, limits and counts across workers, what the log holds."""

import json
import os
import re
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest

from api.server import HEAD_SECONDS_MAX
from ledger.database import Database
from tests.api.conftest import CITIZEN, report, wait_until
from tests.api.serving import serving
from tests.api.test_server import Served, address_of, said, workers
from tests.conftest import Server
from tests.tokens import SERVED

PUBLIC = [
    "/",
    "/login",
    "/static/logo.svg",
    "/health/live",
    "/health/ready",
    "/schema",
    "/schema/openapi.json",
]
PUBLIC += ["/v1/log/checkpoint", "/v1/log/tile/8/0/000"]
"""Of each public address of the interface one; some are not there yet."""
_is_public = re.compile(
    r"/|/login|/static/.*|/health/(live|ready)|/schema.*|/v1/log/checkpoint|/v1/log/tile/.*"
).fullmatch
PRIVATE = ["/v1/totals", "/v1/units", "/metrics", "/v1/dossiers/00000000-0000-8000-8000-000000000000"]

AROUND = [
    "{0}/",
    "/{0}",
    "//{0}",
    "/.{0}",
    "/x/..{0}",
    "{0}/.",
    "{0}/..",
    "{0}.",
    "{0}%20",
    "{0}%00",
    "{0}%0d%0aX: y",
    "{0};a=b",
    "{0};/",
    "{0}.json",
    "{0}%23",
    "{0}%3fx",
    "{0}\\",
    "{0}%5c",
    "/%2f{0}",
    "/%2e{0}",
    "{0}%2f",
    "{0}%252f",
    "/index.php{0}",
    "http://127.0.0.1{0}",
    "http://ledger.example{0}",
    "http://127.0.0.1/{0}",
    "x:{0}",
]
"""What a public address is written as."""
TOGETHER = [
    "{0}/..{1}",
    "{0}/../..{1}",
    "{0}/%2e%2e/%2e%2e{1}",
    "{0}%2f..%2f..{1}",
    "{0}{1}",
    "{0};{1}",
    "{0}/{1}",
    "{1}{0}",
    "{1}/..{0}",
    "{1};{0}",
    "{1}%2f..{0}",
    "{1}%00{0}",
    "{1}%3f{0}",
    "{1}%23{0}",
    "{1}?{0}",
    "{1}#{0}",
    "{1}/.{0}",
    "{1}//{0}",
    "{1}\\..{0}",
    "http://127.0.0.1{1}?{0}",
]
"""How a private address is made to look like a public one, or is hidden behind one."""


def spellings(address: str) -> Iterator[str]:
    """The same in other letters and signs."""
    yield address.upper()
    yield address.title()
    if len(address) > 1:
        yield address[:-1] + f"%{ord(address[-1]):02x}"
        yield "/" + address[1:].replace("/", "%2f")
        yield "/" + address[1:].replace("/", "//")
        yield "/" + address[1:].replace("/", "\\")
        yield "/" + "".join(f"%{ord(sign):02X}" for sign in address[1:])
        yield address.replace("a", "ａ").replace("e", "é")


def tricks() -> list[str]:
    found = [
        *PUBLIC,
        *PRIVATE,
        "/v1/units/%ff",
        "/v1/units/%00",
        "/v1/units/%ed%a0%80",
        "/%ff",
        "/v1/units/\xff",
    ]
    for address in PUBLIC:
        found += [form.format(address) for form in AROUND]
        found += spellings(address)
        found += [form.format(address, private) for form in TOGETHER for private in PRIVATE]
    return sorted(set(found))


@pytest.fixture(scope="module")
def place(server: Server, units_template: str) -> Iterator[Database]:
    name = server.create(units_template)
    yield server.database(name)
    server.drop(name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where the key file is, which the ledger has for good."""
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def served(place: Database, folder: Path) -> Iterator[Served]:
    """Two workers, and a log of everything."""
    arguments = ("--log", "json", "--allow-host", "ledger.example", "--trusted-proxy", "127.0.0.1")
    with serving(place, folder, "--workers", "2", *arguments) as served:
        yield served


@pytest.fixture(scope="module")
def slow(served: Served) -> Iterator[tuple[socket.socket, float]]:
    """A client that has begun with the head of a request, and when; it says no more."""
    with socket.create_connection(address_of(served)) as line:
        line.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n")
        yield line, time.monotonic()


def ask(served: Served, target: str, request_id: str, more: str = "") -> bytes:
    """Return what is answered to a target, just as it is written; nothing if the line is closed."""
    head = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {request_id}\r\nConnection: close\r\n"
    with socket.create_connection(address_of(served), timeout=20) as line:
        line.sendall(f"{head}{more}\r\n".encode())
        try:
            return line.makefile("rb").read()
        except ConnectionResetError:
            return b""


def logged(served: Served) -> dict[str, dict]:
    """Return the log's lines of requests, by their ids."""
    lines = [json.loads(line) for line in served.log.read_text().splitlines() if line.startswith("{")]
    return {line["request_id"]: line for line in lines if "request_id" in line}


def path_of(target: str) -> str:
    """Return what a server reads of a target as its path (RFC 9112, 3.2)."""
    target = re.sub(r"^http://[^/?#]*", "", target)
    return re.split("[?#]", target)[0] or "/"


def test_counts_are_those_of_all_workers(served):
    """Whichever of them is asked, and also of one that was killed since."""

    def asks(number: int) -> int:
        with httpx.Client(base_url=served.url, timeout=20, auth=SERVED, verify=False) as client:
            return [client.get("/v1/reasons").status_code for _ in range(number)].count(200)

    def told() -> set[str]:
        name = 'ledger_requests_total{route="GET /v1/reasons",status="200"} '
        lines = [
            line
            for _ in range(10)
            for line in httpx.get(f"{served.url}/metrics", auth=SERVED, verify=False).text.splitlines()
        ]
        return {line.removeprefix(name) for line in lines if line.startswith(name)}

    with ThreadPoolExecutor(8) as pool:
        assert 200 == sum(pool.map(asks, [10] * 20))
    assert {"200"} == told()

    first, second = workers(served)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: len(set(workers(served)) - {first, second}) == 1)
    wait_until(lambda: httpx.get(f"{served.url}/health/live", verify=False).status_code == 200)
    assert {"200"} == told()


def test_what_is_answered_is_exactly_what_was_asked_for(served, slow):
    """However a public or a private address is written, no route answers to the name of another one.

    A route that needs a token is told by the log as well when none came.
    """
    asked = {f"trick-{number}": target for number, target in enumerate(tricks())}
    with ThreadPoolExecutor(4) as pool:
        answers = dict(zip(asked, pool.map(lambda id_: ask(served, asked[id_], id_), asked), strict=True))
    # The server itself found of some that they are no targets. A line is written when the answer has gone.
    answered = {id_ for id_ in asked if answers[id_][9:12] not in {b"400", b""}}
    wait_until(lambda: answered <= logged(served).keys())
    routes = logged(served)

    found = Counter()
    for id_, target in asked.items():
        status = answers[id_][9:12].decode()
        assert status != "500", target
        if id_ not in routes:
            continue
        route, path = routes[id_]["route"], unquote(path_of(target))
        assert status == str(routes[id_]["status"]), target
        if route == "(no route)":
            assert status == "404", target
            continue
        found[route] += 1
        assert re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", route), path), (target, route)
        assert bool(_is_public(route)) == bool(_is_public(path)), (target, route)
    assert found.keys() >= {"/", "/health/live", "/health/ready", "/schema", "/v1/totals", "/metrics"}
    assert len(asked) > 900
    # Most of them are no route's.
    assert sum(found.values()) < len(asked) / 4


def test_lines_on_which_two_requests_could_be_read_are_closed(served):
    """Two lengths, or a length and pieces: what a proxy takes for a body may be a request of its own."""
    smuggled = f"GET /v1/units/{CITIZEN} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    for lengths in (
        f"Content-Length: 0\r\nContent-Length: {len(smuggled)}\r\n",
        f"Content-Length: {len(smuggled) + 5}\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: +0\r\n",
        "Content-Length: -1\r\n",
        "Transfer-Encoding: identity\r\n",
    ):
        answer = said(served, f"{head}{lengths}Connection: close\r\n\r\n0\r\n\r\n{smuggled}")
        assert 1 >= answer.count("HTTP/1.1 "), lengths
        assert "HTTP/1.1 200 " not in answer, lengths
        assert "HTTP/1.1 201 " not in answer, lengths


def test_a_head_that_is_too_large_is_refused(served):
    """Before it is read whole."""
    answer = ask(served, "/health/live", "large", f"X-Large: {'x' * 200_000}\r\n")
    assert answer[9:12] in {b"431", b"400", b""}
    assert 200 == served.client.get("/health/live").status_code


def test_the_log_tells_of_each_request_and_of_nobody(served):
    """A line of JSON with what we chose: no address as it came, no query, no number, no body."""
    marked = "khong-ai-biet"
    client = served.client
    client.post("/v1/events", json=report(note=marked), headers={"x-request-id": "told-1"})
    client.post("/v1/events", json=[report(marked), {"citizen": CITIZEN, marked: 1}])
    client.post("/v1/dossiers/lookup", json={"citizen": CITIZEN})
    for address in (
        f"/v1/units/{CITIZEN}",
        f"/{CITIZEN}/{marked}",
        f"/v1/totals?unit={CITIZEN}&{marked}={CITIZEN}",
    ):
        client.get(address, headers={"user-agent": marked, "referer": f"http://localhost/{CITIZEN}"})
        client.get(address, headers={"x-request-id": CITIZEN, "authorization": f"Bearer {marked}"})

    client.get("/health/live", headers={"x-request-id": "told-2"})
    wait_until(lambda: logged(served).keys() >= {"told-1", "told-2"})
    text = served.log.read_text()
    line = logged(served)["told-1"]
    assert CITIZEN not in text
    assert marked not in text
    assert {"time", "request_id", "principal", "method", "route", "status", "ms", "bytes"} == set(line)
    assert ("POST", "/v1/events") == (line["method"], line["route"])
    assert line["ms"] > 0
    for written in text.splitlines():
        # What the command says to whoever started it is no part of the server's log.
        assert written.startswith(("{", "serving at")) or "Ctrl-C" in written, written


def test_a_caller_is_limited_over_all_workers(place, folder):
    """However many connections it has; it is told when to come back, and then it is answered again."""
    with serving(place, folder, "--workers", "2", "--rate", "5", "--burst", "100") as served:
        # It has asked a few times until it was ready.
        began = time.monotonic()

        def asks(_: int) -> list[int]:
            with httpx.Client(base_url=served.url, timeout=20, auth=SERVED, verify=False) as client:
                return [client.get("/v1/reasons").status_code for _ in range(20)]

        with ThreadPoolExecutor(8) as pool:
            statuses = Counter(status for some in pool.map(asks, range(20)) for status in some)
        seconds = time.monotonic() - began
        refused = served.client.get("/v1/reasons")

        assert {200, 429} == statuses.keys()
        assert statuses[200] <= 100 + 5 * seconds + 1
        assert statuses[200] >= 50
        assert (429, "too_many_requests") == (refused.status_code, refused.json()["code"])
        assert "1" == refused.headers["retry-after"]
        wait_until(lambda: served.client.get("/v1/reasons").status_code == 200, 3)


def test_behind_a_trusted_proxy_each_client_is_held_up_alone(served):
    """Who tries tokens is, whatever else it says to be; its neighbour is told as ever, and so is the proxy itself."""
    with httpx.Client(
        base_url=served.url, timeout=20, verify=False, headers={"authorization": "x"}
    ) as client:

        def status(*forwarded_for: str) -> int:
            headers = [("x-forwarded-for", one) for one in forwarded_for]
            return client.get("/v1/units", headers=headers).status_code

        tried = next(number for number in range(5000) if status("192.0.2.1") == 429)
        assert tried >= 200
        # Now and then it may try one more; were each of them another client, none would be held up.
        others = Counter(status(f"198.51.100.{number}, 192.0.2.1") for number in range(20))
        assert others[429] > others[401]
        assert 429 in {status("198.51.100.1", "192.0.2.1") for _ in range(5)}
        assert (401, 401) == (status("192.0.2.2"), status())


def test_a_client_that_is_slow_with_its_head_is_sent_away(slow):
    """It would hold a connection for nothing; it began with the module's first test."""
    line, began = slow
    line.settimeout(HEAD_SECONDS_MAX + 5)
    assert b"200 OK" not in line.makefile("rb").read()
    assert time.monotonic() - began >= HEAD_SECONDS_MAX - 1
