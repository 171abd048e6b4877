"""What every request and every answer has, whatever the route."""

import asyncio
import json
import re
import time
from collections import defaultdict
from urllib.parse import unquote

import httpx
import pytest
from litestar import get
from litestar.testing import TestClient, create_test_client

from api import problems
from api.access import TokenInvalidError, watch
from api.app import create_app
from api.edge import requests
from api.edge.buckets import Buckets, Rate
from api.edge.hosts import only_hosts
from api.edge.limits import caller_of, failing
from api.edge.refusals import Refusals
from api.edge.settings import EdgeSettings
from api.edge.shared import Shared
from api.patience import Patience
from ledger import Ledger
from ledger.access import LOCAL, NOBODY
from projections import open_totals
from tests.api.conftest import CITIZEN, Asking, authenticator_of, check_problem, client_of, report
from tests.api.test_openapi import operations
from tests.tokens import bearer


def addresses(client: TestClient) -> list[tuple[str, str]]:
    """Return all routes but the endless one, with something for each parameter."""
    document = client.app.openapi_schema.to_schema()
    fill = {"code": "38", "name": "none", "dossier_id": "00000000-0000-8000-8000-000000000000"}
    return [
        (method.upper(), re.sub(r"\{(\w+)\}", lambda match: fill.get(match[1], "none"), path))
        for path, method, _ in operations(document)
        if not path.endswith("/stream")
    ]


def test_every_answer_has_the_headers_that_keep_it_where_it_belongs(client):
    """Those of no route, and of the pages, too."""
    asked = [*addresses(client), ("GET", "/nothing"), ("DELETE", "/v1/events"), ("GET", "/schema")]
    for method, address in asked:
        headers = client.request(method, address).headers
        assert "nosniff" == headers["x-content-type-options"], address
        assert "no-referrer" == headers["referrer-policy"], address
        assert "same-origin" == headers["cross-origin-resource-policy"], address
        assert "frame-ancestors 'none'" in headers["content-security-policy"], address
        assert "default-src 'none'" in headers["content-security-policy"], address
        assert "no-store" == headers["cache-control"], address
        assert 1 == len(headers.get_list("content-security-policy"))


@pytest.mark.parametrize("given", ["a", "01a20d68-877b-774a-99bb-1c7ffbaa85cb", "A.b_c-9", "x" * 64])
def test_a_request_keeps_the_id_that_it_came_with(client, given):
    """In the answer, and in a problem."""
    response = client.get("/nothing", headers={"x-request-id": given})
    assert (given, given) == (response.headers["x-request-id"], response.json()["request_id"])


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a\tb", '"', CITIZEN, f"a{CITIZEN}", "é".encode()])
def test_an_id_that_may_not_stand_in_a_log_is_replaced(client, given):
    """Long ones, odd ones, and what may be a personal number."""
    response = client.get("/nothing", headers={"x-request-id": given})
    assert re.fullmatch("[0-9a-f]{24}", response.headers["x-request-id"])
    assert response.headers["x-request-id"] == response.json()["request_id"]


def test_ids_differ(client):
    """So that a line of the log is one request's."""
    ids = {client.get("/health/live").headers["x-request-id"] for _ in range(100)}
    assert 100 == len(ids)


def test_a_result_among_several_has_no_id_of_its_own(client):
    """They came with one request."""
    [answer] = client.post("/v1/events", json=[{}]).json()
    assert "request_id" not in answer


def test_only_routes_that_read_a_body_take_one(client):
    """All others refuse it, however it is announced; so none is left on the line for somebody else to read."""
    refused = 0
    for method, address in addresses(client):
        if method == "POST":
            continue
        for headers in ({}, {"transfer-encoding": "chunked", "content-length": ""}):
            response = client.request(method, address, content=b"{}", headers=headers)
            problem = check_problem(response, 400, "bad_request")
            assert "this address takes no body" == problem["detail"], address
            refused += 1
    assert refused > 30
    assert 200 == client.request("GET", "/health/live", headers={"content-length": "0"}).status_code


def test_every_route_says_how_large_a_body_it_takes(client):
    """As the document does. A new one that says nothing takes none."""
    documented = operations(client.app.openapi_schema.to_schema())
    takes = {
        (re.sub(r":\w+\}", "}", route.path_format), method.lower())
        for route in client.app.routes
        for method, (handler, _) in route.route_handler_map.items()
        if method != "OPTIONS" and handler.resolve_request_max_body_size() != 0
    }
    assert {(path, method) for path, method, operation in documented if "requestBody" in operation} == takes
    assert ("/v1/events", "post") in takes


