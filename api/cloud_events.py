"""Read a report out of a CloudEvent 1.0, in its JSON format: https://github.com/cloudevents/spec, version 1.0.2.

The event's data are the fields of a report. Three attributes may say what is a field as well, and must not
say otherwise: ``id`` the key, ``type`` the type, ``time`` when it happened. No other attribute is stored.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import get_args

from litestar.openapi.spec import OpenAPIMediaType, Reference, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType

from ledger import AnyCommand, AnyEvent, read_report
from ledger.errors import FieldInvalidError, FieldMissingError, FieldUnknownError, PersonalNumberError
from ledger.events import topic_of
from ledger.masking import shown
from ledger.reports import read_time

SPECVERSION = "1.0"
ONE = "application/cloudevents+json"
"""Media type of one event: structured mode."""
MANY = "application/cloudevents-batch+json"
"""Media type of an array of events: batch mode."""
REQUIRED = ("specversion", "id", "source", "type")
BINARY_HEADERS = frozenset(f"ce-{name}".encode() for name in REQUIRED)
"""What marks a request of binary mode."""
INTEGER_MAX = 2**31 - 1

SCHEMA = Schema(
    type=OpenAPIType.OBJECT,
    title="CloudEvent",
    description=(
        "A report as a CloudEvent 1.0 in the JSON format, structured mode. What `data` leaves out is taken from "
        "`id`, `type` and `time`; what both say must agree. Nothing else of the event is stored; extension attributes "
        "are allowed. null and absent mean the same. No attribute may hold a number of 12 digits."
    ),
    required=[*REQUIRED, "data"],
    properties={
        "specversion": Schema(type=OpenAPIType.STRING, enum=[SPECVERSION]),
        "id": Schema(type=OpenAPIType.STRING, description="The report's key."),
        "source": Schema(
            type=OpenAPIType.STRING, format=OpenAPIFormat.URI_REFERENCE, description="The system that sends."
        ),
        "type": Schema(
            type=OpenAPIType.STRING,
            description="The report's type: a topic of the log, dossier.collected.v1 say, or collected alone.",
        ),
        "time": Schema(
            type=OpenAPIType.STRING, format=OpenAPIFormat.DATE_TIME, description="The report's occurred_at."
        ),
        "subject": Schema(type=OpenAPIType.STRING, description="Ignored."),
        "datacontenttype": Schema(type=OpenAPIType.STRING, description="JSON, or absent."),
        "dataschema": Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.URI, description="Ignored."),
        "data": Schema(
            type=OpenAPIType.OBJECT,
            description="The fields of a report; key, type and occurred_at may be left to the attributes.",
        ),
    },
    examples=[
        {
            "specversion": "1.0",
            "id": "a1",
            "source": "/communes/14758/terminal-7",
            "type": "dossier.collected.v1",
            "time": "2024-12-09T21:15:00+07:00",
            "data": {
                "citizen": "038090001234",
                "level": 2,
                "unit": "14758",
                "actor": "th-0042",
                "place": "culture_house",
            },
        }
    ],
)


def contents(items_max: int) -> dict[str, OpenAPIMediaType]:
    """Return the bodies that may hold events, for the document."""
    one = Reference("#/components/schemas/CloudEvent")
    many = Schema(type=OpenAPIType.ARRAY, items=one, max_items=items_max)
    return {ONE: OpenAPIMediaType(schema=one), MANY: OpenAPIMediaType(schema=many)}


_TYPES = {topic_of(event): topic_of(event).split(".")[1] for event in get_args(AnyEvent)}
"""What a report calls the type of an event, by its topic."""
_is_name = re.compile(r"[a-z0-9]+", re.ASCII).fullmatch
_is_json_type = re.compile(
    r"[\w.!#$&^+-]+/([\w.!#$&^+-]+\+)?json\s*(;.*)?", re.ASCII | re.IGNORECASE
).fullmatch
_find_control = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]").search
_find_number = re.compile(r"(?<!\d)\d{12}(?!\d)").search
_find_many_digits = re.compile(r"\d{11}").search
_CHARACTER = r"[A-Za-z0-9._~!$&'()*+,;=:@/\[\]-]|%[0-9A-Fa-f]{2}"
_is_reference = re.compile(rf"(?:{_CHARACTER})*(\?(?:{_CHARACTER}|\?)*)?(#(?:{_CHARACTER}|\?)*)?").fullmatch
_is_scheme = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*").fullmatch
_find_first_segment = re.compile(r"[^/?#]*").match


def read_cloud_event(attributes: Mapping[str, object], data: Mapping[str, object] | None) -> AnyCommand:
    """Return the report of an event.

    Args:
        attributes: All members of the event; () stands for an object or an array.
        data: The members of ``data``, or None where that is no object.

    Raises:
        InputError: It is no CloudEvent, or no report.
    """
    given = {name: value for name, value in attributes.items() if value is not None and name != "data"}
    if "data_base64" in given:
        raise FieldInvalidError("data_base64", "a report is JSON: send it as data")
    for name, value in given.items():
        _check_attribute(name, value)
    _check_envelope(given)
    if attributes.get("data") is None:
        raise FieldMissingError("data", "the fields of the report")
    if data is None:
        raise FieldInvalidError("data", "must be an object, of the fields of a report")
    command = read_report(_fields(given, data))
    _check_own_number(given, command.citizen)
    return command


def _check_attribute(name: str, value: object) -> None:
    if _find_many_digits(name):
        raise PersonalNumberError("the name of an attribute")
    if not _is_name(name):
        raise FieldUnknownError(
            f"{shown(name)} cannot be an attribute of a CloudEvent: their names are lower-case letters and digits"
        )
    if isinstance(value, str):
        if _find_control(value):
            raise FieldInvalidError(name, "holds a control character, or half of a character")
        if _find_number(value):
            raise PersonalNumberError(name)
    elif not isinstance(value, int) or abs(value) > INTEGER_MAX:
        raise FieldInvalidError(name, "an attribute is text, an integer of 32 bits, true or false")


def _check_envelope(given: Mapping[str, object]) -> None:
    for name in REQUIRED:
        if name not in given:
            raise FieldMissingError(name, "a CloudEvent must have it")
    for name in (*REQUIRED, "subject", "time", "datacontenttype", "dataschema"):
        value = given.get(name, "absent")
        if not isinstance(value, str) or not value:
            raise FieldInvalidError(name, "must be text, and not empty")
    if given["specversion"] != SPECVERSION:
        raise FieldInvalidError("specversion", f"only CloudEvents {SPECVERSION} are understood")
    if not _is_uri_reference(str(given["source"])):
        raise FieldInvalidError("source", "must be a URI-reference (RFC 3986) of the system that sends")
    schema = str(given.get("dataschema", "urn:x"))
    if not _is_uri_reference(schema) or not _scheme(schema):
        raise FieldInvalidError("dataschema", "must be a URI (RFC 3986)")
    if not _is_json_type(str(given.get("datacontenttype", "application/json"))):
        raise FieldInvalidError("datacontenttype", "must be JSON, application/json say")


def _is_uri_reference(text: str) -> bool:
    if not _is_reference(text):
        return False
    scheme = _scheme(text)
    return scheme is None or bool(_is_scheme(scheme))


def _scheme(text: str) -> str | None:
    """Return what stands before the colon of a URI; None for a relative reference."""
    first = _find_first_segment(text)
    assert first is not None
    scheme, colon, _ = first[0].partition(":")
    return scheme if colon else None


def _fields(given: Mapping[str, object], data: Mapping[str, object]) -> dict[str, object]:
    """Return the report's fields, with what only an attribute says."""
    said: dict[str, object] = {"key": given["id"], "type": given["type"], "occurred_at": given.get("time")}
    said["type"] = _TYPES.get(str(given["type"]), given["type"])
    fields = {**data, **{name: value for name, value in said.items() if data.get(name) in {None, ""}}}
    for attribute, name in (("id", "key"), ("type", "type")):
        if fields[name] != said[name]:
            raise FieldInvalidError(attribute, f"differs from {name} in data; say it once, or twice the same")
    if "time" in given and isinstance(fields["occurred_at"], str):
        time = str(given["time"])
        if read_time(time) != read_time(fields["occurred_at"]):
            raise FieldInvalidError("time", "is another instant than occurred_at in data; say it once")
    return fields


def _check_own_number(given: Mapping[str, object], citizen: str) -> None:
    """Find the citizen's own number in what is not stored, however it is spaced."""
    for name, value in given.items():
        digits = "".join(str(unicodedata.decimal(it)) for it in str(value) if it.isdecimal())
        if name != "id" and len(citizen) == 12 and citizen in digits:
            raise PersonalNumberError(name)
