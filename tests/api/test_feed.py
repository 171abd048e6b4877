"""Followers get every event once and in order, whatever happens to the database, the server or themselves."""

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing
from threading import Event

import httpx
import msgspec
import psycopg
import pytest

from api import feed as feeds
from api.feed import (
    AWAY,
    ENDING,
    HEARTBEAT,
    REFUSED,
    SHRUNK,
    EventUnreadableError,
    Feed,
    PositionAheadError,
    told,
)
from ledger import Ledger, UnavailableError
from ledger.access import LOCAL, Grant, Principal, Role
from ledger.events import Recorded
from ledger.reports import read_report
from ledger.unit_events import UNITS_STREAM
from tests.api.conftest import CITIZEN, UNITS, check_problem, citizen, report, wait_until
from tests.api.test_history import correction
from tests.api.test_server import address_of, answers, command, end, serve, workers  # noqa: F401
from tests.conftest import NOW, check_ledger
from tests.tokens import SERVED


def post(client, *numbers: int) -> None:
    sent = [report(citizen=citizen(number)) for number in numbers]
    assert 200 == client.post("/v1/events", json=sent).status_code


def record(ledger: Ledger, *numbers: int) -> None:
    commands = [read_report(report(citizen=citizen(number))) for number in numbers]
    ledger.record_many(commands)


def follow_pages(client, after: int = 0, **query: int) -> list[dict]:
    """Return the log as a follower collects it that asks until it is at the head."""
    events = []
    while True:
        page = client.get("/v1/events", params={"after": after, **query}).json()
        events += page["events"]
        if page["position"] == page["head"]:
            return events
        assert page["events"]
        after = page["position"]


def sent_events(text: str) -> list[dict]:
    """Return the events of a stream, as an EventSource would read them."""
    events = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if "data" in fields:
            event = json.loads(fields["data"])
            assert (fields["id"], fields["event"]) == (str(event["position"]), event["topic"])
            events.append(event)
    return events


def test_the_log_is_told_as_it_is_stored(client, ledger, operator):
    """Units first, then reports and corrections; every field of every event, but for what is sealed."""
    sent = [
        report(note="hẹn lại", place="school"),
        report("b1", level=1),
        correction("c1", "amended", 1, place="household", note="máy ở nhà"),
        correction("c2", "voided", 2, level=1, reason="other", note="nhầm"),
    ]
    answers = client.post("/v1/events", json=sent).json()
    assert [1, 2, 3, 4] == [it.get("version") for it in answers], answers
    rows = operator.execute(
        "SELECT notification_id, recorded_at, originator_id, originator_version, topic, state FROM events "
        "ORDER BY notification_id"
    ).fetchall()
    stored = []
    for position, recorded_at, stream, version, topic, state in rows:
        fields = json.loads(state)
        assert topic == fields.pop("type")
        fields.pop("note", None)
        stored.append(
            {
                "position": position,
                "recorded_at": recorded_at.isoformat().replace("+00:00", "Z"),
                "dossier_id": None if stream == UNITS_STREAM else str(stream),
                "version": version,
                "topic": topic,
                "type": topic.split(".")[1],
                "data": fields,
            }
        )

    assert UNITS + 4 == len(stored)
    assert stored == follow_pages(client)
    assert stored == follow_pages(client, limit=7)
    kinds = [event["type"] for event in stored[UNITS - 1 :]]
    assert ["opened", "collected", "collected", "amended", "voided"] == kinds
    assert 3 == sum(b'"note"' in state for *_, state in rows)
    assert "note" not in client.get("/v1/events").text
    check_ledger(ledger, length=UNITS + 4)


def test_a_page_says_where_it_ends_and_where_the_log_does(client):
    """At the head a page is empty, and its position is what was asked for."""
    first = client.get("/v1/events", params={"limit": 10}).json()
    last = client.get("/v1/events", params={"after": UNITS}).json()

    assert [*range(1, 11)] == [event["position"] for event in first["events"]]
    assert (10, UNITS) == (first["position"], first["head"])
    assert {"events": [], "position": UNITS, "head": UNITS} == last
    assert UNITS == len(client.get("/v1/events").json()["events"])
    assert "no-store" == client.get("/v1/events").headers["cache-control"]


