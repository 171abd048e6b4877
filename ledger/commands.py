"""What a client may ask the ledger to record, and whether the asking is well-formed.

Pure: the clock comes in as an argument. A command is checked before anything is
looked up, so a report that is wrong in itself never touches the database.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import ClassVar, NoReturn

import msgspec

from ledger.errors import (
    CitizenInvalidError,
    FieldInvalidError,
    FieldMissingError,
    FieldUnknownError,
    LevelInvalidError,
    NulCharacterError,
    PersonalNumberError,
    TimeInFutureError,
    TimeInvalidError,
    TimeWithoutOffsetError,
    TypeUnknownError,
)
from ledger.events import State
from ledger.masking import shown

FUTURE_MAX = timedelta(minutes=5)
"""How far a sending device's clock may be ahead of the ledger's."""
KEY_CHARACTERS_MAX = 64
ACTOR_CHARACTERS_MAX = 64
UNIT_CHARACTERS_MAX = 32
TEAM_CHARACTERS_MAX = 64
NOTE_CHARACTERS_MAX = 500

PLACES = frozenset(
    ("police_office", "culture_house", "household", "school", "one_stop_office")
    + ("enterprise", "hospital", "online", "other")
)
PARTNERS = frozenset(
    ("youth_union", "womens_union", "veterans", "elderly_association", "project06_team")
    + ("digital_team", "volunteers", "none")
)
REJECTION_REASONS = frozenset(
    ("data_mismatch", "photo", "face", "fingerprint", "phone_owner", "phone_number", "card")
    + ("duplicate", "other")
)
"""No official list is known; these are the reasons seen in practice."""


class Command(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One report. Empty text is the same as absent."""

    TYPE: ClassVar[State]

    key: str
    """The client's id for this report, 1 to 64 characters, unique within the dossier.

    Sending the same key with the same content again returns the first receipt.
    """
    citizen: str
    """The personal number, 12 digits. It enters no event, log line or error message."""
    level: int
    """1 or 2."""
    occurred_at: datetime
    """When it happened, with an offset; at most 5 minutes ahead of the ledger's clock."""
    actor: str
    """Staff code of the officer, or ``self``."""
    unit: str = ""
    """Code, valid at ``occurred_at``, of the unit whose work this is."""
    place: str = ""
    """One of ``PLACES``; empty means other."""
    team: str = ""
    """Code of a mobile team: up to 64 letters, digits, - and _."""
    partner: str = ""
    """One of ``PARTNERS``; empty means none."""
    residence_unit: str = ""
    """Unit code of the citizen's residence, of this or any other province; kept as sent."""
    note: str = ""
    """Free text up to 500 characters, stored sealed; it may hold no 12-digit number."""

    def __repr__(self) -> str:
        # The default would print the personal number into tracebacks and logs.
        return f"{type(self).__name__}(key={self.key!r}, level={self.level!r})"


class Collect(Command, frozen=True, gc=False, kw_only=True):
    """Thu nhận: take an application. ``unit`` is required."""

    TYPE = "collected"


class Approve(Command, frozen=True, gc=False, kw_only=True):
    """Phê duyệt. Without ``unit`` it counts at the collecting unit."""

    TYPE = "approved"


class Reject(Command, frozen=True, gc=False, kw_only=True):
    """Không đạt. Without ``unit`` it counts at the collecting unit."""

    TYPE = "rejected"

    reason: str
    """One of ``REJECTION_REASONS``."""


class Activate(Command, frozen=True, gc=False, kw_only=True):
    """Kích hoạt. ``unit`` is required."""

    TYPE = "activated"


AnyCommand = Collect | Approve | Reject | Activate

FIELDS = ("key", "type", "citizen", "level", "unit", "occurred_at", "actor", "place", "team") + (
    "partner",
    "residence_unit",
    "reason",
    "note",
)
"""The fields of a report in files and over HTTP, in their usual order."""

_COMMANDS: dict[str, type[Collect] | type[Approve] | type[Activate]] = {
    "collected": Collect,
    "approved": Approve,
    "activated": Activate,
}
_TYPES = ("collected", "approved", "rejected", "activated")

_AT_A_UNIT = frozenset(("collected", "activated"))
_is_citizen = re.compile(r"[0-9]{12}", re.ASCII).fullmatch
_is_team = re.compile(r"[A-Za-z0-9_-]+", re.ASCII).fullmatch
_is_time = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?(?P<offset>[Zz]|[+-]\d\d:\d\d)?", re.ASCII
).fullmatch
# \d of any script: a full-width number is as personal as an ASCII one.
_find_number = re.compile(r"(?<!\d)\d{12}(?!\d)").search
_NOT_DIGITS = re.compile(r"\D+")
_OTHER_BYTES = bytes(set(range(256)) - set(b"0123456789"))
_TEXT_FIELDS = ("key", "actor", "unit", "team", "residence_unit", "note")
WORDS_REMEMBERED = 50_000
"""How many codes, of units, officers and teams, are remembered as well-formed; each stands in many reports."""


