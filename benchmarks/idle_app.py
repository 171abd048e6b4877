"""A Litestar handler that reads the body and does nothing, served as the API is: the ceiling of what the API could answer.

python -m benchmarks.idle_app --port N
"""

from pathlib import Path

import click
from litestar import Litestar, post
from litestar.params import RawBody

from api import server


@post("/v1/events")
async def idle(body: RawBody) -> dict[str, str]:
    assert body
    return {"said": "idle"}


def load_idle(settings: server.ServeSettings) -> Litestar:
    assert settings.workers == 1
    app = Litestar([idle], logging_config=None)
    server._collect_rarely()  # noqa: SLF001  # As the API's own process does.
    return app


@click.command()
@click.option("--port", type=int, required=True)
def main(port: int) -> None:
    """Serve it until a signal comes."""
    settings = server.ServeSettings(
        url=None, home=Path(), schema="", key_file=None, host="127.0.0.1", port=port, workers=1
    )
    server.run_workers(
        settings, load_idle, on_ready=lambda address: click.echo(f"serving at {address}", err=True)
    )


if __name__ == "__main__":
    main()
