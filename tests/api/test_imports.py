"""Files over HTTP: any length, each line once, and nothing left behind, however it ends."""

import asyncio
import csv
import io
import json
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import msgspec
import pytest
from litestar.testing import TestClient

from api import imports
from api.campaign import Campaign, simulate, write
from api.ending import Ending
from api.imports import ImportAnswer
from ledger.access import LOCAL
from ledger.commands import FIELDS
from ledger.errors import ImportSpaceError
from tests.api.conftest import CITIZEN, UNITS, check_problem, citizen, report, token_of, wait_until
from tests.api.test_server import address_of, answers, command, end, serve, workers  # noqa: F401
from tests.conftest import check_ledger
from tests.tokens import SERVED

PATH = "/v1/events/import"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> Iterator[Path]:
    """Where temporary files are; none may be left there."""
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    monkeypatch.setenv("TMPDIR", str(place))
    yield place
    assert [] == list(place.rglob("*"))


def csv_of(reports: list[dict]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS)
    writer.writeheader()
    writer.writerows(reports)
    return text.getvalue().encode()


def lines_of(reports: list[dict]) -> bytes:
    return b"".join(json.dumps(report).encode() + b"\n" for report in reports)


def send(client, body: bytes | Iterator[bytes], media_type: str = "text/csv", **query: str) -> httpx.Response:
    return client.post(PATH, content=body, headers={"content-type": media_type}, params=query)


def answer(response: httpx.Response) -> ImportAnswer:
    assert (200, "application/json") == (response.status_code, response.headers["content-type"])
    assert "no-store" == response.headers["cache-control"]
    return msgspec.json.decode(response.content, type=ImportAnswer)


GOOD = [report(citizen=citizen(number)) for number in range(3)]


@pytest.mark.parametrize(
    ("media_type", "encode"),
    [
        ("text/csv", csv_of),
        ("text/csv; charset=utf-8; header=present", csv_of),
        ("Application/X-NDJSON", lines_of),
        ("application/jsonl", lines_of),
    ],
)
def test_a_file_is_recorded_once(client, ledger, media_type, encode):
    """The second time all its lines are duplicates."""
    first, again = (answer(send(client, encode(GOOD), media_type)) for _ in range(2))

    assert (3, 3, 0, 0) == (first.read, first.recorded, first.duplicates, first.refused)
    assert (UNITS + 1, UNITS + 3, []) == (first.first_position, first.last_position, first.refused_lines)
    assert (3, 0, 3, 0) == (again.read, again.recorded, again.duplicates, again.refused)
    assert (None, None) == (again.first_position, again.last_position)
    check_ledger(ledger, length=UNITS + 3)


def test_refused_lines_are_told_without_their_numbers(client, ledger):
    """Line, key, code and what to do; the others are recorded. That no number is repeated, the client checks."""
    sent = [
        report("a1", citizen=citizen(1)),
        report("a2", citizen=citizen(1), unit="99999"),
        report('k,"2"', citizen=citizen(2), level=7),
        report(citizen(3), citizen=citizen(3)),
        report("0380 9000 1234", citizen=CITIZEN),
        report("", citizen=citizen(4)),
        report("a5", citizen=citizen(5), note=f"mẹ: {citizen(6)}"),
        report("a6", citizen=citizen(6), type="approved", unit=""),
        report("a7", citizen=citizen(7), unit="99999", note='hai\n"dòng"'),
        report("a8", citizen=citizen(8), unit="99998"),
    ]
    told = answer(send(client, csv_of(sent)))

    assert (10, 1, 9) == (told.read, told.recorded, told.refused)
    assert [
        (3, "a2", "unknown_unit"),
        (4, 'k,"2"', "invalid_level"),
        (5, None, "personal_number"),
        (6, None, "personal_number"),
        (7, None, "missing_field"),
        (8, "a5", "personal_number"),
        (9, "a6", "not_collected"),
        (10, "a7", "unknown_unit"),
        (12, "a8", "unknown_unit"),
    ] == [(it.line, it.key, it.error) for it in told.refused_lines]
    assert "no unit ever had this code: '99999'" in told.refused_lines[0].detail
    check_ledger(ledger, length=UNITS + 1)


