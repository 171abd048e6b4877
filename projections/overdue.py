"""What has waited longer than the law allows. Overdue is no state: it is asked for, of the counts that are there.

Decree 69/2024/NĐ-CP, Art. 13 and 14. What waits stands in the unit totals on the day since when it waits, so
what is overdue on a day is all that waits, less what has waited only since a day whose time limit has not passed by then.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal

import msgspec
from psycopg.sql import SQL

from ledger import Ledger, UnitTree, sql
from ledger.access import Principal
from ledger.checks import check_day
from ledger.errors import FieldInvalidError
from ledger.working_days import WORKING_DAYS, WorkingDays
from projections.small_counts import masked
from projections.totals import WAIT_SECONDS, Totals, open_totals
from projections.unit_totals import NAME

_QUERIES = sql.load("projections.sql", "unit_totals.sql")

MEASURES = ("awaiting_approval", "approval_overdue", "awaiting_activation", "notified", "activation_overdue")
"""What is counted, at the collecting unit: of those that wait the ones whose time is up, and of those that await
activation the ones that were notified, for only they have a time."""

APPROVAL_DAYS = {1: 1, 2: 3}
"""Working days from the collection, by level (Decree 69/2024, Art. 13)."""
APPROVAL_DAYS_WITHOUT_CARD = 7
"""Working days where the identity card is expired or missing, of both levels (the same)."""
ACTIVATION_DAYS = 7
"""Calendar days from the notice (Decree 69/2024, Art. 14)."""


class OverdueQuery(msgspec.Struct, frozen=True):
    """A question about what is overdue."""

    unit: str | None = None
    """Code of a unit, of today: it and everything under it. Absent: the whole ledger."""
    level: int | None = None
    """1 or 2; absent: both."""
    on: date | None = None
    """Business day (Asia/Ho_Chi_Minh), today or later; absent: today. A later one is a forecast."""


class TimeLimit(msgspec.Struct, frozen=True):
    """A time limit as it was applied."""

    step: Literal["approval", "activation"]
    """What is waited for."""
    level: int | None
    """Null: both."""
    card: str | None
    """Of an approval: the identity cards that it is for."""
    days: int
    """How long it is; the day on which it begins does not count."""
    working_days: bool
    """Whether only working days count."""
    since: date
    """What has waited since this day, or longer, is overdue."""
    provisional: bool
    """Whether a day was counted of which nobody has announced yet whether it is a holiday."""


class OverdueAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Dossiers, per level, that wait now at the collecting unit, and those of them that wait too long on a day.

    ``awaiting_approval`` and ``awaiting_activation`` are those of the totals; ``notified`` are those of the latter
    whose 7 days run.
    """

    position: int
    """The ledger position that the counts are true for."""
    recorded_at: datetime
    """When the event at that position was recorded, UTC."""
    projection: str
    on: date
    """The day (Vietnam) on which they are overdue."""
    forecast: bool
    """True of a day to come: they will be overdue then if nothing happens."""
    provisional: bool
    """Whether one of the limits is."""
    limits: list[TimeLimit]
    rows: list[dict[str, Any]]
    sum: dict[str, int | None]
    masked: bool = False
    """Whether small counts, and what they could be had from, are null: for viewers of the public."""


class Overdue:
    """Answers from the unit totals; safe to share between threads."""

    def __init__(self, totals: Totals, working_days: WorkingDays = WORKING_DAYS) -> None:
        self._totals = totals
        self._working_days = working_days

    def read(
        self,
        query: OverdueQuery,
        *,
        after: int | None = None,
        wait_seconds: float = WAIT_SECONDS,
        by: Principal | None = None,
    ) -> OverdueAnswer:
        """Answer a question, at once or as soon as the projection has reached *after*.

        Args:
            by: Who asks; the ledger's own principal if absent.

        Raises:
            NotPermittedError: They may not see totals of the unit.
            FieldInvalidError: The day is before today. What waits is known as it is now: what was overdue
                on a day that has passed, and has been settled since, is not.
            UnitError: The unit is no code, or is not valid today.
            NotCaughtUpError: The projection did not reach *after* within *wait_seconds*.
            UnavailableError: The database cannot be reached, or the projection has lost its position.
        """
        reader = self._totals.asking(by)
        today = self._totals.today()
        check_day("on", query.on)
        on = query.on or today
        if on < today:
            raise FieldInvalidError("on", f"{on} is before today, {today}: what waits is known as it is now")
        limits = time_limits(self._working_days, on)

        def answer(tree: UnitTree) -> OverdueAnswer:
            scope = None if query.unit is None else tree.resolve(query.unit, today)
            least = self._totals.check_asked(reader, tree, scope, today)
            units = self._totals.rows(tree, today, today, scope, "unit")
            parameters = _parameters(limits) | {"level": query.level} | units.parameters
            position, recorded_at, found = self._totals.ask(
                SQL(_QUERIES["read_overdue"]).format(), parameters
            )
            rows, summed = units.tell({bucket: counts for bucket, *counts in found}, MEASURES)
            total: dict[str, int | None] = {**summed}
            any_masked = False
            if least:
                rows, total, any_masked = masked(rows, total, MEASURES, least)
            return OverdueAnswer(
                position,
                recorded_at,
                NAME,
                on,
                on > today,
                any(limit.provisional for limit in asked),
                asked,
                rows,
                total,
                any_masked,
            )

        asked = [limit for limit in limits if query.level is None or limit.level in (None, query.level)]
        return self._totals.read_in_tree(answer, after=after, wait_seconds=wait_seconds)


def time_limits(working_days: WorkingDays, on: date) -> list[TimeLimit]:
    """Return the limits in the order: approval of level 1, of level 2, without a valid card; activation."""
    cards: list[tuple[int | None, str, int]] = [
        *((level, "valid", days) for level, days in APPROVAL_DAYS.items()),
        (None, "expired, missing", APPROVAL_DAYS_WITHOUT_CARD),
    ]
    approvals = [
        TimeLimit("approval", level, card, days, True, *working_days.overdue(on, days))
        for level, card, days in cards
    ]
    since = on - timedelta(ACTIVATION_DAYS + 1)
    return [*approvals, TimeLimit("activation", None, None, ACTIVATION_DAYS, False, since, False)]


def _parameters(limits: Sequence[TimeLimit]) -> dict[str, Any]:
    names = ("level_1", "level_2", "long", "notified")
    days = {name: limit.since for name, limit in zip(names, limits, strict=True)}
    return {**days, "first": min(days.values())}


def open_overdue(ledger: Ledger) -> Overdue:
    """Return what is overdue of an open ledger; as ``open_totals`` does, and with its errors."""
    return Overdue(open_totals(ledger))
