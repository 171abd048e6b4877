"""Read request bodies strictly: whatever is sent becomes a report or one clear error, never a crash."""

import math
from collections.abc import Callable
from datetime import date
from typing import Any, TypeVar

import msgspec
from litestar import Request
from litestar.exceptions import ClientException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.types import Empty

from api import cloud_events
from api.patience import Patience
from ledger import AnyCommand, LedgerError, read_report
from ledger.errors import BatchTooLargeError, FieldInvalidError, InputError, JsonInvalidError, NotUtf8Error
from ledger.json_objects import check_depth, check_names

BODY_BYTES_MAX = 2_000_000
ITEMS_MAX = 1_000

JSON = "application/json"
CLOUD_EVENTS = "application/cloudevents"
"""What the media types of CloudEvents begin with, whatever their format."""

_array = msgspec.json.Decoder(list[msgspec.Raw])
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_flat = msgspec.json.Decoder(dict[str, str | int | float | bool | None])
_value = msgspec.json.Decoder(str | int | float | bool | None)


T = TypeVar("T")


class ContentTypeError(InputError):
    """The body is not declared as something that the route takes."""

    code = "unsupported_media_type"


class BodyCutError(InputError):
    """The connection ended, or what came made no sense, in the middle of the body."""

    code = "body_cut"


class BodyRequest(Request[Any, Any, Any]):
    """A request that takes a body which does not arrive whole for the client's fault, not the program's."""

    def header(self, name: bytes) -> str | None:
        """Return the first header of a name, which is in lower case.

        Litestar makes a mapping of all of them for each request, just to look up one.
        """
        for found, value in self.scope["headers"]:
            if found == name:
                return value.decode("latin-1")
        return None

    async def body(self) -> bytes:
        """Return the whole body.

        It ends with the last of its announced bytes: granian says in a message of its own that it has ended, which comes
        to the event loop by way of another thread and takes some 15 microseconds.

        Raises:
            ContentTypeError: It is the data of a CloudEvent, and the rest of that is in headers.
            RequestEntityTooLarge: It is longer than the route allows.
            BodyCutError: The client hung up in the middle.
        """
        if self._body is not Empty:
            return self._body
        self._check_headers()
        announced = self.header(b"content-length") or ""
        # More digits than any length has would be Python's to read for a long time.
        length = int(announced) if announced.isdecimal() and len(announced) < 20 else math.inf
        limit = self.route_handler.resolve_request_max_body_size()
        bytes_max = math.inf if limit is None else limit
        patience: Patience = self.app.state.patience
        parts: list[bytes] = []
        received, more = 0, True
        try:
            with patience:
                while more and received < length:
                    message = await self.receive()
                    if message["type"] != "http.request":
                        raise BodyCutError("the body was cut on the way; send it again with the same keys")
                    parts.append(message["body"])
                    received += len(message["body"])
                    more = message["more_body"]
                    if received > bytes_max:
                        # What comes of it still is not read, so nothing can come after it.
                        raise RequestEntityTooLarge(headers={"Connection": "close"})
        except TimeoutError:
            seconds = f"{patience.seconds_max:g} seconds"
            raise BodyCutError(
                f"the body did not come within {seconds}; send it again with the same keys"
            ) from None
        self._body = self._connection_state.body = b"".join(parts)
        return self._body

    def _check_headers(self) -> None:
        """Refuse what says of a body more than one thing, or that it is not what it looks like."""
        types, binary = 0, False
        for name, value in self.scope["headers"]:
            if name == b"content-type":
                types += 1
            elif name == b"content-encoding" and value.lower() != b"identity":
                raise ContentTypeError("send the body as it is, not compressed")
            elif name in cloud_events.BINARY_HEADERS:
                binary = True
        if types > 1:
            raise ContentTypeError("the type of the body is declared more than once")
        # Their data alone would be a report as well, whatever the headers say about it.
        if binary and not media_type_of(self.header(b"content-type")).startswith(CLOUD_EVENTS):
            raise ContentTypeError(
                "CloudEvents are not taken in binary mode, with attributes in headers: send the whole event as "
                f"{cloud_events.ONE}, or several as {cloud_events.MANY}"
            )


