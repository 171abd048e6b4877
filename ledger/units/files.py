"""Read the files that describe units: their tree, and where the people of each went."""

from collections.abc import Iterator, Sequence

import msgspec

from ledger.csv_lines import csv_lines
from ledger.errors import FileEmptyError, FileInvalidError
from ledger.masking import may_be_number, shown, shown_header
from ledger.units.tree import LEVELS, stands_above

COLUMNS = ("code", "name", "level", "parent_code")
MERGE_COLUMNS = ("old_code", "new_code", "kind")
"""Other columns of such a file are for people."""
CODE_LENGTH_MAX = 32


class UnitRow(msgspec.Struct, frozen=True):
    """A line of a units file."""

    code: str
    name: str
    level: str
    parent_code: str
    line: int
    """Its number in the file, the header being line 1."""


class MergeRow(msgspec.Struct, frozen=True):
    """A line of the file that says where the people of each old unit went."""

    old_code: str
    new_code: str
    """Empty: nobody knows."""
    kind: str
    line: int
    """Its number in the file, the header being line 1."""


def read_units(text: str) -> list[UnitRow]:
    """Read a units file: CSV with the columns code, name, level, parent_code in any order.

    Raises:
        FileEmptyError: No line but, at most, the header.
        FileInvalidError: Names every offending line: a column missing or unknown, a code
            twice, a level that is none, a parent that does not stand above its child.
    """
    rows = read_unit_rows(text)
    faults = list(faults_of(rows))
    if faults:
        raise FileInvalidError(*faults)
    return rows


def read_unit_rows(text: str) -> list[UnitRow]:
    """As ``read_units``, but leave it to the caller to see what is wrong with the rows: ``faults_of`` tells."""
    return [UnitRow(**fields, line=line) for line, fields in _read_lines(text, COLUMNS, exactly=True)]


def read_merge_rows(text: str) -> list[MergeRow]:
    """Read a file that says where the people of each old unit went: CSV with old_code, new_code, kind and any others.

    What is wrong with the rows shows beside the two trees, in ``reorganise``.

    Raises:
        FileEmptyError: No line but, at most, the header.
        FileInvalidError: It is no such CSV; names every offending line.
    """
    lines = _read_lines(text, MERGE_COLUMNS, exactly=False)
    return [MergeRow(fields["old_code"], fields["new_code"], fields["kind"], line) for line, fields in lines]


def _read_lines(text: str, columns: Sequence[str], *, exactly: bool) -> list[tuple[int, dict[str, str]]]:
    """Return each line's number and fields; *exactly*: there may be no other columns."""
    lines = csv_lines(text)
    if len(lines) < 2:
        raise FileEmptyError(f"the file holds no units; expected {','.join(columns)} and a line each")
    header = lines[0][1]
    if any(header.count(name) != 1 for name in columns) or (exactly and len(header) > len(columns)):
        raise FileInvalidError(
            f"the header must be {','.join(columns)}, in any order; it is {shown_header(header)}"
            if exactly
            else f"the header must have {','.join(columns)}, each once; it is {shown_header(header)}"
        )
    faults = [f"line {line} has {len(row)} fields" for line, row in lines if len(row) != len(header)]
    # What is recorded of units stays for good, and everybody sees it. Before anything of the line is repeated.
    faults = faults or [
        f"line {line}: {name} may be a personal number; take it out"
        for line, row in lines
        for name, field in zip(header, row, strict=True)
        if name in columns and may_be_number(field)
    ]
    if faults:
        raise FileInvalidError(*faults)
    return [(line, dict(zip(header, row, strict=True))) for line, row in lines[1:]]


def faults_of(rows: Sequence[UnitRow]) -> Iterator[str]:
    """Tell what is wrong with rows in themselves, line by line."""
    by_code: dict[str, UnitRow] = {}
    for row in rows:
        if any(map(may_be_number, (row.code, row.name, row.parent_code))):
            yield f"line {row.line}: a code or a name may be a personal number; take it out"
            continue
        if not row.code or not row.name:
            yield f"line {row.line}: a unit needs a code and a name"
        elif row.code in by_code:
            yield f"line {row.line}: the code {row.code} stands on line {by_code[row.code].line} already"
        elif len(row.code) > CODE_LENGTH_MAX or not row.code.isprintable() or not row.name.isprintable():
            yield f"line {row.line}: a code has at most {CODE_LENGTH_MAX} characters, and no control characters"
        if row.level not in LEVELS:
            yield f"line {row.line}: the level {shown(row.level)} is none of {', '.join(LEVELS)}"
        by_code.setdefault(row.code, row)
    for row in rows:
        parent = by_code.get(row.parent_code)
        if parent and {row.level, parent.level} <= set(LEVELS) and not stands_above(parent.level, row.level):
            yield f"line {row.line}: {parent.code} ({parent.level}) cannot be above {row.code} ({row.level})"
