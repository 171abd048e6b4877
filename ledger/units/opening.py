"""Open the units of a list."""

from collections.abc import Callable, Sequence
from datetime import date
from uuid import UUID

from ledger.errors import FileInvalidError, UnitDiffersError, UnitNotValidError, UnitUnknownError
from ledger.unit_events import UnitOpened
from ledger.units.files import UnitRow
from ledger.units.tree import LEVELS, Unit, UnitTree, stands_above, tenure

FAULTS_TOLD_MAX = 3
"""A tree loaded over another differs in hundreds of lines; a sentence of all of them is read by nobody."""


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
            if not stands_above(parent.level, row.level):
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
                f"line {row.line}: {row.code} {row.name}, but {tenure(holder)}: "
                + _difference(tree, holder, row, parent_id)
            )
    if faults:
        raise FileInvalidError(*faults)
    if differing:
        raise UnitDiffersError(
            f"{len(differing)} of the file's codes are open as something else on {valid_from} or later; "
            "to change units is the work of ledger units reorganise. " + _first_of(differing)
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
        above = tree.called(holder.parent_id, holder.valid_from).code if holder.parent_id else "empty"
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
