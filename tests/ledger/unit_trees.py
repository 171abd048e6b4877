"""Trees of units for tests: grown from commands as a ledger grows them, without one."""

from collections.abc import Iterable
from datetime import date, timedelta
from importlib.resources import files
from itertools import count
from uuid import UUID

from ledger.units import (
    MergeRow,
    Plan,
    TreeOn,
    UnitRow,
    UnitTree,
    decide_open,
    fit,
    grow,
    read_merge_rows,
    read_unit_rows,
    read_units,
)
from ledger.units.commands import AbolishUnits, AnyUnitsCommand, Reorganise, decide_units

FROM = date(2021, 1, 1)
DAY = timedelta(days=1)
JANUARY, MARCH, JULY = date(2025, 1, 1), date(2025, 3, 1), date(2025, 7, 1)
RESOLUTION_1238, POLICE, RESOLUTION_1686 = "1238/NQ-UBTVQH15", "district police abolished", "1686/NQ-UBTVQH15"


def packaged(name: str) -> str:
    return (files("ledger") / "data" / name).read_text(encoding="utf-8")


def tree_rows(name: str) -> tuple[UnitRow, ...]:
    return tuple(read_unit_rows(packaged(name)))


def map_rows(name: str) -> tuple[MergeRow, ...]:
    return tuple(read_merge_rows(packaged(name)))


REAL_CHANGES: tuple[AnyUnitsCommand, ...] = (
    Reorganise(
        effective=JANUARY,
        decree=RESOLUTION_1238,
        tree=tree_rows("units_2025-01-01.csv"),
        merges=map_rows("merge_2025-01-01.csv"),
    ),
    AbolishUnits(effective=MARCH, decree=POLICE, level="district"),
    Reorganise(
        effective=JULY,
        decree=RESOLUTION_1686,
        tree=tree_rows("units_2025.csv"),
        merges=map_rows("merge_2025.csv"),
    ),
)
"""What became of the units of Thanh Hoá in 2025."""


class Keeper:
    """Whoever keeps a tree: it decides commands, and grows by them."""

    def __init__(self, text: str | None = None, valid_from: date = FROM) -> None:
        self._ids = count(1)
        self.tree = UnitTree()
        if text is not None:
            self.load(text, valid_from)

    def new_id(self) -> UUID:
        return UUID(int=next(self._ids))

    def load(self, text: str, valid_from: date = FROM) -> None:
        """As ``Ledger.load_units`` does."""
        rows = read_units(text)
        opened = decide_open(
            self.tree, rows, valid_from=valid_from, decree=None, actor="op", new_id=self.new_id
        )
        fit(self.tree, [("", event) for event in opened])
        self._grow(opened)

    def plan(self, command: AnyUnitsCommand) -> Plan:
        return decide_units(self.tree, command, new_id=self.new_id)

    def do(self, command: AnyUnitsCommand) -> Plan:
        """Decide, and let the tree grow as if recorded and read back."""
        plan = self.plan(command)
        self._grow(plan.events)
        assert plan.tree.by_id == self.tree.by_id
        return plan

    def _grow(self, events: Iterable) -> None:
        self.tree = grow(self.tree, [(self.tree.version + n, event) for n, event in enumerate(events, 1)])

    def listed(self, day: date) -> set[tuple[str, str, str, str]]:
        """Return what a units file would have of a day."""
        valid = self.tree.valid(day)
        return {
            (unit.code, unit.name, unit.level, valid[unit.parent_id].code if unit.parent_id else "")
            for unit in valid.values()
        }

    def place(self, code: str, valid: date, on: date) -> tuple[str | None, bool]:
        """Return where what is recorded at a code on a day counts on another: the code there, and whether allocated."""
        there = TreeOn(self.tree, on)
        place = there.place(self.tree.resolve(code, valid).id)
        return (None if place.unit_id is None else there.units[place.unit_id].code, place.allocated)


def published(name: str) -> set[tuple[str, str, str, str]]:
    return {(row.code, row.name, row.level, row.parent_code) for row in read_units(packaged(name))}
