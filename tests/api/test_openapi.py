"""The document tells what the API does; that each answer's status is in it, every test's client checks."""

import re

import pytest

from api import schema_page
from api.documentation import STRUCTS
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


def test_operations_have_names_that_programs_keep(document):
    """Clients are made from them."""
    assert {
        "find_dossier",
        "follow_log",
        "get_cues",
        "get_dossier",
        "get_history",
        "get_looks",
        "get_index",
        "get_metrics",
        "get_overdue",
        "get_progress",
        "get_report",
        "get_report_changes",
        "get_totals",
        "get_unit",
        "get_ageing",
        "get_worklist",
        "import_reports",
        "is_alive",
        "is_ready",
        "lift_embargo",
        "list_purposes",
        "list_reasons",
        "list_reports",
        "list_unit_changes",
        "list_units",
        "place_embargo",
        "read_log",
        "record_reports",
        "reveal_number",
    } == {operation["operationId"] for _, _, operation in operations(document)}


def test_everything_is_said_in_words(document):
    """Each parameter and each answer, and none of it in the framework's own."""
    for path, _, operation in operations(document):
        for parameter in operation.get("parameters", []):
            assert parameter["description"], (path, parameter["name"])
        for status, response in operation["responses"].items():
            assert response["description"], (path, status)
            assert "Additional response" != response["description"], (path, status)
            assert not response["description"].endswith(" follows"), (path, status)
    for name in ("Report", "Problem", "Receipt", "TotalsAnswer"):
        assert document["components"]["schemas"][name]["description"], name


def test_fields_are_described_where_they_are_declared(document):
    """All that is answered takes part, also what a Struct has from its parent."""
    schemas = document["components"]["schemas"]

    assert set(schemas) == {struct.__name__ for struct in STRUCTS} | {"Report", "CloudEvent"}
    assert (
        "Its event's number within the dossier, from 1."
        == schemas["Receipt"]["properties"]["version"]["description"]
    )
    for name in ("Problem", "Unready"):
        kind = schemas[name]["properties"]["type"]
        assert "`urn:activation-ledger:problem:` and the code." == kind["description"], name
    for name, field in schemas["Report"]["properties"].items():
        assert field["description"], name


def test_every_code_is_listed(document):
    """Under the status that it comes with."""
    lines = document["info"]["description"].splitlines()
    listed = {line[2:5]: set(line[7:].split(", ")) for line in lines if line.startswith("- ")}

    assert {"not_caught_up", "store_unavailable"} <= listed["503"]
    assert {"bad_request", "body_cut", "invalid_json", "repeated_field"} <= listed["400"]
    assert {"token_needed", "token_invalid", "token_expired", "token_revoked"} == listed["401"]
    unknown = {"unknown_api_key", "unknown_citizen", "unknown_dossier", "unknown_report"}
    assert {"no_such_route"} | unknown == listed["404"]
    assert {"unsupported_media_type"} == listed["415"]


def test_not_ready_is_documented_as_one_shape(document):
    """A problem in any case; what readiness tells besides may be absent."""
    response = document["paths"]["/health/ready"]["get"]["responses"]["503"]
    assert {"$ref": "#/components/schemas/Unready"} == response["content"]["application/problem+json"][
        "schema"
    ]

    schemas = document["components"]["schemas"]
    assert schemas["Problem"]["required"] == schemas["Unready"]["required"]
    assert {"ready", "position", "projections"} == set(schemas["Unready"]["properties"]) - set(
        schemas["Problem"]["properties"]
    )


def test_the_body_of_a_report_is_documented(document):
    """One report or an array of them, with all fields of the import format."""
    body = document["paths"]["/v1/events"]["post"]["requestBody"]
    one, many = body["content"]["application/json"]["schema"]["oneOf"]
    assert (one, 1000) == (many["items"], many["maxItems"])

    one = document["components"]["schemas"][one["$ref"].rsplit("/", 1)[1]]
    assert body["required"]
    assert list(FIELDS) == list(one["properties"])
    assert not one["additionalProperties"]
    assert {"key", "type", "citizen", "level", "occurred_at", "actor"} == set(one["required"])
    assert {"atomic"} == {
        parameter["name"] for parameter in document["paths"]["/v1/events"]["post"]["parameters"]
    }


def test_the_example_of_the_document_is_a_good_report(client, document):
    """What people paste is recorded."""
    [example] = document["components"]["schemas"]["Report"]["examples"]
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


def test_the_page_shows_all_of_the_document(client, document):
    """Every operation, every schema and every field, with links that lead somewhere."""
    page = client.get("/schema").text
    for path, method, operation in operations(document):
        assert f'<h2 id="{operation["operationId"]}"><code>{method.upper()} {path}</code></h2>' in page
        for parameter in operation.get("parameters", []):
            assert f"<code>{parameter['name']}</code>" in page
    for name, schema in document["components"]["schemas"].items():
        assert f'<h2 id="{name}">' in page
        for field in schema["properties"]:
            assert f"<code>{field}" in page, (name, field)
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(re.findall(r'id="([^"]+)"', page))


def test_the_page_brings_nobody_in(client):
    """No script, and nothing from the network: histories can be read from where it is shown."""
    page = client.get("/schema").text
    assert [] == re.findall(r"<script|<link|<img|https?://|src=|@import|url\(", page)
    assert "default-src 'none'" in page


def test_the_page_takes_words_for_words():
    """Whatever a description holds."""
    document = {
        "info": {"title": "<i>", "version": "1", "description": "a < b & `c < d`"},
        "paths": {},
        "components": {"schemas": {}},
    }
    page = "\n".join(schema_page.page(document, "/openapi.json"))
    assert "<title>&lt;i&gt; 1</title>" in page
    assert "<p>a &lt; b &amp; <code>c &lt; d</code></p>" in page
