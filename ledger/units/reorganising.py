"""From the list of units of a day and the list of where people went: one reorganisation."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from uuid import UUID

from ledger.errors import UnitsRefusedError
from ledger.masking import shown
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
from ledger.units.changing import Basis, Plan, abolition_warnings, plan
from ledger.units.files import MergeRow, UnitRow, faults_of
from ledger.units.scope import concerned, made_by, parents
from ledger.units.tree import LEVELS, Unit, UnitTree

CONTINUES = ("unchanged", "renamed", "retyped", "recoded", "moved")
"""What a kind begins with that leaves the unit what it is, but for its name, code or parent."""
ABSORBED = "absorbed"
"""As whole; where an absorbed unit's people went may be unknown."""
MERGED = ("whole", ABSORBED, "merged")
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

    Of the levels that *merges* speaks of, each old unit needs its line, and each new one a line that leads to it. A unit of
    another level goes on if its code is in *rows* at the same level, else it is abolished.

    Raises:
        UnitsRefusedError: Lines are missing, doubled or do not fit; names all of them.
    """
    made = made_by(tree, basis, rows)
    if made is not None:
        fault = (
            f"the units are so already on {basis.effective}, by the reorganisation {made.id} ({made.decree}, position "
            f"{made.position}); to make it otherwise, withdraw that first"
        )
        raise UnitsRefusedError([fault])
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
        self._listed = rows
        self._rows = {row.code: row for row in rows}
        self._merges: dict[str, list[MergeRow]] = defaultdict(list)
        for merge in merges:
            self._merges[merge.old_code].append(merge)
        self._old, self._not_open = concerned(tree, basis, rows, merges)
        self._above, self._without_parent = parents(tree, basis, rows)
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
        """Tell everything that is wrong, the tree's lines first."""
        yield from (f"tree: {fault}" for fault in faults_of(self._listed))
        yield from self._without_parent
        yield from self._faults_of_lines()
        yield from self._missing()

    def _faults_of_lines(self) -> Iterator[str]:
        continuing: dict[str, list[MergeRow]] = defaultdict(list)
        for code, lines in self._merges.items():
            if code in self._not_open:
                yield f"map: {_lines(lines)}: {self._not_open[code] if code else 'there is no old_code'}"
                continue
            yield from _faults_together(code, lines)
            for line in lines:
                yield from self._faults_of(line)
                if line.kind.startswith(CONTINUES):
                    continuing[line.new_code].append(line)
        for code, lines in continuing.items():
            if len({line.old_code for line in lines}) > 1:
                yield f"map: {_lines(lines)}: {code} goes on from several units at once; all but one must be {MERGED[0]}"

    def _missing(self) -> Iterator[str]:
        for code, unit in self._old.items():
            if unit.level in self._spoken_of and code not in self._merges:
                yield f"map: no line says where the people of {code} {unit.name} went"
        reached = {line.new_code for lines in self._merges.values() for line in lines}
        for code, row in self._rows.items():
            if row.level in self._spoken_of and code not in reached:
                yield f"tree: line {row.line}: no line of the map leads to {code} {row.name}"

    def _faults_of(self, line: MergeRow) -> Iterator[str]:
        old, where = self._old[line.old_code], f"map: line {line.line}"
        new = self._rows.get(line.new_code)
        if not line.kind.startswith((*CONTINUES, PART)) and line.kind not in MERGED:
            yield (
                f"{where}: the kind {shown(line.kind)} is none; known are {', '.join((*MERGED, PART, LAND))} and what begins with "
                f"{', '.join(CONTINUES)}"
            )
        elif not line.new_code:
            if line.kind != ABSORBED:
                yield f"{where}: {line.old_code} is {line.kind}, and has no new_code"
        elif new is None:
            yield f"{where}: the new code {line.new_code} is not in the tree"
        elif old.level != new.level and new.level in LEVELS:
            yield f"{where}: {line.old_code} is a {old.level}, and {line.new_code} a {new.level}"

    def warnings(self) -> Iterator[str]:
        for code, lines in self._merges.items():
            if not lines[0].new_code:
                name = self._old[code].name
                yield (
                    f"map: line {lines[0].line}: nobody knows where the people of {code} {name} went: what counts there stays "
                    "unallocated until ledger units merge says it"
                )
        yield from abolition_warnings(
            unit
            for code, unit in self._old.items()
            if unit.level not in self._spoken_of and code not in self._rows
        )

    def events(self) -> Iterator[tuple[str, Placed]]:
        for row in sorted(self._rows.values(), key=lambda row: LEVELS.index(row.level)):
            origin, unit = f"tree: line {row.line}", self._continuing.get(row.code)
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
            return f"map: {_lines(lines)}", self._basis.change(UnitSplit, unit.id, parts=parts)
        if lines and lines[0].new_code:
            into = ids[lines[0].new_code]
            return f"map: line {lines[0].line}", self._basis.change(UnitMerged, unit.id, into=into)
        return unit.code, self._basis.change(UnitAbolished, unit.id)


def _lines(lines: Sequence[MergeRow]) -> str:
    return ("line " if len(lines) == 1 else "lines ") + ", ".join(str(line.line) for line in lines)


def _faults_together(code: str, lines: Sequence[MergeRow]) -> Iterator[str]:
    """Tell what is wrong with the lines of one old unit beside each other."""
    to: dict[str, list[MergeRow]] = defaultdict(list)
    for line in lines:
        to[line.new_code].append(line)
    for new_code, doubled in to.items():
        if len(doubled) > 1:
            yield f"map: {_lines(doubled)}: {code} goes to {new_code or 'nobody'} {len(doubled)} times"
    parts = [line for line in lines if line.kind.startswith(PART)]
    others = [line for line in lines if not line.kind.startswith(PART)]
    if others and len(to) > 1:
        yield (
            f"map: {_lines(others)}: {code} stands on {len(lines)} lines, so the kind of each must begin with {PART}, not "
            f"{', '.join(line.kind for line in others)}"
        )
    elif len(parts) == 1:
        yield (
            f"map: line {parts[0].line}: {code} is split, and has this one part; it needs two at least, or is {MERGED[0]}"
        )
    elif parts and all(line.kind == LAND for line in parts):
        yield f"map: {_lines(parts)}: {code} is split, and no part has its people"