class Inner(msgspec.Struct, frozen=True, tag="x"):
    note: bytes | None = None
    place: str = "school"


class Invented(msgspec.Struct, frozen=True, tag="entry.amended.v1"):
    """An event that this program's feed has never seen."""

    key: str
    note: bytes
    before: Inner
    others: tuple[Inner, ...] = ()
    keys: tuple[bytes, ...] = ()


def test_what_is_sealed_is_not_told_wherever_it_stands():
    """Also of events that will be invented later."""
    event = Invented("a1", b"sealed", Inner(b"sealed"), (Inner(b"sealed"),), (b"sealed",))
    entry = Recorded(
        originator_id=UNITS_STREAM, originator_version=1, event=event, position=9, recorded_at=NOW
    )
    inner = {"type": "x", "place": "school"}

    assert ("entry.amended.v1", "amended") == (told(entry).topic, told(entry).type)
    assert {"key": "a1", "before": inner, "others": [inner], "keys": []} == told(entry).data


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("application/x-ndjson", "application/x-ndjson"),
        ("application/x-ndjson, application/json;q=0.5", "application/x-ndjson"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("text/html", "application/json"),
        (";;", "application/json"),
    ],
)
def test_a_page_comes_as_one_document_or_a_line_for_each_event(client, accept, media_type):
    """As the client prefers; the events are the same."""
    page = client.get("/v1/events").json()
    answer = client.get("/v1/events", headers={"accept": accept})

    assert media_type == answer.headers["content-type"]
    if media_type == "application/json":
        assert page == answer.json()
    else:
        assert page["events"] == [json.loads(line) for line in answer.text.splitlines()]


@pytest.mark.parametrize(
    "query",
    ["after=-1", "after=x", "after=", f"after={2**63}", "after=head", "limit=0", "limit=10001", "limit=x"]
    + ["position=1", "after=1&after=2"],
)
def test_a_page_of_no_such_place_is_refused(client, query):
    """No typo may make a follower miss anything."""
    check_problem(client.get(f"/v1/events?{query}"), 400, "bad_request")


def test_a_position_that_the_log_does_not_have_is_told(client):
    """A backup was restored: the follower's copy holds what the log does not. It must not wait for ever."""
    for address in (f"/v1/events?after={UNITS + 1}", f"/v1/events/stream?after={UNITS + 1}"):
        problem = check_problem(client.get(address), 409, "position_ahead")
        assert f"the log ends at position {UNITS}," in problem["detail"]
    headers = {"last-event-id": CITIZEN}
    check_problem(client.get("/v1/events/stream", headers=headers), 409, "position_ahead")
    check_problem(client.get("/v1/events?after=999999999999"), 409, "position_ahead")


@pytest.mark.parametrize("last", ["", "x", "-1", "1.0", "0x1", " ", "1,2", "९", str(2**63), "1" * 20, "head"])
def test_a_last_event_id_that_is_none_is_refused(client, last):
    """Else the follower would get the log again from the start, or from wherever."""
    response = client.get("/v1/events/stream?after=0", headers={"last-event-id": last.encode()})
    assert "Last-Event-ID" in check_problem(response, 400, "bad_request")["detail"]


def test_two_last_event_ids_are_refused(client):
    """Nobody could tell which of them counts."""
    headers = [("last-event-id", "1"), ("last-event-id", "2")]
    check_problem(client.get("/v1/events/stream", headers=headers), 400, "bad_request")


@pytest.mark.parametrize("query", ["after=-1", "after=x", "after=", f"after={2**63}", "limit=1"])
def test_a_stream_from_no_such_place_is_refused(client, query):
    """The stream knows no limit."""
    check_problem(client.get(f"/v1/events/stream?{query}"), 400, "bad_request")


def test_followers_miss_nothing_while_others_write(client, ledger):
    """Four writers and a follower at once: positions without a gap, each once."""
    done = Event()

    def collect() -> list[int]:
        positions: list[int] = []
        while not done.is_set() or positions[-1] < UNITS + 400:
            page = client.get("/v1/events", params={"after": positions[-1] if positions else 0}).json()
            positions += [event["position"] for event in page["events"]]
        return positions

    with ThreadPoolExecutor(5) as pool:
        collecting = pool.submit(collect)
        for written in [pool.submit(post, client, *range(first, first + 10)) for first in range(0, 400, 10)]:
            written.result()
        done.set()
        assert [*range(1, UNITS + 401)] == collecting.result()
    check_ledger(ledger, length=UNITS + 400)