def refuse_body(request: BodyRequest) -> None:
    """Refuse a body where none is taken: nobody would read it, or somebody between us would read it as something else."""
    if request.route_handler.resolve_request_max_body_size() == 0:
        for name, value in request.scope["headers"]:
            if name == b"transfer-encoding" or (name == b"content-length" and value != b"0"):
                raise ClientException("this address takes no body", headers={"Connection": "close"})


def read_body(body: bytes, content_type: str | None) -> AnyCommand | list[AnyCommand | LedgerError]:
    """Return the report of an object; for an array a report or a refusal for each item, in order.

    Of CloudEvents, the media type says which of the two it is.

    Raises:
        InputError: The body is no JSON object or array, or the object is no report.
    """
    media_type = media_type_of(content_type)
    check_depth(body)
    match media_type:
        case "application/json":
            is_array = body.lstrip()[:1] == b"["
            return _read_items(body, read_item) if is_array else read_item(body)
        case cloud_events.ONE:
            return read_cloud_event(body)
        case cloud_events.MANY:
            return _read_items(body, read_cloud_event)
        case _:
            raise ContentTypeError(
                f"send the body with Content-Type: {JSON}, {cloud_events.ONE} or {cloud_events.MANY}"
            )


def media_type_of(content_type: str | None) -> str:
    """Return the media type without its parameters; "" where none is declared, which no route takes for any.

    Raises:
        ContentTypeError: It is declared in another encoding than UTF-8.
    """
    media_type, *parameters = (content_type or "").split(";")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in ("utf-8", "utf8"):
            raise ContentTypeError("send the body in UTF-8")
    return media_type.strip().lower()


def _read_fields(body: bytes, content_type: str | None) -> dict[str, object]:
    """Return the fields of a body that is one JSON object, bounded as reports are."""
    if media_type_of(content_type) != JSON:
        raise ContentTypeError(f"send the body with Content-Type: {JSON}")
    check_depth(body)
    return _read_object(body)


def _read_items(body: bytes, read: Callable[[bytes], AnyCommand]) -> list[AnyCommand | LedgerError]:
    items = _decode(_array, body)
    if len(items) > ITEMS_MAX:
        raise BatchTooLargeError(f"an array may hold {ITEMS_MAX} reports, this one holds {len(items)}")
    return [_item_or_refusal(bytes(item), read) for item in items]


def _item_or_refusal(item: bytes, read: Callable[[bytes], AnyCommand]) -> AnyCommand | LedgerError:
    try:
        return read(item)
    except LedgerError as refusal:
        return refusal


def read_item(body: bytes) -> AnyCommand:
    """Return the report of a JSON object; raise InputError if it is none."""
    return read_report(_read_object(body))


def read_cloud_event(body: bytes) -> AnyCommand:
    """Return the report of a CloudEvent in its JSON format; raise InputError if it is none."""
    attributes = _read_object(body)
    data = None
    if attributes.get("data") == ():
        raw = bytes(_decode(_object, body)["data"])
        data = _read_object(raw) if raw.startswith(b"{") else None
    return cloud_events.read_cloud_event(attributes, data)


def _read_object(body: bytes) -> dict[str, object]:
    """Return the fields of a JSON object; () stands for an object or an array where a value belongs."""
    try:
        fields: dict[str, object] = {**_flat.decode(body)}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # Something is wrong, or nested: looked at value by value, the fault is found and named.
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


def read_embargo(body: bytes, content_type: str | None) -> tuple[date, str]:
    """Return until when and why, of the body of an embargo; the ledger checks both."""
    fields = _read_fields(body, content_type)
    if set(fields) != {"until", "purpose_text"}:
        raise JsonInvalidError('expected {"until": a day, "purpose_text": a text} and nothing else')
    until, text = fields["until"], fields["purpose_text"]
    if not isinstance(text, str):
        raise FieldInvalidError("purpose_text", "must be text")
    try:
        return msgspec.convert(until, date), text
    except msgspec.ValidationError:
        raise FieldInvalidError("until", "a day like 2024-12-31") from None


def read_citizen(body: bytes, content_type: str | None) -> str:
    """Return the number of a look-up's body, {"citizen": "..."}; the ledger checks it."""
    fields = _read_fields(body, content_type)
    if set(fields) != {"citizen"}:
        raise JsonInvalidError('expected {"citizen": "12 digits"} and nothing else')
    number = fields["citizen"]
    return number if isinstance(number, str) else ""
