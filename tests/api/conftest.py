"""The API in the test's own process, and what holds for each of its answers, whatever the test is about."""

import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from litestar import Litestar
from litestar._openapi.plugin import OpenAPIPlugin
from litestar.openapi.spec import OpenAPI
from litestar.testing import TestClient

from api.access import Authenticator
from api.app import create_app
from api.edge.requests import is_odd
from ledger import Ledger
from projections import Runner, Totals, open_totals, runner
from tests.conftest import Server
from tests.tokens import Asking, Issuer

UNITS = 586
"""Events that the ledger of a test begins with."""
CITIZEN = "038090001234"
LOOKING = {"Purpose": "verification"}
"""What the tests look at dossiers for, unless one says otherwise."""
JSON = {"content-type": "application/json"}
"""What a body says that is sent as it is."""
PROBLEM_FIELDS = {"type", "title", "status", "detail", "code"}
READINESS_FIELDS = {"ready", "position", "projections"}
"""What the problem of a projection that has stopped tells besides."""
OUTSIDE = {401, 404, 405, 429}
"""What an address or a method that is no route may answer, or is none as it was written; no document can list these."""


def report(key: str = "a1", **fields: object) -> dict:
    """Return a good report of a collection, but for the fields given; None takes a field out."""
    whole = {
        "key": key,
        "type": "collected",
        "citizen": CITIZEN,
        "level": 2,
        "unit": "14758",
        "occurred_at": "2024-12-09T21:15:00+07:00",
        "actor": "th-0042",
    } | fields
    return {name: value for name, value in whole.items() if value is not None}


def citizen(number: int) -> str:
    return f"038090{number:06}"


def wait_until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def check_problem(response: httpx.Response, status: int, code: str) -> dict:
    """Check that an answer is exactly one problem of this request, and return it without the request's id."""
    assert (status, code) == (response.status_code, response.json().get("code")), response.text
    assert "application/problem+json" == response.headers["content-type"].split(";")[0]
    problem = response.json()
    assert response.headers.get("x-request-id", "") == problem.pop("request_id")
    check_problem_item(problem)
    return problem


def check_problem_item(problem: dict) -> None:
    assert set(problem) - READINESS_FIELDS == PROBLEM_FIELDS
    assert f"urn:activation-ledger:problem:{problem['code']}" == problem["type"]
    assert problem["title"]
    assert problem["detail"]
    assert 400 <= problem["status"] <= 503


def check_says_no_number(response: httpx.Response) -> None:
    """No answer repeats a personal number that was sent, in the body or in the address.

    The end of a UUID may look like one.
    """
    sent = response.request.content + b" " + bytes(str(response.request.url), "ascii")
    for number in set(re.findall(rb"(?<![\d-])\d{12,13}(?!\d)", sent[:10_000])):
        assert number.decode() not in response.text


def documented(document: dict, method: str, path: str) -> set[int] | None:
    """Return the statuses that the document lists for a request; None where it has no such route."""
    fitting = [
        template
        for template in document["paths"]
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
    ]
    # As the router does: an address that is spelt out comes before one with parameters.
    for template in sorted(fitting, key=lambda template: template.count("{"))[:1]:
        operation = document["paths"][template].get(method.lower().replace("head", "get"))
        if operation:
            return {int(status) for status in operation["responses"]}
    return None


_TEMPORARY = tempfile.gettempdir()
_documents: dict[frozenset[tuple[str, str]], dict] = {}


def document_of(app: Litestar) -> dict:
    """Return an application's document, which takes a tenth of a second to make: once for those with the same routes."""
    routes = frozenset((route.path, method) for route in app.routes for method in route.methods)
    if routes not in _documents:
        _documents[routes] = app.openapi_schema.to_schema()
    return _documents[routes]


@contextmanager
def authenticator_of(ledger: Ledger) -> Iterator[tuple[Authenticator, Issuer]]:
    """An authenticator that takes the tokens of an issuer, whose clock is the ledger's."""
    issuer = Issuer.of(ledger)
    # Not where a test lets the program put what is temporary.
    with tempfile.TemporaryDirectory(dir=_TEMPORARY) as folder:
        yield Authenticator(ledger, issuer.settings(Path(folder))), issuer


