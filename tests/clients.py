"""Clients that report over HTTP as they should: send again, with the same keys, until there is an answer.

They keep every receipt, so that the log can be audited against what it has promised.
"""

import os
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from random import Random
from threading import Event, Lock
from typing import NamedTuple, Self

import httpx
import psycopg

from ledger.database import Database
from ledger.unit_events import UNITS_STREAM
from tests.tokens import SERVED

UNITS = ("14755", "14758", "14761", "14764", "16093", "16096", "16099", "14845", "14848")
FORMS = ("single", "array", "atomic")
"""How reports are sent: one as an object, or several in an array, or in one that is all or nothing."""
REPORTS_MAX = 12
"""In an array."""
ANSWER_SECONDS_MAX = 90
"""From the first time that it is sent. What was killed starts again, on a busy machine."""

Report = dict[str, object]


def seeded(name: str) -> Random:
    """Return a source of chance, and say how to have the same again: pytest shows it where a test fails."""
    seed = int(os.environ.get("LEDGER_TEST_SEED") or random.randrange(1_000_000))
    print(f"{name}: run this again with LEDGER_TEST_SEED={seed}")
    return Random(f"{name} {seed}")


def life(number: int, *, first: int = 38_900) -> list[Report]:
    """Return what happens to one citizen, in order; the same for the same number."""
    chance = Random(number)
    at = datetime(2024, 11, 4, 1, tzinfo=UTC) + timedelta(minutes=number % 20_000)
    reports: list[Report] = []

    def add(kind: str, level: int, **fields: str) -> None:
        nonlocal at
        at += timedelta(minutes=chance.randint(1, 500))
        reports.append(
            {
                "key": f"{kind}-{len(reports)}",
                "type": kind,
                "citizen": f"0{first}{number:06}",
                "level": level,
                "occurred_at": at.isoformat(),
                "actor": f"th-{number % 50}",
            }
            | fields
        )

    for level in chance.choice([(1,), (2,), (2,), (1, 2)]):
        add("collected", level, unit=chance.choice(UNITS), place="household")
        while chance.random() < 0.3:
            add("rejected", level, reason="photo")
            add("collected", level, unit=chance.choice(UNITS), note="hẹn lại")
        if chance.random() < 0.85:
            add("approved", level)
            if chance.random() < 0.85:
                add("activated", level, unit=chance.choice(UNITS), partner="youth_union")
    return reports


class Receipt(NamedTuple):
    """What the ledger has promised of one report."""

    position: int
    version: int
    dossier_id: str
    recorded_at: str


class Receipts:
    """Every receipt that anybody has got, by citizen and key. Threads may share it.

    A report has one receipt, however often and by whomever it is sent, and is new at most once.
    """

    def __init__(self) -> None:
        self.first: dict[tuple[str, str], Receipt] = {}
        self.types: dict[tuple[str, str], str] = {}
        self.new: Counter[tuple[str, str]] = Counter()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self.first)

    def add(self, reports: Sequence[Report], answers: Sequence[dict]) -> None:
        assert len(reports) == len(answers)
        for report, answer in zip(reports, answers, strict=True):
            assert set(Receipt._fields) | {"duplicate"} == set(answer), answer
            known = str(report["citizen"]), str(report["key"])
            receipt = Receipt(*(answer[field] for field in Receipt._fields))
            with self._lock:
                self.types[known] = str(report["type"])
                assert receipt == self.first.setdefault(known, receipt), (receipt, self.first[known])
                self.new[known] += not answer["duplicate"]
                assert self.new[known] <= 1, f"{report['key']} was recorded as new twice"


class Request(NamedTuple):
    """Reports that are sent together."""

    form: str
    reports: list[Report]

    def post(self, client: httpx.Client) -> list[dict] | None:
        """Return the answer to each report; None where there was none, or a 503: nobody knows what was recorded."""
        single = self.form == "single"
        try:
            response = client.post(
                "/v1/events",
                json=self.reports[0] if single else self.reports,
                params={"atomic": "true"} if self.form == "atomic" else {},
            )
        except httpx.TransportError:
            return None
        if response.status_code == 503:
            return None
        assert response.status_code == (201 if single else 200), response.text
        return [response.json()] if single else response.json()


def requests(chance: Random, lives: Iterator[list[Report]], *, open_max: int = 8) -> Iterator[Request]:
    """Yield the reports of all lives in requests of all forms, each life in its order; several lives at once."""
    at_hand: list[deque[Report]] = []
    while True:
        at_hand = [reports for reports in at_hand if reports]
        while len(at_hand) < open_max and (reports := next(lives, None)) is not None:
            at_hand.append(deque(reports))
        if not at_hand:
            return
        form = chance.choice(FORMS)
        if form == "single":
            yield Request(form, [chance.choice(at_hand).popleft()])
            continue
        together: list[Report] = []
        for reports in chance.sample(at_hand, chance.randint(1, len(at_hand))):
            number = min(chance.randint(1, 3), len(reports), REPORTS_MAX - len(together))
            together.extend(reports.popleft() for _ in range(number))
        yield Request(form, together)


