"""Whatever is sent, the answer is one clear problem, and nothing is recorded.

That the answer is a problem with five members, documented, and repeats no personal number
is checked for every answer by the client itself.
"""

import json
from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID

import pytest
from litestar.testing import TestClient

from ledger import Ledger
from ledger.identities import Identities
from projections import Runner, open_totals
from tests.api.conftest import (
    CITIZEN,
    JSON,
    UNITS,
    api_of,
    check_problem,
    check_problem_item,
    citizen,
    report,
)
from tests.conftest import Clock, Server, check_ledger

COLLECTED, APPROVED, ACTIVATED = citizen(1), citizen(2), citizen(3)
"""Dossiers that stand there."""
LATER = "2024-12-09T22:00:00+07:00"
STANDING = [
    report("c", citizen=COLLECTED),
    report("c", citizen=APPROVED),
    report("p", citizen=APPROVED, type="approved"),
    report("c", citizen=ACTIVATED),
    report("p", citizen=ACTIVATED, type="approved"),
    report("v", citizen=ACTIVATED, type="activated"),
]
HEAD = UNITS + len(STANDING)
DEEP = "[" * 100_000 + "]" * 100_000


class Office(NamedTuple):
    client: TestClient
    ledger: Ledger


@pytest.fixture(scope="module")
def office(server: Server, units_template: str) -> Iterator[Office]:
    """A ledger for all tests of this module: they record nothing, or this fixture tells."""
    name = server.create(units_template)
    identities = Identities(lookup=bytes(32), wrap=bytes(32))
    with Ledger(server.database(name), identities, now=Clock()) as ledger:
        ledger.tree()
        totals = open_totals(ledger)
        with Runner(ledger), api_of(ledger, totals) as client:
            answers = client.post("/v1/events", json=STANDING).json()
            assert HEAD == answers[-1]["position"]
            yield Office(client, ledger)
        check_ledger(ledger, length=HEAD)
    server.drop(name)


@pytest.fixture
def client(office: Office) -> Iterator[TestClient]:
    yield office.client
    assert HEAD == office.ledger.head().position


