"""A report may come as a CloudEvent 1.0: the same report, the same answers, the same refusals."""

import json
from collections.abc import Iterator

import pytest
from litestar.testing import TestClient

from api.cloud_events import MANY, ONE
from ledger import Ledger
from ledger.identities import Identities
from projections import Runner, open_totals
from tests.api.conftest import CITIZEN, UNITS, api_of, check_problem, check_problem_item, citizen, report
from tests.conftest import Clock, Server, check_ledger

TIME = "2024-12-09T21:15:00+07:00"
DATA = {name: value for name, value in report().items() if name not in {"key", "type", "occurred_at"}}


def event(data: object = DATA, **attributes: object) -> dict:
    """Return a good event, but for the attributes given; () takes one out."""
    whole = {
        "specversion": "1.0",
        "id": "a1",
        "source": "/communes/14758",
        "type": "dossier.collected.v1",
        "time": TIME,
        "data": data,
    } | attributes
    return {name: value for name, value in whole.items() if value != ()}


def post(client, sent: object, media_type: str = ONE, **more):
    body = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    return client.post("/v1/events", content=body, headers={"content-type": media_type}, **more)


@pytest.fixture(scope="module")
def office(server: Server, units_template: str) -> Iterator[TestClient]:
    """A ledger with one report, for all tests that may add none to it."""
    name = server.create(units_template)
    with Ledger(server.database(name), Identities(lookup=bytes(32), wrap=bytes(32)), now=Clock()) as ledger:
        ledger.tree()
        totals = open_totals(ledger)
        with Runner(ledger), api_of(ledger, totals) as client:
            assert 201 == client.post("/v1/events", json=report()).status_code
            yield client
        check_ledger(ledger, length=UNITS + 1)
    server.drop(name)


def test_an_event_is_recorded_like_the_report_it_holds(client, ledger):
    """201 with the receipt; the plain report with the same key is its duplicate."""
    first = post(client, event())
    again = client.post("/v1/events", json=report())

    assert 201 == first.status_code
    assert first.json() | {"duplicate": True} == again.json()
    [recorded] = ledger.history(citizen=CITIZEN).events
    assert ("a1", "collected", "th-0042") == (recorded.key, recorded.type, recorded.actor)
    check_ledger(ledger, length=UNITS + 1)


SAME = {
    "short type": event(type="collected"),
    "media type with parameters": event(),
    "everything in data": event(report(), time=()),
    "everything twice": event(report()),
    "the same instant in UTC": event(report(), time="2024-12-09T14:15:00Z"),
    "empty fields of data": event(DATA | {"key": "", "type": None, "occurred_at": None}),
    "null attributes": event(subject=None, dataschema=None, unsetextension=None, data_base64=None),
    "data declared as JSON": event(datacontenttype="application/json"),
    "data declared with a parameter": event(datacontenttype="application/json; charset=utf-8"),
    "data declared as some JSON": event(datacontenttype="application/vnd.ledger+json"),
    "a schema": event(dataschema="https://example.org/report.json"),
    "a subject": event(subject="dossiers/7"),
    "extensions": event(traceparent="00-4bf92f35-01", sequence=5, sampled=True),
    "source with a scheme": event(source="https://example.org/a?b=c#d"),
    "source that is a urn": event(source="urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66"),
    "source that is a word": event(source="cloudevents"),
}


@pytest.mark.parametrize("name", SAME)
def test_events_that_say_the_same_are_the_same_report(office, name):
    """However it is said, it is a duplicate of the report that is there."""
    media_type = f"{ONE}; charset=UTF-8" if name == "media type with parameters" else ONE
    answer = post(office, SAME[name], media_type)
    assert (201, True) == (answer.status_code, answer.json()["duplicate"])


