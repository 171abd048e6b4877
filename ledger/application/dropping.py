"""The end of looks that are older than they are to be kept."""

from datetime import date

from ledger.access import Principal, Right
from ledger.application.base import LedgerBase
from ledger.checks import check_purpose_text, check_text
from ledger.reads import DropDone, DropPlan, LooksDropped
from ledger.reads.dropping import check_before, check_plan, drop, plan


class DropsLooks(LedgerBase):
    """Drops looks that are old enough, in two steps: how many they are, and then those very ones."""

    def plan_drop(self, before: date, *, by: Principal | None = None) -> DropPlan:
        """Return what it would take away to drop the looks from before a day; nothing is changed.

        It takes the operator's login to the database, which this opens for itself.

        Args:
            before: A business day (Asia/Ho_Chi_Minh), five years ago at least.
            by: Who asks; the ledger's own principal if absent.

        Raises:
            NotPermittedError: They may not operate the whole ledger.
            FieldInvalidError: The day is not so long ago.
            UnavailableError: The database cannot be reached, or the login is no operator's.
        """
        self.check_operating(by)
        check_before(before, self.today())
        return plan(self.database, before, self.today())

    def drop_looks(
        self, planned: DropPlan, *, reason: str, actor: str = "local", by: Principal | None = None
    ) -> DropDone:
        """Drop looks, for good, as it was planned, and record that in the log of looks: both or neither.

        Dossiers that are under an embargo keep theirs, however old. Of what goes, positions and leaf hashes stay.

        Args:
            reason: Why; it stands there for good, and holds no personal number.
            actor: The staff code of whoever does it.
            by: Who drops; the ledger's own principal if absent.

        Raises:
            NotPermittedError, FieldInvalidError: As ``plan_drop``.
            InputError: The reason or the actor cannot be one.
            ContentionError: It would not be as planned any more; nothing was dropped.
            UnavailableError: The database cannot be reached, or the login is no operator's. Where the connection was
                lost it is not known whether it was done; ``plan_drop`` tells.
        """
        self.check_operating(by)
        principal = self.asking(by, Right.OPERATE)
        check_purpose_text(reason, "reason")
        check_text("actor", actor)
        check_before(planned.before, self.today())
        check_plan(self.database, planned, self.today())
        event = LooksDropped(
            before=planned.before,
            through=planned.through,
            looks=planned.looks,
            kept=planned.kept,
            who=principal.name,
            kind=principal.kind,
            actor=actor,
            text=reason,
        )
        return drop(self.database, event, self.today())
