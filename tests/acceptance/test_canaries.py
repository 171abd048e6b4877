"""Ten thousand personal numbers go through every door, and are found again nowhere but where they may be."""

import base64
import json
import os
import signal
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest
from litestar.testing import TestClient

from api import dossiers, problems
from api.app import create_app
from ledger import Ledger, checks
from ledger.embedded import EmbeddedPostgres
from projections import open_totals
from tests.acceptance.test_cli import COMMAND, environment
from tests.api.conftest import LOOKING, authenticator_of, report, wait_until
from tests.api.test_server import free_port
from tests.canaries import COUNT, FORMS, canary, leaks, leaks_in
from tests.conftest import temporary_home
from tests.tokens import Asking

TELLING = """\
# The worst that an operator may set: PostgreSQL logs every statement, its parameters, and both again of each error.
log_statement = all
log_min_duration_statement = 0
log_min_error_statement = debug5
log_min_messages = info
log_parameter_max_length = -1
log_parameter_max_length_on_error = -1
log_error_verbosity = verbose
log_connections = on
log_lock_waits = on
track_activity_query_size = 16384
"""
COLUMNS = ("key", "type", "citizen", "level", "unit", "occurred_at", "actor", "note")
TEXTS = (
    "key",
    "actor",
    "unit",
    "team",
    "residence_unit",
    "note",
    "place",
    "partner",
    "type",
    "level",
    "occurred_at",
)
"""The fields in which a number may stand by mistake."""
HOSTILE_HEADERS = (
    "User-Agent",
    "Referer",
    "X-Request-Id",
    "Cookie",
    "Origin",
    "X-Forwarded-For",
    "Traceparent",
)


class Numbers:
    """Hands out the canaries, each for one use or several; all of them are used in the end."""

    def __init__(self) -> None:
        self._rest = iter(range(COUNT))

    def take(self, count: int) -> list[str]:
        taken = [canary(number) for number in islice(self._rest, count)]
        assert count == len(taken), "there are no more"
        return taken

    def one(self) -> str:
        return self.take(1)[0]

    def left(self) -> list[str]:
        return [canary(number) for number in self._rest]


class Place:
    """A home with a server on it, and the folders that may and may not hold a number."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.told, self.given, self.temporary = home / "told", home / "given", home / "tmp"
        for folder in (self.told, self.given, self.temporary):
            folder.mkdir()
        self.postgres = EmbeddedPostgres(home)
        self._count = 0

    def tell(self, what: str, data: bytes) -> None:
        """Keep what somebody was told."""
        self._count += 1
        (self.told / f"{self._count:05}-{what}").write_bytes(data)

    def give(self, name: str, data: bytes) -> Path:
        """Make a file that somebody imports; it may hold numbers."""
        (self.given / name).write_bytes(data)
        return self.given / name

    def environment(self) -> dict[str, str]:
        return environment(self.home, PYTHONUTF8="1", TMPDIR=str(self.temporary))

    def run(self, *arguments: str | Path, text: str = "") -> bytes:
        """Run the program, and keep what it said."""
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            input=text.encode(),
            capture_output=True,
            timeout=120,
            check=False,
            cwd=self.temporary,
            env=self.environment(),
        )
        assert b"Traceback" not in done.stderr, done.stderr
        self.tell(arguments[0] if isinstance(arguments[0], str) else "run", done.stdout + done.stderr)
        return done.stdout

    def forbidden(self) -> list[Path]:
        """Return where no number may be: answers, logs, the database's files, its write-ahead log, temporary files."""
        return [self.told, self.temporary, self.postgres.data_dir, self.home / "logs"]


