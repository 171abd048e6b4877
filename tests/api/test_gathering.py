"""Reports of many requests share a commit, and nothing else: each has its own answer, whatever befalls the others."""

import asyncio
import json
import re
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any

import httpx
import psycopg
import pytest

from api import gathering
from api.ending import ServerEndingError
from api.gathering import Gathering, TooBusyError
from ledger import AnyCommand, Ledger, Receipt, Refusal, read_report
from ledger.access import LOCAL
from ledger.errors import StoreUnavailableError
from tests.api.conftest import UNITS, check_problem, citizen, report, wait_until
from tests.api.test_server import HEAD_OF_A_POST, Served, address_of, answers, command, end, serve  # noqa: F401
from tests.conftest import check_ledger
from tests.tokens import SERVED

Hold = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def commits_held(ledger) -> Hold:
    """Let commits wait meanwhile: each needs the lock of the head's row."""

    @contextmanager
    def hold() -> Iterator[None]:
        with psycopg.connect(ledger.database.as_operator()) as holder:
            holder.execute("SELECT FROM head FOR UPDATE")
            yield

    return hold


def reported(number: int, key: str = "a1", **fields: object) -> AnyCommand:
    return read_report(report(key, citizen=citizen(number), **fields))


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 30))


@asynccontextmanager
async def gathering_for(ledger: Ledger) -> AsyncIterator[Gathering]:
    ledger.tree()  # As open_ledger does.
    gathering = Gathering(ledger)
    async with gathering.lifespan(None):
        yield gathering


class Callers:
    """Tasks that have reports recorded, in the order of their coming."""

    def __init__(self, gathering: Gathering) -> None:
        self.gathering = gathering
        self.tasks: list[asyncio.Task] = []

    async def come(self, *several: AnyCommand | list[AnyCommand], **how: bool) -> None:
        """Come together, and let what can begin begin."""
        for one in several:
            commands = one if isinstance(one, list) else [one]
            self.tasks.append(asyncio.create_task(self.gathering.record(commands, by=LOCAL, **how)))
        for _ in range(3):
            await asyncio.sleep(0)

    async def outcomes(self) -> list:
        """Return what each was told: outcomes, or the exception."""
        return await asyncio.gather(*self.tasks, return_exceptions=True)

    async def recorded_at(self) -> list[datetime]:
        """Return the times of all events, which are those of their commits."""
        return [receipt.recorded_at for outcomes in await self.outcomes() for receipt in outcomes]


def test_what_arrives_during_a_commit_goes_with_the_next(ledger, commits_held):
    """In the order of its coming; a commit is told by its time, which all of its events have."""

    async def test() -> None:
        async with gathering_for(ledger) as gathering:
            callers = Callers(gathering)
            with commits_held():
                await callers.come(reported(0))
                for number in range(1, 21):
                    await callers.come(reported(number))
            outcomes = await callers.outcomes()
            times = await callers.recorded_at()
        assert list(range(UNITS + 1, UNITS + 22)) == [receipt.position for [receipt] in outcomes]
        assert [1, 20] == list(Counter(times).values())

    run(test())
    check_ledger(ledger, length=UNITS + 21)


def test_nobody_is_answered_before_the_commit(ledger, commits_held):
    """However long it takes."""

    async def test() -> None:
        async with gathering_for(ledger) as gathering:
            callers = Callers(gathering)
            with commits_held():
                await callers.come(reported(0), reported(1))
                await callers.come(reported(2))
                await asyncio.sleep(0.3)
                assert [False] * 3 == [task.done() for task in callers.tasks]
                assert UNITS == ledger.head().position
            assert [False] * 3 == [receipt.duplicate for [receipt] in await callers.outcomes()]

    run(test())
    check_ledger(ledger, length=UNITS + 3)


