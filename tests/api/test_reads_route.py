"""Over HTTP too, nobody is told anything of a dossier before it is recorded who looks and what for."""

import re
from datetime import date
from typing import ClassVar
from urllib.parse import quote
from uuid import uuid4

import msgspec
import pytest

from ledger.reads import DEFAULT_PURPOSES
from tests.api.conftest import CITIZEN, LOOKING, check_problem, citizen, report
from tests.conftest import age_looks, check_reads

NDJSON = {"Content-Type": "application/x-ndjson"}
WHY = {"Purpose": "complaint", "Purpose-Text": quote("Đơn số 12/2024, 100 %")}
ASKING = {
    "history": ("GET", "/v1/dossiers/{}/history"),
    "state": ("GET", "/v1/dossiers/{}"),
    "lookup": ("POST", "/v1/dossiers/lookup"),
    "reads": ("GET", "/v1/dossiers/{}/reads"),
    "number": ("POST", "/v1/dossiers/{}/reveal"),
    "worklist": ("GET", "/v1/worklist"),
}
"""Each way to be told something of a dossier, by what it is recorded as."""


@pytest.fixture
def dossier(client) -> str:
    """The id of a dossier that waits."""
    receipt = client.post("/v1/events", json=report(note="hẹn 9 giờ")).json()
    assert 200 == client.get(f"/v1/totals?after={receipt['position']}").status_code
    client.headers.pop("Purpose")
    return receipt["dossier_id"]


@pytest.fixture
def ask(client, dossier):
    """Ask in one of the ways."""

    def send(what: str, **headers):
        method, address = ASKING[what]
        body = {"citizen": CITIZEN} if what == "lookup" else None
        return client.request(method, address.format(dossier), json=body, headers=headers)

    return send


def test_a_look_is_recorded_with_what_the_headers_say(ask, ledger, dossier):
    """One for each answer; the text in percent-encoded UTF-8."""
    for what in ASKING:
        assert 200 == ask(what, **WHY).status_code
    assert [(dossier, what, "complaint", "Đơn số 12/2024, 100 %") for what in ASKING] == [
        (str(stream), event.what, event.purpose, event.text)
        for stream, _, event, _ in check_reads(ledger.database)
    ]
    # Of whoever has sent the token, and not of the server.
    assert {"person"} == {event.kind for _, _, event, _ in check_reads(ledger.database)}


def test_it_must_be_said_what_for(ask, ledger):
    """A text alone does not say it. A worklist is work."""
    for what in ASKING.keys() - {"worklist"}:
        check_problem(ask(what), 422, "purpose_needed")
        check_problem(ask(what, **{"Purpose-Text": "x"}), 422, "purpose_needed")
    check_reads(ledger.database, length=0)


def test_a_worklist_is_work(client, ask, ledger, dossier):
    """Unless it is said otherwise; each dossier of the page has its look, however many of its levels wait."""
    for number, level in ((1, 1), (2, 2), (2, 1)):
        receipt = client.post("/v1/events", json=report(f"b{level}", citizen=citizen(number), level=level))
    client.get("/v1/totals", params={"after": receipt.json()["position"]})
    rows = client.get("/v1/worklist", params={"after": receipt.json()["position"]}).json()["rows"]
    told = check_reads(ledger.database, length=3)
    assert {row["dossier_id"] for row in rows} == {str(stream) for stream, _, _, _ in told}
    assert (4, {"work"}) == (len(rows), {event.purpose for _, _, event, _ in told})
    assert 200 == ask("worklist", **{"Purpose-Text": "x"}).status_code
    assert 0 == len(client.get("/v1/worklist?team=none").json()["rows"])
    check_reads(ledger.database, length=6)


FAULTS = (
    ({"Purpose": "curiosity"}, "unknown_purpose"),
    ({"Purpose": ""}, "unknown_purpose"),
    ({"Purpose": "local"}, "unknown_purpose"),
    ({"Purpose": "audit", "Purpose-Text": "%"}, "invalid_field"),
    ({"Purpose": "audit", "Purpose-Text": "%zz"}, "invalid_field"),
    ({"Purpose": "audit", "Purpose-Text": "%ff"}, "invalid_field"),
    ({"Purpose": "audit", "Purpose-Text": "é".encode("latin-1")}, "invalid_field"),
    ({"Purpose": "audit", "Purpose-Text": "a%0Ab"}, "invalid_field"),
    ({"Purpose": "audit", "Purpose-Text": "a%00b"}, "nul_character"),
    ({"Purpose": "audit", "Purpose-Text": "x" * 201}, "invalid_field"),
    ({"Purpose": "audit", "Purpose-Text": CITIZEN}, "personal_number"),
    ({"Purpose": "audit", "Purpose-Text": quote("０３８０９０００１２３４")}, "personal_number"),
)


