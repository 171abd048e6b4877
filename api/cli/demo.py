"""One command from nothing to a working ledger."""

import tempfile
from datetime import date
from pathlib import Path

import click

from api.campaign import NOTICE, Campaign, made_up_name, simulate, write
from api.cli.common import Context, command
from api.cli.operation import run_server
from api.cli.output import note
from api.cli.reading import tell_totals
from ledger.importing import import_file
from projections import TotalsQuery, catch_up, open_totals

UNITS_VALID_FROM = date(2021, 1, 1)
PROVINCE = "38"
MARK = "made-up-demo.txt"
"""Says of a home that its ledger is invented, so that it is never mixed with a real one."""


@command("demo")
@click.option("--dossiers", type=click.IntRange(1, 4_000_000), default=20_000, show_default=True)
@click.option("--no-serve", is_flag=True, help="Stop after the totals.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
def demo(context: Context, *, dossiers: int, no_serve: bool, port: int) -> None:
    """Fill an embedded ledger with a made-up campaign in the real units of Thanh Hoá, and serve it.

    It takes a home that is new, or the demo's from before: then it records nothing new.
    """
    if context.settings.database:
        raise click.UsageError(
            "the demo runs on its own PostgreSQL: leave --database and LEDGER_DATABASE_URL away"
        )
    mark = context.settings.home / MARK
    note(NOTICE, style="yellow")
    with context.ledger(make=True) as ledger, tempfile.TemporaryDirectory() as folder:
        if ledger.head().position and not mark.exists():
            raise click.UsageError(
                f"{context.settings.home} holds a ledger that is no demo; give the demo a home of its own with --home"
            )
        mark.write_text(NOTICE + "\n", encoding="utf-8")
        loaded = ledger.load_units("units_2024.csv", valid_from=UNITS_VALID_FROM)
        note(f"units of Thanh Hoá, 2024: {loaded.opened} opened, {loaded.unchanged} open already")
        campaign = Campaign(dossiers=dossiers, seed=1)
        path = Path(folder) / made_up_name(campaign)
        with context.output.progress("making up", "dossiers") as progress:
            write(simulate(campaign, on_progress=lambda done: progress(done, dossiers)), path)
        with path.open("rb") as file, context.output.progress("importing", "lines") as progress:
            result = import_file(
                ledger, file, refused_path=Path(folder) / "refused.csv", on_progress=progress
            )
        note(
            f"the campaign: {result.recorded:,} events recorded, {result.duplicates:,} were already, "
            f"{result.refused:,} refused, in {result.seconds:.1f} s"
        )
        totals = open_totals(ledger)
        with context.output.progress("counting", "events") as progress:
            catch_up(ledger.database, on_progress=progress)
        tell_totals(context.output, totals.read(TotalsQuery(unit=PROVINCE)), ["unit"])
    look, stop = (context.settings.suggest(words) for words in ("totals --unit 401", "stop"))
    note(f"look further: {look}; this stops its PostgreSQL: {stop}")
    if not no_serve:
        run_server(context, host="127.0.0.1", port=port, workers=1)
