"""Targets, and the numbers of people they are measured against."""

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import msgspec

from ledger.access import Principal, Right
from ledger.access.keeping import check_targets
from ledger.application.base import LedgerBase
from ledger.application.files import read_source
from ledger.checks import check_day
from ledger.errors import ContentionError
from ledger.events import Recorded
from ledger.store import ATTEMPTS_MAX, translated
from ledger.target_events import TARGETS_STREAM, TargetEvent, TargetWithdrawn
from ledger.targets import (
    DenominatorRow,
    Fault,
    TargetRow,
    Targets,
    decide_denominators,
    decide_targets,
    decide_withdrawal,
    grow,
    read_denominators,
    read_targets,
)
from ledger.units import UnitTree

R = TypeVar("R", DenominatorRow, TargetRow)


class TargetsRecorded(msgspec.Struct, frozen=True):
    """What was said of targets or denominators, or would be."""

    recorded: int
    """Events."""
    withdrawn: int
    """How many of them withdraw a target."""
    unchanged: int
    """Rows that hold already, exactly so."""
    not_available: tuple[str, ...]
    """Codes of units: whose denominator is set as not available, or who got no part of a target."""
    position: int
    """Of the last event about targets; 0: nothing was recorded yet, or it was only tried."""


class KeepsTargets(LedgerBase):
    """Targets and denominators, all of a file or nothing."""

    def targets(self, *, at: int | None = None) -> Targets:
        """Return all targets and denominators as the ledger has them now.

        Args:
            at: As it had them when it ended at this position.
        """
        known = self._targets
        with translated():
            entries = self.recorder.read_stream(TARGETS_STREAM, after=known.version)
        if entries:
            grown = grow(known, [(entry.position, _target_event(entry)) for entry in entries])
            # As in ``tree``: of threads that race the latest version is kept.
            with self._known_lock:
                if grown.version > self._targets.version:
                    self._targets = grown
        return self._targets if at is None else self._targets.at(at)

    def set_denominators(
        self,
        file: str | Path | Sequence[DenominatorRow],
        *,
        name: str,
        from_day: date,
        source: str,
        actor: str = "local",
        dry_run: bool = False,
        by: Principal | None = None,
    ) -> TargetsRecorded:
        """Say how many people of one kind units have from a day on; all of it or nothing.

        The same again changes nothing; another value for the same day takes the place of the one before.

        Args:
            file: A CSV with the columns code and value, empty where it is not available; or its rows; or the bare name of
                a file that comes with the package (``population_2025_communes.csv``).
            name: Which people: ``eligible``, ``residents``.
            from_day: First business day (Asia/Ho_Chi_Minh) for which it holds. Codes are of that day.
            source: Who says so.
            dry_run: Decide and tell, but record nothing.
            by: Who does it; the ledger's own principal if absent.

        Raises:
            NotPermittedError: They may not set targets of all those units.
            InputError: The file, or one of the texts, cannot be read.
            TargetsRefusedError: Names every offending line.
        """
        keeper = self.asking(by, Right.KEEP)
        check_day("from", from_day)
        rows, faults = _rows(file, read_denominators)

        def decide(tree: UnitTree, targets: Targets) -> Sequence[TargetEvent]:
            return decide_denominators(
                tree, targets, rows, faults, name=name, from_day=from_day, source=source, actor=actor
            )

        lacking = tuple(row.unit for row in rows if row.value is None)
        return self._record_targets(decide, len(rows), lacking, keeper, dry_run=dry_run)

    def set_targets(
        self,
        file: str | Path | Sequence[TargetRow],
        *,
        issuer: str,
        basis: str = "",
        actor: str = "local",
        replace: bool = False,
        dry_run: bool = False,
        by: Principal | None = None,
    ) -> TargetsRecorded:
        """Set targets of units; all of them or none. The same again changes nothing.

        Args:
            file: A CSV with the columns unit, measure, level, number, percent, denominator, from, deadline; or its rows.
                Codes are of the day from.
            issuer: Who wants it.
            basis: The paper that says so.
            replace: Withdraw, in the same commit, what this issuer has set for the same units, measures, levels and
                times; without it, that refuses the file.
            dry_run: Decide and tell, but record nothing.
            by: Who does it; the ledger's own principal if absent.

        Raises:
            NotPermittedError: They may not set targets of all those units.
            InputError: The file, or one of the texts, cannot be read.
            TargetsRefusedError: Names every offending line.
        """
        keeper = self.asking(by, Right.KEEP)
        rows, faults = _rows(file, read_targets)

        def decide(tree: UnitTree, targets: Targets) -> Sequence[TargetEvent]:
            return decide_targets(
                tree,
                targets,
                rows,
                faults,
                issuer=issuer,
                basis=basis,
                actor=actor,
                new_id=self._new_id,
                replace=replace,
            )

        return self._record_targets(decide, len(rows), (), keeper, dry_run=dry_run)

    def withdraw_targets(
        self,
        ids: Sequence[UUID],
        *,
        reason: str,
        parts: bool = False,
        actor: str = "local",
        dry_run: bool = False,
        by: Principal | None = None,
    ) -> TargetsRecorded:
        """Take targets back, all of them or none.

        Args:
            parts: Take back what was cascaded from them as well.
            dry_run: Decide and tell, but record nothing.
            by: Who does it; the ledger's own principal if absent.

        Raises:
            NotPermittedError: They may not set targets of all those units.
            InputError: There is no reason.
            TargetsRefusedError: Names every id that is none, or was taken back before.
        """

        def decide(_tree: UnitTree, targets: Targets) -> Sequence[TargetEvent]:
            return decide_withdrawal(targets, ids, reason=reason, actor=actor, parts=parts)

        keeper = self.asking(by, Right.KEEP)
        return self._record_targets(decide, 0, (), keeper, dry_run=dry_run)

    def _record_targets(
        self,
        decide: Callable[[UnitTree, Targets], Sequence[TargetEvent]],
        rows: int,
        lacking: tuple[str, ...],
        keeper: Principal,
        *,
        dry_run: bool,
    ) -> TargetsRecorded:
        """Record what is decided on the newest tree and targets."""
        for _ in range(ATTEMPTS_MAX):
            tree, targets = self.tree(), self.targets()
            events = decide(tree, targets)
            check_targets(keeper, events, targets, self.reach(tree))
            withdrawn = sum(isinstance(event, TargetWithdrawn) for event in events)
            told = TargetsRecorded(
                len(events), withdrawn, max(0, rows - len(events) + withdrawn), lacking, position=0
            )
            if dry_run:
                return told
            if not events:
                return msgspec.structs.replace(told, position=targets.position)
            appended = self.recorder.append_after(
                TARGETS_STREAM, targets.version, events, units_seen=tree.version
            )
            if appended is not None:
                return msgspec.structs.replace(told, position=appended[0] + len(events) - 1)
        raise ContentionError(
            f"others kept setting targets, or changing units, first, {ATTEMPTS_MAX} times; nothing was recorded"
        )


def _target_event(entry: Recorded) -> TargetEvent:
    assert isinstance(entry.event, TargetEvent), entry.position
    return entry.event


def _rows(
    file: str | Path | Sequence[R], read: Callable[[str], tuple[list[R], list[Fault]]]
) -> tuple[Sequence[R], Sequence[Fault]]:
    return read(read_source(file)) if isinstance(file, str | Path) else (file, ())
