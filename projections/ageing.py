"""How long dossiers have been waiting, and how long those took that have waited: per unit, by approval and activation.

Percentiles are exact, by the nearest rank: the shortest time within which so many of a hundred were done.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Literal

import msgspec
from psycopg.sql import SQL

from ledger import Ledger, UnitTree, sql
from ledger.access import Principal
from ledger.checks import check_day
from ledger.errors import FieldInvalidError
from projections.errors import PositionLostError
from projections.hierarchies import FIRST_DAY, LAST_DAY
from projections.small_counts import is_small, masked
from projections.status import ask, wait_for
from projections.totals import WAIT_SECONDS, Totals, open_totals
from projections.waits import NAME

_QUERIES = sql.load("projections.sql", "worklist.sql")

STEPS = ("approval", "activation")
"""What is waited for."""
AGE_CLASSES: tuple[tuple[str, int], ...] = (
    ("age_0_1", 1),
    ("age_2_3", 3),
    ("age_4_7", 7),
    ("age_8_30", 30),
    ("age_over_30", 2**31),
)
"""Classes of days waited, each with its last."""
MEASURES = (
    "waiting",
    *(name for name, _ in AGE_CLASSES),
    "age_days_p50",
    "age_days_p90",
    "ended",
    "took_days_p50",
    "took_days_p90",
)
SECONDS_A_DAY = 86_400
By = Literal["unit", "province", "district", "commune"]


class AgeingQuery(msgspec.Struct, frozen=True):
    """A question about how long dossiers wait."""

    unit: str | None = None
    """Code of a unit, of today: it and everything under it. Absent: the whole ledger."""
    by: By = "unit"
    """What the rows are: the direct children, each with everything under it; or all units of a level of the tree."""
    level: int | None = None
    """1 or 2; absent: both."""
    from_day: date | None = None
    """First business day (Asia/Ho_Chi_Minh) on which a wait ended that is told in ``took_days``, included."""
    to_day: date | None = None
    """Last such day, included."""


class AgeingAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A row for each unit and step: approval, from the collection on; activation, from the notice on, else from the approval.

    ``waiting`` are dossiers, per level, that wait now at the collecting unit, by how many days ago that began, in
    Vietnam: ``age_*``, with the median and the 90th percentile. ``ended`` are the waits that an approval or an
    activation ended on the days asked for, and ``took_days_*`` how long they took. Percentiles are null of none.
    """

    position: int
    """The ledger position that the answer is true for."""
    recorded_at: datetime
    """When the event at that position was recorded, UTC."""
    projection: str
    on: date
    """Today, in Vietnam: ages are counted up to it, and its tree of units counts."""
    rows: list[dict[str, Any]]
    sum: list[dict[str, Any]]
    """The same for all rows together, by step."""
    masked: bool = False
    """Whether small counts, and what they could be had from, are null: for viewers of the public."""