def test_each_has_an_answer_of_its_own(client, ledger, commits_held):
    """One report or several, recorded, repeated or refused: as if each had come alone."""
    sent: list[dict | list] = [
        report(citizen=citizen(1)),
        report(citizen=citizen(2), unit="99999"),
        report(citizen=citizen(3), type="activated"),
        report(citizen=citizen(4), level=3),
        [report(citizen=citizen(5)), 7, report(citizen=citizen(6), unit="99999"), report(citizen=citizen(7))],
        [],
        report(citizen=citizen(8)),
    ]
    with ThreadPoolExecutor(len(sent)) as pool, commits_held():
        answered = [pool.submit(client.post, "/v1/events", json=body) for body in sent]
        wait_until(answered[5].done)
    one, unit, early, level, several, none, other = [answer.result() for answer in answered]

    assert (201, 201) == (one.status_code, other.status_code)
    check_problem(unit, 422, "unknown_unit")
    check_problem(early, 409, "not_approved")
    check_problem(level, 400, "invalid_level")
    assert (200, []) == (none.status_code, none.json())
    assert [1, "invalid_json", "unknown_unit", 1] == [
        answer.get("version") or answer["code"] for answer in several.json()
    ]
    # The answers are those of the very reports.
    for body, receipt in ((sent[0], one.json()), (sent[6], other.json()), (sent[4][3], several.json()[3])):
        found = client.post("/v1/dossiers/lookup", json={"citizen": body["citizen"]}).json()
        assert found["dossier_id"] == receipt["dossier_id"]
    check_ledger(ledger, length=UNITS + 4)


def test_the_same_report_several_times_in_one_commit_is_recorded_once(ledger, commits_held):
    """The first to come records it; the others are told its position, and that theirs is a duplicate."""

    async def test() -> None:
        async with gathering_for(ledger) as gathering:
            callers = Callers(gathering)
            await callers.come(*[reported(1)] * 5, [reported(1), reported(2)])
            receipts = [receipt for outcomes in await callers.outcomes() for receipt in outcomes]
        assert [UNITS + 1] * 6 + [UNITS + 2] == [receipt.position for receipt in receipts]
        assert [False] + [True] * 5 + [False] == [receipt.duplicate for receipt in receipts]

    run(test())
    check_ledger(ledger, length=UNITS + 2)


def test_a_commit_is_bounded_by_reports(ledger, commits_held, monkeypatch):
    """Not by requests: an array counts as what it holds, and one that holds more goes alone."""
    monkeypatch.setattr(gathering, "BATCH_REPORTS_MAX", 10)
    sizes = [1, 4, 4, 4, 1, 5, 12, 1, 9, 1]

    async def test() -> None:
        async with gathering_for(ledger) as gathering:
            callers = Callers(gathering)
            numbers = iter(range(100))
            with commits_held():
                for size in sizes:
                    await callers.come([reported(next(numbers)) for _ in range(size)])
            times = await callers.recorded_at()
        assert [1, 8, 10, 12, 10, 1] == list(Counter(times).values())

    run(test())
    check_ledger(ledger, length=UNITS + sum(sizes))


def test_what_is_all_or_nothing_goes_alone(ledger, commits_held):
    """Its refusals refuse none of the others, nor do theirs refuse it."""

    async def test() -> None:
        async with gathering_for(ledger) as gathering:
            callers = Callers(gathering)
            with commits_held():
                await callers.come(reported(0))
                await callers.come(reported(1), reported(2, unit="99999"))
                await callers.come([reported(3), reported(4)], atomic=True)
                await callers.come(reported(5))
                await callers.come([reported(6), reported(7, unit="99999")], atomic=True)
                await callers.come([reported(8)], atomic=True, spoilt=True)
                await callers.come(reported(9))
            told = [
                [one.code if isinstance(one, Refusal) else one.position - UNITS for one in outcomes]
                for outcomes in await callers.outcomes()
            ]
        whole, refused = ["not_recorded", "unknown_unit"], ["not_recorded"]
        assert [[1], [2], ["unknown_unit"], [3, 4], [5], whole, refused, [6]] == told
        times = [entry.recorded_at for entry in ledger.read(after=UNITS)]
        assert [1, 1, 2, 1, 1] == list(Counter(times).values())

    run(test())
    check_ledger(ledger, length=UNITS + 6)


