"""Who is let in to a route. Asked once for each request, before anything of it is read.

Each route declares the rights of which whoever asks must hold one, over some part of the tree; the ledger asks for the
very one over the very unit. Not by Litestar's guards: it copies the whole handler for each of them, half the time of an
answer.
"""

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from api.access import Authenticator, TokenError, authorization_in
from api.bodies import BodyRequest
from ledger.access import RIGHT_TO_REPORT, Principal, Right
from ledger.access.asking import check_right

RIGHTS = "rights"
"""Under this name a route's declaration stands among Litestar's options."""
PUBLIC: dict[str, Any] = {RIGHTS: frozenset()}
"""The declaration of a route that everybody may ask, without a token."""
REPORTING = frozenset(RIGHT_TO_REPORT.values())
"""The rights to make reports; which of them it takes, each report says."""
PRINCIPAL = "principal"
"""Under this name it stands in the scope of a request."""
THREADS_MAX = 8
"""They have threads of their own: however long the issuer lets them wait, no report waits for them."""

_is_public = re.compile(
    r"/|/login|/static/.*|/health/(live|ready)|/schema(/.*)?|/v1/log/(checkpoint|tile/.*)", re.DOTALL
).fullmatch
"""The routes that may be public, by their templates and never by an address that somebody sent."""
_threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="tokens")


class RouteUndeclaredError(Exception):
    """A route does not say who may ask it, or says that everybody may where that is not agreed."""


def needs(*rights: Right) -> dict[str, Any]:
    """Return the declaration of a route: whoever asks holds one of these rights."""
    assert rights, "a route for everybody is PUBLIC"
    return {RIGHTS: frozenset(rights)}


def asker(request: BodyRequest) -> Principal:
    """Return who asks, once they were let in."""
    scope: Any = request.scope
    found = scope[PRINCIPAL]
    assert isinstance(found, Principal)
    return found


def provide_principal(request: BodyRequest) -> Principal:
    """As ``asker``, for handlers that Litestar gives it to."""
    return asker(request)


class Door:
    """Lets requests in."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def admit(self, request: BodyRequest) -> None:
        """Find out who asks, unless everybody may.

        Raises:
            TokenError: It is not known who.
            UnavailableError: Neither the ledger nor the issuer says who.
        """
        # What Litestar answers by itself, OPTIONS say, declares nothing: it is for whoever has a token.
        rights = request.route_handler.opt.get(RIGHTS)
        if rights is not None and not rights:
            return
        scope: Any = request.scope
        scope[PRINCIPAL] = await self.look(request)

    def known(self, scope: Any) -> Principal | None:
        """Return who asks, if that is remembered; never blocks."""
        try:
            return self._authenticator.known(authorization_in(scope["headers"]))
        except TokenError:
            return None

    async def look(self, request: BodyRequest) -> Principal:
        """Return who asks, as it is known at this moment; with the errors of ``admit``."""
        authorization = authorization_in(request.scope["headers"])
        principal = self._authenticator.known(authorization)
        if principal is None:
            loop = asyncio.get_running_loop()
            principal = await loop.run_in_executor(_threads, self._authenticator.authenticate, authorization)
        return principal


def refuse_without_right(request: BodyRequest) -> None:
    """Raise NotPermittedError where whoever was admitted holds none of the rights of the route, over any part."""
    rights = request.route_handler.opt.get(RIGHTS)
    if rights:
        check_right(asker(request), *rights)


def declared(app: Litestar) -> Iterator[tuple[str, HTTPRouteHandler, frozenset[Right]]]:
    """Yield each route's template, its handler and the rights that it takes; none: it is public.

    Raises:
        RouteUndeclaredError: A route declares nothing, or is public and none of those that may be.
    """
    for route in app.routes:
        template = route.path_format or "/"
        if not isinstance(route, HTTPRoute):
            raise RouteUndeclaredError(f"{template} is no route of HTTP; nobody is asked there who it is")
        for handler in route.route_handlers:
            if handler.http_methods == {"OPTIONS"}:
                continue
            rights = handler.opt.get(RIGHTS)
            if rights is None:
                raise RouteUndeclaredError(
                    f"{template} does not declare who may ask it: opt=needs(...) or opt=PUBLIC"
                )
            if not rights and not _is_public(template):
                raise RouteUndeclaredError(f"{template} is declared public, and is none of the public routes")
            yield template, handler, rights