FULL_WIDTH = "０３８０９０００１２３４"
REFUSED = {
    "no specversion": (event(specversion=()), "missing_field"),
    "null specversion": (event(specversion=None), "missing_field"),
    "other specversion": (event(specversion="0.3"), "invalid_field"),
    "specversion as a number": (event(specversion=1), "invalid_field"),
    "no id": (event(id=()), "missing_field"),
    "empty id": (event(id=""), "invalid_field"),
    "id as a number": (event(id=7), "invalid_field"),
    "id that is not the key": (event(report("b1")), "invalid_field"),
    "id too long": (event(id="k" * 65), "invalid_field"),
    "no source": (event(source=()), "missing_field"),
    "empty source": (event(source=""), "invalid_field"),
    "source with a blank": (event(source="my terminal"), "invalid_field"),
    "source with a broken escape": (event(source="/a%2"), "invalid_field"),
    "source with two fragments": (event(source="a#b#c"), "invalid_field"),
    "source with no such scheme": (event(source="1a:b"), "invalid_field"),
    "source beyond ASCII": (event(source="/phường"), "invalid_field"),
    "source as true": (event(source=True), "invalid_field"),
    "no type": (event(type=()), "missing_field"),
    "unknown type": (event(type="dossier.collected.v9"), "unknown_type"),
    "type of a unit event": (event(type="unit.opened.v1"), "unknown_type"),
    "type that is not that of data": (event(report(type="approved")), "invalid_field"),
    "time that is another": (event(report(), time="2024-12-09T21:15:01+07:00"), "invalid_field"),
    "time without offset": (event(time="2024-12-09T21:15:00"), "time_without_offset"),
    "time that is none": (event(time="yesterday"), "invalid_time"),
    "time as a number": (event(time=1733753700), "invalid_field"),
    "no time at all": (event(time=()), "missing_field"),
    "no data": (event(()), "missing_field"),
    "null data": (event(None), "missing_field"),
    "data as text": (event(json.dumps(DATA)), "invalid_field"),
    "data as an array": (event([DATA]), "invalid_field"),
    "data with an unknown field": (event(DATA | {"colour": "red"}), "unknown_column"),
    "data with something nested": (event(DATA | {"actor": {"code": "x"}}), "invalid_field"),
    "data of another kind": (event(datacontenttype="application/xml"), "invalid_field"),
    "data of almost JSON": (event(datacontenttype="application/xjson"), "invalid_field"),
    "data in base64": (event((), data_base64="e30="), "invalid_field"),
    "data twice": (event(data_base64="e30="), "invalid_field"),
    "schema that is no URI": (event(dataschema="report.json"), "invalid_field"),
    "empty subject": (event(subject=""), "invalid_field"),
    "name in capitals": (event(traceParent="x"), "unknown_column"),
    "name with a dash": (event(**{"trace-parent": "x"}), "unknown_column"),
    "the number as a name": (event(**{CITIZEN: "x"}), "personal_number"),
    "the number in a name": (event(**{f"a1{CITIZEN}": "x"}), "personal_number"),
    "nested extension": (event(trace={"parent": 1}), "invalid_field"),
    "extension with a fraction": (event(sequence=1.5), "invalid_field"),
    "extension beyond 32 bits": (event(sequence=2**31), "invalid_field"),
    "the number as an extension": (event(sequence=int("1" + CITIZEN[1:])), "invalid_field"),
    "the number in an extension": (event(session=CITIZEN), "personal_number"),
    "another's number in an extension": (event(session=f"s/{citizen(9)}/1"), "personal_number"),
    "the number in subject": (event(subject=f"citizens/{CITIZEN}"), "personal_number"),
    "the number in subject, spaced": (event(subject="0380 9000 1234"), "personal_number"),
    "the number in subject, among others": (event(subject=f"1{CITIZEN}"), "personal_number"),
    "the number in subject, full-width": (event(subject=FULL_WIDTH), "personal_number"),
    "the number in source": (event(source=f"/citizens/{CITIZEN}"), "personal_number"),
    "the number in source, parted": (event(source="/0380/9000/1234"), "personal_number"),
    "the number in id": (event(id=CITIZEN), "personal_number"),
    "the number in type": (event(type=CITIZEN), "personal_number"),
    "NUL in an extension": (event(session="a\x00b"), "invalid_field"),
    "no citizen": (
        event({name: value for name, value in DATA.items() if name != "citizen"}),
        "invalid_citizen",
    ),
    "an empty event": ({}, "missing_field"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_event_is_one_problem(office, name):
    """Alone, and the same problem in a batch, whose other events are answered as ever."""
    sent, code = REFUSED[name]
    problem = check_problem(post(office, sent), 400, code)
    answers = post(office, [event(), sent], MANY).json()

    assert problem == answers[1]
    assert answers[0]["duplicate"]


def test_a_state_that_forbids_it_is_the_same_problem_as_ever(office):
    """The ledger knows nothing of envelopes."""
    check_problem(
        post(office, event(DATA | {"citizen": citizen(1)}, type="dossier.approved.v1")), 409, "not_collected"
    )
    check_problem(post(office, event(DATA | {"citizen": citizen(1), "unit": "99999"})), 422, "unknown_unit")


def test_a_batch_is_answered_item_by_item(client, ledger):
    """Receipts and problems in order; an empty batch has no answers."""
    second = event(id="a2", type="dossier.approved.v1")
    answers = post(client, [event(), second, event(specversion="2.0"), 7, event()], MANY)

    assert 200 == answers.status_code
    first, approved, old, number, again = answers.json()
    assert [1, 2] == [first["version"], approved["version"]]
    assert first | {"duplicate": True} == again
    for problem in (old, number):
        check_problem_item(problem)
    assert ["invalid_field", "invalid_json"] == [old["code"], number["code"]]
    assert (200, []) == ((empty := post(client, [], MANY)).status_code, empty.json())
    check_ledger(ledger, length=UNITS + 2)


def test_an_atomic_batch_is_all_or_nothing(client, ledger):
    """One event that is none refuses all."""
    answers = post(client, [event(), event(specversion="2.0")], MANY, params={"atomic": "true"}).json()
    assert ["not_recorded", "invalid_field"] == [answer["code"] for answer in answers]
    check_ledger(ledger, length=UNITS)


def test_the_media_type_says_whether_it_is_one_or_many(office):
    """An array is no event, and an event is no batch."""
    check_problem(post(office, [event()], ONE), 400, "invalid_json")
    check_problem(post(office, event(), MANY), 400, "invalid_json")
    check_problem(post(office, [event()] * 1001, MANY), 413, "too_many")


@pytest.mark.parametrize(
    "media_type", ["application/cloudevents", "application/cloudevents+xml", "application/cloudevents-batch"]
)
def test_other_formats_of_events_are_refused(office, media_type):
    """The sentence names those that are taken."""
    problem = check_problem(post(office, event(), media_type), 415, "unsupported_media_type")
    assert ONE in problem["detail"]
    assert MANY in problem["detail"]


@pytest.mark.parametrize("header", ["ce-specversion", "Ce-Id", "CE-Type", "ce-source"])
def test_binary_mode_is_refused(client, ledger, header):
    """Else the body would be taken for a plain report, whatever the headers say of it."""
    problem = check_problem(
        client.post("/v1/events", json=report(), headers={header: "a1"}), 415, "unsupported_media_type"
    )
    assert "binary mode" in problem["detail"]
    check_ledger(ledger, length=UNITS)


def test_a_structured_event_may_repeat_itself_in_headers(client):
    """The HTTP binding allows it; only the body counts."""
    headers = {"content-type": ONE, "ce-id": "other", "ce-specversion": "1.0"}
    assert 201 == client.post("/v1/events", content=json.dumps(event()), headers=headers).status_code


GOOD = json.dumps(event()).encode()
DEEP = b"[" * 100_000 + b"]" * 100_000
BODIES = {
    "empty": (b"", "invalid_json"),
    "cut": (GOOD[:-1], "invalid_json"),
    "not UTF-8": (GOOD.replace(b"a1", b"\xff"), "not_utf8"),
    "an attribute twice": (GOOD[:-1] + b',"id":"a1"}', "repeated_field"),
    "an attribute twice, spelt otherwise": (GOOD[:-1] + b',"\\u0069d":"a1"}', "repeated_field"),
    "data twice": (GOOD[:-1] + b',"data":{}}', "repeated_field"),
    "a field of data twice": (GOOD.replace(b'"level": 2', b'"level": 2, "level": 1'), "repeated_field"),
    "a citizen twice": (
        GOOD.replace(b'"level": 2', b'"level": 2, "citizen": "%s"' % CITIZEN.encode()),
        "repeated_field",
    ),
    "half a character": (GOOD.replace(b"a1", b"\\ud800"), "invalid_json"),
    "half a character in an extension": (GOOD[:-1] + b',"x":"\\ud800"}', "invalid_json"),
    "a bare NUL": (GOOD.replace(b"a1", b"a\x00"), "invalid_json"),
    "NUL in a field of data": (GOOD.replace(b"th-0042", b"a\\u0000"), "nul_character"),
    "data nested beyond reason": (GOOD.replace(b'"14758"', DEEP), "invalid_json"),
    "an extension nested beyond reason": (GOOD[:-1] + b',"x":' + DEEP + b"}", "invalid_json"),
    "nested beyond reason": (DEEP, "invalid_json"),
    "an integer of 5,000 digits": (GOOD[:-1] + b',"x":' + b"9" * 5000 + b"}", "invalid_field"),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_no_event_is_one_problem(office, name):
    """As strict as plain reports are read."""
    body, code = BODIES[name]
    check_problem(post(office, body), 400, code)


def test_a_batch_too_large_is_refused_unread(office):
    """2 MB is the most, as for plain reports."""
    check_problem(post(office, b"[" * 2_000_001, MANY), 413, "body_too_large")


def test_the_document_lists_the_media_types(client):
    """A client can be made from it; its example is recorded as it stands."""
    document = client.get("/schema/openapi.json").json()
    content = document["paths"]["/v1/events"]["post"]["requestBody"]["content"]
    one = {"$ref": "#/components/schemas/CloudEvent"}
    assert {"application/json", ONE, MANY} == set(content)
    assert one == content[ONE]["schema"]
    assert (one, 1000) == (content[MANY]["schema"]["items"], content[MANY]["schema"]["maxItems"])
    [example] = document["components"]["schemas"]["CloudEvent"]["examples"]
    assert 201 == post(client, example).status_code
