"""Which dossiers wait, page by page: those overdue first, then the oldest. Whom to visit tonight.

Ids of dossiers only: whose they are is told by a dossier itself, to those who may know.
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from hashlib import sha256
from typing import Any, Literal, NamedTuple
from uuid import UUID

import msgspec
from psycopg.sql import SQL

from ledger import Ledger, Purpose, UnitTree, sql
from ledger.access import LOCAL, Principal, Right
from ledger.business_time import VIETNAM, business_day
from ledger.commands import PLACES
from ledger.errors import FieldInvalidError, PersonalNumberError
from ledger.masking import may_be_number, shown
from ledger.reads import WORK
from ledger.units import Place, TreeOn, allocations
from ledger.working_days import WORKING_DAYS, WorkingDays
from projections.errors import PositionLostError
from projections.overdue import TimeLimit, time_limits
from projections.status import ask, wait_for
from projections.tables import as_array
from projections.totals import WAIT_SECONDS, Totals, open_totals
from projections.waits import NAME

_QUERIES = sql.load("projections.sql", "worklist.sql")

PAGE_MAX = 1000
LEAVES_MAX = 32
"""Up to so many units each is looked up by itself; more of them are met soon enough among all."""

Awaiting = Literal["approval", "activation"]
Waits = Literal["collected", "approved", "notified"]
CLOCKS: tuple[tuple[Waits, int | None], ...] = (
    ("collected", 1),
    ("collected", 2),
    ("collected", None),
    ("notified", None),
    ("approved", None),
)
"""What the time limits of the clocks 1 to 5 are about: a state, and a level or both. The last is none."""
_NOBODY = UUID(int=0)


class WorklistQuery(msgspec.Struct, frozen=True, omit_defaults=True):
    """A question about dossiers that wait. What is absent does not matter."""

    unit: str | None = None
    """Code of a unit, of today: it and everything under it. Absent: the whole ledger."""
    awaiting: Awaiting | None = None
    """What is waited for."""
    state: Waits | None = None
    level: int | None = None
    overdue: bool | None = None
    """Only those whose time is up, or only the others."""
    place: str | None = None
    """Where it was collected."""
    team: str | None = None
    """Which team collected it."""
    actor: str | None = None
    """Which officer collected it."""
    residence: str | None = None
    """Code of the unit where the citizen lives, as it was sent."""
    limit: int = 100
    cursor: str | None = None
    """The ``next`` of the page before; the question must be the same."""


class WorklistRow(msgspec.Struct, frozen=True):
    """One level of a dossier that waits."""

    dossier_id: UUID
    level: int
    state: Waits
    awaiting: Awaiting
    since: datetime
    """When what made it wait occurred, UTC."""
    age_days: int
    """Days since, in Vietnam; 0: since today."""
    overdue: bool
    due: date | None
    """The last day of its time limit; null: none runs, because nobody has notified the citizen yet."""
    unit: dict[str, str | None]
    """Where it counts today, code, name and level; a collecting unit that has ended has successors."""
    allocated: bool
    """False: that unit is only the nearest one above all to which it could belong."""
    collecting_unit: dict[str, str | None]
    """As it was called when the wait began."""
    residence: str | None
    """As it was sent, if it was."""
    place: str
    """Of the collection, as are team, actor and card."""
    team: str | None
    actor: str
    card: str
    attempt: int
    """Which collection of this level it is, from 1."""
    position: int
    """Of what made it wait, in the ledger."""


class WorklistAnswer(msgspec.Struct, frozen=True):
    """A page of dossiers that wait, those overdue first, then the oldest.

    The pages from a first one to the last tell each wait once that lasts from then on: not what has begun
    or ended meanwhile. A correction that makes a dossier wait again since an earlier day may be in the next list only.
    """

    position: int
    """The ledger position that the page is true for."""
    recorded_at: datetime
    """When the event at that position was recorded, UTC."""
    projection: str
    on: date
    """The day (Vietnam) on which they are overdue, and whose tree of units counts: today, when the first page was told."""
    provisional: bool
    """Whether a time limit counts a day of which nobody has announced yet whether it is a holiday."""
    rows: list[WorklistRow]
    next: str | None
    """The cursor of the next page; null: this is the last."""


class Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a list goes on."""

    question: bytes
    on: date
    as_of: int
    """The position of the first page: what began to wait later is not in the list."""
    late: bool
    since: datetime
    dossier_id: UUID
    level: int

    @property
    def after(self) -> tuple[datetime, UUID, int]:
        return self.since, self.dossier_id, self.level