def check(command: AnyCommand, *, now: datetime) -> None:
    """Check everything about a command that needs no look-up.

    Args:
        now: The ledger's clock, with an offset.

    Raises:
        InputError: One subclass per fault; the first fault found is the one named.
    """
    check_citizen(command.citizen)
    # Not isinstance: True is 1 and 2.0 is 2, but neither can be read again from a stored event.
    if type(command.level) is not int or command.level not in (1, 2):
        raise LevelInvalidError(f"level must be 1 or 2, not {shown(str(command.level))}")
    _check_time(command.occurred_at, now)
    try:
        _check_texts(command)
        _check_choices(command)
    except TypeError:
        _refuse_not_text(command)


def check_citizen(citizen: object) -> None:
    """Raise CitizenInvalidError unless *citizen* is 12 digits.

    The decree that defined what the digits mean is repealed, so nothing else is asked of them.
    """
    if not isinstance(citizen, str) or not _is_citizen(citizen):
        raise CitizenInvalidError(_citizen_fault(citizen))


def _citizen_fault(citizen: object) -> str:
    if isinstance(citizen, str) and len(citizen) == 11 and citizen.isdecimal():
        return (
            "citizen has 11 digits instead of 12: a leading zero was probably lost by a spreadsheet; "
            "format the column as text"
        )
    length = len(citizen) if isinstance(citizen, str) else 0
    return f"citizen must be 12 digits; this value has {length} characters or is not a number"


def _check_time(occurred_at: datetime, now: datetime) -> None:
    if not isinstance(occurred_at, datetime):
        raise TimeInvalidError("occurred_at must be a time")
    offset = occurred_at.utcoffset()
    if offset is None:
        raise TimeWithoutOffsetError(
            f"occurred_at {occurred_at.isoformat()} has no offset; write +07:00 for Vietnam"
        )
    if occurred_at.year < 1900 or occurred_at.year > 9000:
        raise TimeInvalidError(f"occurred_at {occurred_at.isoformat()} is not a plausible time")
    if offset.seconds % 60 or offset.microseconds:
        # RFC 3339 has no room for the seconds; without them it would be stored as another instant.
        raise TimeInvalidError(f"occurred_at {occurred_at.isoformat()}: the offset must be whole minutes")
    if occurred_at - now > FUTURE_MAX:
        raise TimeInFutureError(occurred_at, now)


def _check_texts(command: AnyCommand) -> None:
    try:
        long = (
            _line("key", command.key, KEY_CHARACTERS_MAX),
            _word("actor", command.actor, ACTOR_CHARACTERS_MAX),
            _word("unit", command.unit, UNIT_CHARACTERS_MAX),
            _word("team", command.team, TEAM_CHARACTERS_MAX),
            _word("residence_unit", command.residence_unit, UNIT_CHARACTERS_MAX),
            _note(command.note),
        )
    except FieldInvalidError:
        _check_own_number(command)
        raise
    if any(long):
        _check_own_number(command)
    if not command.key:
        raise FieldMissingError("key")
    if not command.actor:
        raise FieldMissingError("actor")
    if not command.unit and command.TYPE in _AT_A_UNIT:
        raise FieldMissingError("unit")


def _check_own_number(command: AnyCommand) -> None:
    """Find the citizen's own number however it is spaced or embedded."""
    for name in _TEXT_FIELDS:
        if command.citizen in _digits(getattr(command, name)):
            raise PersonalNumberError(name)


def _line(name: str, text: str, characters_max: int) -> bool:
    """Check a text of one line; return whether it has digits enough to hold a personal number."""
    if text == "":
        return False
    many_digits = _check_numbers(name, text)
    if len(text) > characters_max:
        raise FieldInvalidError(name, f"at most {characters_max} characters, this has {len(text)}")
    # Not printable: control characters, and the halves of characters that UTF-8 cannot store.
    if not text.isprintable() or text != text.strip():
        raise FieldInvalidError(name, "holds a control character, or a blank at an end")
    if name == "team" and not _is_team(text):
        raise FieldInvalidError("team", "a code of up to 64 letters, digits, - and _")
    return many_digits


# A refusal is never remembered, so nothing that may be personal is.
_word = lru_cache(WORDS_REMEMBERED, typed=True)(_line)


def _note(text: str) -> bool:
    if text == "":
        return False
    many_digits = _check_numbers("note", text)
    if len(text) > NOTE_CHARACTERS_MAX or not text.strip():
        raise FieldInvalidError("note", f"at most {NOTE_CHARACTERS_MAX} characters, and not only blanks")
    if not _is_utf8(text):
        raise FieldInvalidError("note", "holds half of a character that UTF-8 cannot store")
    return many_digits


def _check_numbers(name: str, text: str) -> bool:
    if "\x00" in text:
        raise NulCharacterError(name)
    if _count_digits(text) < 12:
        return False
    if _find_number(text):
        raise PersonalNumberError(name)
    return True