REFUSED = {
    # The report is malformed.
    "citizen too short": (report(citizen="03809000123"), 400, "invalid_citizen"),
    "citizen too long": (report(citizen="0380900012345"), 400, "invalid_citizen"),
    "citizen with a letter": (report(citizen="03809000123a"), 400, "invalid_citizen"),
    "citizen with blanks": (report(citizen=" 038090001234"), 400, "invalid_citizen"),
    "citizen in full-width digits": (report(citizen="０３８０９０００１２３４"), 400, "invalid_citizen"),
    "citizen absent": (report(citizen=None), 400, "invalid_citizen"),
    "citizen as a number": (report(citizen=138090001234), 400, "invalid_field"),
    "level 0": (report(level=0), 400, "invalid_level"),
    "level 3": (report(level=3), 400, "invalid_level"),
    "level -1": (report(level=-1), 400, "invalid_level"),
    "level as the number": (report(level=int(CITIZEN)), 400, "invalid_level"),
    "level as the number's text": (report(level=CITIZEN), 400, "invalid_level"),
    "level of 401 digits": (report(level=10**400), 400, "invalid_level"),
    "level with a fraction": (report(level=2.0), 400, "invalid_field"),
    "level true": (report(level=True), 400, "invalid_field"),
    "level absent": (report(level=None), 400, "missing_field"),
    "time without offset": (report(occurred_at="2024-12-09T21:15:00"), 400, "time_without_offset"),
    "time 5 minutes and a second ahead": (
        report(occurred_at="2024-12-09T23:05:01+07:00"),
        400,
        "time_in_future",
    ),
    "time without a day": (report(occurred_at="21:15:00+07:00"), 400, "invalid_time"),
    "time on no day": (report(occurred_at="2024-02-30T21:15:00+07:00"), 400, "invalid_time"),
    "time before all times": (report(occurred_at="0001-01-01T00:00:00+14:00"), 400, "invalid_time"),
    "time as the number": (report(occurred_at=CITIZEN), 400, "invalid_time"),
    "time as a number": (report(occurred_at=1733753700), 400, "invalid_field"),
    "time absent": (report(occurred_at=None), 400, "missing_field"),
    "unknown type": (report(type="transferred"), 400, "unknown_type"),
    "type as the number": (report(type=CITIZEN), 400, "unknown_type"),
    "type absent": (report(type=None), 400, "missing_field"),
    "key absent": (report(key=None), 400, "missing_field"),
    "key too long": (report("k" * 65), 400, "invalid_field"),
    "key with a line feed": (report("a\nb"), 400, "invalid_field"),
    "key with NUL": (report("a\x00b"), 400, "nul_character"),
    "own number in key": (report(f"k-{CITIZEN}"), 400, "personal_number"),
    "own number in key, spaced": (report("0380 9000 1234"), 400, "personal_number"),
    "another's number in key": (report(citizen(9)), 400, "personal_number"),
    "number in unit": (report(unit=CITIZEN), 400, "personal_number"),
    "number in actor": (report(actor=CITIZEN), 400, "personal_number"),
    "number in team": (report(team=CITIZEN), 400, "personal_number"),
    "number in place": (report(place=CITIZEN), 400, "invalid_field"),
    "number in partner": (report(partner=CITIZEN), 400, "invalid_field"),
    "number in reason": (report(type="rejected", reason=CITIZEN), 400, "invalid_field"),
    "number in note": (report(note=f"mẹ của cháu là {citizen(9)}"), 400, "personal_number"),
    "NUL in note": (report(note="a\x00b"), 400, "nul_character"),
    "note too long": (report(note="ă" * 501), 400, "invalid_field"),
    "actor absent": (report(actor=None), 400, "missing_field"),
    "unit absent": (report(unit=None), 400, "missing_field"),
    "reason absent": (report(type="rejected"), 400, "missing_field"),
    "reason of a collection": (report(reason="photo"), 400, "invalid_field"),
    "unknown field": (report(colour="red"), 400, "unknown_column"),
    "the number as a field's name": (report(**{CITIZEN: "x"}), 400, "unknown_column"),
    "empty object": ({}, 400, None),
    **{
        f"{name} as {shape}": (report(**{name: value}), 400, "invalid_field")
        for name in ("key", "type", "citizen", "unit", "occurred_at", "actor", "note")
        for shape, value in {"array": [CITIZEN], "object": {CITIZEN: 1}, "true": True, "number": 1}.items()
    },
    # The units say no.
    "unknown unit": (report(unit="99999"), 422, "unknown_unit"),
    "unit not valid in 2020": (report(occurred_at="2020-12-31T23:59:59+07:00"), 422, "unit_not_valid"),
    "unit not valid in Vietnam's 2020": (report(occurred_at="2020-12-31T16:59:59Z"), 422, "unit_not_valid"),
    # The dossier is elsewhere.
    "approved before collected": (report(type="approved"), 409, "not_collected"),
    "rejected before collected": (report(type="rejected", reason="photo"), 409, "not_collected"),
    "activated before collected": (report(type="activated"), 409, "not_approved"),
    "activated before approved": (report(citizen=COLLECTED, type="activated"), 409, "not_approved"),
    "collected twice": (report(citizen=COLLECTED), 409, "already_collected"),
    "approved twice": (report(citizen=APPROVED, type="approved"), 409, "already_approved"),
    "activated twice": (
        report(citizen=ACTIVATED, type="activated", occurred_at=LATER),
        409,
        "already_active",
    ),
    "out of order": (
        report(citizen=COLLECTED, type="approved", occurred_at="2024-12-09T21:14:59+07:00"),
        409,
        "out_of_order",
    ),
    "same key, other content": (report("c", citizen=COLLECTED, actor="th-0043"), 409, "key_conflict"),
    "same key, other type": (report("c", citizen=COLLECTED, type="approved"), 409, "key_conflict"),
    "same key, other note": (report("c", citizen=COLLECTED, note="khác"), 409, "key_conflict"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_report_is_one_problem(client, name):
    """Alone, and the same problem in the middle of an array, where the others are answered as ever."""
    sent, status, code = REFUSED[name]
    alone = client.post("/v1/events", json=sent)
    problem = check_problem(alone, status, code or alone.json()["code"])
    answers = client.post("/v1/events", json=[STANDING[0], sent, STANDING[3]]).json()

    assert [True, None, True] == [answer.get("duplicate") for answer in answers]
    assert problem == answers[1]
    assert 400 > len(problem["detail"])


def test_all_bad_reports_at_once_are_a_problem_each(client):
    """None of them spoils another one's reason, but for those that share a dossier with it."""
    sent = [bad for bad, _, _ in REFUSED.values()]
    answers = client.post("/v1/events", json=sent).json()

    assert len(sent) == len(answers)
    for (name, (_, status, code)), answer in zip(REFUSED.items(), answers, strict=True):
        check_problem_item(answer)
        assert (status, code or answer["code"]) == (answer["status"], answer["code"]), name


def raw(**fields: object) -> bytes:
    """Return a report's JSON, as most programs write it."""
    return json.dumps(report(**fields), ensure_ascii=False).encode()


GOOD = raw()
BODIES = {
    "empty": b"",
    "blank": b" \n",
    "cut in the middle": GOOD[: len(GOOD) // 2],
    "cut before its end": GOOD[:-1],
    "an array cut in the middle": b"[" + GOOD + b"," + GOOD[:30],
    "two objects": GOOD + GOOD,
    "text": b'"038090001234"',
    "number": b"38090001234",
    "null": b"null",
    "true": b"true",
    "nested beyond reason": DEEP.encode(),
    "nested beyond reason and cut": b"[" * 100_000,
    "objects nested beyond reason": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a field nested beyond reason": GOOD.replace(b'"14758"', DEEP.encode()),
    "an item nested beyond reason": b"[" + GOOD + b"," + DEEP.encode() + b"]",
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "a bare NUL": GOOD.replace(b"a1", b"a\x001"),
    "a bare line feed": GOOD.replace(b"a1", b"a\n1"),
    "half a character": GOOD.replace(b"a1", b"\\ud800"),
    "half a character in a name": GOOD.replace(b"key", b"\\udc00"),
    "not a number": GOOD.replace(b": 2,", b": NaN,"),
    "a leading zero": GOOD.replace(b": 2,", b": 02,"),
    "single quotes": GOOD.replace(b'"', b"'"),
    "a form": b"citizen=038090001234&level=2",
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_no_json_is_one_problem(client, name):
    """There are no items to answer for, so the answer is one problem for the whole body."""
    problem = check_problem(
        client.post("/v1/events", content=BODIES[name], headers=JSON), 400, "invalid_json"
    )
    assert 200 > len(problem["detail"])


@pytest.mark.parametrize(
    "body",
    [
        GOOD.replace(b"a1", b"\xff"),
        raw(note="Nguyễn").decode().encode("utf-16"),
        "[{}]".encode("utf-32"),
        b"\xc0\x80",
    ],
)
def test_a_body_that_is_not_utf_8_is_one_problem(client, body):
    """Latin-1, UTF-16, overlong zeros."""
    check_problem(client.post("/v1/events", content=body, headers=JSON), 400, "not_utf8")


@pytest.mark.parametrize("digits", [20, 400, 4299, 4300, 4301, 100_000])
def test_a_level_of_any_size_is_one_problem(client, digits):
    """Also one that Python refuses to print; alone, and in an array beside a good one."""
    body = GOOD.replace(b": 2,", b": " + b"9" * digits + b",")
    response = client.post("/v1/events", content=body, headers=JSON)
    problem = check_problem(response, 400, "invalid_level" if digits <= 4300 else "invalid_field")
    answers = client.post(
        "/v1/events", content=b"[" + body + b"," + json.dumps(STANDING[0]).encode() + b"]", headers=JSON
    ).json()
    assert (problem, True) == (answers[0], answers[1]["duplicate"])


@pytest.mark.parametrize("item", [7, "x", None, True, [], [report()], 1.5])
def test_an_item_that_is_no_object_is_a_problem_of_its_own(client, item):
    """The others of the array are answered as ever."""
    answers = client.post("/v1/events", json=[STANDING[0], item, STANDING[3]]).json()

    assert [True, None, True] == [answer.get("duplicate") for answer in answers]
    assert (400, "invalid_json") == (answers[1]["status"], answers[1]["code"])


def test_more_than_a_thousand_items_are_too_many(client):
    """Whatever the items are, none is looked at."""
    problem = check_problem(client.post("/v1/events", json=[1] * 1001), 413, "too_many")
    assert "1001" in problem["detail"]
    check_problem(client.post("/v1/events", json=[report()] * 1001), 413, "too_many")


@pytest.mark.parametrize("size", [2_000_001, 20_000_000])
@pytest.mark.parametrize("first", [b"[", b"{", b" "])
def test_a_body_too_large_is_refused_unread(client, size, first):
    """2 MB is the most."""
    problem = check_problem(client.post("/v1/events", content=first * size), 413, "body_too_large")
    assert "at most 2,000,000 bytes are taken" == problem["detail"]


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/csv", "x"],
)
def test_a_body_declared_as_something_else_is_refused(client, content_type):
    """Even if it would be JSON."""
    response = client.post("/v1/events", content=GOOD, headers={"content-type": content_type})
    check_problem(response, 415, "unsupported_media_type")


@pytest.mark.parametrize("headers", [{}, {"content-type": ""}, {"content-type": " ; charset=utf-8"}], ids=str)
def test_a_body_declared_as_nothing_is_refused(client, headers):
    """It is told what to send; nobody guesses what a body is."""
    for method, address, body in (
        ("POST", "/v1/events", GOOD),
        ("POST", "/v1/dossiers/lookup", b'{"citizen":"038090000001"}'),
        ("POST", f"/v1/dossiers/{UUID(int=1)}/embargo", b'{"until":"2025-01-01","purpose_text":"x"}'),
        ("POST", "/v1/events/import", b"key\n"),
    ):
        response = client.request(method, address, content=body, headers=headers)
        problem = check_problem(response, 415, "unsupported_media_type")
        assert "send the" in problem["detail"], address
        assert "text/csv" in problem["detail"] or "Content-Type: application/json" in problem["detail"]


@pytest.mark.parametrize(
    "address", ["/v1/events", "/v1/dossiers/lookup", f"/v1/dossiers/{UUID(int=1)}/embargo"]
)
@pytest.mark.parametrize("depth", [8, 9])
def test_every_body_is_nested_so_deep_at_most(client, address, depth):
    """Eight levels are read; nine are refused before anything decodes them, with a sentence of their own."""
    body = b'{"until":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"
    answer = client.post(address, content=body, headers=JSON)
    assert 400 == answer.status_code
    assert (depth == 9) == ("more than 8 levels" in answer.json()["detail"])


def test_a_lookup_declared_as_something_else_is_refused(client):
    """The same rule as for reports."""
    headers = {"content-type": "text/plain"}
    response = client.post("/v1/dossiers/lookup", content=b'{"citizen":"038090000001"}', headers=headers)
    check_problem(response, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "/v1/events"),
        ("TRACE", "/v1/events"),
        ("CONNECT", "/v1/events"),
        ("PUT", "/v1/events"),
        ("DELETE", "/v1/events"),
        ("POST", "/v1/totals"),
    ]
    + [("DELETE", "/v1/units"), ("GET", "/v1/dossiers/lookup"), ("POST", "/"), ("PATCH", "/health/ready")],
)
def test_a_wrong_method_is_refused(client, method, path):
    """Nothing can be changed or deleted, because no route does; the answer says what can be done."""
    response = client.request(method, path)
    problem = check_problem(response, 405, "method_not_allowed")

    assert f"it takes {response.headers['allow']}" == problem["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/v2/events",
        "/v1/event",
        "/v1/dossiers",
        "/v1/dossiers/1",
        f"/v1/dossiers/{CITIZEN}",
        "/%00",
        "/é",
    ]
    + [
        "/v1/dossiers/not-a-uuid/history",
        "/v1/dossiers/00000000-0000-8000-8000-75",
        "/.env",
        "/v1/units/a/b",
    ],
)
def test_an_address_that_is_no_route_is_refused(client, path):
    """Ids that are no ids included."""
    check_problem(client.get(path), 404, "no_such_route")


