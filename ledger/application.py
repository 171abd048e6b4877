"""The ledger: the only way to record anything."""

import threading
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from uuid import UUID

import msgspec
import uuid_utils.compat
from eventsourcing.persistence import IntegrityError, PersistenceError

from ledger import database as databases
from ledger.access import LOCAL, Grant, Keys, Principal, Reach, Right, Role
from ledger.access.asking import WORDS, check_everything, check_right, check_unit, is_masked, told_parts
from ledger.access.keeping import check_targets, check_units
from ledger.access.keys import Key
from ledger.access.reporting import part_reached, reaches_dossier, reports_anything
from ledger.business_time import business_day
from ledger.checks import check, check_citizen, check_holds_not, check_text, may_hold_number
from ledger.commands import AnyCommand
from ledger.database import Database
from ledger.embedded import default_home
from ledger.erasing import Erased, erase
from ledger.errors import (
    CitizenUnknownError,
    ContentionError,
    DossierUnknownError,
    ErasedError,
    FieldInvalidError,
    FileInvalidError,
    InputError,
    KeyFileInvalidError,
    KeyFileWrongError,
    LedgerError,
    NotPermittedError,
    NotRecordedError,
    NotUtf8Error,
    ReportUnknownError,
)
from ledger.events import CitizenErased, Recorded, dossier_events, topic_of
from ledger.frozen_events import REPORTS_STREAM, ReportFrozen
from ledger.frozen_reports import FrozenReport, check_report, decide_freeze
from ledger.history import DossierState, History, read_history, state_of
from ledger.identities import KEY_FILE_NAME, Identities, Sealed, read_key_file
from ledger.key_events import KEYS_STREAM
from ledger.key_files import create_key_file
from ledger.key_ring import DAYS, DAYS_MAX, KeyMade, KeyRing
from ledger.migrations import LOGS, Component, become, check_migrated, connect, migrate
from ledger.reads import EmbargoLifted, EmbargoPlaced, Looks, Purpose, Reads, What, read_purposes
from ledger.reads.telling import decide_lift, decide_place, tell_looks
from ledger.reasons import read_reasons
from ledger.recording import DEFAULT_POLICY, Desk, Policy, Receipt, Refusal, Wish
from ledger.store import (
    KEY_RETIRED,
    UNITS_CHANGED,
    Batch,
    Head,
    LedgerDatastore,
    LedgerRecorder,
    encode,
    sqlstate_of,
    translated,
)
from ledger.target_events import TARGETS_STREAM, TargetEvent, TargetWithdrawn
from ledger.targets import (
    Cascade,
    DenominatorRow,
    Fault,
    TargetRow,
    Targets,
    cascade,
    decide_denominators,
    decide_targets,
    decide_withdrawal,
    read_denominators,
    read_targets,
)
from ledger.targets import grow as grow_targets
from ledger.unit_events import UNITS_STREAM, UnitEvent, UnitOpened
from ledger.units import (
    MergeRow,
    Plan,
    Unit,
    UnitRow,
    UnitTree,
    decide_open,
    fit,
    grow,
    read_merge_rows,
    read_unit_rows,
    read_units,
)
from ledger.units.commands import AnyUnitsCommand, Reorganise, decide_units

T = TypeVar("T")
E = TypeVar("E", bound=UnitEvent)
R = TypeVar("R", DenominatorRow, TargetRow)

SETTLED_SECONDS = 10
"""Nobody records for so long: what is known as of a time before that stays so."""
_BEFORE = datetime(1970, 1, 1, tzinfo=UTC)

_NO_DOSSIER = UUID(int=0)

ATTEMPTS_MAX = 50
"""How often a batch is decided again because others wrote its dossiers, or the units, first."""


def utc_now() -> datetime:
    return datetime.now(UTC)


class Moment(msgspec.Struct, frozen=True):
    """What the ledger knew, up to a position."""

    position: int
    """0: nothing."""
    recorded_at: datetime
    """When the event at that position was recorded, UTC; 1970 for nothing."""


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


class Opening(msgspec.Struct, frozen=True):
    """How a ledger was opened, so that another process can open the same."""

    url: str | None
    home: Path
    schema: str
    key_file: Path | None
    policy: Policy = DEFAULT_POLICY
    principal: Principal = LOCAL
    """For whom it does what is asked of it, where nobody else is named."""

    def __repr__(self) -> str:
        # The default would print the URL, which may hold a password.
        return f"Opening(home={str(self.home)!r}, schema={self.schema!r})"

    def open(self) -> "Ledger":
        """As ``open_ledger`` does, and with its errors."""
        return _open(self, utc_now)


