"""The local issuer: its keys over HTTP on this machine, and a new one."""

import time

import click

from api.access.local_issuer import ADDRESS, AUDIENCE, FILE_NAME, IssuerServer, LocalIssuer
from api.cli.common import Context, command
from api.cli.output import note

PORT = int(ADDRESS.rpartition(":")[2])


@command("serve")
@click.option("--port", type=click.IntRange(1, 65535), default=PORT, show_default=True)
def serve(context: Context, port: int) -> None:
    """Tell the discovery document and the public keys on 127.0.0.1, until Ctrl-C.

    \b
    ledger issuer &
    export LEDGER_ISSUER=http://127.0.0.1:8001 LEDGER_AUDIENCE=activation-ledger
    ledger serve &
    ledger token sign --role recorder --unit 14758 --staff-code th-0042
    """  # noqa: D301 - click reads the character
    settings = context.settings
    issuer = _issuer(context)
    issuer.jwks()  # What is wrong with the file is said now, and not with each request.
    try:
        server = IssuerServer(issuer, port, settings.issuer)
    except OSError as error:
        raise click.UsageError(
            f"cannot serve on port {port}: {error.strerror}; choose another with --port"
        ) from None
    with server:
        note(
            f"the issuer {server.name} tells its keys at {server.address}; a server that takes its tokens: "
            f"LEDGER_ISSUER={server.name} LEDGER_AUDIENCE={settings.audience or AUDIENCE} "
            f"{settings.suggest('serve')}; Ctrl-C stops it",
            style="green",
        )
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


@command("rotate")
def rotate(context: Context) -> None:
    """Sign with a new key from now on. The old one is told for a day more, for the tokens that are under way."""
    kid = _issuer(context).rotate(time.time())
    context.output.answer(f"tokens are signed with the key {kid} from now on", {"kid": kid})


@command("keys")
def keys(context: Context) -> None:
    """Print the public keys, a JSON Web Key Set: a file for LEDGER_JWKS, where no issuer is to be asked."""
    context.output.bytes(_issuer(context).jwks() + b"\n")


class ServingByItself(click.Group):
    """A group that serves where no command is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        helping = bool(args) and args[0] in ctx.help_option_names
        named = bool(args) and not args[0].startswith("-")
        return super().parse_args(ctx, args if named or helping else ["serve", *args])


@click.group("issuer", cls=ServingByItself)
def issuer() -> None:
    """Serve the local issuer of access tokens, for development and the demo: nobody logs in there.

    ledger token sign signs what it is told to, with the key file issuer.key in the home. Where people work, name the
    OpenID Connect issuer that knows them: LEDGER_ISSUER and LEDGER_AUDIENCE.
    """


def _issuer(context: Context) -> LocalIssuer:
    return LocalIssuer(context.settings.home / FILE_NAME)


for _command in (serve, rotate, keys):
    issuer.add_command(_command)
