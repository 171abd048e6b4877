"""What makes a report wrong in itself, whatever the ledger holds."""

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import checks
from ledger.checks import FUTURE_MAX, check
from ledger.commands import PARTNERS, PLACES
from ledger.errors import (
    CitizenInvalidError,
    FieldInvalidError,
    FieldMissingError,
    InputError,
    LevelInvalidError,
    NulCharacterError,
    PersonalNumberError,
    TimeInFutureError,
    TimeInvalidError,
    TimeWithoutOffsetError,
)
from ledger.events import Collected
from ledger.reasons import DEFAULT_REASONS
from tests.conftest import NOW
from tests.ledger.reports import CITIZEN, VIETNAM, activate, approve, collect, reject

FULL_WIDTH = CITIZEN.translate({ord("0") + n: chr(0xFF10 + n) for n in range(10)})
SPACED = " ".join(CITIZEN[i : i + 3] for i in range(0, 12, 3))


def refusal(command) -> InputError:
    with pytest.raises(InputError) as caught:
        check(command, now=NOW, reasons=DEFAULT_REASONS)
    assert CITIZEN not in str(caught.value)
    assert FULL_WIDTH not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("command", [collect(), approve(), reject(), activate()], ids=lambda c: c.TYPE)
@pytest.mark.parametrize("level", [1, 2])
def test_an_ordinary_report_passes(command, level):
    """As does one in which every optional field is filled."""
    check(msgspec.structs.replace(command, level=level), now=NOW, reasons=DEFAULT_REASONS)
    full = {
        "place": "school",
        "team": "To_3-b",
        "partner": "none",
        "residence_unit": "01234",
        "note": "Nhà văn hoá\nthôn 3",
    }
    check(msgspec.structs.replace(command, unit="14761", **full), now=NOW, reasons=DEFAULT_REASONS)


@pytest.mark.parametrize(
    "citizen",
    ["", "03809000123", "0380900012345", "03809000123a", " 38090001234", "038090001234\n", FULL_WIDTH]
    + ["038-090-0012", "-38090001234", "03809000123٤", 38090001234, None, 38090001234.0, "0380900\x001234"],
    ids=repr,
)
def test_citizen_is_twelve_ascii_digits(citizen):
    """Nothing else is; and the refusal does not repeat what was sent."""
    error = refusal(collect(citizen=citizen))
    assert isinstance(error, CitizenInvalidError)
    assert not str(citizen) or str(citizen) not in str(error)


def test_eleven_digits_get_a_hint():
    """A spreadsheet has eaten the leading zero; the refusal says how to get it back."""
    error = refusal(collect(citizen="38090001234"))
    assert "a leading zero was probably lost" in str(error)
    assert "format the column as text" in str(error)
    assert "leading zero" not in str(refusal(collect(citizen="3809000123")))


@pytest.mark.parametrize("level", [0, 3, -1, True, 2.0, "2", None, 10**30], ids=repr)
def test_level_is_one_or_two(level):
    """Nor may it be anything that equals them: 2.0 would be stored as a row nobody can read."""
    assert isinstance(refusal(collect(level=level)), LevelInvalidError)


def test_time_needs_an_offset():
    """A time without one could be any of 26 hours."""
    error = refusal(collect(occurred_at=datetime(2024, 12, 2, 8, 0)))
    assert isinstance(error, TimeWithoutOffsetError)
    assert "write +07:00 for Vietnam" in str(error)


def test_future_begins_after_five_minutes():
    """Five minutes ahead are the fault of a device's clock; more is refused, in any offset."""
    check(collect(occurred_at=NOW + FUTURE_MAX), now=NOW, reasons=DEFAULT_REASONS)
    check(collect(occurred_at=(NOW + FUTURE_MAX).astimezone(VIETNAM)), now=NOW, reasons=DEFAULT_REASONS)
    late = NOW + FUTURE_MAX + timedelta(microseconds=1)
    for occurred_at in (late, late.astimezone(VIETNAM)):
        error = refusal(collect(occurred_at=occurred_at))
        assert isinstance(error, TimeInFutureError)
        assert "check the clock of the sending device" in str(error)