class Ledger:
    """Commands in, receipts out; safe to share between threads.

    A refused command records nothing. After an UnavailableError it is not known
    whether anything was recorded; repeating the same commands is always safe.
    """

    def __init__(
        self,
        database: Database,
        identities: Identities,
        *,
        policy: Policy = DEFAULT_POLICY,
        now: Callable[[], datetime] = utc_now,
        new_id: Callable[[], UUID] = uuid_utils.compat.uuid7,
        opening: Opening | None = None,
        principal: Principal = LOCAL,
    ) -> None:
        """Connect nothing yet; ``open_ledger`` checks the database and the key file first.

        Args:
            policy: The reasons that reports may name, whether corrections need four eyes, and what anybody may look for.
            now: The clock that says what is in the future, with an offset.
            new_id: Ids of new dossiers and units. Time-ordered ones keep an index's hot end
                small: random ids cost 30 % of the speed at six million events.
            opening: How ``open_ledger`` opened it.
            principal: For whom it does what is asked of it, where nobody else is named.
        """
        self.database = database
        self.policy = policy
        self.principal = principal
        """For whom it does what is asked of it, where nobody else is named."""
        self.opening = opening
        """How another process can open it; None for one that was given its parts by hand, a clock say."""
        self.recorder = LedgerRecorder(LedgerDatastore(database.as_writer(), schema=database.schema))
        """eventsourcing's interface to the log: for its followers, repositories and notification logs."""
        self.reads = Reads(database)
        """The second log: nothing of a dossier is told before it says who looks."""
        self._identities = identities
        self._now = now
        self._new_id = new_id
        self._tree = UnitTree()
        self._reach = Reach(self._tree)
        self._tree_lock = threading.Lock()
        self._targets = Targets()
        self._key_ring = KeyRing(self.recorder, self.tree, policy.key_days_max)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connections. An embedded server goes on; ``ledger stop`` ends it."""
        self.recorder.datastore.close()
        self.reads.close()

    def check_key(self, key_path: Path) -> None:
        """Raise KeyFileWrongError unless the key file is this ledger's; the first one becomes its own."""
        check = self._identities.check()
        with translated():
            if self.recorder.claim_key(check) != check:
                raise KeyFileWrongError(
                    f"the key file {key_path} is not the one of {self.database.describe()}: with it every citizen "
                    "would get a second dossier; name the right one with LEDGER_KEY_FILE or --key-file"
                )

    def asking(self, by: Principal | None, *rights: Right) -> Principal:
        """Return for whom something is asked: *by*, or the ledger's own principal where that is None.

        Raises:
            NotPermittedError: They hold none of the rights over any part of the tree.
        """
        found = self.principal if by is None else by
        check_right(found, *rights)
        return found

    def check_asked(
        self, by: Principal, right: Right, unit: Unit | None, day: date, tree: UnitTree | None = None
    ) -> None:
        """Raise NotPermittedError unless somebody holds a right over a unit of a day's tree; None: the whole ledger."""
        check_unit(by, right, self.reach(tree or self.tree()), unit, day)

    def reach(self, tree: UnitTree) -> Reach:
        """Return what counts under which units, by a version of the tree."""
        known = self._reach
        if known.tree is not tree:
            self._reach = known = Reach(tree)
        return known

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

        Raises:
            UnavailableError: Not known whether anything was recorded; repeat all of it.
        """
        now = self._now()
        outcomes: dict[int, Receipt | Refusal] = {}
        wishes = []
        reporters = _reporters(self.principal if by is None else by, len(commands))
        for index, command in enumerate(commands):
            try:
                check(command, now=now, reasons=self.policy.reasons)
            except LedgerError as refusal:
                outcomes[index] = Refusal(refusal)
            else:
                lookup = self._identities.lookup(command.citizen)
                wishes.append(Wish(index, command, lookup, reporters[index]))
        with translated():
            self._record(wishes, outcomes, now, atomic=atomic, dry_run=dry_run or spoilt)
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
    ) -> None:
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
                return
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
                return
        raise ContentionError(
            f"others kept writing the same dossiers or units first, {ATTEMPTS_MAX} times; nothing was recorded"
        )

    def find(self, citizen: str, *, by: Principal | None = None, purpose: Purpose | None = None) -> UUID:
        """Return the dossier of a citizen, given by the 12-digit number; that somebody looks is recorded first.

        Of a citizen who has no dossier nothing can be recorded.

        Args:
            by: Who asks; the ledger's own principal if absent.
            purpose: What for; at the ledger's own machine it is ``local`` if absent.

        Raises:
            NotPermittedError: They may not read it. Whoever may read only some dossiers is told no more of one that
                there is not.
            CitizenInvalidError: Not 12 digits.
            CitizenUnknownError: The ledger has no dossier of that citizen.
            PurposeNeededError, PurposeUnknownError, InputError: They do not say what for, or may not look for that.
            ReadNotRecordedError: It could not be recorded who looks.
        """
        by, purpose = self._looking(by, Right.HISTORY, purpose)
        dossier_id = self._find(citizen, by, purpose)
        entries = [] if None in by.parts(Right.HISTORY) else self._entries(dossier_id, by, Right.HISTORY)
        self._record_look(dossier_id, entries, "lookup", by, Right.HISTORY, purpose)
        return dossier_id

    def _find(self, citizen: str, by: Principal, purpose: Purpose) -> UUID:
        check_citizen(citizen)
        check_holds_not("purpose_text", purpose.text, citizen)
        with translated():
            dossier_id = self.recorder.find(self._identities.lookup(citizen))
        if None not in by.parts(Right.HISTORY):
            self._entries(dossier_id or _NO_DOSSIER, by, Right.HISTORY)
        if dossier_id is None:
            raise CitizenUnknownError
        return dossier_id

    def dossier(
        self, dossier_id: UUID, *, by: Principal | None = None, purpose: Purpose | None = None
    ) -> DossierState:
        """Return where each level of a dossier stands; that somebody looks is recorded first.

        Args:
            by: Who asks; the ledger's own principal if absent.
            purpose: What for; at the ledger's own machine it is ``local`` if absent.

        Raises:
            NotPermittedError: As ``find`` does, and all that it says of purposes and looks.
            DossierUnknownError: There is none.
        """
        by, purpose = self._looking(by, Right.HISTORY, purpose)
        entries = self._entries(dossier_id, by, Right.HISTORY)
        state = state_of(dossier_id, entries, self.tree())
        self._record_look(dossier_id, entries, "state", by, Right.HISTORY, purpose)
        return state

    def history(
        self,
        *,
        citizen: str | None = None,
        dossier_id: UUID | None = None,
        after: int = 0,
        limit: int | None = None,
        by: Principal | None = None,
        purpose: Purpose | None = None,
    ) -> History:
        """Return one dossier's audit trail: every event, oldest first, and where the levels stand.

        That somebody looks is recorded first.

        Args:
            citizen: The 12-digit number; or
            dossier_id: the dossier's id.
            after: Only events with greater versions.
            limit: At most so many of them.
            by: Who asks; the ledger's own principal if absent.
            purpose: What for; at the ledger's own machine it is ``local`` if absent.

        Raises:
            NotPermittedError: As ``find`` does, and all that it says of purposes and looks.
            NotFoundError: No such citizen or dossier.
            CitizenInvalidError: Not 12 digits.
        """
        if (citizen is None) == (dossier_id is None):
            raise TypeError("name a citizen or a dossier_id, one of them")
        by, purpose = self._looking(by, Right.HISTORY, purpose)
        found = self._find(citizen, by, purpose) if citizen is not None else dossier_id
        assert found is not None
        entries = self._entries(found, by, Right.HISTORY)
        with translated():
            key = self.recorder.key_of(found)
        history = read_history(
            found,
            entries,
            self.tree(),
            open_note=lambda note: self._identities.open_note(note, key, found) if key else None,
            after=after,
            limit=limit,
        )
        self._record_look(found, entries, "history", by, Right.HISTORY, purpose)
        return history

    def looks(
        self,
        dossier_id: UUID,
        *,
        after: int = 0,
        limit: int | None = None,
        by: Principal | None = None,
        purpose: Purpose | None = None,
    ) -> Looks:
        """Return who has looked at a dossier, oldest first; that somebody asks is recorded first, and told too.

        What an embargo keeps back is told to those alone who may lay one.

        Args:
            after: Only what has a greater position in the log of looks.
            limit: At most so many lines.
            by: Who asks; the ledger's own principal if absent.
            purpose: What for; at the ledger's own machine it is ``local`` if absent.

        Raises:
            NotPermittedError: They may not see it.
            DossierUnknownError: There is none.
            PurposeNeededError, PurposeUnknownError, InputError: They do not say what for, or may not look for that.
            ReadNotRecordedError: It could not be recorded who looks.
        """
        by, purpose = self._looking(by, Right.READS, purpose)
        entries = self._entries(dossier_id, by, Right.READS)
        self._record_look(dossier_id, entries, "reads", by, Right.READS, purpose)
        tree, today = self.tree(), self.today()
        return tell_looks(
            dossier_id,
            self.reads.of(dossier_id),
            tree,
            today,
            everything=reaches_dossier(
                by, Right.OPERATE, dossier_events(entries)[0], today, self.reach(tree)
            ),
            after=after,
            limit=limit,
        )

    def place_embargo(self, dossier_id: UUID, *, until: date, text: str, by: Principal | None = None) -> None:
        """Keep back who looked at a dossier for an investigation, until a day has passed; say why.

        It takes the place of one that lasts.

        Args:
            until: Its last business day (Asia/Ho_Chi_Minh).
            by: Who lays it; the ledger's own principal if absent.

        Raises:
            NotPermittedError: They may not.
            DossierUnknownError: There is none.
            InputError: The day is past or too far ahead; the text is none, or cannot be one.
            ReadNotRecordedError: Not known whether it was laid; repeat it.
        """
        by = self.asking(by, Right.OPERATE)
        check_text("purpose_text", text)
        decide_place(until, self.today())
        self._entries(dossier_id, by, Right.OPERATE)
        self._check_purpose_text(text, dossier_id)
        self.reads.append([dossier_id], [EmbargoPlaced(until=until, who=by.name, kind=by.kind, text=text)])

    def lift_embargo(self, dossier_id: UUID, *, text: str, by: Principal | None = None) -> None:
        """End an embargo before its day; say why.

        Args:
            by: Who lifts it; the ledger's own principal if absent.

        Raises:
            NotPermittedError: They may not.
            DossierUnknownError: There is none.
            NoEmbargoError: It is under none.
            InputError: The text is none, or cannot be one.
            ReadNotRecordedError: Not known whether it was lifted; repeat it.
        """
        by = self.asking(by, Right.OPERATE)
        check_text("purpose_text", text)
        self._entries(dossier_id, by, Right.OPERATE)
        self._check_purpose_text(text, dossier_id)
        decide_lift(self.reads.of(dossier_id), dossier_id, self.today())
        self.reads.append([dossier_id], [EmbargoLifted(who=by.name, kind=by.kind, text=text)])

    def _looking(
        self, by: Principal | None, right: Right, purpose: Purpose | None
    ) -> tuple[Principal, Purpose]:
        by = self.asking(by, right)
        return by, self.policy.purposes.check(purpose, by)

    def _record_look(
        self,
        dossier_id: UUID,
        entries: Sequence[Recorded],
        what: What,
        by: Principal,
        right: Right,
        purpose: Purpose,
    ) -> None:
        """Record that somebody is about to be told of a dossier that a right of theirs reaches."""
        self._check_purpose_text(purpose.text, dossier_id)
        part = part_reached(by, right, dossier_events(entries)[0], self.today(), self.reach(self.tree()))
        self.reads.record({dossier_id: part}, what, by=by, purpose=purpose)

    def reveal(self, dossier_id: UUID, *, by: Principal | None = None, purpose: Purpose | None = None) -> str:
        """Return the personal number of a dossier's citizen, 12 digits; that somebody looks is recorded first.

        Args:
            by: Who asks; the ledger's own principal if absent.
            purpose: What for; at the ledger's own machine it is ``local`` if absent.

        Raises:
            NotPermittedError: They may not see it.
            PurposeNeededError, PurposeUnknownError, InputError: They do not say what for, or may not look for that.
            ReadNotRecordedError: It could not be recorded who looks.
            DossierUnknownError: There is no such dossier.
            ErasedError: Its citizen was erased.
            KeyFileError: The key file does not open it.
        """
        by, purpose = self._looking(by, Right.REVEAL, purpose)
        entries = self._entries(dossier_id, by, Right.REVEAL)
        number = self._number_of(entries)
        self._record_look(dossier_id, entries, "number", by, Right.REVEAL, purpose)
        return number

    def _number_of(self, entries: Sequence[Recorded]) -> str:
        """Return the number of the citizen of a dossier's entries; raise ErasedError where there is none any more."""
        dossier_id = entries[0].originator_id
        number = self._number(dossier_id)
        if number is None:
            raise ErasedError(f"dossier {dossier_id} is nobody's: its citizen was erased")
        return number

    def _number(self, dossier_id: UUID) -> str | None:
        with translated():
            sealed = self.recorder.sealed_of(dossier_id)
        if sealed is None:
            return None
        number, key = sealed
        return self._identities.reveal(Sealed(number, key), dossier_id)

    def _check_purpose_text(self, text: str, dossier_id: UUID) -> None:
        """Raise PersonalNumberError if a text, which is recorded of a dossier, holds its citizen's number in any spelling."""
        number = self._number(dossier_id) if may_hold_number(text) else None
        if number is not None:
            check_holds_not("purpose_text", text, number)

    def erase(
        self,
        dossier_id: UUID,
        *,
        reason: str,
        basis: str = "",
        actor: str = "local",
        by: Principal | None = None,
    ) -> Erased:
        """Erase a dossier's citizen, for good: nobody finds the dossier by the number, or the number by the dossier.

        Its events, what they count and what they prove stay; its notes open no more. The number, reported again, begins
        another dossier. It takes the operator's login to the database, which this opens for itself.

        Args:
            reason: Why; it stands in the log for good, and holds no personal number.
            basis: The decree or decision that it rests on.
            by: Who erases; the ledger's own principal if absent.

        Raises:
            NotPermittedError: They may not operate the ledger.
            InputError: The reason or the basis cannot be one.
            DossierUnknownError: There is no such dossier.
            ErasedError: It was done before; nothing was recorded.
            UnavailableError: The database cannot be reached, or the login is no operator's. Where the connection was
                lost it is not known whether it was done; ``history`` tells.
        """
        by = self.asking(by, Right.OPERATE)
        check_text("reason", reason)
        if basis:
            check_text("basis", basis)
        check_text("actor", actor)
        citizen = self._number_of(self._entries(dossier_id, by, Right.OPERATE))
        for name, text in (("reason", reason), ("basis", basis), ("actor", actor)):
            check_holds_not(name, text, citizen)
        for _ in range(ATTEMPTS_MAX):
            version = self._entries(dossier_id, by, Right.OPERATE)[-1].originator_version
            event = CitizenErased(
                occurred_at=self._now().astimezone(UTC), actor=actor, reason=reason, basis=basis
            )
            erased = erase(self.database, dossier_id, version + 1, event)
            if erased is not None:
                return erased
        raise ContentionError(
            f"others kept writing this dossier first, {ATTEMPTS_MAX} times; nothing was recorded"
        )

    def _entries(self, dossier_id: UUID, by: Principal, right: Right) -> list[Recorded]:
        """Return all of a dossier to whoever holds a right over a unit at which something of it counts today."""
        with translated():
            nobody = dossier_id in (UNITS_STREAM, TARGETS_STREAM, REPORTS_STREAM, KEYS_STREAM)
            entries = [] if nobody else self.recorder.read_stream(dossier_id)
        if None not in by.parts(right):
            tree, today = self.tree(), self.today()
            events, _ = dossier_events(entries)
            if not reaches_dossier(by, right, events, today, self.reach(tree)):
                raise NotPermittedError(
                    f"you may {WORDS[right]} of {told_parts(by, right, tree, today)}: no such dossier has anything that "
                    "counts there"
                )
        if not entries:
            raise DossierUnknownError(dossier_id)
        return entries

    def head(self) -> Head:
        """Return the end of the log: position, time, and version of the units."""
        with translated():
            return self.recorder.head()

    def at(self, *, position: int | None = None, known_at: datetime | None = None) -> Moment:
        """Return the last position that the ledger knew at a time, or the time of a position.

        Raises:
            FieldInvalidError: The ledger does not have the position yet; the time has no offset, or is not past
                for some seconds: what was being recorded then could still become known as of it.
        """
        head = self.head()
        if position is not None:
            if not 0 <= position <= head.position:
                raise FieldInvalidError("position", f"the ledger ends at position {head.position}")
            with translated():
                recorded_at = self.recorder.recorded_at(position)
            return Moment(position, recorded_at or _BEFORE)
        assert known_at is not None
        if known_at.utcoffset() is None:
            raise FieldInvalidError("known_at", "it needs an offset, as 2024-12-09T23:00:00+07:00")
        if known_at > self._now() - timedelta(seconds=SETTLED_SECONDS):
            raise FieldInvalidError(
                "known_at",
                f"it must be {SETTLED_SECONDS} s ago at least; what was being recorded then is known then",
            )
        known, unknown = Moment(0, _BEFORE), head.position + 1
        with translated():
            while unknown - known.position > 1:
                # Positions and times rise together.
                middle = (known.position + unknown) // 2
                recorded_at = self.recorder.recorded_at(middle)
                assert recorded_at is not None, middle
                if recorded_at <= known_at:
                    known = Moment(middle, recorded_at)
                else:
                    unknown = middle
        return known

    def read(self, *, after: int = 0, limit: int = 1000, by: Principal | None = None) -> list[Recorded]:
        """Return the log in order: at most *limit* events with positions greater than *after*.

        Positions have no gaps and never appear out of order, so a reader that asks
        with the last position it saw misses nothing.

        Args:
            by: Who reads; the ledger's own principal if absent.

        Raises:
            NotPermittedError: They may not follow the whole ledger.
        """
        self.check_following(by)
        with translated():
            return self.recorder.read(after=after, limit=limit)

    def check_following(self, by: Principal | None) -> None:
        """Raise NotPermittedError unless somebody, or the ledger's own principal, may read the whole log."""
        check_everything(self.asking(by, Right.FOLLOW), Right.FOLLOW, self._tree, self.today())

    def check_operating(self, by: Principal | None) -> None:
        """Raise NotPermittedError unless somebody, or the ledger's own principal, operates the whole ledger."""
        check_everything(self.asking(by, Right.OPERATE), Right.OPERATE, self._tree, self.today())

    def tree(self) -> UnitTree:
        """Return all units as the ledger has them now."""
        known = self._tree
        with translated():
            entries = self.recorder.read_stream(UNITS_STREAM, after=known.version)
        if not entries:
            return known
        # Threads may race here, so each grows the tree that it read on from; the latest version is kept.
        grown = grow(known, [(entry.position, _unit_event(entry)) for entry in entries])
        with self._tree_lock:
            self._tree = max(self._tree, grown, key=_version)
            return self._tree

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

    def now(self) -> datetime:
        """Return what the ledger's clock says, with an offset."""
        return self._now()

    def today(self) -> date:
        """Return the business day (Asia/Ho_Chi_Minh) of the ledger's clock."""
        return business_day(self._now())

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
        if decree is not None:
            check_text("decree", decree)
        rows = read_units(_read_text(source))

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
        rows: list[UnitRow] | None = _read_rows("tree", tree, read_unit_rows, faults)
        merges: list[MergeRow] | None = _read_rows("map", map, read_merge_rows, faults)
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
            try:
                with translated():
                    first, _ = self.recorder.append(_units_batch(tree, events))
            except PersistenceError as error:
                if not isinstance(error, IntegrityError) and sqlstate_of(error) != UNITS_CHANGED:
                    raise
                continue  # Another keeper was first; decide again on what they made.
            self.tree()
            return events, first + len(events) - 1
        raise ContentionError(
            f"others kept changing the units first, {ATTEMPTS_MAX} times; nothing was recorded"
        )

    def targets(self, *, at: int | None = None) -> Targets:
        """Return all targets and denominators as the ledger has them now.

        Args:
            at: As it had them when it ended at this position.
        """
        known = self._targets
        with translated():
            entries = self.recorder.read_stream(TARGETS_STREAM, after=known.version)
        if entries:
            grown = grow_targets(known, [(entry.position, _target_event(entry)) for entry in entries])
            if grown.version > self._targets.version:
                self._targets = grown
        return self._targets if at is None else self._targets.at(at)

    def reports_for(self, by: Principal | None) -> list[FrozenReport]:
        """Return the frozen reports about units whose totals somebody, or the ledger's own principal, may see.

        Raises:
            NotPermittedError: They may see no totals at all.
        """
        reader = self.asking(by, Right.TOTALS)
        found = []
        for frozen in self.frozen_reports():
            with suppress(NotPermittedError):
                self.check_report_asked(reader, Right.TOTALS, frozen.report)
                found.append(frozen)
        return found

    def frozen_reports(self) -> list[FrozenReport]:
        """Return every report that was frozen, in that order."""
        with translated():
            entries = self.recorder.read_stream(REPORTS_STREAM)
        return [
            FrozenReport(entry.event, entry.position, entry.recorded_at)
            for entry in entries
            if isinstance(entry.event, ReportFrozen)
        ]

    def frozen_report(self, name: str) -> FrozenReport:
        """Return the report of that name; raise ReportUnknownError if none was frozen."""
        for found in self.frozen_reports():
            if found.report.name == name:
                return found
        raise ReportUnknownError(name)

    def record_frozen(
        self, report: ReportFrozen, *, by: Principal | None = None
    ) -> tuple[FrozenReport, bool]:
        """Record that a report was frozen; return it, and whether it is new: the same again records nothing.

        ``projections.freeze_report`` makes it; nothing here looks whether its hash is that of the totals.

        Args:
            by: Who does it; the ledger's own principal if absent.

        Raises:
            NotPermittedError: They may not freeze reports of its unit.
            InputError: It cannot be called so, or has a position that the ledger does not have.
            ReportNameTakenError: Another one has the name.
            UnavailableError: Not known whether it was recorded; repeat it.
        """
        keeper = self.asking(by, Right.KEEP)
        check_report(report.name, report.title, report.actor)
        self.at(position=report.position)
        self.check_report_asked(keeper, Right.KEEP, report)
        for _ in range(ATTEMPTS_MAX):
            known = self.frozen_reports()
            same = decide_freeze(known, report)
            if same is not None:
                return same, False
            try:
                with translated():
                    position, recorded_at = self.recorder.append(_report_batch(len(known) + 1, report))
            except IntegrityError:
                continue  # Another report was frozen first; it may have the name.
            return FrozenReport(report, position, recorded_at), True
        raise ContentionError(
            f"others kept freezing reports first, {ATTEMPTS_MAX} times; nothing was recorded"
        )

    def keys(self) -> Keys:
        """Return all API keys that ever were made, as the ledger has them now."""
        return self._key_ring.keys()

    def create_key(
        self,
        roles: Sequence[Role],
        *,
        unit: str | None = None,
        name: str = "",
        days: int = DAYS,
        actor: str = "local",
        by: Principal | None = None,
    ) -> KeyMade:
        """Make an API key, for a machine; return it with its text, which nothing tells a second time.

        Args:
            roles: What it is, one or more.
            unit: Code of the unit, today, over which it is that, with everything under it; None: over the whole ledger. It
                is kept as the unit's id, so a later reorganisation gives the key no other unit.
            name: What it is for; one line.
            days: After so many it is no longer taken; at most what the policy allows.
            by: Who makes it; the ledger's own principal if absent.

        Raises:
            NotPermittedError: They do not operate that part of the ledger.
            InputError: There is no role; a text cannot be one; it would last too long.
            UnitError: No unit has the code today.
            UnavailableError: Not known whether it was recorded; if so, nobody has its text.
        """
        operator, tree, today = self.asking(by, Right.OPERATE), self.tree(), self.today()
        scope = None if unit is None else tree.resolve(unit, today)
        self.check_asked(operator, Right.OPERATE, scope, today, tree)
        return self._key_ring.create(roles, unit=unit, name=name, days=days, actor=actor, now=self._now())

    def revoke_key(
        self, key_id: str, *, actor: str = "local", by: Principal | None = None
    ) -> tuple[Key, bool]:
        """Revoke an API key; return it, and whether that is new: once more records nothing.

        Args:
            by: Who revokes it; the ledger's own principal if absent.

        Raises:
            NotPermittedError: They do not operate all that the key gives a role over.
            ApiKeyUnknownError: There is no such key.
            UnavailableError: Not known whether it was recorded; repeat it.
        """
        operator, today = self.asking(by, Right.OPERATE), self.today()
        if None not in operator.parts(Right.OPERATE):
            key, tree = self.keys().by_id.get(key_id), self.tree()
            for grant in key.principal.grants if key else (Grant(Role.OPERATOR),):
                called = None if grant.unit_id is None else tree.called(grant.unit_id, today)
                self.check_asked(operator, Right.OPERATE, called, today, tree)
        return self._key_ring.revoke(key_id, actor=actor)

    def check_report_asked(self, by: Principal, right: Right, report: ReportFrozen) -> bool:
        """Check that somebody holds a right over the unit that a report is about; return whether small counts are masked for them.

        Raises:
            NotPermittedError: Somebody does not hold a right over that unit, on the day of the report.
            UnitError: It is no unit of that day.
        """
        tree = self.tree()
        known = bisect_right(tree.entries, report.position, key=itemgetter(0))
        if known < tree.version:
            tree = grow(UnitTree(), tree.entries[:known])
        asked = report.definition
        day = asked.to_day if asked.hierarchy == "then" else date.fromisoformat(asked.hierarchy)
        unit = None if asked.unit is None else tree.resolve(asked.unit, day)
        self.check_asked(by, right, unit, day, tree)
        return is_masked(by, frozenset() if unit is None else self.reach(tree).above(unit.id, day))

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

    def cascade_target(
        self,
        unit: str,
        *,
        to_level: str,
        denominator: str,
        issuer: str,
        parts_issuer: str | None = None,
        target_id: UUID | None = None,
        basis: str = "",
        actor: str = "local",
        dry_run: bool = False,
        by: Principal | None = None,
    ) -> tuple[Cascade, TargetsRecorded]:
        """Split a unit's target over the units below it, in proportion to a denominator; the parts add up to it.

        Args:
            unit: Its code on the target's first day.
            to_level: commune, say.
            denominator: Its name. Units of which it is not available get no part, and are told.
            issuer: Whose target it is.
            parts_issuer: Whose the parts are; the same if absent.
            target_id: Which target, where the issuer has set several.
            dry_run: Decide and tell, but record nothing.
            by: Who does it; the ledger's own principal if absent.

        Raises:
            NotPermittedError: They may not set targets of the unit.
            InputError: One of the texts cannot be one.
            TargetsRefusedError: There is no such target, nothing to split it by, or a part's unit has a target already.
        """
        cascades: list[Cascade] = []
        keeper = self.asking(by, Right.KEEP)

        def decide(tree: UnitTree, targets: Targets) -> Sequence[TargetEvent]:
            found = cascade(
                tree, targets, unit, to_level=to_level, by=denominator, issuer=issuer, target_id=target_id
            )
            day = found.target.from_day
            self.check_asked(keeper, Right.KEEP, tree.called(found.target.unit_id, day), day, tree)
            cascades.append(found)
            return decide_targets(
                tree,
                targets,
                found.rows,
                issuer=parts_issuer or issuer,
                basis=basis,
                actor=actor,
                new_id=self._new_id,
                part_of=found.target.id,
            )

        recorded = self._record_targets(decide, 0, (), keeper, dry_run=dry_run)
        found = cascades[-1]
        return found, msgspec.structs.replace(
            recorded,
            unchanged=len(found.rows) - recorded.recorded,
            not_available=tuple(one.code for one in found.without),
        )

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
            try:
                with translated():
                    first, _ = self.recorder.append(_targets_batch(tree, targets, events))
            except PersistenceError as error:
                if not isinstance(error, IntegrityError) and sqlstate_of(error) != UNITS_CHANGED:
                    raise
                continue  # Another keeper was first; decide again on what they made.
            return msgspec.structs.replace(told, position=first + len(events) - 1)
        raise ContentionError(
            f"others kept setting targets, or changing units, first, {ATTEMPTS_MAX} times; nothing was recorded"
        )


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