def test_lines_that_cannot_be_told_apart_are_told_by_number_alone(client):
    """What stands in them may be anything: quotation marks, line breaks, a million characters, no UTF-8."""
    header = ",".join(FIELDS).encode()
    record = csv_of(GOOD[:1]).splitlines()[1]
    broken = [
        f'"{CITIZEN}" x"y, "z'.encode(),
        b"a," + CITIZEN.encode(),
        b"\xff\xfe," + record,
        b"x" * 200_000 + b'"",' + CITIZEN.encode(),
        b"y" * 1_200_000,
        b'"' + b"z" * 200_000 + b'\n"' + record[2:],
    ]
    told = answer(send(client, b"\n".join([header, record, *broken, record]) + b"\n"))

    assert (1, 1) == (told.recorded, told.duplicates)
    assert told.read == told.recorded + told.duplicates + told.refused
    assert told.refused == len(told.refused_lines)
    assert {None} == {it.key for it in told.refused_lines}
    assert [3, 4, 5, 6, 7, 8, 9] == [it.line for it in told.refused_lines]
    assert 3 <= [it.error for it in told.refused_lines].count("invalid_line")


def test_many_refused_lines_are_answered_piece_by_piece(client, monkeypatch):
    """All of them, in their order."""
    monkeypatch.setattr(imports, "ANSWER_LINES", 7)
    sent = [report(f"k{number}", citizen=citizen(number), unit="99999") for number in range(100)]
    told = answer(send(client, csv_of(sent)))
    assert [(number + 2, f"k{number}") for number in range(100)] == [
        (it.line, it.key) for it in told.refused_lines
    ]


def test_parameters_mean_what_the_command_line_means(client, ledger):
    """All or nothing, a dry run, times without an offset."""
    bad = [*GOOD, report("x", unit="99999")]
    atomic = answer(send(client, csv_of(bad), atomic="true"))
    assert (4, 0, 4) == (atomic.read, atomic.recorded, atomic.refused)
    assert ["not_recorded"] * 3 + ["unknown_unit"] == [it.error for it in atomic.refused_lines]

    dry = answer(send(client, csv_of(bad), dry_run="true"))
    assert (3, 1, None) == (dry.recorded, dry.refused, dry.first_position)
    check_ledger(ledger, length=UNITS)

    local = [report(citizen=citizen(number), occurred_at="2024-12-09T21:15:00") for number in range(2)]
    assert ["time_without_offset"] * 2 == [
        it.error for it in answer(send(client, csv_of(local))).refused_lines
    ]
    assert 2 == answer(send(client, csv_of(local), offset="+07:00")).recorded
    # A plus sign that was not written as %2B has become a blank.
    response = client.post(
        f"{PATH}?offset=+07:00", content=csv_of(local), headers={"content-type": "text/csv"}
    )
    assert 2 == answer(response).duplicates
    check_ledger(ledger, length=UNITS + 2)


@pytest.mark.parametrize(
    "query", [{"offset": "7"}, {"offset": "+15:00"}, {"offset": "+07:60"}, {"offset": ""}]
    + [{"atomic": "maybe"}, {"lanes": "2"}, {"dry-run": "true"}],
)  # fmt: skip
def test_a_parameter_that_makes_no_sense_is_refused(client, query):
    """Before the file is read."""
    check_problem(send(client, csv_of(GOOD), **query), 400, "bad_request")


@pytest.mark.parametrize(
    "media_type", ["application/json", "text/plain", "multipart/form-data; boundary=x", "application/zip", ""]
)
def test_a_file_declared_as_something_else_is_refused(client, media_type):
    """The sentence names what is taken."""
    problem = check_problem(send(client, csv_of(GOOD), media_type), 415, "unsupported_media_type")
    assert "text/csv, application/x-ndjson, application/jsonl" in problem["detail"]


