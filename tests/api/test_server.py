"""The real program serves over a real socket, and ends when told to."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import httpx
import pytest

from api.server import STOP_SECONDS_MAX, ServeSettings
from ledger import Ledger
from ledger.access import Role
from ledger.reasons import WITH_REASON
from tests.api.conftest import CITIZEN, JSON, LOOKING, UNITS, check_problem, citizen, report, wait_until
from tests.conftest import check_ledger
from tests.tokens import SERVED, bearer, make_key, served_issuer

ROOT = Path(__file__).parents[2]
NO_ISSUER = {"LEDGER_ISSUER": "", "LEDGER_AUDIENCE": "", "LEDGER_JWKS": ""}


class Served(NamedTuple):
    process: subprocess.Popen
    client: httpx.Client
    url: str
    output: Path
    log: Path
    """What is said to the person, and what went wrong."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def anybody_left(group: int) -> bool:
    """Return whether a process of a group is there still."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def command(conninfo, key_file, tmp_path) -> Callable[..., subprocess.Popen]:
    """Start ``ledger serve`` on the test's database, in a process group of its own."""
    settings = {
        "LEDGER_DATABASE_URL": conninfo,
        "LEDGER_KEY_FILE": str(key_file),
        "PYTHONDONTWRITEBYTECODE": "1",
        **served_issuer(tmp_path),
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LEDGER_")}

    def start(
        *arguments: str,
        stdout: int | IO[str] = subprocess.PIPE,
        stderr: int | IO[str] = subprocess.STDOUT,
        **other: str,
    ) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "api.main", "serve", *arguments],
            cwd=ROOT,
            env=environment | settings | other,
            stdout=stdout,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )

    return start


