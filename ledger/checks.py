"""Whether a command is well-formed.

Pure: the clock comes in as an argument. A command is checked before anything is
looked up, so a report that is wrong in itself never touches the database.
"""

import re
import unicodedata
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import NoReturn

from ledger.commands import (
    CARDS,
    NO_TEAM,
    PARTNERS,
    PLACES,
    Allocate,
    Amend,
    AnyCommand,
    Collect,
    Command,
    CorrectionCommand,
    Reassign,
    StepCommand,
)
from ledger.errors import (
    CitizenInvalidError,
    FieldInvalidError,
    FieldMissingError,
    LevelInvalidError,
    NulCharacterError,
    PersonalNumberError,
    TimeInFutureError,
    TimeInvalidError,
    TimeWithoutOffsetError,
)
from ledger.grouped import holds_number
from ledger.masking import shown
from ledger.reasons import WITH_REASON, Reasons

FUTURE_MAX = timedelta(minutes=5)
"""How far a sending device's clock may be ahead of the ledger's."""
DAY_MIN, DAY_MAX = date(1900, 1, 1), date(9000, 12, 31)
"""The days that the ledger knows: reports are of none before or after, and any that is asked for has days beside it."""
KEY_CHARACTERS_MAX = 64
ACTOR_CHARACTERS_MAX = 64
UNIT_CHARACTERS_MAX = 32
TEAM_CHARACTERS_MAX = 64
NOTE_CHARACTERS_MAX = 500
OPERATOR_TEXT_CHARACTERS_MAX = 200
"""Of an issuer, a source, a reason of a withdrawal."""

VERSION_MAX = 1_000_000
"""More entries than any dossier will have."""

_AT_A_UNIT = frozenset(("collected", "activated", "locked", "unlocked"))
_WITH_REASON = frozenset(WITH_REASON)
_is_citizen = re.compile(r"[0-9]{12}", re.ASCII).fullmatch
_is_team = re.compile(r"[A-Za-z0-9_-]+", re.ASCII).fullmatch
# \d of any script: a full-width number is as personal as an ASCII one.
_find_number = re.compile(r"(?<!\d)\d{12}(?!\d)").search
_NOT_DIGITS = re.compile(r"\D+")
_OTHER_BYTES = bytes(set(range(256)) - set(b"0123456789"))
_TEXT_FIELDS = ("key", "actor", "unit", "team", "residence_unit", "note")
WORDS_REMEMBERED = 50_000
"""How many codes, of units, officers and teams, are remembered as well-formed; each stands in many reports."""


def check(command: AnyCommand, *, now: datetime, reasons: Reasons) -> None:
    """Check everything about a command that needs no look-up.

    Args:
        now: The ledger's clock, with an offset.
        reasons: Those that reports of this ledger may name.

    Raises:
        InputError: One subclass per fault; the first fault found is the one named.
    """
    check_citizen(command.citizen)
    # Not isinstance: True is 1 and 2.0 is 2, but neither can be read again from a stored event.
    if type(command.level) is not int or command.level not in (1, 2):
        raise LevelInvalidError(f"level must be 1 or 2, not {shown(str(command.level))}")
    _check_time(command.occurred_at, now)
    try:
        if isinstance(command, StepCommand):
            _check_step(command)
        elif isinstance(command, Allocate):
            _check_allocation(command)
        else:
            _check_correction(command)
        if command.TYPE in _WITH_REASON:
            _check_reason(command, reasons)
    except (TypeError, AttributeError):
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
    if not DAY_MIN.year <= occurred_at.year <= DAY_MAX.year:
        raise TimeInvalidError(f"occurred_at {occurred_at.isoformat()} is not a plausible time")
    if offset.seconds % 60 or offset.microseconds:
        # RFC 3339 has no room for the seconds; without them it would be stored as another instant.
        raise TimeInvalidError(f"occurred_at {occurred_at.isoformat()}: the offset must be whole minutes")
    if occurred_at - now > FUTURE_MAX:
        raise TimeInFutureError(occurred_at, now)


def _check_step(command: StepCommand) -> None:
    try:
        many_digits = _line("key", command.key, KEY_CHARACTERS_MAX)
        many_digits |= _word("actor", command.actor, ACTOR_CHARACTERS_MAX)
        many_digits |= _word("unit", command.unit, UNIT_CHARACTERS_MAX)
        # Most are empty, and to be asked nothing takes the time of an answer.
        if command.team != "":
            many_digits |= _word("team", command.team, TEAM_CHARACTERS_MAX)
        if command.residence_unit != "":
            many_digits |= _word("residence_unit", command.residence_unit, UNIT_CHARACTERS_MAX)
        if command.note != "":
            many_digits |= _note(command.note)
    except FieldInvalidError:
        _check_own_number(command)
        raise
    if many_digits:
        _check_own_number(command)
    _check_given(command)
    if command.team == NO_TEAM:
        # In an amendment it means that there was none; as a code it could never be taken off.
        raise FieldInvalidError("team", "a code of up to 64 letters, digits, - and _, but not - alone")
    if not command.unit and command.TYPE in _AT_A_UNIT:
        raise FieldMissingError("unit")
    _check_choice("place", command.place, PLACES)
    _check_choice("partner", command.partner, PARTNERS)
    if isinstance(command, Collect):
        _check_choice("card", command.card, CARDS)


