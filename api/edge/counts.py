"""What the workers have answered and recorded, counted in the memory that they share, and told to Prometheus.

Every worker counts in a place of its own, without locks; whoever is asked adds all places up. So it does not matter
which worker a scrape reaches, and a worker that is replaced goes on where the last one was killed.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from api.edge.shared import WORKERS_MAX, Shared

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of how long an answer took to begin."""
NO_ROUTE = "(no route)"
OTHER = "other"
STALE_NANOSECONDS = 10_000_000_000
"""A worker that has told nothing of itself for so long has ended."""
_BOUNDS = [round(bound * 1e9) for bound in SECONDS]
_SECONDS_SUM, _TIMES = len(SECONDS) + 1, len(SECONDS) + 2
_CLAIM = 1
"""The first number's bytes are those that a worker holds."""


class Level(msgspec.Struct, frozen=True):
    """How one worker is at a moment."""

    waiting_reports: int = 0
    """Taken, and to be recorded with the next commit or a later one."""
    pool_used: int = 0
    """Connections to the database that somebody works with."""
    pool_idle: int = 0
    pool_waiting: int = 0
    """Who waits for one."""


_LEVEL = len(Level.__struct_fields__)


class Counts:
    """The counts of all workers; each of them has one of these."""

    def __init__(
        self, shared: Shared, routes: Sequence[str], statuses: Sequence[int], outcomes: Sequence[str]
    ) -> None:
        """Lay out a worker's place, and take one.

        Args:
            routes: As ``GET /v1/units/{code}``. They, statuses and outcomes are the same in every worker.
            outcomes: What may become of a report: codes.
        """
        self._shared = shared
        self.worker = shared.claim_worker()
        self._routes = [*sorted(routes), NO_ROUTE]
        self._statuses = [*map(str, sorted(statuses)), OTHER]
        self._outcomes = [*sorted(outcomes), OTHER]
        self._answers = _CLAIM + 1 + _LEVEL
        self._times = self._answers + len(self._routes) * len(self._statuses)
        self._reports = self._times + len(self._routes) * _TIMES
        self._end = self._reports + len(self._outcomes)
        self._mine = shared.numbers(self.worker)
        assert self._end <= len(self._mine), "too many routes for a worker's place"
        self._route_at = {route: number for number, route in enumerate(self._routes)}
        self._status_at = {int(status): number for number, status in enumerate(self._statuses[:-1])}
        self._outcome_at = {outcome: number for number, outcome in enumerate(self._outcomes)}

    def answered(self, route: str, status: int, nanoseconds: int) -> None:
        """Count an answer, and how long it took to begin."""
        mine = self._mine
        at = self._route_at.get(route, len(self._routes) - 1)
        column = self._status_at.get(status, len(self._statuses) - 1)
        mine[self._answers + at * len(self._statuses) + column] += 1
        times = self._times + at * _TIMES
        mine[times + bisect_left(_BOUNDS, nanoseconds)] += 1
        mine[times + _SECONDS_SUM] += nanoseconds

    def reported(self, outcome: str, number: int = 1) -> None:
        """Count what became of reports: ``recorded``, ``duplicate``, or the code of a refusal."""
        self._mine[self._reports + self._outcome_at.get(outcome, len(self._outcomes) - 1)] += number

    def tell(self, level: Level, now: int) -> None:
        """Say how this worker is.

        Args:
            now: Of ``time.monotonic_ns``.
        """
        for at, number in enumerate((now, *msgspec.structs.astuple(level)), _CLAIM):
            self._mine[at] = number

    def lines(self, now: int) -> Iterator[str]:
        """Yield what all workers have counted, in Prometheus' text format."""
        places = [self._shared.numbers(worker) for worker in range(WORKERS_MAX)]
        totals = [sum(column) for column in zip(*(place[: self._end] for place in places), strict=True)]
        yield from self._answer_lines(totals)
        yield from self._time_lines(totals)
        yield from head("ledger_reports_total", "counter", "Reports by what became of them.")
        for at, outcome in enumerate(self._outcomes, self._reports):
            if totals[at]:
                yield line("ledger_reports_total", {"outcome": outcome}, totals[at])
        yield from self._level_lines(places, now)

    def _answer_lines(self, totals: list[int]) -> Iterator[str]:
        yield from head("ledger_requests_total", "counter", "Answers by route and status.")
        at = self._answers
        for route in self._routes:
            for status in self._statuses:
                if totals[at]:
                    yield line("ledger_requests_total", {"route": route, "status": status}, totals[at])
                at += 1

    def _time_lines(self, totals: list[int]) -> Iterator[str]:
        name = "ledger_request_seconds"
        yield from head(name, "histogram", "How long answers took to begin.")
        for number, route in enumerate(self._routes):
            start = self._times + number * _TIMES
            within = 0
            if not any(totals[start : start + _SECONDS_SUM]):
                continue
            for bound, count in zip((*SECONDS, "+Inf"), totals[start : start + _SECONDS_SUM], strict=True):
                within += count
                yield line(f"{name}_bucket", {"route": route, "le": str(bound)}, within)
            yield line(f"{name}_sum", {"route": route}, totals[start + _SECONDS_SUM] / 1e9)
            yield line(f"{name}_count", {"route": route}, within)

    def _level_lines(self, places: list[memoryview], now: int) -> Iterator[str]:
        living = [
            (str(worker), Level(*place[_CLAIM + 1 : _CLAIM + 1 + _LEVEL]))
            for worker, place in enumerate(places)
            if place[_CLAIM] and now - place[_CLAIM] < STALE_NANOSECONDS
        ]
        yield from head("ledger_waiting_reports", "gauge", "Reports that wait for a commit.")
        for worker, level in living:
            yield line("ledger_waiting_reports", {"worker": worker}, level.waiting_reports)
        yield from head("ledger_pool_connections", "gauge", "Connections to the database.")
        for worker, level in living:
            for state, number in (("used", level.pool_used), ("idle", level.pool_idle)):
                yield line("ledger_pool_connections", {"worker": worker, "state": state}, number)
        yield from head("ledger_pool_waiting", "gauge", "Who waits for a connection to the database.")
        for worker, level in living:
            yield line("ledger_pool_waiting", {"worker": worker}, level.pool_waiting)


def head(name: str, kind: str, words: str) -> Iterator[str]:
    yield f"# HELP {name} {words}"
    yield f"# TYPE {name} {kind}"


def line(name: str, labels: Mapping[str, str], number: float) -> str:
    """Return a sample. Labels are names of ours, which hold nothing that needs to be escaped."""
    told = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{told}}} {number}" if told else f"{name} {number}"