@pytest.fixture
def serve(ledger, command, tmp_path) -> Iterator[Callable[..., Served]]:
    """Serve, and return when it answers and has said where; whatever a test leaves is killed."""
    served: list[Served] = []

    def start(*arguments: str) -> Served:
        port = free_port()
        output, log = tmp_path / f"{port}.out", tmp_path / f"{port}.log"
        with output.open("w") as stdout, log.open("w") as stderr:
            process = command("--port", str(port), *arguments, stdout=stdout, stderr=stderr)
        url = f"http://127.0.0.1:{port}"
        client = httpx.Client(base_url=url, timeout=20, auth=SERVED, headers=LOOKING, verify=False)
        served.append(Served(process, client, url, output, log))
        wait_until(lambda: answers(served[-1]) and "serving at" in log.read_text(), 30)
        return served[-1]

    yield start
    for process, client, *_ in served:
        client.close()
        if anybody_left(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answers(served: Served) -> bool:
    assert None is served.process.poll(), served.log.read_text()
    try:
        return served.client.get("/health/live").status_code == 200
    except httpx.TransportError:
        return False


def end(served: Served, with_signal: signal.Signals = signal.SIGTERM) -> str:
    """Tell a server to end; return what it logged in its life."""
    served.process.send_signal(with_signal)
    served.process.wait(timeout=15)
    log = served.log.read_text()
    assert (0, "") == (served.process.returncode, served.output.read_text()), log
    wait_until(lambda: not anybody_left(served.process.pid), 2)
    return log


def kill(served: Served) -> None:
    """Kill the process that was started, and nobody else."""
    served.process.kill()
    served.process.wait()


def workers(served: Served) -> list[int]:
    """Return the processes that answer."""
    parent = served.process.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def listens(served: Served) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(address_of(served)) == 0


def address_of(served: Served) -> tuple[str, int]:
    return "127.0.0.1", int(served.url.rsplit(":", 1)[1])


HEAD_OF_A_POST = (
    f"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: {SERVED.header}\r\n"
    "Content-Type: application/json\r\n"
)


@contextmanager
def half_sent(served: Served) -> Iterator[None]:
    """A client that stays away in the middle of its body."""
    with socket.create_connection(address_of(served)) as line:
        line.sendall(f'{HEAD_OF_A_POST}Content-Length: 1000\r\n\r\n{{"citizen":"{CITIZEN}"'.encode())
        # So that the server has taken the head at least.
        time.sleep(0.2)
        yield


def said(served: Served, sent: str) -> str:
    """Return what is answered to these very bytes."""
    with socket.create_connection(address_of(served)) as line:
        line.sendall(sent.encode())
        return line.makefile("rb").read().decode()


def test_it_records_and_tells_and_ends(serve, ledger):
    """Record, retry, find, history, totals; then SIGTERM ends it within seconds, with nobody left behind."""
    served = serve()
    client = served.client
    sent = report(note="hẹn lại")
    first = client.post("/v1/events", json=sent)
    again = client.post("/v1/events", json=sent)
    found = client.post("/v1/dossiers/lookup", json={"citizen": CITIZEN}).json()["dossier_id"]
    history = client.get(f"/v1/dossiers/{found}/history").json()
    totals = client.get("/v1/totals", params={"after": first.json()["position"]}).json()

    assert (201, 201) == (first.status_code, again.status_code)
    assert first.json() | {"duplicate": True} == again.json()
    assert ["hẹn lại"] == [event["note"] for event in history["events"]]
    assert 1 == totals["sum"]["collected"]

    began = time.monotonic()
    output = end(served)
    assert 10 > time.monotonic() - began
    assert f"serving at {served.url}" in output
    assert CITIZEN not in output
    assert "Traceback" not in output
    check_ledger(ledger, length=UNITS + 1)


def test_bad_input_is_a_problem_on_the_wire_too(serve, ledger):
    """What the server itself reads of a request has no other rules; it goes on afterwards."""
    served = serve()
    client = served.client
    for content, status, code in (
        (b"", 400, "invalid_json"),
        (b"[" * 100_000, 400, "invalid_json"),
        (b"\xff", 400, "not_utf8"),
        (b"[" * 2_100_000, 413, "body_too_large"),
        (b"[" * 20_000_000, 413, "body_too_large"),
    ):
        check_problem(client.post("/v1/events", content=content, headers=JSON), status, code)
    check_problem(client.get("/v1/nothing"), 404, "no_such_route")
    check_problem(client.delete("/v1/events"), 405, "method_not_allowed")

    # Without a length, in pieces.
    check_problem(
        client.post("/v1/events", content=(b"[" * 100_000 for _ in range(30))), 413, "body_too_large"
    )
    # Of what can be got, the head alone can be got too.
    got, head = client.get("/v1/units"), client.head("/v1/units")
    assert (200, b"") == (head.status_code, head.content)
    assert got.headers["content-length"] == head.headers["content-length"]
    assert 405 == client.head("/v1/dossiers/lookup").status_code

    assert 201 == client.post("/v1/events", json=report()).status_code
    assert CITIZEN not in end(served)
    check_ledger(ledger, length=UNITS + 1)


def test_a_body_that_is_cut_is_no_fault_of_the_program(serve):
    """A client that goes away says nothing to the log; one that sends nonsense is told."""
    served = serve()
    for _ in range(3):
        with half_sent(served):
            pass
    nonsense = f"{HEAD_OF_A_POST}Transfer-Encoding: chunked\r\n\r\nzz\r\n{CITIZEN}\r\n0\r\n\r\n"
    answer = said(served, nonsense)

    assert "HTTP/1.1 400 " in answer
    assert '"code":"body_cut"' in answer
    assert answers(served)
    assert [f"serving at {served.url}"] == [line.split(" (")[0] for line in end(served).splitlines()]


def test_a_body_may_come_in_pieces(serve, ledger):
    """With its length announced, or without; it is read to its end, and the line serves the next request."""
    served = serve()
    bodies = [
        json.dumps([report(citizen=citizen(500 * turn + number)) for number in range(500)]) for turn in (0, 1)
    ]
    head = HEAD_OF_A_POST.replace("Connection: close\r\n", "")
    with socket.create_connection(address_of(served)) as line:
        lines = line.makefile("rb")
        line.sendall(f"{head}Content-Length: {len(bodies[0])}\r\n\r\n".encode())
        for start in range(0, len(bodies[0]), 10_000):
            line.sendall(bodies[0][start : start + 10_000].encode())
            time.sleep(0.01)
        assert b"HTTP/1.1 200 OK\r\n" == lines.readline()
        sizes = [value for name, value in iter(lambda: read_header(lines), None) if name == "content-length"]
        first = json.loads(lines.read(int(sizes[0])))
        line.sendall(f"{HEAD_OF_A_POST}Transfer-Encoding: chunked\r\n\r\n".encode())
        for start in range(0, len(bodies[1]), 10_000):
            piece = bodies[1][start : start + 10_000]
            line.sendall(f"{len(piece):x}\r\n{piece}\r\n".encode())
        line.sendall(b"0\r\n\r\n")
        second = json.loads(lines.read().split(b"\r\n\r\n")[1])

    positions = [receipt["position"] for receipt in first + second]
    assert list(range(UNITS + 1, UNITS + 1001)) == positions
    end(served)
    check_ledger(ledger, length=UNITS + 1000)


def read_header(lines: IO[bytes]) -> tuple[str, str] | None:
    """Return the next header of an answer, None after the last one."""
    name, _, value = lines.readline().decode().strip().partition(":")
    return (name.lower(), value.strip()) if name else None


OTHER_SITES = [
    ("localhost", "http://example.org"),
    ("localhost", "null"),
    ("localhost", "http://localhost:1"),
    ("example.org", None),
    ("example.org", "http://example.org"),
    ("localhost.example.org", None),
    ("127.0.0.1.example.org:8000", None),
]


def test_pages_of_other_sites_are_refused(serve, ledger):
    """A browser on this machine asks for whatever page is open in it, also under a name that points here."""
    served = serve()
    sent = json.dumps(report())
    for host, origin in OTHER_SITES:
        origin_line = f"Origin: {origin}\r\n" if origin else ""
        head = f"POST /v1/events HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{origin_line}"
        answer = said(served, f"{head}Content-Length: {len(sent)}\r\n\r\n{sent}")
        assert "HTTP/1.1 400 " in answer, (host, origin)
        assert '"code":"bad_request"' in answer, (host, origin)
        assert "by another site" in answer, (host, origin)
    check_ledger(ledger, length=UNITS)

    port = address_of(served)[1]
    for host in (f"localhost:{port}", f"LOCALHOST:{port}", "127.0.0.1", f"[::1]:{port}"):
        headers = {"host": host, "origin": f"http://{host}"}
        assert 201 == served.client.post("/v1/events", json=report(), headers=headers).status_code, host
        assert 200 == served.client.get("/schema", headers={"host": host}).status_code, host
    check_ledger(ledger, length=UNITS + 1)


def test_two_workers_stay_correct_under_eight_clients(serve, ledger):
    """All send the same reports and their own, in batches and alone; each is recorded and counted once."""
    served = serve("--workers", "2")
    common = [report(citizen=citizen(number)) for number in range(20)]

    def work(worker: int) -> int:
        own = [report(citizen=citizen(1000 * (worker + 1) + number)) for number in range(20)]
        new = 0
        with httpx.Client(base_url=served.url, timeout=30, auth=SERVED, verify=False) as client:
            for one, other in zip(own, common, strict=True):
                several = client.post("/v1/events", json=[one, other])
                alone = client.post("/v1/events", json=other)
                assert (200, 201) == (several.status_code, alone.status_code), several.text + alone.text
                receipts = [*several.json(), alone.json()]
                assert [1, 1, 1] == [receipt["version"] for receipt in receipts]
                new += sum(not receipt["duplicate"] for receipt in receipts)
            after = max(receipt["position"] for receipt in receipts)
            assert 200 == client.get(f"/v1/totals?after={after}").status_code
        return new

    with ThreadPoolExecutor(8) as pool:
        recorded = sum(pool.map(work, range(8)))

    assert 20 + 8 * 20 == recorded
    assert recorded == served.client.get(f"/v1/totals?after={UNITS + recorded}").json()["sum"]["collected"]
    end(served)
    check_ledger(ledger, length=UNITS + recorded)


def test_a_database_that_goes_away_is_a_problem_that_passes(serve, door, ledger):
    """503 with Retry-After while it is away; then reports and totals go on."""
    served = serve("--workers", "2")
    client = served.client
    client.post("/v1/events", json=report())
    with door.shut(), ThreadPoolExecutor(40) as pool:
        began = time.monotonic()
        for response in pool.map(lambda _: client.post("/v1/events", json=report()), range(40)):
            check_problem(response, 503, "store_unavailable")
            assert "1" == response.headers["retry-after"]
        # Each waits some seconds for a connection, but not for one another.
        assert 12 > time.monotonic() - began
        check_problem(client.get("/health/ready"), 503, "store_unavailable")
        assert 200 == client.get("/health/live").status_code
    wait_until(lambda: client.post("/v1/events", json=report("b1", level=1)).status_code == 201)
    wait_until(lambda: client.get(f"/v1/totals?after={UNITS + 2}").status_code == 200)

    assert 2 == client.get("/v1/totals").json()["sum"]["collected"]
    output = end(served, signal.SIGINT)
    assert CITIZEN not in output
    check_ledger(ledger, length=UNITS + 2)


def test_readers_that_wait_do_not_delay_a_report(serve):
    """However many ask for a position that is far ahead; each is told to come back, in its turn."""
    served = serve()
    head = HEAD_OF_A_POST.replace("POST /v1/events", "GET /v1/totals?after=1000000")
    question = f"{head}\r\n".encode()
    with ExitStack() as stack:
        readers = [stack.enter_context(socket.create_connection(address_of(served))) for _ in range(100)]
        for reader in readers:
            reader.sendall(question)
        time.sleep(0.5)
        began = time.monotonic()
        assert 201 == served.client.post("/v1/events", json=report()).status_code
        # A reader waits 2 seconds.
        assert 1 > time.monotonic() - began
        answer = readers[0].makefile("rb").read()

    assert b" 503 " in answer
    assert b'"code":"not_caught_up"' in answer
    assert b"retry-after: 1" in answer


def test_a_worker_that_is_killed_is_replaced(serve, ledger):
    """Clients that send again what was not answered find every report recorded, once."""
    served = serve("--workers", "2")

    def work(number: int) -> None:
        with httpx.Client(base_url=served.url, timeout=20, auth=SERVED, verify=False) as client:
            for step in range(60):
                sent = report(citizen=citizen(1000 * number + step))
                wait_until(lambda: is_recorded(client, sent))

    with ThreadPoolExecutor(4) as pool:
        working = [pool.submit(work, number) for number in range(4)]
        first, second = workers(served)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: len(set(workers(served)) - {first, second}) == 1)
        for worked in working:
            worked.result()

    assert second in workers(served)
    assert "Unexpected exit from worker" in end(served)
    check_ledger(ledger, length=UNITS + 4 * 60)


