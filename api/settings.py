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
    reasons_file: Path | None = None
    """The reasons that reports may name; absent: those that come with the package."""
    four_eyes: bool = False
    """Whether corrections count only once another officer has confirmed them."""
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
                ("--reasons-file", self.reasons_file, None),
            )
            if value != default
        ]
        given = "".join(f" {name} {shlex.quote(value)}" for name, value in options)
        given += " --four-eyes" if self.four_eyes else ""
        return f"{self.program}{given} {command}"


def read_settings(environment: Mapping[str, str], called: str = "ledger") -> Settings:
    """Return the settings that the variables LEDGER_* make.

    They are LEDGER_DATABASE_URL, LEDGER_HOME, LEDGER_SCHEMA, LEDGER_KEY_FILE, LEDGER_REASONS_FILE and
    LEDGER_FOUR_EYES. Empty is the same as absent.

    Args:
        called: As the system calls the program: sys.argv[0].

    Raises:
        ValueError: LEDGER_FOUR_EYES is neither yes nor no.
    """
    return Settings(
        database=environment.get("LEDGER_DATABASE_URL") or None,
        home=_path(environment, "LEDGER_HOME") or default_home(),
        schema=environment.get("LEDGER_SCHEMA") or "ledger",
        key_file=_path(environment, "LEDGER_KEY_FILE"),
        reasons_file=_path(environment, "LEDGER_REASONS_FILE"),
        four_eyes=_flag(environment, "LEDGER_FOUR_EYES"),
        program=_program(called, environment.get("PATH", "")),
    )


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    value = environment.get(name)
    return Path(value).expanduser().absolute() if value else None


def _flag(environment: Mapping[str, str], name: str) -> bool:
    value = environment.get(name) or "false"
    try:
        return {"true": True, "1": True, "false": False, "0": False}[value.lower()]
    except KeyError:
        # Whatever was meant, a guess would be wrong for half of those who mistype it.
        raise ValueError(f"{name} must be true, false, 1 or 0; it is {value!r}") from None


def _program(called: str, path: str) -> str:
    if called.endswith(".py"):
        return f"{shlex.quote(sys.executable)} -m api.main"
    found = shutil.which("ledger", path=path)
    return "ledger" if found and Path(found).resolve() == Path(called).resolve() else shlex.quote(called)