def _units_batch(tree: UnitTree, events: Sequence[UnitEvent]) -> Batch:
    count = len(events)
    return Batch(
        [UNITS_STREAM] * count,
        list(range(tree.version + 1, tree.version + 1 + count)),
        [topic_of(type(event)) for event in events],
        [encode(event) for event in events],
        units_seen=tree.version,
    )


def _targets_batch(tree: UnitTree, targets: Targets, events: Sequence[TargetEvent]) -> Batch:
    count = len(events)
    return Batch(
        [TARGETS_STREAM] * count,
        list(range(targets.version + 1, targets.version + 1 + count)),
        [topic_of(type(event)) for event in events],
        [encode(event) for event in events],
        units_seen=tree.version,
    )


def _report_batch(version: int, report: ReportFrozen) -> Batch:
    return Batch([REPORTS_STREAM], [version], [topic_of(ReportFrozen)], [encode(report)])


def _target_event(entry: Recorded) -> TargetEvent:
    assert isinstance(entry.event, TargetEvent), entry.position
    return entry.event


def _rows(
    file: str | Path | Sequence[R], read: Callable[[str], tuple[list[R], list[Fault]]]
) -> tuple[Sequence[R], Sequence[Fault]]:
    return read(_read_text(file)) if isinstance(file, str | Path) else (file, ())


