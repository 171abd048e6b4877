"""Of which pieces a list is made, and where a page of it begins."""

from collections.abc import Iterator, Sequence
from datetime import datetime, time, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from ledger.business_time import VIETNAM
from projections.overdue import TimeLimit
from projections.tables import as_array
from projections.worklist.cursors import Cursor
from projections.worklist.questions import Waits, WorklistQuery

CLOCKS: tuple[tuple[Waits, int | None], ...] = (
    ("collected", 1),
    ("collected", 2),
    ("collected", None),
    ("notified", None),
    ("approved", None),
)
"""What the time limits of the clocks 1 to 5 are about: a state, and a level or both. The last is none."""
_NOBODY = UUID(int=0)


class Piece(NamedTuple):
    """Dossiers of one clock whose time is up, or is not: of these the oldest come first. Times are half open."""

    clock: int
    late: bool
    after: datetime | str
    after_id: UUID
    after_level: int
    before: datetime | str


def pieces_of(query: WorklistQuery, limits: Sequence[TimeLimit], cursor: Cursor | None) -> Iterator[Piece]:
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


def piece_parameters(pieces: Sequence[Piece]) -> dict[str, Any]:
    """Return them as the statement takes them: a list for each column."""
    names = ("clocks", "lates", "afters", "after_ids", "after_levels", "befores")
    columns = zip(*pieces, strict=True) if pieces else [()] * len(names)
    return {name: as_array(column) for name, column in zip(names, columns, strict=True)}


def question_of(query: WorklistQuery) -> bytes:
    """Return what tells a question from others; how many rows a page has does not matter."""
    return msgspec.json.encode(msgspec.structs.replace(query, cursor=None, limit=WorklistQuery().limit))
