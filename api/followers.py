"""The log over HTTP, for followers: other systems that keep something of their own in step with it."""

import re
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from litestar import Controller, Request, Response, get
from litestar.datastructures import CacheControlHeader
from litestar.di import NamedDependency
from litestar.exceptions import ClientException
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import HeaderParameter, QueryParameter
from litestar.response import Stream

from api.admission import Door, needs
from api.bodies import BodyRequest
from api.feed import Feed, FeedPage, as_lines
from api.parameters import POSITION_MAX, a_position, at_most
from api.problems import problems
from ledger.access import Principal, Right

LINES = "application/x-ndjson"
SENT_EVENTS = "text/event-stream"
EVENTS_MAX = 10_000
LAST_EVENT_ID = "Last-Event-ID"

_is_position = re.compile(r"[0-9]{1,19}", re.ASCII).fullmatch
_AHEAD = "The log ends before the position asked for: it was restored from a backup, or is another one."


@dataclass
class PageOperation(Operation):
    """Documents the second form of the answer."""

    def __post_init__(self) -> None:
        assert self.responses is not None
        answer = self.responses["200"]
        assert not isinstance(answer, dict)
        lines = Schema(type=OpenAPIType.STRING, description="One event a line.")
        answer.content[LINES] = OpenAPIMediaType(schema=lines)  # type: ignore[union-attr, index]


class FollowerController(Controller):
    path = "/v1/events"
    tags = ("events",)

    @get(
        cache_control=CacheControlHeader(no_store=True),
        operation_id="read_log",
        opt=needs(Right.FOLLOW),
        summary="The log in order, for followers",
        response_description="Events in the order of their positions, without gaps; as NDJSON the events alone.",
        operation_class=PageOperation,
        responses=problems(400, 409, 503, meanings={409: _AHEAD}),
    )
    async def read(
        self,
        request: Request[Any, Any, Any],
        feed: NamedDependency[Feed],
        principal: NamedDependency[Principal],
        after: Annotated[int, a_position("Only events with greater positions: what was read last.")] = 0,
        limit: Annotated[int, at_most(EVENTS_MAX, "events")] = 1_000,
    ) -> Response[FeedPage]:
        """Positions have no gaps and never appear out of order: who asks with the last position misses nothing.

        What happens to units is in the log as well. Sealed notes are not told: followers have no key.
        Accept application/x-ndjson brings one event a line.
        """
        page = await feed.page(after=after, limit=limit, by=principal)
        if request.accept.best_match(["application/json", LINES]) == LINES:
            return Response(as_lines(page.events), media_type=LINES)  # type: ignore[arg-type]
        return Response(page)

    @get(
        "/stream",
        cache_control=CacheControlHeader(no_store=True),
        operation_id="follow_log",
        opt=needs(Right.FOLLOW),
        summary="The log as server-sent events, going on as events come",
        responses={
            200: ResponseSpec(
                str,
                media_type=SENT_EVENTS,
                generate_examples=False,
                description="Of each event: id is its position, event its topic, data the same object as in a page.",
            ),
            **problems(400, 409, 503, meanings={409: _AHEAD}),
        },
    )
    async def stream(
        self,
        request: BodyRequest,
        feed: NamedDependency[Feed],
        door: NamedDependency[Door],
        after: Annotated[
            str,
            QueryParameter(
                pattern="^([0-9]{1,19}|head)$",
                description="Only events with greater positions; head: only those that come from now on.",
            ),
        ] = "0",
        last_event_id: Annotated[
            str | None,
            HeaderParameter(
                name=LAST_EVENT_ID, description="As after, and asked before it: EventSource sends it."
            ),
        ] = None,
    ) -> Stream:
        """Every event once and in order, from the position on; a comment every 15 seconds when there is none.

        The stream ends with a comment when the log cannot be read or the server ends: connect again with
        Last-Event-ID, and nothing is missed. 503 means the same as ever: try again.
        """
        position: int | None
        if last_event_id is not None:
            position = _position(LAST_EVENT_ID, last_event_id)
        else:
            position = None if after == "head" else _position("after", after)
        return Stream(
            await feed.follow(position, partial(door.look, request)),
            media_type=SENT_EVENTS,
            headers={"X-Accel-Buffering": "no"},
        )


def _position(name: str, text: str) -> int:
    # Not repeated: whatever it is, it is no position.
    if not _is_position(text) or int(text) > POSITION_MAX:
        raise ClientException(f"{name} must be a position, the id of an event that this stream has sent")
    return int(text)
