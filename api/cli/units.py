"""Units: load and list; what changes them is in ``unit_changes.py``."""

from datetime import date

import click
import msgspec

from api.cli.common import DAY, Context, command
from api.cli.unit_changes import COMMANDS
from api.units import UnitRow, list_units


@click.group("units")
def units() -> None:
    """The police units and their tree: load from a file, list, change."""


@command("load")
@click.argument("file", metavar="FILE")
@click.option(
    "--valid-from", type=DAY, required=True, help="First day (Vietnam) on which the units are valid."
)
@click.option(
    "--decree", metavar="TEXT", help="The legal basis, for example NQ 1686/NQ-UBTVQH15.  [default: none]"
)
def load(context: Context, file: str, valid_from: date, decree: str | None) -> None:
    """Open the units of FILE, a CSV code,name,level,parent_code; all of them or none.

    The same file again changes nothing. With the program come units_2024.csv,
    units_2025-01-01.csv and units_2025.csv: Thanh Hoá; give the bare name.

    A decree is not asked for: the units that a ledger begins with were made by many, over many years. Every change after
    that needs one. ledger units changes tells a list without as none.
    """
    with context.ledger(make=True) as ledger:
        loaded = ledger.load_units(file, valid_from=valid_from, decree=decree)
    said = f"units opened: {loaded.opened}; open already: {loaded.unchanged}; decree: {decree or 'none'}"
    context.output.answer(said, loaded)


@command("list")
@click.option("--on", type=DAY, help="The tree valid on this day (Vietnam); default: today.")
@click.option("--under", metavar="CODE", help="Only this unit and everything under it.")
def list_(context: Context, on: date | None, under: str | None) -> None:
    """List the units valid on a day, parents before children."""
    with context.ledger() as ledger:
        answer = list_units(ledger, on=on, under=under)
    if context.output.form == "json":
        context.output.document(answer)
        return
    rows = [list(msgspec.structs.astuple(row)) for row in answer.rows]
    context.output.rows(f"{len(rows)} units valid on {answer.on}", UnitRow.__struct_fields__, rows)


for each in (load, list_, *COMMANDS):
    units.add_command(each)