def test_an_event_that_nobody_knows_stops_followers_before_it(client, ledger, operator):
    """What comes before it is told; it is never skipped, and the log says why."""
    add_row(operator, topic="dossier.conjured.v1", state=b'{"type":"dossier.conjured.v1"}')
    position = 0
    while position < UNITS:
        page = client.get("/v1/events", params={"after": position}).json()
        assert [*range(position + 1, page["position"] + 1)] == [it["position"] for it in page["events"]]
        assert UNITS + 1 == page["head"]
        assert position < page["position"]
        position = page["position"]
    problem = check_problem(client.get(f"/v1/events?after={UNITS}"), 503, "unreadable_event")

    assert f"the event at position {UNITS + 1}" in problem["detail"]

    async def scenario(feed: CountingFeed) -> None:
        told = await collect_stream(await feed.follow(0))
        assert UNITS == sent_events(told)[-1]["position"]
        assert told.endswith(f": {AWAY}\n\n")

    run(ledger, scenario)


def test_the_right_is_asked_again_before_each_piece(ledger):
    """A stream lasts for days: what comes after the right has ended is told to nobody, and the stream ends."""
    who = [LOCAL]

    async def look() -> Principal:
        return who[0]

    async def scenario(feed: CountingFeed) -> None:
        stream = await feed.follow(UNITS - 1, look)
        assert UNITS == sent_events(await collect_some(stream, sent_events))[-1]["position"]
        who[0] = Principal("p", "machine", (Grant(Role.FOLLOWER), Grant(Role.VIEWER)))
        await asyncio.to_thread(record, ledger, 0)
        assert UNITS + 1 == sent_events(await collect_some(stream, sent_events))[-1]["position"]
        who[0] = Principal("p", "machine", (Grant(Role.VIEWER),))
        await asyncio.to_thread(record, ledger, 1)
        told = await collect_stream(stream)
        assert [] == sent_events(told)
        assert told.endswith(f": {REFUSED}\n\n")

    run(ledger, scenario)


def add_row(operator: psycopg.Connection, topic: str | None = None, state: bytes | None = None) -> None:
    """Add an event behind everybody's back, without a notification: as a lost one, or a forger, leaves it."""
    operator.execute("SET session_replication_role = replica")
    operator.execute(
        "INSERT INTO events SELECT size + 1, originator_id, originator_version + 1000, coalesce(%s, topic), "
        "coalesce(%s, state), head.recorded_at, leaf FROM events, head WHERE notification_id = size",
        [topic, state],
    )
    operator.execute("UPDATE head SET size = size + 1")


async def everybody() -> Principal:
    return LOCAL


class CountingFeed(Feed):
    """A feed that everybody may follow, and which counts its reads."""

    reads = 0

    async def follow(
        self, after: int | None, look: Callable[[], Awaitable[Principal]] = everybody
    ) -> AsyncIterator[bytes]:
        return await super().follow(after, look)

    def _read(self, after: int) -> tuple[int, bytes]:
        self.reads += 1
        return super()._read(after)


def run(ledger: Ledger, scenario: Callable[[CountingFeed], Coroutine]) -> None:
    """Run something with a feed, as an application has one as long as it lives."""

    async def living() -> None:
        feed = CountingFeed(ledger)
        async with feed.lifespan(None):
            await scenario(feed)

    asyncio.run(living())


async def collect_stream(
    stream: AsyncIterator[bytes], until: Callable[[str], object] = lambda _: False
) -> str:
    """Return what a stream tells until its end, or until there is enough."""
    text = ""
    async with asyncio.timeout(20):
        async with aclosing(stream):
            async for chunk in stream:
                text += chunk.decode()
                if until(text):
                    break
    return text


