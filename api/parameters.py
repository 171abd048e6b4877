"""What an address may ask: query parameters that its route knows, each of them once."""

from datetime import date
from typing import Any, get_args

from litestar import Request
from litestar.exceptions import ClientException
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter

from ledger.checks import check_day
from ledger.masking import shown

POSITION_MAX = 2**63 - 1


def a_position(description: str) -> QueryParameter:
    """Return what a parameter says that is a position, or a version, from 0."""
    return QueryParameter(ge=0, le=POSITION_MAX, description=description)


def at_most(most: int, what: str) -> QueryParameter:
    """Return what a parameter says that bounds a page."""
    return QueryParameter(ge=1, le=most, description=f"At most so many {what}.")


def public_names(handler: BaseRouteHandler) -> dict[str, str]:
    """Return what clients call each query parameter, by the name that the handler's argument has."""
    return {
        field.name: field.kwarg_definition.name or field.name
        for field in handler.parsed_fn_signature.parameters.values()
        if isinstance(field.kwarg_definition, QueryParameter)
    }


def day_names(handler: BaseRouteHandler) -> set[str]:
    """Return the query parameters that are days, as clients call them."""
    fields = handler.parsed_fn_signature.parameters
    return {
        public
        for name, public in public_names(handler).items()
        if date in (annotation := fields[name].annotation, *get_args(annotation))
    }


def refuse_parameters(request: Request[Any, Any, Any]) -> None:
    """Refuse a query parameter that the route does not know, or that stands twice: no typo may change a total.

    Nor may a value be what no text of the ledger's is, not UTF-8 or with a NUL; nor a day that the ledger does not know.
    """
    if not request.scope["query_string"] or request.url.path.startswith("/schema"):
        return
    items = list(request.query_params.multi_items())
    asked = [name for name, _ in items]
    known = sorted(public_names(request.route_handler).values())
    for name in asked:
        if name not in known:
            raise ClientException(
                f"unknown query parameter: {shown(name)}; known are {', '.join(known) or 'none'}"
            )
        if asked.count(name) > 1:
            raise ClientException(f"the query parameter {name} stands more than once")
    for name, value in items:
        # Bytes that are not UTF-8 have become the sign for that.
        if "\0" in value or "\ufffd" in value:
            raise ClientException(f"a parameter is malformed or out of bounds: {name}")
    days = day_names(request.route_handler)
    for name, value in items:
        if name in days:
            _check_day(name, value)


def _check_day(name: str, value: str) -> None:
    try:
        day = date.fromisoformat(value)
    except ValueError:
        return  # Litestar names it.
    check_day(name, day)
