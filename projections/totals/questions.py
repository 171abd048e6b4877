"""A question about totals, and what is wrong with one."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Literal, get_args

import msgspec

from ledger.checks import check_day
from ledger.errors import FieldInvalidError, NotPermittedError
from ledger.masking import shown
from projections.hierarchies import FIRST_DAY, LAST_DAY, Attribution

By = Literal[
    "unit",
    "province",
    "district",
    "commune",
    "level",
    "day",
    "week",
    "month",
    "place",
    "shift",
    "partner",
    "team",
    "actor",
    "reason",
    "recorded_on",
]
"""What rows can be: the direct children, each with everything under it; all units of a level of the tree; the level of
the account; days, weeks (ISO 8601) and months of ``occurred_at``; and details of the events."""
BY_UNITS = ("unit", "province", "district", "commune")
BY_DAYS = ("day", "week", "month")
BY_PEOPLE = ("actor", "team")
"""By whom it was done: codes of staff, which are not told to the public."""
BYS: tuple[By, ...] = get_args(By)
BYS_MAX = 2


class TotalsQuery(msgspec.Struct, frozen=True):
    """A question about totals."""

    unit: str | None = None
    """Code of a unit: it and everything under it. Absent: the whole ledger."""
    by: By | tuple[By, ...] = "unit"
    """What the rows are; two at most."""
    level: int | None = None
    """1 or 2; absent: both."""
    from_day: date | None = None
    """First business day (Asia/Ho_Chi_Minh) of ``occurred_at``, included."""
    to_day: date | None = None
    """Last business day, included."""
    hierarchy: str | None = None
    """In which tree of units it counts: ``then``, that of the day on which it occurred; or that of one day, like
    ``2025-07-01``, where what has ended counts at its successors. ``now`` is today; absent is the last day asked for, else
    today. The unit's code is read in the tree of that day; for *then*, of the last day asked for, else today."""
    attribution: Attribution = "acting"
    """At the unit whose work it is, or at that where the citizen lives."""
    position: int | None = None
    """Only what the ledger knew at this position; today is then the day on which that was recorded."""
    known_at: datetime | None = None
    """The same by time: the last position that was recorded by then."""

    compare: Literal["previous"] | None = None
    """Also tell the period before, of as many days; of as many months where whole months are asked for."""

    @property
    def bys(self) -> tuple[By, ...]:
        return (self.by,) if isinstance(self.by, str) else self.by

    @property
    def by_units(self) -> str:
        """Of which units they are, the direct children or those of a level; empty: of none."""
        return next((by for by in self.bys if by in BY_UNITS), "")

    @property
    def names(self) -> list[str]:
        """What rows call what they are of."""
        return ["unit" if by in BY_UNITS else by for by in self.bys]

    @property
    def days(self) -> tuple[date, date]:
        """The days asked for, as a half-open interval."""
        first = min(self.from_day or FIRST_DAY, LAST_DAY)
        after_last = (
            LAST_DAY if self.to_day is None or self.to_day >= LAST_DAY else self.to_day + timedelta(1)
        )
        return first, max(first, after_last)


def read_bys(text: str) -> tuple[By, ...]:
    """Return what rows are, one or two with a comma between; raise FieldInvalidError if they are none."""
    names = [name.strip() for name in text.split(",")]
    found = tuple(by for name in names for by in BYS if by == name)
    if len(found) < len(names):
        raise FieldInvalidError("by", f"{shown(text)} is not one or two of {', '.join(BYS)}")
    return found


def read_hierarchy(text: str) -> str:
    """Return a hierarchy as it is written; raise FieldInvalidError if it is none."""
    if text not in ("then", "now"):
        try:
            date.fromisoformat(text)
        except ValueError:
            raise FieldInvalidError("hierarchy", f"{shown(text)} is not then, now or a day") from None
    return text


def check_days(query: TotalsQuery) -> None:
    """Raise FieldInvalidError where a question names a day that the ledger does not know.

    Of what is asked anew: a report that was frozen once is told again, whatever its days.
    """
    check_day("from", query.from_day)
    check_day("to", query.to_day)
    if query.hierarchy not in (None, "then", "now"):
        check_day("hierarchy", date.fromisoformat(read_hierarchy(query.hierarchy)))


def check(query: TotalsQuery) -> None:
    """Raise FieldInvalidError where a question contradicts itself."""
    if query.from_day and query.to_day and query.to_day < query.from_day:
        raise FieldInvalidError("to", f"{query.to_day} is before from, {query.from_day}")
    if query.position is not None and query.known_at is not None:
        raise FieldInvalidError("known_at", "name a position or a time, one of them")
    if query.hierarchy is not None:
        read_hierarchy(query.hierarchy)
    bys = query.bys
    if query.compare is not None and (query.from_day is None or query.to_day is None):
        raise FieldInvalidError(
            "compare", "a period is compared with the one before: name its days, from and to"
        )
    if query.compare is not None and set(bys) & set(BY_DAYS):
        raise FieldInvalidError(
            "compare", f"rows by {' and '.join(bys)} have no days in common with the period before"
        )
    if not 1 <= len(bys) <= BYS_MAX or len(set(bys)) < len(bys):
        raise FieldInvalidError("by", f"name one or two different ones of {', '.join(BYS)}")
    if len(set(bys) & set(BY_UNITS)) > 1 or len(set(bys) & set(BY_DAYS)) > 1:
        raise FieldInvalidError("by", f"{' and '.join(bys)} are of one kind; name one of them")


def check_told_to_the_public(bys: Sequence[str]) -> None:
    """Raise NotPermittedError where rows are asked for that tell by whom it was done."""
    if not set(BY_PEOPLE).isdisjoint(bys):
        raise NotPermittedError(
            f"totals by {' or '.join(BY_PEOPLE)} tell codes of staff: they are not told to the public"
        )
