"""Everything the environment may say, read once by ``main`` and by nothing else."""

import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from api.edge.buckets import Rate
from api.edge.settings import EdgeSettings
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
    purposes_file: Path | None = None
    """What anybody may look at a dossier for; absent: what comes with the package."""
    four_eyes: bool = False
    """Whether corrections count only once another officer has confirmed them."""
    edge: EdgeSettings = EdgeSettings()
    """How a server lets requests in."""
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
                ("--purposes-file", self.purposes_file, None),
            )
            if value != default
        ]
        given = "".join(f" {name} {shlex.quote(value)}" for name, value in options)
        given += " --four-eyes" if self.four_eyes else ""
        return f"{self.program}{given} {command}"


def read_settings(environment: Mapping[str, str], called: str = "ledger") -> Settings:
    """Return the settings that the variables LEDGER_* make.

    They are LEDGER_DATABASE_URL, LEDGER_HOME, LEDGER_SCHEMA, LEDGER_KEY_FILE, LEDGER_REASONS_FILE,
    LEDGER_PURPOSES_FILE,
    LEDGER_FOUR_EYES, and of a server LEDGER_HOSTS, LEDGER_RATE, LEDGER_BURST and LEDGER_LOG. Empty is the same as absent.

    Args:
        called: As the system calls the program: sys.argv[0].

    Raises:
        ValueError: LEDGER_FOUR_EYES is neither yes nor no, or another one is not what it may be.
    """
    return Settings(
        database=environment.get("LEDGER_DATABASE_URL") or None,
        home=_path(environment, "LEDGER_HOME") or default_home(),
        schema=environment.get("LEDGER_SCHEMA") or "ledger",
        key_file=_path(environment, "LEDGER_KEY_FILE"),
        reasons_file=_path(environment, "LEDGER_REASONS_FILE"),
        purposes_file=_path(environment, "LEDGER_PURPOSES_FILE"),
        four_eyes=_flag(environment, "LEDGER_FOUR_EYES"),
        edge=_edge(environment),
        program=_program(called, environment.get("PATH", "")),
    )


def _edge(environment: Mapping[str, str]) -> EdgeSettings:
    default = EdgeSettings()
    log = environment.get("LEDGER_LOG") or "plain"
    if log not in ("plain", "json"):
        raise ValueError(f"LEDGER_LOG must be plain or json; it is {log!r}")
    return EdgeSettings(
        hosts=tuple(environment.get("LEDGER_HOSTS", "").replace(",", " ").split()),
        rate=Rate(
            _number(environment, "LEDGER_RATE", default.rate.per_second),
            round(_number(environment, "LEDGER_BURST", default.rate.burst)),
        ),
        log="json" if log == "json" else "plain",
    )


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name)
    if not text:
        return default
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number <= 1e9:
        raise ValueError(f"{name} must be a number from 0 to 1,000,000,000; it is {text!r}")
    return number


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