@pytest.mark.parametrize("what", ASKING)
def test_a_purpose_that_is_none_is_refused(ask, ledger, what):
    """Nothing of it is repeated, and nothing told."""
    for headers, code in FAULTS:
        problem = check_problem(ask(what, **headers), 400, code)
        assert not re.search(r"curiosity|\d{12}", problem["detail"])
    check_reads(ledger.database, length=0)


AWAY = (
    "REVOKE EXECUTE ON FUNCTION ledger_reads.record_reads FROM ledger_reads_writer",
    "REVOKE USAGE ON SCHEMA ledger_reads FROM ledger_reads_writer",
    "ALTER TABLE ledger_reads.events RENAME TO gone",
    "DROP SCHEMA ledger_reads CASCADE",
)


@pytest.mark.parametrize("damage", AWAY)
def test_without_the_second_log_not_one_byte_is_told(client, ask, operator, dossier, damage):
    """A problem, the same for everybody; reports are taken all the same."""
    operator.execute(damage)
    for what in ASKING:
        response = ask(what, **WHY)
        problem = check_problem(response, 503, "read_not_recorded")
        assert "it could not be recorded who looks, so nothing is told; try again" == problem["detail"]
        assert dossier not in response.text
    assert 201 == client.post("/v1/events", json=report("b", citizen=citizen(2))).status_code


def test_the_way_out_is_shut_when_the_database_is(door, ask):
    """Then the history cannot be read either."""
    with door.shut():
        assert 503 == ask("history", **WHY).status_code


class TestWhoLooked:
    def test_is_told_with_why(self, client, ask, dossier):
        """And may be kept by nobody in between."""
        ask("history", **WHY)
        response = client.get(f"/v1/dossiers/{dossier}/reads", headers={"Purpose": "citizen_request"})
        told = response.json()
        assert "no-store" == response.headers["cache-control"]
        assert (dossier, None, None, None) == tuple(
            told[name] for name in ("dossier_id", "embargo", "next", "known_from")
        )
        assert [("history", "complaint", "Đơn số 12/2024, 100 %"), ("reads", "citizen_request", "")] == [
            (row["what"], row["purpose"], row["text"]) for row in told["rows"]
        ]
        assert all(row["recorded_at"].endswith("Z") and row["who"] for row in told["rows"])

    def test_comes_in_parts(self, client, ask, dossier):
        """Until there is no next."""
        for _ in range(3):
            ask("state", **WHY)
        address = f"/v1/dossiers/{dossier}/reads"
        first = client.get(f"{address}?limit=2", headers=LOOKING).json()
        second = client.get(f"{address}?limit=10&after={first['next']}", headers=LOOKING).json()
        assert ([1, 2], [3, 4, 5], None) == (
            [row["position"] for row in first["rows"]],
            [row["position"] for row in second["rows"]],
            second["next"],
        )

    def test_begins_with_what_was_not_dropped(self, client, ask, ledger, dossier):
        """And says from which day on it knows."""
        ask("history", **WHY)
        age_looks(ledger.database, 8)
        ledger.drop_looks(ledger.plan_drop(date(2019, 12, 9)), reason="quá hạn lưu")
        told = client.get(f"/v1/dossiers/{dossier}/reads", headers=LOOKING).json()
        assert ("2019-12-09", [3]) == (told["known_from"], [row["position"] for row in told["rows"]])

    def test_in_no_parts_that_are_none(self, client, dossier):
        for query in ("after=-1", "limit=0", "limit=1001", "limit=x"):
            response = client.get(f"/v1/dossiers/{dossier}/reads?{query}", headers=LOOKING)
            check_problem(response, 400, "bad_request")

    def test_an_unknown_dossier_is_not_found(self, client, dossier):
        response = client.get(f"/v1/dossiers/{uuid4()}/reads", headers=LOOKING)
        check_problem(response, 404, "unknown_dossier")