@pytest.mark.parametrize(
    "address",
    [
        "/v1/totals?colour=red",
        "/v1/totals?form=2024-01-01",
        "/v1/units?day=2024-01-01",
        "/v1/units/38?in=2024-01-01",
    ]
    + [
        "/?x=1",
        "/health/live?x=1",
        "/health/ready?x=1",
        f"/v1/totals?citizen={CITIZEN}",
        f"/v1/totals?{CITIZEN}=1",
    ]
    + [f"/v1/dossiers/{'0' * 8}-0000-8000-8000-{'0' * 12}?level=1"],
)
def test_an_unknown_query_parameter_is_refused(client, address):
    """A typo must not silently change an answer."""
    problem = check_problem(client.get(address), 400, "bad_request")
    assert "unknown query parameter" in problem["detail"]


@pytest.mark.parametrize(
    "query", ["unit=401&unit=402", "unit=401&unit=401", "after=1&level=1&after=1", "by=day&by=unit"]
)
def test_a_query_parameter_that_stands_twice_is_refused(client, query):
    """Nobody could tell which of the two was answered."""
    problem = check_problem(client.get(f"/v1/totals?{query}"), 400, "bad_request")
    assert "stands more than once" in problem["detail"]


@pytest.mark.parametrize("address", ["/v1/totals?unit=", "/v1/cues?actor=", "/v1/worklist?unit=38&cursor="])
@pytest.mark.parametrize("bad", ["%00", "a%00b", "%ff", "%c0%80", "%ed%a0%80"])
def test_a_parameter_that_is_no_text_is_refused(client, address, bad):
    """NUL, which the database has no place for, and what is not UTF-8."""
    problem = check_problem(client.get(address + bad), 400, "bad_request")
    assert "a parameter is malformed or out of bounds: " in problem["detail"]


