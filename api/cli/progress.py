"""How far units are from their targets."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, get_args

import click
import msgspec

from api.cli.common import DAY, INSTANT, Context, command
from api.cli.output import NOT_AVAILABLE, Output, note_provisional, true_for
from ledger.target_events import MEASURES, Measure
from projections import GoalProgress, Progress, ProgressAnswer, ProgressQuery, ProgressRow
from projections.progress_counts import By

_COLUMNS = tuple(name for name in ProgressRow.__struct_fields__ if name != "unit")
_OF_GOAL = ("target_id", "issuer", "measure", "level", "from_day", "deadline", "days_left", "done", "rate_of")
"""What a table says once for all of its rows, or needs not say."""
CODES_TOLD_MAX = 8
"""Of units without a target, for people; programs get all."""


@command("progress")
@click.option("--unit", metavar="CODE", help="This unit and those under it; default: the whole ledger.")
@click.option(
    "--by",
    type=click.Choice(get_args(By)),
    default="unit",
    show_default=True,
    help="Which units the rows are of: the direct children, or all of a level under it.",
)
@click.option("--issuer", metavar="TEXT", help="Only this issuer's targets.")
@click.option("--measure", type=click.Choice(MEASURES), help="Only targets of this measure.")
@click.option("--level", type=click.IntRange(1, 2), help="Only targets for this level.")
@click.option(
    "--of",
    metavar="NAME",
    help="What the rate is a percentage of: a denominator, eligible say, or a measure, approved say.  "
    "[default: the target's own denominator]",
)
@click.option("--on", type=DAY, help="The day (Vietnam) at whose end it is said; default: today.")
@click.option("--running", is_flag=True, help="Only targets that run on that day.")
@click.option("--ended", is_flag=True, help="Also rows of units that have ended on the way.")
@click.option("--position", type=click.IntRange(0), help="Only what the ledger knew at this position.")
@click.option(
    "--known-at", type=INSTANT, help="Only what the ledger knew then, as 2024-12-09T23:00:00+07:00."
)
def progress(
    context: Context,
    *,
    unit: str | None,
    by: By,
    issuer: str | None,
    measure: Measure | None,
    level: int | None,
    of: str | None,
    on: date | None,
    running: bool,
    ended: bool,
    position: int | None,
    known_at: datetime | None,
) -> None:
    """Tell how far each unit is from its targets, in a league table for each goal.

    Percent is of the target; rate of the denominator. Ahead are days before the straight line to the deadline, behind it with a
    minus. The forecast is the count, and the pace of the last 7 days for every day that is left.
    """
    query = ProgressQuery(
        unit=unit,
        by=by,
        issuer=issuer,
        measure=measure,
        level=level,
        of=of,
        on=on,
        running=running,
        ended=ended,
        position=position,
        known_at=known_at,
    )
    with context.totals() as (ledger, totals):
        answer = Progress(ledger, totals).read(query)
    tell_progress(context.output, answer)


def tell_progress(output: Output, answer: ProgressAnswer) -> None:
    """Print progress in the form asked for."""
    if output.form == "json":
        output.document(answer)
        return
    if output.form == "csv":
        rows = [
            [kind, *row.unit.values(), *(getattr(row, name) for name in _COLUMNS)]
            for kind, told in (("whole", answer.whole), ("unit", answer.rows), ("ended", answer.ended))
            for row in told
        ]
        columns = ("from" if name == "from_day" else name for name in _COLUMNS)
        output.rows("", ["row", "code", "name", "unit_level", *columns], rows)
        return
    output.say(f"at the end of {answer.on}; {true_for(answer.position, answer.recorded_at)}")
    if not answer.goals:
        output.say("no unit asked about has a target; ledger targets list shows what there is")
    for goal in answer.goals:
        _tell_goal(output, answer, goal)


def _tell_goal(output: Output, answer: ProgressAnswer, goal: GoalProgress) -> None:
    rows, whole, ended = (
        [row for row in told if _is_of(row, goal)] for told in (answer.rows, answer.whole, answer.ended)
    )
    if goal.provisional:
        note_provisional("left")
    told = [*rows, *ended]
    left = f"{goal.days_left} days left, {goal.working_days_left} of them working days"
    title = (
        f"{goal.issuer}: {goal.measure}, {f'level {goal.level}' if goal.level else 'both levels'}, "
        f"{goal.from_day} to {goal.deadline}; {left if goal.days_left else 'the last day is over'}"
    )
    everybody = [*told, *whole]
    columns = [
        name
        for name in _COLUMNS
        if name not in _OF_GOAL
        # What there is of nobody only widens the table; but a target that is not available is told.
        and (
            name in ("count", "target", "percent") or any(getattr(row, name) is not None for row in everybody)
        )
    ]
    # A table needs a row; with none under it, the unit itself is one.
    total = ["", whole[0].unit["name"], *_values(whole[0], columns)] if whole and told else None
    output.rows(
        title,
        ["code", "name", *map(_header, columns)],
        [[row.unit["code"], row.unit["name"], *_values(row, columns)] for row in told or whole],
        total=total,
    )
    names = {row.rate_of for row in everybody} - {None}
    if names:
        output.say(f"rate: percent of {', '.join(sorted(map(str, names)))}")
    if rows:
        output.say(f"done: {goal.done} of {goal.of} units{_besides(goal)}")
    if goal.ended and not ended:
        output.say(f"{goal.ended} more have ended on the way: --ended shows them")


def _besides(goal: GoalProgress) -> str:
    lacking = f"; of {goal.not_available} the target is not available" if goal.not_available else ""
    codes = goal.without_target
    more = f" and {len(codes) - CODES_TOLD_MAX} more" if len(codes) > CODES_TOLD_MAX else ""
    without = f"; without a target: {', '.join(codes[:CODES_TOLD_MAX])}{more}" if codes else ""
    return lacking + without


def _is_of(row: ProgressRow, goal: GoalProgress) -> bool:
    return (row.issuer, row.measure, row.level, row.from_day, row.deadline) == (
        goal.issuer,
        goal.measure,
        goal.level,
        goal.from_day,
        goal.deadline,
    )


def _header(name: str) -> str:
    return {
        "rate_whole": "rate_of",
        "needed_per_day": "per_day",
        "needed_per_working_day": "per_working_day",
        "days_ahead": "ahead",
        "pace_7_days": "pace",
    }.get(name, name)


def _values(row: ProgressRow, columns: Sequence[str]) -> list[Any]:
    values = msgspec.structs.asdict(row)
    return [
        NOT_AVAILABLE if name in ("target", "percent") and row.target is None else values[name]
        for name in columns
    ]
