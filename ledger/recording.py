"""A batch at work: dossiers loaded by one query, decided in memory, written by one append.

The one place where the parts meet. ``Desk`` is not thread-safe and lives for one batch.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from uuid import UUID

import msgspec

from ledger.access import Principal, Reach
from ledger.access.reporting import check_report
from ledger.business_time import business_day
from ledger.commands import Allocate, AnyCommand, Lock, Reassign
from ledger.decisions import Placing, decide, differences, unit_at
from ledger.dossier import Dossier, counting_at, dossier_of, evolve
from ledger.errors import (
    KeyConflictError,
    LedgerError,
    NothingChangesError,
    NotPermittedError,
    NotSplitError,
    ReadNotRecordedError,
    StateError,
    UnitError,
)
from ledger.events import AnyDossierEvent, Recorded, dossier_event, topic_of
from ledger.identities import Identities, Sealed
from ledger.reads import DEFAULT_PURPOSES, Purposes
from ledger.reasons import DEFAULT_REASONS, Reasons
from ledger.store import Batch, encode
from ledger.units import UnitTree, heirs_of


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """The report is in the ledger, for good."""

    position: int
    """Its event's number in the whole ledger, from 1; pass it as ``after`` when reading."""
    version: int
    """Its event's number within the dossier, from 1."""
    dossier_id: UUID
    recorded_at: datetime
    """When the ledger learnt it, UTC."""
    duplicate: bool
    """True if the same report was recorded before, and this is the answer to a retry."""


class Refusal(msgspec.Struct, frozen=True):
    """The report was refused; nothing was recorded for it."""

    error: LedgerError | ReadNotRecordedError
    """ReadNotRecordedError: why is not told, because it could not be recorded who would be; send the report again."""

    @property
    def code(self) -> str:
        """The stable name of the reason."""
        return self.error.code

    @property
    def detail(self) -> str:
        """A sentence that says what to do; it holds no personal number."""
        return str(self.error)


class Policy(msgspec.Struct, frozen=True):
    """What whoever runs a ledger may settle; every process that records should have the same."""

    reasons: Reasons = DEFAULT_REASONS
    """The reasons that reports may name."""
    four_eyes: bool = False
    """Whether a correction counts only once another officer has confirmed it."""
    key_days_max: int = 365
    """How many days an API key may last."""
    small_counts: int = 5
    """Counts below it, but 0, are masked where the public sees them."""
    purposes: Purposes = DEFAULT_PURPOSES
    """What anybody may look at a dossier for."""


DEFAULT_POLICY = Policy()
MENDABLE = (StateError, NotPermittedError)
"""Refusals that another report of the same dossier may mend: where it was collected decides who may approve it."""


class Wish(msgspec.Struct, frozen=True, gc=False):
    """A checked command and its place in the caller's list."""

    index: int
    command: AnyCommand
    lookup: bytes
    by: Principal | None = None
    """Who reports it, and has to be asked for the right; None: somebody who may report anything."""


class File:
    """One dossier of a batch: what the log has of it, and what the batch adds."""

    __slots__ = ("added", "dossier", "entries", "key", "offsets", "outcomes", "sealed", "stored", "wishes")

    def __init__(self, wish: Wish) -> None:
        self.wishes = [wish]
        self.entries: list[Recorded] = []
        """The dossier's events in the log, oldest first."""
        self.stored = NO_DOSSIER
        """The dossier as the log has it."""
        self.dossier = self.stored
        """The dossier with what the batch adds."""
        self.key: bytes | None = None
        """The citizen's wrapped key; None until the first event needs one."""
        self.sealed: Sealed | None = None
        """The row of a citizen that this batch registers."""
        self.added: list[tuple[int, AnyDossierEvent]] = []
        """The batch's events with the index of the wish that they answer, in the order of their versions."""
        self.outcomes: dict[int, Refusal | int] = {}
        """For every wish, by its index, a refusal, or the version of the event that answers it."""
        self.offsets: list[int] = []
        """Where in the batch the added events stand."""


NO_DOSSIER = Dossier(UUID(int=0))
"""Of a citizen whom the ledger does not know; the id is given when the first event is decided."""


