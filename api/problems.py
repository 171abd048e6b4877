"""Which HTTP problem each refusal becomes (RFC 9457). The only module that knows both."""

import logging
import math
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec

from api.access.errors import IssuerUnavailableError, TokenError
from api.bodies import ContentTypeError
from api.edge.limits import TooManyRequestsError
from api.ending import ServerEndingError
from api.feed import EventUnreadableError, FollowersTooManyError, PositionAheadError
from api.gathering import TooBusyError
from api.imports import ImportBusyError
from api.parameters import public_names
from ledger import LedgerError, UnavailableError
from ledger.errors import (
    AccessError,
    BatchTooLargeError,
    ClockBehindError,
    ContentionError,
    ImportBrokenError,
    ImportSpaceError,
    InputError,
    KeyConflictError,
    KeyFileError,
    NoEmbargoError,
    NotFoundError,
    NotRecordedError,
    PurposeNeededError,
    PurposeUnknownError,
    ReadNotRecordedError,
    ReportNameTakenError,
    StateError,
    TargetsRefusedError,
    UnitError,
)
from projections import (
    CountsDifferError,
    NotCaughtUpError,
    ProjectionStoppedError,
    RebuildRunningError,
    ReportDiffersError,
    ReportFormatUnknownError,
)
from projections.errors import PositionLostError

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:activation-ledger:problem:"
RETRY_SECONDS = 1

PROBLEMS: dict[type[Exception], tuple[int, str]] = {
    TokenError: (401, "It is not known who asks"),
    BatchTooLargeError: (413, "Too much at once"),
    ContentTypeError: (415, "The body is of no type that is taken here"),
    PurposeUnknownError: (400, "Nobody may look for this purpose"),
    PurposeNeededError: (422, "Say what for"),
    InputError: (400, "The report is malformed"),
    AccessError: (403, "Not permitted"),
    UnitError: (422, "The unit does not allow it"),
    TargetsRefusedError: (422, "The targets do not fit"),
    ReportNameTakenError: (409, "The name is that of another report"),
    ReportDiffersError: (409, "The report is not what was frozen"),
    CountsDifferError: (409, "The counts do not add up"),
    StateError: (409, "The dossier is not in the state for it"),
    KeyConflictError: (409, "The key was used for another report"),
    NotRecordedError: (409, "Not recorded, because another report of the batch was refused"),
    NoEmbargoError: (409, "There is no embargo"),
    NotFoundError: (404, "There is no such thing"),
    PositionAheadError: (409, "The log does not reach so far"),
    RebuildRunningError: (409, "A rebuild is under way"),
    TooManyRequestsError: (429, "Too many requests"),
    KeyFileError: (503, "The ledger's key file does not fit"),
    UnavailableError: (503, "The ledger cannot answer now; try again with the same keys"),
}
"""Status and title by class; a subclass has its nearest parent's."""

_HTTP = {
    400: ("bad_request", "The request is malformed"),
    404: ("no_such_route", "There is nothing at this address"),
    405: ("method_not_allowed", "The address does not take this method"),
    413: ("body_too_large", "The body is too large"),
}
"""Code and title of what is refused before the ledger sees it, by status."""

MEANINGS = {
    400: "The request or the report is malformed.",
    401: "There is no token, or none that is taken.",
    403: "None of the roles of whoever asks permits it, or none over the unit that it is about.",
    404: "There is no such citizen or dossier.",
    409: "The dossier is not in the state for it, or the key was used for another report.",
    413: "The body is too large, or holds too many reports.",
    415: "The body is not declared as a type that the route takes.",
    422: "No unit has this code, or it was not valid on the day; or it was not said what for.",
    429: "The caller asks too often; try again after the seconds of Retry-After.",
    503: "It cannot answer now; try again, with the same keys, after the seconds of Retry-After.",
}


EVERYWHERE = (429,)
"""What any route may answer."""


def _status_and_title(error_class: type[Exception]) -> tuple[int, str]:
    return next(PROBLEMS[cls] for cls in error_class.__mro__ if cls in PROBLEMS)


def _leaves(*classes: type[Any]) -> Iterator[type[Any]]:
    for cls in classes:
        yield from _leaves(*cls.__subclasses__()) if cls.__subclasses__() else (cls,)


CODES = sorted(
    {(status, code) for status, (code, _) in _HTTP.items()}
    | {(_status_and_title(cls)[0], cls.code) for cls in _leaves(LedgerError, UnavailableError)}
)
"""Every status with every code that it comes with."""
STATUSES = sorted({200, 201, 204, 304, 500, *_HTTP, *(status for status, _ in PROBLEMS.values())})
"""Every status that is counted by itself."""

_TELLING = (
    *(ClockBehindError, ContentionError, EventUnreadableError, FollowersTooManyError, ImportBusyError),
    IssuerUnavailableError,
    *(NotCaughtUpError, PositionLostError, ProjectionStoppedError, ReportFormatUnknownError),
    *(ServerEndingError, TooBusyError),
)
"""What speaks of nothing but the log. The others name hosts, users and files: for the operator, not for clients."""

_log = logging.getLogger(__name__)


