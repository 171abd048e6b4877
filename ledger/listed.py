"""Lists that each ledger may have of its own: CSV with a header, and a code and its labels in each line."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from ledger.csv_lines import csv_lines
from ledger.errors import FileEmptyError, FileInvalidError
from ledger.masking import shown_header
from ledger.text_files import packaged, reading

CODE_CHARACTERS_MAX = 32

T = TypeVar("T")


def read_list(path: Path | None, what: str, parse: Callable[[str], T]) -> T:
    """Return what *parse* makes of a list; of the package's own, ``ledger/data/<what>.csv``, if no path.

    Raises:
        FileEmptyError, FileInvalidError: As *parse* does; it says which list that is. Or the file cannot be read.
        NotUtf8Error: It is not UTF-8.
    """
    with reading(path):
        text = (path or packaged(f"{what}.csv")).read_text(encoding="utf-8")
    try:
        return parse(text)
    except (FileEmptyError, FileInvalidError) as error:
        raise type(error)(f"the list of {what} {path}: {error}") from None


def take_lines(
    text: str, columns: Sequence[str], what: str, take: Callable[[Mapping[str, str]], str | None]
) -> list[str]:
    """Give *take* the fields of each line, by column; return what it says is wrong with them, by line.

    Raises:
        FileEmptyError: No line but, at most, the header.
        FileInvalidError: It is no CSV, or has other columns.
    """
    lines = csv_lines(text)
    if len(lines) < 2:
        raise FileEmptyError(f"the list holds no {what}; expected {','.join(columns)} and a line each")
    header = lines[0][1]
    if sorted(header) != sorted(columns):
        raise FileInvalidError(
            f"the header must be {','.join(columns)}, in any order; it is {shown_header(header)}"
        )
    faults = []
    for line, row in lines[1:]:
        fault: str | None = f"it has {len(row)} fields"
        if len(row) == len(header):
            fault = take(dict(zip(header, row, strict=True)))
        if fault:
            faults.append(f"line {line}: {fault}")
    return faults


def fault_of_labels(fields: Mapping[str, str]) -> str | None:
    """Return what is wrong with the labels of a code, if anything."""
    if not fields["vi"] or not fields["en"]:
        return f"{fields['code']} needs a label in Vietnamese (vi) and in English (en)"
    return None
