"""Totals over HTTP are those of the read model; what they come to is tested there."""

import time
from datetime import date

import pytest

from projections import TotalsQuery, open_totals
from tests.api.conftest import check_problem, citizen, report


@pytest.fixture
def position(client) -> int:
    """Of the last of some events that were recorded and counted."""
    answers = client.post(
        "/v1/events",
        json=[
            report(citizen=citizen(1)),
            report(citizen=citizen(2), unit="16093", level=1, occurred_at="2024-12-08T10:00:00+07:00"),
            report(citizen=citizen(3), place="school", partner="youth_union"),
            report("a2", citizen=citizen(3), type="approved", unit=None),
        ],
    ).json()
    position = answers[-1]["position"]
    assert 200 == client.get(f"/v1/totals?after={position}").status_code
    return position


@pytest.mark.parametrize(
    ("parameters", "query"),
    [
        ({}, TotalsQuery()),
        ({"unit": "38"}, TotalsQuery(unit="38")),
        ({"unit": "14758", "by": "day"}, TotalsQuery(unit="14758", by="day")),
        ({"level": 1}, TotalsQuery(level=1)),
        ({"from": "2024-12-09"}, TotalsQuery(from_day=date(2024, 12, 9))),
        ({"to": "2024-12-08", "by": "level"}, TotalsQuery(to_day=date(2024, 12, 8), by="level")),
        ({"from": "0001-01-01", "to": "9999-12-31"}, TotalsQuery(from_day=date.min, to_day=date.max)),
        ({"from": "9999-12-31"}, TotalsQuery(from_day=date.max)),
        *(({"by": by}, TotalsQuery(by=by)) for by in ("unit", "level", "day", "place", "shift", "partner")),
    ],
)
def test_the_answer_is_that_of_the_read_model(client, ledger, position, parameters, query):
    """Each parameter reaches it."""
    told = client.get("/v1/totals", params=parameters)
    expected = open_totals(ledger).read(query)

    assert 200 == told.status_code
    assert (expected.position, expected.projection, expected.sum) == (
        told.json()["position"],
        told.json()["projection"],
        told.json()["sum"],
    )
    assert [str(row[query.by]) if query.by == "day" else row[query.by] for row in expected.rows] == [
        row[query.by] for row in told.json()["rows"]
    ]
    assert position == told.json()["position"]


def test_sums_are_those_of_the_events(client, position):
    """Three collected, one of them approved; two still wait for approval."""
    sums = client.get("/v1/totals").json()["sum"]
    assert (3, 1, 0) == (sums["collected"], sums["approved"], sums["activated"])


def test_a_position_that_is_not_there_yet_is_waited_for_in_vain(client, position):
    """After 2 seconds the answer is to ask again."""
    began = time.monotonic()
    problem = check_problem(client.get(f"/v1/totals?after={2**63 - 1}"), 503, "not_caught_up")

    assert str(position) in problem["detail"]
    assert 2 <= time.monotonic() - began < 4


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("unit=99999", "unknown_unit"),
        ("unit=14758&to=2020-12-31", "unit_not_valid"),
        pytest.param(
            "unit=038090001234",
            "unknown_unit",
        ),
        ("unit=%00", "unknown_unit"),
    ],
)
def test_a_unit_that_means_nothing_is_refused(client, address, code):
    """And a personal number that was taken for a code is not repeated."""
    check_problem(client.get(f"/v1/totals?{address}"), 422, code)


def test_days_the_wrong_way_round_are_refused(client):
    """Zeros would look like an answer."""
    problem = check_problem(client.get("/v1/totals?from=2024-12-02&to=2024-12-01"), 400, "invalid_field")
    assert "is before from" in problem["detail"]


def test_a_position_that_nobody_was_told_is_said_to_be_none(client, position):
    """Asking again in a second would never help."""
    problem = check_problem(client.get(f"/v1/totals?after={position + 1000}"), 503, "not_caught_up")
    assert f"the ledger ends at position {position}" in problem["detail"]
