"""The matrix: every route, role, place and token, with the one answer that each may have. And each guard taken away."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from litestar.testing import TestClient

from api import admission
from api.admission import Door, RouteUndeclaredError, declared
from api.app import create_app
from api.totals import TotalsController
from ledger import Ledger, read_report, recording
from ledger.access import LOCAL, NOBODY, RIGHT_TO_REPORT, Role
from ledger.application import Ledger as Service
from ledger.identities import Identities
from projections import Totals, TotalsQuery, catch_up, freeze_report
from tests.api.conftest import authenticator_of, check_problem, citizen, client_of
from tests.api.matrix import ABOVE, BESIDE, OTHER, OWN, PEOPLE, Question, Who, misfits, questions, rights_of
from tests.conftest import NOW, Clock, Server
from tests.tokens import FAULTS, HEADERS, Issuer, bearer, expired_key, make_key, revoked_key

WHO = citizen(1)
AT = datetime(2024, 12, 2, 1, tzinfo=UTC)
CASES_MIN = 3_000
STREAM = "/v1/events/stream"
LISTS = ("GET /v1/reasons", "GET /v1/purposes")
"""Settings of the ledger, which no service looks up for anybody."""


class Office(NamedTuple):
    client: TestClient
    ledger: Ledger
    """As whoever holds the database has it."""
    served: Ledger
    """As the server has it: nobody's."""
    issuer: Issuer
    clock: Clock
    questions: list[Question]


@pytest.fixture(scope="module")
def office(server: Server, units_template: str) -> Iterator[Office]:
    """One ledger and one application for all cases. What may be recorded is there already: a retry changes nothing."""
    name, clock = server.create(units_template), Clock()
    database, identities = server.database(name), Identities(lookup=bytes(32), wrap=bytes(32))
    with (
        Ledger(database, identities, now=clock) as ledger,
        Ledger(database, identities, now=clock, principal=NOBODY) as served,
        authenticator_of(served) as (authenticator, issuer),
    ):
        reports = list(lives())
        for report in reports:
            sent = {field: value for field, value in report.items() if field != "units"}
            ledger.record(read_report(sent))
        totals = Totals(ledger)
        for title, unit in (("own", OWN), ("whole", None)):
            catch_up(database)
            freeze_report(ledger, totals, title, TotalsQuery(unit=unit))
        catch_up(database)
        served.tree()
        with client_of(create_app(served, Totals(served), authenticator)) as client:
            asked = questions(ledger.find(WHO), WHO, reports)
            yield Office(client, ledger, served, issuer, clock, asked)
    server.drop(name)


def lives() -> Iterator[dict[str, Any]]:
    """Yield reports of two citizens, lawful in their order, each with the units over which it takes its right."""
    keys = iter(range(1, 1000))

    def report(type_: str, *units: str, who: str = WHO, **fields: Any) -> dict[str, Any]:
        number = next(keys)
        at = (AT + timedelta(hours=number)).isoformat()
        whole = {"key": f"k{number}", "type": type_, "citizen": who, "level": 2, "occurred_at": at}
        return {**whole, "actor": "th-0042", **fields, "units": units}

    yield report("collected", OWN, unit=OWN)
    yield report("rejected", OWN, reason="photo")
    yield report("collected", OWN, unit=OWN)
    yield report("approved", OWN)
    yield report("withdrawn", OWN, reason="face")
    yield report("collected", OWN, unit=OWN)
    yield report("approved", OWN, unit=OWN)
    yield report("notified", OWN)
    yield report("activated", OWN, unit=OWN)
    yield report("locked", OWN, unit=OWN, reason="death")
    yield report("unlocked", OWN, unit=OWN, reason="other")
    yield report("amended", OWN, corrects=9, place="school")
    yield report("voided", OWN, corrects=11, reason="mistyped")
    # Another one's, of whom the auditor of the first has no sight.
    beside = citizen(2)
    yield report("collected", OTHER, who=beside, unit=OTHER)
    yield report("collected", BESIDE, who=beside, unit=BESIDE, level=1)
    yield report("reassigned", OWN, BESIDE, who=beside, corrects=2, unit=OWN, level=1)


def header(office: Office, who: Who) -> dict[str, str]:
    return bearer(office.issuer.token(*rights_of(who), staff_code="*"))


def wrong(office: Office, asked: list[Question]) -> tuple[list[str], int]:
    """Return what is not as it should be, and how many cases there were."""
    catch_up(office.ledger.database)
    found = list(misfits(office.client, asked, lambda who: header(office, who)))
    return [one for one in found if one], len(found)


