"""Prove the read models: fold the log a second time, by other code, and compare.

Two things are proved for one position of the ledger: that every table of every projection is what the log comes to; and that
in each tree asked for, every unit's children, its own and what is unallocated make up its total, as ``Totals.read`` tells it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from psycopg import Connection, IsolationLevel

from ledger import Ledger, Unit, UnitTree, sql
from ledger.business_time import business_day
from ledger.errors import UnitError
from ledger.migrations import connect
from ledger.units import grow
from projections.errors import PositionLostError
from projections.reconciling.following import Life, LogFaultError, lives
from projections.reconciling.reaching import Compared, compare_tree
from projections.reconciling.reading import Table, read
from projections.reconciling.tables import TABLES, Exactly, Sums, first_bucket, first_cell, name_leaf
from projections.reconciling.trees import Cells, Expected, Leaves, Misfit, Question, ask, tell
from projections.totals import Totals, read_hierarchy
from projections.unit_totals import NAME as UNIT_TOTALS

_QUERIES = sql.load("projections.sql", "reconcile.sql")
_PROGRESS_EVENTS = 5000
_PROGRESS_ROWS = 50_000
Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, how much of it is, and of how much; None: nobody knows."""


class Difference(msgspec.Struct, frozen=True):
    """The first number that is not what the log comes to."""

    what: str
    """A table, ``log``, or ``totals``."""
    key: dict[str, Any]
    """What the number is of."""
    measure: str
    says: int | None
    """What the table or the answer says."""
    log: int | None
    """What the log comes to."""
    position: int | None
    """The first event of the log that is about it, where there is one."""
    sentence: str


class Proved(msgspec.Struct, frozen=True):
    """One thing that was compared."""

    what: str
    """``log``, a table, or the totals in a tree."""
    compared: int
    """How many events, rows, or units."""
    differs: Difference | None
    """The first difference, null: there is none."""


class Reconciled(msgspec.Struct, frozen=True):
    """What was proved, true for a position of the ledger."""

    position: int
    recorded_at: datetime
    """When the event at that position was recorded, UTC."""
    events: int
    dossiers: int
    proved: list[Proved]
    seconds: float
    difference: Difference | None
    """The first of all; null: everything adds up."""


def reconcile(
    ledger: Ledger,
    *,
    unit: str | None = None,
    hierarchies: Sequence[str] = (),
    on: Sequence[date] = (),
    on_progress: Progress = lambda _what, _done, _all: None,
) -> Reconciled:
    """Compare the read models with the log at the position that they have reached; others may write meanwhile.

    It reads everything twice over, in some 25 s for a million events, and writes nothing.

    Args:
        unit: Prove the totals of this unit and everything under it only. Tables are compared whole.
        hierarchies: Trees to prove the totals in: ``then``, ``now``, or a day. None: then, also as of the day before each
            change of the tree; now; and that of each day on which it changed.
        on: Last days to prove the totals for. None: all days.
        on_progress: As ``Progress``.

    Raises:
        FieldInvalidError: A hierarchy is none.
        UnitError: The unit was not valid on one of the days asked for.
        PositionLostError: A projection has lost its position.
        UnavailableError: The database cannot be reached.
    """
    began = time.monotonic()
    tree_now = ledger.tree()
    with _snapshot(ledger) as snapshot:
        position, recorded_at = snapshot.positions[UNIT_TOTALS]
        tree = grow(UnitTree(), [(at, event) for at, event in tree_now.entries if at <= position])
        questions = _questions(tree, hierarchies, on, ledger.today())
        placed = list(
            _placed(tree, questions, unit, business_day(recorded_at), every=not (hierarchies or on))
        )
        ends = {question.on + timedelta(1) for question in questions if question.on}
        cells = Cells({*tree.days, *ends})
        comparing = _Comparing(snapshot, on_progress)
        try:
            comparing.follow(lambda life: cells.add(life, position))
        except LogFaultError as fault:
            proved = [Proved("log", comparing.events, _fault(fault))]
            placed = []
        else:
            proved = [
                Proved("log", comparing.events, None),
                *comparing.proved(tree),
                *map(_prove_tree, compare_tree(snapshot.connection, position)),
            ]
    totals = Totals(ledger)
    for question, day, top in placed:
        expected = Expected(tree, cells, comparing.leaves, question, day, top)
        misfits = ask(totals.read, expected, question, position)
        proved.append(_prove_totals(misfits, question, expected.units(), on_progress))
    return Reconciled(
        position,
        recorded_at,
        comparing.events,
        comparing.dossiers,
        proved,
        round(time.monotonic() - began, 1),
        next((one.differs for one in proved if one.differs), None),
    )


