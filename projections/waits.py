"""Which dossiers wait, and how long the waits of others took: the fold of the log behind worklists.

Every step says what it leaves and what it is, so a row is made, moved or taken away by the event alone. Not so where a
correction or an allocation may change any entry, or where an account is unlocked that was locked before its
activation: such a dossier is followed from its first event. They are rare.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

from psycopg import Cursor, DataError
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composed, Identifier

from ledger import sql
from ledger.business_time import VIETNAM
from ledger.dossier import WAITING, Standing, stand, standing_steps
from ledger.events import (
    Activated,
    Approved,
    Collected,
    DossierEvent,
    Locked,
    Notified,
    Recorded,
    State,
    Step,
    Unlocked,
    dossier_events,
)
from ledger.store import recorded
from ledger.units import allocation_id
from projections.errors import PoisonEventError
from projections.tables import Tables, as_array

NAME = "worklist"


class Waiting(NamedTuple):
    """A level of a dossier that waits. The columns of ``worklist``."""

    dossier_id: UUID
    level: int
    state: State
    since: datetime
    """When what made it wait occurred."""
    position: int
    """Of what made it wait."""
    unit_id: UUID
    """The collecting unit."""
    allocated_id: UUID | None
    leaf_id: UUID
    residence: str | None
    place: str
    team: str | None
    actor: str
    card: str
    attempt: int


class Moved(NamedTuple):
    """A level of a dossier that waits for something else now; what it says of its collection stays."""

    dossier_id: UUID
    level: int
    state: State
    since: datetime
    position: int
    residence: str | None


class Time(NamedTuple):
    """How long a wait took. The columns of ``worklist_times``, but that those hold many."""

    leaf_id: UUID
    level: int
    step: str
    """approval: from the collection; activation: from the notice, else from the approval."""
    day: date
    """Business day (Asia/Ho_Chi_Minh) on which it ended."""
    seconds: int


class Folded(NamedTuple):
    """What events in a row make of the tables."""

    levels: dict[tuple[UUID, int], Waiting | Moved | None]
    """How levels of dossiers wait at the end; None: not any more."""
    times: list[Time]
    followed: dict[UUID, int]
    """Dossiers that have to be followed from their first event, each with the position before the first event here;
    they are nowhere above."""
    position: int
    """Of the last of the events."""


def fold(entries: Iterable[Recorded]) -> Folded:
    """Return what events in a row make of the tables.

    Raises:
        PoisonEventError: An event does not fold.
    """
    levels: dict[tuple[UUID, int], Waiting | Moved | None] = {}
    times: list[tuple[UUID, Time]] = []
    followed: set[UUID] = set()
    first = position = 0
    for entry in entries:
        event, position = entry.event, entry.position
        first = first or position
        try:
            if isinstance(event, Step):
                dossier_id, level = entry.originator_id, event.level
                key = dossier_id, level
                since = event.occurred_at.astimezone(VIETNAM)
                if isinstance(event, Collected):
                    levels[key] = _collected(dossier_id, position, event, since)
                elif isinstance(event, Approved | Notified):
                    before = levels.get(key)
                    levels[key] = (
                        Moved(dossier_id, level, event.TYPE, since, position, event.residence)
                        if before is None
                        else before._replace(
                            state=event.TYPE, since=since, position=position, residence=event.residence
                        )
                    )
                elif isinstance(event, Unlocked) and event.resumes.state in WAITING:
                    followed.add(dossier_id)
                else:
                    levels[key] = None
                if isinstance(event, Approved | Activated):
                    leaf_id = leaf_of(event.collecting_unit_id, event.collecting_allocated_id)
                    time = _time(leaf_id, event, event.previous.occurred_at, since)
                    times.append((dossier_id, time))
            elif isinstance(event, DossierEvent):
                followed.add(entry.originator_id)
        except Exception as error:
            # Whatever it is, it is told with its position and stops the projection; nothing is skipped.
            raise PoisonEventError(position, error) from error
    if followed:
        levels = {key: level for key, level in levels.items() if key[0] not in followed}
    return Folded(
        levels,
        [time for dossier_id, time in times if dossier_id not in followed],
        dict.fromkeys(sorted(followed), first - 1),
        position,
    )


def _collected(dossier_id: UUID, position: int, event: Collected, since: datetime) -> Waiting:
    return Waiting(
        dossier_id,
        event.level,
        "collected",
        since,
        position,
        event.unit_id,
        event.allocated_id,
        leaf_of(event.unit_id, event.allocated_id),
        event.residence,
        event.place,
        event.team,
        event.actor,
        event.card,
        event.attempt,
    )


def _time(leaf_id: UUID, event: Approved | Activated, since: datetime, until: datetime) -> Time:
    step = "approval" if isinstance(event, Approved) else "activation"
    return Time(leaf_id, event.level, step, until.date(), int((until - since).total_seconds()))


def leaf_of(unit_id: UUID, allocated_id: UUID | None) -> UUID:
    """Return the key under which a unit's dossiers are, or those that were allocated of a split one."""
    return unit_id if allocated_id is None else allocation_id(unit_id, allocated_id)


