"""Who has looked at a dossier, and what of that is kept back for an investigation."""

from datetime import date
from itertools import islice
from uuid import UUID

from ledger.access import Principal, Right
from ledger.access.reporting import reaches_dossier
from ledger.application.dossiers import TellsDossiers
from ledger.checks import check_purpose_text
from ledger.events import dossier_events
from ledger.reads import EmbargoLifted, EmbargoPlaced, Looks, Purpose
from ledger.reads.telling import decide_lift, decide_place, embargo_on, tell_looks, tellable


class TellsLooks(TellsDossiers):
    """Looks at dossiers, and embargoes on telling them."""

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
        # An embargo that is laid from here on has a greater version, and hides nothing of what is told.
        version, last = self.reads.last(dossier_id)
        embargo = embargo_on(last, today)
        hides = embargo is not None and not reaches_dossier(
            by, Right.OPERATE, dossier_events(entries)[0], today, self.reach(tree)
        )
        told = tellable(self.reads.until(dossier_id, version, after=after), hides=hides)
        page = list(islice(told, None if limit is None else limit + 1))
        # After them: a drop in between must be told of.
        drops = self.reads.drops()
        return tell_looks(dossier_id, page, drops, tree, embargo=None if hides else embargo, limit=limit)

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
        check_purpose_text(text)
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
        check_purpose_text(text)
        self._entries(dossier_id, by, Right.OPERATE)
        self._check_purpose_text(text, dossier_id)
        _, last = self.reads.last(dossier_id)
        decide_lift(last, dossier_id, self.today())
        self.reads.append([dossier_id], [EmbargoLifted(who=by.name, kind=by.kind, text=text)])
