"""The command line, a module for each kind of work."""

import click

from api.cli import (
    citizens,
    demo,
    frozen_reports,
    issuer,
    keys,
    operation,
    progress,
    proving,
    reading,
    reads,
    reasons,
    recording,
    targets,
    tokens,
    units,
    verifying,
    waiting,
)
from api.cli.common import VERSION, global_options


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 done; 1 something was refused; 2 wrong use; 3 not available (database); "
    "130 stopped by Ctrl-C. "
    "Start with: ledger demo. "
    'Completion for bash: eval "$(_LEDGER_COMPLETE=bash_source ledger)"; zsh_source and fish_source likewise.',
)
@global_options
@click.version_option(VERSION, prog_name="ledger")
def ledger_command(**_: object) -> None:
    """Record every collection, approval and activation of electronic identity accounts, for good.

    Without --database the ledger runs its own PostgreSQL in --home and needs no set-up.
    """


for _command in (
    demo.demo,
    operation.serve,
    operation.migrate,
    tokens.token,
    issuer.issuer,
    units.units,
    targets.denominators,
    targets.targets,
    reasons.reasons,
    recording.simulate,
    recording.import_,
    reading.totals,
    reading.overdue,
    progress.progress,
    waiting.worklist,
    waiting.ageing,
    frozen_reports.report,
    reading.history,
    citizens.citizens,
    keys.key,
    reads.reads,
    reads.embargo,
    reads.purposes,
    proving.reconcile,
    proving.cues,
    verifying.verify,
    operation.rebuild,
    operation.stop,
    operation.doctor,
):
    ledger_command.add_command(_command)

__all__ = ["ledger_command"]
