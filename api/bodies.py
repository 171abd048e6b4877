"""Strict reading of what a request says, in its query and in its body.

Left to itself Litestar answers 500 to text that is not UTF-8 and to deep nesting, takes the
last of two equal names, ignores the content type, and takes an unknown parameter for none.
"""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.exceptions import InternalServerException, ValidationException
from litestar.handlers import BaseRouteHandler
from litestar.params import ParameterKwarg, QueryParameter

from ledger import AnyCommand, read_report
from ledger.errors import (
    BatchTooLargeError,
    FieldInvalidError,
    FieldMissingError,
    FieldUnknownError,
    InputError,
    JsonInvalidError,
    NotUtf8Error,
    NulCharacterError,
)

BODY_BYTES_MAX = 2_000_000
DRAINED_BYTES_MAX = 64_000_000
"""So much of a body that is too large is read and dropped: a client that is still sending reads no answer."""
REPORTS_MAX = 1_000


class BodyTooLargeError(InputError):
    code = "body_too_large"


class BodyEmptyError(InputError):
    code = "empty_body"


class BodyCutError(InputError):
    """The client went away before its body ended. Nobody reads the answer."""

    code = "body_cut"


class MediaTypeError(InputError):
    code = "unsupported_media_type"


class ParameterUnknownError(InputError):
    """A parameter that the address does not take: a typing error must not silently ask something else."""

    code = "unknown_parameter"


class ParameterInvalidError(InputError):
    code = "invalid_parameter"


class _Repeated(msgspec.Struct, frozen=True):
    """An object in which a name stands twice."""

    name: str


async def receive_json(request: Request[Any, Any, Any]) -> bytes:
    """Return the body of a request that says it is JSON, or says nothing.

    Raises:
        BodyTooLargeError: More than ``BODY_BYTES_MAX``.
        MediaTypeError: It is something else, or compressed.
        BodyCutError: The client went away.
    """
    kept: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size <= BODY_BYTES_MAX:
                kept.append(chunk)
    except InternalServerException:
        raise BodyCutError("the request ended before its body did") from None
    if size > BODY_BYTES_MAX:
        raise BodyTooLargeError(f"the body is larger than {BODY_BYTES_MAX:,} bytes; send it in parts")
    _check_media_type(request)
    return b"".join(kept)


def _check_media_type(request: Request[Any, Any, Any]) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in ("", "application/json"):
        raise MediaTypeError("the body must be application/json, and its Content-Type say so")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise MediaTypeError("the body must not be compressed")


def read_json(content: bytes) -> object:
    """Return what a body says.

    Raises:
        InputError: It is empty, not UTF-8, holds a NUL, is not JSON, or is nested too deeply.
            The sentence repeats nothing of the body.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise NotUtf8Error(f"the body is not UTF-8: see its byte {error.start + 1}") from None
    if "\x00" in text:
        raise NulCharacterError("the body")
    if not text.strip():
        raise BodyEmptyError("the body is empty")
    try:
        # The standard library's reader, because msgspec's shows no name that stands twice.
        return json.loads(text, object_pairs_hook=_fields, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        fault = error.msg.partition(":")[0]
        raise JsonInvalidError(f"the body is not JSON, or was cut on the way: {fault} at {where}") from None
    except RecursionError:
        raise JsonInvalidError("the body is nested too deeply") from None
    except ValueError:
        raise JsonInvalidError(
            "the body holds a number that JSON does not know, or a very long one"
        ) from None


def _fields(pairs: list[tuple[str, object]]) -> dict[str, object] | _Repeated:
    fields = dict(pairs)
    if len(fields) == len(pairs):
        return fields
    names = [name for name, _ in pairs]
    return _Repeated(next(name for name in names if names.count(name) > 1))


def _refuse_constant(constant: str) -> object:
    raise ValueError(constant)  # NaN and the infinities


def check_count(items: Sequence[object]) -> None:
    """Raise BatchTooLargeError if a batch has more than ``REPORTS_MAX`` items."""
    if len(items) > REPORTS_MAX:
        raise BatchTooLargeError(
            f"{len(items)} reports in one request; send at most {REPORTS_MAX:,}, the next ones in another request"
        )


def as_command(item: object) -> AnyCommand:
    """Return the command that an item of a body is. Raise InputError if it is none."""
    return read_report(as_object(item))


def as_object(item: object) -> dict[str, object]:
    """Return an item of a body if it is a JSON object in which no name stands twice."""
    match item:
        case dict():
            return item
        case _Repeated():
            raise FieldInvalidError(item.name[:40], "stands there twice; once is meant")
        case _:
            raise JsonInvalidError(f"expected a JSON object, not {_kind(item)}")


def _kind(item: object) -> str:
    match item:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "a text"
        case int() | float():
            return "a number"
        case _:
            return "an array"


def read_text(content: bytes, name: str) -> str:
    """Return the one field, a text, of a body that is an object with nothing else in it."""
    fields = as_object(read_json(content))
    unknown = fields.keys() - {name}
    if unknown:
        raise FieldUnknownError(f"unknown field {min(unknown)[:40]!r}; the only field is {name}")
    text = fields.get(name)
    if text is None:
        raise FieldMissingError(name)
    if not isinstance(text, str):
        raise FieldInvalidError(name, "must be text")
    return text


def check_query(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Raise InputError for a query parameter that the handler does not take, or that stands twice."""
    known = sorted(
        parameter.name or name
        for name, parameter in _parameters(handler).items()
        if isinstance(parameter, QueryParameter)
    )
    for name in connection.query_params:
        if name not in known:
            takes = f"the parameters are {', '.join(known)}" if known else "this address takes none"
            raise ParameterUnknownError(f"unknown parameter {name[:40]!r}; {takes}")
        if len(connection.query_params.getall(name)) > 1:
            raise ParameterInvalidError(f"the parameter {name} stands there twice; once is meant")


def parameter_fault(handler: BaseRouteHandler, error: ValidationException) -> ParameterInvalidError:
    """Return what is wrong with a parameter, in the words of its description, repeating no value.

    Litestar's own sentence holds the whole address.
    """
    parameters = _parameters(handler)
    faults = error.extra if isinstance(error.extra, list) else []
    for fault in faults:
        name = str(fault.get("key", ""))
        parameter = parameters.get(name)
        if parameter is not None:
            return ParameterInvalidError(
                f"the parameter {parameter.name or name} does not fit: {parameter.description}"
            )
    return ParameterInvalidError("a parameter of the address does not fit")


def _parameters(handler: BaseRouteHandler) -> dict[str, ParameterKwarg]:
    fields = handler.parsed_fn_signature.parameters.items()
    return {
        name: field.kwarg_definition
        for name, field in fields
        if isinstance(field.kwarg_definition, ParameterKwarg)
    }
