"""Cues over HTTP are those of the read model; what they come to is tested there."""

from datetime import date

import msgspec
import pytest

from projections import CueQuery, open_cues
from tests.api.conftest import check_problem, citizen, report


@pytest.fixture
def position(client) -> int:
    """Of the last of six collections of one second; the ledger's today is 9 December 2024."""
    answers = client.post("/v1/events", json=[report(citizen=citizen(number)) for number in range(6)]).json()
    position = answers[-1]["position"]
    assert 200 == client.get(f"/v1/cues?after={position}").status_code
    return position


@pytest.mark.parametrize(
    ("parameters", "query", "total"),
    [
        ({}, CueQuery(), 1),
        ({"rule": "one_second"}, CueQuery(rule="one_second"), 1),
        ({"rule": "one_second", "threshold": 7}, CueQuery(rule="one_second", threshold=7), 0),
        ({"rule": "many_in_an_hour"}, CueQuery(rule="many_in_an_hour"), 0),
        ({"unit": "38", "actor": "th-0042"}, CueQuery(unit="38", actor="th-0042"), 1),
        ({"unit": "14761"}, CueQuery(unit="14761"), 0),
        (
            {"from": "2024-12-01", "to": "2024-12-08"},
            CueQuery(from_day=date(2024, 12, 1), to_day=date(2024, 12, 8)),
            0,
        ),
        ({"positions": 2, "positions_after": 588}, CueQuery(positions=2, positions_after=588), 1),
        (
            {"lag_days": 5, "before_days": 9, "seconds": 3, "limit": 4, "offset": 1},
            CueQuery(lag_days=5, before_days=9, seconds=3, limit=4, offset=1),
            1,
        ),
    ],
)
def test_same_answer_as_the_read_model(client, ledger, position, parameters, query, total):
    """Whatever is asked; with the rules as they were applied."""
    answer = client.get("/v1/cues", params=parameters)
    wanted = msgspec.json.decode(msgspec.json.encode(open_cues(ledger).read(query)))

    assert wanted == answer.json()
    assert (position, total) == (answer.json()["position"], answer.json()["total"])


@pytest.mark.usefixtures("position")
@pytest.mark.parametrize(
    ("parameters", "status", "code"),
    [
        ({"threshold": 5}, 400, "invalid_field"),
        ({"rule": "guilt"}, 400, None),
        ({"unit": "99999"}, 422, None),
        ({"from": "2024-12-09", "to": "2024-12-08"}, 400, "invalid_field"),
        ({"limit": 0}, 400, None),
        ({"positions": 1001}, 400, None),
        ({"verdict": "1"}, 400, None),
    ],
)
def test_a_question_that_is_none(client, parameters, status, code):
    answer = client.get("/v1/cues", params=parameters)

    check_problem(answer, status, code or answer.json()["code"])


def test_no_answer_before_it_is_counted(client, position):
    check_problem(client.get(f"/v1/cues?after={position + 1}"), 503, "not_caught_up")