def test_a_file_declared_as_nothing_or_as_packed_is_refused(client):
    """It is not unpacked."""
    check_problem(client.post(PATH, content=csv_of(GOOD)), 415, "unsupported_media_type")
    headers = {"content-type": "text/csv", "content-encoding": "gzip"}
    check_problem(client.post(PATH, content=b"\x1f\x8b", headers=headers), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "file_empty"),
        (b"key,type\n", "invalid_file"),
        (b"colour\nred\n", "unknown_column"),
        (CITIZEN.encode() + b"\n", "unknown_column"),
        (b"[" + lines_of(GOOD) + b"]", "invalid_file"),
        ("key,type".encode("utf-16"), "not_utf8"),
        (b"\x1f\x8b\x08\x00" + bytes(100), "not_utf8"),
        (",".join(FIELDS).encode() + b"\n", "file_empty"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_is_one_problem(client, ledger, body, code):
    """Nothing of it is recorded."""
    check_problem(send(client, body), 400, code)
    check_ledger(ledger, length=UNITS)


def test_all_or_nothing_has_a_bound(client, monkeypatch):
    """As on the command line."""
    from ledger.importing import lane

    monkeypatch.setattr(lane, "ATOMIC_LINES_MAX", 2)
    check_problem(send(client, csv_of(GOOD), atomic="true"), 413, "too_many")


def test_a_disk_that_is_nearly_full_takes_no_file(client, ledger, monkeypatch):
    """Neither one that announces its size nor one that goes on and on; PostgreSQL may live on the same disk."""
    monkeypatch.setattr(imports, "SPACE_KEPT_BYTES_MAX", 10**18)
    monkeypatch.setattr(imports, "SPACE_KEPT", 1.0)
    problem = check_problem(send(client, csv_of(GOOD)), 503, "no_space")
    assert "no room for this file" in problem["detail"]
    with tempfile.TemporaryFile() as file, pytest.raises(ImportSpaceError):
        imports._write(file, b"x")
    monkeypatch.undo()
    check_ledger(ledger, length=UNITS)


def test_a_file_larger_than_the_disk_is_refused_unread(ledger):
    """Its announced size alone tells."""

    async def body() -> AsyncGenerator[bytes, None]:
        raise AssertionError("read")
        yield b""

    async def scenario() -> None:
        taking = imports.Imports(ledger, Ending())
        with pytest.raises(ImportSpaceError):
            await taking.run(body(), by=LOCAL, size=10**15, atomic=False, dry_run=False, offset=None)

    asyncio.run(scenario())


def test_one_file_at_a_time(client, ledger):
    """A second one is told to come again while the first is still on its way; then it is taken."""
    half, rest = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(slow_request, client, csv_of(GOOD), half, rest)
        assert half.wait(20)
        problem = check_problem(send(client, csv_of(GOOD)), 503, "import_busy")
        assert "another file is being imported" in problem["detail"]
        rest.set()
        assert 200 == first.result()
    assert 3 == answer(send(client, csv_of(GOOD))).duplicates
    check_ledger(ledger, length=UNITS + 3)


def slow_request(client: TestClient, body: bytes, half: threading.Event, rest: threading.Event) -> int:
    """Send a body of which half comes later, straight to the application; return the status."""
    statuses: list[int] = []

    async def talk() -> None:
        sent, answered = [body[:100], body[100:]], asyncio.Event()

        async def receive() -> dict:
            if len(sent) == 1:
                half.set()
                await asyncio.to_thread(rest.wait, 20)
            if not sent:
                await asyncio.sleep(20)
            piece = sent.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(sent)}

        async def send_message(message: dict) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
                answered.set()

        scope = {
            "type": "http",
            "method": "POST",
            "path": PATH,
            "raw_path": PATH.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "http_version": "1.1",
            "headers": [(b"content-type", b"text/csv"), token_of(client)],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
            "state": {},
            "extensions": {},
        }
        talking = asyncio.ensure_future(client.app(scope, receive, send_message))
        await answered.wait()
        talking.cancel()

    asyncio.run(talk())
    return statuses[0]


def test_a_client_that_falls_silent_gives_up_its_place(client, ledger, monkeypatch):
    """Nothing of its file is recorded, and the next file is taken."""
    monkeypatch.setattr(imports, "SILENCE_SECONDS_MAX", 0.2)
    never = threading.Event()
    threading.Timer(2, never.set).start()
    assert 400 == slow_request(client, csv_of(GOOD), threading.Event(), never)
    check_ledger(ledger, length=UNITS)
    assert 3 == answer(send(client, csv_of(GOOD))).recorded


def test_what_a_killed_process_left_is_swept_away(client, place):
    """Of its own kind alone, and only where nobody is at it."""
    left, held, other = (place / name for name in ("ledger-import-left", "ledger-import-held", "other"))
    for folder in (left, held, other):
        folder.mkdir()
        (folder / "refused.csv").write_text(CITIZEN)
    lock = imports._lock(held)
    answer(send(client, csv_of(GOOD)))

    assert [held, other] == sorted(place.iterdir())
    os.close(lock)
    other.joinpath("refused.csv").unlink()
    other.rmdir()
    answer(send(client, csv_of(GOOD)))


# Over a real socket.


@pytest.fixture(scope="module")
def campaign(tmp_path_factory) -> Path:
    """A file of some megabytes: more than one process shares its lines."""
    path = tmp_path_factory.mktemp("campaign") / "made-up.csv"
    write(simulate(Campaign(dossiers=20_000, seed=3)), path)
    assert 5_000_000 < path.stat().st_size
    return path


def count(path: Path) -> int:
    return path.read_bytes().count(b"\n") - 1


