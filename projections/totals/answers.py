"""What is told of totals: rows and sums, the period before beside them, small counts masked."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from projections.hierarchies import Hierarchy, Rows
from projections.small_counts import masked
from projections.totals.questions import BY_UNITS, TotalsQuery
from projections.unit_totals import EVENTS, MEASURES, NAME

Counts = Sequence[int]


class Period(msgspec.Struct, frozen=True, rename={"from_day": "from", "to_day": "to"}):
    """Days that others are compared with."""

    from_day: date
    to_day: date
    sum: dict[str, int | None]


class TotalsAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Counts of events at the unit whose work they are.

    ``awaiting_*`` are dossiers, per level, that wait now at the collecting unit: the days
    asked for do not bound them. By day, place, shift, partner and the like they stand where the event
    stands that made them wait; by day, week or month, what waits since other days than those asked for has a
    row of its own, whose day is null.
    """

    position: int
    """The ledger position that the counts are true for."""
    recorded_at: datetime
    """When the event at that position was recorded, UTC."""
    projection: str
    hierarchy: str
    """In which tree it counts: ``then``, each day's own; or that of a day."""
    rows: list[dict[str, Any]]
    sum: dict[str, int | None]
    masked: bool = False
    """Whether small counts, and what they could be had from, are null: for viewers of the public."""
    previous: Period | None = None
    """Where it was asked for, the period before; each row has its counts of it under ``previous``, known at the same
    position. Only events: what waits is bound by no days."""


def answer_of(
    position: int,
    recorded_at: datetime,
    hierarchy: Hierarchy,
    query: TotalsQuery,
    rows: Rows,
    found: Sequence[tuple[Any, ...]],
) -> TotalsAnswer:
    """Return the answer to a question, of the rows that its statement has found."""
    bys, names = query.bys, query.names
    counted: dict[tuple[Any, ...], Counts] = {row[: len(bys)]: row[2:] for row in found if any(row[2:])}
    units = next((index for index, by in enumerate(bys) if by in BY_UNITS), None)
    told = list(counted.items()) if units is None else _by_units(units, rows, counted, alone=len(bys) == 1)
    answers = [
        {**dict(zip(names, key, strict=True)), **dict(zip(MEASURES, counts, strict=True))}
        for key, counts in told
    ]
    sums: dict[str, int | None] = {
        measure: sum(counts[index] for _, counts in told) for index, measure in enumerate(MEASURES)
    }
    return TotalsAnswer(position, recorded_at, NAME, str(hierarchy), answers, sums)


def _by_units(
    units: int, rows: Rows, counted: Mapping[tuple[Any, ...], Counts], *, alone: bool
) -> list[tuple[tuple[Any, ...], Counts]]:
    """Return the rows in the order of the units; alone, each unit has a row, also where nothing was counted."""
    by_bucket: dict[int, list[tuple[tuple[Any, ...], Counts]]] = {}
    for key, counts in counted.items():
        by_bucket.setdefault(key[units], []).append((key, counts))
    told: list[tuple[tuple[Any, ...], Counts]] = []
    for bucket, unit in rows.keys(list(by_bucket)):
        for key, counts in by_bucket.get(bucket, [((bucket,), [0] * len(MEASURES))] if alone else []):
            told.append(((*key[:units], unit, *key[units + 1 :]), counts))
    return told


def beside(
    answer: TotalsAnswer, earlier: TotalsAnswer, first: date, last: date, names: Sequence[str]
) -> TotalsAnswer:
    """Return an answer whose rows also have the counts of the period before; what was counted only then has a row too.

    Args:
        names: What rows call what they are of.
    """

    def key(row: Mapping[str, Any]) -> tuple[object, ...]:
        return tuple(tuple(row[name].values()) if name == "unit" else row[name] for name in names)

    before = {key(row): row for row in earlier.rows}
    nothing = dict.fromkeys(MEASURES, 0)
    rows = [row | {"previous": _events(before.pop(key(row), nothing))} for row in answer.rows]
    rows += [
        {name: row[name] for name in names} | nothing | {"previous": _events(row)}
        for row in before.values()
        if any(row[name] for name in EVENTS)
    ]
    return replace(answer, rows=rows, previous=Period(first, last, _events(earlier.sum)))


def _events(counts: Mapping[str, int | None]) -> dict[str, int | None]:
    return {name: counts[name] for name in EVENTS}


def masked_totals(answer: TotalsAnswer, least: int) -> TotalsAnswer:
    """Return an answer without counts below *least*, and without what these could be had from; 0 stays."""
    rows, total, any_masked = masked(answer.rows, answer.sum, MEASURES, least)
    previous = answer.previous
    if previous is not None:
        befores = [row["previous"] for row in answer.rows]
        told, before, also = masked(befores, previous.sum, EVENTS, least)
        rows = [row | {"previous": counts} for row, counts in zip(rows, told, strict=True)]
        previous = replace(previous, sum=before)
        any_masked = any_masked or also
    return replace(answer, rows=rows, sum=total, previous=previous, masked=any_masked)
