"""What is overdue, over HTTP, is that of the read model; what it comes to is tested there."""

from datetime import date

import msgspec
import pytest

from ledger.checks import DAY_MAX
from projections import OverdueQuery, open_overdue
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
            report(citizen=citizen(1)),
            report(citizen=citizen(2), unit="16093", level=1, occurred_at=long_ago),
            report(citizen=citizen(3), occurred_at=long_ago, card="missing"),
            report(citizen=citizen(4), occurred_at=long_ago),
            report("a2", citizen=citizen(4), type="approved", unit=None, occurred_at=long_ago),
            report("a3", citizen=citizen(4), type="notified", unit=None, occurred_at=long_ago),
        ],
    ).json()
    position = answers[-1]["position"]
    assert 200 == client.get(f"/v1/overdue?after={position}").status_code
    return position


@pytest.mark.parametrize(
    ("parameters", "query"),
    [
        ({}, OverdueQuery()),
        ({"unit": "38"}, OverdueQuery(unit="38")),
        ({"unit": "14758", "level": 2}, OverdueQuery(unit="14758", level=2)),
        ({"level": 1}, OverdueQuery(level=1)),
        ({"on": "2024-12-09"}, OverdueQuery(on=date(2024, 12, 9))),
        ({"on": "2024-12-12", "unit": "38"}, OverdueQuery(on=date(2024, 12, 12), unit="38")),
        ({"on": "9000-12-31"}, OverdueQuery(on=DAY_MAX)),
    ],
)
def test_the_answer_is_that_of_the_read_model(client, ledger, position, parameters, query):
    """Each parameter reaches it."""
    answer = client.get("/v1/overdue", params=parameters)
    expected = open_overdue(ledger).read(query)

    assert 200 == answer.status_code
    assert msgspec.to_builtins(expected, str_keys=True) == answer.json()
    assert position == answer.json()["position"]


def test_what_is_overdue_is_told_with_what_waits(client, position):
    """Of three that await approval one is new, one without a card, one too late; the one that was notified too."""
    answer = client.get("/v1/overdue").json()
    assert {
        "awaiting_approval": 3,
        "approval_overdue": 2,
        "awaiting_activation": 1,
        "notified": 1,
        "activation_overdue": 1,
    } == answer["sum"]
    assert ("2024-12-09", False, False) == (answer["on"], answer["forecast"], answer["provisional"])
    assert ["2024-12-05", "2024-12-03", "2024-11-27", "2024-12-01"] == [
        limit["since"] for limit in answer["limits"]
    ]


def test_a_day_to_come_is_a_forecast(client, position):
    answer = client.get("/v1/overdue?on=2024-12-13").json()
    assert (True, 3) == (answer["forecast"], answer["sum"]["approval_overdue"])


@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        ("on=2024-12-08", 400, "invalid_field"),
        ("on=yesterday", 400, "bad_request"),
        ("level=3", 400, "bad_request"),
        ("by=day", 400, "bad_request"),
        ("unit=99999", 422, "unknown_unit"),
        ("unit=038090001234", 422, "unknown_unit"),
        (f"after={2**63 - 1}", 503, "not_caught_up"),
    ],
)
def test_what_cannot_be_answered_is_a_problem(client, address, status, code):
    check_problem(client.get(f"/v1/overdue?{address}"), status, code)