def _check_allocation(command: Allocate) -> None:
    _check_texts(command)
    if not command.unit:
        raise FieldMissingError("unit", "the part of the split one to which the dossier belongs")


def _check_correction(command: CorrectionCommand) -> None:
    _check_texts(command)
    # Not isinstance: True is 1 and 2.0 is 2, but neither can be read again from a stored event.
    if type(command.corrects) is not int or not 1 <= command.corrects <= VERSION_MAX:
        raise FieldInvalidError("corrects", "the version of an entry of this dossier, from 1")
    if isinstance(command, Reassign) and not command.unit:
        raise FieldMissingError("unit", "the one where the entry should have counted")
    if isinstance(command, Amend):
        _check_choice("place", command.place, PLACES)
        _check_choice("partner", command.partner, PARTNERS)
        if not (command.place or command.team or command.partner or command.note):
            raise FieldMissingError("place", "an amendment changes place, team, partner or note")


def _check_texts(command: Allocate | CorrectionCommand) -> None:
    """Check what an allocation and a correction have of key, actor, note, unit and team."""
    try:
        many_digits = _line("key", command.key, KEY_CHARACTERS_MAX)
        many_digits |= _word("actor", command.actor, ACTOR_CHARACTERS_MAX)
        many_digits |= _note(command.note)
        if isinstance(command, Allocate | Reassign):
            many_digits |= _word("unit", command.unit, UNIT_CHARACTERS_MAX)
        elif isinstance(command, Amend):
            many_digits |= _word("team", command.team, TEAM_CHARACTERS_MAX)
    except FieldInvalidError:
        _check_own_number(command)
        raise
    if many_digits:
        _check_own_number(command)
    _check_given(command)


def _check_given(command: Command) -> None:
    if not command.key:
        raise FieldMissingError("key")
    if not command.actor:
        raise FieldMissingError("actor")


def _check_own_number(command: Command) -> None:
    """Find the citizen's own number however it is spaced or embedded."""
    for name in _TEXT_FIELDS:
        check_holds_not(name, getattr(command, name, ""), command.citizen)


def may_hold_number(text: str) -> bool:
    """Whether a text has digits enough to hold a personal number in some spelling."""
    return _count_digits(text) >= 12


def check_holds_not(name: str, text: str, citizen: str) -> None:
    """Raise PersonalNumberError if a text holds a citizen's number, however it is spaced or embedded."""
    if citizen in _digits(text):
        raise PersonalNumberError(name)


def check_day(field: str, day: date | None) -> None:
    """Raise FieldInvalidError unless a day, if any, is one that the ledger knows: an error for all questions and files."""
    if day is not None and not DAY_MIN <= day <= DAY_MAX:
        raise FieldInvalidError(field, f"{day} is not from {DAY_MIN} to {DAY_MAX}")


def check_text(name: str, text: str, characters_max: int = OPERATOR_TEXT_CHARACTERS_MAX) -> None:
    """Raise InputError unless an operator's text is one line that is not empty and holds no 12-digit number."""
    if not text:
        raise FieldMissingError(name)
    _line(name, text, characters_max)


def check_purpose_text(text: str, name: str = "purpose_text") -> None:
    """Raise InputError unless a text can say what somebody looks for.

    It stands beside a dossier for years, and everybody reads it who asks who looked: nobody's number may be in it, in groups
    neither.
    """
    check_text(name, text)
    if may_hold_number(text) and holds_number(text):
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


_remembered = lru_cache(WORDS_REMEMBERED, typed=True)(_line)


def _word(name: str, text: str, characters_max: int) -> bool:
    # A longer one may hold a personal number, which must not be remembered.
    return (_remembered if len(text) < 12 else _line)(name, text, characters_max)


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


def _check_choice(name: str, value: str, choices: frozenset[str]) -> None:
    if value and value not in choices:
        raise FieldInvalidError(name, f"must be one of {', '.join(sorted(choices))}")


def _check_reason(command: AnyCommand, reasons: Reasons) -> None:
    reason = command.reason  # type: ignore[union-attr]  # Commands of these types have one.
    known = reasons.of(command.TYPE)
    if reason not in known:
        if not reason:
            raise FieldMissingError("reason", f"{command.TYPE} names its reason, one of {', '.join(known)}")
        raise FieldInvalidError("reason", f"for {command.TYPE} it must be one of {', '.join(known)}")


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
