"""Files of reports over HTTP."""

import re
from dataclasses import dataclass
from datetime import timedelta, timezone
from typing import Annotated, Any

from litestar import Controller, Request, post
from litestar.datastructures import CacheControlHeader
from litestar.di import NamedDependency
from litestar.exceptions import ClientException
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import QueryParameter
from litestar.response import Stream

from api.admission import REPORTING, asker, needs
from api.bodies import BodyRequest, ContentTypeError, media_type_of
from api.imports import ImportAnswer, Imports
from api.problems import problems

MEDIA_TYPES = ("text/csv", "application/x-ndjson", "application/jsonl")

_is_offset = re.compile(r"([+ -])(\d\d):([0-5]\d)", re.ASCII).fullmatch


@dataclass
class FileOperation(Operation):
    """Documents the body, which is not read into memory."""

    def __post_init__(self) -> None:
        file = Schema(
            type=OpenAPIType.STRING,
            description="A header line and a line for each report; or one report, as JSON, a line. UTF-8.",
        )
        content = {media_type: OpenAPIMediaType(schema=file) for media_type in MEDIA_TYPES}
        self.request_body = RequestBody(content=content, required=True)


class FileController(Controller):
    path = "/v1/events/import"
    tags = ("events",)

    @post(
        operation_id="import_reports",
        opt=needs(*REPORTING),
        summary="Record a file of reports, CSV or NDJSON, of any length",
        operation_class=FileOperation,
        status_code=200,
        cache_control=CacheControlHeader(no_store=True),
        request_max_body_size=None,
        responses={
            200: ResponseSpec(
                ImportAnswer,
                generate_examples=False,
                description="What became of its lines. Refused ones do not stop the others.",
            ),
            **problems(400, 413, 415, 422, 503),
        },
    )
    async def record(
        self,
        request: BodyRequest,
        imports: NamedDependency[Imports],
        atomic: Annotated[
            bool, QueryParameter(description="One refused line refuses all; at most 100,000 lines.")
        ] = False,
        dry_run: Annotated[bool, QueryParameter(description="Decide and count, but record nothing.")] = False,
        offset: Annotated[
            str | None,
            QueryParameter(
                description="For times that have none, %2B07:00 say; without it they are refused."
            ),
        ] = None,
    ) -> Stream:
        """The lines may stand in any order, and a file that is sent again records nothing twice.

        Nothing is recorded before the whole file is there. After 503, or no answer at all, send the file again: what
        was recorded stays and is counted among the duplicates. One file at a time is taken by each process of the
        server: import_busy means that another one is under way.
        """
        _check_headers(request)
        answer = await imports.run(
            request.stream(),
            by=asker(request),
            size=request.content_length,
            atomic=atomic,
            dry_run=dry_run,
            offset=None if offset is None else _offset(offset),
        )
        return Stream(answer, media_type="application/json")


def _check_headers(request: Request[Any, Any, Any]) -> None:
    if media_type_of(request.headers.get("content-type")) not in MEDIA_TYPES:
        raise ContentTypeError(f"send the file as one of {', '.join(MEDIA_TYPES)}")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise ContentTypeError("send the file as it is, not compressed")


def _offset(text: str) -> timezone:
    match = _is_offset(text)
    if match is None or int(match[2]) > 14:
        raise ClientException("offset is written like +07:00, in an address %2B07:00")
    offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
    # In an address a plus sign means a blank; nothing else can have been meant by one.
    return timezone(-offset if match[1] == "-" else offset)
