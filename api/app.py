"""Put the parts together, and describe the whole. Nothing here reads the environment."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise

import msgspec
from litestar import Litestar, Router, get
from litestar.datastructures import ResponseHeader
from litestar.di import Provide
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, SwaggerRenderPlugin
from litestar.openapi.spec import Tag

from api.bodies import DRAINED_BYTES_MAX, check_query, receive_json
from api.dossiers import Found, Lookup, find_dossier, read_dossier, read_history
from api.events import Report, record_events
from api.health import Alive, NotReady, Ready, live, ready
from api.problems import EXCEPTION_HANDLERS, Problem, documented
from api.totals import read_totals
from api.units import UnitList, UnitRow, list_units, read_unit
from ledger import DossierState, History, HistoryEvent, Ledger, Receipt
from ledger.history import LevelState, UnitName
from projections import ProjectionStatus, Runner, Totals, TotalsAnswer

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]

DESCRIPTION = """
Every collection, approval and activation of an electronic identity account is one immutable event.

* **Retry freely.** The same report with the same `key` is recorded once; the answer says `duplicate`.
* **Read your writes.** A receipt has a `position`; give it as `after`, and totals wait until they count it.
* **Problems** are `application/problem+json` (RFC 9457). Programs branch on `code`, which never changes.
* Days are business days in Asia/Ho_Chi_Minh. `recorded_at` is UTC; `occurred_at` keeps the offset sent.

The page that you may be reading this on loads its scripts from cdn.jsdelivr.net; `/schema/openapi.json` needs no other host.
"""
TAGS = (
    Tag("events", "Reports come in."),
    Tag("dossiers", "One citizen's file."),
    Tag("units", "Police units, as the tree stood on a day."),
    Tag("totals", "Counts, with the position they are true for."),
    Tag("health", "For supervisors and load balancers."),
)


class Index(msgspec.Struct, frozen=True):
    """What there is, and where."""

    name: str
    version: str
    links: dict[str, str]


def release() -> str:
    """Return the version of the installed package."""
    try:
        return version("activation-ledger")
    except PackageNotFoundError:
        return "0 (not installed)"


_LINKS = {
    "documentation": "/schema",
    "openapi": "/schema/openapi.json",
    "live": "/health/live",
    "ready": "/health/ready",
    "events": "/v1/events",
    "dossier_lookup": "/v1/dossiers/lookup",
    "dossier": "/v1/dossiers/{dossier_id}",
    "history": "/v1/dossiers/{dossier_id}/history",
    "units": "/v1/units",
    "unit": "/v1/units/{code}",
    "totals": "/v1/totals",
}


@get(
    "/",
    tags=["health"],
    sync_to_thread=False,
    operation_id="index",
    summary="Index",
    response_description="The addresses there are.",
    responses=documented(400),
)
def index() -> Index:
    """Tell what there is, and where."""
    return Index("activation-ledger", release(), _LINKS)


def create_app(
    ledger: Ledger, totals: Totals, runner: Runner, *, lifespan: Sequence[Lifespan] = ()
) -> Litestar:
    """Return the application over built parts, which stay their builder's to start and to close."""
    v1 = Router(
        "/v1",
        route_handlers=[
            record_events,
            find_dossier,
            read_dossier,
            read_history,
            list_units,
            read_unit,
            read_totals,
        ],
        dependencies={"content": Provide(receive_json)},
    )
    app = Litestar(
        # What the schema's pages answer may be kept, and takes what parameters it likes.
        [
            Router(
                "/",
                route_handlers=[index, live, ready, v1],
                guards=[check_query],
                response_headers=[ResponseHeader(name="Cache-Control", value="no-store")],
            )
        ],
        dependencies={
            "ledger": Provide(lambda: ledger, sync_to_thread=False),
            "totals": Provide(lambda: totals, sync_to_thread=False),
            "runner": Provide(lambda: runner, sync_to_thread=False),
        },
        exception_handlers=EXCEPTION_HANDLERS,
        response_headers=[ResponseHeader(name="X-Content-Type-Options", value="nosniff")],
        request_max_body_size=DRAINED_BYTES_MAX,
        lifespan=list(lifespan),
        openapi_config=OpenAPIConfig(
            title="Activation ledger",
            version=release(),
            description=DESCRIPTION.strip(),
            tags=list(TAGS),
            use_handler_docstrings=True,
            render_plugins=[SwaggerRenderPlugin(), JsonRenderPlugin()],
        ),
        # Said aloud, because the environment would be asked otherwise; a page of debugging shows values.
        debug=False,
        pdb_on_exception=False,
        # Litestar logs exceptions with their messages; problems.py logs without.
        logging_config=None,
    )
    _describe(app)
    return app


_STRUCTS: tuple[type[msgspec.Struct], ...] = (
    *(Alive, DossierState, Found, History, HistoryEvent, Index, LevelState, Lookup, NotReady, Problem),
    *(ProjectionStatus, Ready, Receipt, Report, TotalsAnswer, UnitList, UnitName, UnitRow),
)


def _describe(app: Litestar) -> None:
    """Let the schema say what the Structs say of themselves and of their fields.

    Litestar leaves out docstrings, and does not see the bodies that handlers take as bytes.
    """
    _, schemas = msgspec.json.schema_components(_STRUCTS, ref_template="#/components/schemas/{name}")
    for struct in _STRUCTS:
        properties = schemas[struct.__name__]["properties"]
        for name, text in _field_texts(struct).items():
            properties[name]["description"] = text
    app.openapi_schema.components.schemas.update(schemas)


def _field_texts(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Return the strings that stand under the fields of a Struct."""
    texts: dict[str, str] = {}
    for base in reversed(struct.__mro__[: struct.__mro__.index(msgspec.Struct)]):
        [node] = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(node, ast.ClassDef)
        for field, below in pairwise(node.body):
            match field, below:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    texts[name] = inspect.cleandoc(text).replace("``", "`")
    return texts