def is_recorded(client: httpx.Client, sent: dict) -> bool:
    try:
        return client.post("/v1/events", json=sent).status_code == 201
    except httpx.TransportError:
        return False


def test_the_only_worker_that_is_killed_is_replaced(serve, ledger):
    """What it had acknowledged is there, and it answers again."""
    served = serve()
    first = served.client.post("/v1/events", json=report()).json()
    os.kill(workers(served)[0], signal.SIGKILL)
    wait_until(lambda: answers(served))

    assert first | {"duplicate": True} == served.client.post("/v1/events", json=report()).json()
    end(served)
    check_ledger(ledger, length=UNITS + 1)


def test_a_worker_that_starts_while_the_database_is_away_waits_for_it(serve, door, ledger):
    """The server outlives an outage, whatever happens to its processes meanwhile."""
    served = serve()
    with door.shut():
        os.kill(workers(served)[0], signal.SIGKILL)
        wait_until(lambda: "the server waits for the ledger" in served.log.read_text())
        # Longer than the time within which a second end of a worker would be that of the server.
        time.sleep(7)
        assert None is served.process.poll()
    wait_until(lambda: answers(served))

    assert 201 == served.client.post("/v1/events", json=report()).status_code
    assert "Traceback" not in end(served)
    check_ledger(ledger, length=UNITS + 1)


