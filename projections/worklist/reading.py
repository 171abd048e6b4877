"""The list, read page by page in the tree of today."""

from datetime import date
from uuid import UUID

from msgspec.structs import replace
from psycopg.sql import SQL

from ledger import Ledger, Purpose, UnitTree, sql
from ledger.access import LOCAL, Principal, Right
from ledger.reads import WORK
from ledger.working_days import WORKING_DAYS, WorkingDays
from projections.errors import PositionLostError
from projections.overdue import time_limits
from projections.status import ask, wait_for
from projections.tables import as_array
from projections.totals import WAIT_SECONDS, Totals, open_totals
from projections.waits import NAME
from projections.worklist.cursors import Cursor, Cursors, check_current
from projections.worklist.pages import piece_parameters, pieces_of, question_of
from projections.worklist.questions import WorklistAnswer, WorklistQuery, check
from projections.worklist.rows import Dues, Found, row_of
from projections.worklist.today import Today

_QUERIES = sql.load("projections.sql", "worklist.sql")

LEAVES_MAX = 32
"""Up to so many units each is looked up by itself; more of them are met soon enough among all."""


class Worklist:
    """Answers from the read model; safe to share between threads."""

    def __init__(self, ledger: Ledger, totals: Totals, working_days: WorkingDays = WORKING_DAYS) -> None:
        self._ledger = ledger
        self._totals = totals
        self._working_days = working_days
        self._cursors = Cursors(ledger.mark)
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
            NotPermittedError: They may not see which dossiers of the unit wait today, whenever the list began.
            PurposeUnknownError, InputError: They may not look for that.
            ReadNotRecordedError: It could not be recorded who looks.
            FieldInvalidError: The limit is not 1 to ``PAGE_MAX``; or the cursor is of another question or somebody
                else's, of a list begun before yesterday, or units have changed since it was.
            UnitError: The unit is no code, or is not valid today.
            NotCaughtUpError: The projection did not reach *after* within *wait_seconds*.
            UnavailableError: The database cannot be reached, or the projection has lost its position.
        """
        reader = self._totals.asking(by, Right.WORKLIST)
        if purpose is None and reader.kind != LOCAL.kind:
            purpose = WORK
        purpose = self._ledger.policy.purposes.check(purpose, reader)
        check(query)
        question = question_of(query)
        cursor = None if query.cursor is None else self._cursors.read(query.cursor, question, reader)
        today = self._totals.today()
        on = today if cursor is None else cursor.on
        if after is not None:
            wait_for(self._ledger, NAME, after, wait_seconds)

        def page(tree: UnitTree) -> tuple[WorklistAnswer, UUID | None]:
            if cursor is not None:
                check_current(cursor, tree, today, self._ledger.head().position)
            scope = None if query.unit is None else tree.resolve(query.unit, today)
            self._totals.check_asked(reader, tree, scope, today, right=Right.WORKLIST)
            above = frozenset() if scope is None else self._ledger.reach(tree).above(scope.id, today)
            answer, last = self._page(query, self._in(tree, on), cursor)
            if last is not None:
                answer = replace(answer, next=self._cursors.write(last, question, reader))
            return answer, reader.part(Right.WORKLIST, above)

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
        self, query: WorklistQuery, today: Today, cursor: Cursor | None
    ) -> tuple[WorklistAnswer, Cursor | None]:
        """Return a page, and after what the next one begins; None: this is the last."""
        on = today.day
        limits = time_limits(self._working_days, on)
        pieces = list(pieces_of(query, limits, cursor))
        leaves = None if query.unit is None else today.leaves(query.unit)
        parameters = {
            **piece_parameters(pieces),
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
        found = [Found(*row[2:]) for row in rows if row[2] is not None]
        next_ = None
        if len(found) > query.limit:
            last = found[query.limit - 1]
            as_of = position if cursor is None else cursor.as_of
            next_ = Cursor(on, as_of, last.late, last.since, last.dossier_id, last.level)
        asked = {piece.clock for piece in pieces}
        dues = Dues(self._working_days, limits)
        answer = WorklistAnswer(
            position,
            recorded_at,
            NAME,
            on,
            any(limit.provisional for clock, limit in enumerate(limits, 1) if clock in asked),
            [row_of(row, today, dues) for row in found[: query.limit]],
            None,
        )
        return answer, next_


def open_worklist(ledger: Ledger) -> Worklist:
    """Return the worklist of an open ledger; as ``open_totals`` does, and with its errors."""
    return Worklist(ledger, open_totals(ledger))
