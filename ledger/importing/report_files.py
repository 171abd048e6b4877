"""Read files of reports: CSV as spreadsheets and programs write it, or one JSON object a line.

A file that cannot be read at all is one error; a line that cannot is a line with
an error, and the others go on.
"""

import csv
import io
import re
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
"""A line of JSON longer than this is refused; a CSV field may have 131,072 characters (Python's csv)."""

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
        FileInvalidError: A column is missing or doubled.
    """
    file.seek(0)
    start = file.read(4096)
    file.seek(0)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise NotUtf8Error("the file is UTF-16; save it as UTF-8 (in a spreadsheet: CSV UTF-8)")
    # Bytes that are not UTF-8 become lone surrogates: their line is refused, and can be given back as it was.
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        is_json = start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"
        found = False
        for line in _json_lines(text) if is_json else _csv_lines(text):
            found = True
            yield line
        if not found:
            raise FileEmptyError(
                "the file holds no reports; expected a header line and a line for each report"
            )
    finally:
        # The caller owns the file.
        text.detach()


def _csv_lines(text: io.TextIOWrapper) -> Iterator[Line]:
    """Yield the lines of a CSV; the last one, if it lacks fields, was cut."""
    held: Line | None = None
    for line in _csv_records(text):
        if held is not None:
            yield held
        held = line
    if held is not None and isinstance(held.error, FieldsLackingError):
        cut = LineCutError(f"the file ends in the middle of this line: {held.error}")
        held = msgspec.structs.replace(held, error=cut)
    if held is not None:
        yield held


def _csv_records(text: io.TextIOWrapper) -> Iterator[Line]:
    source = _Physical(text)
    header_line = source.readline()
    if not header_line.strip():
        raise FileEmptyError("the file is empty; expected a header line and a line for each report")
    delimiter = ";" if header_line.count(";") > header_line.count(",") else ","
    header = _read_header(header_line, delimiter)
    pick = itemgetter(*(header.index(name) if name in header else len(header) for name in FIELDS))
    width = len(header)
    quoted = csv.reader(source, delimiter=delimiter, strict=True)
    while True:
        source.begin()
        text_line = source.readline()
        if not text_line:
            return
        if '"' in text_line or len(text_line) > csv.field_size_limit():
            source.put_back(text_line)
            try:
                row = next(quoted)
            except csv.Error as error:
                yield Line(source.began, _raw(source.text()), _csv_fault(error, cut=source.ended))
                continue
        else:
            # Most lines have no quotation mark, and this takes a quarter of the time.
            row = text_line.rstrip("\r\n").split(delimiter)
            if row == [""]:
                continue
        if len(row) == width and not source.damaged:
            yield Line(source.began, pick([*row, ""]))
            continue
        values = pick([*row, *[""] * width])
        if source.damaged:
            yield Line(source.began, values, NotUtf8Error(_NOT_UTF8))
        else:
            lacking = FieldsLackingError if len(row) < width else LineInvalidError
            yield Line(source.began, values, lacking(f"{len(row)} fields, but the header has {width}"))


_NOT_UTF8 = "the line is not UTF-8; save the file as UTF-8 (in a spreadsheet: CSV UTF-8)"


def _csv_fault(error: csv.Error, *, cut: bool) -> InputError:
    if cut:
        return LineCutError("the file ends inside quotes: it was cut, or a quotation mark is missing")
    return LineInvalidError(f"not CSV as RFC 4180 has it: {error}")


def _raw(text: str) -> tuple[str, ...]:
    """Return what cannot be told apart into fields as if it were the first of them."""
    return (text.rstrip("\r\n"), *[""] * (len(FIELDS) - 1))


class _Physical:
    """The physical lines of a file, remembering those of the record at hand."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._lines: list[str] = []
        self._count = 0
        self._waits = False
        """Whether the last line was put back."""
        self.began = 1
        """The number of the record's first line."""
        self.ended = False
        self.damaged = False
        """Whether the record holds bytes that are not UTF-8."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._waits:
            self._waits = False
            return self._lines[-1]
        line = self.readline()
        if not line:
            self.ended = True
            raise StopIteration
        self._lines.append(line)
        return line

    def readline(self) -> str:
        line = self._text.readline(LINE_CHARACTERS_MAX)
        self._count += bool(line)
        if not line.isascii() and _find_damage(line):
            self.damaged = True
        return line

    def put_back(self, line: str) -> None:
        """Give the record's first line once more, to whoever iterates."""
        self._lines = [line]
        self._waits = True

    def begin(self) -> None:
        self.began = self._count + 1
        self.damaged = False

    def text(self) -> str:
        return "".join(self._lines)


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
                f"unknown column {shown(name)}; the columns are {', '.join(FIELDS)}, in any order"
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
    while True:
        source.begin()
        raw = source.readline()
        if not raw:
            return
        if raw.isspace():
            continue
        if source.damaged:
            yield Line(source.began, _raw(raw), NotUtf8Error(_NOT_UTF8))
            continue
        try:
            yield Line(source.began, _json_values(raw))
        except InputError as fault:
            # Only the last line can lack its line break, and only a cut line is broken as well.
            cut = isinstance(fault, JsonInvalidError) and not raw.endswith("\n")
            error = LineCutError("the file ends in the middle of this line") if cut else fault
            yield Line(source.began, _raw(raw), error)


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
