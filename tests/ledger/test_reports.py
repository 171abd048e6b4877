"""A report's fields become a command, or one clear refusal."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import Activate, Approve, Collect, Reject, read_report
from ledger.checks import check
from ledger.commands import FIELDS
from ledger.errors import (
    FieldInvalidError,
    FieldMissingError,
    FieldUnknownError,
    InputError,
    LevelInvalidError,
    TimeInvalidError,
    TimeWithoutOffsetError,
    TypeUnknownError,
)
from ledger.masking import shown
from ledger.reasons import DEFAULT_REASONS
from ledger.reports import read_time
from tests.conftest import NOW
from tests.ledger.reports import CITIZEN, VIETNAM, collect

FULL_WIDTH = CITIZEN.translate({ord("0") + n: chr(0xFF10 + n) for n in range(10)})
SPACED = " ".join(CITIZEN[i : i + 3] for i in range(0, 12, 3))


FIELDS_SENT = {
    "key": "a1",
    "type": "collected",
    "citizen": CITIZEN,
    "level": "2",
    "unit": "14758",
    "occurred_at": "2024-12-02T08:00:00+07:00",
    "actor": "cb01",
}


def sent(**changes):
    return {**FIELDS_SENT, **changes}


def test_report_becomes_a_command():
    """Text, integers and nulls are taken; absent, null and empty are one."""
    assert collect(key="a1") == read_report(sent())
    assert collect(key="a1") == read_report(sent(level=2))
    assert collect(key="a1") == read_report(sent(team=None, note="", reason=None))
    assert collect(key="a1") == read_report({name: sent().get(name, "") for name in FIELDS})


@pytest.mark.parametrize(
    ("kind", "command_class"),
    [("collected", Collect), ("approved", Approve), ("rejected", Reject), ("activated", Activate)],
)
def test_type_says_which_command(kind, command_class):
    """A reason is for rejections only."""
    reason = {"reason": "photo"} if kind == "rejected" else {}
    command = read_report(sent(type=kind, **reason))
    assert command_class is type(command)
    assert kind == command.TYPE
    if kind != "rejected":
        with pytest.raises(FieldInvalidError, match="reason: is for rejected"):
            read_report(sent(type=kind, reason="photo"))


@pytest.mark.parametrize(
    ("changes", "error_class"),
    [
        ({"type": "resurrected"}, TypeUnknownError),
        ({"type": "Collected"}, TypeUnknownError),
        ({"type": ""}, FieldMissingError),
        ({"type": 1}, FieldInvalidError),
        ({"level": "3"}, LevelInvalidError),
        ({"level": "02"}, LevelInvalidError),
        ({"level": " 2"}, LevelInvalidError),
        ({"level": 2.0}, FieldInvalidError),
        ({"level": True}, FieldInvalidError),
        ({"level": ""}, FieldMissingError),
        ({"occurred_at": ""}, FieldMissingError),
        ({"occurred_at": 1733101200}, FieldInvalidError),
        ({"citizen": 38090001234}, FieldInvalidError),
        ({"note": ["x"]}, FieldInvalidError),
        ({"kez": "a1"}, FieldUnknownError),
        ({"recorded_at": "2024-12-02T08:00:00+07:00"}, FieldUnknownError),
    ],
    ids=str,
)
def test_report_cannot_be_read(changes, error_class):
    """Unknown fields are refused, because a misspelt one would otherwise be lost."""
    with pytest.raises(error_class):
        read_report(sent(**changes))


@pytest.mark.parametrize("field", [name for name in FIELDS if name != "citizen"] + ["column of the next"])
@pytest.mark.parametrize("number", [CITIZEN, CITIZEN[1:], SPACED, CITIZEN + "."], ids=len)
def test_shifted_columns_do_not_show_the_number(field, number):
    """A number in the wrong column, or in place of a header, is not repeated either."""
    fields = sent(**{field: number}) if field in FIELDS else sent() | {number: "x"}
    try:
        check(read_report(fields), now=NOW, reasons=DEFAULT_REASONS)
    except InputError as error:
        assert number not in str(error)
    else:
        assert CITIZEN[1:] == number, "only eleven digits may be anything"


def test_what_is_shown_is_short():
    """A sentence repeats enough to find the fault, and no more."""
    assert "'collcted'" == shown("collcted")
    assert "'2024-12-09 21:15'" == shown("2024-12-09 21:15")
    assert "'09/12/2024 21:15'" == shown("09/12/2024 21:15")
    assert len(shown("x" * 1000)) < 50


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2024-12-09T21:15:00+07:00", "2024-12-09T21:15:00+07:00"),
        ("2024-12-09t14:15:00z", "2024-12-09T14:15:00+00:00"),
        ("2024-12-09 14:15:00Z", "2024-12-09T14:15:00+00:00"),
        ("2024-12-09T21:15:00.5+07:00", "2024-12-09T21:15:00.500000+07:00"),
        ("2024-12-09T21:15:00.123456789+07:00", "2024-12-09T21:15:00.123456+07:00"),
        ("2024-02-29T00:00:00-03:30", "2024-02-29T00:00:00-03:30"),
    ],
)
def test_time_is_read_as_rfc_3339(text, iso):
    """With the offset that was sent; a microsecond is the finest that is kept."""
    assert iso == read_time(text).isoformat()


@pytest.mark.parametrize(
    "text",
    ["2024-12-09", "2024-12-09T21:15+07:00", "09/12/2024 21:15", "2024-02-30T00:00:00Z", "20241209T211500Z"]
    + ["2024-12-09T24:00:01Z", "2024-12-09T21:15:00+07", "2024-12-09T21:15:00+0700", "2024-W50-1T00:00:00Z"]
    + [
        "2024-12-09T21:15:00,5Z",
        "２０２４-12-09T21:15:00Z",
        "2024-12-09T21:15:00+24:00",
        " 2024-12-09T21:15:00Z",
    ]
    + ["2024-W50-1T21:15:00+07:00", "2024-12-09T24:00:00+07:00", "2024-12-09T21:15:00 07:00"]
    + ["2024-12-09T00+07:00:00:00", "2024-12-09T21:15:00Z\x007:00", "2024-12-09T21:15:00+07:90"]
    + ["2024-12-09T21:15:00Z\n", "45635.88541666", "now", "2024-13-01T00:00:00Z", "2024-12-09T21:15:60Z"],
)
def test_time_is_not_rfc_3339(text):
    """A date that could be read in two ways is not guessed at."""
    with pytest.raises(TimeInvalidError):
        read_time(text, offset=VIETNAM)


def test_offset_is_applied_where_there_is_none():
    """And only there."""
    with pytest.raises(TimeWithoutOffsetError, match=r"--offset \+07:00"):
        read_time("2024-12-09T21:15:00")
    assert datetime(2024, 12, 9, 21, 15, tzinfo=VIETNAM) == read_time("2024-12-09T21:15:00", offset=VIETNAM)
    assert timedelta(0) == read_time("2024-12-09T21:15:00Z", offset=VIETNAM).utcoffset()


@given(st.dictionaries(st.sampled_from([*FIELDS, "x"]), st.one_of(st.text(), st.integers(), st.none())))
def test_any_fields_are_read_or_refused(fields):
    """No report whatever ends in anything but a command or a refusal."""
    try:
        check(read_report(fields), now=NOW, reasons=DEFAULT_REASONS)
    except InputError as error:
        assert str(error)
