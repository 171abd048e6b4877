"""Run a program as another user, with nothing of our own: no environment, terminal, or working directory."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
"""All that the programs see of it: neither PG* settings nor the ledger's secrets."""


class User(NamedTuple):
    """Whom a program runs as, of no other groups; None in its place: as we do."""

    uid: int
    gid: int


def run(
    command: Sequence[str | Path], user: User | None = None, text: str = ""
) -> "subprocess.CompletedProcess[bytes]":
    """Run a short program to its end; what it said, on either stream, is in ``stdout``."""
    return subprocess.run(  # noqa: S603
        [str(part) for part in command],
        input=os.fsencode(text),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        cwd="/",
        env=_ENVIRONMENT,
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=[] if user else None,
    )


def succeeds(command: Sequence[str | Path], user: User | None) -> bool:
    """Return whether it ends well; it does not where the user may not even run it."""
    try:
        return run(command, user).returncode == 0
    except PermissionError:
        return False


def start(command: Sequence[str | Path], user: User | None, log: int) -> "subprocess.Popen[bytes]":
    """Start a program that outlives us, our terminal and our pipes; it speaks to the open file *log*."""
    return subprocess.Popen(  # noqa: S603
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        umask=0o077,
        cwd="/",
        env=_ENVIRONMENT,
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=[] if user else None,
    )
