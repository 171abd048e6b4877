"""The list of reasons over HTTP and on the command line."""

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency

from api.admission import needs
from api.problems import problems
from ledger import Ledger, Reason, Reasons
from ledger.access import Right


class ReasonList(msgspec.Struct, frozen=True):
    """The reasons that reports may name, by type, each type's in the order of the list."""

    rows: list[Reason]


def list_reasons(reasons: Reasons) -> ReasonList:
    return ReasonList(list(reasons))


class ReasonController(Controller):
    path = "/v1/reasons"
    tags = ("reasons",)

    @get(
        operation_id="list_reasons",
        opt=needs(Right.TOTALS),
        summary="The reasons that reports may name",
        response_description="By type, each type's in the order of the list.",
        sync_to_thread=False,
        responses=problems(400),
    )
    def reasons(self, ledger: NamedDependency[Ledger]) -> ReasonList:
        """Whoever runs the ledger may have a list of their own. What is off the list is refused from then on; events keep theirs."""
        return list_reasons(ledger.policy.reasons)