def test_more_than_may_wait_is_sent_away(client, ledger, commits_held, monkeypatch):
    """503 with Retry-After, at once; those that wait are recorded. The bound is one of reports."""
    monkeypatch.setattr(gathering, "WAITING_REPORTS_MAX", 3)
    with ThreadPoolExecutor(2) as pool, commits_held():
        under_way = pool.submit(client.post, "/v1/events", json=report(citizen=citizen(0)))
        wait_until(lambda: holds_up(ledger) == 1)
        waiting = pool.submit(
            client.post, "/v1/events", json=[report(citizen=citizen(number)) for number in (1, 2)]
        )
        wait_until(lambda: client.app.state.gathering._waiting_reports == 2)
        several = [report(citizen=citizen(number)) for number in (3, 4)]
        problem = check_problem(client.post("/v1/events", json=several), 503, "too_busy")
        assert "nothing was recorded of these" in problem["detail"]
        assert not waiting.done()
    assert (201, 200) == (under_way.result().status_code, waiting.result().status_code)
    assert [1, 1] == [receipt["version"] for receipt in client.post("/v1/events", json=several).json()]
    check_ledger(ledger, length=UNITS + 5)


def holds_up(ledger: Ledger) -> int:
    """Return how many commits wait for the head's row."""
    with psycopg.connect(ledger.database.as_operator(), autocommit=True) as connection:
        [count] = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        ).fetchone()
    return count


def test_nobody_waits_for_ever(ledger, commits_held, monkeypatch):
    """Who waited too long for a turn is sent away, and not recorded; who came later is."""
    monkeypatch.setattr(gathering, "WAIT_SECONDS_MAX", 0.3)

    async def test() -> None:
        async with gathering_for(ledger) as gathering:
            callers = Callers(gathering)
            with commits_held():
                await callers.come(reported(0))
                await callers.come(reported(1), [reported(2), reported(3)])
                await asyncio.sleep(0.4)
                await callers.come(reported(4))
            first, *waited, last = await callers.outcomes()
            assert [UNITS + 1, UNITS + 2] == [first[0].position, last[0].position]
            assert [TooBusyError] * 2 == [type(error) for error in waited]
            # They hold no place any more.
            assert 0 == gathering._waiting_reports

    run(test())
    check_ledger(ledger, length=UNITS + 2)


def test_a_commit_that_fails_is_told_to_all_of_its_callers(ledger, commits_held, door):
    """And to nobody else: the next one tries anew."""

    async def test() -> None:
        async with gathering_for(ledger) as gathering:
            callers = Callers(gathering)
            with commits_held():
                await callers.come(reported(0), [reported(1), reported(2)], reported(3))
                await asyncio.to_thread(wait_until, lambda: holds_up(ledger) == 1)
                await callers.come(reported(4))
                ended = door.admin.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                    "WHERE datname = %s AND wait_event_type = 'Lock'",
                    [door.name],
                )
                assert [(True,)] == ended.fetchall()
            *failed, last = await callers.outcomes()
            assert [StoreUnavailableError] * 3 == [type(error) for error in failed]
            assert UNITS + 1 == last[0].position

    run(test())
    check_ledger(ledger, length=UNITS + 1)


def test_who_waited_through_an_outage_is_told_of_it(ledger, door, monkeypatch):
    """Without waiting for a connection once more, each batch after the other."""
    monkeypatch.setattr(gathering, "WAIT_SECONDS_MAX", 1.0)
    monkeypatch.setattr(gathering, "BATCH_REPORTS_MAX", 1)

    async def test() -> None:
        loop = asyncio.get_running_loop()
        async with gathering_for(ledger) as gathering:
            callers = Callers(gathering)
            began = loop.time()
            with door.shut():
                await callers.come(*[reported(number) for number in range(10)])
                outcomes = await callers.outcomes()
            # Two seconds, as long as one of them waits for a connection in tests.
            assert 5 > loop.time() - began
            assert [StoreUnavailableError] * 10 == [type(error) for error in outcomes]

    run(test())
    check_ledger(ledger, length=UNITS)


class PanicError(BaseException):
    """As libraries in Rust raise when they fail."""


