"""Where a list of dossiers goes on: told with a page, and taken from nobody else, nor for another question.

A cursor says since when a list is asked for. Were it trusted, whoever makes one up would ask as of a day on which they
held a right that they have no more: so it carries a mark that only the ledger's key makes.
"""

import base64
import binascii
import hmac
from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated
from uuid import UUID

import msgspec

from ledger import UnitTree
from ledger.access import Principal
from ledger.errors import FieldInvalidError

MARK_BYTES = 32
DAYS_MAX = 1
"""A list that was begun yesterday goes on past midnight; an older one is begun anew."""


class Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a list goes on."""

    on: date
    """The day (Vietnam) of the first page."""
    as_of: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    """The position of the first page: what began to wait later is not in the list."""
    late: bool
    since: Annotated[datetime, msgspec.Meta(tz=True)]
    dossier_id: UUID
    level: Annotated[int, msgspec.Meta(ge=1, le=2)]

    @property
    def after(self) -> tuple[datetime, UUID, int]:
        return self.since, self.dossier_id, self.level


_decode = msgspec.msgpack.Decoder(Cursor).decode


class Cursors:
    """Writes cursors and reads them again; those of all processes of a ledger are the same."""

    def __init__(self, mark: Callable[[bytes], bytes]) -> None:
        """Take what makes a mark of ``MARK_BYTES`` bytes that nobody else can make."""
        self._mark = mark

    def write(self, cursor: Cursor, question: bytes, reader: Principal) -> str:
        """Return a cursor as text, for one who has asked one question."""
        body = msgspec.msgpack.encode(cursor)
        return base64.urlsafe_b64encode(self._marked(body, question, reader) + body).decode().rstrip("=")

    def read(self, text: str, question: bytes, reader: Principal) -> Cursor:
        """Return the cursor that ``write`` made a text of.

        Raises:
            FieldInvalidError: It made none such for the one who asks, and this question.
        """
        try:
            data = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
            mark, body = data[:MARK_BYTES], data[MARK_BYTES:]
            if hmac.compare_digest(mark, self._marked(body, question, reader)):
                return _decode(body)
        except (binascii.Error, ValueError, msgspec.MsgspecError):
            pass
        raise FieldInvalidError(
            "cursor",
            "it is none that a page has told you in answer to this question; repeat that one, or begin with the first page",
        )

    def _marked(self, body: bytes, question: bytes, reader: Principal) -> bytes:
        return self._mark(msgspec.msgpack.encode((reader.kind, reader.name, question, body)))


def check_current(cursor: Cursor, tree: UnitTree, today: date, head: int) -> None:
    """Raise FieldInvalidError where a list cannot go on, and is to be begun anew.

    Args:
        tree: Of today. Where units have changed since the list began, what it has told is not what they have now.
        head: The last position of the log; a list of a longer one is that of another, or of one restored since.
    """
    if not 0 <= (today - cursor.on).days <= DAYS_MAX:
        raise FieldInvalidError("cursor", f"the list was begun on {cursor.on}; begin with the first page")
    if any(cursor.on < day <= today for day in tree.days):
        raise FieldInvalidError(
            "cursor", "units have changed since the list began; begin with the first page"
        )
    if cursor.as_of > head:
        raise FieldInvalidError("cursor", "the log is shorter than it was; begin with the first page")
