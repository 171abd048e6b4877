"""What a list of units is about: which of those that are open it speaks of, and under whom they stand."""

from collections.abc import Sequence
from uuid import UUID

from ledger.errors import UnitError
from ledger.units.changing import Basis
from ledger.units.files import MergeRow, UnitRow
from ledger.units.tree import LEVELS, Reorganisation, Unit, UnitTree


def made_by(tree: UnitTree, basis: Basis, rows: Sequence[UnitRow]) -> Reorganisation | None:
    """Return what has made the tree of *rows* already, on the same day."""
    standing = (one for one in tree.reorganisations.values() if one.withdrawn_at is None)
    made = max((one for one in standing if one.effective == basis.effective), key=_events, default=None)
    on = tree.valid(basis.effective)
    codes = {unit.id: unit.code for unit in on.values()}
    every = {row.code for row in rows}
    listed = {row.code: row for row in rows}
    for unit in on.values():
        row = listed.pop(unit.code, None)
        above = codes.get(unit.parent_id, "") if unit.parent_id else ""
        if row is None and above in every:
            return None
        if row and (unit.name, unit.level, above) != (row.name, row.level, row.parent_code or above):
            return None
    return None if listed else made


def _events(reorganisation: Reorganisation) -> int:
    return reorganisation.events


def concerned(
    tree: UnitTree, basis: Basis, rows: Sequence[UnitRow], merges: Sequence[MergeRow]
) -> tuple[dict[str, Unit], dict[str, str]]:
    """Return what is open on the day before and ends or goes on by the list; and which old codes are not open, and why.

    These are, by their codes: what stands under the tops of the list and under whatever has a line; and what is as high as
    the list reaches, and has nothing else under it.
    """
    listed = {row.code for row in rows}
    tops = [row.code for row in rows if row.parent_code not in listed]
    found: dict[str, Unit] = {}
    not_open: dict[str, str] = {}
    children = tree.children_on(basis.day_before)
    for code in [*tops, *(row.old_code for row in merges)]:
        if code in found:
            continue
        try:
            pending = [tree.resolve(code, basis.day_before)]
        except UnitError as error:
            not_open[code] = str(error)
            continue
        while pending:
            unit = pending.pop()
            found[unit.code] = unit
            pending += children.get(unit.id, ())
    highest = min((LEVELS.index(row.level) for row in rows if row.level in LEVELS), default=len(LEVELS))
    valid = sorted(tree.valid(basis.day_before).values(), key=_depth, reverse=True)
    for unit in valid:
        under = children.get(unit.id)
        if under and highest <= _depth(unit) and all(child.code in found for child in under):
            found.setdefault(unit.code, unit)
    return {unit.code: unit for unit in sorted(found.values(), key=_depth_and_code)}, not_open


def _depth(unit: Unit) -> int:
    return LEVELS.index(unit.level)


def _depth_and_code(unit: Unit) -> tuple[int, str]:
    return _depth(unit), unit.code


def parents(tree: UnitTree, basis: Basis, rows: Sequence[UnitRow]) -> tuple[dict[str, UUID], list[str]]:
    """Return the ids of parents that the list names and does not have, and what is wrong with such."""
    listed, found, faults = {row.code for row in rows}, {}, []
    for row in rows:
        if row.parent_code and row.parent_code not in listed:
            try:
                found[row.parent_code] = tree.resolve(row.parent_code, basis.effective).id
            except UnitError as error:
                faults.append(f"tree: line {row.line}: {error}")
    return found, faults