def _count_digits(text: str) -> int:
    if text.isascii():
        return len(text.encode().translate(None, _OTHER_BYTES))
    return len(_NOT_DIGITS.sub("", text))


def _digits(text: str) -> str:
    digits = _NOT_DIGITS.sub("", text)
    # Of any script, because full-width digits read the same.
    return digits if digits.isascii() else "".join(str(unicodedata.decimal(digit)) for digit in digits)


def _check_choices(command: AnyCommand) -> None:
    if command.place and command.place not in PLACES:
        raise FieldInvalidError("place", f"must be one of {', '.join(sorted(PLACES))}")
    if command.partner and command.partner not in PARTNERS:
        raise FieldInvalidError("partner", f"must be one of {', '.join(sorted(PARTNERS))}")
    if isinstance(command, Reject) and command.reason not in REJECTION_REASONS:
        if not command.reason:
            raise FieldMissingError("reason", "a rejection names its reason")
        raise FieldInvalidError("reason", f"must be one of {', '.join(sorted(REJECTION_REASONS))}")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_not_text(command: AnyCommand) -> NoReturn:
    for name in (*_TEXT_FIELDS, "place", "partner", "reason"):
        if not isinstance(getattr(command, name, ""), str):
            raise FieldInvalidError(name, "must be text")
    raise AssertionError("every field is text")


def read_report(fields: Mapping[str, object], *, offset: timezone | None = None) -> AnyCommand:
    """Turn a report's fields, as a file or a request holds them, into a command.

    Values may be text, integers (level) or None, which means absent.

    Args:
        offset: Applied to a time without one; without it such a time is refused.

    Raises:
        InputError: A field is unknown, missing, or not of its type. ``check`` does the rest.
    """
    unknown = fields.keys() - _FIELD_SET
    if unknown:
        raise FieldUnknownError(
            f"unknown field {shown(min(map(str, unknown)))}; the fields are {', '.join(FIELDS)}"
        )
    return command_of([_text(fields, name) for name in FIELDS], offset=offset)


_FIELD_SET = frozenset(FIELDS)


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if name == "level" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise FieldInvalidError(name, "must be text" + (" or an integer" if name == "level" else ""))


def command_of(texts: Sequence[str], *, offset: timezone | None = None) -> AnyCommand:
    """As ``read_report``, for fields that are all present and all text, in the order of ``FIELDS``."""
    key, kind, citizen, level, unit, time, actor, place, team, partner, residence_unit, reason, note = texts
    common = {
        "key": key,
        "citizen": citizen,
        "level": 2 if level == "2" else 1 if level == "1" else _refuse_level(level),
        "occurred_at": read_time(time, offset=offset),
        "actor": actor,
        "unit": unit,
        "place": place,
        "team": team,
        "partner": partner,
        "residence_unit": residence_unit,
        "note": note,
    }
    command_class = _COMMANDS.get(kind)
    if command_class is not None:
        if reason:
            raise FieldInvalidError("reason", f"is for rejected, not for {kind}")
        return command_class(**common)  # type: ignore[arg-type]  # All text but the two made above.
    if kind == "rejected":
        return Reject(reason=reason, **common)  # type: ignore[arg-type]
    if not kind:
        raise FieldMissingError("type", f"one of {', '.join(_TYPES)}")
    raise TypeUnknownError(f"unknown type {shown(kind)}; the types are {', '.join(_TYPES)}")


def _refuse_level(level: str) -> int:
    if not level:
        raise FieldMissingError("level", "1 or 2")
    raise LevelInvalidError(f"level must be 1 or 2, not {shown(level)}")


def read_time(text: str, *, offset: timezone | None = None) -> datetime:
    """Read an RFC 3339 time.

    Args:
        offset: Applied where the text has none.

    Raises:
        TimeInvalidError: Not an RFC 3339 time, or no such day or hour.
        TimeWithoutOffsetError: No offset in the text, and none given.
    """
    if not text:
        raise FieldMissingError("occurred_at", "for example 2024-12-09T21:15:00+07:00")
    # The usual shape needs no pattern, and an import reads each time more than once.
    usual = len(text) == 25 and text[7] == "-" and text[10] == "T" and text[16] == text[22] == ":"
    match = None if usual else _is_time(text)
    if match is None and not usual:
        raise TimeInvalidError(
            f"occurred_at {shown(text)} is not a time like 2024-12-09T21:15:00+07:00 (RFC 3339)"
        )
    try:
        time = datetime.fromisoformat(text.upper())
        if text[11:13] == "24":
            raise ValueError  # Later versions of Python take it for the next day; RFC 3339 has no such hour.
    except ValueError:
        raise TimeInvalidError(f"occurred_at {text!r}: there is no such day or time") from None
    if match is None or match["offset"] is not None:
        return time
    if offset is None:
        raise TimeWithoutOffsetError(
            f"occurred_at {text!r} has no offset; write +07:00 for Vietnam, or import with --offset +07:00"
        )
    return time.replace(tzinfo=offset)
