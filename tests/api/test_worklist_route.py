"""Worklists over HTTP are those of the read model; what they come to is tested there."""

import csv
import io
from datetime import date

import msgspec
import pytest

from ledger.access import Grant, Principal, Role
from projections import AgeingQuery, WorklistQuery, open_ageing, open_worklist
from tests.api import one_ledger
from tests.api.conftest import check_problem, citizen, report

clock, conninfo, database, key_file, ledger = one_ledger.LEDGER
client = one_ledger.client


@pytest.fixture(scope="module")
def position(client) -> int:
    """Of the last of some events that were recorded and counted; the ledger's today is 9 December 2024."""
    long_ago = "2024-11-25T10:00:00+07:00"
    answers = client.post(
        "/v1/events",
        json=[
            report(citizen=citizen(1), place="school", team="t7", residence_unit="16093"),
            report(citizen=citizen(2), unit="16093", level=1, occurred_at=long_ago, actor="th-9"),
            report(citizen=citizen(3), occurred_at=long_ago, card="missing"),
            report(citizen=citizen(4), occurred_at=long_ago),
            report("a2", citizen=citizen(4), type="approved", unit=None, occurred_at=long_ago),
            report("a3", citizen=citizen(4), type="notified", unit=None, occurred_at=long_ago),
            report(citizen=citizen(5), occurred_at=long_ago),
            report("a2", citizen=citizen(5), type="approved", unit=None, occurred_at=long_ago),
        ],
    ).json()
    position = answers[-1]["position"]
    assert 200 == client.get(f"/v1/worklist?after={position}").status_code
    return position


@pytest.mark.parametrize(
    ("parameters", "query"),
    [
        ({}, WorklistQuery()),
        ({"unit": "38"}, WorklistQuery(unit="38")),
        ({"unit": "14758", "level": 2}, WorklistQuery(unit="14758", level=2)),
        ({"awaiting": "activation"}, WorklistQuery(awaiting="activation")),
        ({"state": "notified"}, WorklistQuery(state="notified")),
        ({"overdue": "true"}, WorklistQuery(overdue=True)),
        ({"overdue": "false"}, WorklistQuery(overdue=False)),
        ({"place": "school"}, WorklistQuery(place="school")),
        ({"team": "t7"}, WorklistQuery(team="t7")),
        ({"actor": "th-9"}, WorklistQuery(actor="th-9")),
        ({"residence": "16093"}, WorklistQuery(residence="16093")),
        ({"limit": "2"}, WorklistQuery(limit=2)),
    ],
    ids=str,
)
def test_the_answer_is_that_of_the_read_model(client, ledger, position, parameters, query):
    """Each parameter reaches it; as CSV it has the same rows."""
    answer = client.get("/v1/worklist", params=parameters)
    # A cursor is for whoever was told it.
    expected = open_worklist(ledger).read(query, by=Principal("an.nguyen", "person", (Grant(Role.OPERATOR),)))

    assert 200 == answer.status_code
    assert msgspec.to_builtins(expected) == answer.json()
    assert position == answer.json()["position"]
    assert 0 < len(expected.rows) < 6

    table = client.get("/v1/worklist", params=parameters | {"format": "csv"})
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [str(row.dossier_id) for row in expected.rows] == [row["dossier_id"] for row in rows]
    assert [row.unit["code"] for row in expected.rows] == [row["unit_code"] for row in rows]
    assert (str(position), expected.next) == (
        table.headers["x-ledger-position"],
        table.headers.get("x-ledger-next"),
    )


def test_pages(client, position):
    """The next of a page is the cursor of the one after it; the last has none."""
    whole = client.get("/v1/worklist").json()["rows"]
    paged, cursor = [], {}
    while cursor is not None:
        page = client.get("/v1/worklist", params={"limit": "2", **cursor}).json()
        paged += page["rows"]
        cursor = page["next"] and {"cursor": page["next"]}

    assert 5 == len(whole)
    assert whole == paged
    assert [True, True, True, False, False] == [row["overdue"] for row in whole]


