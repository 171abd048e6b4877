"""Police units over time: what a code meant on a day, and how units are opened.

Pure functions over unit events. Codes are re-used for other communes, so a unit
has an id of its own and a code, a name and a parent with a validity.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import assert_never
from uuid import UUID

import msgspec

from ledger.errors import (
    FileEmptyError,
    FileInvalidError,
    UnitDiffersError,
    UnitNotValidError,
    UnitUnknownError,
)
from ledger.events import UnitEvent, UnitOpened

LEVELS = ("nation", "province", "district", "commune")
"""From the top down; a parent stands above its children."""
FAULTS_TOLD_MAX = 3
"""A tree loaded over another differs in hundreds of lines; a sentence of all of them is read by nobody."""
COLUMNS = ("code", "name", "level", "parent_code")


class Unit(msgspec.Struct, frozen=True):
    """One unit while it is called by one code and name under one parent."""

    id: UUID
    code: str
    name: str
    level: str
    parent_id: UUID | None
    valid_from: date
    """First business day (Asia/Ho_Chi_Minh) on which it is valid."""
    valid_to: date | None = None
    """Last business day on which it is valid; None: no end is known."""

    def valid_on(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


class UnitTree(msgspec.Struct, frozen=True):
    """All units that ever were, as of one version of the units' stream."""

    version: int = 0
    by_id: Mapping[UUID, Unit] = {}
    by_code: Mapping[str, tuple[Unit, ...]] = {}

    def resolve(self, code: str, day: date) -> Unit:
        """Return the unit that *code* means on *day*.

        Raises:
            UnitUnknownError: No unit ever had the code.
            UnitNotValidError: None has it on that day; the sentence names who held it and when.
        """
        holders = self.by_code.get(code)
        if holders is None:
            raise UnitUnknownError(code)
        for unit in holders:
            if unit.valid_on(day):
                return unit
        raise UnitNotValidError(code, day, "; ".join(map(_tenure, holders)))

    def on(self, day: date, *, under: str | None = None) -> list[Unit]:
        """Return the units valid on *day*, parents before children, siblings by code.

        Args:
            under: The code of a unit: only it and everything under it.

        Raises:
            UnitError: *under* is no code, or was not valid on *day*.
        """
        children = self.children_on(day)
        ordered: list[Unit] = []
        pending = list(reversed(children.get(None, []))) if under is None else [self.resolve(under, day)]
        while pending:
            unit = pending.pop()
            ordered.append(unit)
            pending.extend(reversed(children.get(unit.id, [])))
        return ordered

    def children_on(self, day: date) -> dict[UUID | None, list[Unit]]:
        """Return the units valid on *day* by their parent's id, siblings by code."""
        children: dict[UUID | None, list[Unit]] = {}
        for unit in sorted(self.by_id.values(), key=lambda unit: unit.code):
            if unit.valid_on(day):
                children.setdefault(unit.parent_id, []).append(unit)
        return children


def _tenure(unit: Unit) -> str:
    until = f" to {unit.valid_to.isoformat()}" if unit.valid_to else ""
    return f"{unit.name} held it from {unit.valid_from.isoformat()}{until}"


def grow(tree: UnitTree, events: Iterable[UnitEvent]) -> UnitTree:
    """Apply the next events of the units' stream; return the tree after the last."""
    version = tree.version
    by_id = dict(tree.by_id)
    by_code = dict(tree.by_code)
    for event in events:
        version += 1
        match event:
            case UnitOpened():
                unit = Unit(
                    event.unit_id, event.code, event.name, event.level, event.parent_id, event.valid_from
                )
                by_id[unit.id] = unit
                by_code[unit.code] = (*by_code.get(unit.code, ()), unit)
            case _:
                assert_never(event)
    return UnitTree(version, by_id, by_code)


class UnitRow(msgspec.Struct, frozen=True):
    """A line of a units file."""

    code: str
    name: str
    level: str
    parent_code: str
    line: int
    """Its number in the file, the header being line 1."""


def read_units(text: str) -> list[UnitRow]:
    """Read a units file: CSV with the columns code, name, level, parent_code in any order.

    Raises:
        FileEmptyError: No line but, at most, the header.
        FileInvalidError: Names every offending line: a column missing or unknown, a code
            twice, a level that is none, a parent that does not stand above its child.
    """
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        lines = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise FileInvalidError(f"line {reader.line_num}: {error}") from None
    if len(lines) < 2:
        raise FileEmptyError("the file holds no units; expected code,name,level,parent_code and a line each")
    header = [name.strip() for name in lines[0][1]]
    if sorted(header) != sorted(COLUMNS):
        raise FileInvalidError(
            f"the header must be {','.join(COLUMNS)}, in any order; it is {','.join(header)}"
        )
    faults = [f"line {line} has {len(row)} fields" for line, row in lines if len(row) != len(header)]
    if faults:
        raise FileInvalidError("; ".join(faults))
    rows = []
    for line, row in lines[1:]:
        fields = dict(zip(header, (field.strip() for field in row), strict=True))
        rows.append(UnitRow(**fields, line=line))
    faults = list(_row_faults(rows))
    if faults:
        raise FileInvalidError("; ".join(faults))
    return rows


