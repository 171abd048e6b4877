"""Check a proof without the ledger: no database, no network, and the code of one file alone."""

from pathlib import Path

import click

from api.cli.common import REFUSED, Context, command
from api.cli.output import Output
from ledger.tlog.verify import PolicyMalformedError, Report
from ledger.tlog.verify import verify as verify_file


@command("verify")
@click.argument("bundle", type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path))
@click.option(
    "--policy",
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
    required=True,
    help="Whom you trust: the log's key, and which witnesses must have co-signed (C2SP tlog-policy).",
)
def verify(context: Context, bundle: Path, policy: Path) -> None:
    """Check a dossier's bundle, or one event's proof, against what its log and its witnesses have signed.

    Asks nobody: the same as running the file ledger/tlog/verify.py alone. Exit status 1: something is not true,
    and each fault is named.
    """
    try:
        report = verify_file(bundle.read_bytes(), policy.read_bytes())
    except (OSError, PolicyMalformedError) as error:
        raise click.UsageError(str(error)) from None
    _tell(context.output, report)
    if not report.is_true:
        click.get_current_context().exit(REFUSED)


def _tell(output: Output, report: Report) -> None:
    if output.form == "json":
        output.document(report.document())
        return
    for line in (report.sentence, *report.remarks):
        output.say(line)
    columns = ["version", "position", "recorded_at", "type", "level", "occurred_at", "unit", "actor"]
    if output.form == "table":
        if report.events:
            output.rows("events", columns, [[event[column] for column in columns] for event in report.events])
        if report.faults:
            names = ["fault", "version", "detail"]
            output.rows("faults", names, [[fault[name] for name in names] for fault in report.faults])
        return
    # One table for programs: an event with what is wrong with it, then what is wrong with the whole.
    rows = [
        [*(event[column] for column in columns), " ".join(_faults_of(report, event["version"]))]
        for event in report.events
    ]
    whole = [[None] * len(columns) + [fault] for fault in _faults_of(report, None)]
    output.rows("", [*columns, "faults"], rows + whole)


def _faults_of(report: Report, version: int | None) -> list[str]:
    """Return what is wrong with an event, by name; None: with the whole."""
    return [one["fault"] for one in report.faults if one["version"] == version]
