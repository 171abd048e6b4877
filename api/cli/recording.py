"""Make up a campaign; import reports."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta, timezone
from glob import escape
from pathlib import Path

import click

from api.campaign import DEFAULT_END, DEFAULT_START, NOTICE, Campaign
from api.campaign import simulate as simulate_campaign
from api.campaign import write as write_campaign
from api.cli.common import DAY, REFUSED, Context, command
from api.cli.output import note
from ledger.errors import ClockBehindError, ContentionError, FileInvalidError, StoreUnavailableError
from ledger.importing import LANES_MAX, ImportResult, import_file


@command("simulate")
@click.option("--dossiers", type=click.IntRange(1, 4_000_000), required=True, help="How many citizens.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Same seed, same bytes.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A file .csv, .ndjson or .jsonl.")
@click.option("--from", "start", type=DAY, default=DEFAULT_START, show_default=True, help="First day.")
@click.option("--to", "end", type=DAY, default=DEFAULT_END, show_default=True, help="Last day.")
def simulate(context: Context, dossiers: int, seed: int, out: Path, start: date, end: date) -> None:
    """Make up a campaign: invented citizens in the real units of Thanh Hoá, in the import format."""
    try:
        campaign = Campaign(dossiers=dossiers, seed=seed, start=start, end=end)
        with context.output.progress("making up", "dossiers") as progress:
            rows = simulate_campaign(campaign, on_progress=lambda done: progress(done, dossiers))
            summary = write_campaign(rows, out)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        raise FileInvalidError(f"{out} cannot be written: {error.strerror}") from None
    note(NOTICE, style="yellow")
    if "made-up" not in out.name:
        note(f"the name {out.name} does not say so: consider a name with made-up in it", style="yellow")
    counts = ", ".join(f"{count:,} {kind}" for kind, count in summary.by_type.items())
    context.output.answer(
        f"{out}: {summary.rows:,} made-up events: {counts}",
        {"file": str(out), "rows": summary.rows, "by_type": summary.by_type, "notice": NOTICE},
    )


_is_offset = re.compile(r"([+-])(\d\d):(\d\d)", re.ASCII).fullmatch


def _offset(_context: click.Context, _parameter: click.Parameter, value: str | None) -> timezone | None:
    if value is None:
        return None
    match = _is_offset(value)
    if match is None or int(match[2]) > 14 or int(match[3]) > 59:
        raise click.BadParameter("write it like +07:00")
    offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return timezone(offset if match[1] == "+" else -offset)


@command("import")
@click.argument("file", metavar="FILE")
@click.option("--atomic", is_flag=True, help="All lines or none; at most 100,000 lines.")
@click.option("--dry-run", is_flag=True, help="Decide and count, but record nothing.")
@click.option(
    "--offset", callback=_offset, metavar="+07:00", help="For times that have no offset; else refused."
)
@click.option(
    "--lanes",
    type=click.IntRange(1, LANES_MAX),
    help="How many processes share the work.  [default: as the file and this machine suggest]",
)
def import_(
    context: Context, file: str, *, atomic: bool, dry_run: bool, offset: timezone | None, lanes: int | None
) -> None:
    """Record the reports of FILE (CSV, or JSON objects a line each); - reads standard input.

    The order of the lines does not matter, and importing a file twice records nothing the
    second time. Refused lines go to FILE.refused.csv (import.refused.csv where there is no FILE), to be
    corrected and imported as they are.
    """
    # Neither beside - nor beside /dev/stdin and what a shell makes of <(...) is there a place for a file.
    beside = Path(file).is_file() and Path(file).absolute().parts[1] not in {"dev", "proc"}
    refused_path = Path(f"{file}.refused.csv" if beside else "import.refused.csv")
    try:
        # Not click's own for standard input: lanes can share only what they know to be a plain file.
        source = open(0, "rb", closefd=False) if file == "-" else Path(file).open("rb")  # noqa: SIM115
    except OSError as error:
        raise FileInvalidError(f"{file} cannot be read: {error.strerror}") from None
    older = _kept(refused_path)
    with (
        source,
        context.ledger(make=True) as ledger,
        context.output.progress("importing", "lines") as progress,
        _saying_what_stays(dry_run),
    ):
        result = import_file(
            ledger,
            source,
            refused_path=refused_path,
            atomic=atomic,
            dry_run=dry_run,
            offset=offset,
            lanes=lanes,
            on_progress=progress,
        )
    _tell(context, result, dry_run=dry_run)
    if result.refused:
        if dry_run:
            note(
                f"lines that would be refused: {result.refused:,}; they stand with their reasons in {refused_path}: "
                f"correct them in {'the input' if file == '-' else file}",
                style="yellow",
            )
        else:
            note(
                f"refused lines: {result.refused:,}; correct them in {refused_path} and import that file",
                style="yellow",
            )
        for path in sorted(_kept(refused_path) - older):
            note(f"the {refused_path} of before is kept as {path}", style="yellow")
        click.get_current_context().exit(REFUSED)


def _kept(refused_path: Path) -> set[Path]:
    """Return the older files of refused lines, which an import keeps beside its own."""
    return set(refused_path.parent.glob(f"{escape(refused_path.name)}.*"))


@contextmanager
def _saying_what_stays(dry_run: bool) -> Iterator[None]:
    """Note on what ends an import in the middle how to go on."""
    try:
        yield
    except (KeyboardInterrupt, StoreUnavailableError, ContentionError, ClockBehindError) as error:
        if not dry_run:
            error.add_note("what was recorded stays, and importing the file again records the rest")
        raise


def _tell(context: Context, result: ImportResult, *, dry_run: bool) -> None:
    if context.output.form == "json":
        context.output.document(result)
    else:
        names = ["read", "recorded", "duplicates", "refused", "first_position", "last_position", "seconds"]
        title = "would be recorded; nothing was" if dry_run else "import"
        context.output.rows(title, names, [[getattr(result, name) for name in names]])
        rate = result.recorded / result.seconds if result.seconds else 0
        if rate and not dry_run:
            context.output.say(f"{rate:,.0f} events/s")