class Desk:
    """Decides a batch of wishes against a tree of units."""

    def __init__(
        self,
        wishes: Iterable[Wish],
        identities: Identities,
        policy: Policy,
        new_id: Callable[[], UUID],
        reach: Callable[[UnitTree], Reach] = Reach,
    ) -> None:
        self._identities = identities
        self._policy = policy
        self._new_id = new_id
        self._reach = reach
        self._refused = False
        """Whether anything was ever refused."""
        self.files: dict[bytes, File] = {}
        for wish in wishes:
            file = self.files.get(wish.lookup)
            if file is None:
                self.files[wish.lookup] = File(wish)
            else:
                file.wishes.append(wish)

    def load(self, rows: Iterable[tuple[bytes, bytes, Recorded]]) -> list[File]:
        """Take what the log has of the batch's dossiers; return the files that it changes."""
        entries: dict[bytes, list[Recorded]] = {}
        keys: dict[bytes, bytes] = {}
        for lookup, key, entry in rows:
            entries.setdefault(lookup, []).append(entry)
            keys[lookup] = key
        changed = []
        for lookup, found in entries.items():
            file = self.files[lookup]
            if len(found) == len(file.entries) and found[0].originator_id == file.stored.id:
                continue
            dossier = dossier_of(found[0].originator_id, found)
            file.entries, file.stored, file.key, file.sealed = found, dossier, keys[lookup], None
            changed.append(file)
        for lookup, file in self.files.items():
            if file.entries and lookup not in entries:
                # The citizen was erased meanwhile: whoever reports the number now begins a dossier anew.
                file.entries, file.stored, file.key, file.sealed = [], NO_DOSSIER, None, None
                changed.append(file)
        return changed

    def decide(self, files: Iterable[File], tree: UnitTree) -> None:
        """Decide all wishes of *files* afresh."""
        for file in files:
            if file.stored is NO_DOSSIER:
                file.stored = Dossier(self._new_id())
            file.dossier, file.added, file.outcomes = file.stored, [], {}
            if file.sealed is not None:
                # Its wrapping key may have been retired since.
                file.key = file.sealed = None
            waiting: list[Wish] = []
            for wish in file.wishes:
                outcome = self._decide(file, wish, tree)
                if isinstance(outcome, Refusal) and isinstance(outcome.error, MENDABLE):
                    waiting.append(wish)
                file.outcomes[wish.index] = outcome
                if waiting and not isinstance(outcome, Refusal):
                    self._decide_waiting(file, waiting, wish.command.occurred_at, tree)

    def _decide_waiting(self, file: File, waiting: list[Wish], at: datetime, tree: UnitTree) -> None:
        """Ask again for what was refused for its state at the very instant that has now changed.

        Reports of one dossier and one instant have no order of their own, so theirs must not matter.
        """
        progress = True
        while progress:
            progress = False
            for wish in [wish for wish in waiting if wish.command.occurred_at == at]:
                outcome = self._decide(file, wish, tree)
                # A refusal too is told as it stands now: its reason may be another one.
                file.outcomes[wish.index] = outcome
                if not isinstance(outcome, Refusal):
                    waiting.remove(wish)
                    progress = True

    def _decide(self, file: File, wish: Wish, tree: UnitTree) -> Refusal | int:
        command = wish.command
        try:
            if wish.by is not None:
                check_report(wish.by, command, file.dossier, self._reach(tree))
            version = file.dossier.keys.get(command.key)
            if version is not None:
                self._check_same(file, version, command)
                return version
            event = decide(file.dossier, command, self._place(file, command, tree))
        except LedgerError as refusal:
            self._refused = True
            return Refusal(refusal)
        file.dossier = evolve(file.dossier, event)
        file.added.append((wish.index, event))
        self._register(file, command.citizen)
        return file.dossier.version

    def _place(self, file: File, command: AnyCommand, tree: UnitTree) -> Placing:
        unit_id = note = None
        code = getattr(command, "unit", "")
        if code:
            unit_id = tree.resolve(code, business_day(unit_at(file.dossier, command))).id
        if command.note:
            # The event may yet be refused; then a key made here belongs to nobody and is dropped with the file.
            self._register(file, command.citizen)
            assert file.key is not None
            note = self._identities.seal_note(command.note, file.key, file.stored.id)
        before_activation = (
            isinstance(command, Lock) and self._policy.reasons.of("locked")[command.reason].before_activation
        )
        split_ids: frozenset[UUID] = frozenset()
        if isinstance(command, Allocate):
            at = counting_at(file.dossier, command.level)
            split_ids = frozenset(unit for unit in at if unit_id in heirs_of(tree, unit))
        return Placing(unit_id, note, before_activation, self._policy.four_eyes, split_ids)

    def _register(self, file: File, citizen: str) -> None:
        if file.key is None:
            file.sealed = self._identities.seal(citizen, file.stored.id)
            file.key = file.sealed.key

    def _check_same(self, file: File, version: int, command: AnyCommand) -> None:
        if version <= file.stored.version:
            event = dossier_event(file.entries[version - 1])
        else:
            event = file.added[version - file.stored.version - 1][1]
        note = ""
        if event.note is not None:
            assert file.key is not None
            note = self._identities.open_note(event.note, file.key, file.stored.id)
        fields = differences(event, note, command)
        if fields:
            raise KeyConflictError(command.key, version, fields)

    def batch(self, tree: UnitTree) -> Batch | None:
        """Return what is to be appended, None if nothing; events stand in the order of the wishes."""
        drafts: list[tuple[int, File, int, AnyDossierEvent]] = []
        batch = Batch([], [], [], [], [], [], [], [], units_seen=tree.version)
        for lookup, file in self.files.items():
            order = -1
            version = file.stored.version
            for index, event in file.added:
                # A later version never stands before an earlier one.
                order = max(order, index)
                version += 1
                drafts.append((order, file, version, event))
            file.offsets = []
            if file.added and file.sealed is not None:
                batch.citizen_lookups.append(lookup)
                batch.citizen_dossiers.append(file.stored.id)
                batch.citizen_sealed.append(file.sealed.number)
                batch.citizen_keys.append(file.sealed.key)
        drafts.sort(key=_order)
        for offset, (_, file, version, event) in enumerate(drafts):
            file.offsets.append(offset)
            batch.ids.append(file.stored.id)
            batch.versions.append(version)
            batch.topics.append(topic_of(type(event)))
            batch.states.append(encode(event))
        return batch if drafts else None

    def refusals(self) -> Iterator[Refusal]:
        for file in self.files.values():
            yield from (outcome for outcome in file.outcomes.values() if isinstance(outcome, Refusal))

    def telling(self, *, recorded: bool) -> Iterator[tuple[UUID, Dossier, Wish]]:
        """Yield the wishes whose outcomes tell of a dossier what no event records, with its id and what it holds.

        A refusal for what the dossier holds does, and so does whatever is said of a report that is not recorded
        after all. A retry is told what was told before.

        Args:
            recorded: Whether the batch was.
        """
        if recorded and not self._refused:
            return
        for file in self.files.values():
            # Of what the ledger does not have nothing can be told, nor recorded that it was.
            if not file.stored.version and not (recorded and file.added):
                continue
            for wish in file.wishes:
                outcome = file.outcomes[wish.index]
                if isinstance(outcome, Refusal):
                    tells = _tells(outcome.error, wish.command)
                else:
                    tells = not recorded and outcome > file.stored.version
                if tells:
                    yield file.stored.id, file.dossier, wish

    def unit_refused(self) -> bool:
        """Whether a wish failed on the tree of units, which may be older than the ledger's."""
        return any(isinstance(refusal.error, _ON_THE_TREE) for refusal in self.refusals())

    def outcomes(self, first: int, recorded_at: datetime) -> Iterator[tuple[int, Receipt | Refusal]]:
        """Yield index and outcome of every wish, once its batch was recorded from position *first* on.

        Where nothing was recorded, *first* is 0, and so is the position of what would be recorded.
        """
        for file in self.files.values():
            stored = file.stored.version
            for index, outcome in file.outcomes.items():
                if isinstance(outcome, Refusal):
                    yield index, outcome
                elif outcome <= stored:
                    entry = file.entries[outcome - 1]
                    yield index, Receipt(entry.position, outcome, file.stored.id, entry.recorded_at, True)
                else:
                    position = first + file.offsets[outcome - stored - 1] if first else 0
                    # Of two equal reports in one batch the second is a duplicate, as it would be in the next.
                    duplicate = file.added[outcome - stored - 1][0] != index
                    yield index, Receipt(position, outcome, file.stored.id, recorded_at, duplicate)


_ON_THE_TREE = (UnitError, NotSplitError, NothingChangesError, NotPermittedError)
"""Refusals that another tree may mend; an allocation's, where nothing changes."""


def _tells(error: Exception, command: AnyCommand) -> bool:
    """Whether a refusal tells something of the dossier."""
    # A reassignment's unit is looked up on the day of the entry.
    return isinstance(error, StateError | KeyConflictError) or (
        isinstance(error, UnitError) and isinstance(command, Reassign)
    )


def _order(pair: tuple[int, *tuple[object, ...]]) -> int:
    return pair[0]