class Ageing:
    """Answers from the read model of the worklist; safe to share between threads."""

    def __init__(self, ledger: Ledger, totals: Totals) -> None:
        self._ledger = ledger
        self._totals = totals

    def read(
        self,
        query: AgeingQuery,
        *,
        after: int | None = None,
        wait_seconds: float = WAIT_SECONDS,
        by: Principal | None = None,
    ) -> AgeingAnswer:
        """Answer a question, at once or as soon as the projection has reached *after*.

        Args:
            by: Who asks; the ledger's own principal if absent.

        Raises:
            NotPermittedError: They may not see totals of the unit.
            FieldInvalidError: The last day is before the first.
            UnitError: The unit is no code, or is not valid today.
            NotCaughtUpError: The projection did not reach *after* within *wait_seconds*.
            UnavailableError: The database cannot be reached, or the projection has lost its position.
        """
        reader = self._totals.asking(by)
        check_day("from", query.from_day)
        check_day("to", query.to_day)
        if query.from_day and query.to_day and query.to_day < query.from_day:
            raise FieldInvalidError("to", f"{query.to_day} is before from, {query.from_day}")
        if after is not None:
            wait_for(self._ledger, NAME, after, wait_seconds)
        return self._totals.read_in_tree(lambda tree: self._read(query, tree, reader))

    def _read(self, query: AgeingQuery, tree: UnitTree, reader: Principal) -> AgeingAnswer:
        today = self._totals.today()
        scope = None if query.unit is None else tree.resolve(query.unit, today)
        least = self._totals.check_asked(reader, tree, scope, today)
        units = self._totals.rows(tree, today, today, scope, query.by)
        last = min(query.to_day or LAST_DAY, LAST_DAY)
        parameters = units.parameters | {
            "level": query.level,
            "from": query.from_day or FIRST_DAY,
            "to": last + timedelta(1),
        }
        rows = ask(self._ledger, SQL(_QUERIES["read_ages"]).format(), parameters)
        if not rows:
            raise PositionLostError(NAME)
        ages: dict[tuple[int | None, str], Counter[int]] = {}
        took: dict[tuple[int | None, str], tuple[int, int, int]] = {}
        for _, _, part, step, day, number, p50, p90 in rows:
            if day is not None:
                age = (today - day).days
                for bucket in (part, None):
                    ages.setdefault((bucket, step), Counter())[age] += number
            elif step is not None:
                took[part, step] = number, p50, p90
        found = {bucket for bucket, _ in (*ages, *took) if bucket is not None}
        told = [
            {"unit": key, "step": step, **_measures(ages.get((bucket, step)), took.get((bucket, step)))}
            for bucket, key in units.keys(sorted(found))
            for step in STEPS
        ]
        total = [
            {"step": step, **_measures(ages.get((None, step)), took.get((None, step)))} for step in STEPS
        ]
        any_masked = False
        if least:
            told, total, any_masked = _masked(told, total, least)
        return AgeingAnswer(rows[0][0], rows[0][1], NAME, today, told, total, any_masked)


def _measures(ages: Mapping[int, int] | None, took: tuple[int, int, int] | None) -> dict[str, Any]:
    """Return the measures, in their order."""
    ages = ages or {}
    classes = dict.fromkeys((name for name, _ in AGE_CLASSES), 0)
    for age, number in ages.items():
        classes[next(name for name, last in AGE_CLASSES if age <= last)] += number
    ended, p50, p90 = took or (0, None, None)
    return {
        "waiting": sum(classes.values()),
        **classes,
        "age_days_p50": nearest_rank(ages, 50),
        "age_days_p90": nearest_rank(ages, 90),
        "ended": ended,
        "took_days_p50": None if p50 is None else round(p50 / SECONDS_A_DAY, 2),
        "took_days_p90": None if p90 is None else round(p90 / SECONDS_A_DAY, 2),
    }


def _masked(
    rows: list[dict[str, Any]], total: list[dict[str, Any]], least: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], bool]:
    """Return rows and sums without small counts, and whether there were any.

    The classes of a row add up to those that wait, so of a row with a small one all are masked, and all of the sum's.
    Percentiles of few would tell when each of them began to wait.
    """
    classes = [name for name, _ in AGE_CLASSES]
    told, totals, found = list(rows), [], False
    for whole in total:
        places = [index for index, row in enumerate(rows) if row["step"] == whole["step"]]
        part, summed, any_masked = masked(
            [rows[index] for index in places], whole, ("waiting", "ended"), least
        )
        few = False
        for row in [*part, summed]:
            if row["waiting"] is None or any(is_small(row[name], least) for name in classes):
                few = True
                row.update(dict.fromkeys(classes))
            if row["waiting"] is None:
                row.update(age_days_p50=None, age_days_p90=None)
            if row["ended"] is None:
                row.update(took_days_p50=None, took_days_p90=None)
        if few:
            summed.update(dict.fromkeys(classes))
        for index, row in zip(places, part, strict=True):
            told[index] = row
        totals.append(summed)
        found = found or few or any_masked
    return told, totals, found


def nearest_rank(numbers: Mapping[int, int], percent: int) -> int | None:
    """Return the least value that at least so many of a hundred do not exceed, of values with their numbers; None of none."""
    rank = -(-percent * sum(numbers.values()) // 100)
    for value in sorted(numbers):
        rank -= numbers[value]
        if rank <= 0:
            return value
    return None


def open_ageing(ledger: Ledger) -> Ageing:
    """Return the ageing of an open ledger's worklist; as ``open_totals`` does, and with its errors."""
    return Ageing(ledger, open_totals(ledger))