class _Snapshot(NamedTuple):
    """One moment of the database: what others write meanwhile is not in it."""

    connection: Connection[Any]
    positions: dict[str, tuple[int, datetime]]
    """Of each projection, and when that was recorded."""

    @property
    def head(self) -> int:
        """Return the last position that one of them holds."""
        return max(position for position, _ in self.positions.values())


@contextmanager
def _snapshot(ledger: Ledger) -> Iterator[_Snapshot]:
    names = sorted({table.PROJECTION for table in TABLES})
    with connect(ledger.database.as_patient_writer()) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.transaction():
            rows = connection.execute(_QUERIES["projections"], {"names": names}).fetchall()
            positions = {name: (position, recorded_at) for name, position, recorded_at in rows}
            for name in names:
                if name not in positions:
                    raise PositionLostError(name)
            yield _Snapshot(connection, positions)


class _Comparing:
    """The tables beside the log, in one snapshot."""

    def __init__(self, snapshot: _Snapshot, on_progress: Progress) -> None:
        self._snapshot, self._on_progress = snapshot, on_progress
        self._tables = [table() for table in TABLES]
        self._log = [Sums() for _ in self._tables]
        self.leaves: dict[str, tuple[UUID, UUID | None]] = {}
        self.events = self.dossiers = 0

    def follow(self, on_life: Callable[[Life], None]) -> None:
        """Go through the log, and remember what each table must hold.

        Raises:
            LogFaultError: An event is missing, or could not have happened.
        """
        for life in self._lives("following the log"):
            self.dossiers += 1
            on_life(life)
            self._add(self._log, life)
        if self.events != self._snapshot.head:
            raise LogFaultError(
                self._snapshot.head,
                f"the log holds {self.events:,} events up to there, not as many as positions",
            )

    def _lives(self, what: str) -> Iterator[Life]:
        types = ("text", "int8", "int8", "date", "text", "bytea")
        rows = read(self._snapshot.connection, "log", types, position=self._snapshot.head)
        self.events, told = 0, 0
        for found in lives(rows, self.leaves):
            self.events += len(found.events) if isinstance(found, Life) else found
            if self.events - told >= _PROGRESS_EVENTS:
                told = self.events
                self._on_progress(what, told, self._snapshot.head)
            if isinstance(found, Life):
                yield found

    def _add(self, sides: Sequence[Sums] | Sequence[Exactly | None], life: Life) -> None:
        for table, side in zip(self._tables, sides, strict=True):
            if side is not None:
                upto, _ = self._snapshot.positions[table.PROJECTION]
                side.add(table.of_log(life, upto))

    def proved(self, tree: UnitTree) -> list[Proved]:
        """Read the tables; name what differs first in each."""
        counts, buckets = [], []
        for table, log in zip(self._tables, self._log, strict=True):
            sums, count = Sums(), 0
            for items in table.rows(self._snapshot.connection):
                sums.add(items)
                count += 1
                if count % _PROGRESS_ROWS == 0:
                    self._on_progress(f"reading {table.NAME}", count, None)
            counts.append(count)
            buckets.append(first_bucket(sums, log))
        differences = self._differences(tree, buckets) if any(b is not None for b in buckets) else {}
        return [
            Proved(table.NAME, count, differences.get(table.NAME))
            for table, count in zip(self._tables, counts, strict=True)
        ]

    def _differences(self, tree: UnitTree, buckets: Sequence[int | None]) -> dict[str, Difference]:
        """Go through the log again for the buckets that differ: this time each number is kept."""
        sides = [None if bucket is None else Exactly(bucket) for bucket in buckets]
        for life in self._lives("looking for what differs"):
            self._add(sides, life)
        found = {}
        for table, log, bucket in zip(self._tables, sides, buckets, strict=True):
            if log is not None and bucket is not None:
                held = Exactly(bucket)
                for items in table.rows(self._snapshot.connection):
                    held.add(items)
                found[table.NAME] = _difference(table, held, log, tree, self.leaves)
        return found


