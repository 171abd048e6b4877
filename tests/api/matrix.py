"""Who may ask what: every route, role and place of a grant, with the answer that the table of rights and a list of units give.

Nothing here asks the code that decides: who stands under whom is read from the file of units.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files
from typing import Any, NamedTuple
from uuid import UUID

from httpx import Client, Response

from ledger.access import RIGHT_TO_REPORT, RIGHTS, Right, Role

OWN, BESIDE, ABOVE, OTHER, TOP = "14758", "14761", "380", "16093", "38"
PLACES: dict[str, str | None] = {"own": OWN, "above": ABOVE, "other": OTHER, "whole": None}
"""Where a role is held, as seen from the commune that is asked about: of *above* it is one of those below."""
ANYWHERE = frozenset[str]()
"""Asked about no unit: the right is enough, over any part."""

with (files("ledger") / "data" / "units_2024.csv").open(encoding="utf-8") as _file:
    PARENTS = {row["code"]: row["parent_code"] for row in csv.DictReader(_file)}


class Question(NamedTuple):
    """A request, and what it takes."""

    name: str
    method: str
    path: str
    rights: frozenset[Right]
    """One of these."""
    units: frozenset[str] | None
    """Over each of these units; None: over the whole ledger."""
    ask: dict[str, Any]
    """What else is sent."""
    good: frozenset[int] = frozenset((200,))
    """What is answered to who may ask it."""
    public: bool = True
    """Whether a role of the public is enough, where its rights are."""
    refuses: Callable[[Response], bool] = lambda answer: answer.status_code == 403


class Who(NamedTuple):
    role: Role | None
    place: str


PEOPLE = [Who(role, place) for role in Role for place in PLACES] + [Who(None, "own")]


def stands_under(code: str, above: str) -> bool:
    while code:
        if code == above:
            return True
        code = PARENTS[code]
    return False


def may(who: Who, question: Question) -> bool:
    if who.role is None or RIGHTS[who.role].isdisjoint(question.rights):
        return False
    if who.role is Role.PUBLIC and not question.public:
        return False
    held = PLACES[who.place]
    if held is None or question.units == ANYWHERE:
        return True
    return question.units is not None and all(stands_under(unit, held) for unit in question.units)


def rights_of(who: Who) -> list[str]:
    """Return what a token says of somebody."""
    return [] if who.role is None else [f"{who.role}:{PLACES[who.place] or '*'}"]


def misfits(
    client: Client, questions: Sequence[Question], header: Callable[[Who], dict[str, str]]
) -> Iterator[str | None]:
    """Ask every question for everybody; yield for each what is not as it should be, None where it is."""
    for who in PEOPLE:
        sent = header(who)
        for question in questions:
            told = f"{question.name} for {who.role or 'nobody'} ({who.place})"
            asked = {**question.ask, "headers": {**question.ask.get("headers", {}), **sent}}
            answer = client.request(question.method, question.path, **asked)
            if may(who, question):
                wrong = answer.status_code not in question.good or question.refuses(answer)
            else:
                wrong = not question.refuses(answer)
            yield f"{told}: {answer.status_code} {answer.text[:200]}" if wrong else None


def questions(dossier_id: UUID, citizen: str, reports: Sequence[dict[str, Any]]) -> list[Question]:
    """Return a question for every route, of every kind of unit that it can be asked about.

    Args:
        reports: Reports that were recorded, with the units over which each takes its right under ``units``.
    """
    totals, worklist = frozenset((Right.TOTALS,)), frozenset((Right.WORKLIST,))
    history, follow = frozenset((Right.HISTORY,)), frozenset((Right.FOLLOW,))
    own, whole = frozenset((OWN,)), None
    found = []
    for path, rights, more, public in (
        ("totals", totals, {}, True),
        ("totals", totals, {"by": "level,day"}, True),
        ("totals", totals, {"format": "csv"}, True),
        ("totals", totals, {"position": "590"}, False),
        ("totals", totals, {"by": "unit,actor"}, False),
        ("totals", totals, {"by": "team"}, False),
        ("overdue", totals, {}, True),
        ("progress", totals, {}, True),
        ("progress", totals, {"position": "590"}, False),
        ("ageing", totals, {}, True),
        ("cues", worklist, {}, True),
        ("cues", totals, {"positions": "0"}, False),
        ("worklist", worklist, {}, True),
        ("worklist", worklist, {"format": "csv"}, True),
    ):
        for unit, units in ((OWN, own), (ABOVE, frozenset((ABOVE,))), (None, whole)):
            asked = {**more, **({"unit": unit} if unit else {})}
            name = f"GET {path} {asked}"
            found.append(
                Question(name, "GET", f"/v1/{path}", rights, units, {"params": asked}, public=public)
            )
    for path in (
        "/v1/units",
        f"/v1/units/{OTHER}",
        "/v1/units/changes",
        "/v1/reasons",
        "/v1/purposes",
        "/v1/reports",
    ):
        found += [Question(f"GET {path}", "GET", path, totals, ANYWHERE, {})]
    for name, units in (("own", own), ("whole", whole)):
        path = f"/v1/reports/{name}"
        shown = Question(f"GET report {name}", "GET", path, totals, units, {}, refuses=_report_refused)
        found += [shown, shown._replace(name=f"GET changes {name}", path=f"{path}/changes", public=False)]
    reads, operate = frozenset((Right.READS,)), frozenset((Right.OPERATE,))
    for path, right in (("", history), ("/history", history), ("/reads", reads)):
        address = f"/v1/dossiers/{dossier_id}{path}"
        found.append(Question(f"GET dossier{path}", "GET", address, right, own, {}))
    reveal = frozenset((Right.REVEAL,))
    found.append(Question("POST reveal", "POST", f"/v1/dossiers/{dossier_id}/reveal", reveal, own, {}))
    embargo, why = f"/v1/dossiers/{dossier_id}/embargo", {"headers": {"Purpose-Text": "over"}}
    found += [
        Question(
            "POST embargo",
            "POST",
            embargo,
            operate,
            own,
            {"json": {"until": "2024-12-31", "purpose_text": "case 7"}},
            frozenset((204,)),
        ),
        Question("DELETE embargo", "DELETE", embargo, operate, own, why, frozenset((204,))),
    ]
    found.append(
        Question("POST lookup", "POST", "/v1/dossiers/lookup", history, own, {"json": {"citizen": citizen}})
    )
    found.append(Question("GET log", "GET", "/v1/events", follow, whole, {"params": {"limit": 1}}))
    found.append(Question("GET metrics", "GET", "/metrics", operate, whole, {}))
    for report in reports:
        sent = {name: value for name, value in report.items() if name != "units"}
        right, units = frozenset((RIGHT_TO_REPORT[report["type"]],)), frozenset(report["units"])
        name = f"POST {report['type']} {report['key']}"
        posted = Question(
            name, "POST", "/v1/events", right, units, {"json": sent}, frozenset((201,)), refuses=_post_refused
        )
        found.append(posted)
        many = posted._replace(
            name=f"{name} in an array", ask={"json": [sent]}, good=frozenset((200,)), refuses=_item_refused
        )
        lines = ",".join(sent) + "\n" + ",".join(map(str, sent.values())) + "\n"
        file = posted._replace(
            name=f"{name} in a file",
            path="/v1/events/import",
            ask={"content": lines, "headers": {"content-type": "text/csv"}},
            good=frozenset((200,)),
            refuses=_line_refused,
        )
        found += [many, file] if report["type"] in ("collected", "approved", "reassigned") else [many]
    return found


def _report_refused(answer: Response) -> bool:
    """Whoever may see some totals is told the same of a report of others' and of one that there is not."""
    return answer.status_code == 403 or (answer.status_code, answer.json().get("code")) == (
        404,
        "unknown_report",
    )


REFUSALS = {"not_permitted", "key_conflict"}
"""Of a report: also where somebody might make it, but for its key, which is that of one that they may not."""


def _post_refused(answer: Response) -> bool:
    return answer.status_code in (403, 409) and answer.json()["code"] in REFUSALS


def _item_refused(answer: Response) -> bool:
    return answer.status_code == 403 or answer.json()[0].get("code") in REFUSALS


def _line_refused(answer: Response) -> bool:
    if answer.status_code == 403:
        return True
    told = answer.json()
    assert 1 == told["recorded"] + told["duplicates"] + told["refused"]
    return [line["error"] in REFUSALS for line in told["refused_lines"]] == [True]