def test_a_parent_that_is_killed_leaves_nobody_behind(serve, ledger):
    """The port is free within seconds, and what was acknowledged is there; so it can be started again at once."""
    served = serve("--workers", "2")
    assert 201 == served.client.post("/v1/events", json=report()).status_code
    kill(served)

    wait_until(lambda: not listens(served), 5)
    wait_until(lambda: not anybody_left(served.process.pid), 5)
    check_ledger(ledger, length=UNITS + 1)


def test_a_slow_client_does_not_keep_a_killed_server_alive(serve):
    """A worker that waits for the rest of a body ends all the same."""
    served = serve()
    with half_sent(served):
        assert answers(served)
        kill(served)
        wait_until(lambda: not listens(served), 5)
        wait_until(lambda: not anybody_left(served.process.pid), STOP_SECONDS_MAX + 5)


def test_a_worker_that_cannot_open_the_ledger_ends_the_server(serve, key_file):
    """With a sentence in the log, which is standard error, and the status of what is not available."""
    served = serve("--format", "json")
    key_file.chmod(0o644)
    os.kill(workers(served)[0], signal.SIGKILL)
    served.process.wait(timeout=30)
    log = served.log.read_text()

    assert 3 == served.process.returncode, log
    assert "server_ended" == json.loads(served.output.read_text())["error"]
    assert f"a worker cannot open the ledger: others than its owner can read the key file {key_file}" in log
    assert "Traceback" not in log
    wait_until(lambda: not anybody_left(served.process.pid), 2)


