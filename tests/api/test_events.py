"""Reports go in once, one or many, and are there when the answer is."""

import pytest

from tests.api.conftest import JSON, UNITS, check_problem, check_problem_item, citizen, report, token_of
from tests.conftest import check_ledger

STEPS = (
    report("a1"),
    report("a2", type="approved", unit=None, occurred_at="2024-12-09T21:20:00+07:00"),
    report("a3", type="activated", occurred_at="2024-12-09T21:30:00+07:00"),
)


def test_one_report_is_created(client, ledger):
    """A report on its own is answered 201, with the receipt of its event."""
    response = client.post("/v1/events", json=report())
    receipt = response.json()

    assert 201 == response.status_code
    assert {"position", "version", "dossier_id", "recorded_at", "duplicate"} == set(receipt)
    assert (UNITS + 1, 1, False) == (receipt["position"], receipt["version"], receipt["duplicate"])
    check_ledger(ledger, length=UNITS + 1)


@pytest.mark.parametrize("times", [1, 5])
def test_a_retry_gets_the_first_receipt(client, ledger, times):
    """The same key with the same content records nothing more."""
    first = client.post("/v1/events", json=report(note="hẹn lại")).json()
    for _ in range(times):
        again = client.post("/v1/events", json=report(note="hẹn lại"))
        assert 201 == again.status_code
        assert first | {"duplicate": True} == again.json()

    check_ledger(ledger, length=UNITS + 1)


def test_a_retry_may_spell_the_same_content_differently(client, ledger):
    """The same instant with another offset, null for absent, text for the level: it is the same report."""
    first = client.post("/v1/events", json=report()).json()
    spelt = report(occurred_at="2024-12-09T14:15:00Z", level="2") | {"note": None, "team": ""}
    again = client.post("/v1/events", json=spelt)

    assert first | {"duplicate": True} == again.json()


def test_a_whole_dossier_goes_in_step_by_step(client, ledger):
    """Collected, approved, activated: each one's version follows the one before."""
    receipts = [client.post("/v1/events", json=step).json() for step in STEPS]

    assert [1, 2, 3] == [receipt["version"] for receipt in receipts]
    assert 1 == len({receipt["dossier_id"] for receipt in receipts})
    check_ledger(ledger, length=UNITS + 3)


def test_an_array_is_answered_item_by_item(client, ledger):
    """A receipt or a problem for each item, in the order of the items, with status 200."""
    sent = [STEPS[0], report(citizen=citizen(1), unit="99999"), STEPS[1], STEPS[0], 7, STEPS[2]]
    response = client.post("/v1/events", json=sent)
    answers = response.json()

    assert 200 == response.status_code
    assert [1, "unknown_unit", 2, 1, "invalid_json", 3] == [
        answer.get("version") or answer["code"] for answer in answers
    ]
    assert [False, False, True, False] == [answer["duplicate"] for answer in answers if "duplicate" in answer]
    check_problem_item(answers[1])
    check_problem_item(answers[4])
    check_ledger(ledger, length=UNITS + 3)


def test_an_empty_array_is_answered_empty(client, ledger):
    """Nothing was asked, so nothing was done."""
    response = client.post("/v1/events", json=[])

    assert (200, []) == (response.status_code, response.json())
    check_ledger(ledger, length=UNITS)


def test_a_thousand_reports_go_in_at_once(client, ledger):
    """The most that an array may hold is recorded, each item once."""
    sent = [report(citizen=citizen(number)) for number in range(1000)]
    answers = client.post("/v1/events", json=sent).json()

    assert list(range(UNITS + 1, UNITS + 1001)) == [answer["position"] for answer in answers]
    check_ledger(ledger, length=UNITS + 1000)


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (report(citizen=citizen(1), unit="99999"), "unknown_unit"),
        (report(citizen=citizen(1), level=3), "invalid_level"),
        (report("b1", type="activated"), "not_approved"),
        ("no report", "invalid_json"),
    ],
)
def test_atomic_is_all_or_nothing(client, ledger, bad, code):
    """One refused item refuses all; the others say that it was not they."""
    sent = [report(), bad, report(citizen=citizen(2))]
    answers = client.post("/v1/events", params={"atomic": "true"}, json=sent).json()

    assert ["not_recorded", code, "not_recorded"] == [answer["code"] for answer in answers]
    for answer in answers:
        check_problem_item(answer)
    check_ledger(ledger, length=UNITS)