def _difference(table: Table, held: Exactly, log: Exactly, tree: UnitTree, leaves: Leaves) -> Difference:
    cell = first_cell(held, log)
    assert cell is not None, "sums differ only where a cell does"
    key, measure = cell
    told = table.tell(key)
    told["unit"] = name_leaf(tree, told["leaf"], leaves)
    says, wanted = held.numbers[cell], log.numbers[cell]
    where = ", ".join(f"{name} {value}" for name, value in told.items() if value != "" and name != "leaf")
    return Difference(
        table.NAME,
        told,
        table.MEASURES[measure],
        says,
        wanted,
        log.positions.get(key),
        f"{table.NAME}: {table.MEASURES[measure]} of {where} is {says}, and the log comes to {wanted}",
    )


def _prove_tree(one: Compared) -> Proved:
    if one.key is None:
        return Proved(one.table, one.rows, None)
    of = "".join(f", {name} {value}" for name, value in one.key.items()).replace(",", " of", 1)
    sentence = f"{one.table}: {one.measure}{of} is {one.says}, and the log comes to {one.log}"
    return Proved(
        one.table, one.rows, Difference(one.table, one.key, one.measure, one.says, one.log, None, sentence)
    )


def _fault(fault: LogFaultError) -> Difference:
    return Difference("log", {}, "", None, None, fault.position, f"the log: {fault}")


def _questions(tree: UnitTree, hierarchies: Sequence[str], on: Sequence[date], today: date) -> list[Question]:
    trees = [_tree_named(hierarchy, today) for hierarchy in hierarchies]
    if not hierarchies:
        trees = ["then", str(today), *map(str, tree.days)]
    found = [Question(name, last) for name in trees for last in (on or (None,))]
    if not hierarchies and not on:
        # As it was told at the end of each tree.
        found += [Question("then", day - timedelta(1)) for day in tree.days[1:]]
    return list(dict.fromkeys(found))


def _tree_named(hierarchy: str, today: date) -> str:
    match read_hierarchy(hierarchy):
        case "then":
            return "then"
        case "now":
            return str(today)
        case day:
            # The same day may be written in several ways.
            return str(date.fromisoformat(day))


def _placed(
    tree: UnitTree, questions: Sequence[Question], unit: str | None, today: date, *, every: bool
) -> Iterator[tuple[Question, date, Unit | None]]:
    """Yield questions with the day of whose tree the units are, and the unit that is asked for.

    Args:
        every: Nobody named a tree or a day: those in which there was no such unit are left out.
    """
    missing: UnitError | None = None
    found = False
    for question in questions:
        day = (
            (question.on or today) if question.hierarchy == "then" else date.fromisoformat(question.hierarchy)
        )
        try:
            top = None if unit is None else tree.resolve(unit, day)
        except UnitError as error:
            if not every:
                raise
            missing = error
            continue
        found = True
        yield question, day, top
    if missing is not None and not found:
        raise missing


def _prove_totals(
    misfits: Iterator[Misfit | None], question: Question, units: int, on_progress: Progress
) -> Proved:
    upto = f", to {question.on}" if question.on else ""
    name = f"totals, {question.hierarchy}{upto}"
    first: Difference | None = None
    for done, misfit in enumerate(misfits, 1):
        on_progress(f"asking {name}", done, None)
        if misfit is not None:
            key = tell(misfit)
            first = Difference(
                "totals",
                key,
                misfit.measure,
                misfit.told,
                misfit.log,
                None,
                f"{name}, {key['asked']} by {key['by']}: {misfit.measure} of {key['unit']} is {misfit.told}, and "
                f"the log comes to {misfit.log}",
            )
            break
    return Proved(name, units, first)