@contextmanager
def api_of(ledger: Ledger, totals: Totals) -> Iterator[TestClient]:
    """Open a client of the API over a ledger, who may do everything, for everybody."""
    with authenticator_of(ledger) as (authenticator, issuer):
        app = create_app(ledger, totals, authenticator)
        app.state.asking = Asking(issuer)
        with client_of(app) as client:
            yield client


def token_of(client: TestClient) -> tuple[bytes, bytes]:
    """Return the header with which a client says who it is, as it is on the wire."""
    return b"authorization", client.auth.header.encode()


@contextmanager
def client_of(app: Litestar) -> Iterator[TestClient]:
    """Open a client that checks each answer against the document and the rules of problems.

    Who asks is ``app.state.asking``, where a test has set that.
    """
    document = document_of(app)

    def check_answer(response: httpx.Response) -> None:
        response.read()
        request = response.request
        if request.url.path.startswith("/schema"):
            return
        assert 500 != response.status_code, response.text
        odd = is_odd({"path": request.url.path, "raw_path": request.url.raw_path})
        statuses = None if odd else documented(document, request.method, request.url.path)
        assert response.status_code in (OUTSIDE if statuses is None else statuses), request.url
        check_says_no_number(response)
        assert "nosniff" == response.headers["x-content-type-options"]
        if response.status_code >= 400:
            check_problem(response, response.status_code, response.json()["code"])
        assert response.headers["x-request-id"]
        assert response.headers["cache-control"]
        assert (response.status_code in (429, 503)) == ("retry-after" in response.headers)

    with TestClient(app) as client:
        client.event_hooks = {"response": [check_answer]}
        client.headers.update(LOOKING)
        client.auth = app.state.get("asking")
        yield client


@pytest.fixture(autouse=True, scope="package")
def _one_document() -> Iterator[None]:
    """Let applications with the same routes share their document: to make it takes as long as a test."""
    build, built = OpenAPIPlugin._build_openapi, {}

    def build_once(plugin: OpenAPIPlugin) -> OpenAPI:
        routes = frozenset(
            (path, method) for path, route in plugin.included_routes.items() for method in route.methods
        )
        if routes not in built:
            built[routes] = build(plugin)
        return built[routes]

    OpenAPIPlugin._build_openapi = build_once
    yield
    OpenAPIPlugin._build_openapi = build


@pytest.fixture(autouse=True, scope="package")
def _impatient() -> Iterator[None]:
    """Let runners look at the log more often, and so end sooner."""
    patience, runner.POLL_SECONDS_MAX = runner.POLL_SECONDS_MAX, 0.1
    yield
    runner.POLL_SECONDS_MAX = patience


@pytest.fixture
def client(ledger: Ledger) -> Iterator[TestClient]:
    """The API over the test's ledger, with the projections running."""
    ledger.tree()  # As open_ledger does, before threads share it.
    totals = open_totals(ledger)
    with Runner(ledger), api_of(ledger, totals) as client:
        yield client


class Door:
    """The way into one database, which a test may shut."""

    def __init__(self, admin: psycopg.Connection, name: str) -> None:
        self.admin = admin
        self.name = name

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Throw everybody out of the database, and let nobody in meanwhile."""
        self.admin.execute(f'ALTER DATABASE "{self.name}" WITH ALLOW_CONNECTIONS false')
        self.throw_out()
        try:
            yield
        finally:
            self.admin.execute(f'ALTER DATABASE "{self.name}" WITH ALLOW_CONNECTIONS true')

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Let nobody write meanwhile; who is in is thrown out, to come again."""
        self.admin.execute(f'ALTER DATABASE "{self.name}" SET default_transaction_read_only = on')
        self.throw_out()
        try:
            yield
        finally:
            self.admin.execute(f'ALTER DATABASE "{self.name}" RESET default_transaction_read_only')
            self.throw_out()

    def throw_out(self) -> None:
        self.admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [self.name]
        )


@pytest.fixture
def door(server: Server, conninfo: str) -> Iterator[Door]:
    name = psycopg.conninfo.conninfo_to_dict(conninfo)["dbname"]
    with psycopg.connect(server.conninfo(), autocommit=True) as admin:
        yield Door(admin, name)
