"""Frozen reports: freeze, show again byte for byte, list."""

import click
import msgspec

from api.cli.common import Context, command
from api.cli.output import note
from api.cli.reading import query_options, tell_totals
from api.frozen_reports import list_reports, row_of
from projections import TotalsQuery, freeze_report, reissue_report
from projections.totals import read_bys


@click.group("report")
def report() -> None:
    """Totals as they were told on a day: freeze them, and tell them again for ever."""


@command("freeze")
@click.argument("name", metavar="NAME")
@query_options
@click.option("--title", metavar="TEXT", default="", help="What people call it.")
@click.option(
    "--actor", metavar="CODE", default="local", show_default=True, help="Whose doing it is, a staff code."
)
def freeze(context: Context, *, name: str, query: TotalsQuery, title: str, actor: str) -> None:
    """Freeze totals as the report NAME, at the position that the ledger has when the command begins.

    The name is given once; the same again, with the same --position or --known-at, changes nothing. A scheduled job
    names its cut-off, as --known-at 2024-12-09T23:00:00+07:00, and can be run again.
    """
    with context.totals() as (ledger, totals):
        if query.position is None and query.known_at is None:
            # The counts have just been brought here, or further.
            query = msgspec.structs.replace(query, position=totals.position())
        done = freeze_report(ledger, totals, name, query, title=title, actor=actor)
    row = row_of(done.frozen)
    told = "frozen" if done.new else "was frozen before, the same"
    context.output.answer(f"{name} {told}: position {row.position}, SHA-256 {row.sha256}", row)


@command("show")
@click.argument("name", metavar="NAME")
def show(context: Context, name: str) -> None:
    """Tell the report NAME again as it was frozen; with --format json byte for byte what its SHA-256 is of.

    It is computed again from the counts, and compared with the hash before anything is told. Where it differs, nothing is
    told, and the exit status is 1.
    """
    with context.totals() as (ledger, totals):
        found = reissue_report(ledger, totals, name)
    if context.output.form == "json":
        context.output.bytes(found.document)
        return
    frozen = found.frozen.report
    if context.output.form == "table":
        context.output.say(f"{frozen.name}: {frozen.title}" if frozen.title else frozen.name)
    tell_totals(context.output, found.answer, read_bys(",".join(frozen.definition.by)))
    note(f"as frozen, SHA-256 {frozen.sha256}")


@command("list")
def list_(context: Context) -> None:
    """List the reports that were frozen, in that order."""
    with context.ledger() as ledger:
        found = list_reports(ledger)
    if context.output.form == "json":
        context.output.document(found)
        return
    context.output.rows(
        f"{len(found.rows)} reports",
        ["name", "title", "position", "frozen_at", "recorded_at", "actor", "sha256"],
        [
            [
                row.name,
                row.title,
                row.position,
                row.frozen_at,
                f"{row.recorded_at:%Y-%m-%dT%H:%M:%SZ}",
                row.actor,
                row.sha256,
            ]
            for row in found.rows
        ],
    )


for _command in (freeze, show, list_):
    report.add_command(_command)