def test_an_unknown_query_parameter_of_a_report_is_refused(client):
    """Somebody who writes atomc=true means something that would not happen."""
    check_problem(client.post("/v1/events?atomc=true", json=report()), 400, "bad_request")
    check_problem(client.post("/v1/events?atomic=perhaps", json=report()), 400, "bad_request")


@pytest.mark.parametrize(
    "bad", ["2024-13-01", "2024-02-30", "yesterday", "20241209", CITIZEN, "", "2024-12-09T00:00:00", "%00"]
)
@pytest.mark.parametrize(
    "parameter", ["/v1/totals?from=", "/v1/totals?to=", "/v1/units?on=", "/v1/units/38?on="]
)
def test_a_malformed_day_is_refused(client, parameter, bad):
    """The problem names the parameter and does not repeat what was sent."""
    problem = check_problem(client.get(parameter + bad), 400, "bad_request")
    name = parameter.split("?")[1].rstrip("=")
    assert f"a parameter is malformed or out of bounds: {name}" == problem["detail"]


@pytest.mark.parametrize("bad", [str(2**63), "9" * 5000, "-1", "1.5", "x", "", "%00"])
def test_a_position_beyond_all_positions_is_refused(client, bad):
    """Also one that the database's integers cannot hold."""
    check_problem(client.get(f"/v1/totals?after={bad}"), 400, "bad_request")


