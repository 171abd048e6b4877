"""From the fields of a report, as a file or a request holds them, to a command."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone

from ledger.commands import FIELDS, Activate, AnyCommand, Approve, Collect, Reject
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

_COMMANDS: dict[str, type[Collect] | type[Approve] | type[Activate]] = {
    "collected": Collect,
    "approved": Approve,
    "activated": Activate,
}
_TYPES = ("collected", "approved", "rejected", "activated")
_is_time = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?(?P<offset>[Zz]|[+-]\d\d:[0-5]\d)?", re.ASCII
).fullmatch


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
