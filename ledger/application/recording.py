"""Reports in, receipts out."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from eventsourcing.persistence import IntegrityError, PersistenceError

from ledger.access import Principal
from ledger.access.reporting import part_reporting, reports_anything
from ledger.application.base import LedgerBase
from ledger.checks import check
from ledger.commands import AnyCommand
from ledger.errors import (
    ContentionError,
    KeyFileInvalidError,
    LedgerError,
    NotRecordedError,
    ReadNotRecordedError,
)
from ledger.reads import LOCAL_WORK, REPORTING, Looked
from ledger.recording import Desk, Receipt, Refusal, Wish
from ledger.store import ATTEMPTS_MAX, KEY_RETIRED, UNITS_CHANGED, sqlstate_of, translated
from ledger.units import UnitTree


class RecordsReports(LedgerBase):
    """Reports, decided together and recorded in one commit.

    What is told of a dossier without being recorded as its event is a look: it is in the second log before it is told.
    """

    def record(self, command: AnyCommand, *, by: Principal | None = None) -> Receipt:
        """Record one report and return its receipt once it is durable.

        Args:
            by: Who reports it; the ledger's own principal if absent.

        Raises:
            LedgerError: Refused; nothing was recorded.
            UnavailableError: Not known whether it was recorded; send it again with the same key.
        """
        [outcome] = self.record_many([command], by=by)
        if isinstance(outcome, Refusal):
            raise outcome.error
        return outcome

    def record_many(
        self,
        commands: Sequence[AnyCommand],
        *,
        atomic: bool = False,
        dry_run: bool = False,
        spoilt: bool = False,
        by: Principal | Sequence[Principal] | None = None,
    ) -> list[Receipt | Refusal]:
        """Record reports in one commit; return a receipt or a refusal for each, in their order.

        A report is decided after those before it, as if each were recorded alone; only where
        reports of one dossier share one instant does their order not matter.

        Args:
            atomic: One refusal refuses all: the others are answered ``not_recorded``.
            dry_run: Decide and answer, but record nothing; receipts of reports that would
                be recorded have position 0.
            spoilt: Of an atomic batch something was refused already, before it got here.
            by: Who reports: one principal for all, or for each report its own; the ledger's own if absent. What they
                may not report is refused: ``not_permitted``.

        Of a dossier that the ledger has, a refusal for what it holds is answered once the second log says who is told,
        in one commit for the batch and one event for each dossier and principal; so is every answer to a batch of which
        nothing is recorded. If that cannot be recorded, those alone are refused with ReadNotRecordedError.

        Raises:
            UnavailableError: Not known whether anything was recorded; repeat all of it.
        """
        now = self._now()
        outcomes: dict[int, Receipt | Refusal] = {}
        wishes = []
        asked = self.principal if by is None else by
        reporters = _reporters(asked, len(commands))
        for index, command in enumerate(commands):
            try:
                check(command, now=now, reasons=self.policy.reasons)
            except LedgerError as refusal:
                outcomes[index] = Refusal(refusal)
            else:
                lookup = self._identities.lookup(command.citizen)
                wishes.append(Wish(index, command, lookup, reporters[index]))
        with translated():
            desk, tree, recorded = self._record(
                wishes, outcomes, now, atomic=atomic, dry_run=dry_run or spoilt
            )
        self._record_looks(desk, tree, asked, outcomes, recorded=recorded)
        if atomic and (spoilt or any(isinstance(outcome, Refusal) for outcome in outcomes.values())):
            _refuse_rest(outcomes)
        return [outcomes[index] for index in range(len(commands))]

    def _record(
        self,
        wishes: list[Wish],
        outcomes: dict[int, Receipt | Refusal],
        now: datetime,
        *,
        atomic: bool,
        dry_run: bool,
    ) -> tuple[Desk, UnitTree, bool]:
        """Return by which desk and tree all was decided, and whether the batch was recorded."""
        desk = Desk(wishes, self._identities, self.policy, self._new_id, self.reach)
        # Nothing compares the tree of a dry run with the log's, as append does.
        tree = self.tree() if dry_run else self._tree
        desk.load(self.recorder.read_batch(desk.files))
        desk.decide(desk.files.values(), tree)
        for _ in range(ATTEMPTS_MAX):
            if desk.unit_refused() and self.recorder.head().units_version != tree.version:
                tree = self.tree()
                desk.decide(desk.files.values(), tree)
            batch = desk.batch(tree)
            if batch is None or dry_run or (atomic and (outcomes or any(desk.refusals()))):
                outcomes.update(desk.outcomes(0, now))
                return desk, tree, False
            try:
                first, recorded_at = self.recorder.append(batch)
            except IntegrityError as error:
                if sqlstate_of(error) == KEY_RETIRED:
                    retired = min(key[0] for key in batch.citizen_keys)
                    self._identities.look_again()
                    if self._identities.newest == retired:
                        raise KeyFileInvalidError(
                            f"wrapping key {retired}, the newest of this key file, was retired; use the current key file"
                        ) from None
                    desk.decide(desk.files.values(), tree)
                    continue
                # Somebody else wrote some of these dossiers first: those alone are decided again.
                desk.decide(desk.load(self.recorder.read_batch(desk.files)), tree)
            except PersistenceError as error:
                if sqlstate_of(error) != UNITS_CHANGED:
                    raise
                tree = self.tree()
                desk.decide(desk.files.values(), tree)
            else:
                outcomes.update(desk.outcomes(first, recorded_at))
                return desk, tree, True
        raise ContentionError(
            f"others kept writing the same dossiers or units first, {ATTEMPTS_MAX} times; nothing was recorded"
        )

    def _record_looks(
        self,
        desk: Desk,
        tree: UnitTree,
        asked: Principal | Sequence[Principal],
        outcomes: dict[int, Receipt | Refusal],
        *,
        recorded: bool,
    ) -> None:
        """Record who is about to be told of which dossiers by their outcomes; where that fails, they are told nothing."""
        looks: dict[tuple[UUID, str, str], Looked] = {}
        told: list[int] = []
        for dossier_id, dossier, wish in desk.telling(recorded=recorded):
            by = asked if isinstance(asked, Principal) else asked[wish.index]
            told.append(wish.index)
            if (dossier_id, by.kind, by.name) not in looks:
                looks[dossier_id, by.kind, by.name] = Looked(
                    what="refusal",
                    who=by.name,
                    kind=by.kind,
                    unit_id=part_reporting(by, wish.command, dossier, self.reach(tree)),
                    purpose=(LOCAL_WORK if by.kind == "local" else REPORTING).code,
                )
        try:
            self.reads.append([dossier_id for dossier_id, _, _ in looks], list(looks.values()))
        except ReadNotRecordedError as error:
            outcomes.update((index, Refusal(error)) for index in told)


def _reporters(by: Principal | Sequence[Principal], reports: int) -> Sequence[Principal | None]:
    """Return for each report who has to be asked for the right to it; None: somebody who may report anything."""
    if isinstance(by, Principal):
        return [None if reports_anything(by) else by] * reports
    assert len(by) == reports, "one for each report"
    # Most are of few principals, whose roles are looked at once.
    free: dict[int, bool] = {}
    for one in by:
        if id(one) not in free:
            free[id(one)] = reports_anything(one)
    return [None if free[id(one)] else one for one in by]


def _refuse_rest(outcomes: dict[int, Receipt | Refusal]) -> None:
    error = NotRecordedError("nothing was recorded, because other reports of this batch were refused")
    for index, outcome in outcomes.items():
        if isinstance(outcome, Receipt) and outcome.position == 0:
            outcomes[index] = Refusal(error)
