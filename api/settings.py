"""Everything the environment may say, read once by ``main`` and by nothing else."""

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


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings that LEDGER_DATABASE_URL, LEDGER_HOME, LEDGER_SCHEMA and LEDGER_KEY_FILE make.

    Empty is the same as absent.
    """
    home = environment.get("LEDGER_HOME")
    key_file = environment.get("LEDGER_KEY_FILE")
    return Settings(
        database=environment.get("LEDGER_DATABASE_URL") or None,
        home=Path(home).expanduser().absolute() if home else default_home(),
        schema=environment.get("LEDGER_SCHEMA") or "ledger",
        key_file=Path(key_file).expanduser().absolute() if key_file else None,
    )
