"""Run and look after a ledger: serve, migrate, rebuild, stop, doctor."""

from typing import Literal

import click
import msgspec

from api.cli.common import NOT_AVAILABLE, VERSION, Context, command
from api.cli.output import note
from api.doctor import examine
from api.edge.buckets import Rate
from api.edge.proxies import Networks, read_proxies
from api.edge.settings import LOOPBACK, EdgeSettings
from api.server import ServeSettings, has_keys, serve_api
from api.settings import Settings
from ledger import Ledger
from ledger.access import Role
from ledger.embedded import EmbeddedPostgres
from projections import NAMES, open_totals
from projections import rebuild as rebuild_projections

FIRST_KEY = "made by the first serve"
"""What the key is for that nobody asked for."""


def _read_proxies(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> Networks:
    try:
        return read_proxies(texts)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@command("serve")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Where to listen. An address that others can reach needs an API key or an issuer first, and a proxy with TLS.",
)
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Server processes.")
@click.option(
    "--allow-host",
    "hosts",
    metavar="NAME",
    multiple=True,
    help="A name under which a proxy passes requests on, beside this machine's own.  [env var: LEDGER_HOSTS]",
)
@click.option(
    "--trusted-proxy",
    "proxies",
    metavar="ADDRESS",
    multiple=True,
    callback=_read_proxies,
    help="The address of a proxy, or a network of them: who is limited is then whom its X-Forwarded-For or Forwarded "
    "names.  [env var: LEDGER_TRUSTED_PROXIES]",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, 1e9),
    help="Requests a second that each caller may send; 0: any number.  [default: 10000; env var: LEDGER_RATE]",
)
@click.option(
    "--burst",
    type=click.IntRange(1, 1_000_000_000),
    help="How many of them at once.  [default: 20000; env var: LEDGER_BURST]",
)
@click.option(
    "--log",
    type=click.Choice(["plain", "json"]),
    help="What to write to standard error: sentences about what is wrong; or lines of JSON, one for each request "
    "too.  [default: plain; env var: LEDGER_LOG]",
)
def serve(
    context: Context,
    host: str,
    port: int,
    workers: int,
    hosts: tuple[str, ...],
    proxies: Networks,
    rate: float | None,
    burst: int | None,
    log: Literal["plain", "json"] | None,
) -> None:
    """Serve the API, with the projections running. Ctrl-C stops it."""
    edge = context.settings.edge
    told = EdgeSettings(
        hosts=(*edge.hosts, *hosts),
        proxies=(*edge.proxies, *proxies),
        rate=Rate(
            edge.rate.per_second if rate is None else rate, edge.rate.burst if burst is None else burst
        ),
        log=log or edge.log,
    )
    context.settings = msgspec.structs.replace(context.settings, edge=told)
    run_server(context, host=host, port=port, workers=workers)


def run_server(context: Context, *, host: str, port: int, workers: int) -> None:
    """Serve until a signal ends it; a home's own ledger that has no key yet gets one, which is told once."""
    settings = context.settings
    try:
        tokens = settings.tokens
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    with context.ledger(make=True) as ledger:
        # Before the workers start: what is wrong is said here, once and clearly.
        open_totals(ledger)
        policy = ledger.policy
        if host in LOOPBACK and not tokens.issuer and not has_keys(ledger):
            _tell_first_key(settings, ledger)
    try:
        serve_api(
            ServeSettings(
                url=settings.database,
                home=settings.home,
                schema=settings.schema,
                key_file=settings.key_file,
                host=host,
                port=port,
                workers=workers,
                policy=policy,
                edge=settings.edge,
                tokens=tokens,
            ),
            on_ready=lambda address: note(
                f"serving at {address} (all but /, /schema and /health take a token); browse {address}/schema; "
                "Ctrl-C stops it",
                style="green",
            ),
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _tell_first_key(settings: Settings, ledger: Ledger) -> None:
    make = settings.suggest("token create --role ROLE --unit CODE")
    if not ledger.database.embedded:
        note(
            f"nobody can ask anything yet: there is no API key and no issuer; make a key with {make}",
            style="yellow",
        )
        return
    made = ledger.create_key([Role.OPERATOR], name=FIRST_KEY)
    note(f"the operator's API key, told this once: {made.token}")
    note(
        f"send it as Authorization: Bearer; it may do everything: for others make keys with {make}",
        style="yellow",
    )


@command("migrate")
def migrate(context: Context) -> None:
    """Create or upgrade the schema; idempotent, and safe when several start at once.

    On a new ledger it also makes the key file, if there is none.
    """
    existed = context.key_path.exists()
    applied = context.migrate()
    if not existed and context.key_path.exists():
        note(f"made the key file {context.key_path}: back it up together with the database", style="yellow")
    context.output.answer(
        "applied " + ", ".join(applied) if applied else "nothing to do", {"applied": applied}
    )


@command("rebuild")
@click.argument("projection", type=click.Choice(NAMES), required=False)
def rebuild(context: Context, projection: str | None) -> None:
    """Count the whole log again beside the live tables, then swap; readers notice nothing.

    Without a PROJECTION all of them, which read the log once.
    """
    names = [projection] if projection else [*NAMES]
    with context.ledger() as ledger:
        open_totals(ledger)
        with context.output.progress("rebuilding", "events") as progress:
            position = rebuild_projections(ledger.database, names, on_progress=progress)
    context.output.answer(
        f"{', '.join(names)} rebuilt up to position {position:,}",
        {"projections": names, "position": position},
    )


@command("stop")
def stop(context: Context) -> None:
    """Stop the embedded PostgreSQL of this home, if it runs."""
    if context.settings.database:
        raise click.UsageError(
            "this stops the PostgreSQL of a home, and --database or LEDGER_DATABASE_URL names one that is not the "
            "ledger's to stop: leave both away"
        )
    stopped = EmbeddedPostgres(context.settings.home).stop()
    context.output.answer("stopped" if stopped else "it was not running", {"stopped": stopped})


@command("doctor")
def doctor(context: Context) -> None:
    """Tell versions, sizes, positions and lags, what is wrong, and what to do about it."""
    report = examine(context.database(), context.key_path, version=VERSION)
    settings = context.settings
    # Of this command line, as are those of a server that was started the same way.
    report.facts["reasons"] = str(settings.reasons_file or "those of the package")
    report.facts["purposes"] = str(settings.purposes_file or "those of the package")
    report.facts["four eyes"] = "on" if settings.four_eyes else "off"
    if context.output.form == "json":
        context.output.document(report)
    else:
        context.output.rows("ledger doctor", ["what", "value"], list(report.facts.items()))
        for problem in report.problems:
            note(f"wrong: {problem}", style="red")
        if not report.problems:
            context.output.say("nothing is wrong")
    if report.problems:
        click.get_current_context().exit(NOT_AVAILABLE)