def _row_faults(rows: Sequence[UnitRow]) -> Iterator[str]:
    by_code: dict[str, UnitRow] = {}
    for row in rows:
        if not row.code or not row.name:
            yield f"line {row.line}: a unit needs a code and a name"
        elif row.code in by_code:
            yield f"line {row.line}: the code {row.code} stands on line {by_code[row.code].line} already"
        elif len(row.code) > 32 or not row.code.isprintable() or not row.name.isprintable():
            yield f"line {row.line}: a code has at most 32 characters, and no control characters"
        if row.level not in LEVELS:
            yield f"line {row.line}: the level {row.level!r} is none of {', '.join(LEVELS)}"
        by_code.setdefault(row.code, row)
    for row in rows:
        parent = by_code.get(row.parent_code)
        if parent and {row.level, parent.level} <= set(LEVELS) and not _stands_above(parent.level, row.level):
            yield f"line {row.line}: {parent.code} ({parent.level}) cannot be above {row.code} ({row.level})"


def _stands_above(parent_level: str, level: str) -> bool:
    return LEVELS.index(parent_level) < LEVELS.index(level)


def decide_open(
    tree: UnitTree,
    rows: Sequence[UnitRow],
    *,
    valid_from: date,
    decree: str | None,
    actor: str,
    new_id: Callable[[], UUID],
) -> list[UnitOpened]:
    """Return the events that open the units of a file which are not open yet; all or none.

    A row that is open on *valid_from* exactly as the file says changes nothing.

    Raises:
        UnitDiffersError: Codes are open, or will be, as something else; tells the first lines and how
            many more there are.
        FileInvalidError: A parent is neither in the file nor open, or would close a circle.
    """
    in_file = {row.code: row for row in rows}
    ids: dict[str, UUID] = {}
    opened: list[UnitOpened] = []
    faults: list[str] = []
    differing: list[str] = []
    # Parents first, whatever the file's order: levels are strictly ordered, so no circle can pass.
    for row in sorted(rows, key=lambda row: LEVELS.index(row.level)):
        parent_id = ids.get(row.parent_code)
        if row.parent_code and row.parent_code not in in_file:
            try:
                parent = tree.resolve(row.parent_code, valid_from)
            except (UnitUnknownError, UnitNotValidError):
                faults.append(f"line {row.line}: the parent {row.parent_code} is not open on {valid_from}")
                continue
            if not _stands_above(parent.level, row.level):
                faults.append(f"line {row.line}: {parent.code} ({parent.level}) cannot be above {row.code}")
                continue
            parent_id = parent.id
        holder = _holder(tree, row.code, valid_from)
        if holder is None:
            ids[row.code] = new_id()
            opened.append(
                UnitOpened(
                    unit_id=ids[row.code],
                    code=row.code,
                    name=row.name,
                    level=row.level,
                    parent_id=parent_id,
                    valid_from=valid_from,
                    decree=decree,
                    actor=actor,
                )
            )
        elif holder.valid_on(valid_from) and (holder.name, holder.level, holder.parent_id) == (
            row.name,
            row.level,
            parent_id,
        ):
            ids[row.code] = holder.id
        else:
            ids[row.code] = holder.id
            differing.append(
                f"line {row.line}: {row.code} {row.name}, but {_tenure(holder)}: "
                + _difference(tree, holder, row, parent_id)
            )
    if faults:
        raise FileInvalidError("; ".join(faults))
    if differing:
        raise UnitDiffersError(
            f"{len(differing)} of the file's codes are open as something else on {valid_from} or later; "
            "to change units is the work of ledger units reorganise, which this version does not have yet. "
            + _first_of(differing)
        )
    return opened


def _difference(tree: UnitTree, holder: Unit, row: UnitRow, parent_id: UUID | None) -> str:
    """Say what is not as *row* has it, under the parent that its code means on the file's day."""
    told = []
    if holder.name != row.name:
        told.append(f"the name is {holder.name}, not {row.name}")
    if holder.level != row.level:
        told.append(f"the level is {holder.level}, not {row.level}")
    if holder.parent_id != parent_id:
        above = tree.by_id[holder.parent_id].code if holder.parent_id else "empty"
        told.append(f"the parent code is {above}, not {row.parent_code or 'empty'}")
    return " and ".join(told) or "not before"


def _first_of(faults: Sequence[str]) -> str:
    more = len(faults) - FAULTS_TOLD_MAX
    return "; ".join(faults[:FAULTS_TOLD_MAX]) + (f"; and {more} more" if more > 0 else "")


def _holder(tree: UnitTree, code: str, valid_from: date) -> Unit | None:
    """Return who holds *code* on *valid_from* or at any time after it, the earliest first."""
    holders = [
        unit for unit in tree.by_code.get(code, ()) if unit.valid_to is None or unit.valid_to >= valid_from
    ]
    return min(holders, key=lambda unit: unit.valid_from, default=None)
