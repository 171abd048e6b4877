"""The API as it was before it asked who reports: what its door costs is the difference.

python -m benchmarks.open_app --home DIR --port N
"""

from pathlib import Path
from typing import Any

import click
from litestar import Litestar

from api import server
from api.admission import PRINCIPAL, Door
from ledger.access import LOCAL
from projections import Runner


async def _admit(_: Door, request: Any) -> None:
    request.scope[PRINCIPAL] = LOCAL


def load_open(settings: server.ServeSettings) -> Litestar:
    """As ``api.server.load_app``, with everybody let in."""
    Door.admit = _admit  # type: ignore[method-assign]
    return server.load_app(settings)


@click.command()
@click.option("--home", type=click.Path(path_type=Path), required=True)
@click.option("--port", type=int, required=True)
def main(home: Path, port: int) -> None:
    """Serve a home's ledger to everybody on this machine, until a signal comes, with the projections running."""
    settings = server.ServeSettings(
        url=None, home=home, schema="ledger", key_file=None, host="127.0.0.1", port=port, workers=1
    )
    with server._open(settings)[0] as ledger, Runner(ledger):  # noqa: SLF001  # As the API does.
        server.run_workers(
            settings, load_open, on_ready=lambda address: click.echo(f"serving at {address}", err=True)
        )


if __name__ == "__main__":
    main()
