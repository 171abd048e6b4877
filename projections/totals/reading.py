"""Totals, read in the tree of units and at the position that are asked for."""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from operator import itemgetter
from typing import Any, TypeVar

from msgspec.structs import replace
from psycopg.sql import Composed

from ledger import Ledger, Unit, UnitTree
from ledger.access import Principal, Right
from ledger.access.asking import is_masked
from ledger.business_time import business_day
from ledger.errors import NotPermittedError
from ledger.migrations import check_migrated, connect, migrate
from ledger.units import grow
from projections.catching_up import catch_up
from projections.components import COMPONENTS
from projections.errors import PositionLostError
from projections.hierarchies import Hierarchy, Rows, holders
from projections.recent import Recent
from projections.status import ask, position_of, wait_for
from projections.totals.answers import TotalsAnswer, answer_of, beside, masked_totals
from projections.totals.days import period_before
from projections.totals.questions import (
    By,
    TotalsQuery,
    check,
    check_days,
    check_told_to_the_public,
)
from projections.totals.statements import COARSE, coarse_parameters, statement_of
from projections.unit_totals import NAME

WAIT_SECONDS = 2.0
ROWS_KEPT = 32
"""Of so many kinds of questions it is remembered which unit counts in which row."""

TREES_KEPT = 4

A = TypeVar("A")