def test_a_stream_tells_what_was_and_then_what_comes(ledger, monkeypatch):
    """From the position asked for; new events soon after they are recorded: the notification wakes it."""
    monkeypatch.setattr(feeds, "POLL_SECONDS_MAX", 10.0)

    async def scenario(feed: CountingFeed) -> None:
        stream = await feed.follow(UNITS - 1)
        begun = await collect_some(stream, sent_events)
        assert begun.startswith("retry: 2000\n")
        assert [UNITS] == [event["position"] for event in sent_events(begun)]
        for number in range(3):
            waiting = asyncio.ensure_future(collect_some(stream, sent_events))
            await asyncio.sleep(0.3)
            began = time.monotonic()
            await asyncio.to_thread(record, ledger, number)
            [event] = sent_events(await waiting)
            assert (UNITS + 1 + number, "collected") == (event["position"], event["type"])
            assert 3 > time.monotonic() - began
        await stream.aclose()

    run(ledger, scenario)


async def collect_some(stream: AsyncIterator[bytes], until: Callable[[str], object]) -> str:
    """As ``collect_stream``, of a stream that goes on."""
    text = ""
    async with asyncio.timeout(20):
        while not until(text):
            text += (await anext(stream)).decode()
    return text


def test_a_stream_from_the_head_tells_only_what_comes(ledger):
    """Whoever wants no past."""

    async def scenario(feed: CountingFeed) -> None:
        stream = await feed.follow(None)
        await anext(stream)
        await asyncio.to_thread(record, ledger, 1)
        [event] = sent_events(await collect_some(stream, sent_events))
        assert UNITS + 1 == event["position"]
        await stream.aclose()

    run(ledger, scenario)


def test_a_notification_that_is_lost_is_made_up_for(ledger, operator):
    """The stream looks by itself, once a second."""

    async def scenario(feed: CountingFeed) -> None:
        stream = await feed.follow(UNITS)
        await anext(stream)
        waiting = asyncio.ensure_future(collect_some(stream, sent_events))
        await asyncio.sleep(0.5)
        await asyncio.to_thread(add_row, operator)
        began = time.monotonic()
        assert [UNITS + 1] == [event["position"] for event in sent_events(await waiting)]
        assert 5 > time.monotonic() - began
        await stream.aclose()

    run(ledger, scenario)


def test_silence_is_told_too(ledger, monkeypatch):
    """A comment now and then, so that both sides know that the other one is there."""
    monkeypatch.setattr(feeds, "HEARTBEAT_SECONDS", 0.1)

    async def scenario(feed: CountingFeed) -> None:
        stream = await feed.follow(None)
        await anext(stream)
        assert [HEARTBEAT] * 3 == [await anext(stream) for _ in range(3)]
        await stream.aclose()

    run(ledger, scenario)


def test_many_followers_share_one_look_and_one_read(ledger, operator):
    """They cost no connection each, nor a question each when something happens."""

    def sessions() -> int:
        [[count]] = operator.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        )
        return count

    async def scenario(feed: CountingFeed) -> None:
        before = sessions()
        streams = [await feed.follow(UNITS) for _ in range(200)]
        for stream in streams:
            await anext(stream)
        waiting = [asyncio.ensure_future(collect_some(stream, sent_events)) for stream in streams]
        await asyncio.sleep(0.5)
        reads = feed.reads
        await asyncio.to_thread(record, ledger, 1)
        told = await asyncio.gather(*waiting)

        assert {UNITS + 1} == {event["position"] for text in told for event in sent_events(text)}
        assert 5 >= feed.reads - reads
        assert before + 1 + feeds.READERS_MAX >= sessions()
        for stream in streams:
            await stream.aclose()
        wait_until(lambda: sessions() <= before + feeds.READERS_MAX)

    run(ledger, scenario)


def test_a_stream_reads_no_further_than_its_reader(ledger, monkeypatch):
    """One page is held in memory, however long the log is and the reader takes."""
    monkeypatch.setattr(feeds, "STREAM_EVENTS_MAX", 10)

    async def scenario(feed: CountingFeed) -> None:
        stream = await feed.follow(0)
        await anext(stream)
        page = (await anext(stream)).decode()
        await asyncio.sleep(0.3)
        assert [*range(1, 11)] == [event["position"] for event in sent_events(page)]
        assert 1 == feed.reads
        await stream.aclose()

    run(ledger, scenario)