class Piece(NamedTuple):
    """Dossiers of one clock whose time is up, or is not: of these the oldest come first. Times are half open."""

    clock: int
    late: bool
    after: datetime | str
    after_id: UUID
    after_level: int
    before: datetime | str


class Today:
    """Where dossiers count in the tree of a day."""

    def __init__(self, tree: UnitTree, day: date) -> None:
        self.tree, self.day = tree, day
        self._on = TreeOn(tree, day)
        self._leaves: dict[UUID | None, list[UUID]] = {}
        for unit_id in tree.by_id:
            self._leaves.setdefault(self.place(unit_id, None).unit_id, []).append(unit_id)
        for leaf, (unit_id, to) in allocations(tree).items():
            self._leaves.setdefault(self.place(unit_id, to).unit_id, []).append(leaf)

    def place(self, unit_id: UUID, allocated_id: UUID | None) -> Place:
        """Return where what was collected at a unit counts, and was allocated to a part of it where that was split."""
        if allocated_id is None:
            return self._on.place(unit_id)
        return self._on.place_allocated(unit_id, allocated_id)

    def leaves(self, code: str) -> list[UUID]:
        """Return what counts at a unit or under it. Raise UnitError where the code is none, or is not valid that day."""
        found: list[UUID] = []
        pending = [self.tree.resolve(code, self.day).id]
        while pending:
            unit_id = pending.pop()
            found += self._leaves.get(unit_id, ())
            pending += [child.id for child in self._on.children.get(unit_id, ())]
        return found

    def name(self, unit_id: UUID | None, day: date) -> dict[str, str | None]:
        if unit_id is None:
            return {"code": None, "name": "unallocated", "level": None}
        unit = self.tree.called(unit_id, day)
        return {"code": unit.code, "name": unit.name, "level": unit.level}


