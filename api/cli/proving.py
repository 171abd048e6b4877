"""Prove what the read models say."""

from collections.abc import Sequence
from datetime import date

import click

from api.cli.common import DAY, REFUSED, Context, command
from api.cli.output import note
from projections import Reconciled, catch_up, open_totals
from projections import reconcile as prove


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
            f"{found.events:,} events of {found.dossiers:,} dossiers in {found.seconds:g} s; true for position "
            f"{found.position:,}, recorded {found.recorded_at:%Y-%m-%d %H:%M:%S} UTC"
        )
        if found.difference is None:
            output.say("everything adds up")
    if found.difference is not None:
        note(f"first difference: {found.difference.sentence}", style="red")