def test_every_route_is_asked_about(office):
    """A route that nobody thought of in the matrix makes it red. A stream has no end to be waited for: it is asked below."""
    for template, handler, rights in declared(office.client.app):
        pattern = re.sub(r"\{\w+\}", "[^/]+", template)
        assert (
            not rights
            or template == STREAM
            or any(
                question.method in handler.http_methods and re.fullmatch(pattern, question.path)
                for question in office.questions
            )
        ), template
    assert set(RIGHT_TO_REPORT) - {"allocated", "confirmed"} == {
        question.name.split()[1] for question in office.questions if question.name.startswith("POST ")
    } - {"lookup", "embargo", "reveal"}


def test_everybody_is_answered_as_their_rights_say(office):
    found, cases = wrong(office, office.questions)
    assert [] == found
    assert CASES_MIN - cases_of_tokens(office) <= cases


def test_the_log_is_streamed_to_nobody_else(office):
    for who in PEOPLE:
        if who.role not in (Role.FOLLOWER, Role.OPERATOR) or who.place != "whole":
            check_problem(office.client.get(STREAM, headers=header(office, who)), 403, "not_permitted")


def protected(office: Office) -> list[tuple[str, str]]:
    """Return a request for every route that takes a token, the stream too."""
    found = []
    for template, handler, rights in declared(office.client.app):
        path = template.replace("{dossier_id}", str(UUID(int=7))).replace("{code}", OWN)
        found += [(method, path.replace("{name}", "own")) for method in handler.http_methods if rights]
    return found


def cases_of_tokens(office: Office) -> int:
    return len(protected(office)) * (len(FAULTS) + len(HEADERS) + 4)


def test_no_route_takes_a_token_with_a_fault(office):
    """Whatever is wrong with it, whoever it says it is: 401, and how to do better."""
    good = office.issuer.token("operator:*", staff_code="*")
    sent = {name: (code, {"Authorization": make(good)}) for name, (code, make) in HEADERS.items()}
    for name, (code, make) in FAULTS.items():
        sent[name] = code, bearer(make(office.issuer, ["operator:*"]))
    sent["none"] = "token_needed", {}
    sent["revoked"] = "token_revoked", bearer(revoked_key(office.ledger, Role.OPERATOR))
    sent["expired key"] = "token_expired", bearer(expired_key(office.ledger, office.clock, Role.OPERATOR))
    sent["key, changed"] = "token_invalid", bearer(make_key(office.ledger, Role.OPERATOR)[:-1] + "!")
    cases = 0
    for method, path in protected(office):
        for name, (code, headers) in sent.items():
            raw = {key: value.encode("latin-1") for key, value in headers.items()}
            answer = office.client.request(method, path, headers=raw)
            assert (401, code) == (answer.status_code, answer.json()["code"]), (method, path, name)
            assert answer.headers["www-authenticate"].startswith("Bearer"), (method, path, name)
            cases += 1
    assert cases == cases_of_tokens(office)


def test_what_is_public_is_answered_without_a_token_and_with_a_bad_one(office):
    for path in ("/", "/health/live", "/health/ready", "/schema", "/schema/openapi.json"):
        for headers in ({}, bearer("garbage"), header(office, Who(None, "own"))):
            assert 200 == office.client.get(path, headers=headers).status_code


def test_what_is_no_route_tells_nobody_anything(office):
    for method, path in (("GET", "/v1/nothing"), ("GET", "/v1/totals/"), ("DELETE", "/v1/events")):
        assert office.client.request(method, path).status_code in (401, 404, 405)
    assert 401 == office.client.options("/v1/events").status_code


def test_a_token_comes_before_everything_else(office):
    """Neither a parameter nor a body is looked at for who is not known, nor for who has no right to the route."""
    viewer = header(office, Who(Role.VIEWER, "whole"))
    check_problem(office.client.get("/v1/totals?colour=red"), 401, "token_needed")
    check_problem(office.client.get("/v1/worklist?colour=red", headers=viewer), 403, "not_permitted")
    check_problem(office.client.post("/v1/events", content=b"\xff"), 401, "token_needed")
    check_problem(office.client.post("/v1/events", content=b"\xff", headers=viewer), 403, "not_permitted")


def test_who_may_ask_for_a_part_is_told_which(office):
    answer = office.client.get("/v1/totals", headers=header(office, Who(Role.VIEWER, "above")))
    assert f"{ABOVE} Thành phố Thanh Hóa" in check_problem(answer, 403, "not_permitted")["detail"]


