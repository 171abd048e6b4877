"""What the command line tells of a change of units: every unit and every total that is another one."""

from datetime import date
from typing import Any
from uuid import UUID

import msgspec

from api.cli.output import Output, note
from ledger.application import UnitsChanged
from ledger.units import Told, told
from projections import Preview, PreviewDays, PreviewRow
from projections.unit_totals import MEASURES


class ChangeAnswer(msgspec.Struct, frozen=True):
    """What a change of units did, or would do."""

    dry_run: bool
    reorganisation: UUID | None
    """Its id, to withdraw it by; null: nothing was recorded."""
    effective: date
    position: int | None
    """Of its last event; null: nothing was recorded."""
    events: int
    units: list[Told]
    """What changes about each unit."""
    warnings: list[str]
    totals: Preview | None
    """Of a dry run: every total that would be another one."""


def tell_change(output: Output, changed: UnitsChanged, totals: Preview | None) -> None:
    """Print what a change did, or would do: as a table for people, as one document, or as one CSV."""
    plan, recorded = changed.plan, changed.position > 0
    answer = ChangeAnswer(
        dry_run=not recorded,
        reorganisation=plan.reorganisation if recorded else None,
        effective=plan.effective,
        position=changed.position if recorded else None,
        events=len(plan.events),
        units=told(plan),
        warnings=list(plan.warnings),
        totals=totals,
    )
    for warning in answer.warnings:
        note(f"warning: {warning}", style="yellow")
    if output.form == "json":
        output.document(answer)
        return
    columns = ("what", "code", "name", "level", "from", "to")
    rows = [list(msgspec.structs.astuple(one)) for one in answer.units]
    if output.form == "csv":
        # One table: of a total that would be another one too, with the days and the measure that it is of.
        units = [[*row, None, None, None] for row in rows]
        output.rows("", (*columns, "on", "until", "measure"), units + _lines_of(totals))
        return
    output.rows(f"what changes about units from {answer.effective} on: {len(rows)}", columns, rows)
    if totals is not None:
        for days in totals.days:
            _tell_totals(output, days, totals.position)
    output.say(
        f"recorded as reorganisation {answer.reorganisation}, up to position {answer.position:,}"
        if recorded
        else "nothing was recorded: --dry-run"
    )


def _tell_totals(output: Output, days: PreviewDays, position: int) -> None:
    """Print every total that would be another one on some days, in the measures that would."""
    measures = [measure for measure in MEASURES if any(_differs(row, measure) for row in days.rows)]
    told = [row for row in days.rows if any(any(_counts(row, measure)) for measure in MEASURES)]
    rows = [
        [row.code, _name(row), row.level, *(count for measure in measures for count in _counts(row, measure))]
        for row in told
    ]
    names = [f"{measure}_{when}" for measure in measures for when in ("before", "after")]
    until = f" to {days.until}" if days.until else " on"
    output.rows(
        f"totals that change, in the tree from {days.on}{until}{', today' if days.today else ''}, of everything up to "
        f"position {position:,}: {len(rows)}",
        ["code", "name", "level", *names],
        rows,
    )


def _lines_of(totals: Preview | None) -> list[list[Any]]:
    """Return a line for each measure of each total that would be another one, as CSV has it."""
    return [
        ["total", row.code, _name(row), row.level, before, after, days.on, days.until, measure]
        for days in (totals.days if totals else ())
        for row in days.rows
        for measure in MEASURES
        if _differs(row, measure)
        for before, after in [_counts(row, measure)]
    ]


def _counts(row: PreviewRow, measure: str) -> tuple[int | None, int | None]:
    """Return a measure before and after; None where there is no such unit."""
    return (row.before or {}).get(measure), (row.after or {}).get(measure)


def _differs(row: PreviewRow, measure: str) -> bool:
    """Whether a measure is another number; nothing of a unit that is not there is 0."""
    before, after = _counts(row, measure)
    return (before or 0) != (after or 0)


def _name(row: PreviewRow) -> str:
    return f"unallocated under {row.name}" if row.unallocated else row.name
