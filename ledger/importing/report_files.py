"""Read files of reports: CSV as spreadsheets and programs write it, or one JSON object a line.

A file that cannot be read at all is one error; a line that cannot is a line with
an error, and the others go on.
"""

import csv
import io
import re
from collections import deque
from collections.abc import Generator, Iterator
from operator import itemgetter
from typing import BinaryIO

import msgspec

from ledger.commands import FIELDS
from ledger.errors import (
    FieldInvalidError,
    FieldsLackingError,
    FieldUnknownError,
    FileEmptyError,
    FileInvalidError,
    InputError,
    JsonInvalidError,
    LineCutError,
    LineInvalidError,
    NotUtf8Error,
)
from ledger.json_objects import check_names
from ledger.masking import shown

REFUSED_COLUMNS = ("line", "error", "detail")
"""What a file of refused lines adds; ignored when it is imported again."""
REQUIRED = ("key", "type", "citizen", "level", "occurred_at", "actor")
LINE_CHARACTERS_MAX = 1_000_000
"""A line that long is refused."""
RECORD_LINES_MAX = 100
"""Over how many lines a CSV record may reach; one that goes on for longer lacks a quotation mark."""

_FIELD_SET = frozenset(FIELDS)
_json = msgspec.json.Decoder(dict[str, str | int | None])


class Line(msgspec.Struct, frozen=True, gc=False):
    """One report of a file, as given."""

    number: int
    """Where it begins in the file; the first line is 1."""
    values: tuple[str, ...]
    """In the order of ``FIELDS``; empty where absent."""
    error: InputError | None = None
    """Why it is no report; ``values`` then hold what could be read."""


def read_lines(file: BinaryIO) -> Generator[Line, None, None]:
    """Yield the lines of a file, from its start.

    Raises:
        FileEmptyError: There is no report in it.
        NotUtf8Error: Its first line is not UTF-8.
        FieldUnknownError: A column of the header is not part of the format.
        FileInvalidError: A column is missing or doubled, or it is JSON of another shape.
    """
    file.seek(0)
    start = file.read(4096)
    file.seek(0)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise NotUtf8Error("the file is UTF-16; save it as UTF-8 (in a spreadsheet: CSV UTF-8)")
    # Bytes that are not UTF-8 become lone surrogates: their line is refused, and can be given back as it was.
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        content = start.removeprefix(b"\xef\xbb\xbf").lstrip()
        is_json = content[:1] == b"{"
        if content[:1] == b"[" or content.split(b"\n", 1)[0].strip() == b"{":
            raise FileInvalidError("of JSON the file must hold one object a line, and no array around them")
        lines = _json_lines(text) if is_json else _csv_lines(text)
        first = next(lines, None)
        if first is None:
            raise FileEmptyError(
                "the file holds no reports; expected a header line and a line for each report"
            )
        yield first
        yield from lines
    finally:
        # The caller owns the file.
        text.detach()


def _csv_lines(text: io.TextIOWrapper) -> Iterator[Line]:
    """Yield the lines of a CSV; the last one, if it lacks fields, was cut."""
    source = _Physical(text)
    header_line = source.readline()
    if not header_line.strip():
        raise FileEmptyError("the file is empty; expected a header line and a line for each report")
    delimiter = ";" if header_line.count(";") > header_line.count(",") else ","
    header = _read_header(header_line, delimiter)
    pick = itemgetter(*(header.index(name) if name in header else len(header) for name in FIELDS))
    width = len(header)
    for text_line in iter(source.readline, ""):
        number = source.number
        if len(text_line) >= LINE_CHARACTERS_MAX:
            yield Line(number, _raw(text_line), LineInvalidError(_TOO_LONG))
            continue
        physical = [text_line]
        if '"' in text_line:
            row = _read_quoted(source, physical, delimiter)
            if isinstance(row, InputError):
                yield Line(number, _raw(text_line), row)
                continue
        else:
            # Most lines have no quotation mark, and this takes a quarter of the time.
            row = text_line.rstrip("\r\n").split(delimiter)
            if len(row) == width and text_line.isascii():
                row.append("")
                values = pick(row)
                if values[0][:1] != "{":
                    # Nearly all lines are so: every lane reads every line, and this is what it costs.
                    yield Line(number, values)
                    continue
                row.pop()
            if row == [""]:
                continue
        values = pick([*row, ""]) if len(row) == width else _raw("".join(physical))
        fault = _record_fault(row, width, physical)
        if isinstance(fault, FieldsLackingError) and source.only_blanks_follow():
            fault = LineCutError(f"the file ends in the middle of this line: {fault}")
        yield _record(number, values, fault)


def _record(number: int, values: tuple[str, ...], fault: InputError | None) -> Line:
    if fault is None and values[0].startswith("{") and not any(values[1:]):
        # A line of JSON that could not be read stands so among the refused ones, and is corrected there.
        return _json_line(number, values[0])
    return Line(number, values, fault)


def _record_fault(row: list[str], width: int, physical: list[str]) -> InputError | None:
    if any(map(_is_damaged, physical)):
        return NotUtf8Error(_NOT_UTF8)
    if len(row) == width:
        return None
    lacking = FieldsLackingError if len(row) < width else LineInvalidError
    return lacking(f"fields: {len(row)}, but the header has {width}")