def test_a_server_stays_responsive_while_a_file_is_imported(serve, ledger, campaign):  # noqa: F811
    """Requests are answered meanwhile, and the answer counts every line."""
    served = serve()
    waits: list[float] = []
    with ThreadPoolExecutor(1) as pool, httpx.Client(base_url=served.url, timeout=60, auth=SERVED) as other:
        with campaign.open("rb") as file:
            importing = pool.submit(send, served.client, iter(lambda: file.read(65_536), b""))
            while not importing.done():
                began = time.monotonic()
                assert 200 == other.get("/health/live").status_code
                waits.append(time.monotonic() - began)
                time.sleep(0.01)
        told = answer(importing.result())

    assert (count(campaign), count(campaign), []) == (told.read, told.recorded, told.refused_lines)
    assert 1 > max(waits)
    assert CITIZEN not in end(served)
    check_ledger(ledger, length=UNITS + told.recorded)


def half_sent(line: socket.socket, body: bytes) -> None:
    line.sendall(
        f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\nAuthorization: {SERVED.header}\r\n"
        f"Content-Length: {len(body) + 1000}\r\n\r\n".encode()
        + body
    )


def test_a_file_that_is_cut_on_the_way_records_nothing(serve, ledger):  # noqa: F811
    """Though all lines that did come were whole; the place is free for the next file at once."""
    served = serve()
    for _ in range(3):
        with socket.create_connection(address_of(served)) as line:
            half_sent(line, csv_of(GOOD))
            time.sleep(0.2)
        wait_until(lambda: send(served.client, b"").status_code == 400)
    with socket.create_connection(address_of(served)) as line:
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\nConnection: close\r\n"
            f"Authorization: {SERVED.header}\r\n"
        )
        line.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n5\r\nkey,t\r\nzz\r\n".encode())
        told = line.makefile("rb").read().decode()
    assert "HTTP/1.1 400 " in told
    assert '"code":"body_cut"' in told
    assert "nothing of it was recorded" in told
    check_ledger(ledger, length=UNITS)
    assert 3 == answer(send(served.client, csv_of(GOOD))).recorded
    assert "Traceback" not in end(served)


def test_the_end_of_the_server_ends_an_import_and_keeps_what_was_recorded(serve, ledger, campaign):  # noqa: F811
    """Within seconds, with an answer; the file sent again records the rest."""
    served = serve()
    with ThreadPoolExecutor(1) as pool:
        importing = pool.submit(send, served.client, campaign.read_bytes())
        wait_until(lambda: ledger.head().position > UNITS)
        began = time.monotonic()
        log = end(served)
        assert 6 > time.monotonic() - began
        check_problem(importing.result(), 503, "server_ending")
    recorded = ledger.head().position - UNITS
    assert 0 < recorded < count(campaign)
    assert "refused to gracefully stop" not in log

    again = answer(send(serve().client, campaign.read_bytes()))
    assert (count(campaign), recorded, 0) == (again.read, again.duplicates, again.refused)
    check_ledger(ledger, length=UNITS + count(campaign))


def test_the_end_of_the_server_does_not_wait_for_a_slow_file(serve):  # noqa: F811
    """Nothing of it was recorded."""
    served = serve()
    with socket.create_connection(address_of(served)) as line:
        half_sent(line, csv_of(GOOD))
        time.sleep(0.5)
        began = time.monotonic()
        end(served)
        assert 6 > time.monotonic() - began
        assert b"server_ending" in line.recv(10_000)


def test_a_worker_that_is_killed_in_an_import_leaves_nothing_behind(serve, ledger, campaign, place):  # noqa: F811
    """Neither files nor processes; the file sent again records the rest."""
    served = serve()
    with ThreadPoolExecutor(1) as pool:
        importing = pool.submit(send, served.client, campaign.read_bytes())
        wait_until(lambda: ledger.head().position > UNITS)
        os.kill(workers(served)[0], signal.SIGKILL)
        assert isinstance(importing.exception(), httpx.TransportError)
    wait_until(lambda: answers(served))
    told = answer(send(served.client, campaign.read_bytes()))

    assert (count(campaign), 0) == (told.read, told.refused)
    assert told.duplicates > 0
    end(served)
    check_ledger(ledger, length=UNITS + count(campaign))


def test_a_database_that_goes_away_is_a_problem_and_costs_nothing(serve, ledger, campaign, door):  # noqa: F811
    """What was recorded stays; the file sent again records the rest."""
    served = serve()
    with ThreadPoolExecutor(1) as pool:
        importing = pool.submit(send, served.client, campaign.read_bytes())
        wait_until(lambda: ledger.head().position > UNITS)
        with door.shut():
            check_problem(importing.result(), 503, "store_unavailable")
    wait_until(lambda: send(served.client, csv_of(GOOD[:1]), dry_run="true").status_code == 200)
    told = answer(send(served.client, campaign.read_bytes()))
    assert (count(campaign), 0) == (told.read, told.refused)
    assert told.duplicates > 0
    assert CITIZEN not in end(served)
    check_ledger(ledger, length=UNITS + count(campaign))
