"""From the fields of a report, as a file or a request holds them, to a command."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ledger.commands import COMMANDS, FIELDS, AnyCommand
from ledger.errors import (
    FieldInvalidError,
    FieldMissingError,
    FieldUnknownError,
    LevelInvalidError,
    TimeInvalidError,
    TimeWithoutOffsetError,
    TypeUnknownError,
)
from ledger.masking import shown

_is_time = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?(?P<offset>[Zz]|[+-]\d\d:[0-5]\d)?", re.ASCII
).fullmatch


def read_report(fields: Mapping[str, object], *, offset: timezone | None = None) -> AnyCommand:
    """Turn a report's fields, as a file or a request holds them, into a command.

    Values may be text, integers (level, corrects) or None, which means absent.

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
    texts: list[Any] = [fields.get(name, "") for name in FIELDS]
    if type(texts[_LEVEL]) is int:
        texts[_LEVEL] = str(texts[_LEVEL])
    if set(map(type, texts)) != _TEXT_ALONE:
        texts = [_text(fields, name) for name in FIELDS]
    return command_of(texts, offset=offset)


_FIELD_SET = frozenset(FIELDS)
_TEXT_ALONE = {str}


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    number = name in {"level", "corrects"}
    if number and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise FieldInvalidError(name, "must be text" + (" or an integer" if number else ""))


def command_of(texts: Sequence[str], *, offset: timezone | None = None) -> AnyCommand:
    """As ``read_report``, for fields that are all present and all text, in the order of ``FIELDS``."""
    kind, level = texts[_TYPE], texts[_LEVEL]
    command_class = COMMANDS.get(kind)
    if command_class is None:
        if not kind:
            raise FieldMissingError("type", f"one of {', '.join(COMMANDS)}")
        raise TypeUnknownError(f"unknown type {shown(kind)}; the types are {', '.join(COMMANDS)}")
    taken, foreign = _COLUMNS[command_class]
    for index, name in foreign:
        if texts[index]:
            raise FieldInvalidError(name, f"is for {_types_with(name)}, not for {kind}")
    fields: dict[str, Any] = {name: texts[index] for index, name in taken}
    fields["level"] = 2 if level == "2" else 1 if level == "1" else _refuse_level(level)
    fields["occurred_at"] = read_time(fields["occurred_at"], offset=offset)
    if "corrects" in fields:
        fields["corrects"] = _version(fields["corrects"])
    return command_class(**fields)


_TYPE, _LEVEL = FIELDS.index("type"), FIELDS.index("level")
_COLUMNS = {
    command: (
        [(index, name) for index, name in enumerate(FIELDS) if name in command.__struct_fields__],
        [
            (index, name)
            for index, name in enumerate(FIELDS)
            if name not in command.__struct_fields__ and name != "type"
        ],
    )
    for command in COMMANDS.values()
}
"""By class, the fields that its reports have, and those that must be empty."""


def _types_with(name: str) -> str:
    *others, last = [type_ for type_, command in COMMANDS.items() if name in command.__struct_fields__]
    return f"{', '.join(others)} and {last}" if others else last


def _version(text: str) -> int:
    if not text:
        raise FieldMissingError(
            "corrects", "the version of the entry that is corrected, as its history tells"
        )
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise FieldInvalidError("corrects", "the version of an entry of this dossier, from 1")
    return int(text)


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
    match = _is_time(text)
    if match is None:
        raise TimeInvalidError(
            f"occurred_at {shown(text)} is not a time like 2024-12-09T21:15:00+07:00 (RFC 3339)"
        )
    try:
        time = datetime.fromisoformat(text.upper())
        if text[11:13] == "24":
            raise ValueError  # Later versions of Python take it for the next day; RFC 3339 has no such hour.
    except ValueError:
        raise TimeInvalidError(f"occurred_at {text!r}: there is no such day or time") from None
    if match["offset"] is not None:
        return time
    if offset is None:
        raise TimeWithoutOffsetError(
            f"occurred_at {text!r} has no offset; write +07:00 for Vietnam, or import with --offset +07:00"
        )
    return time.replace(tzinfo=offset)