def test_a_reader_that_goes_away_does_not_disturb_the_others(ledger):
    """Even while it waits for what they wait for."""

    async def scenario(feed: CountingFeed) -> None:
        streams = [await feed.follow(UNITS) for _ in range(3)]
        for stream in streams:
            await anext(stream)
        waiting = [asyncio.ensure_future(collect_some(stream, sent_events)) for stream in streams]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.to_thread(record, ledger, 1)
        told = await asyncio.gather(*waiting, return_exceptions=True)

        assert isinstance(told[0], asyncio.CancelledError)
        assert [[UNITS + 1]] * 2 == [[event["position"] for event in sent_events(text)] for text in told[1:]]
        for stream in streams:
            await stream.aclose()

    run(ledger, scenario)


def test_an_outage_ends_streams_with_a_word_and_costs_no_event(ledger, door):
    """Who connects again with the last id, as soon as it is let in, has missed nothing."""

    async def scenario(feed: CountingFeed) -> None:
        stream = await feed.follow(UNITS)
        waiting = asyncio.ensure_future(collect_stream(stream))
        await asyncio.to_thread(record, ledger, 1)
        await asyncio.sleep(0.5)
        began = time.monotonic()
        with door.shut():
            told = await waiting
            # Told at once, and not when it next has reason to look.
            assert 10 > time.monotonic() - began
            assert [UNITS + 1] == [event["position"] for event in sent_events(told)]
            assert told.endswith(f": {AWAY}\n\n")
            with pytest.raises(UnavailableError):
                await feed.follow(UNITS + 1)
        await asyncio.to_thread(record, ledger, 2)
        stream = await feed.follow(UNITS + 1)
        told = await collect_some(stream, sent_events)
        assert [UNITS + 2] == [event["position"] for event in sent_events(told)]
        await stream.aclose()

    run(ledger, scenario)


def test_a_log_that_shrinks_under_a_stream_ends_it(ledger, operator):
    """A backup was restored: the client is told so when it connects again."""

    async def scenario(feed: CountingFeed) -> None:
        waiting = asyncio.ensure_future(collect_stream(await feed.follow(UNITS)))
        await asyncio.sleep(0.5)
        operator.execute("SET session_replication_role = replica")
        operator.execute("UPDATE head SET size = size - 1")
        assert (await waiting).endswith(f": {SHRUNK}\n\n")
        with pytest.raises(PositionAheadError) as refused:
            await feed.follow(UNITS)
        assert UNITS - 1 == refused.value.head

    run(ledger, scenario)


def test_the_end_of_the_server_ends_streams_with_a_word(ledger):
    """Those that wait, and those that come afterwards."""

    async def scenario(feed: CountingFeed) -> None:
        waiting = asyncio.ensure_future(collect_stream(await feed.follow(UNITS)))
        await asyncio.sleep(0.2)
        feed.end()
        assert (await waiting).endswith(f": {ENDING}\n\n")
        assert (await collect_stream(await feed.follow(0))).endswith(f": {ENDING}\n\n")

    run(ledger, scenario)


def test_more_streams_than_a_process_takes_are_sent_away(ledger, monkeypatch):
    """Reports must find room beside them; a place that is left is taken again."""
    monkeypatch.setattr(feeds, "FOLLOWERS_MAX", 2)

    async def scenario(feed: CountingFeed) -> None:
        streams = [await feed.follow(None) for _ in range(2)]
        for stream in streams:
            await anext(stream)
        with pytest.raises(feeds.FollowersTooManyError):
            await feed.follow(None)
        await streams[0].aclose()
        await (await feed.follow(None)).aclose()
        await streams[1].aclose()

    run(ledger, scenario)


def test_an_unreadable_event_names_its_position():
    """For whoever looks after the log."""
    assert 7 == EventUnreadableError(7).position


# Over a real socket.


def lines_of(response: httpx.Response) -> Iterable[str]:
    assert (200, "text/event-stream") == (
        response.status_code,
        response.headers["content-type"].split(";")[0],
    )
    return response.iter_lines()


def positions_of(lines: Iterable[str], last: int | None = None) -> list[int]:
    """Return the ids that a stream tells, until the last one or its end."""
    positions = []
    for line in lines:
        if line.startswith("id: "):
            positions.append(int(line[4:]))
            if positions[-1] == last:
                break
    return positions


