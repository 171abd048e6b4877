"""The program ``ledger``."""

import os
import resource
import sys

import click

from api.cli import ledger_command
from api.settings import read_settings


def main() -> None:
    """Run the command line; the only place that reads the environment."""
    # A crash would write the memory, with whatever personal numbers are in it, to a file that nobody looks after.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    try:
        settings = read_settings(os.environ, sys.argv[0])
    except ValueError as error:
        wrong = click.UsageError(str(error))
        wrong.show()
        sys.exit(wrong.exit_code)
    sys.exit(ledger_command.main(obj=settings, prog_name="ledger", standalone_mode=True))


if __name__ == "__main__":
    main()
