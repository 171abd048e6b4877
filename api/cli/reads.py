"""Who looked at a dossier, embargoes, and what one may look for."""

import sys
from datetime import date
from uuid import UUID

import click
import msgspec

from api.cli.citizens import checked_text, read_citizen
from api.cli.common import DAY, Context, command, group
from api.cli.output import note, told_time
from api.purposes import list_purposes
from ledger import Looks, read_purposes
from ledger.reads import DropDone, DropPlan
from ledger.reads.purposes import COLUMNS

_DOSSIER = click.option("--dossier", metavar="ID", type=click.UUID, required=True, help="The dossier's id.")
_TEXT = click.option("--text", metavar="TEXT", required=True, help="Why; up to 200 characters.")


@group("reads")
@click.option("--citizen", metavar="-|NUMBER", help="The 12-digit number; - reads it from standard input.")
@click.option("--dossier", metavar="ID", type=click.UUID, help="The dossier's id.")
def reads(context: Context, citizen: str | None, dossier: UUID | None) -> None:
    """Tell who has looked at a dossier, when, what for and what they were told; also that this was asked.

    Give the number on standard input (--citizen -), so that it stays out of the shell's history. What is older than five
    years can be dropped: ledger reads drop.
    """
    if (citizen is None) == (dossier is None):
        raise click.UsageError("name --citizen or --dossier, one of them")
    number = read_citizen(citizen)
    with context.ledger() as ledger:
        found = ledger.looks(dossier or ledger.find(number or ""))
    _tell(context, found)


def _tell(context: Context, found: Looks) -> None:
    output = context.output
    if output.form == "json":
        output.document(found)
        return
    if found.known_from:
        note(f"looks from before {found.known_from} were dropped, but for dossiers under an embargo then")
    if found.embargo:
        note(f"under an embargo until {found.embargo}: others are told of no look for an investigation")
    output.rows(
        f"dossier {found.dossier_id}: who has looked, oldest first",
        ["position", "recorded_at", "type", "who", "kind", "unit", "what", "purpose", "text", "until"],
        [
            [
                row.position,
                told_time(row.recorded_at),
                row.type,
                row.who,
                row.kind,
                row.unit.code if row.unit else None,
                row.what,
                row.purpose,
                row.text,
                row.until,
            ]
            for row in found.rows
        ],
    )


@command("drop")
@click.option(
    "--before",
    metavar="DATE",
    type=DAY,
    required=True,
    help="Looks from before this day (Vietnam) go; five years ago at least.",
)
@click.option(
    "--reason",
    metavar="TEXT",
    type=checked_text("reason"),
    help="Why; it stays in the log of looks.  [needed to drop]",
)
@click.option(
    "--actor",
    metavar="CODE",
    type=checked_text("actor"),
    default="local",
    help="Who drops them; a staff code.",
)
@click.option("--dry-run", is_flag=True, help="Only tell how many.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def drop(context: Context, before: date, reason: str | None, actor: str, *, dry_run: bool, yes: bool) -> None:
    """Drop the looks from before a day, for good, once it was told how many; that is recorded.

    Dossiers under an embargo keep theirs. Without a terminal, where nobody can be asked, nothing is dropped without --yes.
    """
    with context.ledger() as ledger:
        planned = ledger.plan_drop(before)
        told = f"{planned.looks:,} looks from before {before}, up to position {planned.through:,}"
        if planned.kept:
            told += f"; {planned.kept:,} stay, of dossiers under an embargo"
        if dry_run or not planned.looks or not (yes or sys.stdin.isatty()):
            again = " (say --yes to drop them)" if planned.looks and not dry_run else ""
            _tell_drop(context, f"nothing was dropped: {told}{again}", planned, None)
            return
        if reason is None:
            raise click.UsageError("say why they are dropped, with --reason")
        if not yes:
            click.confirm(f"drop {told}, for good?", abort=True, err=True)
        done = ledger.drop_looks(planned, reason=reason, actor=actor)
    if not done.vacuumed:
        note("the table was in use and was not vacuumed; PostgreSQL does it by itself, later", style="yellow")
    _tell_drop(context, f"dropped, recorded at position {done.position:,}: {told}", planned, done)


def _tell_drop(context: Context, sentence: str, planned: DropPlan, done: DropDone | None) -> None:
    context.output.answer(
        sentence,
        {
            **msgspec.structs.asdict(planned),
            "dropped": done is not None,
            "position": done and done.position,
            "recorded_at": done and done.recorded_at,
        },
    )


reads.add_command(drop)


@click.group("embargo")
def embargo() -> None:
    """Keep back for a time who looked at a dossier for an investigation."""


@command("place")
@_DOSSIER
@click.option("--until", type=DAY, required=True, help="The last day (Vietnam) on which it lasts.")
@_TEXT
def place(context: Context, dossier: UUID, until: date, text: str) -> None:
    """Lay an embargo; it takes the place of one that lasts, and is told with the looks once it has ended."""
    with context.ledger() as ledger:
        ledger.place_embargo(dossier, until=until, text=text)
    context.output.answer(f"laid until {until}", {"dossier_id": dossier, "until": until})


@command("lift")
@_DOSSIER
@_TEXT
def lift(context: Context, dossier: UUID, text: str) -> None:
    """End an embargo before its day: everything comes to light."""
    with context.ledger() as ledger:
        ledger.lift_embargo(dossier, text=text)
    context.output.answer("lifted", {"dossier_id": dossier, "until": None})


embargo.add_command(place)
embargo.add_command(lift)


@command("purposes")
def purposes(context: Context) -> None:
    """List what anybody may look at a dossier for.

    A list of one's own begins with this: --format csv prints it as --purposes-file reads it.
    """
    answer = list_purposes(read_purposes(context.settings.purposes_file))
    if context.output.form == "json":
        context.output.document(answer)
        return
    rows = [msgspec.structs.asdict(purpose) for purpose in answer.rows]
    context.output.rows(
        f"{len(rows)} purposes", COLUMNS, [[row[column] for column in COLUMNS] for row in rows]
    )