_INSTEAD: dict[type[Exception], str] = {
    ReadNotRecordedError: "it could not be recorded who looks, so nothing is told; try again",
    ImportSpaceError: "the server has no room for this file, or for what is refused of it; what was recorded stays",
    ImportBrokenError: "the import was ended in the middle; what was recorded stays, send the file again",
}
"""What is told of the others, where it is not the database."""


class Problem(msgspec.Struct, frozen=True):
    """A problem of RFC 9457. Branch on ``code``; ``detail`` is for people and holds no personal number."""

    type: str
    """``urn:activation-ledger:problem:`` and the code."""
    title: str
    status: int
    detail: str
    code: str
    request_id: str | msgspec.UnsetType = msgspec.UNSET
    """The request's, as in X-Request-Id and the server's log; absent where a problem is one of several results."""


def problems(*statuses: int, meanings: Mapping[int, str] = MEANINGS) -> dict[int, ResponseSpec]:
    """Document the problems that a route may answer.

    Args:
        meanings: Of statuses that mean something of their own there.
    """
    return {
        status: ResponseSpec(
            Problem,
            media_type=MEDIA_TYPE,
            description=meanings.get(status, MEANINGS[status]),
            generate_examples=False,
        )
        for status in sorted({*statuses, *EVERYWHERE})
    }


def problem_of(error: LedgerError | UnavailableError) -> Problem:
    """Return the problem that a refusal becomes."""
    status, title = _status_and_title(type(error))
    detail = str(error)
    if status == 503 and not isinstance(error, _TELLING):
        away = "the ledger's database cannot be used at the moment; the server's log says why"
        detail = _INSTEAD.get(type(error), away)
    return Problem(TYPE_PREFIX + error.code, title, status, detail, error.code)


def respond(
    problem: Problem, request: Request[Any, Any, Any], *, wait_seconds: float = RETRY_SECONDS
) -> Response[Any]:
    """Return a problem as the answer to a request."""
    problem = msgspec.structs.replace(problem, request_id=request_id_of(request))
    headers = {"Cache-Control": "no-store"}
    if problem.status in (429, 503):
        headers["Retry-After"] = str(math.ceil(wait_seconds))
    return Response(problem, status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)


def request_id_of(request: Request[Any, Any, Any]) -> str:
    return str(request.scope.get("request_id", ""))


def _refused(request: Request[Any, Any, Any], error: LedgerError | UnavailableError) -> Response[Any]:
    problem = problem_of(error)
    if problem.detail != str(error):
        _log.warning("not available (%s): %s; request %s", error.code, error, request_id_of(request))
    if isinstance(error, TooManyRequestsError):
        return respond(problem, request, wait_seconds=error.wait_seconds)
    if not isinstance(error, TokenError):
        return respond(problem, request)
    wait = request.app.state.fail(request)
    if wait:
        return _refused(request, TooManyRequestsError(wait))
    response = respond(problem, request)
    response.headers["WWW-Authenticate"] = error.challenge
    return response


def _http(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    if error.status_code >= 500:
        return _unexpected(request, error)
    if "path_template" not in request.scope:
        # It has found no route, so nobody has asked yet whether its caller may ask so often.
        wait = request.app.state.stray(request)
        if wait:
            return _refused(request, TooManyRequestsError(wait))
    code, title = _HTTP.get(error.status_code, _HTTP[400])
    problem = Problem(TYPE_PREFIX + code, title, error.status_code, _detail(request, error), code)
    response = respond(problem, request)
    response.headers.update(error.headers or {})
    return response


def _detail(request: Request[Any, Any, Any], error: HTTPException) -> str:
    if isinstance(error, ValidationException):
        # Litestar's own sentence names the parameters; the values, which may be personal, it never repeats here.
        faults = error.extra if isinstance(error.extra, list) else []
        names = public_names(request.route_handler)
        keys = {str(fault["key"]) for fault in faults if isinstance(fault, dict) and "key" in fault}
        asked = ", ".join(sorted(names.get(key, key) for key in keys))
        return f"a parameter is malformed or out of bounds: {asked or 'see /schema'}"
    match error.status_code:
        case 404:
            return "no route has this address; / and /schema name those that there are"
        case 405:
            return f"it takes {(error.headers or {}).get('allow')}"
        case 413:
            return f"at most {request.route_handler.resolve_request_max_body_size():,} bytes are taken"
        case _:
            return error.detail


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    # The route's template, not the address: a client may put anything into an address.
    route = request.scope.get("path_template", "(no route)")
    traces = "; caused by ".join(_traces(error))
    _log.error("unexpected in %s %s, request %s: %s", request.method, route, request_id_of(request), traces)
    detail = "an error of the program, which was logged; nothing you sent is at fault"
    return respond(Problem(TYPE_PREFIX + "internal", "Internal error", 500, detail, "internal"), request)


def _traces(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        # Only where and what kind: the text of an exception, which exc_info would print, may hold what was sent.
        frames = traceback.extract_tb(error.__traceback__)
        where = " < ".join(f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in reversed(frames))
        yield f"{type(error).__module__}.{type(error).__qualname__} in {where}"
        error = error.__cause__ or error.__context__


HANDLERS: dict[int | type[Exception], Any] = {
    LedgerError: _refused,
    UnavailableError: _refused,
    HTTPException: _http,
    Exception: _unexpected,
}