@pytest.mark.parametrize("error", [ZeroDivisionError, StopIteration, PanicError])
@pytest.mark.parametrize("guilty", range(7))
def test_a_bug_hits_the_report_that_meets_it_and_no_other(ledger, monkeypatch, error, guilty):
    """The others of the batch are recorded apart from it, and it goes on."""
    whole = ledger.record_many

    def broken(commands: list[AnyCommand], **how: bool) -> list[Receipt | Refusal]:
        if any(one.key == "bug" for one in commands):
            raise error
        return whole(commands, **how)

    monkeypatch.setattr(ledger, "record_many", broken)

    async def test() -> None:
        async with gathering_for(ledger) as gathering:
            callers = Callers(gathering)
            sent = [
                [reported(number, "bug" if number == guilty else "a1"), reported(100 + number)]
                for number in range(7)
            ]
            await callers.come(*sent)
            outcomes = await callers.outcomes()
            await callers.come(reported(200))
            assert UNITS + 13 == (await callers.outcomes())[-1][0].position
        # Python itself lets no coroutine raise the end of an iteration.
        assert [RuntimeError if error is StopIteration else error] == [
            type(one) for one in outcomes if isinstance(one, BaseException)
        ]
        assert isinstance(outcomes.pop(guilty), BaseException)
        receipts = [receipt for told in outcomes for receipt in told]
        assert list(range(UNITS + 1, UNITS + 13)) == [receipt.position for receipt in receipts]

    run(test())
    check_ledger(ledger, length=UNITS + 13)


def test_a_caller_that_gives_up_harms_nobody(ledger, commits_held):
    """In the commit under way or in the next: the others are answered. What was taken is recorded."""

    async def test() -> None:
        async with gathering_for(ledger) as gathering:
            callers = Callers(gathering)
            with commits_held():
                await callers.come(reported(0), reported(1))
                await callers.come(reported(2), reported(3))
                callers.tasks[0].cancel()
                callers.tasks[2].cancel()
                await asyncio.sleep(0)
            outcomes = await callers.outcomes()
            assert [asyncio.CancelledError, list] * 2 == [type(one) for one in outcomes]
            assert [UNITS + 2, UNITS + 4] == [outcomes[1][0].position, outcomes[3][0].position]

    run(test())
    check_ledger(ledger, length=UNITS + 4)


def test_the_end_waits_for_all_that_was_taken(ledger, commits_held):
    """In the commit under way and in those after it; who comes after the end is sent away."""

    async def test() -> None:
        gathering = Gathering(ledger)
        callers = Callers(gathering)

        async def live() -> None:
            async with gathering.lifespan(None):
                await callers.come(reported(0))
                await callers.come(*[reported(number) for number in range(1, 21)])

        with commits_held():
            living = asyncio.create_task(live())
            await asyncio.sleep(0.3)
            assert not living.done()
            await callers.come(reported(21))
        await living
        assert list(range(UNITS + 1, UNITS + 23)) == [
            receipt.position for [receipt] in await callers.outcomes()
        ]
        with pytest.raises(ServerEndingError):
            await gathering.record([reported(30)], by=LOCAL)

    ledger.tree()
    run(test())
    check_ledger(ledger, length=UNITS + 22)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_that_is_told_to_end_answers_what_it_has_taken(serve, ledger, commits_held, workers):  # noqa: F811
    """Every request that waits for its commit gets its receipt before the process ends.

    But for one that a slow machine has let wait too long for its turn, which is told that.
    """
    served = serve("--workers", str(workers))
    with ThreadPoolExecutor(24) as pool:
        with commits_held():
            sent = [
                pool.submit(post_alone, served.url, report(citizen=citizen(number))) for number in range(24)
            ]
            wait_until(lambda: holds_up(ledger) + waiting(served) == 24)
            served.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            assert not any(answer.done() for answer in sent)
        answered = [answer.result() for answer in sent]
    # Not told again: a second signal would meet it while Python takes down what hears the first.
    served.process.wait(timeout=15)
    output = served.log.read_text()
    assert 0 == served.process.returncode, output

    receipts = [receipt for receipt in answered if receipt["code"] != TooBusyError.code]
    assert {None} == {receipt["code"] for receipt in receipts}
    assert list(range(UNITS + 1, UNITS + 1 + len(receipts))) == sorted(
        receipt["position"] for receipt in receipts
    )
    assert "Traceback" not in output
    check_ledger(ledger, length=UNITS + len(receipts))