GOOD = json.dumps(report()).encode()


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/json; charset=utf-16"},
        {"content-type": 'application/json; charset="latin-1"'},
        {"content-type": "application/jsonx"},
        {"content-type": "application/json, text/plain"},
        {"content-type": ""} | {"content-encoding": "gzip"},
        {"content-type": "application/json", "content-encoding": "br"},
    ],
)
def test_a_body_is_what_it_is_declared_as(client, headers):
    """Or is not looked at."""
    for address in ("/v1/events", "/v1/dossiers/lookup"):
        check_problem(client.post(address, content=GOOD, headers=headers), 415, "unsupported_media_type")


def test_two_declarations_are_none(client):
    """Nobody could tell by which of them another program goes."""
    headers = [("content-type", "application/json"), ("content-type", "application/json")]
    check_problem(client.post("/v1/events", content=GOOD, headers=headers), 415, "unsupported_media_type")


@pytest.mark.parametrize("declared", ["application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'])
def test_utf_8_may_be_said_aloud(client, declared):
    """In any case of letters."""
    response = client.post("/v1/events", content=GOOD, headers={"content-type": declared})
    assert 201 == response.status_code


def test_a_body_that_is_slow_is_given_up(client, monkeypatch):
    """A client that never ends it does not hold its part of the memory for ever."""
    patience = Patience(seconds_max=0.05, look_seconds=0.01)
    monkeypatch.setattr(client.app.state, "patience", patience)

    async def ask() -> httpx.Response:
        async def slowly():
            yield b"{"
            await asyncio.sleep(0.5)
            yield b"}"

        transport = httpx.ASGITransport(client.app)
        asking = httpx.AsyncClient(transport=transport, base_url="http://testserver", auth=client.auth)
        async with patience.lifespan(client.app), asking as slow:
            return await slow.post("/v1/events", content=slowly())

    problem = check_problem(asyncio.run(ask()), 400, "body_cut")
    assert "did not come within" in problem["detail"]


ODD = ["//health/live", "/health//live", "/health/live/", "/health/./live", "/health/../health/live", "/.."]
ODD += ["/health%2flive", "/health/%2e%2E/health/live", "/health%5clive", "/health/live%00", "/v1/units/"]
ODD += ["/v1/units/%2e%2e", "/v1/units//38", "/schema/", "/v1/units/38%2Fx", "/v1/.%2e/schema"]
STRAIGHT = [
    "/",
    "/v1/units/38",
    "/v1/units?on=//../",
    "/v1/reports/a.b",
    "/v1/reports/..a",
    "/v1/reports/a%20b",
]


@pytest.mark.parametrize("address", ODD + STRAIGHT)
def test_addresses_that_programs_read_differently_are_odd(address):
    """What stands before us may let one through as another; tests/api/test_served_edge.py asks them all."""
    assert (address in ODD) == requests.is_odd({"path": unquote(address), "raw_path": address.encode()})


@pytest.fixture
def app_of(ledger: Ledger):
    """Make applications over the test's ledger; nothing runs beside them."""
    ledger.tree()
    totals = open_totals(ledger)
    with authenticator_of(ledger) as (authenticator, issuer):

        def make(**settings):
            app = create_app(ledger, totals, authenticator, **settings)
            app.state.asking = Asking(issuer)
            return app

        yield make


def test_who_asks_too_often_is_told_when_to_come_back(app_of):
    """And others are answered as ever."""
    app = app_of(edge=EdgeSettings(rate=Rate(0.5, 3)))
    with client_of(app) as client:
        assert [200] * 3 == [client.get("/v1/units").status_code for _ in range(3)]
        problem = check_problem(client.get("/v1/units"), 429, "too_many_requests")
        response = client.post("/v1/events", json=report())
        check_problem(response, 429, "too_many_requests")
    assert 1 <= int(response.headers["retry-after"]) <= 2
    assert CITIZEN not in str(problem)


def test_who_may_not_ask_is_limited_like_anybody(app_of):
    """A refusal costs what an answer does; it is not to be had for nothing."""
    app = app_of(edge=EdgeSettings(rate=Rate(0.5, 3)))
    with client_of(app) as client:
        auth = bearer(app.state.asking._issuer.token("viewer:*"))
        assert [403, 403, 403, 429, 429] == [
            client.get("/v1/events", headers=auth).status_code for _ in range(5)
        ]


def test_who_finds_no_route_too_often_is_told_when_to_come_back(app_of):
    """By its address, unless it is known who asks; whoever asks for what there is, is answered as ever."""
    app = app_of(edge=EdgeSettings(rate=Rate(0.5, 3)))
    with client_of(app) as client:
        lost = [("GET", "/nothing"), ("GET", f"/v1/units/{CITIZEN}/"), ("DELETE", "/v1/events")]
        assert [404, 404, 405, 429, 429, 429] == [
            client.request(method, address, auth=None).status_code for method, address in lost * 2
        ]
        problem = check_problem(client.get("/nothing", auth=None), 429, "too_many_requests")
        assert [200] * 3 == [client.get("/health/live", auth=None).status_code for _ in range(3)]
        # The same address, and somebody who is known.
        assert 200 == client.get("/v1/units").status_code
        assert [404] * 3 + [429] == [client.get("/nothing").status_code for _ in range(4)]
        assert 200 == client.get("/v1/units").status_code
        counts = list(app.state.counts.lines(0))
    assert CITIZEN not in str(problem)
    assert 'ledger_requests_total{route="(no route)",status="404"} 5' in counts
    assert 'ledger_requests_total{route="(no route)",status="405"} 1' in counts
    assert 'ledger_requests_total{route="(no route)",status="429"} 5' in counts


def test_a_principal_is_limited_wherever_it_asks_from():
    """And an address as long as nobody in particular asks."""
    here, there = {"client": ("192.0.2.1", 1)}, {"client": ("192.0.2.2", 1)}
    assert caller_of(here) != caller_of(there)
    assert caller_of(here | {"principal": NOBODY}) == caller_of(here)
    assert caller_of(here | {"principal": LOCAL}) == caller_of(there | {"principal": LOCAL})
    assert caller_of(here | {"principal": LOCAL}) != caller_of(here)


def test_whoever_tries_tokens_is_held_up():
    """After so many failures of an address, their number is limited."""

    @get("/", sync_to_thread=False)
    def fail() -> None:
        raise TokenInvalidError("it is none")

    with create_test_client(fail, exception_handlers=problems.HANDLERS, logging_config=None) as client:
        client.app.state.fail = failing(Buckets(Shared()), Rate(0.001, 5))
        codes = [client.get("/").status_code for _ in range(8)]
    assert [401] * 5 + [429] * 3 == codes


def refusals(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "api.edge.refusals"]


def test_the_plain_log_tells_of_refusals_and_of_nobody(app_of, caplog):
    """The first of each kind at once, the others by their number; nothing that was sent, and nobody's name or address."""
    app = app_of(edge=EdgeSettings(rate=Rate(0.001, 4), failures=Rate(0, 1)))
    issuer = app.state.asking._issuer
    with client_of(app) as client:
        for _ in range(5):
            client.get(f"/v1/units/{CITIZEN}", headers=bearer("alk_nothing"))
        viewer = bearer(issuer.token("viewer:*"))
        for _ in range(3):
            client.get("/metrics", headers=viewer)
        for _ in range(6):
            client.get("/v1/units", headers={"x-request-id": "r1"})
    told: dict[str, list[int]] = defaultdict(list)
    for line in refusals(caplog):
        kind, _, number = line.rpartition(": ")
        told[kind].append(int(number))
    # Where that took a second or more, in more lines.
    assert {
        "answered with 401 (it is not known who asks)": (1, 5),
        "answered with 403 (not permitted)": (1, 3),
        # It is one caller, whose refusals have taken tokens too.
        "answered with 429 (too many requests)": (1, 5),
    } == {kind: (numbers[0], sum(numbers)) for kind, numbers in told.items()}


def test_a_million_refusals_are_a_line_a_second(caplog):
    """However they come; and when they end, so do the lines."""
    seconds = 0.1

    async def refuse() -> None:
        told = Refusals(seconds)
        began = time.monotonic()
        async with told.lifespan(None):
            while time.monotonic() - began < 3.5 * seconds:
                for _ in range(1000):
                    told.count(401)
                    told.count(200)
                await asyncio.sleep(0)
            await asyncio.sleep(3 * seconds)
            told.count(401)
        assert len(refusals(caplog)) <= 2 + (time.monotonic() - began) / seconds

    asyncio.run(refuse())
    lines = refusals(caplog)
    numbers = [int(line.rpartition(" ")[2]) for line in lines]
    assert (1, 1) == (numbers[0], numbers[-1])
    assert 0 not in numbers
    assert len(lines) >= 4
    assert sum(numbers) % 1000 == 1
    assert all("401" in line for line in lines)


HOSTS = {
    "ledger.example": True,
    "LEDGER.example:443": True,
    "localhost:8000": True,
    "[::1]:1": True,
    "127.0.0.1": True,
    "ledger.example.org": False,
    "xledger.example": False,
    "ledger.example:443:1": False,
    "::1": False,
    "[::1": False,
    "ledger.example@evil": False,
    "": True,
}


@pytest.mark.parametrize("host", HOSTS)
def test_a_server_is_asked_under_its_own_names(app_of, host):
    """And this machine's; a browser always says which it means."""
    with TestClient(app_of(checks=[only_hosts(["ledger.example"])])) as client:
        response = client.get("/health/live", headers={"host": host})
        other = client.get("/health/live", headers={"host": host, "origin": "https://evil.example"})
    assert HOSTS[host] == (response.status_code == 200), response.text
    assert 400 == other.status_code


def test_a_page_of_a_server_behind_a_proxy_may_ask_it(app_of):
    """Its origin is https, though we do not see it."""
    with TestClient(app_of(checks=[only_hosts(["ledger.example"])])) as client:
        headers = {"host": "ledger.example", "origin": "https://ledger.example"}
        assert 200 == client.get("/health/live", headers=headers).status_code


def test_a_line_tells_of_a_request_what_nobody_chose(app_of, monkeypatch):
    """The template of the route, not the address; no number, no name, no query."""
    lines: list[requests.Told] = []
    app = app_of()
    app.edge._tell = lines.append
    with client_of(app) as client:
        client.get("/v1/units/14758?on=2024-12-09", headers={"x-request-id": "r1"})
        client.get(f"/v1/units/{CITIZEN}")
        client.get(f"/{CITIZEN}")
        client.post("/v1/events", json=report(note="bí mật"))
    first = lines[0]
    assert ("r1", "GET", "/v1/units/{code}", 200) == (
        first.request_id,
        first.method,
        first.route,
        first.status,
    )
    assert first.ms > 0
    assert first.bytes > 50
    assert [404, 404, 201] == [line.status for line in lines[1:]] or 422 == lines[1].status
    assert "(no route)" == lines[2].route
    for line in lines:
        assert CITIZEN not in str(line)
        assert "14758" not in str(line)
        assert "2024-12-09" not in str(line).replace(str(line.time), "")


def test_metrics_tell_of_routes_reports_and_projections(client):
    """And of nobody: no code of a unit, no number, no key."""
    sent = report("m-key-1")
    client.post("/v1/events", json=sent)
    client.post("/v1/events", json=[sent, report("m-key-2", unit="99999"), {}])
    client.post("/v1/events", json=report("m-key-3", type="approved", citizen="038090000009"))
    client.post("/v1/events", content=b"{", headers={"content-type": "application/json"})
    client.get(f"/v1/units/{CITIZEN}")
    client.get(f"/{CITIZEN}")
    response = client.get("/metrics")
    lines = dict(line.rsplit(" ", 1) for line in response.text.splitlines() if not line.startswith("#"))

    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    outcomes = {"recorded": "1", "duplicate": "1", "unknown_unit": "1", "missing_field": "1"}
    outcomes |= {"not_collected": "1", "invalid_json": "1"}
    for outcome, number in outcomes.items():
        assert number == lines[f'ledger_reports_total{{outcome="{outcome}"}}'], outcome
    assert "1" == lines['ledger_requests_total{route="POST /v1/events",status="201"}']
    assert "1" == lines['ledger_requests_total{route="(no route)",status="404"}']
    assert "1" == lines["ledger_database_up"]
    assert int(lines["ledger_head_position"]) > 500
    assert "0" == lines['ledger_projection_stopped{projection="unit_totals"}']
    assert 'ledger_projection_lag_events{projection="unit_totals"}' in lines
    assert 'ledger_pool_connections{worker="0",state="idle"}' in lines
    assert 'ledger_waiting_reports{worker="0"}' in lines
    for hidden in (CITIZEN, "14758", "99999", "m-key", "th-0042", "038090"):
        assert hidden not in response.text, hidden


def test_metrics_are_told_while_the_database_is_away(client, door, monkeypatch):
    """And say so, to whose token was known a moment ago; a moment is a second."""
    client.get("/metrics")
    monkeypatch.setattr(watch, "FRESH_SECONDS_MAX", 60)
    with door.shut():
        text = client.get("/metrics").text
    assert "ledger_database_up 0" in text
    assert "ledger_requests_total" in text or "ledger_reports_total" in text


def test_every_number_that_a_route_takes_is_bounded(client):
    """The database's integers end at 2^63."""
    unbounded = [
        (path, parameter["name"])
        for path, _, operation in operations(client.app.openapi_schema.to_schema())
        for parameter in operation.get("parameters", [])
        if "integer" in (kinds := json.dumps(parameter["schema"]))
        and not ("maximum" in kinds or "enum" in kinds)
    ]
    assert [] == unbounded
