"""Whether somebody may ask for something, and what they are told where they may not. Pure."""

from collections.abc import Mapping
from datetime import date
from uuid import UUID

from ledger.access.reach import Reach
from ledger.access.rights import RIGHTS, Principal, Right, Role
from ledger.errors import NotPermittedError
from ledger.units import Unit, UnitTree

TOLD_UNITS_MAX = 5
"""How many of its units somebody is told."""
WORDS: Mapping[Right, str] = {
    Right.RECORD: "report collections and activations",
    Right.APPROVE: "report approvals, refusals, notices and locks",
    Right.CORRECT: "put mistakes right",
    Right.TOTALS: "see totals",
    Right.WORKLIST: "see which dossiers wait",
    Right.HISTORY: "read histories",
    Right.REVEAL: "see personal numbers",
    Right.READS: "see who has looked at a dossier",
    Right.KEEP: "change units, set targets and freeze reports",
    Right.FOLLOW: "read the log",
    Right.OPERATE: "operate the ledger",
}
"""What somebody may do, or not, by the right to it."""


def check_right(by: Principal, *rights: Right) -> None:
    """Raise NotPermittedError unless somebody holds one of the rights over some part."""
    for right in rights:
        if by.holds(right):
            return
    told = " or ".join(WORDS[right] for right in sorted(rights))
    raise NotPermittedError(f"you have no role to {told}; whoever runs the ledger gives roles")


def check_everything(by: Principal, right: Right, tree: UnitTree, day: date) -> None:
    """Raise NotPermittedError unless somebody holds a right over the whole ledger."""
    check_right(by, right)
    if None not in by.parts(right):
        raise NotPermittedError(
            f"you may {WORDS[right]} of {told_parts(by, right, tree, day)}, and not of the whole ledger; name one of these "
            "units, or one under them, where a unit can be named"
        )


def check_unit(by: Principal, right: Right, reach: Reach, unit: Unit | None, day: date) -> None:
    """Raise NotPermittedError unless somebody holds a right over a unit as it stands on a day.

    Args:
        unit: None: the whole ledger.
    """
    if unit is None:
        check_everything(by, right, reach.tree, day)
        return
    check_right(by, right)
    if not by.may(right, reach.above(unit.id, day)):
        raise NotPermittedError(
            f"you may {WORDS[right]} of {told_parts(by, right, reach.tree, day)}, and {unit.code} did not stand under "
            f"that on {day.isoformat()}"
        )


def told_parts(by: Principal, right: Right, tree: UnitTree, day: date) -> str:
    """Return the units over which somebody holds a right, as they are called on a day."""
    known = [tree.called(part, day) for part in by.parts(right) if part is not None and part in tree.by_id]
    names = sorted(f"{unit.code} {unit.name}" for unit in known)
    more = len(names) - TOLD_UNITS_MAX
    return ", ".join(names[:TOLD_UNITS_MAX] + [f"{more} more"] * (more > 0)) or "no unit of this ledger"


def is_masked(by: Principal, above: frozenset[UUID]) -> bool:
    """Whether small counts of what counts under the units *above* are masked: all that lets it see them is the public's role."""
    return all(
        grant.role is Role.PUBLIC
        for grant in by.grants
        if Right.TOTALS in RIGHTS[grant.role] and (grant.unit_id is None or grant.unit_id in above)
    )