class Worklist:
    """Answers from the read model; safe to share between threads."""

    def __init__(self, ledger: Ledger, totals: Totals, working_days: WorkingDays = WORKING_DAYS) -> None:
        self._ledger = ledger
        self._totals = totals
        self._working_days = working_days
        self._today: Today | None = None

    def read(
        self,
        query: WorklistQuery,
        *,
        after: int | None = None,
        wait_seconds: float = WAIT_SECONDS,
        by: Principal | None = None,
        purpose: Purpose | None = None,
    ) -> WorklistAnswer:
        """Answer a question, at once or as soon as the projection has reached *after*.

        That somebody looks is recorded first, for each dossier of the page.

        Args:
            by: Who asks; the ledger's own principal if absent.
            purpose: What for; daily work if absent, and at the ledger's own machine ``local``.

        Raises:
            NotPermittedError: They may not see which dossiers of the unit wait.
            PurposeUnknownError, InputError: They may not look for that.
            ReadNotRecordedError: It could not be recorded who looks.
            FieldInvalidError: The limit is not 1 to ``PAGE_MAX``, or the cursor is of another question.
            UnitError: The unit is no code, or is not valid on the day.
            NotCaughtUpError: The projection did not reach *after* within *wait_seconds*.
            UnavailableError: The database cannot be reached, or the projection has lost its position.
        """
        reader = self._totals.asking(by, Right.WORKLIST)
        if purpose is None and reader.kind != LOCAL.kind:
            purpose = WORK
        purpose = self._ledger.policy.purposes.check(purpose, reader)
        _check(query)
        question = _digest(query)
        cursor = None if query.cursor is None else _read_cursor(query.cursor, question)
        on = self._totals.today() if cursor is None else cursor.on
        if after is not None:
            wait_for(self._ledger, NAME, after, wait_seconds)

        def page(tree: UnitTree) -> tuple[WorklistAnswer, UUID | None]:
            scope = None if query.unit is None else tree.resolve(query.unit, on)
            self._totals.check_asked(reader, tree, scope, on, right=Right.WORKLIST)
            above = frozenset() if scope is None else self._ledger.reach(tree).above(scope.id, on)
            return self._page(query, self._in(tree, on), question, cursor), reader.part(Right.WORKLIST, above)

        answer, part = self._totals.read_in_tree(page)
        looked_at = {row.dossier_id: part for row in answer.rows}
        self._ledger.reads.record(looked_at, "worklist", by=reader, purpose=purpose)
        return answer

    def _in(self, tree: UnitTree, day: date) -> Today:
        known = self._today
        if known is None or (known.tree.version, known.day) != (tree.version, day):
            self._today = known = Today(tree, day)
        return known

    def _page(
        self, query: WorklistQuery, today: Today, question: bytes, cursor: Cursor | None
    ) -> WorklistAnswer:
        on = today.day
        limits = time_limits(self._working_days, on)
        pieces = list(_pieces(query, limits, cursor))
        leaves = None if query.unit is None else today.leaves(query.unit)
        parameters = {
            **_of_pieces(pieces),
            "scoped": leaves is not None,
            "members": as_array(leaves or []),
            "as_of": cursor and cursor.as_of,
            **{name: getattr(query, name) for name in ("level", "place", "team", "actor", "residence")},
            # One more tells whether there is another page.
            "limit": query.limit + 1,
        }
        # What one team or officer collected, or people of one place are, is less still.
        few = (
            leaves is not None
            and len(leaves) <= LEAVES_MAX
            and query.team is query.actor is query.residence is None
        )
        name = "read_page_of_leaves" if few else "read_page"
        rows = ask(self._ledger, SQL(_QUERIES[name]).format(), parameters, before=_QUERIES["keep_order"])
        if not rows:
            raise PositionLostError(NAME)
        position, recorded_at = rows[0][:2]
        # The outer join gives one row of nulls where nothing waits.
        found = [_Found(*row[2:]) for row in rows if row[2] is not None]
        next_ = None
        if len(found) > query.limit:
            last = found[query.limit - 1]
            as_of = position if cursor is None else cursor.as_of
            next_ = _write_cursor(
                Cursor(question, on, as_of, last.late, last.since, last.dossier_id, last.level)
            )
        asked = {piece.clock for piece in pieces}
        dues = _Dues(self._working_days, limits)
        return WorklistAnswer(
            position,
            recorded_at,
            NAME,
            on,
            any(limit.provisional for clock, limit in enumerate(limits, 1) if clock in asked),
            [_row(row, today, dues) for row in found[: query.limit]],
            next_,
        )


class _Found(NamedTuple):
    late: bool
    dossier_id: UUID
    level: int
    state: Waits
    since: datetime
    position: int
    unit_id: UUID
    allocated_id: UUID | None
    residence: str | None
    place: str
    team: str | None
    actor: str
    card: str
    attempt: int
    clock: int


class _Dues:
    """The last days of time limits, each worked out once for a page."""

    def __init__(self, working_days: WorkingDays, limits: Sequence[TimeLimit]) -> None:
        self._working_days, self._limits = working_days, limits
        self._known: dict[tuple[int, date], date | None] = {}

    def due(self, clock: int, since: date) -> date | None:
        """Return the last day of what runs since a day; None where no limit runs."""
        key = clock, since
        if key not in self._known:
            self._known[key] = self._due(*key)
        return self._known[key]

    def _due(self, clock: int, since: date) -> date | None:
        if clock > len(self._limits):
            return None
        limit = self._limits[clock - 1]
        if limit.working_days:
            return self._working_days.due(since, limit.days)
        return since + timedelta(limit.days)


