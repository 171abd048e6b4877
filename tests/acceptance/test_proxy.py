"""The example of docs/security.md for nginx, taken from the page, before a real server: TLS, limits, streams, odd addresses."""

import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.api.conftest import report, wait_until
from tests.api.serving import serving
from tests.api.test_served_edge import logged, path_of, tricks
from tests.api.test_server import ROOT, Served, address_of, free_port
from tests.conftest import Server
from tests.tokens import SERVED

NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
pytestmark = pytest.mark.skipif(
    NGINX is None, reason="NOT TESTED: the example for nginx in docs/security.md, there is no nginx here"
)
NAME = "ledger.example"
KNOWN = "127.9.0.1"
"""Whom the test lets ask for metrics, where the page names a network."""
AROUND = """daemon off;
pid {folder}/nginx.pid;
worker_processes 1;
{user}
events {{ worker_connections 512; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path       {folder}/proxy;
    fastcgi_temp_path     {folder}/fastcgi;
    uwsgi_temp_path       {folder}/uwsgi;
    scgi_temp_path        {folder}/scgi;
    {example}
}}
"""
"""What Debian has in /etc/nginx/nginx.conf, as far as it matters."""


class Proxied(NamedTuple):
    """A server behind nginx."""

    served: Served
    port: int
    folder: Path

    def line(self, source: str = "127.0.0.1") -> ssl.SSLSocket:
        """Connect over TLS, from an address of this machine's many."""
        context = ssl.create_default_context(cafile=str(self.folder / "ledger.pem"))
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=20, source_address=(source, 0))
        return context.wrap_socket(plain, server_hostname=NAME)

    def client(self, source: str = "127.0.0.1") -> http.client.HTTPConnection:
        client = http.client.HTTPConnection(NAME)
        client.sock = self.line(source)
        return client

    def curl(self, path: str, *arguments: str) -> tuple[int, dict, dict[str, str]]:
        """Return status, what JSON says, and headers with small letters; over HTTP/2."""
        done = subprocess.run(
            [
                *("curl", "--silent", "--show-error", "--max-time", "60", "--http2"),
                *("--resolve", f"{NAME}:{self.port}:127.0.0.1", "--cacert", str(self.folder / "ledger.pem")),
                *("--header", f"Authorization: {SERVED.header}", "--dump-header", "-"),
                *arguments,
                f"https://{NAME}:{self.port}{path}",
            ],
            capture_output=True,
            text=True,
        )
        assert 0 == done.returncode, done.stderr
        heads, _, body = done.stdout.replace("\r\n", "\n").rpartition("\n\n")
        head = heads.split("\n\n")[-1].splitlines()
        assert head[0].startswith("HTTP/1.1 " if "--http1.1" in arguments else "HTTP/2 ")
        headers = dict(line.lower().split(": ", 1) for line in head[1:])
        return int(head[0].split()[1]), json.loads(body) if body.startswith("{") else {}, headers


def example() -> str:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    [found] = re.findall(r"^```nginx\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return found


def make_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)]), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "ledger.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "ledger.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


@pytest.fixture(scope="module")
def served(server: Server, units_template: str, tmp_path_factory) -> Iterator[Served]:
    name = server.create(units_template)
    arguments = ("--log", "json", "--allow-host", NAME, "--trusted-proxy", "127.0.0.1")
    with serving(server.database(name), tmp_path_factory.mktemp("served"), *arguments) as served:
        yield served
    server.drop(name)


@pytest.fixture(scope="module")
def proxied(served: Served, tmp_path_factory) -> Iterator[Proxied]:
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    make_certificate(folder)
    adapted = example()
    for there, here in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("server 127.0.0.1:8000;", f"server 127.0.0.1:{address_of(served)[1]};"),
        ("/etc/ssl/", f"{folder}/"),
        ("/var/log/nginx/", f"{folder}/"),
        ("allow 192.0.2.0/24;", f"allow {KNOWN};"),
    ):
        assert there in adapted, there
        adapted = adapted.replace(there, here)
    assert NGINX
    version = subprocess.run([NGINX, "-v"], capture_output=True, text=True, check=True).stderr
    if tuple(map(int, re.findall(r"\d+", version)[:3])) >= (1, 25, 1):
        # As the page says beside it.
        adapted = adapted.replace(" ssl http2;", " ssl; http2 on;")
    user = "user root;" if os.geteuid() == 0 else ""
    config = folder / "nginx.conf"
    config.write_text(AROUND.format(folder=folder, user=user, example=adapted), encoding="utf-8")
    with (folder / "said").open("w") as said:
        process = subprocess.Popen([NGINX, "-e", f"{folder}/error.log", "-c", str(config)], stderr=said)
    try:
        proxied = Proxied(served, port, folder)
        wait_until(lambda: process.poll() is not None or answers(proxied))
        assert None is process.poll(), (folder / "said").read_text()
        yield proxied
    finally:
        process.terminate()
        process.wait(timeout=20)
    # Nothing to warn of, in what it was told and in what it met.
    assert "" == (folder / "said").read_text()
    assert not re.search(r"\[(warn|alert|crit|emerg)\]", (folder / "error.log").read_text())