@pytest.mark.parametrize(
    "occurred_at",
    [
        datetime(1899, 12, 31, 23, 59, tzinfo=VIETNAM),
        datetime(9001, 1, 1, tzinfo=VIETNAM),
        datetime(2024, 12, 2, 8, 0, tzinfo=timezone(timedelta(hours=7, seconds=30))),
        datetime(1905, 1, 1, tzinfo=ZoneInfo("Asia/Ho_Chi_Minh")),
        "2024-12-02T08:00:00+07:00",
        None,
    ],
    ids=str,
)
def test_time_is_a_plausible_one(occurred_at):
    """And one that RFC 3339 can write: seconds of an offset would be lost, and the instant with them."""
    assert isinstance(refusal(collect(occurred_at=occurred_at)), TimeInvalidError)


TEXT_FIELDS = ("key", "actor", "unit", "team", "residence_unit", "note")


@pytest.mark.parametrize("field", TEXT_FIELDS)
def test_nul_is_refused(field):
    """PostgreSQL's text cannot hold it."""
    error = refusal(collect(**{field: "a\x00b"}))
    assert isinstance(error, NulCharacterError)
    assert field == error.field


@pytest.mark.parametrize("field", TEXT_FIELDS)
@pytest.mark.parametrize(
    "text",
    [
        "038090005678",
        "x038090005678x",
        FULL_WIDTH,
        SPACED,
        CITIZEN + "9",
        "-".join(CITIZEN),
        SPACED.translate({ord("0") + n: chr(0xFF10 + n) for n in range(10)}),
    ],
)
def test_no_field_holds_a_personal_number(field, text):
    """Nobody's twelve digits, and the citizen's own not even spaced, embedded or in other digits."""
    error = refusal(collect(**{field: text}))
    assert isinstance(error, PersonalNumberError)
    assert field == error.field


@pytest.mark.parametrize("text", ["03809000123", "0380900056789", "14758", "0912 345 678"])
def test_other_numbers_are_no_personal_numbers(text):
    """Eleven or thirteen digits may be anything."""
    check(collect(note=text), now=NOW, reasons=DEFAULT_REASONS)


def test_digits_are_not_joined_across_fields():
    """Two fields that together make the number are two innocent fields."""
    check(collect(key=CITIZEN[:6], actor=CITIZEN[6:]), now=NOW, reasons=DEFAULT_REASONS)


@pytest.mark.parametrize(
    ("field", "characters_max"),
    [("key", 64), ("actor", 64), ("team", 64), ("unit", 32), ("residence_unit", 32), ("note", 500)],
)
def test_text_has_a_greatest_length(field, characters_max):
    """Counted in characters, not bytes."""
    letter = "x" if field == "team" else "ở"
    check(collect(**{field: letter * characters_max}), now=NOW, reasons=DEFAULT_REASONS)
    error = refusal(collect(**{field: letter * (characters_max + 1)}))
    assert isinstance(error, FieldInvalidError)
    assert field == error.field


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "a\nb"},
        {"key": " a"},
        {"key": "a "},
        {"key": " "},
        {"key": "\ud800"},
        {"key": 5},
        {"key": None},
        {"actor": "a\tb"},
        {"actor": "\u200b"},
        {"unit": "147 58 "},
        {"residence_unit": "\x7f"},
        {"team": "tổ 3"},
        {"team": "a b"},
        {"team": "a\n"},
        {"place": "office"},
        {"place": "Police_Office"},
        {"partner": "youth"},
        {"note": " \n"},
        {"note": "\ud800"},
        {"note": 5},
    ],
    ids=str,
)
def test_field_is_not_of_its_kind(changes):
    """The refusal names the field."""
    [field] = changes
    error = refusal(collect(**changes))
    assert isinstance(error, FieldInvalidError)
    assert field == error.field


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (collect(key=""), "key"),
        (collect(actor=""), "actor"),
        (collect(unit=""), "unit"),
        (activate(unit=""), "unit"),
        (reject(reason=""), "reason"),
    ],
)
def test_required_field_is_missing(command, field):
    """The refusal names it. Approval and rejection need no unit: the collecting one counts."""
    error = refusal(command)
    assert isinstance(error, FieldMissingError)
    assert field == error.field


