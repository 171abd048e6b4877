"""Whose a dossier is: show it, or make it nobody's."""

import sys
from uuid import UUID

import click

from api.cli.common import Checked, Context, command
from api.cli.output import note
from ledger.checks import check_text
from ledger.masking import masked


def checked_text(name: str) -> Checked:
    def read(text: str) -> str:
        check_text(name, text)
        return text

    return Checked(read)


def read_citizen(citizen: str | None) -> str | None:
    """Return the number that was given; ``-`` is asked for, or read from standard input."""
    if citizen != "-":
        return citizen
    # Asked for without an echo, and never an argument that other users of the machine could see.
    line = click.prompt("citizen", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline()
    return str(line).strip()


@click.group("citizens")
def citizens() -> None:
    """Whose dossiers are, in the sealed table: show a number to who may see it, erase a citizen."""


@command("reveal")
@click.option("--dossier", metavar="ID", type=click.UUID, required=True, help="The dossier's id.")
def reveal(context: Context, dossier: UUID) -> None:
    """Show the personal number of a dossier."""
    with context.ledger() as ledger:
        citizen = ledger.reveal(dossier)
    context.output.answer(citizen, {"dossier_id": dossier, "citizen": citizen})


@command("erase")
@click.option("--dossier", metavar="ID", type=click.UUID, help="The dossier's id.")
@click.option(
    "--citizen", metavar="-", type=click.Choice(["-"]), help="Reads the number from standard input."
)
@click.option(
    "--reason", metavar="TEXT", type=checked_text("reason"), required=True, help="Why; it stays in the log."
)
@click.option("--basis", metavar="TEXT", type=checked_text("basis"), help="The decree or decision.")
@click.option(
    "--actor", metavar="CODE", type=checked_text("actor"), default="local", help="Who erases; a staff code."
)
@click.option("--yes", is_flag=True, help="Do not ask; without a terminal nothing is asked anyhow.")
def erase(
    context: Context,
    dossier: UUID | None,
    citizen: str | None,
    reason: str,
    basis: str | None,
    actor: str,
    yes: bool,
) -> None:
    """Erase a citizen, for good: number and key are deleted, and that is recorded in the dossier.

    The dossier's events, counts and proofs stay; its notes cannot be read any more. Reported again, the number begins
    another dossier.
    """
    if (citizen is None) == (dossier is None):
        raise click.UsageError("name --citizen or --dossier, one of them")
    number = read_citizen(citizen)
    with context.ledger() as ledger:
        dossier_id = ledger.find(number) if number is not None else dossier
        assert dossier_id is not None
        if not yes and sys.stdin.isatty():
            whose = masked(ledger.reveal(dossier_id))
            click.confirm(f"erase citizen {whose} of dossier {dossier_id}, for good?", abort=True, err=True)
        erased = ledger.erase(dossier_id, reason=reason, basis=basis or "", actor=actor)
    if not erased.vacuumed:
        note("the table was in use and was not vacuumed; PostgreSQL does it by itself, later", style="yellow")
    context.output.answer(
        f"erased at position {erased.position:,}: dossier {dossier_id} is nobody's; backups from before still hold "
        "the number (docs/security.md)",
        erased,
    )


citizens.add_command(reveal)
citizens.add_command(erase)
