"""One dossier: found, told, and whose it is. Nothing is told before it is recorded who looks."""

from collections.abc import Sequence
from uuid import UUID

from ledger.access import Principal, Right
from ledger.access.asking import WORDS, told_parts
from ledger.access.reporting import part_reached, reaches_dossier
from ledger.application.base import LedgerBase
from ledger.checks import check_citizen, check_holds_not, may_hold_number
from ledger.errors import CitizenUnknownError, DossierUnknownError, ErasedError, NotPermittedError
from ledger.events import Recorded, dossier_events
from ledger.frozen_events import REPORTS_STREAM
from ledger.history import DossierState, History, read_history, state_of
from ledger.identities import Sealed
from ledger.key_events import KEYS_STREAM
from ledger.reads import Purpose, What
from ledger.store import translated
from ledger.target_events import TARGETS_STREAM
from ledger.unit_events import UNITS_STREAM

_NO_DOSSIER = UUID(int=0)


class TellsDossiers(LedgerBase):
    """What the ledger has of one citizen, told to whoever may know it and says what for."""

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

    def _find(self, citizen: str, by: Principal, purpose: Purpose) -> UUID:
        """Return the dossier of a citizen, to be told to nobody before ``_entries`` has let them have it."""
        check_citizen(citizen)
        check_holds_not("purpose_text", purpose.text, citizen)
        with translated():
            dossier_id = self.recorder.find(self._identities.lookup(citizen))
        if dossier_id is None:
            if None not in by.parts(Right.HISTORY):
                # The same refusal, by the same way, as of a dossier that is none of theirs.
                self._entries(_NO_DOSSIER, by, Right.HISTORY)
            raise CitizenUnknownError
        return dossier_id

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