def _unit_event(entry: Recorded) -> UnitEvent:
    assert isinstance(entry.event, UnitEvent), entry.position
    return entry.event


def _version(tree: UnitTree) -> int:
    return tree.version


def _read_rows(
    what: str, source: str | Path, read: Callable[[str], list[T]], faults: list[str]
) -> list[T] | None:
    """Return the rows of a file, None where it cannot be read: then *faults* has what is wrong with it."""
    try:
        return read(_read_text(source))
    except InputError as error:
        faults += [f"{what}: {fault}" for fault in error.faults or [str(error)]]
        return None


def _read_text(source: str | Path) -> str:
    path = Path(source)
    packaged = files("ledger") / "data" / path.name
    try:
        if not path.exists() and path.name == str(source) and packaged.is_file():
            return packaged.read_text(encoding="utf-8")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise NotUtf8Error(f"{source} is not UTF-8; save it as UTF-8 (in a spreadsheet: CSV UTF-8)") from None
    except OSError as error:
        raise FileInvalidError(f"{source} cannot be read: {error.strerror}") from None


def open_ledger(
    url: str | None = None,
    *,
    home: Path | None = None,
    schema: str = "ledger",
    key_file: Path | None = None,
    reasons_file: Path | None = None,
    four_eyes: bool = False,
    small_counts: int = 5,
    purposes_file: Path | None = None,
    key_days_max: int = DAYS_MAX,
    principal: Principal = LOCAL,
    now: Callable[[], datetime] = utc_now,
) -> Ledger:
    """Open a ledger; use it in a ``with``.

    Without *url* it runs its own PostgreSQL in *home*, starting it if need be (seconds at
    first; longer after a crash), brings the schema up to date and makes a key file. With
    *url* it never changes the database: ``ledger migrate`` does.

    Args:
        url: A PostgreSQL (15 to 18) that is already there.
        home: Where an own PostgreSQL and the key file live; ``~/.local/share/activation-ledger`` if absent.
        schema: The schema that holds the ledger; there may be several in a database.
        key_file: The secret that finds and seals citizens; ``ledger.key`` in *home* if absent.
        reasons_file: The reasons that reports may name, in place of the package's (``ledger/data/reasons.csv``).
        four_eyes: Whether corrections count only once another officer has confirmed them. Corrections that wait
            from before go on waiting, whatever it is.
        small_counts: Counts below it, but 0, are masked where the public sees them.
        purposes_file: What anybody may look at a dossier for, in place of the package's (``ledger/data/purposes.csv``).
        key_days_max: How many days API keys that are made may last.
        principal: For whom it does what is asked of it, where nobody else is named: whoever has the database and the
            key file may do everything.
        now: The clock that says what is in the future.

    Raises:
        UnavailableError: The database cannot be reached, or is not set up for this version.
        KeyFileError: The key file is missing, unreadable, or another ledger's.
        InputError: The list of reasons, or that of purposes, cannot be read.
        ValueError: *url* or *schema* is malformed.
    """
    policy = Policy(
        reasons=read_reasons(reasons_file),
        four_eyes=four_eyes,
        small_counts=small_counts,
        purposes=read_purposes(purposes_file),
        key_days_max=key_days_max,
    )
    # Wherever the program goes from here, and the processes that it starts, these stay what they are.
    home = (home or default_home()).absolute()
    return _open(Opening(url, home, schema, key_file and key_file.absolute(), policy, principal), now)