def test_atomic_records_what_has_no_fault(client, ledger):
    """All of it, and a retry of all of it gets the first receipts."""
    first = client.post("/v1/events", params={"atomic": "true"}, json=list(STEPS)).json()
    again = client.post("/v1/events", params={"atomic": "true"}, json=list(STEPS)).json()

    assert [1, 2, 3] == [answer["version"] for answer in first]
    assert [answer | {"duplicate": True} for answer in first] == again
    check_ledger(ledger, length=UNITS + 3)


def test_what_was_written_can_be_read(client):
    """Totals asked for with the position of a receipt hold its event."""
    for number in range(5):
        receipt = client.post("/v1/events", json=report(citizen=citizen(number))).json()
        answer = client.get("/v1/totals", params={"after": receipt["position"]}).json()
        assert number + 1 == answer["sum"]["collected"]
        assert receipt["position"] <= answer["position"]


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"]
)
def test_json_may_be_declared_in_any_way(client, content_type):
    """With a charset, or in capitals."""
    headers = {"content-type": content_type}
    body = client.build_request("POST", "/v1/events", json=report()).content
    assert 201 == client.post("/v1/events", content=body, headers=headers).status_code


@pytest.mark.parametrize(
    ("announced", "pieces", "asked"), [(True, 1, 1), (True, 3, 3), (False, 1, 2), (False, 3, 4)]
)
def test_a_body_ends_with_its_last_announced_byte(client, announced, pieces, asked):
    """The server is not asked once more whether that is all: for that another thread would have to take a turn."""
    body = client.build_request("POST", "/", json=report()).content
    size = len(body) // pieces + 1
    messages = [
        {"type": "http.request", "body": body[start : start + size], "more_body": True}
        for start in range(0, len(body), size)
    ]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    sent = []

    async def receive() -> dict:
        return messages.pop(0)

    async def send(message: dict) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/events",
        "raw_path": b"/v1/events",
        "query_string": b"",
        "root_path": "",
        "headers": [
            token_of(client),
            (b"content-type", b"application/json"),
            *([(b"content-length", b"%d" % len(body))] if announced else []),
        ],
        "client": None,
        "server": None,
        "state": {},
    }
    client.blocking_portal.call(client.app, scope, receive, send)
    assert 201 == sent[0]["status"]
    assert pieces + 1 - asked == len(messages)


@pytest.mark.parametrize(
    "twice",
    ['"key":"a1"', '"key":"b1"', '"k\\u0065y":"b1"', '"citizen" : "038090009999"', '"level":3', '"note":1'],
)
def test_a_name_that_stands_twice_is_refused(client, ledger, twice):
    """JSON leaves open which of the two values counts, so nothing is guessed; the rest of an array is answered."""
    good = client.build_request("POST", "/", json=report(note='mẹ "Lan": 9:00')).content.decode()
    bad = f"{{{twice},{good[1:]}"
    check_problem(client.post("/v1/events", content=bad, headers=JSON), 400, "repeated_field")
    check_ledger(ledger, length=UNITS)
    answers = client.post("/v1/events", content=f"[{bad},{good}]", headers=JSON).json()

    assert ["repeated_field", UNITS + 1] == [answers[0]["code"], answers[1]["position"]]
    check_ledger(ledger, length=UNITS + 1)


def test_another_report_under_a_used_key_is_refused(client, ledger):
    """The problem names the fields that differ; the first report stands."""
    client.post("/v1/events", json=report())
    problem = check_problem(client.post("/v1/events", json=report(actor="th-0043")), 409, "key_conflict")

    assert "(actor)" in problem["detail"]
    check_ledger(ledger, length=UNITS + 1)
