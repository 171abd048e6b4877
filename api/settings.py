"""Everything the environment may say, read once by ``main`` and by nothing else."""

import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ledger.embedded import default_home


class Settings(msgspec.Struct, frozen=True):
    """Which ledger a command works on."""

    database: str | None = None
    """URL of a PostgreSQL that is already there; absent: the home's own."""
    home: Path = msgspec.field(default_factory=default_home)
    schema: str = "ledger"
    key_file: Path | None = None
    """Absent: ``ledger.key`` in the home."""
    program: str = "ledger"
    """What to type to call us again, as a shell reads it."""

    def suggest(self, command: str) -> str:
        """Return *command* as it can be typed to work on the same ledger, whatever the environment says by then."""
        options = [
            (name, str(value))
            for name, value, default in (
                ("--home", self.home, default_home()),
                ("--schema", self.schema, "ledger"),
                ("--key-file", self.key_file, None),
            )
            if value != default
        ]
        given = "".join(f" {name} {shlex.quote(value)}" for name, value in options)
        return f"{self.program}{given} {command}"


def read_settings(environment: Mapping[str, str], called: str = "ledger") -> Settings:
    """Return the settings that LEDGER_DATABASE_URL, LEDGER_HOME, LEDGER_SCHEMA and LEDGER_KEY_FILE make.

    Empty is the same as absent.

    Args:
        called: As the system calls the program: sys.argv[0].
    """
    home = environment.get("LEDGER_HOME")
    key_file = environment.get("LEDGER_KEY_FILE")
    return Settings(
        database=environment.get("LEDGER_DATABASE_URL") or None,
        home=Path(home).expanduser().absolute() if home else default_home(),
        schema=environment.get("LEDGER_SCHEMA") or "ledger",
        key_file=Path(key_file).expanduser().absolute() if key_file else None,
        program=_program(called, environment.get("PATH", "")),
    )


def _program(called: str, path: str) -> str:
    if called.endswith(".py"):
        return f"{shlex.quote(sys.executable)} -m api.main"
    found = shutil.which("ledger", path=path)
    return "ledger" if found and Path(found).resolve() == Path(called).resolve() else shlex.quote(called)
