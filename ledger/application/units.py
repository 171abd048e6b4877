"""The tree of units, and what changes it."""

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import TypeVar

import msgspec

from ledger.access import Principal, Right
from ledger.access.keeping import check_units
from ledger.application.base import LedgerBase
from ledger.application.files import read_rows, read_source
from ledger.checks import check_day, check_text
from ledger.errors import ContentionError, FileInvalidError
from ledger.store import ATTEMPTS_MAX
from ledger.unit_events import UNITS_STREAM, UnitEvent, UnitOpened
from ledger.units import (
    MergeRow,
    Plan,
    Unit,
    UnitRow,
    UnitTree,
    decide_open,
    fit,
    read_merge_rows,
    read_unit_rows,
    read_units,
)
from ledger.units.commands import AnyUnitsCommand, Reorganise, decide_units

E = TypeVar("E", bound=UnitEvent)


class UnitsLoaded(msgspec.Struct, frozen=True):
    """What loading a units file did."""

    opened: int
    unchanged: int
    position: int
    """Of the last unit event; a reader that has it knows these units."""


class UnitsChanged(msgspec.Struct, frozen=True):
    """What a change of units did, or would do."""

    plan: Plan
    position: int
    """Of its last event; 0: nothing was recorded. A reader that has it knows the change."""


class KeepsUnits(LedgerBase):
    """Units, and changes of them, all of it or nothing."""

    def units(
        self, *, on: date | None = None, under: str | None = None, by: Principal | None = None
    ) -> list[Unit]:
        """Return the units valid on a day, parents before children.

        Units are no secret: whoever may see any totals may see all units.

        Args:
            on: A business day (Asia/Ho_Chi_Minh); today if absent.
            under: The code of a unit: it and everything under it.
            by: Who asks; the ledger's own principal if absent.

        Raises:
            NotPermittedError: They may see no totals at all.
            UnitError: *under* is no code, or was not valid on the day.
        """
        self.asking(by, Right.TOTALS)
        day = on or self.today()
        return self.tree().on(day, under=under)

    def load_units(
        self,
        source: str | Path,
        *,
        valid_from: date,
        decree: str | None = None,
        actor: str = "local",
        by: Principal | None = None,
    ) -> UnitsLoaded:
        """Open the units of a CSV file (code,name,level,parent_code); all of them or none.

        The same file again changes nothing.

        Args:
            source: A file; or the bare name of one that comes with the package
                (``units_2024.csv``, ``units_2025-01-01.csv``, ``units_2025.csv``: Thanh Hoá).
            valid_from: First business day on which the units are valid.
            decree: The legal basis.
            by: Who does it; the ledger's own principal if absent.

        Raises:
            NotPermittedError: They may not change all that it touches; nothing was opened.
            InputError: The file cannot be read; names every offending line.
            UnitDiffersError: A code is open as something else; nothing was opened.
        """
        keeper = self.asking(by, Right.KEEP)
        check_day("valid_from", valid_from)
        if decree is not None:
            check_text("decree", decree)
        rows = read_units(read_source(source))

        def decide(tree: UnitTree) -> list[UnitOpened]:
            opened = decide_open(
                tree, rows, valid_from=valid_from, decree=decree, actor=actor, new_id=self._new_id
            )
            check_units(keeper, opened, self.reach(tree))
            fit(tree, [("", event) for event in opened])
            return opened

        opened, position = self._record_units(decide)
        return UnitsLoaded(len(opened), len(rows) - len(opened), position)

    def change_units(
        self, command: AnyUnitsCommand, *, dry_run: bool = False, by: Principal | None = None
    ) -> UnitsChanged:
        """Change the tree of units: all of it or nothing, in one commit.

        Args:
            dry_run: Decide and tell, but record nothing.
            by: Who does it; the ledger's own principal if absent.

        Raises:
            NotPermittedError: They may not change all that it touches.
            UnitError: Refused; names everything that is wrong.
            FieldInvalidError: The command lacks something.
            UnavailableError: Not known whether it was recorded; ``tree().reorganisations`` tells.
        """
        plans: list[Plan] = []
        keeper = self.asking(by, Right.KEEP)

        def decide(tree: UnitTree) -> Sequence[UnitEvent]:
            plans.append(decide_units(tree, command, new_id=self._new_id))
            check_units(keeper, plans[-1].events, self.reach(tree))
            return () if dry_run else plans[-1].events

        _, position = self._record_units(decide)
        return UnitsChanged(plans[-1], 0 if dry_run else position)

    def reorganise(
        self,
        tree: str | Path,
        map: str | Path,  # noqa: A002 - what the field calls it
        *,
        effective: date,
        decree: str,
        actor: str = "local",
        dry_run: bool = False,
        by: Principal | None = None,
    ) -> UnitsChanged:
        """Replace the tree of the day before by that of a file; as ``change_units`` does, with its errors.

        Args:
            tree: The units valid from that day on, a CSV as ``load_units`` takes it; a file, or the bare name of one that
                comes with the package.
            map: Where the people of each old unit went, a CSV old_code,new_code,kind and any other columns
                (``merge_2025-01-01.csv``, ``merge_2025.csv``: Thanh Hoá).

        Raises:
            InputError: A file cannot be read; names every offending line of both.
        """
        keeper = self.asking(by, Right.KEEP)
        faults: list[str] = []
        rows: list[UnitRow] | None = read_rows("tree", tree, read_unit_rows, faults)
        merges: list[MergeRow] | None = read_rows("map", map, read_merge_rows, faults)
        if rows is None or merges is None:
            raise FileInvalidError(*faults)
        command = Reorganise(
            effective=effective, decree=decree, actor=actor, tree=tuple(rows), merges=tuple(merges)
        )
        return self.change_units(command, dry_run=dry_run, by=keeper)

    def _record_units(self, decide: Callable[[UnitTree], Sequence[E]]) -> tuple[Sequence[E], int]:
        """Record what is decided on the newest tree; return it, and the position of the units' last event."""
        for _ in range(ATTEMPTS_MAX):
            tree = self.tree()
            events = decide(tree)
            if not events:
                return events, tree.entries[-1][0] if tree.entries else 0
            appended = self.recorder.append_after(UNITS_STREAM, tree.version, events, units_seen=tree.version)
            if appended is not None:
                self.tree()
                return events, appended[0] + len(events) - 1
        raise ContentionError(
            f"others kept changing the units first, {ATTEMPTS_MAX} times; nothing was recorded"
        )
