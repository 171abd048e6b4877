"""Dossiers that wait: which, and for how long."""

from datetime import date

import click

from api.cli.common import DAY, Context, command
from api.cli.output import Output, note, note_provisional, true_for
from api.worklist import rows_of_ageing, rows_of_worklist
from ledger.business_time import VIETNAM
from ledger.commands import PLACES
from projections import AgeingQuery, WorklistAnswer, WorklistQuery, open_ageing, open_worklist
from projections.ageing import MEASURES, By
from projections.waits import NAME
from projections.worklist import PAGE_MAX, Awaiting, Waits


@command("worklist")
@click.option("--unit", metavar="CODE", help="This unit with everything under it; default: the whole ledger.")
@click.option("--awaiting", type=click.Choice(["approval", "activation"]), help="Only what waits for this.")
@click.option("--state", type=click.Choice(["collected", "approved", "notified"]), help="Only in this state.")
@click.option("--level", type=click.IntRange(1, 2), help="Only this level.")
@click.option(
    "--overdue/--not-overdue", default=None, help="Only those whose time is up, or only the others."
)
@click.option("--place", type=click.Choice(sorted(PLACES)), help="Only what was collected at such a place.")
@click.option("--team", metavar="CODE", help="Only what this team collected.")
@click.option("--actor", metavar="CODE", help="Only what this officer collected.")
@click.option(
    "--residence", metavar="CODE", help="Only citizens who live here: the unit's code as it was sent."
)
@click.option(
    "--limit", type=click.IntRange(1, PAGE_MAX), default=100, show_default=True, help="Rows of a page."
)
@click.option("--cursor", metavar="TEXT", help="Go on where a page has ended; ask for the same.")
def worklist(
    context: Context,
    unit: str | None,
    awaiting: Awaiting | None,
    state: Waits | None,
    level: int | None,
    overdue: bool | None,
    place: str | None,
    team: str | None,
    actor: str | None,
    residence: str | None,
    limit: int,
    cursor: str | None,
) -> None:
    """List dossiers that wait for their approval or activation: those overdue first, then the oldest.

    Ids only; ledger history tells of one of them. An approval may take 1 working day for level 1, 3 for level 2, 7
    where the identity card is expired or missing; an activation 7 days from the notice (Decree 69/2024, Art. 13, 14).
    """
    query = WorklistQuery(
        unit=unit,
        awaiting=awaiting,
        state=state,
        level=level,
        overdue=overdue,
        place=place,
        team=team,
        actor=actor,
        residence=residence,
        limit=limit,
        cursor=cursor,
    )
    with context.caught_up(NAME) as ledger:
        answer = open_worklist(ledger).read(query)
    _tell_worklist(context.output, answer)


def _tell_worklist(output: Output, answer: WorklistAnswer) -> None:
    if answer.provisional:
        note_provisional("counted")
    if output.form == "json":
        output.document(answer)
        return
    if output.form == "csv":
        output.rows("", *rows_of_worklist(answer))
    else:
        several = len({row.level for row in answer.rows}) > 1
        rows = [
            [
                str(row.dossier_id),
                *([row.level] if several else []),
                row.state,
                f"{row.since.astimezone(VIETNAM):%Y-%m-%d %H:%M}",
                row.age_days,
                "yes" if row.overdue else "",
                str(row.due or ""),
                " ".join(filter(None, (row.unit["code"], row.unit["name"])))
                + ("" if row.allocated else " *"),
                row.residence,
                row.place,
                row.team,
                row.actor,
            ]
            for row in answer.rows
        ]
        columns = [
            "dossier",
            *(["level"] if several else []),
            "state",
            "since",
            "days",
            "overdue",
            "due",
            "unit",
        ]
        output.rows(
            f"on {answer.on}; {true_for(answer.position, answer.recorded_at)}",
            [*columns, "residence", "place", "team", "actor"],
            rows,
        )
        if not all(row.allocated for row in answer.rows):
            output.say("* under this unit; nobody has said yet to which of its parts the dossier belongs")
    if answer.next:
        note(f"there are more: --cursor {answer.next}")


@command("ageing")
@click.option("--unit", metavar="CODE", help="This unit with everything under it; default: the whole ledger.")
@click.option(
    "--by",
    type=click.Choice(["unit", "province", "district", "commune"]),
    default="unit",
    show_default=True,
    help="What the rows are; unit: the direct children.",
)
@click.option("--level", type=click.IntRange(1, 2), help="Only this level.")
@click.option("--from", "start", type=DAY, help="First day (Vietnam) on which a wait ended that is told.")
@click.option("--to", "end", type=DAY, help="Last such day, included.")
def ageing(
    context: Context, unit: str | None, by: By, level: int | None, start: date | None, end: date | None
) -> None:
    """Tell how long dossiers have been waiting, and how long approvals and activations took.

    By days: waiting now since 0 to 1, 2 to 3, 4 to 7, 8 to 30 or more days, with the median (p50) and the 90th
    percentile; and of the waits that ended on the days asked for, how many and how long they took.
    """
    query = AgeingQuery(unit=unit, by=by, level=level, from_day=start, to_day=end)
    with context.caught_up(NAME) as ledger:
        answer = open_ageing(ledger).read(query)
    output = context.output
    if output.form == "json":
        output.document(answer)
        return
    columns, rows = rows_of_ageing(answer)
    for total in answer.sum if output.form == "table" else ():
        rows.append(["total", "", "", total["step"], *(total[name] for name in MEASURES)])
    output.rows(
        f"on {answer.on}; {true_for(answer.position, answer.recorded_at)}",
        columns,
        rows,
    )
