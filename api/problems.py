"""Which HTTP problem each refusal becomes. The only module that knows both."""

import logging
import re
import traceback
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from litestar.types import ExceptionHandlersMap

from api.bodies import BodyTooLargeError, MediaTypeError, parameter_fault
from ledger.errors import (
    BatchTooLargeError,
    ClockBehindError,
    InputError,
    KeyConflictError,
    KeyFileError,
    LedgerError,
    NotFoundError,
    NotRecordedError,
    StateError,
    StoreNotReadyError,
    StoreUnavailableError,
    UnavailableError,
    UnitError,
)
from projections import RebuildRunningError

MEDIA_TYPE: Final = "application/problem+json"

_log = logging.getLogger(__name__)


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request, or one report of it, was refused (RFC 9457). A report that was refused is not recorded."""

    type: str
    """``urn:activation-ledger:problem:`` and the code; stable."""
    code: str
    """What programs branch on; it never changes."""
    title: str
    """The same for every problem of the type."""
    status: int
    """The HTTP status; of an item of an array the one that it would have had alone."""
    detail: str
    """A sentence for people that says what to do. It holds no personal number."""


class Answer(msgspec.Struct, frozen=True):
    """How a family of refusals is answered."""

    status: int
    retry_after_seconds: int | None = None
    detail: str | None = None
    """Said in place of the error's own sentence, which is for the operator and goes to the log."""


_AGAIN = "Whether anything was recorded is not known: send the same again, with the same keys."

PROBLEMS: dict[type[Exception], Answer] = {
    InputError: Answer(400),
    BatchTooLargeError: Answer(413),
    BodyTooLargeError: Answer(413),
    MediaTypeError: Answer(415),
    UnitError: Answer(422),
    StateError: Answer(409),
    KeyConflictError: Answer(409),
    NotRecordedError: Answer(424),
    RebuildRunningError: Answer(409),
    NotFoundError: Answer(404),
    KeyFileError: Answer(500, detail="The server's key file does not fit this ledger; tell its operator."),
    UnavailableError: Answer(503, 1),
    StoreUnavailableError: Answer(503, 5, f"The ledger's database cannot be reached. {_AGAIN}"),
    StoreNotReadyError: Answer(
        503, 30, "The ledger's database is not set up for this version; tell its operator."
    ),
    ClockBehindError: Answer(
        503, 60, "The database server's clock is wrong, so nothing is recorded; tell its operator."
    ),
}
"""By class, or by family; the nearest one counts."""

_BY_STATUS: dict[int, tuple[str, str]] = {
    400: ("bad_request", "The server does not understand the request."),
    404: ("not_found", "There is nothing at this address; GET / tells which addresses there are."),
    405: (
        "method_not_allowed",
        "This address does not take this method; the header Allow says which it takes.",
    ),
    413: (BodyTooLargeError.code, "The body is too large; send it in parts."),
    415: (MediaTypeError.code, "The body must be application/json."),
}
"""Code and detail of what Litestar itself refuses. Its own sentences repeat the address."""
_INTERNAL = ("internal_error", "The server made a mistake; it is in its log. " + _AGAIN)


def problem_of(error: LedgerError | UnavailableError) -> Problem:
    """Return the problem that a refusal becomes."""
    answer = _answer_to(error)
    return _problem(error.code, answer.status, answer.detail or str(error))


def _answer_to(error: Exception) -> Answer:
    return next(PROBLEMS[family] for family in type(error).__mro__ if family in PROBLEMS)


def _problem(code: str, status: int, detail: str) -> Problem:
    return Problem(
        type=f"urn:activation-ledger:problem:{code}",
        code=code,
        title=code.replace("_", " ").capitalize(),
        status=status,
        detail=without_numbers(detail),
    )


_ID_OR_NUMBER = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d(?:[ .-]?\d){11,}|\d{10,}")


def without_numbers(detail: str) -> str:
    """Return a sentence without what might be a personal number, also one that lost zeros or was spaced.

    Refusals quote what was sent, and what was sent may stand in the wrong field. Ids stay.
    """
    return _ID_OR_NUMBER.sub(lambda match: match[0] if match[0].count("-") == 4 else "(a number)", detail)


def as_response(
    problem: Problem, *, headers: dict[str, str] | None = None, retry_after_seconds: int | None = None
) -> Response[Problem]:
    """Return the response that consists of a problem."""
    all_headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})}
    if retry_after_seconds is not None:
        all_headers["Retry-After"] = str(retry_after_seconds)
    return Response(problem, status_code=problem.status, media_type=MEDIA_TYPE, headers=all_headers)


def refuse(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Answer a refusal of the ledger, or of this package."""
    assert isinstance(error, LedgerError | UnavailableError)
    answer = _answer_to(error)
    if answer.detail is not None:
        _log.warning("%s: %s: %s", _place(request), error.code, without_numbers(str(error)))
    return as_response(problem_of(error), retry_after_seconds=answer.retry_after_seconds)


def refuse_not_found(_: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Answer a refusal where the address itself names what there is not."""
    assert isinstance(error, LedgerError)
    return as_response(_problem(error.code, 404, str(error)))


def _refuse_parameter(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    assert isinstance(error, ValidationException)
    return refuse(request, parameter_fault(request.route_handler, error))


def _refuse_http(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    assert isinstance(error, HTTPException)
    if error.status_code not in _BY_STATUS:
        return _fail(request, error)
    code, detail = _BY_STATUS[error.status_code]
    return as_response(_problem(code, error.status_code, detail), headers=error.headers)


def _fail(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Answer what should not have happened, saying nothing of it; the log gets where, but no values."""
    _log.error("%s: %s", _place(request), "; caused by ".join(_traces(error)))
    code, detail = _INTERNAL
    return as_response(_problem(code, 500, detail))


def _place(request: Request[Any, Any, Any]) -> str:
    # The template, not the address: a client may put anything into an address.
    return f"{request.method} {request.scope.get('path_template', '(no route)')}"


def _traces(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        # Messages of exceptions hold values, and values may be personal.
        frames = traceback.extract_tb(error.__traceback__)
        where = " < ".join(f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in reversed(frames))
        yield f"{type(error).__module__}.{type(error).__qualname__} in {where}"
        error = error.__cause__ or error.__context__


EXCEPTION_HANDLERS: ExceptionHandlersMap = {
    LedgerError: refuse,
    UnavailableError: refuse,
    ValidationException: _refuse_parameter,
    HTTPException: _refuse_http,
    Exception: _fail,
}

_MEANING = {
    400: "The request is wrong in itself: sending it again unchanged can never succeed.",
    404: "There is no such thing.",
    409: "The dossier is not where the report needs it, or the key was used for another report.",
    413: "The body, or the number of its reports, is too large.",
    415: "The body is not application/json.",
    422: "The unit has no such code, or not on that day.",
    500: "The server made a mistake.",
    503: "Not available now; the header Retry-After says in how many seconds to ask again.",
}


def documented(*statuses: int) -> dict[int, ResponseSpec]:
    """Return how problems with these statuses, and 500, are documented."""
    return {
        status: ResponseSpec(
            Problem, description=_MEANING[status], media_type=MEDIA_TYPE, generate_examples=False
        )
        for status in (*statuses, 500)
    }
