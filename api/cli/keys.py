"""The key file's wrapping keys: a new one, and the end of an old one."""

import click

from api.cli.common import Context, command
from api.cli.output import note
from ledger.wrapping import retire as retire_key
from ledger.wrapping import rotate as rotate_key


@click.group("key")
def key() -> None:
    """The key file: rotate the key that wraps citizens' keys. Back the file up after each change."""


@command("rotate")
@click.option(
    "--add-only", is_flag=True, help="Add a key, wrap nothing: first bring the file to other machines."
)
def rotate(context: Context, add_only: bool) -> None:
    """Add a wrapping key to the key file, and wrap every citizen's key with it; reports come in meanwhile.

    Where a rotation from before was not ended, that one is gone on with and no key is added.
    """
    with context.ledger() as ledger, context.output.progress("wrapping", "citizens") as progress:
        done = rotate_key(ledger.database, context.key_path, add_only=add_only, on_progress=progress)
    if done.added:
        note(f"the key file {context.key_path} has a new key: back it up", style="yellow")
    if done.behind:
        note(f"{done.behind:,} citizens need an older key still; run ledger key rotate again", style="yellow")
    context.output.answer(
        f"wrapping key {done.wrapping_key} seals; {done.rewrapped:,} citizens' keys were wrapped anew", done
    )


@command("retire")
@click.argument("number", type=click.IntRange(1, 255))
def retire(context: Context, number: int) -> None:
    """Take an old wrapping key out of the key file, if no citizen needs it.

    Backups from before the rotation need it to show numbers and notes: keep an old key file as long as those.
    """
    with context.ledger() as ledger:
        newest = retire_key(ledger.database, context.key_path, number)
    context.output.answer(
        f"wrapping key {number} is retired; wrapping key {newest} seals",
        {"retired": number, "wrapping_key": newest},
    )


key.add_command(rotate)
key.add_command(retire)