def send(
    request: Request,
    client: httpx.Client,
    receipts: Receipts,
    *,
    pause: float = 0.05,
    given_up: Callable[[], bool] = bool,
) -> int | None:
    """Send a request until it is answered, and return how often it was not; None if given up before.

    Args:
        pause: How long it waits, in seconds, before it sends again.
    """
    unanswered, deadline = 0, time.monotonic() + ANSWER_SECONDS_MAX
    while (answers := request.post(client)) is None:
        if given_up():
            return None
        unanswered += 1
        assert time.monotonic() < deadline, "it is never answered"
        time.sleep(pause)
    receipts.add(request.reports, answers)
    return unanswered


class Load:
    """Several clients that report without pause until told to stop.

    A quarter of the lives is reported by all of them at once.
    """

    def __init__(
        self, url: str, receipts: Receipts, chance: Random, *, clients: int = 5, pause: float = 0.01
    ) -> None:
        self.url, self.receipts, self.pause = url, receipts, pause
        self.left: list[Request] = []
        """What nobody had answered when they stopped."""
        self.unanswered = 0
        """How often a request got no answer, and was sent again."""
        self._stopped = Event()
        self._lock = Lock()
        self._seeds = [chance.randrange(1 << 30) for _ in range(clients)]
        self._pool = ThreadPoolExecutor(clients)
        self._working: list[Future[None]] = []

    def __enter__(self) -> Self:
        self._working = [self._pool.submit(self._work, *work) for work in enumerate(self._seeds, 1)]
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._pool.shutdown()

    def stop(self) -> None:
        """Let each client end once it has its answer, or has got none."""
        self._stopped.set()
        for working in self._working:
            working.result()

    def wait_for(self, reports: int, seconds: float = ANSWER_SECONDS_MAX) -> None:
        """Return when so many more reports were acknowledged."""
        wanted, deadline = len(self.receipts) + reports, time.monotonic() + seconds
        while len(self.receipts) < wanted:
            for working in self._working:
                if working.done():
                    working.result()
            assert time.monotonic() < deadline, "nothing is acknowledged any more"
            time.sleep(0.002)

    def _lives(self, number: int, chance: Random) -> Iterator[list[Report]]:
        own, common = 100_000 * number, 0
        while True:
            if chance.random() < 0.25:
                yield life(common)
                common += 1
            else:
                yield life(own)
                own += 1

    def _work(self, number: int, seed: int) -> None:
        chance = Random(seed)
        asked = requests(chance, self._lives(number, chance))
        last: Request | None = None
        with httpx.Client(base_url=self.url, timeout=10, auth=SERVED, verify=False) as client:
            while not self._stopped.is_set():
                # Now and then what was answered is sent again, as by somebody who has lost the answer.
                again = last is not None and chance.random() < 0.05
                request = last if again and last is not None else next(asked)
                unanswered = send(request, client, self.receipts, given_up=self._stopped.is_set)
                with self._lock:
                    if unanswered is None:
                        self.left.append(request)
                    else:
                        self.unanswered += unanswered
                last = request
                time.sleep(chance.random() * 2 * self.pause)


def resend(left: Sequence[Request], url: str, receipts: Receipts) -> None:
    """Send each report that was not answered again, alone."""
    with httpx.Client(base_url=url, timeout=10, auth=SERVED, verify=False) as client:
        for request in left:
            for report in request.reports:
                send(Request("single", [report]), client, receipts)


def check_receipts(database: Database, receipts: Receipts, *, only: bool = True) -> None:
    """Audit the log against what was promised: all of it is there, where the receipts say, and once.

    Args:
        only: Nothing else may be there but units.
    """
    with psycopg.connect(database.as_operator(), autocommit=True) as connection:
        rows = connection.execute(
            "SELECT notification_id, originator_version, originator_id::text, recorded_at, topic, "
            "convert_from(state, 'UTF8')::jsonb ->> 'key' FROM events WHERE originator_id <> %s "
            "ORDER BY notification_id",
            [UNITS_STREAM],
        ).fetchall()
    by_key: dict[tuple[str, str], tuple] = {}
    for position, version, dossier_id, recorded_at, topic, key in rows:
        assert (dossier_id, key) not in by_key, f"position {position} doubles one before it"
        by_key[dossier_id, key] = (position, version, recorded_at, topic.split(".")[1])

    promised = {}
    for known, receipt in receipts.first.items():
        where = receipt.dossier_id, known[1]
        # Two citizens never share a dossier, so no two receipts are for one event.
        assert where not in promised, receipt
        recorded_at = datetime.fromisoformat(receipt.recorded_at)
        promised[where] = (receipt.position, receipt.version, recorded_at, receipts.types[known])
    lost = {where: receipt for where, receipt in promised.items() if by_key.get(where) != receipt}
    assert {} == lost
    assert len({citizen for citizen, _ in receipts.first}) == len({dossier for dossier, _ in promised})
    if only:
        assert promised == by_key