def _read_quoted(source: "_Physical", physical: list[str], delimiter: str) -> list[str] | InputError:
    """Return the fields of a record that begins with the line in *physical*, and add its further lines there.

    One that is no record takes only its first line with it: the others are read again by themselves.
    """

    def lines() -> Iterator[str]:
        yield physical[0]
        while len(physical) < RECORD_LINES_MAX and (line := source.readline()):
            physical.append(line)
            yield line

    try:
        return next(csv.reader(lines(), delimiter=delimiter, strict=True))
    except csv.Error as error:
        if source.ended:
            fault: InputError = LineCutError(
                "the file ends inside quotes: it was cut, or a quotation mark is missing"
            )
        else:
            fault = LineInvalidError(f"not CSV as RFC 4180 has it, or a quotation mark is missing: {error}")
        source.put_back(physical[1:])
        return fault


_TOO_LONG = f"a line of {LINE_CHARACTERS_MAX:,} characters or more is no report"
_NOT_UTF8 = "the line is not UTF-8; save the file as UTF-8 (in a spreadsheet: CSV UTF-8)"


def _raw(text: str) -> tuple[str, ...]:
    """Return what cannot be told apart into fields as if it were the first of them."""
    return (text.rstrip("\r\n"), *[""] * (len(FIELDS) - 1))


class _Physical:
    """The physical lines of a file, with their numbers."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._ahead: deque[str] = deque()
        """Lines that were put back."""
        self.number = 0
        """Of the last line read; the first is 1."""
        self.ended = False
        """Whether somebody has read up to the end of the file."""

    def readline(self) -> str:
        """Return the next line with its end, cut at ``LINE_CHARACTERS_MAX``; nothing at the end of the file."""
        if self._ahead:
            self.number += 1
            return self._ahead.popleft()
        rest = line = self._text.readline(LINE_CHARACTERS_MAX)
        if line:
            self.number += 1
        else:
            self.ended = True
        while len(rest) == LINE_CHARACTERS_MAX and not rest.endswith(_LINE_ENDS):
            rest = self._text.readline(LINE_CHARACTERS_MAX)
        return line

    def only_blanks_follow(self) -> bool:
        """Pass over blank lines; return whether the file ends there."""
        while line := self.readline():
            if line.strip("\r\n"):
                self.put_back([line])
                return False
        return True

    def put_back(self, lines: list[str]) -> None:
        self._ahead.extendleft(reversed(lines))
        self.number -= len(lines)


_LINE_ENDS = ("\n", "\r")


def _is_damaged(line: str) -> bool:
    return not line.isascii() and _find_damage(line) is not None


_find_damage = re.compile("[\udc80-\udcff]").search


def _read_header(line: str, delimiter: str) -> list[str]:
    if _find_damage(line):
        raise NotUtf8Error("the file is not UTF-8; save it as UTF-8 (in a spreadsheet: CSV UTF-8)")
    try:
        [header] = csv.reader([line], delimiter=delimiter, strict=True)
    except (csv.Error, ValueError):
        raise FileInvalidError("the first line is no header; expected " + ",".join(FIELDS)) from None
    header = [name.strip() for name in header]
    for name in header:
        if name not in _FIELD_SET and name not in REFUSED_COLUMNS:
            raise FieldUnknownError(
                f"unknown column {shown(name)}: the first line must name the columns, in any order; "
                f"they are {', '.join(FIELDS)}"
            )
    doubled = sorted({name for name in header if header.count(name) > 1})
    if doubled:
        raise FileInvalidError(f"the column {doubled[0]} stands twice in the header")
    lacking = [name for name in REQUIRED if name not in header]
    if lacking:
        raise FileInvalidError(f"the header lacks {', '.join(lacking)}")
    return header


def _json_lines(text: io.TextIOWrapper) -> Iterator[Line]:
    source = _Physical(text)
    while raw := source.readline():
        if raw.isspace():
            continue
        if len(raw) >= LINE_CHARACTERS_MAX:
            yield Line(source.number, _raw(raw), LineInvalidError(_TOO_LONG))
            continue
        if _is_damaged(raw):
            yield Line(source.number, _raw(raw), NotUtf8Error(_NOT_UTF8))
            continue
        line = _json_line(source.number, raw)
        if isinstance(line.error, JsonInvalidError) and not raw.endswith(_LINE_ENDS):
            # Only the last line can lack its line break, and only a cut line is broken as well.
            cut = LineCutError("the file ends in the middle of this line")
            line = msgspec.structs.replace(line, error=cut)
        yield line


def _json_line(number: int, raw: str) -> Line:
    try:
        return Line(number, _json_values(raw))
    except InputError as error:
        return Line(number, _raw(raw), error)


def _json_values(raw: str) -> tuple[str, ...]:
    try:
        fields = _json.decode(raw)
    except msgspec.ValidationError as error:
        if not raw.lstrip().startswith("{"):
            raise JsonInvalidError("the line is not a JSON object") from None
        raise FieldInvalidError("line", f"every field is text, level may be a number ({error})") from None
    except (msgspec.DecodeError, RecursionError):
        raise JsonInvalidError("the line is not a JSON object") from None
    check_names(raw, fields)
    for name, value in fields.items():
        if name not in _FIELD_SET and name not in REFUSED_COLUMNS:
            raise FieldUnknownError(f"unknown field {shown(name)}; the fields are {', '.join(FIELDS)}")
        if isinstance(value, int) and name != "level":
            raise FieldInvalidError(name, "must be text")
    return tuple("" if (value := fields.get(name)) is None else str(value) for name in FIELDS)
