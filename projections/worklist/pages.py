"""Of which pieces a list is made, and where a page of it begins."""

import base64
import binascii
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from ledger.business_time import VIETNAM
from ledger.errors import FieldInvalidError
from projections.overdue import TimeLimit
from projections.tables import as_array
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


def digest(query: WorklistQuery) -> bytes:
    """Return what tells a question from others; how many rows a page has does not matter."""
    asked = msgspec.structs.replace(query, cursor=None, limit=WorklistQuery().limit)
    return sha256(msgspec.json.encode(asked)).digest()[:8]


def write_cursor(cursor: Cursor) -> str:
    """Return a cursor as a page tells it."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(cursor)).decode().rstrip("=")


def read_cursor(text: str, question: bytes) -> Cursor:
    """Return what a page has told; raise FieldInvalidError where none has, or one of another question."""
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
