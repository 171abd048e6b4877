"""The tables of the worklist beside the log: which dossiers wait, and how long waits took."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Connection

from ledger.business_time import business_day
from ledger.commands import NO_TEAM
from ledger.units import allocation_id
from projections.reconciling.following import STEPS, Entry, Life, what_stands
from projections.reconciling.reading import Item, Key, Table, month_number, read
from projections.waits import NAME as WORKLIST


class Wait(NamedTuple):
    """What a level waits in."""

    state: str
    entry: Entry


class Course(NamedTuple):
    """How one level went."""

    collection: Entry
    """The last one."""
    leaf: str
    """Where that counts."""
    allocated_id: str
    attempt: int
    residence: str
    waits: Wait | None
    before_lock: Wait | None


Took = tuple[str, int, Entry, datetime]
"""Leaf, level, what ended the wait, and since when it was waited."""


class Waiting(Table):
    """Each level of a dossier that waits."""

    NAME = "worklist"
    PROJECTION = WORKLIST
    MEASURES = ("rows",)

    def of_log(self, life: Life, upto: int) -> Iterator[Item]:
        courses, _ = follow(life, upto)
        for level, course in courses.items():
            if course.waits is not None:
                (state, made_by), line = course.waits, course.collection.line
                key = (
                    *(life.stream, level, state, made_by.line.occurred_at, made_by.position, line.unit_id),
                    *(
                        course.allocated_id,
                        course.leaf,
                        course.residence,
                        line.place or "other",
                        _team(line.team),
                    ),
                    *(line.actor, line.card, course.attempt),
                )
                yield (_bucket(life.stream), key, 0, 1, made_by.position)

    def rows(self, connection: Connection[Any]) -> Iterator[list[Item]]:
        types = ("text", "int2", "text", "timestamptz", "int8", *["text"] * 8, "int4")
        for key in read(connection, self.NAME, types):
            yield [(_bucket(key[0]), tuple(key), 0, 1, None)]

    def tell(self, key: Key) -> dict[str, Any]:
        names = (
            *(
                "dossier",
                "level",
                "state",
                "since",
                "position",
                "unit_id",
                "allocated_id",
                "leaf",
                "residence",
            ),
            *("place", "team", "actor", "card", "attempt"),
        )
        return dict(zip(names, key, strict=True))


class Times(Table):
    """How long waits took, by the day on which they ended."""

    NAME = "worklist_times"
    PROJECTION = WORKLIST
    MEASURES = ("times",)

    def of_log(self, life: Life, upto: int) -> Iterator[Item]:
        _, times = follow(life, upto)
        for leaf, level, entry, since in times:
            step = "approval" if entry.kind == "approved" else "activation"
            day = business_day(entry.line.occurred_at)
            seconds = int((entry.line.occurred_at - since).total_seconds())
            yield (month_number(day), (day, leaf, level, step, seconds), 0, 1, entry.position)

    def rows(self, connection: Connection[Any]) -> Iterator[list[Item]]:
        for day, leaf, level, step, took in read(
            connection, self.NAME, ("date", "text", "int2", "text", "int8[]")
        ):
            yield [(month_number(day), (day, leaf, level, step, seconds), 0, 1, None) for seconds in took]

    def tell(self, key: Key) -> dict[str, Any]:
        return dict(zip(("day", "leaf", "level", "step", "seconds"), key, strict=True))


def follow(life: Life, upto: int) -> tuple[dict[int, Course], list[Took]]:
    """Return how the levels of a dossier stand at a position, and which waits ended."""
    entries = [entry for entry, _ in life.events if entry.position <= upto]
    steps: Sequence[Entry] = entries
    allocations: Mapping[tuple[int, str], str] = {}
    if any(entry.kind not in STEPS for entry in entries):
        steps, allocations = what_stands(entries)
    courses: dict[int, Course] = {}
    times: list[Took] = []
    for entry in steps:
        level, line = entry.line.level, entry.line
        if entry.kind == "collected":
            known = courses.get(level)
            part = allocations.get((level, line.unit_id))
            courses[level] = Course(
                entry,
                line.unit_id if part is None else str(allocation_id(UUID(line.unit_id), UUID(part))),
                part or "",
                known.attempt + 1 if known else 1,
                line.residence_unit or "",
                Wait("collected", entry),
                None,
            )
            continue
        course = courses[level]
        if entry.kind in ("approved", "activated"):
            assert course.waits is not None, entry.position
            times.append((course.leaf, level, entry, course.waits.entry.line.occurred_at))
        courses[level] = _after(course, entry)
    return courses, times


def _after(course: Course, entry: Entry) -> Course:
    course = course._replace(residence=entry.line.residence_unit or course.residence)
    match entry.kind:
        case "approved" | "notified":
            return course._replace(waits=Wait(entry.kind, entry))
        case "locked":
            return course._replace(waits=None, before_lock=course.waits)
        case "unlocked":
            return course._replace(waits=course.before_lock)
        case _:
            return course._replace(waits=None)


def _team(team: str | None) -> str:
    return "" if team is None or team == NO_TEAM else team


def _bucket(stream: str) -> int:
    # The end of a dossier's id is random.
    return int(stream[-3:], 16)
