"""The tree of units, on a day."""

from datetime import date

import pytest

from ledger.units.commands import MergeUnits, WithdrawReorganisation
from tests.api.conftest import UNITS, check_problem


def codes(response) -> list[str]:
    assert 200 == response.status_code
    return [row["code"] for row in response.json()["rows"]]


def test_all_units_are_listed_parents_first(client):
    """Today is the day of the ledger's clock in Vietnam."""
    response = client.get("/v1/units")
    seen = {None}
    for row in response.json()["rows"]:
        assert row["parent_code"] in seen
        seen.add(row["code"])

    assert UNITS == len(codes(response))
    assert "2024-12-09" == response.json()["on"]


def test_units_are_listed_as_of_a_day(client, ledger, clock):
    """Before the first of them was valid there was none."""
    assert [] == codes(client.get("/v1/units?on=2020-12-31"))
    assert UNITS == len(codes(client.get("/v1/units?on=2021-01-01")))
    assert UNITS == len(codes(client.get("/v1/units?on=9000-12-31")))
    assert [] == codes(client.get("/v1/units?on=1900-01-01"))
    clock.now = clock.now.replace(hour=17)
    assert "2024-12-10" == client.get("/v1/units").json()["on"]


def test_the_units_under_one_are_listed_with_it(client):
    """A district and its communes; a commune alone."""
    found = client.get("/v1/units", params={"under": "380"})

    assert "380" == codes(found)[0]
    assert "14758" in codes(found)
    assert {"380"} == {row["parent_code"] for row in found.json()["rows"][1:]}
    assert ["14758"] == codes(client.get("/v1/units", params={"under": "14758"}))


def test_units_opened_later_are_listed_at_once(client, ledger, open_again, tmp_path):
    """Also when another process opened them."""
    file = tmp_path / "units.csv"
    file.write_text("code,name,level,parent_code\n99,Mới,province,\n", encoding="utf-8")
    open_again().load_units(file, valid_from=date(2024, 12, 1))

    assert "99" in codes(client.get("/v1/units"))
    assert 200 == client.get("/v1/units/99").status_code
    check_problem(client.get("/v1/units/99?on=2024-11-30"), 422, "unit_not_valid")


def test_a_unit_is_told_by_its_code(client):
    """With its name, level, parent and validity."""
    assert {
        "code": "14758",
        "name": "Phường Đông Thọ",
        "level": "commune",
        "parent_code": "380",
        "valid_from": "2021-01-01",
        "valid_to": None,
    } == client.get("/v1/units/14758").json()


def test_changes_are_listed_in_the_order_of_recording(client, ledger, tmp_path):
    """Each with its basis and who recorded it when; one that was withdrawn is listed still."""
    [loaded] = client.get("/v1/units/changes").json()["rows"]
    assert (None, "2021-01-01", None, "local", 1, UNITS) == tuple(
        loaded[name] for name in ("reorganisation", "effective", "decree", "actor", "position", "events")
    )
    merging = MergeUnits(
        effective=date(2024, 11, 1), decree="NQ 1", actor="keeper", units=("14758",), into="14761"
    )
    changed = ledger.change_units(merging)
    first, row = client.get("/v1/units/changes").json()["rows"]
    recorded_at = ledger.read(after=UNITS)[0].recorded_at
    assert loaded == first

    assert {
        "reorganisation": str(changed.plan.reorganisation),
        "effective": "2024-11-01",
        "decree": "NQ 1",
        "actor": "keeper",
        "position": UNITS + 1,
        "recorded_at": recorded_at.isoformat().replace("+00:00", "Z"),
        "events": 1,
        "withdrawn_position": None,
        "withdrawn_recorded_at": None,
        "withdrawn_by": None,
        "withdrawn_reason": None,
        "withdrawn_decree": None,
    } == row
    check_problem(client.get("/v1/units/14758?on=2024-11-01"), 422, "unit_not_valid")
    withdrawal = WithdrawReorganisation(
        reorganisation=changed.plan.reorganisation, reason="another decree", actor="keeper", decree="NQ 2"
    )
    ledger.change_units(withdrawal)

    told = {
        "withdrawn_position": UNITS + 2,
        "withdrawn_recorded_at": ledger.read(after=UNITS + 1)[0]
        .recorded_at.isoformat()
        .replace("+00:00", "Z"),
        "withdrawn_by": "keeper",
        "withdrawn_reason": "another decree",
        "withdrawn_decree": "NQ 2",
    }
    assert [loaded, row | told] == client.get("/v1/units/changes").json()["rows"]
    # Another list is another change; one whose basis is the same and that comes right after would not be.
    path = tmp_path / "more.csv"
    path.write_text("code,name,level,parent_code\n99001,Xã Mới,commune,380\n", encoding="utf-8")
    ledger.load_units(path, valid_from=date(2024, 11, 2), decree="NQ 3", actor="keeper")
    assert ("NQ 3", "2024-11-02", UNITS + 3, 1) == tuple(
        client.get("/v1/units/changes").json()["rows"][-1][name]
        for name in ("decree", "effective", "position", "events")
    )
    # Followers of the log are told, too.
    events = client.get(f"/v1/events?after={UNITS}").json()["events"]
    assert [
        ("unit.merged.v1", None),
        ("units.reorganisation_withdrawn.v1", None),
        ("unit.opened.v1", None),
    ] == [(event["topic"], event["dossier_id"]) for event in events]
    assert "NQ 1" == events[0]["data"]["decree"]
    assert 200 == client.get("/v1/units/14758?on=2024-11-01").status_code


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("/v1/units/99999", "unknown_unit"),
        ("/v1/units/14758?on=2020-12-31", "unit_not_valid"),
        ("/v1/units?under=99999", "unknown_unit"),
        ("/v1/units?under=14758&on=2020-12-31", "unit_not_valid"),
        ("/v1/units?under=", "unknown_unit"),
        pytest.param(
            "/v1/units/038090001234",
            "unknown_unit",
        ),
        pytest.param(
            "/v1/units?under=038090001234",
            "unknown_unit",
        ),
    ],
)
def test_a_code_that_means_nothing_is_refused(client, address, code):
    """And a personal number that was taken for a code is not repeated."""
    check_problem(client.get(address), 422, code)
