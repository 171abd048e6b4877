"""Which HTTP problem each refusal becomes (RFC 9457). The only module that knows both."""

import logging
import traceback
from collections.abc import Iterator
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from api.bodies import ContentTypeError
from ledger import LedgerError, UnavailableError
from ledger.errors import (
    BatchTooLargeError,
    InputError,
    KeyConflictError,
    KeyFileError,
    NotFoundError,
    NotRecordedError,
    StateError,
    UnitError,
)
from projections import RebuildRunningError

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:activation-ledger:problem:"
RETRY_SECONDS = 1

PROBLEMS: dict[type[Exception], tuple[int, str]] = {
    BatchTooLargeError: (413, "Too much at once"),
    ContentTypeError: (415, "The body is not declared as JSON"),
    InputError: (400, "The report is malformed"),
    UnitError: (422, "The unit does not allow it"),
    StateError: (409, "The dossier is not in the state for it"),
    KeyConflictError: (409, "The key was used for another report"),
    NotRecordedError: (409, "Not recorded, because another report of the batch was refused"),
    NotFoundError: (404, "There is no such thing"),
    RebuildRunningError: (409, "A rebuild is under way"),
    KeyFileError: (503, "The ledger's key file does not fit"),
    UnavailableError: (503, "The ledger cannot answer now; try again with the same keys"),
}
"""Status and title by class; a subclass has its nearest parent's."""

_CODES = {400: "bad_request", 404: "no_such_route", 405: "method_not_allowed", 413: "body_too_large"}

_log = logging.getLogger(__name__)


class Problem(msgspec.Struct, frozen=True):
    """A problem of RFC 9457. Branch on ``code``; ``detail`` is for people and holds no personal number."""

    type: str
    """``urn:activation-ledger:problem:`` and the code."""
    title: str
    status: int
    detail: str
    code: str


def problem_of(error: LedgerError | UnavailableError) -> Problem:
    """Return the problem that a refusal becomes."""
    status, title = next(PROBLEMS[cls] for cls in type(error).__mro__ if cls in PROBLEMS)
    return Problem(TYPE_PREFIX + error.code, title, status, str(error), error.code)


def respond(problem: Problem) -> Response[Problem]:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if problem.status == 503:
        headers["Retry-After"] = str(RETRY_SECONDS)
    return Response(problem, status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)


def _refused(_request: Request[Any, Any, Any], error: LedgerError | UnavailableError) -> Response[Problem]:
    return respond(problem_of(error))


def _http(_request: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    if error.status_code >= 500:
        return _unexpected(_request, error)
    code = _CODES.get(error.status_code, "bad_request")
    # Litestar's own sentence names the parameters; the values, which may be personal, it never repeats here.
    detail = _parameters(error) if isinstance(error, ValidationException) else error.detail
    response = respond(Problem(TYPE_PREFIX + code, detail, error.status_code, detail, code))
    response.headers.update(error.headers or {})
    return response


def _parameters(error: ValidationException) -> str:
    faults = error.extra if isinstance(error.extra, list) else []
    names = sorted({str(fault["key"]) for fault in faults if isinstance(fault, dict) and "key" in fault})
    return f"a parameter is malformed or out of bounds: {', '.join(names) or 'see /schema'}"


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    # The route's template, not the address: a client may put anything into an address.
    route = request.scope.get("path_template", "(no route)")
    _log.error("unexpected in %s %s: %s", request.method, route, "; caused by ".join(_traces(error)))
    detail = "an error of the program, which was logged; nothing you sent is at fault"
    return respond(Problem(TYPE_PREFIX + "internal", "Internal error", 500, detail, "internal"))


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
