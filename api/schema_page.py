"""The OpenAPI document as one page, for people.

The usual pages load their scripts from the network: on a machine without one they stay blank, and on one with it,
strangers' scripts run where the histories of citizens can be read. This page has no scripts.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from litestar import Request
from litestar.openapi.plugins import OpenAPIRenderPlugin

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b }
h2 { margin-top: 3rem; border-top: 1px solid #ccc; padding-top: 1rem } code, pre { background: #f3f3f3 }
pre { padding: .7rem; overflow-x: auto } p, li { white-space: pre-line }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; vertical-align: top; padding: .2rem .7rem }
tr { border-top: 1px solid #ddd }
"""


class SchemaPage(OpenAPIRenderPlugin):
    """Shows the document at its root."""

    def __init__(self) -> None:
        super().__init__(path="/")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return "\n".join(page(openapi_schema, self.get_openapi_json_route(request))).encode()


def page(document: Mapping[str, Any], address: str) -> Iterator[str]:
    info = document["info"]
    title = f"{escape(info['title'])} {escape(info['version'])}"
    yield '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    yield f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>"
    yield f"<p>{_prose(info['description'])}</p>"
    yield f'<p>For programs: <a href="{escape(address)}">{escape(address)}</a></p>'
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield from _operation(f"{method.upper()} {path}", operation)
    for name, schema in document["components"]["schemas"].items():
        yield from _schema(name, schema)
    yield "</body></html>"


def _operation(address: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f'<h2 id="{operation["operationId"]}"><code>{escape(address)}</code></h2>'
    yield f"<p><strong>{_prose(operation['summary'])}.</strong> {_prose(operation.get('description', ''))}</p>"
    if "requestBody" in operation:
        yield f"<p>Takes {_contents(operation['requestBody'])}</p>"
    parameters = operation.get("parameters", [])
    if parameters:
        rows = ((it["name"], _kind(it["schema"]), it.get("description", "")) for it in parameters)
        yield from _table("parameter", rows)
    answers = operation["responses"].items()
    yield from _table(
        "status", ((status, _contents(it), it["description"]) for status, it in sorted(answers))
    )


def _schema(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f'<h2 id="{escape(name)}">{escape(name)}</h2><p>{_prose(schema.get("description", ""))}</p>'
    required = schema.get("required", [])
    fields = schema["properties"].items()
    yield from _table(
        "field",
        (
            (field if field in required else f"{field} (may be absent)", _kind(it), it.get("description", ""))
            for field, it in fields
        ),
    )
    for example in schema.get("examples", []):
        yield f"<pre>{escape(json.dumps(example, indent=2, ensure_ascii=False))}</pre>"


def _table(first: str, rows: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """Yield a table of names, kinds (which are HTML already) and descriptions."""
    yield f"<table><tr><th>{first}<th>is<th>means</tr>"
    for name, kind, text in rows:
        yield f"<tr><td><code>{escape(name)}</code><td>{kind}<td>{_prose(text)}</tr>"
    yield "</table>"


def _contents(holder: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{_kind(content['schema'])} as {escape(media_type)}"
        # Not modified (304) has no body.
        for media_type, content in holder.get("content", {}).items()
    )


def _kind(schema: Mapping[str, Any]) -> str:
    """Return what a value is, in HTML."""
    match schema:
        case {"$ref": str(reference)}:
            name = escape(reference.rsplit("/", 1)[1])
            return f'<a href="#{name}">{name}</a>'
        case {"oneOf": choices}:
            return " or ".join(map(_kind, choices))
        case {"items": item}:
            return f"list of {_kind(item)}"
        case {"enum": values}:
            return ", ".join(f"<code>{escape(str(value))}</code>" for value in values)
        case {"additionalProperties": dict(value)} if value:
            return f"object of {_kind(value)}"
        case _:
            return escape(_scalar(schema))


def _scalar(schema: Mapping[str, Any]) -> str:
    told = [str(schema.get("type", "anything"))]
    for name, words in _BOUNDS.items():
        if name in schema:
            bound = schema[name]
            told.append(words.format(int(bound) if isinstance(bound, float) else bound))
    return ", ".join(told)


_BOUNDS = {
    "format": "{}",
    "pattern": "like {}",
    "minimum": "from {}",
    "maximum": "to {}",
    "maxLength": "up to {} characters",
}


def _prose(text: str) -> str:
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))
