"""What waits, and how long waits took, got in another way: plain dicts over the rows of the log.

Nothing here believes what an event says of the one before it: every dossier is followed to its last event.
"""

import json
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import psycopg

from ledger.database import Database
from tests.projections import by_hand
from tests.projections.by_hand import VIETNAM, Row, what_stands

WAITING = ("collected", "approved", "notified")
CLOCKS = {
    ("collected", "valid", 1): 1,
    ("collected", "valid", 2): 2,
    "collected": 3,
    "notified": 4,
    "approved": 5,
}


class Waits(NamedTuple):
    """What the tables must hold."""

    worklist: set[tuple]
    times: Counter[tuple]


def waits_of(rows: Iterable[Row]) -> Waits:
    """Return what waits when all events have happened, and how long each approval and activation took."""
    streams: dict[object, list[dict]] = {}
    for position, stream, topic, state in rows:
        if topic.startswith(("dossier.", "entry.")):
            event = json.loads(state)
            about = {"type": topic.split(".")[1], "position": position}
            streams.setdefault(stream, []).append({**event, **about})
    waits = Waits(set(), Counter())
    for stream, entries in streams.items():
        for level in (1, 2):
            _follow(waits, stream, [step for step in what_stands(entries) if step["level"] == level])
    return waits


def _follow(waits: Waits, stream: object, steps: list[dict]) -> None:
    state, collection, made_by, locked = None, {}, {}, None
    attempt, residence = 0, None
    for step in steps:
        kind = step["type"]
        at = datetime.fromisoformat(step["occurred_at"])
        if kind in ("approved", "activated"):
            took = at - datetime.fromisoformat(made_by["occurred_at"])
            name = {"approved": "approval", "activated": "activation"}[kind]
            day = at.astimezone(VIETNAM).date()
            waits.times[leaf_of(collection), step["level"], name, day, int(took.total_seconds())] += 1
        if kind == "collected":
            collection, attempt, residence = step, attempt + 1, None
        residence = step.get("residence_unit", residence)
        if kind == "locked":
            locked, state = (state, made_by), None
        elif kind == "unlocked":
            state, made_by = locked
        else:
            state, made_by = kind, step
    if state not in WAITING:
        return
    team = collection.get("team")
    level, card = collection["level"], collection.get("card", "valid")
    waits.worklist.add(
        (
            str(stream),
            level,
            state,
            datetime.fromisoformat(made_by["occurred_at"]),
            made_by["position"],
            collection["unit_id"],
            collection["allocated_id"],
            leaf_of(collection),
            residence,
            collection.get("place", "other"),
            None if team == "-" else team,
            collection["actor"],
            card,
            attempt,
            CLOCKS.get((state, card, level)) or CLOCKS[state],
        )
    )


def leaf_of(collection: dict) -> str:
    return by_hand.leaf(collection["unit_id"], collection["allocated_id"])


def tables_of(database: Database) -> Waits:
    with psycopg.connect(database.as_operator(), autocommit=True) as connection:
        worklist = connection.execute(
            "SELECT dossier_id::text, level, state, since, position, unit_id::text, allocated_id::text, leaf_id::text, "
            "residence, place, team, actor, card, attempt, clock FROM worklist"
        ).fetchall()
        times = connection.execute(
            "SELECT leaf_id::text, level, step, day, s FROM worklist_times, unnest(seconds) AS s"
        ).fetchall()
    assert len(worklist) == len(set(worklist))
    return Waits(set(worklist), Counter(times))


def check_worklist(database: Database) -> None:
    """Audit the read model: it stands at the head, and holds what the log comes to by hand."""
    rows = by_hand.rows_of(database)
    with psycopg.connect(database.as_operator(), autocommit=True) as connection:
        tracked = connection.execute("SELECT position FROM projections WHERE name = 'worklist'").fetchall()
    assert [(len(rows),)] == tracked
    expected, found = waits_of(rows), tables_of(database)
    assert expected.worklist == found.worklist
    assert expected.times == found.times


def check_all(database: Database, *, length: int | None = None) -> None:
    """Audit all read models."""
    by_hand.check_totals(database, length=length)
    check_worklist(database)