class Client:
    """Somebody who asks over HTTP, and keeps every answer with its head."""

    def __init__(self, place: Place, client: httpx.Client) -> None:
        self._place, self._client = place, client

    def whisper(self, method: str, address: str) -> httpx.Response:
        """Ask for what may hold a number, and keep nothing."""
        return self._client.request(method, address)

    def ask(self, method: str, address: str, **what: Any) -> httpx.Response:
        response = self._client.request(method, address, **what)
        head = "".join(f"{name}: {value}\n" for name, value in response.headers.items())
        self._place.tell("answer", head.encode() + response.content)
        assert response.status_code < 500 or response.status_code == 503, response.text
        return response

    def post(self, reports: object, address: str = "/v1/events", **what: Any) -> httpx.Response:
        return self.ask("POST", address, json=reports, **what)


@contextmanager
def serving(place: Place) -> Iterator[Client]:
    """Serve the home; workers and the parent log to files, with a line for each request."""
    token = json.loads(place.run("token", "create", "--role", "operator", "--format", "json"))["token"]
    (place.home / "logs").mkdir(exist_ok=True)
    port = free_port()
    with (
        (place.home / "logs" / "serve.out").open("ab") as out,
        (place.home / "logs" / "serve.err").open("ab") as err,
    ):
        process = subprocess.Popen(
            [*COMMAND, "serve", "--port", str(port), "--log", "json"],
            stdout=out,
            stderr=err,
            cwd=place.temporary,
            env=place.environment(),
        )
        try:
            with httpx.Client(
                base_url=f"http://127.0.0.1:{port}",
                timeout=30,
                headers=LOOKING | {"Authorization": f"Bearer {token}"},
            ) as client:
                wait_until(lambda: _answers(client), 30)
                yield Client(place, client)
                _crash_a_worker(process.pid, client)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def _crash_a_worker(parent: int, client: httpx.Client) -> None:
    """End a worker as a fault of the program would, in the middle of a file; another one takes its place."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    [worker] = [one for one in children if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]

    [core] = [one for one in Path(f"/proc/{worker}/limits").read_text().splitlines() if "core file" in one]
    assert "0" == core.split()[4], core

    def file() -> Iterator[bytes]:
        yield ",".join(COLUMNS).encode() + b"\n"
        for _ in range(50):
            yield line(canary(0)).encode() * 200
        os.kill(int(worker), signal.SIGABRT)
        yield line(canary(1)).encode()

    with pytest.raises(httpx.TransportError):
        client.post("/v1/events/import", content=file(), headers={"Content-Type": "text/csv"})
    wait_until(lambda: _answers(client), 30)


def line(citizen: str, **fields: str) -> str:
    given = {name: str(value) for name, value in report(citizen=citizen, note="").items()} | fields
    return ",".join(given.get(name, "") for name in COLUMNS) + "\n"


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """A home whose PostgreSQL logs all that it can, through which all canaries have gone."""
    with temporary_home() as home:
        place = Place(home)
        place.temporary.chmod(0o777)
        place.run("units", "load", "units_2024.csv", "--valid-from", "2021-01-01")
        settings = place.postgres.data_dir / "ledger_user.conf"
        settings.write_text(TELLING)
        settings.chmod(0o644)
        with psycopg.connect(place.postgres.conninfo(), autocommit=True) as operator:
            operator.execute("SELECT pg_reload_conf()")
        numbers = Numbers()
        with (
            serving(place) as client,
            psycopg.connect(place.postgres.conninfo(), autocommit=True) as operator,
        ):
            report_all(client, numbers)
            statements(place, operator)
            refuse_all(client, numbers)
            ask_all(client, numbers)
            import_over_http(client, numbers)
            statements(place, operator)
        on_the_command_line(place, numbers)
        with psycopg.connect(place.postgres.conninfo(), autocommit=True) as operator:
            operator.execute("CHECKPOINT")
            [[events]] = operator.execute("SELECT size FROM ledger.head").fetchall()
        assert events > 8_000
        place.run("stop")
        yield place


def statements(place: Place, operator: psycopg.Connection) -> None:
    """Keep what PostgreSQL tells of its sessions."""
    place.tell(
        "pg_stat_activity", repr(operator.execute("SELECT * FROM pg_stat_activity").fetchall()).encode()
    )


def cloud_event(one: str) -> dict:
    """With an id that is not the number, and a subject that is."""
    return {
        "specversion": "1.0",
        "id": f"e{one[-4:]}",
        "source": "/office/1",
        "type": "dossier.collected.v1",
        "time": "2024-12-09T21:15:00+07:00",
        "data": {"citizen": one, "level": 2, "unit": "14758", "actor": "th-1"},
    }


def report_all(client: Client, numbers: Numbers) -> None:
    """Report in every form that is taken."""
    for one in numbers.take(50):
        assert 201 == client.post(report(citizen=one, note="hẹn 9 giờ")).status_code
        client.post(report(citizen=one))  # A retry that differs.
        client.post(report(citizen=one, key="again"))  # Collected already.
    for _ in range(3):
        answer = client.post([report(citizen=one, note="n") for one in numbers.take(1_000)])
        assert 200 == answer.status_code
    atomic = [report(citizen=one) for one in numbers.take(500)]
    client.post([*atomic, report(citizen=numbers.one(), level=3)], "/v1/events?atomic=true")
    client.post(atomic, "/v1/events?atomic=true")
    for one in numbers.take(20):
        headers = {"Content-Type": "application/cloudevents+json"}
        client.ask("POST", "/v1/events", content=json.dumps(cloud_event(one)), headers=headers)
        client.ask(
            "POST",
            "/v1/events",
            content=json.dumps(cloud_event(one) | {"subject": one, "id": one}),
            headers=headers,
        )
    many = json.dumps([cloud_event(one) for one in numbers.take(200)])
    client.ask(
        "POST", "/v1/events", content=many, headers={"Content-Type": "application/cloudevents-batch+json"}
    )


def refuse_all(client: Client, numbers: Numbers) -> None:
    """Send what is refused, with a number in every place in which one may stand."""
    for name in TEXTS:
        one = numbers.one()
        for value in (
            one,
            f"x {one} y",
            f"{one[:3]} {one[3:6]} {one[6:]}",
            int(one),
            [one],
            {"citizen": one},
        ):
            client.post(report(citizen=one, **{name: value}))
    one = numbers.one()
    for spoilt in (
        one[:11],
        f"{one}0",
        f" {one}",
        f"{one[:3]}.{one[3:6]}.{one[6:]}",
        int(one),
        [one],
        one.encode().hex(),
    ):
        client.post(report(citizen=spoilt))
        client.post({"citizen": spoilt}, "/v1/dossiers/lookup")
    whole = json.dumps(report(citizen=one))
    for body in (
        *(whole[:cut].encode() for cut in (40, 60, len(whole) - 1)),
        whole.encode() + b"x",
        whole.encode().replace(b"{", b'{"citizen": "' + one.encode() + b'", ', 1),
        whole.encode("utf-16"),
        whole.encode() + b"\xff",
        b"[" * 5_000 + one.encode(),
        json.dumps({**report(citizen=one), one: one}).encode(),
        json.dumps(one).encode(),
        one.encode(),
        json.dumps([[report(citizen=one)]]).encode(),
        json.dumps({**report(citizen=one), "note": f"\x00{one}"}).encode(),
        (",".join([whole] * 100_000)).encode(),
    ):
        client.ask("POST", "/v1/events", content=body, headers={"Content-Type": "application/json"})
    for content_type in ("text/plain", f"text/{one}", f"application/json; charset={one}", "application/xml"):
        client.ask("POST", "/v1/events", content=whole, headers={"Content-Type": content_type})
    client.post([report(citizen=one)] * 1_001)
    for name in HOSTILE_HEADERS:
        client.ask("GET", "/v1/units", headers={name: one})
        client.ask("GET", f"/v1/nothing/{name}", headers={name: one, "Authorization": f"Bearer {one}"})


def ask_all(client: Client, numbers: Numbers) -> None:
    """Ask for what there is, by number and otherwise; and put numbers into addresses, where none belongs."""
    known = canary(0)
    dossier = client.post({"citizen": known}, "/v1/dossiers/lookup").json()["dossier_id"]
    client.post({"citizen": numbers.one()}, "/v1/dossiers/lookup")
    revealed = client.whisper("POST", f"/v1/dossiers/{dossier}/reveal")
    assert (known, "no-store") == (revealed.json()["citizen"], revealed.headers["cache-control"])
    one = numbers.one()
    for text in (one, known, quote(f"of {known}"), *(quote(grouped(known, size)) for size in (3, 4, 6))):
        for what in ("reveal", "history", "reads", ""):
            method = "POST" if what == "reveal" else "GET"
            client.ask(
                method, f"/v1/dossiers/{dossier}/{what}", headers={"Purpose": "audit", "Purpose-Text": text}
            )
            client.ask(method, f"/v1/dossiers/{dossier}/{what}", headers={"Purpose": text})
        embargo = {"until": "2026-12-31", "purpose_text": text}
        client.ask("POST", f"/v1/dossiers/{dossier}/embargo", json=embargo)
        client.ask(
            "PUT", f"/v1/dossiers/{dossier}/embargo", json=embargo | {"until": text, "purpose_text": "x"}
        )
    for address in (
        *(
            f"/v1/dossiers/{one}",
            f"/v1/dossiers/{one}/history",
            f"/v1/dossiers/lookup/{one}",
            f"/v1/units/{one}",
        ),
        *(f"/v1/dossiers/{dossier}/history?citizen={one}", f"/v1/dossiers/{dossier}?{one}={one}"),
        *(
            f"/v1/{name}?unit={one}"
            for name in ("totals", "overdue", "worklist", "ageing", "progress", "cues")
        ),
        *(
            f"/v1/totals?by={one}",
            f"/v1/totals?from={one}",
            f"/v1/worklist?cursor={one}",
            f"/v1/events?after={one}",
        ),
        *(
            f"/v1/reports/{one}",
            f"/v1/reports/{one}/changes",
            f"/{one}",
            f"/schema/{one}",
            f"/v1/worklist?team={one}",
        ),
    ):
        client.ask("GET", address)
        client.ask("POST", address, json={"citizen": one})
        client.ask("DELETE", address)
    for address in (
        *(
            f"/v1/dossiers/{dossier}",
            f"/v1/dossiers/{dossier}/history",
            "/v1/units",
            "/v1/totals",
            "/v1/overdue",
        ),
        *(
            "/v1/worklist?limit=1000",
            "/v1/ageing",
            "/v1/events?limit=1000",
            "/v1/events?after=1000&limit=1000",
        ),
        *(
            "/v1/totals?by=team",
            "/v1/totals?by=actor",
            "/v1/reports",
            "/metrics",
            "/health/ready",
            "/schema/openapi.json",
        ),
    ):
        client.ask("GET", address)
        client.ask("GET", address, headers={"Accept": "text/csv, application/x-ndjson"})


def import_over_http(client: Client, numbers: Numbers) -> None:
    """Files of both kinds, with lines of every fault."""
    lines = [line(one, note="n") for one in numbers.take(1_500)]
    text = ",".join(COLUMNS) + "\n" + "".join([*lines, *faulty(numbers.take(300))])
    client.ask("POST", "/v1/events/import", content=text, headers={"Content-Type": "text/csv"})
    client.ask("POST", "/v1/events/import?atomic=true", content=text, headers={"Content-Type": "text/csv"})
    # Without its header, the first line is taken for one.
    client.ask("POST", "/v1/events/import", content="".join(lines[:9]), headers={"Content-Type": "text/csv"})
    many = [json.dumps(report(citizen=one)) for one in numbers.take(500)]
    spoilt = [text[:-9] for text in many[:20]] + [text.replace("{", "[", 1) for text in many[:20]]
    ndjson = "\n".join([*many, *spoilt, ""])
    client.ask("POST", "/v1/events/import", content=ndjson, headers={"Content-Type": "application/x-ndjson"})


def grouped(number: str, size: int) -> str:
    """Return a number as people write it: in groups of so many digits."""
    return " ".join(number[start : start + size] for start in range(0, len(number), size))


def faulty(numbers: Sequence[str]) -> list[str]:
    """Return lines that are refused, or spoil their neighbours."""
    makers = (
        lambda one: line(one, unit=one),
        lambda one: line(one, key=one),
        lambda one: line(one, note=grouped(one, 4)),
        lambda one: line(one, key=grouped(one, 6)),
        lambda one: line(one[1:]),
        lambda one: line(one + "0"),
        lambda one: line(one, type=one),
        lambda one: line(one, occurred_at=one),
        lambda one: line(one, level=one),
        lambda one: line(one, actor=f"th {one}"),
        lambda one: line(one, unit="99999"),
        lambda one: line(one).replace(",", ";"),
        lambda one: f"{one},{line(one)}",
        lambda one: f'"{one}\n',
        lambda one: line(one).rstrip("\n") + "," + one + "\n",
    )
    return [makers[index % len(makers)](one) for index, one in enumerate(numbers)]


def on_the_command_line(place: Place, numbers: Numbers) -> None:
    """What officers and operators type."""
    header = ",".join(COLUMNS) + "\n"
    taken = numbers.take(300)
    rest = numbers.left()
    assert len(rest) > 1_000
    file = place.give("reports.csv", (header + "".join([*map(line, rest), *faulty(taken)])).encode())
    place.run("import", file)
    refused = file.with_name("reports.csv.refused.csv")
    assert leaks_in(refused.read_bytes()), "it is there to be corrected"
    assert 0o600 == stat.S_IMODE(refused.stat().st_mode)
    file = place.give(
        "reports.ndjson", "\n".join(json.dumps(report(citizen=one, level=9)) for one in taken).encode()
    )
    place.run("import", file, "--atomic")
    one = taken[0]
    place.run("history", "--citizen", "-", "--format", "csv", text=rest[0])
    place.run("history", "--citizen", one[:11])
    place.run("token", "create", "--role", "viewer", "--name", f"of {one}")
    place.run("worklist", "--limit", "1000", "--format", "csv")
    place.run("doctor")
    units = place.give("units.csv", f"code,name,level,parent_code\n{one},Xã {one},commune,38\n".encode())
    place.run("units", "load", units, "--valid-from", "2025-01-01")
    targets = place.give(
        "targets.csv",
        f"unit,measure,level,number,percent,denominator,from,deadline\n{one},activated,2,{one},,,2024-11-01,2024-12-31\n".encode(),
    )
    place.run("targets", "load", targets, "--issuer", one)
    place.run("report", "freeze", one, "--title", f"of {one}")
    place.run("citizens", "erase", "--citizen", "-", "--reason", "on request", text=rest[1])


def test_no_number_is_found(place):
    """In no answer, log, file of the database or temporary file, in no form; the files that were given hold them."""
    assert {} == leaks(place.forbidden())
    assert leaks([place.given])
    logged = sum(path.stat().st_size for path in (place.postgres.data_dir / "log").iterdir())
    assert logged > 1_000_000, "PostgreSQL logged nothing to look through"
    assert sum(path.stat().st_size for path in (place.home / "logs").iterdir()) > 20_000
    assert len([*place.told.iterdir()]) > 300


def test_nothing_is_left_where_others_could_read_it(place):
    """Temporary files are gone, also those of the worker that crashed; no core of it is there."""
    assert [] == [path for path in place.temporary.rglob("*") if path.is_file()]
    assert [] == [*place.home.rglob("core*")]
    for path in (place.home / "ledger.key", place.given / "reports.csv.refused.csv"):
        assert 0o600 == stat.S_IMODE(path.stat().st_mode)


# The search itself, and what it would say if something leaked.


@pytest.mark.parametrize("form", [*FORMS, b""])
def test_every_form_is_found(tmp_path, form):
    """In a file, in its middle, and where two parts of a long one meet."""
    number = canary(1234)
    assert {"plain"} == leaks_in(f'"citizen":"{number}"'.encode())
    assert {"plain"} == leaks_in(f"{number[1:]},".encode())
    assert set() == leaks_in(f"{'ab' * 20}{number}{'cd' * 20}".encode())
    assert set() == leaks_in(b"0387 779 and 038779 and 1,038,779")
    for path, data in (("a", b"x" + form + b"y"), ("b", form)):
        (tmp_path / path).write_bytes(data)
    assert (len(form) > 0) * 2 == len(leaks([tmp_path]))


def test_what_holds_a_number_in_some_encoding_is_found():
    """As programs make it, not as this search thinks that they do."""
    number = canary(7)
    for before in ("", "x", "xy", "xyz"):
        text = before + number + "."
        for data in (
            text.encode("utf-16"),
            text.encode("utf-16-be"),
            text.encode("utf-32"),
            base64.b64encode(text.encode()),
            base64.urlsafe_b64encode(text.encode()),
            text.encode().hex().encode(),
            text.encode().hex().upper().encode(),
            f"\\x{text.encode().hex()}".encode(),
            "".join(f"%{byte:02X}" for byte in text.encode()).encode(),
            json.dumps({"a": [text]}).encode(),
            quote(text).encode(),
            f"{before}{int(number)}".encode(),
            *(f"{before}{grouped(number, size)}".encode() for size in (3, 4, 6)),
        ):
            assert leaks_in(data), data


# Planted leaks: the same doors, with a guard taken away.


@pytest.fixture
def client(ledger: Ledger) -> Iterator[TestClient]:
    """The API in this process, so that a test can spoil it."""
    ledger.tree()
    with (
        authenticator_of(ledger) as (authenticator, issuer),
        TestClient(create_app(ledger, open_totals(ledger), authenticator)) as client,
    ):
        client.auth = Asking(issuer)
        yield client


def test_a_refusal_that_repeats_the_number_is_found(client, monkeypatch):
    """In the answer."""
    spoilt = report(citizen=canary(1) + "0")
    assert set() == leaks_in(client.post("/v1/events", json=spoilt).content)
    monkeypatch.setattr(checks, "_citizen_fault", lambda citizen: f"{citizen} is no number")
    assert {"plain"} == leaks_in(client.post("/v1/events", json=spoilt).content)


def test_an_error_whose_text_is_logged_is_found(client, monkeypatch, caplog):
    """Of an error that nobody foresaw only the kind and the place are logged."""

    def broken(body: bytes, *_: object) -> str:
        raise ValueError(body)

    monkeypatch.setattr(dossiers, "read_citizen", broken)
    asked = {"url": "/v1/dossiers/lookup", "json": {"citizen": canary(2)}}
    answer = client.post(**asked)
    assert (500, set()) == (answer.status_code, leaks_in(answer.content + caplog.text.encode()))
    assert "ValueError" in caplog.text
    monkeypatch.setattr(problems, "_traces", lambda error: [repr(error)])
    client.post(**asked)
    assert {"plain"} == leaks_in(caplog.text.encode())


def test_a_number_in_an_event_is_found(client, operator, monkeypatch):
    """In the answer of whoever follows, in the files of the database and in its write-ahead log."""
    spoilt = report(citizen=canary(3), key=canary(4))
    assert 400 == client.post("/v1/events", json=spoilt).status_code
    monkeypatch.setattr(checks, "_check_numbers", lambda _name, _text: False)
    position = client.post("/v1/events", json=spoilt).json()["position"]
    assert {"plain"} == leaks_in(client.get(f"/v1/events?after={position - 1}").content)
    operator.execute("CHECKPOINT")
    [[table, log]] = operator.execute(
        "SELECT pg_relation_filepath('ledger.events'), pg_walfile_name(pg_current_wal_lsn())"
    ).fetchall()
    # The server reads them itself, so that it may be any.
    for path in (table, f"pg_wal/{log}"):
        [[content]] = operator.execute("SELECT pg_read_binary_file(%s)", [path]).fetchall()
        assert {"plain"} == leaks_in(content), path