def test_lists_are_those_of_the_interface():
    """Programs depend on these words; they may grow, never shrink."""
    assert {"police_office", "culture_house", "household", "school", "one_stop_office"} <= PLACES
    assert {"enterprise", "hospital", "online", "other"} <= PLACES
    assert {"youth_union", "womens_union", "veterans", "elderly_association"} <= PARTNERS
    assert {"project06_team", "digital_team", "volunteers", "none"} <= PARTNERS
    assert {"data_mismatch", "photo", "face", "fingerprint", "phone_owner"} <= set(
        DEFAULT_REASONS.of("rejected")
    )
    assert {"phone_number", "card", "duplicate", "other"} <= set(DEFAULT_REASONS.of("rejected"))
    for place in PLACES:
        check(collect(place=place), now=NOW, reasons=DEFAULT_REASONS)
    for partner in PARTNERS:
        check(collect(partner=partner), now=NOW, reasons=DEFAULT_REASONS)
    for reason in DEFAULT_REASONS.of("rejected"):
        check(reject(reason=reason), now=NOW, reasons=DEFAULT_REASONS)
    assert isinstance(refusal(reject(reason="bad photo")), FieldInvalidError)


def test_commands_do_not_print_the_number():
    """A command in a traceback or a log line must not give it away."""
    for command in (collect(), approve(), reject(), activate()):
        assert CITIZEN not in repr(command) + str(command) + f"{[command]}"


@given(
    st.sampled_from(TEXT_FIELDS),
    st.text(max_size=8),
    st.text(alphabet=" -./\u200b\n", max_size=3),
    st.booleans(),
)
def test_own_number_is_found_however_it_is_written(field, around, between, wide):
    """With anything but digits between its digits."""
    digits = FULL_WIDTH if wide else CITIZEN
    error = refusal(collect(**{field: "a" + between.join(digits) + "".join(filter(str.isalpha, around))}))
    assert isinstance(error, PersonalNumberError)


@given(
    st.builds(
        collect,
        key=st.text(max_size=64),
        note=st.text(max_size=500),
        actor=st.text(max_size=64),
        residence_unit=st.text(max_size=32),
        occurred_at=st.datetimes(
            max_value=NOW.replace(tzinfo=None),
            timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
        ),
    )
)
def test_what_passes_can_be_stored(command):
    """Every text that passes has a UTF-8 form without NUL, and every time survives its JSON."""
    try:
        check(command, now=NOW, reasons=DEFAULT_REASONS)
    except InputError:
        return
    event = Collected(
        **{
            name: getattr(command, name)
            for name in ("key", "level", "occurred_at", "actor", "unit", "residence_unit")
        },
        note=command.note.encode(),
        unit_id="",
    )
    state = msgspec.json.encode(event)
    assert b"\\u0000" not in state
    assert command.occurred_at == msgspec.json.decode(msgspec.json.encode(command.occurred_at), type=datetime)


def test_no_number_is_remembered():
    """What is remembered of codes outlives the request; a code long enough to hold a number is none of it."""
    refusal(collect(actor=SPACED))
    refusal(collect(actor=CITIZEN))
    before = checks._remembered.cache_info().currsize
    check(collect(actor="th-123456-789012"), now=NOW, reasons=DEFAULT_REASONS)
    assert before == checks._remembered.cache_info().currsize


@pytest.mark.parametrize("field", ["key", "actor", "unit", "team", "residence_unit", "note"])
@pytest.mark.parametrize("value", [["a"], ("a",), {"a": 1}, b"a", 7], ids=repr)
def test_what_is_no_text_is_refused(field, value):
    """msgspec does not check what a program builds."""
    assert isinstance(refusal(collect(**{field: value})), FieldInvalidError)