def test_a_cursor_that_somebody_has_changed_is_one_clear_error(client, position):
    """Whatever letter of it."""
    cursor = client.get("/v1/worklist", params={"limit": "2"}).json()["next"]
    assert 200 == client.get("/v1/worklist", params={"limit": "2", "cursor": cursor}).status_code
    for place in range(len(cursor)):
        other = "A" if cursor[place] != "A" else "B"
        changed = cursor[:place] + other + cursor[place + 1 :]
        response = client.get("/v1/worklist", params={"limit": "2", "cursor": changed})
        if changed[:-1] == cursor[:-1]:
            # The last letter has bits that stand for nothing.
            assert response.status_code in (200, 400)
            continue
        assert "cursor: it is none that" in check_problem(response, 400, "invalid_field")["detail"]


def test_it_tells_of_nobody(client, position):
    """Ids of dossiers, and no number, name or key."""
    [row, *_] = client.get("/v1/worklist?team=t7").json()["rows"]
    assert {
        *(
            "dossier_id",
            "level",
            "state",
            "awaiting",
            "since",
            "age_days",
            "overdue",
            "due",
            "unit",
            "allocated",
        ),
        *("collecting_unit", "residence", "place", "team", "actor", "card", "attempt", "position"),
    } == set(row)
    assert ("t7", "school", "16093") == (row["team"], row["place"], row["residence"])


@pytest.mark.parametrize(
    ("parameters", "query"),
    [
        ({}, AgeingQuery()),
        ({"unit": "38"}, AgeingQuery(unit="38")),
        ({"unit": "38", "by": "commune", "level": 2}, AgeingQuery(unit="38", by="commune", level=2)),
        (
            {"from": "2024-11-25", "to": "2024-11-26"},
            AgeingQuery(from_day=date(2024, 11, 25), to_day=date(2024, 11, 26)),
        ),
    ],
    ids=str,
)
def test_ageing_is_that_of_the_read_model(client, ledger, position, parameters, query):
    """Each parameter reaches it; as CSV it has the same rows."""
    answer = client.get("/v1/ageing", params=parameters | {"after": position})
    expected = open_ageing(ledger).read(query)

    assert msgspec.to_builtins(expected) == answer.json()
    if query.level is None:
        # Approvals, then activations.
        assert [(3, 2), (2, 0)] == [(row["waiting"], row["ended"]) for row in answer.json()["sum"]]
    table = client.get("/v1/ageing", params=parameters | {"format": "csv"})
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [(row["unit"]["code"] or "", row["step"], str(row["waiting"])) for row in expected.rows] == [
        (row["unit_code"], row["step"], row["waiting"]) for row in rows
    ]


@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        ("worklist?limit=0", 400, "bad_request"),
        ("worklist?limit=1001", 400, "bad_request"),
        ("worklist?state=activated", 400, "bad_request"),
        ("worklist?place=moon", 400, "invalid_field"),
        ("worklist?team=a%00", 400, "bad_request"),
        ("worklist?cursor=x", 400, "invalid_field"),
        ("worklist?by=day", 400, "bad_request"),
        ("worklist?unit=99999", 422, "unknown_unit"),
        ("worklist?unit=038090001234", 422, "unknown_unit"),
        (f"worklist?after={2**63 - 1}", 503, "not_caught_up"),
        ("ageing?from=2024-12-02&to=2024-12-01", 400, "invalid_field"),
        ("ageing?by=day", 400, "bad_request"),
        ("ageing?unit=99999", 422, "unknown_unit"),
        (f"ageing?after={2**63 - 1}", 503, "not_caught_up"),
    ],
)
def test_what_cannot_be_answered_is_a_problem(client, address, status, code):
    check_problem(client.get(f"/v1/{address}"), status, code)