def test_a_stream_is_served_as_it_goes(serve, ledger):  # noqa: F811
    """From the start, from an id and from a position; the id comes before the position."""
    served = serve()
    client = served.client
    with client.stream("GET", "/v1/events/stream") as stream:
        lines = lines_of(stream)
        assert [*range(1, UNITS + 1)] == positions_of(lines, UNITS)
        post(client, 1)
        assert [UNITS + 1] == positions_of(lines, UNITS + 1)
    for query, headers, first in (
        (f"?after={UNITS}", {}, UNITS + 1),
        ("", {"Last-Event-ID": str(UNITS - 1)}, UNITS),
        (f"?after={UNITS}", {"Last-Event-ID": str(UNITS - 1)}, UNITS),
        ("?after=head", {"Last-Event-ID": str(UNITS - 1)}, UNITS),
    ):
        with client.stream("GET", f"/v1/events/stream{query}", headers=headers) as stream:
            assert [*range(first, UNITS + 2)] == positions_of(lines_of(stream), UNITS + 1)
    with client.stream("GET", "/v1/events/stream?after=head") as stream:
        post(client, 2)
        assert [UNITS + 2] == positions_of(lines_of(stream), UNITS + 2)
    assert "Traceback" not in end(served)
    check_ledger(ledger, length=UNITS + 2)


def test_open_streams_do_not_hold_up_the_end_of_a_server(serve):  # noqa: F811
    """It ends as soon as without them, and every client gets a whole answer with a word at its end."""
    served = serve("--workers", "2")

    def follow(_: int) -> str:
        with httpx.Client(base_url=served.url, timeout=20, auth=SERVED) as client:
            return client.get(f"/v1/events/stream?after={UNITS}").text

    with ThreadPoolExecutor(8) as pool:
        following = [pool.submit(follow, number) for number in range(8)]
        time.sleep(1)
        began = time.monotonic()
        log = end(served)
        assert 5 > time.monotonic() - began
        for followed in following:
            assert followed.result().endswith(f": {ENDING}\n\n")
    assert "refused to gracefully stop" not in log
    assert "Traceback" not in log


def test_a_follower_survives_kills_and_outages(serve, ledger, door):  # noqa: F811
    """It connects again with the last id it has, as EventSource does, and ends with every position once."""
    served = serve()
    goal = UNITS + 150
    positions: list[int] = []

    def follow() -> None:
        with httpx.Client(base_url=served.url, timeout=20, auth=SERVED) as client:
            while not positions or positions[-1] < goal:
                headers = {"Last-Event-ID": str(positions[-1])} if positions else {}
                try:
                    with client.stream("GET", "/v1/events/stream", headers=headers) as stream:
                        if stream.status_code == 503:
                            time.sleep(0.1)
                            continue
                        for line in lines_of(stream):
                            if line.startswith("id: "):
                                positions.append(int(line[4:]))
                                if positions[-1] == goal:
                                    break
                except httpx.TransportError:
                    time.sleep(0.1)

    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(follow)
        for number in range(150):
            if number == 50:
                os.kill(workers(served)[0], signal.SIGKILL)
                wait_until(lambda: answers(served))
            if number == 100:
                door.throw_out()
            wait_until(lambda: is_recorded(served.client, number))
        following.result(timeout=60)

    assert [*range(1, goal + 1)] == positions
    check_ledger(ledger, length=goal)


def is_recorded(client: httpx.Client, number: int) -> bool:
    try:
        return client.post("/v1/events", json=report(citizen=citizen(number))).status_code == 201
    except httpx.TransportError:
        return False


def test_a_client_that_goes_away_is_forgotten(serve, operator):  # noqa: F811
    """With the last stream the process's look at the head ends too."""
    served = serve()

    def looks() -> int:
        [[count]] = operator.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = 'activation-ledger followers'"
        )
        return count

    assert 0 == looks()
    with ExitStack() as stack:
        for _ in range(3):
            line = stack.enter_context(socket.create_connection(address_of(served)))
            asked = "GET /v1/events/stream?after=head HTTP/1.1\r\nHost: localhost\r\n"
            line.sendall(f"{asked}Authorization: {SERVED.header}\r\n\r\n".encode())
            assert line.recv(100).startswith(b"HTTP/1.1 200")
        wait_until(lambda: looks() == 1)
    wait_until(lambda: looks() == 0)
    # A client that wants the head of an answer alone would not be seen to go away.
    assert 405 == served.client.head("/v1/events/stream").status_code
    assert "Traceback" not in end(served)