def post_alone(url: str, body: dict) -> dict:
    """Post over a connection of its own, for a commit of its own; return the receipt, with no code, or the problem."""
    address = f"{url}/v1/events?atomic=true"
    answer = httpx.post(address, json=[body], timeout=20, auth=SERVED, verify=False)
    return {"code": None, **answer.json()[0]} if answer.status_code == 200 else answer.json()


def waiting(served: Served) -> int:
    """Return how many reports the workers have taken whose commit has not begun; each of them says so once a second.

    What has gone over the line was not taken yet, however long one waits, on a machine that has much to do.
    """
    told = httpx.get(f"{served.url}/metrics", timeout=20, auth=SERVED, verify=False).text
    numbers = re.findall(r"^ledger_waiting_reports\{.*\} (\d+)$", told, re.MULTILINE)
    return sum(map(int, numbers))


def test_clients_that_hang_up_harm_nobody(serve, ledger, commits_held):  # noqa: F811
    """What they had sent is recorded, like what the others sent."""
    served = serve()
    for numbers in numbers_of_tries(30):
        before, began = ledger.head().position, time.monotonic()
        with ThreadPoolExecutor(10) as pool:
            with commits_held():
                with ExitStack() as lines:
                    for number in numbers[:20]:
                        line = lines.enter_context(socket.create_connection(address_of(served)))
                        line.sendall(posted(report(citizen=citizen(number))))
                        # The first goes alone.
                        wait_until(lambda: holds_up(ledger) == 1)
                    wait_until(lambda: waiting(served) == 19)
                staying = [
                    pool.submit(post_alone, served.url, report(citizen=citizen(number)))
                    for number in numbers[20:]
                ]
            seconds = time.monotonic() - began
        # On a slow machine some have waited too long for their turn, and those who hung up cannot be told; once more.
        if seconds < gathering.WAIT_SECONDS_MAX / 2:
            break
    assert [(None, 1)] * 10 == [(answer.result()["code"], answer.result()["version"]) for answer in staying]
    wait_until(lambda: ledger.head().position == before + 30)
    assert [f"serving at {served.url}"] == [line.split(" (")[0] for line in end(served).splitlines()]
    check_ledger(ledger, length=before + 30)


def numbers_of_tries(size: int) -> Iterator[range]:
    """Yield numbers of citizens for one try after the other, ten at most."""
    yield from (range(size * turn, size * (turn + 1)) for turn in range(10))


def posted(body: dict) -> bytes:
    """Return the bytes of a request that reports."""
    sent = json.dumps(body)
    return f"{HEAD_OF_A_POST}Content-Length: {len(sent)}\r\n\r\n{sent}".encode()


def test_two_workers_that_write_the_same_dossiers_decide_again(serve, ledger):  # noqa: F811
    """Of different reports of one step, one is recorded, whichever worker had it; the others are refused for it."""
    served = serve("--workers", "2")
    rounds, clients, citizens = 6, 16, 5
    steps = [("collected", "14758"), ("approved", None), ("activated", "14758")]

    def work(client_number: int) -> Counter:
        said: Counter = Counter()
        for turn in range(rounds):
            for number in range(citizens):
                for type_, unit in steps:
                    sent = report(
                        f"{type_}-{client_number}",
                        citizen=citizen(100 * turn + number),
                        type=type_,
                        unit=unit,
                    )
                    # A connection each time, so that the next may be the other worker's.
                    answer = httpx.post(
                        f"{served.url}/v1/events", json=sent, timeout=20, auth=SERVED, verify=False
                    )
                    assert answer.status_code in {201, 409}, answer.text
                    said[answer.json().get("code", type_)] += 1
        return said

    with ThreadPoolExecutor(clients) as pool:
        said = sum(pool.map(work, range(clients)), Counter())
    end(served)

    each = rounds * citizens
    assert {"collected": each, "approved": each, "activated": each} == {
        type_: said[type_] for type_, _ in steps
    }
    refused = {"already_collected", "already_approved", "already_active"}
    assert refused == set(said) - {type_ for type_, _ in steps}
    check_ledger(ledger, length=UNITS + 3 * each)
