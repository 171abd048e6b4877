"""The same counts, got in another way: plain dicts over the rows of the log, no code of the projections.

Nothing here believes what an event says of the one before it, of attempts or of collecting units:
what waits is known by following every dossier to its last event.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg

from ledger.database import Database
from ledger.units import allocation_id

VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")
EVENTS = ("collected", "approved", "rejected", "notified", "activated", "locked", "unlocked", "withdrawn")
WAITING = {
    "collected": ("awaiting_approval",),
    "approved": ("awaiting_activation",),
    "notified": ("awaiting_activation", "awaiting_notified"),
}
MEASURES = (*EVENTS, "awaiting_approval", "awaiting_activation")
COUNTS = (*MEASURES, "awaiting_long", "awaiting_notified")


class Where(NamedTuple):
    """Where an event stands; its fields are names of ``TotalsQuery.by``, but for unit, which is the id of a leaf."""

    unit: str
    level: int
    day: date
    place: str
    shift: str
    partner: str
    team: str
    actor: str
    residence: str
    reason: str

    @property
    def week(self) -> str:
        return "{}-W{:02}".format(*self.day.isocalendar())

    @property
    def month(self) -> str:
        return f"{self.day:%Y-%m}"


Counts = Counter[tuple[str, Where]]
"""How many, by measure and place."""


class Tree(NamedTuple):
    """The units as the log's rows tell of them, none of which ever ended."""

    ids: dict[str, str]
    """By code."""
    parents: dict[str, str | None]
    """By id, ids."""

    def path(self, unit: str | None) -> list[str]:
        """Return a unit and everything above it, ids."""
        found = []
        while unit is not None:
            found.append(unit)
            unit = self.parents[unit]
        return found

    def under(self, code: str) -> set[str]:
        """Return a unit and everything under it, ids."""
        return {unit for unit in self.parents if self.ids[code] in self.path(unit)}


Row = tuple[int, object, str, bytes]
"""position, stream, topic, state."""


def rows_of(database: Database, *, upto: int | None = None) -> list[Row]:
    with psycopg.connect(database.as_operator(), autocommit=True) as connection:
        return connection.execute(
            "SELECT notification_id, originator_id, topic, state FROM events "
            "WHERE %(upto)s::bigint IS NULL OR notification_id <= %(upto)s ORDER BY notification_id",
            {"upto": upto},
        ).fetchall()


def tree_of(rows: Iterable[Row]) -> Tree:
    tree = Tree({}, {})
    for _, _, topic, state in rows:
        if topic == "unit.opened.v1":
            event = json.loads(state)
            tree.ids[event["code"]] = event["unit_id"]
            tree.parents[event["unit_id"]] = event.get("parent_id")
    return tree


def count(rows: Iterable[Row]) -> Counts:
    """Return the counts of events, and of what waits when all of them have happened."""
    counts: Counts = Counter()
    streams: dict[object, list[dict]] = {}
    for _, stream, topic, state in rows:
        if topic.startswith(("dossier.", "entry.")):
            streams.setdefault(stream, []).append({**json.loads(state), "type": topic.split(".")[1]})
    for entries in streams.values():
        for level in (1, 2):
            counts.update(_of_level([event for event in what_stands(entries) if event["level"] == level]))
    return counts


def what_stands(entries: list[dict]) -> list[dict]:
    """Return the steps of a dossier that stand, as corrected and allocated, in order.

    Each has the unit where it counts, and if the dossier was allocated to a part of it, that part as ``allocated_id``.
    """
    later = dict(enumerate(entries, 1))

    def about(version: int, kind: str) -> list[int]:
        return [v for v, e in later.items() if e["type"] == kind and e["corrects"] == version]

    def stands(version: int) -> bool:
        return not any(in_force(void) is not None for void in about(version, "voided"))

    def in_force(version: int) -> int | None:
        """Since which version a correction counts."""
        if not stands(version):
            return None
        if not later[version].get("asked"):
            return version
        return min((confirm for confirm in about(version, "confirmed") if stands(confirm)), default=None)

    def allocated(level: int, unit: str) -> str | None:
        part = None
        for version, entry in later.items():
            if entry["type"] == "allocated" and entry["level"] == level and unit in entry["split_ids"]:
                part = entry["unit_id"] if stands(version) else part
        return part

    steps = []
    collectors: dict[int, str] = {}
    for version, entry in later.items():
        if "corrects" in entry or entry["type"] == "allocated" or not stands(version):
            continue
        step = dict(entry)
        for kind in ("reassigned", "amended"):
            counting = sorted((in_force(v), v) for v in about(version, kind) if in_force(v) is not None)
            for _, v in counting:
                told = {
                    name: later[v][name]
                    for name in ("place", "partner", "team", "unit", "unit_id")
                    if name in later[v]
                }
                step |= told
        if entry["type"] == "collected":
            collectors[step["level"]] = step["unit_id"]
        elif "unit" not in step:
            # Without a unit of its own it counts wherever the collection has gone.
            step["unit_id"] = collectors[step["level"]]
        step["allocated_id"] = allocated(step["level"], step["unit_id"])
        steps.append(step)
    return steps


