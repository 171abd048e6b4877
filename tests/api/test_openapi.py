"""The document tells what the API does; that each answer's status is in it, every test's client checks."""

import re

import pytest

from ledger.commands import FIELDS


@pytest.fixture
def document(client) -> dict:
    response = client.get("/schema/openapi.json")
    assert 200 == response.status_code
    return response.json()


def operations(document: dict) -> list[tuple[str, str, dict]]:
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in {"get", "post", "put", "patch", "delete"}
    ]


def test_the_document_is_openapi_3_1(document):
    """With the name and version of the program."""
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert "Activation ledger" == document["info"]["title"]


def test_every_route_is_in_the_document(client, document):
    """Of the application's routes, none is kept secret."""
    served = {
        (re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path_format), method.lower())
        for route in client.app.routes
        if not route.path.startswith("/schema")
        for method in route.methods
        if method not in {"OPTIONS", "HEAD"}
    }
    assert served == {(path, method) for path, method, _ in operations(document)}


def test_every_operation_tells_its_problems(document):
    """As application/problem+json, with a summary of the route and a name for programs."""
    for path, _, operation in operations(document):
        assert operation["summary"], path
        assert operation["operationId"], path
        assert "400" in operation["responses"], path
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert ["application/problem+json"] == list(response["content"]), (path, status)
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))


def test_the_body_of_a_report_is_documented(document):
    """One report or an array of them, with all fields of the import format."""
    body = document["paths"]["/v1/events"]["post"]["requestBody"]
    one, many = body["content"]["application/json"]["schema"]["oneOf"]

    assert body["required"]
    assert list(FIELDS) == list(one["properties"])
    assert not one["additionalProperties"]
    assert {"key", "type", "citizen", "level", "occurred_at", "actor"} == set(one["required"])
    assert (one, 1000) == (many["items"], many["maxItems"])
    assert {"atomic"} == {
        parameter["name"] for parameter in document["paths"]["/v1/events"]["post"]["parameters"]
    }


def test_the_example_of_the_document_is_a_good_report(client, document):
    """What people paste is recorded."""
    body = document["paths"]["/v1/events"]["post"]["requestBody"]
    [example] = body["content"]["application/json"]["schema"]["oneOf"][0]["examples"]
    assert 201 == client.post("/v1/events", json=example).status_code


def test_the_body_of_a_lookup_is_documented(document):
    """A client can be made from the document alone."""
    assert "application/json" in document["paths"]["/v1/dossiers/lookup"]["post"]["requestBody"]["content"]


def test_references_point_at_something(document):
    """No schema is named that is not there."""
    names = set(re.findall(r"'#/components/schemas/([^']+)'", str(document)))
    assert set() == names - set(document["components"]["schemas"])
    assert "Problem" in "".join(names)


@pytest.mark.parametrize("address", ["/schema", "/schema/openapi.json"])
def test_the_document_opens(client, address):
    """As a page, and for programs."""
    response = client.get(address)
    assert 200 == response.status_code
    assert "Activation ledger" in response.text
