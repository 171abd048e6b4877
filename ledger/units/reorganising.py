"""From the list of units of a day and the list of where people went: one reorganisation."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from uuid import UUID

from ledger.errors import UnitError, UnitsRefusedError
from ledger.unit_events import (
    Part,
    Placed,
    UnitAbolished,
    UnitMerged,
    UnitMoved,
    UnitRecoded,
    UnitRenamed,
    UnitSplit,
)
from ledger.units.changing import Basis, Plan, plan
from ledger.units.files import MergeRow, UnitRow
from ledger.units.tree import LEVELS, Unit, UnitTree

CONTINUES = ("unchanged", "renamed", "retyped", "recoded", "moved")
"""What a kind begins with that leaves the unit what it is, but for its name, code or parent."""
MERGED = ("whole", "absorbed", "merged")
"""The unit ends, and all of it belongs to another."""
PART = "part"
"""What a kind begins with of a unit that is split."""
LAND = "part_area_only"
"""Land without people."""


def reorganise(
    tree: UnitTree,
    basis: Basis,
    rows: Sequence[UnitRow],
    merges: Sequence[MergeRow],
    *,
    new_id: Callable[[], UUID],
) -> Plan:
    """Return what makes the tree of the day before that of *rows*, under whatever those have at their top.

    Of the levels that *merges* speaks of, each old unit needs its line. A unit of another level goes on if its code is in
    *rows* at the same level, else it is abolished.

    Raises:
        UnitsRefusedError: Lines are missing, doubled or do not fit; names all of them.
    """
    change = _Change(tree, basis, rows, merges, new_id)
    faults = list(change.faults())
    if faults:
        raise UnitsRefusedError(faults)
    return plan(tree, basis, list(change.events()), change.warnings())


class _Change:
    def __init__(
        self,
        tree: UnitTree,
        basis: Basis,
        rows: Sequence[UnitRow],
        merges: Sequence[MergeRow],
        new_id: Callable[[], UUID],
    ) -> None:
        self._basis = basis
        self._rows = {row.code: row for row in rows}
        self._merges: dict[str, list[MergeRow]] = defaultdict(list)
        for merge in merges:
            self._merges[merge.old_code].append(merge)
        self._old = _concerned(tree, basis, rows, merges)
        self._above, self._missing = _parents(tree, basis, rows)
        self._spoken_of = {self._old[code].level for code in self._merges if code in self._old}
        self._continuing = self._continues()
        self._ids = {
            code: self._continuing[code].id if code in self._continuing else new_id() for code in self._rows
        }

    def _continues(self) -> dict[str, Unit]:
        """Return the units that go on, by their new codes."""
        found = {
            merge.new_code: self._old[merge.old_code]
            for lines in self._merges.values()
            for merge in lines
            if merge.kind.startswith(CONTINUES) and merge.old_code in self._old
        }
        for code, unit in self._old.items():
            row = self._rows.get(code)
            if row and row.level == unit.level and unit.level not in self._spoken_of:
                found[code] = unit
        return found

    def faults(self) -> Iterator[str]:
        yield from self._missing
        continuing: Counter[str] = Counter()
        for code, lines in self._merges.items():
            if code not in self._old:
                yield f"line {lines[0].line}: {code} is not open on {self._basis.day_before}"
            yield from _faults_together(code, lines)
            for line in lines:
                yield from self._faults_of(line)
                continuing[line.new_code] += line.kind.startswith(CONTINUES)
        for code, number in continuing.items():
            if number > 1:
                yield f"{code} goes on from {number} units at once; all but one of them must be {MERGED[0]}"
        for code, unit in self._old.items():
            if unit.level in self._spoken_of and code not in self._merges:
                yield f"no line says where the people of {code} {unit.name} went"

    def _faults_of(self, line: MergeRow) -> Iterator[str]:
        if not line.kind.startswith((*CONTINUES, PART)) and line.kind not in MERGED:
            yield (
                f"line {line.line}: the kind {line.kind!r} is none; known are {', '.join((*MERGED, PART, LAND))} and what "
                f"begins with {', '.join(CONTINUES)}"
            )
        elif not line.new_code and line.kind not in MERGED:
            yield f"line {line.line}: {line.old_code} is {line.kind}, and has no new_code"
        elif line.new_code and line.new_code not in self._rows:
            yield f"line {line.line}: the new code {line.new_code} is not in the tree"
        elif line.old_code in self._old and line.new_code:
            old, new = self._old[line.old_code].level, self._rows[line.new_code].level
            if old != new:
                yield f"line {line.line}: {line.old_code} is a {old}, and {line.new_code} a {new}"

    def warnings(self) -> Iterator[str]:
        for code, lines in self._merges.items():
            if not lines[0].new_code:
                name = self._old[code].name
                yield (
                    f"line {lines[0].line}: nobody knows where the people of {code} {name} went: what counts there stays "
                    "unallocated until ledger units merge says it"
                )
        for code, unit in self._old.items():
            if unit.level not in self._spoken_of and code not in self._rows:
                yield f"{code} {unit.name} ({unit.level}) is abolished: what counts at itself is unallocated from then on"

    def events(self) -> Iterator[tuple[str, Placed]]:
        for row in sorted(self._rows.values(), key=lambda row: LEVELS.index(row.level)):
            origin, unit = f"line {row.line} of the tree", self._continuing.get(row.code)
            if unit is None:
                yield (
                    origin,
                    self._basis.opened(
                        self._ids[row.code], row.code, row.name, row.level, self._parent_id(row, None)
                    ),
                )
                continue
            if unit.name != row.name:
                yield origin, self._basis.change(UnitRenamed, unit.id, name=row.name)
            if unit.code != row.code:
                yield origin, self._basis.change(UnitRecoded, unit.id, code=row.code)
            parent_id = self._parent_id(row, unit.parent_id)
            if unit.parent_id != parent_id:
                yield origin, self._basis.change(UnitMoved, unit.id, parent_id=parent_id)
        going_on = {unit.id for unit in self._continuing.values()}
        for code, unit in self._old.items():
            if unit.id not in going_on:
                yield self._ending(unit, self._merges.get(code, ()))

    def _parent_id(self, row: UnitRow, now: UUID | None) -> UUID | None:
        if row.parent_code in self._ids:
            return self._ids[row.parent_code]
        # The top of the list may stand under something that the list is not about.
        return self._above.get(row.parent_code, now)

    def _ending(self, unit: Unit, lines: Sequence[MergeRow]) -> tuple[str, Placed]:
        ids: Mapping[str, UUID] = self._ids
        if lines and lines[0].kind.startswith(PART):
            parts = tuple(Part(ids[line.new_code], line.kind != LAND) for line in lines)
            return f"line {lines[0].line}", self._basis.change(UnitSplit, unit.id, parts=parts)
        if lines and lines[0].new_code:
            into = ids[lines[0].new_code]
            return f"line {lines[0].line}", self._basis.change(UnitMerged, unit.id, into=into)
        return unit.code, self._basis.change(UnitAbolished, unit.id)


def _faults_together(code: str, lines: Sequence[MergeRow]) -> Iterator[str]:
    """Tell what is wrong with the lines of one old unit beside each other."""
    for new_code, number in Counter(line.new_code for line in lines).items():
        if number > 1:
            yield f"line {lines[-1].line}: {code} goes to {new_code or 'nobody'} {number} times"
    whole = [line for line in lines if not line.kind.startswith(PART)]
    if whole and len(lines) > 1:
        yield (
            f"line {whole[-1].line}: {code} stands on {len(lines)} lines, so the kind of each must begin with "
            f"{PART}, not {whole[-1].kind}"
        )
    if not whole and all(line.kind == LAND for line in lines):
        yield f"line {lines[0].line}: {code} is split, and no part has its people"


def _concerned(
    tree: UnitTree, basis: Basis, rows: Sequence[UnitRow], merges: Sequence[MergeRow]
) -> dict[str, Unit]:
    """Return by code what is open on the day before under the tops of the list, and under whatever has a line."""
    listed = {row.code for row in rows}
    codes = [row.code for row in rows if row.parent_code not in listed] + [row.old_code for row in merges]
    found: dict[str, Unit] = {}
    children = tree.children_on(basis.day_before)
    for code in codes:
        if code in found:
            continue
        with suppress(UnitError):  # A top may be new; a line that is about nothing is a fault of its own.
            pending = [tree.resolve(code, basis.day_before)]
            while pending:
                unit = pending.pop()
                found[unit.code] = unit
                pending += children.get(unit.id, ())
    return found


def _parents(tree: UnitTree, basis: Basis, rows: Sequence[UnitRow]) -> tuple[dict[str, UUID], list[str]]:
    """Return the ids of parents that the list names and does not have, and what is wrong with such."""
    listed, found, faults = {row.code for row in rows}, {}, []
    for row in rows:
        if row.parent_code and row.parent_code not in listed:
            try:
                found[row.parent_code] = tree.resolve(row.parent_code, basis.day_before).id
            except UnitError as error:
                faults.append(f"line {row.line} of the tree: {error}")
    return found, faults