def _row(found: _Found, today: Today, dues: _Dues) -> WorklistRow:
    since = business_day(found.since)
    place = today.place(found.unit_id, found.allocated_id)
    return WorklistRow(
        found.dossier_id,
        found.level,
        found.state,
        "approval" if found.state == "collected" else "activation",
        found.since,
        (today.day - since).days,
        found.late,
        dues.due(found.clock, since),
        today.name(place.unit_id, today.day),
        place.allocated,
        today.name(found.unit_id, since),
        found.residence,
        found.place,
        found.team,
        found.actor,
        found.card,
        found.attempt,
        found.position,
    )


def _check(query: WorklistQuery) -> None:
    if not 1 <= query.limit <= PAGE_MAX:
        raise FieldInvalidError("limit", f"{query.limit} is not 1 to {PAGE_MAX:,}")
    if query.place is not None and query.place not in PLACES:
        raise FieldInvalidError("place", f"{shown(query.place)} is not one of {', '.join(sorted(PLACES))}")
    for name in ("team", "actor", "residence"):
        text = getattr(query, name)
        if text is None:
            continue
        if not text.isprintable():
            raise FieldInvalidError(name, "it has letters that no code has")
        if may_be_number(text):
            # It would be a parameter of a statement, which PostgreSQL may be told to log.
            raise PersonalNumberError(name)


def _pieces(query: WorklistQuery, limits: Sequence[TimeLimit], cursor: Cursor | None) -> Iterator[Piece]:
    """Yield the parts of the list that a question is about, from where its cursor is."""
    start: tuple[datetime | str, UUID, int] = ("-infinity", _NOBODY, 0)
    for clock, (state, level) in enumerate(CLOCKS, 1):
        awaiting = "approval" if state == "collected" else "activation"
        if query.state not in (None, state) or query.awaiting not in (None, awaiting):
            continue
        if level is not None and query.level not in (None, level):
            continue
        edge = None
        if clock <= len(limits):
            # What has waited since that day, or longer, is overdue.
            edge = datetime.combine(limits[clock - 1].since + timedelta(1), time(), VIETNAM)
        if edge is not None and query.overdue is not False and (cursor is None or cursor.late):
            yield Piece(clock, True, *(start if cursor is None else cursor.after), edge)
        if query.overdue is not True:
            after = start if edge is None else (edge, _NOBODY, 0)
            if cursor is not None and not cursor.late and (edge is None or cursor.since >= edge):
                after = cursor.after
            yield Piece(clock, False, *after, "infinity")


def _of_pieces(pieces: Sequence[Piece]) -> dict[str, Any]:
    names = ("clocks", "lates", "afters", "after_ids", "after_levels", "befores")
    columns = zip(*pieces, strict=True) if pieces else [()] * len(names)
    return {name: as_array(column) for name, column in zip(names, columns, strict=True)}


def _digest(query: WorklistQuery) -> bytes:
    """Return what tells a question from others; how many rows a page has does not matter."""
    asked = msgspec.structs.replace(query, cursor=None, limit=WorklistQuery().limit)
    return sha256(msgspec.json.encode(asked)).digest()[:8]


def _write_cursor(cursor: Cursor) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(cursor)).decode().rstrip("=")


def _read_cursor(text: str, question: bytes) -> Cursor:
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        cursor = msgspec.msgpack.decode(data, type=Cursor)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise FieldInvalidError(
            "cursor", "it is none that a page has told; begin with the first page"
        ) from None
    if cursor.question != question:
        raise FieldInvalidError(
            "cursor", "it is of another question; repeat that one, or begin with the first page"
        )
    return cursor


def open_worklist(ledger: Ledger) -> Worklist:
    """Return the worklist of an open ledger; as ``open_totals`` does, and with its errors."""
    return Worklist(ledger, open_totals(ledger))