def test_small_counts_are_masked_for_the_public(office):
    """In JSON, where the answer says so, and in a table, where a header does and cells are empty."""
    public, viewer = (header(office, Who(role, "whole")) for role in (Role.PUBLIC, Role.VIEWER))
    for path, least in (("totals", "sum"), ("overdue", "sum"), ("ageing", "rows"), ("reports/own", "sum")):
        address = f"/v1/{path}" + ("" if "reports" in path else f"?unit={OWN}")
        shown, exact = (office.client.get(address, headers=who) for who in (public, viewer))
        assert shown.json()["masked"] is True, path
        assert "null" in json.dumps(shown.json()[least]), path
        assert not exact.json().get("masked"), path
        if "reports" not in path and path != "overdue":
            table = office.client.get(f"{address}&format=csv", headers=public)
            assert "true" == table.headers["x-ledger-masked"]
            assert ",," in table.text
            assert "x-ledger-masked" not in office.client.get(f"{address}&format=csv", headers=viewer).headers
    assert "etag" in office.client.get("/v1/reports/own", headers=viewer).headers
    assert "etag" not in office.client.get("/v1/reports/own", headers=public).headers


def test_reports_are_listed_to_who_may_see_their_units(office):
    def names(who: Who) -> list[str]:
        answer = office.client.get("/v1/reports", headers=header(office, who))
        return [row["name"] for row in answer.json()["rows"]]

    assert ["own", "whole"] == names(Who(Role.VIEWER, "whole"))
    assert ["own"] == names(Who(Role.VIEWER, "above"))
    assert [] == names(Who(Role.VIEWER, "other"))


def test_an_officer_reports_only_what_they_did(office):
    token = office.issuer.token("recorder:*", staff_code="th-0001")
    report = {name: value for name, value in next(lives()).items() if name != "units"}
    check_problem(office.client.post("/v1/events", json=report, headers=bearer(token)), 403, "not_yourself")


# The controls: without the guard, the matrix is red.


def some(office: Office, part: str) -> list[Question]:
    found = [question for question in office.questions if part in question.name]
    assert found
    return found


def test_without_a_declaration_no_application_starts(office, monkeypatch):
    monkeypatch.delitem(TotalsController.totals.opt, "rights")
    with authenticator_of(office.served) as (authenticator, _), pytest.raises(RouteUndeclaredError):
        create_app(office.served, Totals(office.served), authenticator)


def test_no_other_route_may_be_public(office, monkeypatch):
    monkeypatch.setitem(TotalsController.totals.opt, "rights", frozenset())
    with authenticator_of(office.served) as (authenticator, _), pytest.raises(RouteUndeclaredError):
        create_app(office.served, Totals(office.served), authenticator)


def test_without_the_declaration_at_the_door_the_services_still_refuse(office, monkeypatch):
    """Two locks: with the route's open, the ledger's own holds."""
    monkeypatch.setattr(admission, "check_right", lambda *_: None)
    found, _ = wrong(office, [one for one in office.questions if one.name not in LISTS])
    assert [] == found


@pytest.mark.parametrize(
    ("guard", "part"),
    [
        ((Service, "check_asked"), "GET totals {}"),
        ((Service, "check_asked"), "GET worklist {}"),
        ((Service, "check_following"), "GET log"),
        ((recording, "check_report"), "POST collected"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[1],
)
def test_without_a_check_of_the_services_the_matrix_is_red(office, monkeypatch, guard, part):
    monkeypatch.setattr(*guard, lambda *_, **__: None)
    found, _ = wrong(office, some(office, part))
    assert found


def test_without_the_check_of_a_dossier_the_matrix_is_red(office, monkeypatch):
    monkeypatch.setattr("ledger.application.dossiers.reaches_dossier", lambda *_: True)
    found, _ = wrong(office, some(office, "GET dossier"))
    assert found


def test_without_authentication_the_matrix_is_red(office, monkeypatch):
    async def admit(_self, request) -> None:
        request.scope["principal"] = LOCAL

    monkeypatch.setattr(Door, "admit", admit)
    found, cases = wrong(office, some(office, "GET totals {}"))
    assert len(PEOPLE) == cases
    assert found
    assert 200 == office.client.get("/v1/totals").status_code


def test_the_clock_stands_still(office):
    """So that tokens are taken: theirs is the ledger's."""
    assert NOW == office.clock() == office.served.now()
