"""Prove what the read models say, and tell what is unusual in them."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import click
import msgspec

from api.cli.common import DAY, REFUSED, Context, command
from api.cli.output import Output, note, true_for
from projections import RULE_NAMES, CueQuery, Cues, CuesAnswer, Reconciled, RuleName, catch_up, open_totals
from projections import reconcile as prove
from projections.cues import CUES_MAX, POSITIONS_MAX


@command("reconcile")
@click.option(
    "--unit", metavar="CODE", help="Totals of this unit with everything under it; default: the whole ledger."
)
@click.option(
    "--hierarchy",
    "hierarchies",
    metavar="then|now|DATE",
    multiple=True,
    help="In which tree to prove totals; may be repeated. Default: then, now, and every day on which the tree changed.",
)
@click.option(
    "--on",
    type=DAY,
    multiple=True,
    help="Last day (Vietnam) to prove totals for; may be repeated. Default: all days.",
)
def reconcile(context: Context, unit: str | None, hierarchies: Sequence[str], on: Sequence[date]) -> None:
    """Count the whole log again by other code, and compare: every table, and every unit's total with its children's.

    True for every event recorded before the command began; others may write meanwhile. Tables are always compared
    whole. Exit status 1: something differs, and the first difference is named.
    """
    with context.ledger() as ledger:
        open_totals(ledger)
        with context.output.progress("counting", "events") as progress:
            catch_up(ledger.database, on_progress=progress)
        with context.output.stages() as stage:
            found = prove(ledger, unit=unit, hierarchies=hierarchies, on=on, on_progress=stage)
    _tell(context, found)
    if found.difference is not None:
        click.get_current_context().exit(REFUSED)


def _tell(context: Context, found: Reconciled) -> None:
    output = context.output
    if output.form == "json":
        output.document(found)
    else:
        output.rows(
            "the log, counted a second time",
            ["what", "compared", "differs"],
            [[one.what, one.compared, one.differs.sentence if one.differs else ""] for one in found.proved],
        )
        output.say(
            f"{found.events:,} events of {found.dossiers:,} dossiers in {found.seconds:g} s; "
            f"{true_for(found.position, found.recorded_at)}"
        )
        if found.difference is None:
            output.say("everything adds up")
    if found.difference is not None:
        note(f"first difference: {found.difference.sentence}", style="red")


@command("cues")
@click.option("--rule", type=click.Choice(RULE_NAMES), help="Only this rule; default: all.")
@click.option("--unit", metavar="CODE", help="This unit with everything under it; default: the whole ledger.")
@click.option("--actor", metavar="CODE", help="Only this officer's, by staff code.")
@click.option(
    "--from",
    "start",
    type=DAY,
    help="First day (Vietnam) on which it happened, of backdated on which it was recorded. Default: 31 days with the last.",
)
@click.option("--to", "end", type=DAY, help="Last day, included; default: today.")
@click.option(
    "--threshold",
    type=click.IntRange(1),
    help="From which number on it is told, instead of the rule's own; only with --rule.",
)
@click.option(
    "--lag-days",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Of backdated: how long before it was recorded it happened.",
)
@click.option(
    "--before-days",
    type=click.IntRange(0),
    default=2,
    show_default=True,
    help="Of backdated: how long before a deadline it was recorded.",
)
@click.option(
    "--seconds",
    type=click.IntRange(0),
    default=60,
    show_default=True,
    help="Of soon_after_approval: how soon.",
)
@click.option(
    "--limit", type=click.IntRange(1, CUES_MAX), default=100, show_default=True, help="How many cues."
)
@click.option("--offset", type=click.IntRange(0), default=0, help="How many cues to leave out first.")
@click.option(
    "--positions",
    type=click.IntRange(0, POSITIONS_MAX),
    default=20,
    show_default=True,
    help="How many positions of each cue.",
)
@click.option(
    "--positions-after",
    type=click.IntRange(0),
    default=0,
    help="Only positions after this one, for the next page.",
)
def cues(
    context: Context, *, rule: RuleName | None, start: date | None, end: date | None, **more: Any
) -> None:
    """Tell what is unusual, for people to look at: never a verdict, and mostly with a harmless reason.

    True for every event recorded before the command began. Positions are those of the events behind a cue. No rule is
    about devices: nothing in the log names one, and an event does not say which key or token sent it.
    """
    query = CueQuery(rule=rule, from_day=start, to_day=end, **more)
    with context.totals() as (ledger, totals):
        answer = Cues(ledger, totals).read(query)
    _tell_cues(context.output, answer)


def _tell_cues(output: Output, answer: CuesAnswer) -> None:
    if output.form == "json":
        output.document(answer)
        return
    people = output.form == "table"
    columns = [
        "rule",
        "code",
        "name",
        "level",
        "actor",
        "at",
        "number",
        "threshold",
        "over",
        "events",
        "positions",
    ]
    chosen = [column for column in columns if not people or column not in ("level", "events")]
    rows = []
    for cue in answer.cues:
        row = {**msgspec.to_builtins(cue), **cue.unit}
        shown = cue.positions[:_POSITIONS_FOR_PEOPLE] if people else cue.positions
        row["positions"] = " ".join(map(str, shown)) + (" ..." if people and len(shown) < cue.events else "")
        rows.append([row[column] for column in chosen])
    output.rows(
        f"{len(rows):,} of {answer.total:,} cues, {answer.from_day} to {answer.to_day}; true for position "
        f"{answer.position:,}",
        chosen,
        rows,
    )
    for rule in answer.rules:
        output.say(f"{rule.rule}: {rule.threshold} or more {rule.sentence}. May well be: {rule.harmless}")


_POSITIONS_FOR_PEOPLE = 3
