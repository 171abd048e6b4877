"""What every command shares: which ledger, in which form to answer, and how to fail."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

import click
import msgspec

from api.cli.output import Output, note
from api.settings import Settings
from ledger import Ledger, LedgerError, UnavailableError, open_ledger
from ledger.application import migrate_ledger
from ledger.checks import check_day
from ledger.database import Database, embedded, external
from ledger.embedded import EmbeddedPostgres
from ledger.errors import FieldInvalidError, StoreNotReadyError
from ledger.identities import KEY_FILE_NAME
from ledger.masking import shown
from ledger.migrations import LOGS
from projections import COMPONENTS, Totals, catch_up, open_totals
from projections.unit_totals import NAME as UNIT_TOTALS

VERSION = version("activation-ledger")
REFUSED, WRONG_USE, NOT_AVAILABLE = 1, 2, 3
INTERRUPTED = 130
"""What a shell makes of a program that Ctrl-C ended."""

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=click.Command)

_OPTIONS = (
    # The variables are told here and read by main alone.
    click.option(
        "--database",
        metavar="URL",
        help="A PostgreSQL (15 to 18) that is already there.  "
        "[default: the home's own; env var: LEDGER_DATABASE_URL]",
    ),
    click.option(
        "--home",
        metavar="DIR",
        type=click.Path(path_type=Path),
        help="Where an own PostgreSQL and the key file live.  "
        "[default: ~/.local/share/activation-ledger; env var: LEDGER_HOME]",
    ),
    click.option(
        "--schema",
        metavar="NAME",
        help="The schema that holds the ledger.  [default: ledger; env var: LEDGER_SCHEMA]",
    ),
    click.option(
        "--key-file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="The ledger's secret.  [default: ledger.key in the home; env var: LEDGER_KEY_FILE]",
    ),
    click.option(
        "--reasons-file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="The reasons that reports may name, a CSV as ledger reasons --format csv prints it.  "
        "[default: the package's list; env var: LEDGER_REASONS_FILE]",
    ),
    click.option(
        "--purposes-file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="What anybody may look at a dossier for, a CSV as ledger purposes --format csv prints it.  "
        "[default: the package's list; env var: LEDGER_PURPOSES_FILE]",
    ),
    click.option(
        "--four-eyes/--no-four-eyes",
        default=None,
        help="Whether a correction counts only once another officer has confirmed it.  "
        "[default: no; env var: LEDGER_FOUR_EYES]",
    ),
    click.option(
        # Not --issuer: that is whose target it is.
        "--token-issuer",
        "issuer_of_tokens",
        metavar="URL",
        help="The OpenID Connect issuer whose access tokens the server takes beside API keys.  "
        "[default: none; env var: LEDGER_ISSUER]",
    ),
    click.option(
        "--audience",
        metavar="NAME",
        help="What access tokens must be for.  [needed with an issuer; env var: LEDGER_AUDIENCE]",
    ),
    click.option(
        "--jwks",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="The issuer's public keys, in place of asking it.  [env var: LEDGER_JWKS]",
    ),
    click.option(
        "--format",
        "form",
        type=click.Choice(["table", "json", "csv"]),
        help="How to answer.  [default: table]",
    ),
)
_NAMES = {"issuer_of_tokens": "issuer"}
"""Options whose name another one has that commands have of their own: what they are among the settings."""
_ACCESS = ("issuer_of_tokens", "audience", "jwks")
_SETTINGS = (
    *("database", "home", "schema", "key_file", "reasons_file", "purposes_file", "four_eyes"),
    *_ACCESS,
)
_PATHS = ("home", "key_file", "reasons_file", "purposes_file", "jwks")
_GLOBAL = {*_SETTINGS, "form"}


class Day(click.ParamType):  # type: ignore[type-arg]  # Not generic in all versions allowed.
    """A day like 2024-12-09."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        try:
            day = value if isinstance(value, date) else date.fromisoformat(value)
            check_day("the day", day)
        except ValueError:
            self.fail(f"{shown(str(value))} is no day; write it like 2024-12-09", param, ctx)
        except FieldInvalidError as error:
            self.fail(str(error), param, ctx)
        return day


DAY = Day()