def _of_level(steps: list[dict]) -> Counts:
    counts: Counts = Counter()
    collector = residence = ""
    waits: list[tuple[str, Where]] = []
    locked: list[tuple[str, Where]] = []
    for step in steps:
        kind = step["type"]
        if kind == "collected":
            collector, residence = leaf(step["unit_id"], step["allocated_id"]), ""
        residence = step.get("residence_unit", residence)
        where = where_of({**step, "residence": residence})
        counts[kind, where] += 1
        if kind == "locked":
            locked, waits = waits, []
        elif kind == "unlocked":
            waits, locked = locked, []
        else:
            measures = list(WAITING.get(kind, ()))
            if step.get("card", "valid") != "valid":
                measures.append("awaiting_long")
            waits = [(measure, where._replace(unit=collector, reason="")) for measure in measures]
    counts.update(waits)
    return counts


def where_of(event: Mapping) -> Where:
    local = datetime.fromisoformat(event["occurred_at"]).astimezone(VIETNAM)
    return Where(
        leaf(event["unit_id"], event.get("allocated_id")),
        event["level"],
        local.date(),
        event.get("place", "other"),
        shift_of(local),
        event.get("partner", "none"),
        event.get("team", "") if event.get("team") != "-" else "",
        event["actor"],
        event.get("residence", ""),
        event.get("reason", ""),
    )


def leaf(unit: str, part: str | None = None) -> str:
    """Return the id under which is kept what counts at a unit, or what was allocated of it to a part."""
    return str(allocation_id(UUID(unit), UUID(part))) if part else unit


def shift_of(local: datetime) -> str:
    minute = local.hour * 60 + local.minute
    if not 7 * 60 <= minute < 22 * 60 + 30:
        return "night"
    if local.strftime("%a") in ("Sat", "Sun"):
        return "weekend"
    return "office" if minute < 17 * 60 else "evening"


def expect(
    counts: Counts,
    by: str,
    *,
    units: set[str] | None = None,
    level: int | None = None,
    from_day: date = date.min,
    to_day: date = date.max,
) -> tuple[dict, dict[str, int]]:
    """Return what a question must be answered with: rows without zero rows, by key, and the sum.

    For ``by="unit"`` the rows are by the id of the unit that recorded; the caller knows the tree.
    What waits is not bound by the days: by day, it has a row of its own, None, since days that were not asked for.
    """
    rows: dict[object, Counter[str]] = {}
    total: Counter[str] = Counter()
    for (measure, where), number in counts.items():
        if measure not in MEASURES:
            continue
        if (units is not None and where.unit not in units) or level not in (None, where.level):
            continue
        asked = from_day <= where.day <= to_day
        if not asked and measure in EVENTS:
            continue
        total[measure] += number
        key = None if by in ("day", "week", "month") and not asked else getattr(where, by)
        rows.setdefault(key, Counter())[measure] += number
    return {key: whole(row) for key, row in rows.items() if any(row.values())}, whole(total)


def whole(row: Mapping[str, int]) -> dict[str, int]:
    """Return all measures, in their order."""
    return {measure: row.get(measure, 0) for measure in MEASURES}


def tables_of(database: Database) -> dict[str, Counts]:
    """Return what the three tables hold, each summed to ``Where``s with None where the grain has no more."""
    grains: dict[str, Counts] = {"deltas": Counter(), "day": Counter(), "month": Counter(), "ever": Counter()}
    with psycopg.connect(database.as_operator(), autocommit=True) as connection:
        for grain, column in {"day": "day", "month": "month", "ever": "NULL"}.items():
            query = f"SELECT leaf_id::text, level, {column}, {', '.join(COUNTS)} FROM unit_totals_{grain}"
            for unit, level, day, *numbers in connection.execute(query).fetchall():
                for measure, number in zip(COUNTS, numbers, strict=True):
                    grains[grain][measure, coarse(unit, level, day)] += number
        fields = "leaf_id::text, level, day, place, shift, partner, team, actor, residence, reason"
        query = f"SELECT {fields}, event, waits, count FROM unit_totals_deltas"
        for *where, event, waits, number in connection.execute(query).fetchall():
            measures = [] if event is None else [EVENTS[event]]
            measures += [] if waits is None else WAITS[waits]
            for measure in measures:
                grains["deltas"][measure, Where(*where)] += number
    return {grain: Counter({key: n for key, n in counts.items() if n}) for grain, counts in grains.items()}


WAITS = (
    ["awaiting_approval"],
    ["awaiting_approval", "awaiting_long"],
    ["awaiting_activation"],
    ["awaiting_activation", "awaiting_notified"],
)
"""As the numbers in the table mean."""


def coarse(unit: str, level: int, day: date | None) -> Where:
    return Where(unit, level, day, *[None] * 7)


def tables_by_hand(counts: Counts) -> dict[str, Counts]:
    """Return what ``tables_of`` must return."""
    grains: dict[str, Counts] = {"deltas": counts, "day": Counter(), "month": Counter(), "ever": Counter()}
    for (measure, where), number in counts.items():
        grains["day"][measure, coarse(where.unit, where.level, where.day)] += number
        grains["ever"][measure, coarse(where.unit, where.level, None)] += number
        grains["month"][measure, coarse(where.unit, where.level, where.day.replace(day=1))] += number
    return grains


def check_totals(database: Database, *, length: int | None = None) -> None:
    """Audit the read model: it stands at the head, and every grain is the fold of the log, done by hand.

    Args:
        length: How many events of dossiers there must be.
    """
    rows = rows_of(database)
    with psycopg.connect(database.as_operator(), autocommit=True) as connection:
        tracked = connection.execute("SELECT position FROM projections WHERE name = 'unit_totals'").fetchall()
    assert [(len(rows),)] == tracked
    counts = count(rows)
    if length is not None:
        assert length == sum(number for (measure, _), number in counts.items() if measure in EVENTS)
    assert tables_by_hand(counts) == tables_of(database)