class Totals:
    """Answers from the read model; safe to share between threads."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._rows: Recent[tuple[Any, ...], Rows] = Recent(ROWS_KEPT)
        self._trees: Recent[int, UnitTree] = Recent(TREES_KEPT)

    def catch_up(self) -> int:
        """Count every event that the log has now; return the position reached. Raise UnavailableError if it cannot."""
        return catch_up(self._ledger.database, [NAME])

    def read(
        self,
        query: TotalsQuery,
        *,
        after: int | None = None,
        wait_seconds: float = WAIT_SECONDS,
        by: Principal | None = None,
    ) -> TotalsAnswer:
        """Answer a question, at once or as soon as the projection has reached *after* and the position asked for.

        A question with a position or a time of knowledge has the same answer for ever.

        Args:
            by: Who asks; the ledger's own principal if absent.

        Raises:
            NotPermittedError: They may not see totals of the unit; or they are of the public, and ask what was known once,
                or by whom it was done.
            FieldInvalidError: The last day is before the first, two rows are the same, the ledger does not have
                the position yet, or does not know a day.
            UnitError: The unit is no code, or was not valid on the day.
            NotCaughtUpError: The projection did not reach *after* within *wait_seconds*.
            UnavailableError: The database cannot be reached, or the projection has lost its position.
        """
        reader = self.asking(by)
        check_days(query)
        return self._answer(query, reader, after, wait_seconds)

    def count(
        self, query: TotalsQuery, *, after: int | None = None, wait_seconds: float = WAIT_SECONDS
    ) -> TotalsAnswer:
        """Answer a question as ``read`` does, for a service that has asked itself for the right: nothing is masked."""
        return self._answer(query, None, after, wait_seconds)

    def _answer(
        self, query: TotalsQuery, reader: Principal | None, after: int | None, wait_seconds: float
    ) -> TotalsAnswer:
        check(query)
        cut = self._cut(query)
        if cut is not None:
            after = max(after or 0, cut[0])
        return self.read_in_tree(
            lambda tree: self._read_periods(query, tree, cut, reader),
            at=cut,
            after=after,
            wait_seconds=wait_seconds,
        )

    def asking(self, by: Principal | None, right: Right = Right.TOTALS) -> Principal:
        """Return for whom something is asked; raise NotPermittedError unless they hold the right over some unit."""
        return self._ledger.asking(by, right)

    def check_asked(
        self,
        reader: Principal,
        tree: UnitTree,
        scope: Unit | None,
        day: date,
        *,
        cut: bool = False,
        bys: Sequence[By] = (),
        right: Right = Right.TOTALS,
    ) -> int:
        """Return below which number counts of a unit are masked for somebody; 0: none is.

        Args:
            scope: None: the whole ledger.
            day: Of the tree in which the unit stands.
            cut: Whether it is asked what was known at a position.
            bys: What the rows are to be.

        Raises:
            NotPermittedError: They do not hold the right over it; or they are of the public, and ask what was known once,
                or by whom it was done.
        """
        self._ledger.check_asked(reader, right, scope, day, tree)
        above = frozenset() if scope is None else self._ledger.reach(tree).above(scope.id, day)
        if not is_masked(reader, above):
            return 0
        if cut:
            raise NotPermittedError(
                "what was known at a position or a time is not told to the public: from two of them a single report could be had"
            )
        check_told_to_the_public(bys)
        return self._ledger.policy.small_counts

    def today(self) -> date:
        """Return the business day (Asia/Ho_Chi_Minh) of the ledger's clock."""
        return self._ledger.today()

    def read_in_tree(
        self,
        read: Callable[[UnitTree], A],
        *,
        at: tuple[int, datetime] | None = None,
        after: int | None = None,
        wait_seconds: float = WAIT_SECONDS,
    ) -> A:
        """Return what *read* does with the tree of units, neither older than it; or with that of a position.

        Raises:
            NotCaughtUpError: The projection did not reach *after* within *wait_seconds*.
            UnavailableError: The database cannot be reached, or the projection has lost its position.
        """
        if after is not None:
            wait_for(self._ledger, NAME, after, wait_seconds)
        tree = self._ledger.tree()
        if at is not None:
            return read(self._tree_at(tree, at[0]))
        while True:
            answer = read(tree)
            counted_in, tree = tree, self._ledger.tree()
            # Events at units opened since the tree was read may be counted already: ask again.
            if tree.version == counted_in.version:
                return answer

    def rows(
        self,
        tree: UnitTree,
        hierarchy: Hierarchy,
        day: date,
        scope: Unit | None,
        by: str,
    ) -> Rows:
        """Return which unit counts in which row; as ``Rows``, and remembered for the next question of the kind."""
        key = (tree.version, hierarchy, day, scope and scope.id, by)
        return self._rows.get(key, lambda: Rows(tree, hierarchy, day, scope, by))

    def _tree_at(self, tree: UnitTree, position: int) -> UnitTree:
        """Return the units as the ledger knew them at a position."""
        version = bisect_right(tree.entries, position, key=itemgetter(0))
        if version == tree.version:
            return tree
        return self._trees.get(version, lambda: grow(UnitTree(), tree.entries[:version]))

    def _cut(self, query: TotalsQuery) -> tuple[int, datetime] | None:
        """Return the position up to which something is asked, and when it was recorded."""
        if query.position is None and query.known_at is None:
            return None
        found = self._ledger.at(position=query.position, known_at=query.known_at)
        return found.position, found.recorded_at

    def _read_periods(
        self,
        query: TotalsQuery,
        tree: UnitTree,
        cut: tuple[int, datetime] | None,
        reader: Principal | None,
    ) -> TotalsAnswer:
        today = self.today() if cut is None else business_day(cut[1])
        day = query.to_day or today
        if query.hierarchy == "now":
            day = today
        elif query.hierarchy not in (None, "then"):
            day = date.fromisoformat(query.hierarchy)
        least = 0
        if reader is not None:
            scope = None if query.unit is None else tree.resolve(query.unit, day)
            least = self.check_asked(reader, tree, scope, day, cut=cut is not None, bys=query.bys)
        answer = self._read_compared(query, tree, day, cut)
        return masked_totals(answer, least) if least else answer

    def _read_compared(
        self, query: TotalsQuery, tree: UnitTree, day: date, cut: tuple[int, datetime] | None
    ) -> TotalsAnswer:
        answer = self._read(query, tree, day, cut)
        if query.compare is None:
            return answer
        assert query.from_day is not None
        assert query.to_day is not None
        first, last = period_before(query.from_day, query.to_day)
        # In the same tree, and as known at the same position: else what is recorded meanwhile would be a difference.
        before = replace(query, from_day=first, to_day=last)
        earlier = self._read(before, tree, day, (answer.position, answer.recorded_at))
        return beside(answer, earlier, first, last, query.names)

    def _read(
        self, query: TotalsQuery, tree: UnitTree, day: date, cut: tuple[int, datetime] | None
    ) -> TotalsAnswer:
        """Answer for the days of a question; *day* is that of the unit's code and of the rows."""
        hierarchy: Hierarchy = "then" if query.hierarchy == "then" else day
        scope = None if query.unit is None else tree.resolve(query.unit, day)
        rows = self.rows(tree, hierarchy, day, scope, query.by_units)
        fine = query.attribution != "acting" or not COARSE.issuperset(query.bys)
        if cut is not None and not fine:
            # What is known now less what has come since, or what was known then: whichever is less to read.
            fine = 2 * cut[0] < self.position()
        parameters = rows.parameters | {"level": query.level}
        if fine:
            first, after_last = query.days
            parameters |= {"from": first, "to": after_last, "cut": 2**62 if cut is None else cut[0]}
            if query.attribution == "residence":
                parameters |= holders(tree)
        else:
            parameters |= coarse_parameters(query, rows.boundaries) | {
                "since": None if cut is None else cut[0]
            }
        position, recorded_at, found = self.ask(statement_of(query, fine=fine), parameters)
        if cut is not None:
            position, recorded_at = cut
        return answer_of(position, recorded_at, hierarchy, query, rows, found)

    def position(self) -> int:
        """Return the last position counted."""
        return position_of(self._ledger, NAME)

    def ask(
        self, query: Composed, parameters: Mapping[str, Any]
    ) -> tuple[int, datetime, list[tuple[Any, ...]]]:
        """Return position, its time, and the rows of a query of ``unit_totals.sql``, all of one moment."""
        rows = ask(self._ledger, query, parameters)
        if not rows:
            raise PositionLostError(NAME)
        # The outer join gives one row of nulls where nothing was counted.
        counted = [row[2:] for row in rows if row[-1] is not None]
        return rows[0][0], rows[0][1], counted


def open_totals(ledger: Ledger) -> Totals:
    """Return the totals of an open ledger.

    On an embedded ledger it makes the read model's tables if need be; elsewhere
    ``ledger migrate`` does.

    Raises:
        UnavailableError: The database cannot be reached, or is not set up for this version.
    """
    if ledger.database.embedded:
        migrate(ledger.database, COMPONENTS)
    with connect(ledger.database.as_writer()) as connection:
        check_migrated(connection, ledger.database, COMPONENTS)
    return Totals(ledger)
