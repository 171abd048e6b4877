"""Totals over HTTP are those of the read model; what they come to is tested there."""

import time
from datetime import UTC, date, datetime

import pytest

from ledger.checks import DAY_MAX, DAY_MIN
from projections import TotalsQuery, open_totals
from tests.api import one_ledger
from tests.api.conftest import check_problem, citizen, report

clock, conninfo, database, key_file, ledger = one_ledger.LEDGER
client = one_ledger.client


@pytest.fixture(scope="module")
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
        ({"from": "1900-01-01", "to": "9000-12-31"}, TotalsQuery(from_day=DAY_MIN, to_day=DAY_MAX)),
        ({"from": "9000-12-31"}, TotalsQuery(from_day=DAY_MAX)),
        *(({"by": by}, TotalsQuery(by=by)) for by in ("unit", "level", "day", "place", "shift", "partner")),
        *(({"by": by}, TotalsQuery(by=by)) for by in ("week", "month", "team", "actor", "reason")),
        *(({"hierarchy": tree}, TotalsQuery(hierarchy=tree)) for tree in ("then", "now", "2024-12-31")),
        ({"attribution": "residence"}, TotalsQuery(attribution="residence")),
        ({"position": 587}, TotalsQuery(position=587)),
        ({"known_at": "2024-12-01T00:00:00Z"}, TotalsQuery(known_at=datetime(2024, 12, 1, tzinfo=UTC))),
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
    assert expected.hierarchy == told.json()["hierarchy"]
    assert position == told.json()["position"] or {"position", "known_at"} & set(parameters)


@pytest.mark.usefixtures("position")
def test_two_rows_and_csv(client, ledger):
    """A table of both, with the columns and the counts of the same answer."""
    address = "/v1/totals?unit=38&by=unit,level&from=2024-12-09&to=2024-12-09&compare=previous"
    lines = client.get(f"{address}&format=csv").text.splitlines()
    expected = open_totals(ledger).read(
        TotalsQuery(
            unit="38",
            by=("unit", "level"),
            from_day=date(2024, 12, 9),
            to_day=date(2024, 12, 9),
            compare="previous",
        )
    )

    assert "unit_code,unit_name,unit_level,level,collected,collected_before," in lines[0] + ","
    assert len(expected.rows) == len(lines) - 1 > 1
    for row, line in zip(expected.rows, lines[1:], strict=True):
        start = (row["unit"]["code"], row["unit"]["name"], row["unit"]["level"], row["level"])
        counts = (row["collected"], row["previous"]["collected"])
        assert line.startswith(",".join(map(str, (*start, *counts))) + ","), line
    assert expected.rows == client.get(address).json()["rows"]


@pytest.mark.parametrize(
    "asked",
    [
        "by=colour",
        "by=unit,unit",
        "by=unit,level,day",
        "by=unit,district",
        "by=day,week",
        "hierarchy=soon",
        "hierarchy=2025-13-01",
        "compare=previous",
        "position=99999999",
        "known_at=2999-01-01T00:00:00Z",
        "known_at=2024-12-01T00:00:00",
        "position=1&known_at=2024-12-01T00:00:00Z",
    ],
)
def test_what_cannot_be_asked_is_refused(client, asked):
    """With the name of what is wrong."""
    problem = check_problem(client.get(f"/v1/totals?{asked}"), 400, "invalid_field")
    assert asked.split("=")[0] in problem["detail"]


def test_sums_are_those_of_the_events(client, position):
    """Three collected, one of them approved; two still wait for approval."""
    sums = client.get("/v1/totals").json()["sum"]
    assert (3, 1, 0) == (sums["collected"], sums["approved"], sums["activated"])


def test_a_position_that_is_not_there_yet_is_not_waited_for(client, position):
    """However many ask for one, they hold up nobody."""
    began = time.monotonic()
    for _ in range(3):
        problem = check_problem(client.get(f"/v1/totals?after={2**63 - 1}"), 503, "not_caught_up")
    assert str(position) in problem["detail"]
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("unit=99999", "unknown_unit"),
        ("unit=14758&to=2020-12-31", "unit_not_valid"),
        pytest.param(
            "unit=038090001234",
            "unknown_unit",
        ),
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