def answers(proxied: Proxied) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", proxied.port)) == 0


def status_of(client: http.client.HTTPConnection, path: str, **headers: str) -> tuple[int, str]:
    """Return the status and the type of an answer, whose body is read."""
    client.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = client.getresponse()
    answer.read()
    return answer.status, (answer.headers["content-type"] or "").split(";")[0]


def test_reports_and_histories_pass(proxied):
    """With what the server says of them, and what the proxy adds."""
    sent = json.dumps(report("p1"))
    status, receipt, headers = proxied.curl(
        "/v1/events", "--json", sent, "--header", "X-Request-Id: passed-1"
    )
    assert (201, False) == (status, receipt["duplicate"])
    assert ("max-age=31536000; includesubdomains", "passed-1", "no-store") == (
        headers["strict-transport-security"],
        headers["x-request-id"],
        headers["cache-control"],
    )
    assert "nginx" == headers["server"]
    status, again, _ = proxied.curl("/v1/events", "--json", sent)
    assert (201, receipt | {"duplicate": True}) == (status, again)
    address = f"/v1/dossiers/{receipt['dossier_id']}/history"
    status, problem, _ = proxied.curl(address)
    assert (422, "purpose_needed") == (status, problem["code"])
    status, history, _ = proxied.curl(address, "--header", "Purpose: audit")
    assert (200, ["p1"]) == (status, [event["key"] for event in history["events"]])
    wait_until(lambda: " passed-1 " in (proxied.folder / "ledger.log").read_text())
    assert receipt["dossier_id"] not in (proxied.folder / "ledger.log").read_text()


def test_events_are_told_as_they_come(proxied):
    """No proxy keeps them until there are enough of them."""
    with closing(proxied.client()) as listener, closing(proxied.client()) as reporter:
        listener.request("GET", "/v1/events/stream?after=head", headers={"Authorization": SERVED.header})
        stream = listener.getresponse()
        assert 200 == stream.status
        for number in range(3):
            sent = json.dumps(report(f"s{number}", citizen=f"03809000{number:04}"))
            reporter.request(
                "POST",
                "/v1/events",
                sent,
                headers={"Authorization": SERVED.header, "Content-Type": "application/json"},
            )
            receipt = json.load(reporter.getresponse())
            began = time.monotonic()
            while not (line := stream.readline()).startswith(b"id: "):
                pass
            assert receipt["position"] == int(line.removeprefix(b"id: "))
            assert time.monotonic() - began < 5


def test_files_pass_as_they_come(proxied, tmp_path):
    """Of any length, and without one; the proxy keeps nothing of them, so who may not send one is told at once."""
    file = tmp_path / "reports.ndjson"
    file.write_text(f"{json.dumps(report('f1', citizen='038090009999'))}\n" * 16_000)
    assert file.stat().st_size > 2_100_000
    upload = (
        "--request",
        "POST",
        "--header",
        "Content-Type: application/x-ndjson",
        "--upload-file",
        str(file),
    )
    for more in ((), ("--http1.1", "--header", "Transfer-Encoding: chunked")):
        status, result, _ = proxied.curl("/v1/events/import", *upload, *more)
        assert (200, 16_000, 0) == (status, result["read"], result["refused"])
    with proxied.line() as line:
        line.sendall(
            f"POST /v1/events/import HTTP/1.1\r\nHost: {NAME}\r\nAuthorization: Bearer x\r\n"
            "Content-Type: application/x-ndjson\r\nContent-Length: 100000000\r\n\r\n{".encode()
        )
        assert b"HTTP/1.1 401 " == line.recv(13)


