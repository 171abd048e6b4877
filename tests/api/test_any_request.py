"""Whatever the document allows, and what it does not: no route fails, and none answers what the document does not list.

Schemathesis makes requests of the OpenAPI document, good ones and such as break a rule of it. ``MODEL_EXAMPLES=20`` makes 20
times as many; a failing test says with which LEDGER_TEST_SEED it begins.
"""

import os
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from litestar.testing import TestClient
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi import checks

from api.edge.requests import is_odd
from ledger import Ledger
from ledger.identities import read_key_file
from ledger.key_files import create_key_file
from projections import Runner, open_totals
from tests.api.conftest import api_of, check_problem, report
from tests.clients import seeded
from tests.conftest import Clock, Server, check_ledger

EXAMPLES = 30 * int(os.environ.get("MODEL_EXAMPLES", "1"))
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


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_no_request_meets_what_the_document_does_not_tell(client, mode):
    """Of every route: good ones, and such as break one rule; none is answered with 5xx or an undocumented status."""
    schema = schemathesis.openapi.from_dict(client.get("/schema/openapi.json").json())
    chance = seeded(f"any request, {mode.value}")
    asked, failures = Counter(), []
    for result in schema.get_all_operations():
        operation = result.ok()
        name = operation.definition.raw["operationId"]
        if name in ENDLESS:
            continue

        @seed(chance.getrandbits(64))
        @settings(max_examples=EXAMPLES, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
        @given(operation.as_strategy(mode))
        def ask(case: Case) -> None:
            asked[case.operation.label] += 1
            response = send(client, case)
            if is_odd({"path": response.url.path, "raw_path": response.url.raw_path}):
                check_problem(response, 404, "no_such_route")
                return
            # What asks for a position that is not there yet is told so.
            assert response.status_code < 500 or response.json()["code"] == "not_caught_up", response.text
            case.validate_response(response, checks=CHECKS)

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


def send(client: TestClient, case: Case) -> httpx.Response:
    """Send a request as it was made."""
    sent = case.as_transport_kwargs(base_url=str(client.base_url))
    # No route looks at cookies.
    del sent["cookies"]
    body = sent.pop("data", None)
    if isinstance(body, str | bytes):
        sent["content"] = body
    headers = {name: value for name, value in sent.pop("headers").items() if is_sendable(value)}
    return client.request(
        **{name: value for name, value in sent.items() if value is not None}, headers=headers
    )


def is_sendable(value: object) -> bool:
    """Whether a header can have this value at all."""
    return isinstance(value, str) and value.isascii() and value.isprintable()