def test_this_machine_may_be_called_by_its_name(serve):
    """The address that is told is the one that was asked for."""
    served = serve("--host", "localhost")
    assert f"serving at {served.url.replace('127.0.0.1', 'localhost')} " in end(served)


def test_settings_hide_the_password(tmp_path):
    """They are what a traceback of the server would show."""
    url = "postgresql://ledger:secret@localhost/ledger"
    settings = ServeSettings(url, tmp_path, "ledger", None, "127.0.0.1", 8000, 2)
    assert "ServeSettings(host='127.0.0.1', port=8000, workers=2)" == repr(settings)


def test_a_port_that_is_taken_is_said_clearly(command, ledger):
    """Wrong use: exit 2, and what to do instead."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = command("--port", str(port))
        output, _ = process.communicate(timeout=30)

    assert 2 == process.returncode, output
    assert f"cannot serve on port {port}: another program uses it; choose another with --port" in " ".join(
        output.split()
    )
    assert "Traceback" not in output


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
def test_no_host_but_this_machine_is_served_without_keys(command, ledger, host):
    """Nobody could ask anything, and whoever tried keys would have all the time."""
    process = command("--host", host, "--port", str(free_port()), **NO_ISSUER)
    output, _ = process.communicate(timeout=30)

    assert 2 == process.returncode, output
    assert f"will not serve on {host}" in " ".join(output.split())


def test_another_host_is_served_once_there_is_a_key(command, ledger, tmp_path):
    """It is asked under its own name, and with the key."""
    port, log = free_port(), tmp_path / "log"
    # By the clock on the wall, which is the server's.
    with Ledger(ledger.database, ledger._identities) as now:
        token = make_key(now, Role.VIEWER)
    with log.open("w") as stderr:
        process = command(
            "--host",
            "0.0.0.0",
            "--port",
            str(port),
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            **NO_ISSUER,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            wait_until(lambda: "serving at" in log.read_text(), 30)
            assert 401 == client.get("/v1/units").status_code
            assert 200 == client.get("/v1/units", headers=bearer(token)).status_code
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_workers_record_by_what_their_parent_was_told(serve, ledger, tmp_path):
    """By its reasons and with four eyes, also a worker that came after the file of reasons was edited."""
    file = tmp_path / "reasons.csv"
    lines = ["type,code,vi,en,before_activation"]
    lines += [f"{type_},own,Lý do riêng,Our own," for type_ in WITH_REASON]
    file.write_text("\n".join(lines), encoding="utf-8")
    served = serve("--workers", "2", "--reasons-file", str(file), "--four-eyes")
    file.write_text("no list any more", encoding="utf-8")
    old = workers(served)
    for worker in old:
        os.kill(worker, signal.SIGKILL)
    wait_until(lambda: len(workers(served)) == 2 and not set(old) & set(workers(served)))
    wait_until(lambda: answers(served))
    for number in range(8):
        # A connection of its own, so that each of the two has some of these.
        with httpx.Client(
            base_url=served.url, timeout=20, auth=SERVED, headers=LOOKING, verify=False
        ) as client:
            rows = client.get("/v1/reasons").json()["rows"]
            first, *others = client.post(
                "/v1/events",
                json=[
                    report(citizen=citizen(number)),
                    report(
                        "v1", citizen=citizen(number), type="voided", unit=None, reason="mistyped", corrects=1
                    ),
                    report("v2", citizen=citizen(number), type="voided", unit=None, reason="own", corrects=1),
                ],
            ).json()
            state = client.get(f"/v1/dossiers/{first['dossier_id']}").json()["levels"]["2"]["state"]
        assert [[type_, "own", "Lý do riêng"] for type_ in WITH_REASON] == [
            [row["type"], row["code"], row["vi"]] for row in rows
        ]
        assert "invalid_field" == others[0]["code"]
        assert (2, "collected") == (others[1]["version"], state)
    end(served)


def test_a_list_of_reasons_that_cannot_be_read_is_said_before_anything_is_served(command, ledger, tmp_path):
    """By its name, with the lines that are wrong."""
    file = tmp_path / "reasons.csv"
    file.write_text("type,code,vi,en,before_activation\nrejected,,Ảnh mờ,Blurred,\n", encoding="utf-8")
    process = command("--port", str(free_port()), "--reasons-file", str(file))
    output, _ = process.communicate(timeout=30)

    assert 1 == process.returncode, output
    assert f"refused (invalid_file): the list of reasons {file}: line 2: " in output
