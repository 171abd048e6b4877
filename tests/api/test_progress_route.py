"""Progress over HTTP is that of the read model; what it comes to is tested there."""

from datetime import date
from decimal import Decimal

import msgspec
import pytest

from ledger import DenominatorRow, TargetRow
from projections import ProgressQuery, open_progress
from tests.api import one_ledger
from tests.api.conftest import UNITS, check_problem, citizen, report

clock, conninfo, database, key_file, ledger = one_ledger.LEDGER
client = one_ledger.client
FROM, DEADLINE = date(2024, 12, 1), date(2024, 12, 20)


@pytest.fixture(scope="module")
def position(client, ledger) -> int:
    """Of the last of two events that count for targets of two issuers; the ledger's today is 9 December 2024."""
    ledger.set_denominators(
        [DenominatorRow(unit="14758", value=8)], name="eligible", from_day=FROM, source="C06"
    )
    whole = {"measure": "collected", "from_day": FROM, "deadline": DEADLINE}
    shares = [
        TargetRow(unit=code, percent=Decimal(50), denominator="eligible", level=2, **whole)
        for code in ("14758", "14761")
    ]
    ledger.set_targets(shares, issuer="Bộ")
    ledger.set_targets([TargetRow(unit=code, number=10, **whole) for code in ("38", "380")], issuer="Tỉnh")
    answers = client.post(
        "/v1/events", json=[report(citizen=citizen(1)), report(citizen=citizen(2), unit="14761")]
    ).json()
    position = answers[-1]["position"]
    assert 200 == client.get(f"/v1/progress?after={position}").status_code
    return position


@pytest.mark.parametrize(
    ("parameters", "query"),
    [
        ({}, ProgressQuery()),
        ({"unit": "380"}, ProgressQuery(unit="380")),
        ({"unit": "38", "by": "commune"}, ProgressQuery(unit="38", by="commune")),
        ({"unit": "38", "issuer": "Tỉnh"}, ProgressQuery(unit="38", issuer="Tỉnh")),
        (
            {"unit": "380", "issuer": "Tỉnh", "of": "approved"},
            ProgressQuery(unit="380", issuer="Tỉnh", of="approved"),
        ),
        (
            {"unit": "380", "level": 2, "measure": "collected"},
            ProgressQuery(unit="380", level=2, measure="collected"),
        ),
        ({"unit": "380", "on": "2024-12-05"}, ProgressQuery(unit="380", on=date(2024, 12, 5))),
        (
            {"unit": "380", "running": "true", "ended": "true"},
            ProgressQuery(unit="380", running=True, ended=True),
        ),
        (
            {"unit": "380", "position": UNITS + 2, "on": "2024-12-05"},
            ProgressQuery(unit="380", position=UNITS + 2, on=date(2024, 12, 5)),
        ),
    ],
)
def test_the_answer_is_that_of_the_read_model(client, ledger, position, parameters, query):
    """Each parameter reaches it."""
    answer = client.get("/v1/progress", params=parameters)
    expected = open_progress(ledger).read(query)

    assert 200 == answer.status_code
    assert msgspec.to_builtins(expected, str_keys=True) == answer.json()
    assert parameters.get("position", position) == answer.json()["position"]


def test_what_is_not_available_is_null(client, position):
    """One of two has a denominator: 1 of 4, a quarter; the other one's percentage is nothing, not nought."""
    told = client.get("/v1/progress?unit=380").json()
    rows = {row["unit"]["code"]: row for row in told["rows"]}
    assert (1, 4, 25.0, 12.5) == tuple(rows["14758"][name] for name in ("count", "target", "percent", "rate"))
    assert (1, None, None, None) == tuple(
        rows["14761"][name] for name in ("count", "target", "percent", "rate")
    )
    assert ("pace_7_days", "2024-12-09") == (told["forecast_method"], told["on"])
    assert [("Bộ", 0, 2), ("Tỉnh", 0, 0)] == [
        (goal["issuer"], goal["done"], goal["of"]) for goal in told["goals"]
    ]


def test_targets_are_events_of_the_log_that_are_nobodys(client, position):
    """Followers see them; a percentage is a text, so that it stays exact."""
    events = client.get(f"/v1/events?after={UNITS}&limit=3").json()["events"]
    assert ["denominator.set.v1", "target.set.v1", "target.set.v1"] == [event["topic"] for event in events]
    assert {None} == {event["dossier_id"] for event in events}
    assert ("50", "eligible", "Bộ") == tuple(
        events[1]["data"][name] for name in ("percent", "denominator", "issuer")
    )


@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        ("on=2024-12-10", 400, "invalid_field"),
        ("on=yesterday", 400, "bad_request"),
        ("of=people", 400, "invalid_field"),
        ("level=3", 400, "bad_request"),
        ("by=day", 400, "bad_request"),
        ("measure=rejected", 400, "bad_request"),
        ("position=99999999", 400, "invalid_field"),
        ("unit=99999", 422, "unknown_unit"),
        ("unit=038090001234", 422, "unknown_unit"),
        ("target=14758", 400, "bad_request"),
        (f"after={2**63 - 1}", 503, "not_caught_up"),
    ],
)
def test_what_cannot_be_answered_is_a_problem(client, position, address, status, code):
    check_problem(client.get(f"/v1/progress?{address}"), status, code)