class Instant(click.ParamType):  # type: ignore[type-arg]  # Not generic in all versions allowed.
    """A time like 2024-12-09T23:00:00+07:00."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        except ValueError:
            found = None
        if found is None or found.utcoffset() is None:
            self.fail(
                f"{shown(str(value))} is no time with an offset; write it like 2024-12-09T23:00:00+07:00",
                param,
                ctx,
            )
        return found


INSTANT = Instant()


class Checked(click.ParamType):  # type: ignore[type-arg]  # Not generic in all versions allowed.
    """What a function of the library makes of a text, or refuses."""

    name = "text"

    def __init__(self, read: Callable[[str], Any]) -> None:
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self._read(value) if isinstance(value, str) else value
        except LedgerError as error:
            self.fail(str(error), param, ctx)


class Context(msgspec.Struct):
    """The ledger and the form of one command's answer."""

    settings: Settings
    output: Output

    def database(self, *, make: bool = False) -> Database:
        """Return the place of the ledger, its server started if it is our own.

        Args:
            make: Whether a home that holds no ledger gets one. Without it, that raises StoreNotReadyError.
        """
        settings = self.settings
        self._refuse_nothing(make)
        try:
            if settings.database:
                return external(settings.database, schema=settings.schema)
            with self.output.waiting("starting PostgreSQL"):
                return embedded(settings.home, schema=settings.schema)
        except ValueError as error:
            raise click.UsageError(str(error)) from None

    def _refuse_nothing(self, make: bool) -> None:
        settings = self.settings
        # Whoever asks a home whose name is mistyped must not be told zero by a new and empty ledger.
        if not make and not settings.database and not EmbeddedPostgres(settings.home).has_data:
            raise StoreNotReadyError(
                f"there is no ledger in {settings.home}; ledger demo, ledger units load and ledger migrate make one. "
                "If it is elsewhere, name the folder with --home or LEDGER_HOME"
            )

    @property
    def key_path(self) -> Path:
        return self.settings.key_file or self.settings.home / KEY_FILE_NAME

    def migrate(self) -> list[str]:
        """Bring the database to this version; return what was applied."""
        return migrate_ledger(self.database(make=True), self.key_path, (*LOGS, *COMPONENTS))

    @contextmanager
    def ledger(self, *, make: bool = False) -> Iterator[Ledger]:
        """Open the ledger, for the length of a command. A home's own is brought up to date, read models too.

        Args:
            make: Whether a home that holds no ledger gets one. Without it, that raises StoreNotReadyError.
        """
        settings = self.settings
        self._refuse_nothing(make)
        try:
            with self.output.waiting("opening the ledger"):
                ledger = open_ledger(
                    settings.database,
                    home=settings.home,
                    schema=settings.schema,
                    key_file=settings.key_file,
                    reasons_file=settings.reasons_file,
                    four_eyes=settings.four_eyes,
                    purposes_file=settings.purposes_file,
                    key_days_max=settings.key_days_max,
                    small_counts=settings.small_counts,
                )
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        with ledger:
            if ledger.database.embedded:
                open_totals(ledger)
            yield ledger

    @contextmanager
    def caught_up(self, projection: str) -> Iterator[Ledger]:
        """Open the ledger, with a projection brought to the head that the log has at this moment."""
        with self.ledger() as ledger:
            open_totals(ledger)
            with self.output.progress("counting", "events") as progress:
                catch_up(ledger.database, [projection], on_progress=progress)
            yield ledger

    @contextmanager
    def totals(self) -> Iterator[tuple[Ledger, Totals]]:
        """Open the ledger and its totals, brought to the head that the log has at this moment."""
        with self.caught_up(UNIT_TOTALS) as ledger:
            yield ledger, Totals(ledger)


def global_options(function: Callable[P, R]) -> Callable[P, R]:
    """Accept the global options here too: before the command's name and after it."""

    @functools.wraps(function)
    def with_options(*args: P.args, **kwargs: P.kwargs) -> R:
        context = click.get_current_context()
        given = {_NAMES.get(name, name): kwargs.pop(name) for name in _SETTINGS}
        form = kwargs.pop("form")
        old = context.obj
        settings = old.settings if isinstance(old, Context) else old
        assert isinstance(settings, Settings)
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        for name in _PATHS:
            if name in changes:
                changes[name] = changes[name].expanduser().absolute()
        output = Output(str(form)) if form else old.output if isinstance(old, Context) else Output("table")
        context.obj = Context(msgspec.structs.replace(settings, **changes), output)
        return function(*args, **kwargs)

    for option in reversed(_OPTIONS):
        with_options = option(with_options)
    return with_options


def command(name: str, **settings: Any) -> Callable[[Callable[..., None]], click.Command]:
    """Declare a command that takes the global options and fails in the agreed way."""
    return _declaring(click.Command, name, settings)


def group(name: str, **settings: Any) -> Callable[[Callable[..., None]], click.Group]:
    """As ``command``, of one that has commands of its own, and does something where none of them is named."""
    declare = _declaring(click.Group, name, {"invoke_without_command": True, **settings})

    def declare_alone(function: Callable[..., None]) -> click.Group:
        @functools.wraps(function)
        def alone(*args: Any, **kwargs: Any) -> None:
            if click.get_current_context().invoked_subcommand is None:
                function(*args, **kwargs)

        return declare(alone)

    return declare_alone


def _declaring(kind: type[C], name: str, settings: Mapping[str, Any]) -> Callable[[Callable[..., None]], C]:
    def declare(function: Callable[..., None]) -> C:
        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> None:
            context = click.get_current_context().obj
            assert isinstance(context, Context)
            try:
                function(context, *args, **kwargs)
            except UnavailableError as error:
                _fail(context, "not available", error.code, _told(str(error), error), NOT_AVAILABLE)
            except LedgerError as error:
                _fail(context, "refused", error.code, str(error), REFUSED, error.faults)
            except KeyboardInterrupt as error:
                note(_told("interrupted", error), style="red")
                click.get_current_context().exit(INTERRUPTED)
            except BrokenPipeError:
                # The reader (head, less) has seen enough.
                click.get_current_context().exit(0)

        made = click.command(name, cls=kind, **settings)(global_options(guarded))
        # What is the command's own comes first in its help.
        made.params.sort(key=lambda parameter: parameter.name in _GLOBAL)
        return made

    return declare


def _told(sentence: str, error: BaseException) -> str:
    """Add what was noted on an error on its way: only there was it known."""
    return "; ".join([sentence, *getattr(error, "__notes__", ())])


def _fail(
    context: Context, word: str, code: str, detail: str, status: int, faults: Sequence[str] = ()
) -> NoReturn:
    # Of several things that are wrong, each has its line: they are mended one by one.
    note(f"{word} ({code}): {detail if len(faults) < 2 else f'{len(faults)} things are wrong'}", style="red")
    for fault in faults if len(faults) > 1 else ():
        note(f"  {fault}")
    if context.output.form == "json":
        context.output.document({"error": code, "detail": detail, **({"faults": faults} if faults else {})})
    click.get_current_context().exit(status)