@pytest.mark.parametrize("query", ["level=3", "level=0", "level=two", "level=2&level=x", "attribution=x"])
def test_a_question_that_makes_no_sense_is_refused(client, query):
    """Nothing is guessed."""
    check_problem(client.get(f"/v1/totals?{query}"), 400, "bad_request")


LOOKUPS = {
    "11 digits": ({"citizen": "38090001234"}, 400, "invalid_citizen"),
    "letters": ({"citizen": "abc"}, 400, "invalid_citizen"),
    "number": ({"citizen": 138090001234}, 400, "invalid_citizen"),
    "array": ({"citizen": [CITIZEN]}, 400, "invalid_citizen"),
    "null": ({"citizen": None}, 400, "invalid_citizen"),
    "other field": ({"number": CITIZEN}, 400, "invalid_json"),
    "the number as a name": ({CITIZEN: 1}, 400, "invalid_json"),
    "field too many": ({"citizen": CITIZEN, "level": 2}, 400, "invalid_json"),
    "list": ([CITIZEN], 400, "invalid_json"),
    "text": (CITIZEN, 400, "invalid_json"),
    "nobody": ({"citizen": citizen(999)}, 404, "unknown_citizen"),
    "large": ({"citizen": "0" * 20_000}, 413, "body_too_large"),
}


@pytest.mark.parametrize("name", LOOKUPS)
def test_a_bad_lookup_is_one_problem(client, name):
    """The number that was asked for is never repeated."""
    sent, status, code = LOOKUPS[name]
    check_problem(client.post("/v1/dossiers/lookup", json=sent), status, code)


def test_a_lookup_with_two_numbers_is_refused(client):
    """Nobody could tell whose dossier was found."""
    body = f'{{"citizen":"{citizen(1)}","citizen":"{citizen(2)}"}}'
    check_problem(client.post("/v1/dossiers/lookup", content=body, headers=JSON), 400, "repeated_field")


@pytest.mark.parametrize("name", [name for name in BODIES if len(BODIES[name]) < 10_000])
def test_a_lookup_that_is_no_json_is_one_problem(client, name):
    """As for reports."""
    check_problem(client.post("/v1/dossiers/lookup", content=BODIES[name], headers=JSON), 400, "invalid_json")
