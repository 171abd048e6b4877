"""Frozen reports: freeze, show again byte for byte, list, and tell what has become of them."""

from typing import Any

import click
import msgspec

from api.cli.common import Context, command
from api.cli.output import Output, note
from api.cli.reading import query_options, tell_totals
from api.frozen_reports import flat_changes, flat_events, list_reports, row_of
from projections import TotalsQuery, freeze_report, reissue_report, report_changes
from projections.report_changes import KINDS, PAGE_MAX, Kind
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


@command("changes")
@click.argument("name", metavar="NAME")
@click.option("--kind", type=click.Choice(KINDS), help="Only events of this kind.")
@click.option(
    "--position", type=click.IntRange(0), help="What now is; default: the position when the command begins."
)
@click.option("--after", type=click.IntRange(0), default=0, help="Only events after this position.")
@click.option(
    "--limit",
    type=click.IntRange(1, PAGE_MAX),
    default=100,
    show_default=True,
    help="At most so many events.",
)
@click.option("--events", is_flag=True, help="With --format csv the events, not the counts.")
def changes(
    context: Context,
    *,
    name: str,
    kind: Kind | None,
    position: int | None,
    after: int,
    limit: int,
    events: bool,
) -> None:
    """Tell what has become of the report NAME: each count then and now, and every event between the two.

    Each count adds up: frozen, and what arrived late, occurred since, was corrected, was allocated and was moved by
    reorganisations, is what is counted now.
    """
    with context.totals() as (ledger, totals):
        answer = report_changes(
            ledger,
            totals,
            name,
            position=totals.position() if position is None else position,
            kind=kind,
            after=after,
            limit=limit,
        )
    output = context.output
    if output.form == "json":
        output.document(answer)
    elif output.form == "csv":
        output.rows("", *(flat_events(answer) if events else flat_changes(answer, everything=True)))
    else:
        told = f"frozen at position {answer.frozen_position:,}, now {answer.position:,}"
        _tell_table(output, f"{name}: {told}", *flat_changes(answer, everything=False))
        _tell_table(output, "the events behind it", *flat_events(answer))
    if answer.next is not None:
        note(f"there are more events: --after {answer.next}")


def _tell_table(output: Output, title: str, columns: list[str], lines: list[list[Any]]) -> None:
    """Print a table for people: without the columns that say nothing."""
    if not lines:
        output.say(f"{title}: nothing")
        return
    chosen = [
        index
        for index, column in enumerate(columns)
        if column in _ALWAYS or any(line[index] for line in lines)
        if column != "unit_level" or len({line[index] for line in lines}) > 1
    ]
    cells = [[line[index] for index in chosen] for line in lines]
    output.rows(title, [columns[index].removeprefix("unit_") for index in chosen], cells)


_ALWAYS = ("frozen", "now", "difference", "count")


for _command in (freeze, show, list_, changes):
    report.add_command(_command)
