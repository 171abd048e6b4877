"""Days that reports cannot be of, asked of every route that takes a day: the ends of the calendar make nothing fail."""

from datetime import date, timedelta
from itertools import product

import pytest
from litestar.handlers import HTTPRouteHandler

from api.admission import declared
from api.parameters import day_names
from ledger.checks import DAY_MAX, DAY_MIN
from tests.api.conftest import check_problem, report

UNKNOWN = (date.min, DAY_MIN - timedelta(1), DAY_MAX + timedelta(1), date.max)
KNOWN = (DAY_MIN, DAY_MIN + timedelta(30), date(2024, 12, 1), date(2024, 12, 9), DAY_MAX)
MORE = ({}, {"compare": "previous"}, {"by": "day"}, {"hierarchy": "then"})
"""What else a question may say that makes days of days, where its route takes it."""


def routes_with_days(app) -> dict[str, HTTPRouteHandler]:
    """Return every route with a parameter that is a day, by its address."""
    return {
        template.replace("{code}", "14758"): handler
        for template, handler, _ in declared(app)
        if day_names(handler)
    }


def test_a_day_that_the_ledger_does_not_know_is_one_clear_error(client):
    """Of every route, each parameter; the routes are those of the application, so that none is forgotten."""
    routes = routes_with_days(client.app)
    assert {"/v1/totals", "/v1/cues", "/v1/ageing", "/v1/overdue", "/v1/progress", "/v1/units"} < set(routes)
    for address, handler in routes.items():
        for name, day in product(sorted(day_names(handler)), UNKNOWN):
            problem = check_problem(client.get(address, params={name: str(day)}), 400, "invalid_field")
            assert f"{name}: {day} is not from 1900-01-01 to 9000-12-31" == problem["detail"]


@pytest.mark.parametrize("more", MORE, ids=str)
def test_no_day_that_the_ledger_knows_makes_a_route_fail(client, more):
    """All pairs of days at the ends and in the middle: an answer, or one clear error."""
    client.post("/v1/events", json=report())
    asked = 0
    for address, handler in routes_with_days(client.app).items():
        if not set(more) <= {field.name for field in handler.parsed_fn_signature.parameters.values()}:
            continue
        names = sorted(day_names(handler))
        for days in product((None, *KNOWN), repeat=len(names)):
            asked += 1
            given = {name: str(day) for name, day in zip(names, days, strict=True) if day is not None}
            answer = client.get(address, params=given | more)
            assert answer.status_code in (200, 400, 422), (address, given, answer.text)
    assert asked > 30


@pytest.mark.parametrize("day", UNKNOWN)
def test_a_tree_of_no_day(client, day):
    problem = check_problem(client.get("/v1/totals", params={"hierarchy": str(day)}), 400, "invalid_field")
    assert problem["detail"].startswith(f"hierarchy: {day} is not from")