class TestAnEmbargo:
    LAST: ClassVar = {"until": "2024-12-31", "purpose_text": "Vụ 7"}

    def test_is_laid_and_lifted(self, client, dossier):
        """What it keeps back from whom is tested where it is decided."""
        address = f"/v1/dossiers/{dossier}"
        placed = client.post(f"{address}/embargo", json=self.LAST)
        assert (204, b"") == (placed.status_code, placed.content)
        lifted = client.delete(f"{address}/embargo", headers={"Purpose-Text": quote("Kết thúc")})
        assert (204, b"") == (lifted.status_code, lifted.content)
        rows = client.get(f"{address}/reads", headers=LOOKING).json()["rows"]
        assert [
            ("embargo_placed", "Vụ 7", "2024-12-31"),
            ("embargo_lifted", "Kết thúc", None),
            ("looked", "", None),
        ] == [(row["type"], row["text"], row["until"]) for row in rows]

    def test_that_cannot_be_is_refused(self, client, ledger, dossier):
        for body, code in (
            (self.LAST | {"until": "2024-12-08"}, "invalid_field"),
            (self.LAST | {"until": "yesterday"}, "invalid_field"),
            (self.LAST | {"until": 20241231}, "invalid_field"),
            (self.LAST | {"until": None}, "invalid_field"),
            (self.LAST | {"purpose_text": ""}, "missing_field"),
            (self.LAST | {"purpose_text": 7}, "invalid_field"),
            (self.LAST | {"purpose_text": CITIZEN}, "personal_number"),
            (self.LAST | {"who": "me"}, "invalid_json"),
            ({"until": "2024-12-31"}, "invalid_json"),
            ([], "invalid_json"),
        ):
            check_problem(client.post(f"/v1/dossiers/{dossier}/embargo", json=body), 400, code)
        check_reads(ledger.database, length=0)

    def test_of_no_dossier_is_refused(self, client, dossier):
        address = f"/v1/dossiers/{uuid4()}/embargo"
        check_problem(client.post(address, json=self.LAST), 404, "unknown_dossier")
        check_problem(client.delete(address, headers={"Purpose-Text": "x"}), 404, "unknown_dossier")

    def test_that_was_not_laid_cannot_be_lifted(self, client, dossier):
        address = f"/v1/dossiers/{dossier}/embargo"
        check_problem(client.delete(address, headers={"Purpose-Text": "x"}), 409, "no_embargo")
        check_problem(client.delete(address), 400, "missing_field")

    def test_that_cannot_be_recorded_is_a_503(self, client, operator, dossier):
        operator.execute(AWAY[0])
        response = client.post(f"/v1/dossiers/{dossier}/embargo", json=self.LAST)
        check_problem(response, 503, "read_not_recorded")


def test_the_purposes_are_listed(client):
    """With their labels, in the order of the list."""
    rows = client.get("/v1/purposes").json()["rows"]
    assert [(each.code, each.vi, each.en) for each in DEFAULT_PURPOSES] == [
        (row["code"], row["vi"], row["en"]) for row in rows
    ]


def test_a_refused_report_tells_too_and_leaves_a_look(client, ledger, dossier):
    """One by one, in an array, and in a file that is only tried."""
    wish = report("x")
    check_problem(client.post("/v1/events", json=wish), 409, "already_collected")
    assert ["already_collected"] == [item["code"] for item in client.post("/v1/events", json=[wish]).json()]
    tried = client.post("/v1/events/import?dry_run=true", content=msgspec.json.encode(wish), headers=NDJSON)
    assert 1 == tried.json()["refused"]
    assert [(dossier, "refusal", "reporting")] * 3 == [
        (str(stream), event.what, event.purpose) for stream, _, event, _ in check_reads(ledger.database)
    ]
    rows = client.get(f"/v1/dossiers/{dossier}/reads", headers=WHY).json()["rows"]
    assert ["refusal"] * 3 + ["reads"] == [row["what"] for row in rows]


def test_a_refusal_that_cannot_be_recorded_is_not_told(client, operator, dossier):
    """Of an array, that item alone: what was recorded beside it keeps its receipt."""
    operator.execute(AWAY[0])
    problem = check_problem(client.post("/v1/events", json=report("x")), 503, "read_not_recorded")
    assert "collected" not in problem["detail"]
    answers = client.post("/v1/events", json=[report("x"), report(citizen=citizen(2))]).json()
    assert (503, "read_not_recorded") == (answers[0]["status"], answers[0]["code"])
    assert answers[1]["position"]
    tried = client.post("/v1/events/import", content=msgspec.json.encode(report("x")), headers=NDJSON)
    check_problem(tried, 503, "read_not_recorded")