def test_a_body_that_is_too_large_stays_outside(proxied):
    """The proxy refuses it before the server hears of it."""
    with closing(proxied.client()) as client:
        headers = {"Authorization": SERVED.header, "X-Request-Id": "large", "Content-Length": "3000000"}
        client.putrequest("POST", "/v1/events")
        for name, value in headers.items():
            client.putheader(name, value)
        client.endheaders()
        assert 413 == client.getresponse().status
    status, _, _ = proxied.curl("/health/live", "--header", "X-Request-Id: after-large")
    wait_until(lambda: "after-large" in logged(proxied.served))
    assert 200 == status
    assert "large" not in logged(proxied.served)


METRICS = [
    "/metrics",
    "/metrics?x",
    "/%6detrics",
    "/metric%73",
    "/metrics/",
    "//metrics",
    "/./metrics",
    "/x/../metrics",
    "/%2fmetrics",
    "/metrics%2f",
    "/metrics%3f",
    "/metrics%23",
    "/metrics#x",
    "/metrics;x",
    "/METRICS",
    "/metrics.",
    f"http://{NAME}/metrics",
    "http://127.0.0.1/metrics",
    f"http://{NAME}//metrics",
    "/health/live/../../metrics",
    "/metrics%00",
    "/metrics%20",
    "/v1%2f..%2fmetrics",
    "\\metrics",
    "/\\metrics",
    "/%5cmetrics",
    "/metrics\t",
]


def test_no_spelling_leads_around_the_proxy(proxied):
    """What the server refuses passes as it came and is refused; what the proxy keeps back it keeps back however it is written."""
    targets = sorted({*tricks()[::3], *METRICS})
    asked = {f"around-{number}": target for number, target in enumerate(targets)}

    def ask(request_id: str) -> bytes:
        # From as many addresses, so that the limits do not answer.
        number = int(request_id.removeprefix("around-"))
        with proxied.line(f"127.1.{number // 200}.{number % 200 + 1}") as line:
            head = f"GET {asked[request_id]} HTTP/1.1\r\nHost: {NAME}\r\nX-Request-Id: {request_id}\r\n"
            line.sendall(f"{head}Authorization: {SERVED.header}\r\nConnection: close\r\n\r\n".encode())
            return line.makefile("rb").read()

    with ThreadPoolExecutor(4) as pool:
        answers = dict(zip(asked, pool.map(ask, asked), strict=True))
    own = {
        id_ for id_, answer in answers.items() if f"\r\nx-request-id: {id_}\r\n".encode() in answer.lower()
    }
    wait_until(lambda: own <= logged(proxied.served).keys())
    routes, passed = logged(proxied.served), set()
    for id_, target in asked.items():
        status = answers[id_][9:12].decode()
        assert status in {"200", "400", "403", "404", "405", "422", "503"}, (target, answers[id_][:200])
        if id_ not in routes:
            continue
        route, path = routes[id_]["route"], unquote(path_of(target))
        assert "/metrics" != route, target
        if route == "(no route)":
            assert status == "404", target
            continue
        passed.add(route)
        assert re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", route), path), (target, route)
    assert passed >= {"/", "/health/live", "/v1/totals"}
    assert len(own) > len(asked) / 2
    kept = {asked[id_] for id_ in asked if answers[id_][9:12] == b"403"}
    assert kept >= {"/metrics", "/%6detrics", f"http://{NAME}/metrics"}


def test_metrics_are_told_to_whom_the_proxy_lets_through(proxied):
    with closing(proxied.client(KNOWN)) as known, closing(proxied.client("127.9.0.2")) as other:
        assert (200, "text/plain") == status_of(known, "/metrics", Authorization=SERVED.header)
        assert (403, "text/html") == status_of(other, "/metrics", Authorization=SERVED.header)


def test_each_client_is_held_up_alone(proxied):
    """By the server, which hears from the proxy who it is, whatever a client says of that; then by the proxy."""
    ours, theirs = "application/problem+json", "text/html"

    def status(client: http.client.HTTPConnection, **headers: str) -> tuple[int, str]:
        return status_of(client, "/v1/units", Authorization="Bearer x", **headers)

    with closing(proxied.client("127.2.0.1")) as trying, closing(proxied.client("127.2.0.2")) as other:
        seen = [status(trying, X_Forwarded_For=f"198.51.100.{n % 250}") for n in range(190)]
        while seen[-1][0] == 401 and len(seen) < 2000:
            seen.append(status(trying, Forwarded="for=198.51.100.1"))
        assert (429, ours) == seen[-1]
        assert {(401, ours)} == {*seen[:-1]}
        assert (401, ours) == status(other)
        while seen[-1] != (429, theirs) and len(seen) < 5000:
            seen.append(status(trying))
        assert (429, theirs) == seen[-1]
        assert (401, ours) == status(other)
