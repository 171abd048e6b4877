"""How often each caller may ask, over all processes, whatever happens to them."""

import multiprocessing
import os
import signal
import time

import pytest

from api.edge.buckets import LEASE_PART, NANOSECONDS, WAYS, Buckets, Rate
from api.edge.counts import Counts, Level
from api.edge.shared import WORKERS_MAX, Shared

TWO_A_SECOND = Rate(2, 5)
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def buckets() -> Buckets:
    return Buckets(Shared())


def taken(buckets: Buckets, caller: str, tries: int, now: int = 0, rate: Rate = TWO_A_SECOND) -> int:
    return sum(buckets.take(caller, rate, now) == 0 for _ in range(tries))


def test_a_burst_is_let_through_and_no_more(buckets):
    """Then one for each token that has come since."""
    assert 5 == taken(buckets, "a", 20)
    assert 0 == taken(buckets, "a", 20, NANOSECONDS // 2 - 1)
    assert 1 == taken(buckets, "a", 20, NANOSECONDS // 2)
    assert 3 == taken(buckets, "a", 20, 2 * NANOSECONDS)
    assert 5 == taken(buckets, "a", 20, 3600 * NANOSECONDS)


def test_who_is_refused_is_told_when_to_come_back(buckets):
    """After just so long there is a token; being refused costs none."""
    taken(buckets, "a", 5)
    assert [0.5] * 10 == [buckets.take("a", TWO_A_SECOND, 0) for _ in range(10)]
    assert 0.0 == buckets.take("a", TWO_A_SECOND, NANOSECONDS // 2)


def test_callers_do_not_hold_each_other_up(buckets):
    """A thousand of them, each with a bucket of its own."""
    callers = [f"machine {number}" for number in range(1000)]
    assert [5] * 1000 == [taken(buckets, caller, 8) for caller in callers]


def test_no_rate_is_no_limit(buckets):
    """The setting 0."""
    assert 1000 == taken(buckets, "a", 1000, rate=Rate(0, 1))


def test_too_many_callers_find_it_stricter_and_never_laxer(buckets):
    """However many share a place, none of them gets a token more than a bucket holds."""
    buckets._place = lambda caller: (4096, int(caller))
    callers = [str(number) for number in range(3 * WAYS)]
    got = dict.fromkeys(callers, 0)
    for turn in range(60):
        caller = callers[turn % len(callers)]
        got[caller] += buckets.take(caller, TWO_A_SECOND, 0) == 0
    assert max(got.values()) <= 5
    assert sum(got.values()) <= WAYS * 5


def test_places_differ_from_server_to_server():
    """So nobody can choose a name that shares its place with another one's."""
    places = {Buckets(Shared())._place("a") for _ in range(5)}
    assert 5 == len(places)


def take_often(shared: Shared, tries: int, into) -> None:
    into.put(taken(Buckets(shared), "a", tries, rate=Rate(0.001, 100)))


def test_processes_share_a_bucket():
    """Four at once get together what one would."""
    shared, into = Shared(), SPAWN.Queue()
    processes = [SPAWN.Process(target=take_often, args=(shared, 500, into)) for _ in range(4)]
    for process in processes:
        process.start()
    got = [into.get(timeout=30) for _ in processes]
    for process in processes:
        process.join(30)
    assert 100 == sum(got)


def test_a_process_takes_several_at_once_and_never_more_than_there_are():
    """Of large buckets; what one process has taken, another one cannot have, and what it does not use is gone soon."""
    shared = Shared()
    one, other = Buckets(shared), Buckets(shared)
    rate = Rate(0.001, 10 * LEASE_PART)
    assert 1 == taken(one, "a", 1, rate=rate)
    assert 10 * LEASE_PART - 10 == taken(other, "a", 20 * LEASE_PART, rate=rate)
    assert 9 == taken(one, "a", 20, rate=rate)
    late = Buckets(Shared())
    assert 1 == taken(late, "a", 1, rate=rate)
    assert 10 * LEASE_PART - 10 == taken(late, "a", 20 * LEASE_PART, NANOSECONDS, rate=rate)


def hold(shared: Shared, ready) -> None:
    buckets = Buckets(shared)
    start, _ = buckets._place("a")
    Counts(shared, ["GET /"], [200], ["recorded"]).reported("recorded", 7)
    with shared.locked(start, 1):
        ready.set()
        time.sleep(60)


def test_a_killed_process_holds_nothing():
    """Its locks go with it, its place goes to the next one, and what it has counted stays."""
    shared, ready = Shared(), SPAWN.Event()
    process = SPAWN.Process(target=hold, args=(shared, ready))
    process.start()
    assert ready.wait(30)
    other = Shared(os.dup(shared.descriptor))
    assert 1 == other.claim_worker()
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)

    assert 1 == taken(Buckets(shared), "a", 1)
    counts = Counts(shared, ["GET /"], [200], ["recorded"])
    assert 0 == counts.worker
    counts.reported("recorded")
    assert 'ledger_reports_total{outcome="recorded"} 8' in list(counts.lines(0))


def test_a_limit_costs_microseconds(buckets):
    """Under 10 on an idle processor, lock and all; the bound leaves room for a busy one."""
    rate, best = Rate(1e9, 1000), float("inf")
    for _ in range(20):
        began = time.perf_counter()
        for _ in range(500):
            buckets.take("machine a", rate, time.monotonic_ns())
        best = min(best, (time.perf_counter() - began) / 500)
    assert best < 10e-6


@pytest.fixture
def counts() -> Counts:
    return Counts(Shared(), ["GET /v1/units", "GET /"], [200, 404], ["recorded", "unknown_unit"])


def test_answers_are_counted_by_route_and_status(counts):
    """What is not known beforehand has a name of its own, so no client can make up new ones."""
    for route, status in (("GET /", 200), ("GET /", 200), ("GET /v1/units", 418), (f"GET /{'9' * 12}", 404)):
        counts.answered(route, status, 3_000_000)
    lines = [line for line in counts.lines(0) if line.startswith("ledger_requests_total")]
    assert {
        'ledger_requests_total{route="GET /",status="200"} 2',
        'ledger_requests_total{route="GET /v1/units",status="other"} 1',
        'ledger_requests_total{route="(no route)",status="404"} 1',
    } == set(lines)


def test_times_are_a_histogram(counts):
    """Each bound counts what is no longer; a bound itself belongs to it."""
    for nanoseconds in (999_999, 1_000_000, 1_000_001, 60_000_000_000):
        counts.answered("GET /", 200, nanoseconds)
    lines = dict(line.rsplit(" ", 1) for line in counts.lines(0) if line.startswith("ledger_request_seconds"))
    bucket = 'ledger_request_seconds_bucket{{route="GET /",le="{}"}}'
    assert ["2", "3", "3", "4"] == [lines[bucket.format(le)] for le in ("0.001", "0.0025", "10.0", "+Inf")]
    assert "4" == lines['ledger_request_seconds_count{route="GET /"}']
    assert 60.003 == pytest.approx(float(lines['ledger_request_seconds_sum{route="GET /"}']))


def test_a_worker_that_ended_is_told_no_more(counts):
    """How it was says nothing about now."""
    told = 'ledger_waiting_reports{worker="0"} 3'
    counts.tell(Level(waiting_reports=3), 1)
    assert told in list(counts.lines(5 * NANOSECONDS))
    assert told not in list(counts.lines(11 * NANOSECONDS))


def test_there_is_a_place_for_each_worker():
    """As many as the command line takes."""
    shared = Shared()
    assert WORKERS_MAX * 8 <= len(shared.memory) // 8192
    assert len(shared.numbers(WORKERS_MAX - 1)) == len(shared.numbers(0))
