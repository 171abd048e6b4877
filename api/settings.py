"""Everything the environment may say, read once by ``main`` and by nothing else."""

import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from api.access.settings import RIGHTS_CLAIM, STAFF_CLAIM, TokenSettings
from api.edge.buckets import Rate
from api.edge.proxies import Networks, read_proxies
from api.edge.settings import EdgeSettings
from ledger.embedded import default_home
from ledger.key_ring import DAYS_MAX
from ledger.recording import DEFAULT_POLICY

SMALL_COUNTS_MAX = 1000
TOKEN_MINUTES_MAX = 1440
"""Nothing recalls a token before its end: a day of that is more than enough."""


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
    issuer: str | None = None
    """Whose access tokens the server takes; absent: API keys alone."""
    audience: str | None = None
    """What those tokens must be for."""
    jwks: Path | None = None
    """A file with the issuer's public keys; absent: the issuer is asked."""
    rights_claim: str = RIGHTS_CLAIM
    staff_claim: str = STAFF_CLAIM
    token_minutes_max: int = 60
    """How long an access token may be valid."""
    key_days_max: int = DAYS_MAX
    """How long an API key may be made to last."""
    small_counts: int = DEFAULT_POLICY.small_counts
    """Counts below it, but 0, are masked where the public sees them."""
    program: str = "ledger"
    """What to type to call us again, as a shell reads it."""

    @property
    def tokens(self) -> TokenSettings:
        """Which access tokens are taken. Raise ValueError where that is not whole: an issuer without an audience, say."""
        return TokenSettings(
            issuer=self.issuer,
            audience=self.audience,
            jwks=self.jwks,
            rights_claim=self.rights_claim,
            staff_claim=self.staff_claim,
            lifetime_seconds_max=60 * self.token_minutes_max,
        )

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
    LEDGER_FOUR_EYES, and of a server LEDGER_HOSTS, LEDGER_TRUSTED_PROXIES, LEDGER_RATE, LEDGER_BURST and LEDGER_LOG; of
    who may ask it LEDGER_ISSUER, LEDGER_AUDIENCE, LEDGER_JWKS, LEDGER_RIGHTS_CLAIM, LEDGER_STAFF_CLAIM, LEDGER_TOKEN_MINUTES_MAX and
    LEDGER_KEY_DAYS_MAX; and LEDGER_SMALL_COUNTS. Empty is the same as absent.

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
        issuer=environment.get("LEDGER_ISSUER") or None,
        audience=environment.get("LEDGER_AUDIENCE") or None,
        jwks=_path(environment, "LEDGER_JWKS"),
        rights_claim=environment.get("LEDGER_RIGHTS_CLAIM") or RIGHTS_CLAIM,
        staff_claim=environment.get("LEDGER_STAFF_CLAIM") or STAFF_CLAIM,
        token_minutes_max=_whole_number(environment, "LEDGER_TOKEN_MINUTES_MAX", 60, TOKEN_MINUTES_MAX),
        key_days_max=_whole_number(environment, "LEDGER_KEY_DAYS_MAX", DAYS_MAX, DAYS_MAX),
        small_counts=_whole_number(
            environment, "LEDGER_SMALL_COUNTS", DEFAULT_POLICY.small_counts, SMALL_COUNTS_MAX
        ),
        program=_program(called, environment.get("PATH", "")),
    )


def _edge(environment: Mapping[str, str]) -> EdgeSettings:
    default = EdgeSettings()
    log = environment.get("LEDGER_LOG") or "plain"
    if log not in ("plain", "json"):
        raise ValueError(f"LEDGER_LOG must be plain or json; it is {log!r}")
    return EdgeSettings(
        hosts=_several(environment, "LEDGER_HOSTS"),
        proxies=_proxies(environment, "LEDGER_TRUSTED_PROXIES"),
        rate=Rate(
            _number(environment, "LEDGER_RATE", default.rate.per_second),
            round(_number(environment, "LEDGER_BURST", default.rate.burst)),
        ),
        log="json" if log == "json" else "plain",
    )


def _several(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(environment.get(name, "").replace(",", " ").split())


def _proxies(environment: Mapping[str, str], name: str) -> Networks:
    try:
        return read_proxies(_several(environment, name))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


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


def _whole_number(environment: Mapping[str, str], name: str, default: int, most: int) -> int:
    value = environment.get(name)
    if not value:
        return default
    if not (value.isascii() and value.isdecimal() and len(value) <= 9 and 1 <= int(value) <= most):
        raise ValueError(f"{name} must be a number from 1 to {most:,}; it is {value[:40]!r}")
    return int(value)


def _program(called: str, path: str) -> str:
    if called.endswith(".py"):
        return f"{shlex.quote(sys.executable)} -m api.main"
    found = shutil.which("ledger", path=path)
    return "ledger" if found and Path(found).resolve() == Path(called).resolve() else shlex.quote(called)
