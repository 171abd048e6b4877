"""Change units: each command records one reorganisation, whole, or shows what it would change."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import click
import msgspec

from api.cli.common import DAY, Context, command
from api.cli.output import told_time
from api.cli.told_changes import tell_change
from api.units import ChangeRow, list_changes
from ledger import Ledger
from ledger.application import UnitsChanged
from ledger.units import LEVELS
from ledger.units.commands import (
    AbolishUnits,
    AnyUnitsCommand,
    MergeUnits,
    MoveUnits,
    RenameUnit,
    SplitUnit,
    WithdrawReorganisation,
)
from projections import preview

Function = Callable[..., None]


_dry_run = click.option(
    "--dry-run", is_flag=True, help="Show every unit and total that changes, and record nothing."
)
_actor = click.option(
    "--actor", metavar="CODE", default="local", show_default=True, help="Staff code of who does it."
)
_unit = click.option("--unit", metavar="CODE", required=True, help="Its code on the day before.")
_units = click.option(
    "--unit",
    "units",
    metavar="CODE",
    required=True,
    multiple=True,
    help="Its code on the day before; repeat it.",
)


def _by_law(function: Function) -> Function:
    """Take what every change of units needs."""
    for option in (
        _dry_run,
        _actor,
        click.option("--decree", metavar="TEXT", required=True, help="The legal basis."),
        click.option(
            "--effective", type=DAY, required=True, help="First day (Vietnam) on which it holds; may be past."
        ),
    ):
        function = option(function)
    return function


@command("rename")
@_unit
@click.option("--name", metavar="TEXT", help="What it is called from then on.")
@click.option("--code", metavar="CODE", help="The code that it has from then on.")
@_by_law
def rename(context: Context, *, dry_run: bool, **fields: Any) -> None:
    """Give a unit another name, another code, or both."""
    _change(context, RenameUnit(**fields), dry_run=dry_run)


@command("move")
@_units
@click.option(
    "--parent",
    metavar="CODE",
    required=True,
    help="Under which unit they stand then; '' puts them at the top.",
)
@_by_law
def move(context: Context, *, units: tuple[str, ...], parent: str, dry_run: bool, **fields: Any) -> None:
    """Put units, with everything under them, under another parent."""
    _change(context, MoveUnits(units=units, parent=parent or None, **fields), dry_run=dry_run)


@command("merge")
@_units
@click.option("--into", metavar="CODE", required=True, help="Whose people they are from then on.")
@_by_law
def merge(context: Context, *, dry_run: bool, **fields: Any) -> None:
    """End units; what counts there counts at another one from then on.

    It also decides where the people of a unit went that ended the day before, and of which nobody had said it.
    """
    _change(context, MergeUnits(**fields), dry_run=dry_run)


@command("split")
@_unit
@click.option(
    "--part",
    "parts",
    metavar="CODE",
    required=True,
    multiple=True,
    help="A unit where people went; repeat it.",
)
@click.option("--land", metavar="CODE", multiple=True, help="A unit that got land alone.")
@_by_law
def split(context: Context, *, dry_run: bool, **fields: Any) -> None:
    """End a unit of which several others, open that day, have parts.

    What counts there is unallocated under the nearest unit above all parts, until dossiers are allocated.
    """
    _change(context, SplitUnit(**fields), dry_run=dry_run)


@command("abolish")
@click.option("--unit", metavar="CODE", help="This unit; its code on the day before.")
@click.option("--level", type=click.Choice(LEVELS), help="Every unit of this level.")
@_by_law
def abolish(context: Context, *, unit: str | None, level: str | None, dry_run: bool, **fields: Any) -> None:
    """End a unit, or a whole level; what stands under it stands under its parent then."""
    if (unit is None) == (level is None):
        raise click.UsageError("name --unit or --level, one of them")
    _change(context, AbolishUnits(unit=unit, level=level, **fields), dry_run=dry_run)


@command("reorganise")
@click.option(
    "--tree",
    metavar="FILE",
    required=True,
    help="The units from that day on: CSV code,name,level,parent_code.",
)
@click.option(
    "--map",
    "map_",
    metavar="FILE",
    required=True,
    help="Where the people of each went: CSV old_code,new_code,kind.",
)
@_by_law
def reorganise(context: Context, *, tree: str, map_: str, dry_run: bool, **fields: Any) -> None:
    """Replace the tree of the day before by another one, all of it or nothing.

    With the program come, for Thanh Hoá, units_2025-01-01.csv with merge_2025-01-01.csv, and units_2025.csv with
    merge_2025.csv; give the bare names. Every old unit of the levels in the map needs a line. A kind that begins with
    unchanged, renamed, retyped, recoded or moved leaves the unit what it is; whole, merged or absorbed ends it; part and
    part_area_only (land without people), on several lines, split it. Absorbed without a new code stays unallocated until
    ledger units merge decides.
    """
    _change(context, lambda ledger: ledger.reorganise(tree, map_, dry_run=dry_run, **fields), dry_run=dry_run)


@command("withdraw")
@click.argument("reorganisation", metavar="ID", type=click.UUID)
@click.option("--reason", metavar="TEXT", required=True, help="Why it should never have been.")
@click.option("--decree", metavar="TEXT", help="The legal basis, where there is one; a mistake needs none.")
@_actor
@_dry_run
def withdraw(context: Context, *, dry_run: bool, **fields: Any) -> None:
    """Take a reorganisation back, whole: the tree is as if it had never been; both stay in the log.

    ledger units changes shows the ids. Refused where something recorded since needs it: withdraw that first.
    """
    _change(context, WithdrawReorganisation(**fields), dry_run=dry_run)


@command("changes")
def changes(context: Context) -> None:
    """List the changes of units in the order in which they were recorded, withdrawn ones too.

    Each with its decree, effective day, officer and when it was recorded. A list that was loaded (ledger units load) has no id,
    and may have no decree: that is told as none.
    """
    with context.ledger() as ledger:
        answer = list_changes(ledger)
    if context.output.form == "json":
        context.output.document(answer)
        return
    rows = [msgspec.to_builtins(row) for row in answer.rows]
    if context.output.form == "table":
        rows = [row | _for_people(change) for row, change in zip(rows, answer.rows, strict=True)]
    context.output.rows(
        f"changes of units: {len(rows)}", ChangeRow.__struct_fields__, [list(row.values()) for row in rows]
    )


def _for_people(change: ChangeRow) -> dict[str, str]:
    """Return what a table says in other words: a decree that lacks, and times to the second."""
    told = {"decree": change.decree or "none", "recorded_at": told_time(change.recorded_at)}
    if change.withdrawn_recorded_at is not None:
        told |= {
            "withdrawn_decree": change.withdrawn_decree or "none",
            "withdrawn_recorded_at": told_time(change.withdrawn_recorded_at),
        }
    return told


COMMANDS = (rename, move, merge, split, abolish, reorganise, withdraw, changes)


def _change(
    context: Context, change: AnyUnitsCommand | Callable[[Ledger], UnitsChanged], *, dry_run: bool
) -> None:
    with ExitStack() as stack:
        ledger = stack.enter_context(context.ledger())
        changed = change(ledger) if callable(change) else ledger.change_units(change, dry_run=dry_run)
        totals = None
        if dry_run:
            # Of everything that is recorded, so that what it would do to the totals is true.
            _, read = stack.enter_context(context.totals())
            totals = preview(read, changed.plan)
    tell_change(context.output, changed, totals)
