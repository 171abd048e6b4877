"""Every refusal is a problem; a database that goes away is one that passes."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from litestar import get
from litestar.exceptions import HTTPException
from litestar.testing import RequestFactory, create_test_client

import projections.errors
from api import bodies, problems
from ledger import LedgerError, UnavailableError
from ledger.errors import KeyFileWrongError, StoreNotReadyError, StoreUnavailableError
from tests.api.conftest import CITIZEN, UNITS, check_problem, citizen, report, wait_until
from tests.conftest import check_ledger

assert projections.errors, bodies  # Their classes are found below.


def subclasses(cls: type) -> Iterator[type]:
    for subclass in cls.__subclasses__():
        yield subclass
        yield from subclasses(subclass)


# What tests make up does not count.
REFUSALS = sorted(
    {
        cls
        for base in (LedgerError, UnavailableError)
        for cls in subclasses(base)
        if cls.__module__.split(".")[0] in {"ledger", "projections", "api"}
    },
    key=lambda cls: cls.__name__,
)


@pytest.mark.parametrize("cls", REFUSALS, ids=lambda cls: cls.__name__)
def test_every_refusal_is_a_problem(cls):
    """With a status of its own kind, and its stable code."""
    problem = problems.problem_of(cls.__new__(cls, "why"))

    assert problem.status in {400, 401, 403, 404, 409, 413, 415, 422, 429, 503}
    assert issubclass(cls, UnavailableError) <= (problem.status == 503)
    assert (cls.code, f"urn:activation-ledger:problem:{cls.code}") == (problem.code, problem.type)
    assert problem.title


def test_codes_tell_refusals_apart():
    """No two reasons share one, but for a class and its own subclasses."""
    by_code: dict[str, type] = {}
    for cls in sorted(REFUSALS, key=lambda cls: len(cls.__mro__)):
        assert issubclass(cls, by_code.setdefault(cls.code, cls)), cls


def test_only_what_may_pass_says_when_to_come_back():
    """Retry-After stands at 429 and 503 and nowhere else, in whole seconds that are no shorter than the wait."""
    request = RequestFactory().get("/")
    for status in (400, 409, 429, 503):
        response = problems.respond(problems.Problem("t", "t", status, "d", "c"), request, wait_seconds=1.2)
        assert (status in {429, 503}) == ("Retry-After" in response.headers)
    assert "2" == response.headers["Retry-After"]


@pytest.mark.parametrize(
    "error",
    [
        StoreUnavailableError("connection to server at db-7.example, port 5433, user ledger failed"),
        StoreNotReadyError("database ledger at db-7.example:5433 is not set up: run ledger migrate"),
        KeyFileWrongError("the key file /etc/db-7.example.key is not the one of database ledger"),
    ],
    ids=lambda error: error.code,
)
def test_what_is_not_available_does_not_say_where_it_is(error, caplog):
    """A client cannot do anything with hosts, ports, users and files; the log has them."""

    @get("/", sync_to_thread=False)
    def fail() -> None:
        raise error

    with create_test_client(fail, exception_handlers=problems.HANDLERS, logging_config=None) as client:
        problem = check_problem(client.get("/"), 503, error.code)

    assert "db-7" not in str(problem)
    assert "5433" not in str(problem)
    assert [f"not available ({error.code}): {error}; request "] == [
        record.getMessage() for record in caplog.records if record.name == "api.problems"
    ]


def test_what_comes_by_itself_says_so(client):
    """A position that nobody was told is answered with the one that there is; nothing is logged for it."""
    problem = check_problem(client.get("/v1/totals?after=1000000"), 503, "not_caught_up")
    assert f"ends at position {UNITS}" in problem["detail"]


@get("/fault", sync_to_thread=False)
def fault() -> None:
    raise KeyError(CITIZEN)


@get("/gateway", sync_to_thread=False)
def gateway() -> None:
    raise HTTPException(detail=CITIZEN, status_code=502)


@pytest.mark.parametrize("address", ["/fault", "/gateway"])
def test_a_fault_of_the_program_is_a_problem_that_says_nothing(address, caplog):
    """The log has what is needed to mend it; the answer does not repeat what an exception holds."""
    with (
        create_test_client(
            [fault, gateway], exception_handlers=problems.HANDLERS, logging_config=None
        ) as client,
        caplog.at_level(logging.ERROR),
    ):
        response = client.get(address)

    check_problem(response, 500, "internal")
    assert CITIZEN not in response.text
    [record] = [record for record in caplog.records if record.name == "api.problems"]
    assert CITIZEN not in record.getMessage()
    assert address[1:] in record.getMessage()


REQUESTS = (
    ("POST", "/v1/events", report()),
    ("POST", "/v1/events", [report(), report(citizen=citizen(1))]),
    ("POST", "/v1/dossiers/lookup", {"citizen": CITIZEN}),
    ("GET", "/v1/dossiers/00000000-0000-8000-8000-000000000000", None),
    ("GET", "/v1/dossiers/00000000-0000-8000-8000-000000000000/history", None),
    ("GET", "/v1/units", None),
    ("GET", "/v1/units/38", None),
    ("GET", "/v1/totals", None),
    ("GET", "/v1/totals?after=1", None),
    ("GET", "/health/ready", None),
)


def test_a_database_that_is_away_is_a_problem_that_passes(client, door):
    """On every route 503 with Retry-After while it is away, and an answer when it is back."""

    def ask(request: tuple) -> httpx.Response:
        method, address, body = request
        return client.request(method, address, json=body)

    # At once, because each waits some seconds for a connection.
    with door.shut(), ThreadPoolExecutor(len(REQUESTS)) as pool:
        for response in pool.map(ask, REQUESTS):
            problem = check_problem(response, 503, "store_unavailable")
            assert "the ledger's database cannot be used at the moment" in problem["detail"]
            assert "1" == response.headers["retry-after"]
    for request in REQUESTS:
        wait_until(lambda: ask(request).status_code != 503)


def test_a_database_that_takes_no_writes_is_a_problem_that_passes(client, door, ledger):
    """As a failover leaves the old primary: it still tells, and reports go in again when it may write."""
    client.post("/v1/events", json=report("a0", level=1))
    wait_until(lambda: client.get(f"/v1/totals?after={UNITS + 1}").status_code == 200)
    with door.read_only():
        wait_until(lambda: client.get("/v1/totals").status_code == 200)
        for sent in (report(), [report(), report(citizen=citizen(1))]):
            check_problem(client.post("/v1/events", json=sent), 503, "store_unavailable")
        assert 1 == client.get("/v1/totals").json()["sum"]["collected"]
    wait_until(lambda: client.post("/v1/events", json=report()).status_code == 201)
    check_ledger(ledger, length=UNITS + 2)


def test_reports_survive_a_database_that_comes_and_goes(client, door, ledger):
    """Sent again with the same key until it is answered, each is recorded once, and counted once."""
    for number in range(10):
        if number % 3 == 0:
            door.throw_out()
        wait_until(lambda: client.post("/v1/events", json=report(citizen=citizen(number))).status_code == 201)
    check_ledger(ledger, length=UNITS + 10)

    wait_until(lambda: client.get(f"/v1/totals?after={UNITS + 10}").status_code == 200)
    assert 10 == client.get("/v1/totals").json()["sum"]["collected"]
