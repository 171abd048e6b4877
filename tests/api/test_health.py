"""Alive, ready, and what is here."""

from uuid import uuid4

import pytest
from eventsourcing.persistence import StoredEvent

from api.health import outlined
from projections import NAMES, ProjectionStatus, status
from projections.errors import PositionLostError
from tests.api.conftest import UNITS, check_problem, citizen, report, wait_until


def test_alive_is_answered_without_a_database(client, door):
    """A process that only waits for its database is not to be killed for it."""
    with door.shut():
        response = client.get("/health/live")
    assert (200, {"status": "live"}) == (response.status_code, response.json())


def test_the_front_page_names_addresses_that_are_there(client):
    """Every one of them answers."""
    index = client.get("/").json()

    assert "activation-ledger" == index.pop("name")
    for address in index.values():
        assert client.get(address).status_code in {200, 405}, address


def test_ready_tells_the_head_and_the_projections(client):
    """Once they have counted everything there is no lag."""
    position = client.post("/v1/events", json=report()).json()["position"]
    client.get(f"/v1/totals?after={position}")
    client.get(f"/v1/worklist?after={position}")
    response = client.get("/health/ready")

    assert (200, True, UNITS + 1) == (
        response.status_code,
        response.json()["ready"],
        response.json()["position"],
    )
    caught_up = {
        "position": UNITS + 1,
        "head": UNITS + 1,
        "lag_events": 0,
        "lag_seconds": 0.0,
        "error": None,
    }
    assert [{"name": name, **caught_up} for name in NAMES] == response.json()["projections"]


def test_one_projection_that_has_stopped_is_not_ready(client, ledger, operator):
    """However well the others are; the answer tells which."""
    fault = "position 7: UniqueViolation: Key (code)=(038090001234) exists"
    operator.execute("UPDATE projections SET error = %s WHERE name = 'worklist'", [fault])
    answer = check_problem(client.get("/health/ready"), 503, "projection_stopped")
    assert "worklist stopped" in answer["detail"]
    # Everybody may ask: where and of what kind, and not what PostgreSQL quotes.
    assert [None, "position 7: UniqueViolation"] == [one["error"] for one in answer["projections"]]
    assert "038090001234" not in str(answer)
    # Whoever runs it is told all of it.
    assert [None, fault] == [one.error for one in status(ledger)]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("position 7: a fault", "position 7"),
        ("position 7: KeyError: '1'", "position 7: KeyError"),
        ("038090001234", "it stopped"),
        (str(PositionLostError("worklist")), str(PositionLostError("worklist"))),
        (None, None),
    ],
)
def test_words_of_an_error_are_nobodys_to_read(error, told):
    assert told == outlined(ProjectionStatus("worklist", 6, 9, 3, 1.0, error)).error


def test_a_poison_event_is_told_with_its_position(client, ledger):
    """Not ready, because totals do not move any more; reports still go in and totals still answer."""
    client.post("/v1/events", json=report(citizen=citizen(1)))
    row = StoredEvent(
        originator_id=uuid4(), originator_version=1, topic="dossier.transferred.v9", state=b"{}"
    )
    [position] = ledger.recorder.insert_events([row])
    wait_until(lambda: client.get("/health/ready").status_code == 503)
    answer = check_problem(client.get("/health/ready"), 503, "projection_stopped")

    assert answer["ready"] is False
    assert UNITS + 2 == answer["position"]
    for projection in answer["projections"]:
        assert f"position {position}: " in projection["error"]
        assert position - 1 == projection["position"]
    assert 201 == client.post("/v1/events", json=report(citizen=citizen(2))).status_code
    assert 1 == client.get("/v1/totals").json()["sum"]["collected"]
    check_problem(client.get(f"/v1/totals?after={position}"), 503, "not_caught_up")


def test_a_database_that_is_away_is_not_ready(client, door):
    """A problem, as on every other route, that has nothing to tell besides; ready again as soon as it is back."""
    with door.shut():
        problem = check_problem(client.get("/health/ready"), 503, "store_unavailable")
    assert "ready" not in problem
    wait_until(lambda: client.get("/health/ready").status_code == 200)
