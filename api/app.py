"""Put the parts together. Nothing below this module reads the environment."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from litestar import Litestar, Router
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.openapi import OpenAPIConfig
from litestar.routes import HTTPRoute
from litestar.types import Receive, Scope, Send

from api.access import Authenticator
from api.admission import PRINCIPAL, PUBLIC, Door, declared, provide_principal, refuse_without_right
from api.bodies import BodyRequest, refuse_body
from api.cues import CueController
from api.documentation import DESCRIPTION, TITLE, describe
from api.dossiers import DossierController
from api.edge.buckets import Buckets
from api.edge.counts import Counts
from api.edge.limits import failing, limiting, straying
from api.edge.logs import tell_stderr
from api.edge.proxies import clients_behind
from api.edge.refusals import Refusals
from api.edge.requests import Edge
from api.edge.settings import UNLIMITED, EdgeSettings
from api.edge.shared import Shared
from api.ending import Ending
from api.events import EventController
from api.feed import Feed
from api.files import FileController
from api.followers import FollowerController
from api.frozen_reports import FrozenReportController
from api.gathering import Gathering
from api.health import index, live, ready
from api.imports import Imports, count_import
from api.metrics import metrics, telling_level
from api.overdue import OverdueController
from api.parameters import refuse_parameters
from api.patience import Patience
from api.problems import CODES, HANDLERS, STATUSES
from api.progress import ProgressController
from api.purposes import PurposeController
from api.reads import ReadsController
from api.reasons import ReasonController
from api.schema_page import SchemaPage
from api.totals import TotalsController
from api.units import UnitController
from api.worklist import AgeingController, WorklistController
from ledger import Ledger
from projections import Ageing, Cues, Overdue, Progress, Totals, Worklist

OUTCOMES = ("recorded", "duplicate", "refused_line", *{code for _, code in CODES})
"""What may become of a report."""
Check = Callable[[BodyRequest], None]
ENDLESS = frozenset({"/v1/events/stream"})
"""Answers that go on for as long as the client stays: those have no head to be told alone."""


class Api(Litestar):
    """An application that tells the head of whatever can be got (RFC 9110); the server leaves the body out."""

    edge: Edge
    """What all requests and answers go through, those included that find no route."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # type: ignore[override]
        if scope["type"] != ScopeType.HTTP:
            await super().__call__(scope, receive, send)
            return
        if scope["method"] == "HEAD" and scope["path"] not in ENDLESS:
            scope["method"] = "GET"
        await self.edge.answer(super().__call__, scope, receive, send)


class LogController(EventController, FollowerController):
    """What goes into the log, and what comes out of it: Litestar takes one controller for an address."""


def create_app(
    ledger: Ledger,
    totals: Totals,
    authenticator: Authenticator,
    *,
    checks: Sequence[Check] = (),
    edge: EdgeSettings = UNLIMITED,
    shared: Shared | None = None,
    **settings: Any,
) -> Litestar:
    """Return the API over parts that somebody else opens and closes.

    Args:
        authenticator: Says who asks. Between its start and its end it watches for revocations.
        checks: Asked first, before each answer; they raise what is answered instead.
        edge: How requests are let in, and what is told of them.
        shared: The memory of all workers; absent: there are no others.
        settings: More of Litestar's own, a lifespan say.

    Raises:
        RouteUndeclaredError: A route does not say who may ask it.
    """
    shared = shared or Shared()
    buckets, client_of = Buckets(shared), clients_behind(edge.proxies)
    overdue, progress = Overdue(totals), Progress(ledger, totals)
    worklist, ageing = Worklist(ledger, totals), Ageing(ledger, totals)
    cues = Cues(ledger, totals)
    ending, feed, door = Ending(), Feed(ledger), Door(authenticator)
    gathering, patience = Gathering(ledger), Patience()
    imports = Imports(ledger, ending, on_done=lambda result: count_import(app.state.counts, result))
    refusals = Refusals()
    ending.on_begin(feed.end)

    @asynccontextmanager
    async def watching(_: Litestar) -> AsyncIterator[None]:
        with authenticator:
            yield

    app = Api(
        route_handlers=[
            index,
            live,
            ready,
            metrics,
            LogController,
            FileController,
            DossierController,
            ReadsController,
            PurposeController,
            UnitController,
            ReasonController,
            TotalsController,
            OverdueController,
            CueController,
            ProgressController,
            WorklistController,
            AgeingController,
            FrozenReportController,
        ],
        dependencies={
            "ledger": Provide(lambda: ledger, sync_to_thread=False),
            "totals": Provide(lambda: totals, sync_to_thread=False),
            "cues": Provide(lambda: cues, sync_to_thread=False),
            "overdue": Provide(lambda: overdue, sync_to_thread=False),
            "progress": Provide(lambda: progress, sync_to_thread=False),
            "worklist": Provide(lambda: worklist, sync_to_thread=False),
            "ageing": Provide(lambda: ageing, sync_to_thread=False),
            "feed": Provide(lambda: feed, sync_to_thread=False),
            "imports": Provide(lambda: imports, sync_to_thread=False),
            "door": Provide(lambda: door, sync_to_thread=False),
            PRINCIPAL: Provide(provide_principal, sync_to_thread=False),
        },
        before_request=_asking(
            checks,
            door,
            # Before the right is asked for: whoever is refused is a caller like any other.
            limiting(buckets, edge.rate, client_of),
            refuse_without_right,
            refuse_body,
            refuse_parameters,
        ),
        # A route that takes a body says how large; the others take none.
        request_max_body_size=0,
        request_class=BodyRequest,
        exception_handlers=HANDLERS,
        # What is entered last ends first: streams, then the recording of reports, then what all of it is done with.
        lifespan=[
            *settings.pop("lifespan", ()),
            watching,
            patience.lifespan,
            gathering.lifespan,
            refusals.lifespan,
            telling_level(ledger, gathering),
            feed.lifespan,
            ending.lifespan,
        ],
        # Litestar would log exceptions with their texts, and take over the process's logging.
        logging_config=None,
        # Said aloud, because the environment would be asked otherwise; a page of debugging shows values.
        debug=False,
        pdb_on_exception=False,
        openapi_config=OpenAPIConfig(
            title=TITLE,
            version=version("activation-ledger"),
            description=DESCRIPTION,
            use_handler_docstrings=True,
            render_plugins=[SchemaPage()],
            openapi_router=Router("/schema", route_handlers=[], include_in_schema=False, opt=PUBLIC),
        ),
        **settings,
    )
    counts = Counts(shared, _routes(app), STATUSES, OUTCOMES)
    # Where each request has a line, those refused have theirs.
    app.edge = Edge(counts, tell_stderr) if edge.log == "json" else Edge(counts, None, refusals)
    app.state.counts = counts
    app.state.gathering = gathering
    app.state.patience = patience
    app.state.fail = failing(buckets, edge.failures, client_of)
    app.state.stray = straying(buckets, edge.rate, door.known, client_of)
    describe(app.openapi_schema, [handler.operation_id for _, handler, rights in declared(app) if rights])
    return app


def _routes(app: Litestar) -> list[str]:
    """Return all routes, as requests tell which one they have found."""
    return [
        f"{method} {route.path_format}"
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method in route.methods
    ]


def _asking(first: Sequence[Check], door: Door, *then: Check) -> Callable[[Any], Awaitable[None]]:
    # Litestar copies the whole handler for each guard that it asks: with two of them that is the half of an answer.
    async def ask(request: BodyRequest) -> None:
        for check in first:
            check(request)
        await door.admit(request)
        for check in then:
            check(request)

    return ask
