"""Cursors are taken from whoever was told them, for the question that they were told for, and from nobody else."""

import base64
import hmac
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from ledger import UnitTree
from ledger.access import Principal
from ledger.errors import FieldInvalidError
from projections.worklist.cursors import Cursor, Cursors, check_current

ON = date(2024, 12, 9)
CURSOR = Cursor(ON, 700, True, datetime(2024, 12, 1, 8, tzinfo=UTC), UUID(int=7), 2)
AN, BINH = Principal("an.nguyen", "person"), Principal("binh.le", "person")


def mark(told: bytes) -> bytes:
    return hmac.digest(b"key", told, "sha256")


@pytest.fixture
def cursors() -> Cursors:
    return Cursors(mark)


def told(body: object, reader: Principal = AN) -> str:
    """Return what the ledger itself would have told, had it ever written such a cursor."""
    data = msgspec.msgpack.encode(body)
    marked = mark(msgspec.msgpack.encode((reader.kind, reader.name, b"asked", data)))
    return base64.urlsafe_b64encode(marked + data).decode().rstrip("=")


def test_one_that_was_told(cursors):
    """Any process of the ledger takes it: it has the same key."""
    text = cursors.write(CURSOR, b"asked", AN)
    assert told(CURSOR) == text
    assert CURSOR == Cursors(mark).read(text, b"asked", AN)


@pytest.mark.parametrize(
    ("question", "reader"),
    [
        (b"asked otherwise", AN),
        (b"asked", BINH),
        (b"asked", Principal("an.nguyen", "machine")),
        (b"aske", Principal("an.nguyen", "person")),
    ],
)
def test_of_another_question_or_somebody_else(cursors, question, reader):
    text = cursors.write(CURSOR, b"asked", AN)
    with pytest.raises(FieldInvalidError, match="none that a page has told you in answer to this question"):
        cursors.read(text, question, reader)


def test_whatever_is_changed_of_one(cursors):
    """Each byte, one more, one less."""
    text = cursors.write(CURSOR, b"asked", AN)
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    changed = [data[:place] + bytes([byte ^ 1]) + data[place + 1 :] for place, byte in enumerate(data)]
    for one in (*changed, data + b"\0", data[:-1], data[32:], b""):
        with pytest.raises(FieldInvalidError):
            cursors.read(base64.urlsafe_b64encode(one).decode().rstrip("="), b"asked", AN)


@pytest.mark.parametrize("text", ["", "x", "é", "x" * 300, "\0", "a b"])
def test_what_is_no_cursor(cursors, text):
    with pytest.raises(FieldInvalidError, match="cursor: it is none"):
        cursors.read(text, b"asked", AN)


@pytest.mark.parametrize(
    "body",
    [
        ("0000-01-01", 700, True, CURSOR.since, CURSOR.dossier_id, 2),
        (ON, 2**64 - 1, True, CURSOR.since, CURSOR.dossier_id, 2),
        (ON, -1, True, CURSOR.since, CURSOR.dossier_id, 2),
        (ON, 700, True, "2024-12-01T08:00:00", CURSOR.dossier_id, 2),
        (ON, 700, True, CURSOR.since, CURSOR.dossier_id, 2**40),
        (ON, 700, True, CURSOR.since, "x", 2),
        (ON, 700, True, CURSOR.since, CURSOR.dossier_id, 2, 1),
        {"on": ON},
    ],
    ids=str,
)
def test_fields_are_bounded(cursors, body):
    """Even where the mark is good."""
    with pytest.raises(FieldInvalidError, match="cursor: it is none"):
        cursors.read(told(body), b"asked", AN)


@pytest.mark.parametrize(
    ("on", "as_of", "days", "error"),
    [
        (ON, 700, (), None),
        (ON - timedelta(1), 700, (ON - timedelta(1), ON + timedelta(1)), None),
        (ON - timedelta(2), 700, (), "begun on 2024-12-07; begin with the first page"),
        (ON + timedelta(1), 700, (), "begun on 2024-12-10"),
        (date.min, 700, (), "begun on 0001-01-01"),
        (date.max, 700, (), "begun on 9999-12-31"),
        (ON - timedelta(1), 700, (ON,), "units have changed since the list began"),
        (ON, 701, (), "the log is shorter than it was"),
    ],
)
def test_which_lists_go_on(on, as_of, days, error):
    """Those of today and yesterday, in the same tree of units and the same log."""
    cursor = msgspec.structs.replace(CURSOR, on=on, as_of=as_of)
    if error is None:
        check_current(cursor, UnitTree(days=days), ON, head=700)
        return
    with pytest.raises(FieldInvalidError, match=error):
        check_current(cursor, UnitTree(days=days), ON, head=700)
