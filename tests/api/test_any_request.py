"""Whatever the document allows, and what it does not: no route fails, and none answers what the document does not list.

Schemathesis makes requests of the OpenAPI document, good ones and such as break a rule of it, and each is sent as several
roles: making it takes longer than answering it. ``MODEL_EXAMPLES=20`` makes 20 times as many; a failing test says with
which LEDGER_TEST_SEED it begins.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from litestar.testing import TestClient
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi import checks

from api.admission import declared
from api.edge.requests import is_odd
from ledger import Ledger
from ledger.access import RIGHTS, Right, Role
from ledger.identities import read_key_file
from ledger.key_files import create_key_file
from projections import Runner, open_totals
from tests.api.conftest import api_of, check_problem, report
from tests.clients import seeded
from tests.conftest import Clock, Server, check_ledger
from tests.tokens import Issuer, bearer

EXAMPLES = 30 * int(os.environ.get("MODEL_EXAMPLES", "1"))
EACH, LET_IN, REFUSED = 1, 6, 15
"""Of these requests operator and recorder send each one; others every sixth, and every fifteenth where they are refused at
the door, whatever comes after it. All send the first."""
OFTEN = frozenset((Role.OPERATOR, Role.RECORDER))
PLACES = ("*", "380")
"""A role is held over the whole ledger and over a district in turns: then the service decides behind the door."""
ASKING: tuple[Role | None, ...] = (*Role, None)
"""Every role, and who has no token."""
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
ENDLESS = {"follow_log"}
"""An answer that does not end; tests/api/test_feed.py has it."""


@pytest.fixture(scope="module")
def ledger(server: Server, units_template: str, tmp_path_factory) -> Iterator[Ledger]:
    """One for all of them, in which something has happened; whatever they record, it is lawful at the end."""
    key_file = tmp_path_factory.mktemp("any") / "ledger.key"
    create_key_file(key_file)
    name = server.create(units_template)
    with Ledger(server.database(name), read_key_file(key_file), now=Clock()) as ledger:
        ledger.tree()
        yield ledger
        check_ledger(ledger)
    server.drop(name)


@pytest.fixture(scope="module")
def client(ledger: Ledger) -> Iterator[TestClient]:
    totals = open_totals(ledger)
    with Runner(ledger), api_of(ledger, totals) as client:
        assert 201 == client.post("/v1/events", json=report()).status_code
        yield client


@pytest.fixture(scope="module")
def headers(client: TestClient) -> Callable[[Role | None, int], dict[str, str]]:
    """Return what says who asks, of a role that is held over one of the places; nothing for who has no token."""
    issuer: Issuer = client.auth._issuer
    tokens = {
        (role, place): bearer(issuer.token(f"{role}:{place}", staff_code="*"))
        for role in Role
        for place in PLACES
    }
    return lambda role, turn: {} if role is None else tokens[role, PLACES[turn % len(PLACES)]]


def turns_of(role: Role | None, rights: frozenset[Right]) -> int:
    """Return which of a route's requests somebody sends: of so many, one."""
    if role is not None and not RIGHTS[role].isdisjoint(rights):
        return EACH if role in OFTEN else LET_IN
    return REFUSED if rights else LET_IN


# It is not the strategies that do: a pool that opens a connection meanwhile, in a thread of its own, draws how long it may live.
@pytest.mark.filterwarnings(
    "ignore:Do not use the `random` module inside strategies:hypothesis.errors.HypothesisDeprecationWarning"
)
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_no_request_meets_what_the_document_does_not_tell(client, headers, mode):
    """Of every route and role: good ones, and such as break one rule; none is answered with 5xx or an undocumented status.

    Whoever holds no right of a route is told just that.
    """
    schema = schemathesis.openapi.from_dict(client.get("/schema/openapi.json").json())
    chance = seeded(f"any request, {mode.value}")
    rights_of = {handler.operation_id: rights for _, handler, rights in declared(client.app)}
    asked, roles, failures = Counter(), Counter(), []
    for result in schema.get_all_operations():
        operation = result.ok()
        name = operation.definition.raw["operationId"]
        if name in ENDLESS:
            continue
        rights = rights_of[name]

        @seed(chance.getrandbits(64))
        @settings(max_examples=EXAMPLES, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
        @given(operation.as_strategy(mode))
        def ask(case: Case) -> None:
            number = asked[case.operation.label]
            asked[case.operation.label] += 1
            for place, role in enumerate(ASKING):
                turns = turns_of(role, rights)
                # Of some routes there is but one request.
                if number == 0 or (number + place) % turns == 0:
                    roles[role] += 1
                    check_answer(case, send(client, case, headers(role, number // turns)), role, rights)

        try:
            ask()
        except Unsatisfiable:
            continue  # Of this kind there is none.
        except Exception as error:  # noqa: BLE001 - all routes are told of together
            failures.append(error)
    if failures:
        raise ExceptionGroup("some routes were not as documented", failures)
    assert len(asked) > 15
    assert sum(asked.values()) > 10 * len(asked)
    assert min(roles[role] for role in ASKING) > len(asked)


def check_answer(case: Case, response: httpx.Response, role: Role | None, rights: frozenset[Right]) -> None:
    """Check an answer to what a role has asked, against the document and the route's rights."""
    if is_odd({"path": response.url.path, "raw_path": response.url.raw_path}):
        check_problem(response, 404, "no_such_route")
        return
    # What asks for a position that is not there yet is told so.
    assert response.status_code < 500 or response.json()["code"] == "not_caught_up", response.text
    if rights and (role is None or RIGHTS[role].isdisjoint(rights)):
        # Also where the address, in place of an id, makes it no route.
        assert response.status_code in ({401, 404} if role is None else {403, 404}), response.text
    case.validate_response(response, checks=CHECKS)


def send(client: TestClient, case: Case, who: dict[str, str]) -> httpx.Response:
    """Send a request as it was made, but for who asks."""
    sent = case.as_transport_kwargs(base_url=str(client.base_url))
    # No route looks at cookies.
    del sent["cookies"]
    body = sent.pop("data", None)
    if isinstance(body, str | bytes):
        sent["content"] = body
    headers = {
        name: value
        for name, value in sent.pop("headers").items()
        if is_sendable(value) and name.lower() != "authorization"
    }
    return client.request(
        **{name: value for name, value in sent.items() if value is not None}, headers=headers | who, auth=None
    )


def is_sendable(value: object) -> bool:
    """Whether a header can have this value at all."""
    return isinstance(value, str) and value.isascii() and value.isprintable()
