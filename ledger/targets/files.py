"""Read the files that denominators and targets are loaded from.

A line that cannot be read as it is meant becomes a fault, not an exception: it is told together with what the
ledger refuses of the other lines.
"""

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

import msgspec

from ledger.checks import check_day
from ledger.csv_lines import csv_lines
from ledger.errors import FieldInvalidError, FileEmptyError, FileInvalidError
from ledger.masking import shown, shown_header

VALUE_COLUMNS = ("value", "population")
"""The column of a denominator's value: the second is that of the population file that comes with the package."""
QUALITY_COLUMN = "quality"
"""Where there is one, a value is available only if it says ``ok``."""
TARGET_COLUMNS = ("unit", "measure", "from", "deadline")
TARGET_COLUMNS_OPTIONAL = ("level", "number", "percent", "denominator")

_is_whole = re.compile(r"\d{1,18}", re.ASCII).fullmatch
_is_decimal = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII).fullmatch


class Fault(NamedTuple):
    """What is wrong with a line."""

    line: int
    """Its number in the file, the header being line 1; 0: it is in no file."""
    why: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.why}" if self.line else self.why


class DenominatorRow(msgspec.Struct, frozen=True, kw_only=True):
    """How many people of one kind a unit has."""

    unit: str
    value: int | None
    """None: not available."""
    line: int = 0
    """Its number in the file, the header being line 1; 0: it is in no file."""


class TargetRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a unit is to reach: a number, or a percentage of a denominator."""

    unit: str
    measure: str
    level: int | None = None
    """1 or 2; None: both together."""
    number: int | None = None
    percent: Decimal | None = None
    denominator: str | None = None
    from_day: date | None
    deadline: date | None
    line: int = 0
    """Its number in the file, the header being line 1; 0: it is in no file."""


def read_denominators(text: str) -> tuple[list[DenominatorRow], list[Fault]]:
    """Read a CSV with the columns code and value (or population), and any others.

    An empty value is not available, nor is one whose column quality says anything but ``ok``.

    Raises:
        FileEmptyError: No line but, at most, the header.
        FileInvalidError: Its lines are no lines of such a file.
    """
    header, lines = _read_lines(text, "code,value")
    columns = [name for name in VALUE_COLUMNS if name in header]
    if "code" not in header or len(columns) != 1 or len(set(header)) < len(header):
        raise FileInvalidError(
            f"the header must have code and one of {', '.join(VALUE_COLUMNS)}, and none twice; it is {shown_header(header)}"
        )
    rows, faults = [], []
    for line, fields in lines:
        told = fields[columns[0]]
        available = bool(told) and fields.get(QUALITY_COLUMN, "ok") == "ok"
        if not fields["code"]:
            faults.append(Fault(line, "there is no code"))
        elif told and not _is_whole(told):
            faults.append(Fault(line, f"{shown(told)} is no whole number of people"))
        else:
            rows.append(
                DenominatorRow(unit=fields["code"], value=int(told) if available else None, line=line)
            )
    return rows, faults


def read_targets(text: str) -> tuple[list[TargetRow], list[Fault]]:
    """Read a CSV with the columns unit, measure, from, deadline, and level, number, percent, denominator where needed.

    Raises:
        FileEmptyError: No line but, at most, the header.
        FileInvalidError: Its lines are no lines of such a file.
    """
    header, lines = _read_lines(text, ",".join((*TARGET_COLUMNS, *TARGET_COLUMNS_OPTIONAL)))
    lacking = [name for name in TARGET_COLUMNS if name not in header]
    unknown = [name for name in header if name not in (*TARGET_COLUMNS, *TARGET_COLUMNS_OPTIONAL)]
    if lacking or unknown or len(set(header)) < len(header):
        raise FileInvalidError(
            f"the header must have {','.join(TARGET_COLUMNS)}, may have {','.join(TARGET_COLUMNS_OPTIONAL)}, "
            f"and no others, none twice; it is {shown_header(header)}"
        )
    rows, faults = [], []
    for line, fields in lines:
        try:
            rows.append(_target_row(fields, line))
        except ValueError as error:
            faults.append(Fault(line, str(error)))
    return rows, faults


def _target_row(fields: dict[str, str], line: int) -> TargetRow:
    """Raise ValueError, whose sentence names everything that is wrong."""
    wrong = []

    def whole(name: str) -> int | None:
        told = fields.get(name, "")
        if told and not _is_whole(told):
            wrong.append(f"{name}: {shown(told)} is no whole number")
            return None
        return int(told) if told else None

    def day(name: str) -> date | None:
        try:
            day = date.fromisoformat(fields[name]) if fields[name] else None
            check_day(name, day)
        except ValueError:
            wrong.append(f"{name}: {shown(fields[name])} is no day; write it like 2024-12-31")
            return None
        except FieldInvalidError as error:
            wrong.append(str(error))
            return None
        return day

    percent = fields.get("percent", "").removesuffix("%").strip()
    if percent and not _is_decimal(percent):
        wrong.append(f"percent: {shown(percent)} is no percentage; write it like 12.5")
        percent = ""
    row = TargetRow(
        unit=fields["unit"],
        measure=fields["measure"],
        level=whole("level"),
        number=whole("number"),
        percent=Decimal(percent) if percent else None,
        denominator=fields.get("denominator") or None,
        from_day=day("from"),
        deadline=day("deadline"),
        line=line,
    )
    if wrong:
        raise ValueError("; ".join(wrong))
    return row


def _read_lines(text: str, expected: str) -> tuple[Sequence[str], list[tuple[int, dict[str, str]]]]:
    """Return the header, and each line's number and fields."""
    lines = csv_lines(text)
    if len(lines) < 2:
        raise FileEmptyError(f"the file holds no lines; expected {expected} and a line each")
    header = lines[0][1]
    cut = [f"line {line} has {len(row)} fields" for line, row in lines if len(row) != len(header)]
    if cut:
        raise FileInvalidError("; ".join(cut))
    return header, [(line, dict(zip(header, row, strict=True))) for line, row in lines[1:]]
