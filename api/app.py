"""Put the parts together. Nothing below this module reads the environment."""

from importlib.metadata import version
from typing import Any

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.datastructures import ResponseHeader
from litestar.di import Provide
from litestar.exceptions import ClientException
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import SwaggerRenderPlugin
from litestar.params import QueryParameter

from api.dossiers import DossierController
from api.events import EventController
from api.health import index, live, ready
from api.problems import HANDLERS
from api.totals import TotalsController
from api.units import UnitController
from ledger import Ledger
from ledger.masking import shown
from projections import Runner, Totals


def create_app(ledger: Ledger, totals: Totals, runner: Runner, **settings: Any) -> Litestar:
    """Return the API over parts that somebody else opens and closes.

    Args:
        settings: More of Litestar's own, a lifespan say.
    """
    return Litestar(
        route_handlers=[
            index,
            live,
            ready,
            EventController,
            DossierController,
            UnitController,
            TotalsController,
        ],
        dependencies={
            "ledger": Provide(lambda: ledger, sync_to_thread=False),
            "totals": Provide(lambda: totals, sync_to_thread=False),
            "runner": Provide(lambda: runner, sync_to_thread=False),
        },
        guards=[refuse_unknown_parameters],
        exception_handlers=HANDLERS,
        response_headers=[ResponseHeader(name="X-Content-Type-Options", value="nosniff")],
        # Litestar would log exceptions with their texts, and take over the process's logging.
        logging_config=None,
        # Said aloud, because the environment would be asked otherwise; a page of debugging shows values.
        debug=False,
        pdb_on_exception=False,
        openapi_config=OpenAPIConfig(
            title="Activation ledger",
            version=version("activation-ledger"),
            description="Every collection, approval and activation of an electronic identity account, for good.",
            # Its scripts come from a CDN: offline, read /schema/openapi.json.
            render_plugins=[SwaggerRenderPlugin()],
        ),
        **settings,
    )


def refuse_unknown_parameters(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """Refuse a query parameter that the route does not know: a typo must not silently change a total."""
    if not connection.query_params or connection.url.path.startswith("/schema"):
        return
    fields = handler.parsed_fn_signature.parameters.values()
    known = {
        field.kwarg_definition.name or field.name
        for field in fields
        if isinstance(field.kwarg_definition, QueryParameter)
    }
    unknown = sorted(set(connection.query_params) - known)
    if unknown:
        raise ClientException(
            f"unknown query parameter {shown(unknown[0])}; known are {', '.join(sorted(known)) or 'none'}"
        )
