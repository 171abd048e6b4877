"""Read request bodies strictly: whatever is sent becomes a report or one clear error, never a crash."""

from typing import Any, TypeVar

import msgspec
from litestar import Request
from litestar.exceptions import InternalServerException

from ledger import AnyCommand, LedgerError, read_report
from ledger.errors import BatchTooLargeError, InputError, JsonInvalidError, NotUtf8Error
from ledger.json_objects import check_names

BODY_BYTES_MAX = 2_000_000
ITEMS_MAX = 1_000

_array = msgspec.json.Decoder(list[msgspec.Raw])
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_value = msgspec.json.Decoder(str | int | float | bool | None)


T = TypeVar("T")


class ContentTypeError(InputError):
    """The body is not declared as JSON."""

    code = "unsupported_media_type"


class BodyCutError(InputError):
    """The connection ended, or what came made no sense, in the middle of the body."""

    code = "body_cut"


class BodyRequest(Request[Any, Any, Any]):
    """A request that takes a body which does not arrive whole for the client's fault, not the program's."""

    async def body(self) -> bytes:
        try:
            return await super().body()
        except InternalServerException:
            raise BodyCutError("the body was cut on the way; send it again with the same keys") from None


def read_body(body: bytes, content_type: str | None) -> AnyCommand | list[AnyCommand | LedgerError]:
    """Return the report of an object; for an array a report or a refusal for each item, in order.

    Raises:
        InputError: The body is no JSON object or array, or the object is no report.
    """
    _check_json(content_type)
    if body.lstrip()[:1] == b"[":
        return _read_items(body)
    return read_item(body)


def _check_json(content_type: str | None) -> None:
    media_type = (content_type or "application/json").split(";")[0].strip().lower()
    if media_type != "application/json":
        raise ContentTypeError("send the body as application/json")


def _read_items(body: bytes) -> list[AnyCommand | LedgerError]:
    items = _decode(_array, body)
    if len(items) > ITEMS_MAX:
        raise BatchTooLargeError(f"an array may hold {ITEMS_MAX} reports, this one holds {len(items)}")
    return [_item_or_refusal(bytes(item)) for item in items]


def _item_or_refusal(item: bytes) -> AnyCommand | LedgerError:
    try:
        return read_item(item)
    except LedgerError as refusal:
        return refusal


def read_item(body: bytes) -> AnyCommand:
    """Return the report of a JSON object; raise InputError if it is none."""
    return read_report(_read_object(body))


def _read_object(body: bytes) -> dict[str, object]:
    """Return the fields of a JSON object; () stands for an object or an array where a value belongs."""
    fields = {name: _scalar(raw) for name, raw in _decode(_object, body).items()}
    check_names(body, fields)
    return fields


def _scalar(raw: msgspec.Raw) -> object:
    try:
        return _value.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        # The field's own check names the field.
        return ()


def _decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        body.decode()
        return decoder.decode(body)
    except UnicodeDecodeError:
        raise NotUtf8Error("the body is not UTF-8; nor may it be compressed") from None
    except msgspec.ValidationError:
        raise JsonInvalidError("expected a JSON object, or an array of objects") from None
    except (msgspec.DecodeError, RecursionError):
        raise JsonInvalidError(
            "the body is not JSON, or nested beyond reason; was it cut on the way?"
        ) from None


def read_citizen(body: bytes, content_type: str | None) -> str:
    """Return the number of a look-up's body, {"citizen": "..."}; the ledger checks it."""
    _check_json(content_type)
    fields = _read_object(body)
    if set(fields) != {"citizen"}:
        raise JsonInvalidError('expected {"citizen": "12 digits"} and nothing else')
    number = fields["citizen"]
    return number if isinstance(number, str) else ""