def follow(entries: Sequence[Recorded]) -> tuple[list[Waiting], Counter[Time]]:
    """Return how a dossier waits after all its events, and how long its waits took; as corrected and allocated."""
    positions = [entry.position for entry in entries]
    standings: dict[int, Standing] = {}
    collections: dict[int, Collected] = {}
    made_by: dict[int, int] = {}
    before_lock: dict[int, int] = {}
    times: Counter[Time] = Counter()
    for version, step in standing_steps(dossier_events(entries)[0]).items():
        level, before = step.level, standings.get(step.level)
        standings[level] = stand(before, step)
        if isinstance(step, Collected):
            collections[level] = step
        elif isinstance(step, Locked):
            before_lock[level] = made_by[level]
        made_by[level] = before_lock.pop(level) if isinstance(step, Unlocked) else positions[version - 1]
        if isinstance(step, Approved | Activated):
            assert before is not None, step.key
            collection = collections[level]
            leaf_id = leaf_of(collection.unit_id, collection.allocated_id)
            until = step.occurred_at.astimezone(VIETNAM)
            times[_time(leaf_id, step, before.stand.occurred_at, until)] += 1
    waiting = [
        _collected(
            entries[0].originator_id,
            made_by[level],
            collections[level],
            standing.stand.occurred_at.astimezone(VIETNAM),
        )._replace(state=standing.state, residence=standing.residence, attempt=standing.attempt)
        for level, standing in standings.items()
        if standing.state in WAITING
    ]
    return waiting, times


class WorklistTables(Tables):
    """What waits, and how long waits took; live or being rebuilt beside them."""

    NAME = NAME
    LIVE = ("worklist", "worklist_times")

    def __init__(self, *, rebuild: bool = False) -> None:
        super().__init__(rebuild=rebuild)
        names = {
            "worklist": Identifier(self.names["worklist"]),
            "times": Identifier(self.names["worklist_times"]),
        }
        self._queries: dict[str, Composed] = {
            name: SQL(_QUERIES[name]).format(**names)
            for name in ("take_away", "move", "put", "add_times", "take_off_time")
        }

    def fold(self, entries: Iterable[Recorded]) -> Folded:
        return fold(entries)

    def add(self, cursor: Cursor[Any], folded: Folded) -> None:
        """Write how dossiers wait after a stretch of the log, in the caller's transaction.

        Raises:
            DataError: A dossier that is told to go on waiting does not wait.
        """
        # Before a first collection nothing waits. Before another one it did, and it may be here that it was rejected.
        away = [
            key
            for key, level in folded.levels.items()
            if level is None or (isinstance(level, Waiting) and level.attempt > 1)
        ]
        put = [level for level in folded.levels.values() if isinstance(level, Waiting)]
        moved = [level for level in folded.levels.values() if isinstance(level, Moved)]
        times, off = folded.times, Counter[Time]()
        if folded.followed:
            away += [(dossier_id, level) for dossier_id in folded.followed for level in (1, 2)]
            before, after = Counter[Time](), Counter[Time]()
            for dossier_id, entries in _streams(cursor, folded).items():
                waiting, times_after = follow(entries)
                put += waiting
                after += times_after
                upto = folded.followed[dossier_id]
                before += follow([entry for entry in entries if entry.position <= upto])[1]
            times, off = [*times, *(after - before).elements()], before - after
        if away:
            self._write(cursor, "take_away", ("dossier_id", "level"), away)
        if moved:
            self._write(cursor, "move", Moved._fields, moved)
            if cursor.rowcount != len(moved):
                raise DataError(f"{len(moved) - cursor.rowcount} dossiers go on waiting that do not wait")
        if put:
            self._write(cursor, "put", Waiting._fields, put)
        if times:
            self._write(cursor, "add_times", Time._fields, times)
        for time in off.elements():
            cursor.execute(self._queries["take_off_time"], time._asdict())
            if cursor.rowcount != 1:
                raise DataError(f"the time {time} is taken off that was not added")

    def _write(
        self, cursor: Cursor[Any], query: str, names: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        columns = zip(*rows, strict=True)
        cursor.execute(
            self._queries[query],
            {name: as_array(column) for name, column in zip(names, columns, strict=True)},
        )


def _streams(cursor: Cursor[Any], folded: Folded) -> Mapping[UUID, list[Recorded]]:
    """Return all events of the dossiers that have to be followed, up to the last of the stretch."""
    parameters = {"ids": as_array([*folded.followed]), "position": folded.position}
    with cursor.connection.cursor(row_factory=tuple_row, binary=True) as reader:
        rows = reader.execute(_QUERIES["streams"], parameters).fetchall()
    found: dict[UUID, list[Recorded]] = {}
    for row in rows:
        entry = recorded(row)
        found.setdefault(entry.originator_id, []).append(entry)
    return found


_QUERIES: dict[str, LiteralString] = sql.load("projections.sql", "worklist.sql")