def _open(opening: Opening, now: Callable[[], datetime]) -> Ledger:
    key_path = opening.key_file or opening.home / KEY_FILE_NAME
    if opening.url is None:
        database = databases.embedded(opening.home, schema=opening.schema)
        migrate_ledger(database, key_path)
    else:
        database = databases.external(opening.url, schema=opening.schema)
    for log in LOGS:
        with connect(log.place(database).as_writer()) as connection:
            check_migrated(connection, database, (log,))
    ledger = Ledger(
        database,
        read_key_file(key_path),
        policy=opening.policy,
        now=now,
        opening=opening if now is utc_now else None,
        principal=opening.principal,
    )
    try:
        ledger.check_key(key_path)
        ledger.tree()
    except BaseException:
        ledger.close()
        raise
    return ledger


def migrate_ledger(database: Database, key_path: Path, components: Sequence[Component] = LOGS) -> list[str]:
    """Bring a database up to date, and make the key file of a ledger that has none yet.

    Returns:
        The names of the migrations applied.
    """
    applied = migrate(database, components)
    with connect(database.as_operator()) as connection:
        become(connection, database.owner)
        [[claimed]] = connection.execute("SELECT EXISTS (SELECT FROM key_check)").fetchall()
    # Once a key file is claimed, a new one would fork every citizen: never make a second.
    if not claimed and not key_path.exists():
        create_key_file(key_path)
    return applied
