"""The end of a citizen's number in the ledger."""

from datetime import UTC
from uuid import UUID

from ledger.access import Principal, Right
from ledger.application.dossiers import TellsDossiers
from ledger.checks import check_holds_not, check_text
from ledger.erasing import Erased, erase
from ledger.errors import ContentionError
from ledger.events import CitizenErased
from ledger.store import ATTEMPTS_MAX


class ErasesCitizens(TellsDossiers):
    """Unlinks dossiers from the numbers of their citizens."""

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
