"""Frozen reports over HTTP are the bytes that were frozen."""

from datetime import date

import pytest

from ledger.frozen_events import REPORTS_STREAM
from projections import TotalsQuery, freeze_report, open_totals, reissue_report
from tests.api.conftest import UNITS, check_problem, citizen, report
from tests.tokens import bearer


@pytest.fixture
def frozen(client, ledger) -> bytes:
    """The bytes of a report that is frozen."""
    answers = client.post("/v1/events", json=[report(), report(citizen=citizen(2))]).json()
    totals = open_totals(ledger)
    query = TotalsQuery(unit="38", to_day=date(2024, 12, 9), position=answers[-1]["position"])
    freeze_report(ledger, totals, "2024-12-09-evening", query, title="Báo cáo tối")
    return reissue_report(ledger, totals, "2024-12-09-evening").document


def test_the_same_bytes_and_their_hash(client, ledger, frozen):
    """Also after more was recorded; who has them already gets no more than that."""
    sha256 = ledger.frozen_report("2024-12-09-evening").report.sha256
    for number in (3, 4):
        client.post("/v1/events", json=report(citizen=citizen(number)))
        told = client.get("/v1/reports/2024-12-09-evening")
        assert (200, frozen, f'"{sha256}"') == (told.status_code, told.content, told.headers["etag"])
        assert "application/json" == told.headers["content-type"].split(";")[0]
    tag = {"If-None-Match": f'"other", "{sha256}"'}
    again = client.get("/v1/reports/2024-12-09-evening", headers=tag)
    assert (304, b"") == (again.status_code, again.content)
    other = client.get("/v1/reports/2024-12-09-evening", headers={"If-None-Match": '"other"'})
    assert 200 == other.status_code


def test_the_list(client, ledger, frozen):
    [row] = client.get("/v1/reports").json()["rows"]
    known = ledger.frozen_report("2024-12-09-evening")
    assert ["2024-12-09-evening", "Báo cáo tối", UNITS + 2, known.report.sha256, UNITS + 3] == list(
        row.values()
    )[:5]
    assert {
        "unit": "38",
        "by": ["unit"],
        "level": None,
        "from": None,
        "to": "2024-12-09",
        "hierarchy": "2024-12-09",
        "attribution": "acting",
        "compare": None,
    } == row["definition"]


def test_a_name_that_was_not_frozen(client, frozen):
    check_problem(client.get("/v1/reports/2024-12-09-morning"), 404, "unknown_report")


@pytest.mark.parametrize("address", ["/v1/reports/{}", "/v1/reports/{}/changes"])
def test_which_names_there_are_is_told_to_nobody_outside(client, frozen, address):
    """Whoever may not see its unit is told of a report what is told of none."""
    outside = bearer(client.auth._issuer.token("viewer:16093"))
    told = [
        check_problem(client.get(address.format(name), headers=outside), 404, "unknown_report")["detail"]
        for name in ("2024-12-09-evening", "2024-12-09-morning")
    ]
    assert told[0].replace("evening", "morning") == told[1]


def test_counts_that_somebody_changed(client, frozen, operator, caplog):
    """Nothing of it is answered, and the server's log says so."""
    operator.execute("UPDATE unit_totals_deltas SET count = 7")
    operator.execute("UPDATE unit_totals_month SET collected = 7")
    operator.execute("UPDATE unit_totals_pentad SET collected = 7")
    operator.execute("UPDATE unit_totals_day SET collected = 7")
    problem = check_problem(client.get("/v1/reports/2024-12-09-evening"), 409, "report_differs")
    assert "ledger reconcile" in problem["detail"]
    assert "2024-12-09-evening" in caplog.text


def test_followers_see_it(client, frozen):
    """As an event that is nobody's."""
    events = client.get(f"/v1/events?after={UNITS + 2}").json()["events"]
    assert [("report.frozen.v1", "frozen", None)] == [
        (event["topic"], event["type"], event["dossier_id"]) for event in events
    ]
    assert "2024-12-09-evening" == events[0]["data"]["name"]
    assert str(REPORTS_STREAM) not in str(events)


def test_what_has_become_of_it(client, frozen):
    """The answer of the read model: counts that add up, and the events behind them, page by page."""
    client.post("/v1/events", json=report(citizen=citizen(3)))
    last = client.post("/v1/events", json=report(citizen=citizen(4), unit="16093")).json()["position"]
    assert 200 == client.get(f"/v1/totals?after={last}").status_code
    told = client.get("/v1/reports/2024-12-09-evening/changes?limit=1").json()
    assert (UNITS + 2, last, UNITS + 4) == (told["frozen_position"], told["position"], told["next"])
    assert {
        "frozen": 2,
        "now": 4,
        "difference": 2,
        "arrived_late": 2,
        "occurred_since": 0,
        "corrected": 0,
        "allocated": 0,
        "moved": 0,
    } == told["sum"]["collected"]
    rest = client.get(f"/v1/reports/2024-12-09-evening/changes?after={told['next']}").json()
    events = [*told["events"], *rest["events"]]
    assert [(UNITS + 4, "arrived_late", "14758"), (last, "arrived_late", "16093")] == [
        (event["position"], event["kind"], event["unit"]) for event in events
    ]
    assert None is rest["next"]
    assert [] == client.get("/v1/reports/2024-12-09-evening/changes?kind=corrected").json()["events"]


@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        ("morning/changes", 404, "unknown_report"),
        ("2024-12-09-evening/changes?kind=late", 400, "bad_request"),
        ("2024-12-09-evening/changes?limit=0", 400, "bad_request"),
        ("2024-12-09-evening/changes?position=99999", 400, "invalid_field"),
        ("2024-12-09-evening/changes?position=1", 400, "invalid_field"),
    ],
)
def test_what_cannot_be_told_of_it(client, frozen, address, status, code):
    check_problem(client.get(f"/v1/reports/{address}"), status, code)
