"""Find a citizen's dossier, and read where it stands and how it came there."""

from uuid import UUID, uuid4

import pytest

from ledger.unit_events import UNITS_STREAM
from tests.api.conftest import CITIZEN, UNITS, check_problem, report

STEPS = (
    report("a1", note="hẹn 9 giờ", team="t-1", place="culture_house", residence_unit="27280"),
    report("a2", type="rejected", unit=None, reason="photo", occurred_at="2024-12-09T21:16:00+07:00"),
    report("a3", unit="16093", occurred_at="2024-12-09T21:17:00+07:00"),
    report("a4", type="approved", unit=None, occurred_at="2024-12-09T21:18:00+07:00"),
    report("a5", type="activated", unit="14758", actor="self", occurred_at="2024-12-09T21:19:00+07:00"),
    report("b1", level=1, occurred_at="2024-12-09T20:00:00+07:00"),
)


@pytest.fixture
def dossier(client) -> str:
    """The id of a dossier with six events."""
    answers = client.post("/v1/events", json=list(STEPS)).json()
    assert [1, 2, 3, 4, 5, 6] == [answer["version"] for answer in answers]
    return answers[0]["dossier_id"]


def test_a_citizen_is_found_by_number(client, dossier):
    """The number travels in the body; the answer may not be kept by anything in between."""
    response = client.post("/v1/dossiers/lookup", json={"citizen": CITIZEN})

    assert (200, {"dossier_id": dossier}) == (response.status_code, response.json())
    assert "no-store" == response.headers["cache-control"]


def test_a_state_tells_both_levels(client, dossier):
    """Each level that was ever collected, with its attempt and the unit that collected it."""
    state = client.get(f"/v1/dossiers/{dossier}").json()

    assert (dossier, 6, UNITS + 6) == (state["dossier_id"], state["version"], state["position"])
    assert {"1": ("collected", 1, "14758"), "2": ("activated", 2, "16093")} == {
        level: (told["state"], told["attempt"], told["collecting_unit"]["code"])
        for level, told in state["levels"].items()
    }


def test_a_history_tells_every_event(client, dossier):
    """Oldest first, as sent and as decided, with the note opened and no personal number."""
    response = client.get(f"/v1/dossiers/{dossier}/history")
    history = response.json()
    first, *_ = history["events"]

    assert CITIZEN not in response.text
    assert "no-store" == response.headers["cache-control"]
    assert [1, 2, 3, 4, 5, 6] == [event["version"] for event in history["events"]]
    assert [step["type"] for step in STEPS] == [event["type"] for event in history["events"]]
    assert [step["occurred_at"] for step in STEPS] == [event["occurred_at"] for event in history["events"]]
    assert [1, 1, 2, 2, 2, 1] == [event["attempt"] for event in history["events"]]
    assert ("14758", "Phường Đông Thọ", "commune") == tuple(first["unit"].values())
    for name in ("note", "team", "place", "residence_unit", "key", "actor"):
        assert STEPS[0][name] == first[name]
    assert "photo" == history["events"][1]["reason"]
    assert client.get(f"/v1/dossiers/{dossier}").json()["levels"] == history["levels"]


@pytest.mark.parametrize(
    ("query", "versions"),
    [
        ("after=0&limit=2", [1, 2]),
        ("after=2&limit=3", [3, 4, 5]),
        ("after=5", [6]),
        ("after=6", []),
        (f"after={2**63 - 1}", []),
    ],
)
def test_a_history_can_be_read_in_parts(client, dossier, query, versions):
    """The levels are told as they stand now, whatever part was asked for."""
    history = client.get(f"/v1/dossiers/{dossier}/history?{query}").json()

    assert versions == [event["version"] for event in history["events"]]
    assert "activated" == history["levels"]["2"]["state"]


@pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=0", "limit=1001", "limit=x", "limit="])
def test_parts_that_are_none_are_refused(client, dossier, query):
    """With the name of the parameter."""
    problem = check_problem(client.get(f"/v1/dossiers/{dossier}/history?{query}"), 400, "bad_request")
    assert query.split("=")[0] in problem["detail"]


@pytest.mark.parametrize(
    "dossier_id",
    [uuid4(), UNITS_STREAM, "00000000-0000-0000-0000-000000000000"],
    ids=["drawn", "of_the_units", "nil"],
)
@pytest.mark.parametrize("what", ["", "/history"])
def test_an_unknown_dossier_is_not_found(client, dossier_id, what):
    """The stream of the units is no dossier either."""
    check_problem(client.get(f"/v1/dossiers/{dossier_id}{what}"), 404, "unknown_dossier")


def test_an_erased_citizen_is_not_found_but_the_history_stays(client, dossier, ledger):
    """What happened remains countable; whom it happened to, and the notes, cannot be told any more."""
    ledger.erase(UUID(dossier), reason="on request")
    check_problem(client.post("/v1/dossiers/lookup", json={"citizen": CITIZEN}), 404, "unknown_citizen")
    history = client.get(f"/v1/dossiers/{dossier}/history").json()

    assert history["erased"]
    *events, last = history["events"]
    assert 6 == len(events)
    assert (None, True) == (events[0]["note"], events[0]["note_erased"])
    assert ("erased", "on request", None, 7) == (last["type"], last["reason"], last["level"], last["version"])
    assert client.get(f"/v1/dossiers/{dossier}").json()["erased"]
    [told] = client.get(f"/v1/events?after={last['position'] - 1}").json()["events"]
    assert (dossier, "citizen.erased.v1", "erased") == (told["dossier_id"], told["topic"], told["type"])
    assert {"occurred_at", "actor", "reason"} == set(told["data"])


def test_a_number_is_revealed(client, dossier, ledger):
    """To a POST alone, and for nobody to keep; of an erased citizen there is none."""
    address = f"/v1/dossiers/{dossier}/reveal"
    answer = client.post(address)
    assert {"dossier_id": dossier, "citizen": CITIZEN} == answer.json()
    assert "no-store" == answer.headers["cache-control"]
    check_problem(client.get(address), 405, "method_not_allowed")
    check_problem(client.post(f"/v1/dossiers/{uuid4()}/reveal"), 404, "unknown_dossier")
    ledger.erase(UUID(dossier), reason="on request")
    check_problem(client.post(address), 409, "erased")
