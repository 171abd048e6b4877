"""Group commit: reports of many requests, recorded together.

One commit takes as long for a hundred reports as for one, all but a little. So what arrives while one runs goes with
the next. One thread records, because Python runs one at a time anyhow; between processes the ledger decides.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from litestar import Litestar

from api.ending import ServerEndingError
from ledger import AnyCommand, Ledger, Receipt, Refusal, UnavailableError
from ledger.access import Principal

BATCH_REPORTS_MAX = 500
"""Of a commit. Greater ones are hardly faster for each report, and all of its callers wait for the whole of it."""
WAITING_REPORTS_MAX = 10_000
"""Of a process: what it records within a second or two."""
WAIT_SECONDS_MAX = 4.0
"""Whoever has waited so long for their turn is sent away: the database is slow or gone, and the client may be too."""

Outcomes = list[Receipt | Refusal]


class TooBusyError(UnavailableError):
    """More reports come than can be recorded; nothing was recorded of these."""

    code = "too_busy"


class _Caller:
    """The reports of one request."""

    __slots__ = ("answer", "atomic", "by", "commands", "since", "spoilt")

    def __init__(
        self,
        commands: Sequence[AnyCommand],
        by: Principal,
        atomic: bool,
        spoilt: bool,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.commands = commands
        self.by = by
        self.atomic = atomic
        self.spoilt = spoilt
        self.since = loop.time()
        self.answer: asyncio.Future[Outcomes | BaseException] = loop.create_future()

    def tell(self, outcome: Outcomes | BaseException) -> None:
        # Done before means that the request was given up; its reports were recorded all the same.
        if not self.answer.done():
            self.answer.set_result(outcome)


class Gathering:
    """Records for all requests of one process; belongs to one event loop."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: deque[_Caller] = deque()
        self._waiting_reports = 0
        self._recorder: ThreadPoolExecutor | None = None
        self._loop: asyncio.AbstractEventLoop
        """Python asks the system for the process each time that it is asked for the running loop."""
        self._running: asyncio.Task[None] | None = None
        self._failure: UnavailableError | None = None
        """Why the last batch was not recorded."""

    @property
    def waiting_reports(self) -> int:
        """How many reports were taken that no commit has begun with."""
        return self._waiting_reports

    @asynccontextmanager
    async def lifespan(self, _app: Litestar) -> AsyncIterator[None]:
        """Take reports; at the end record and answer all that were taken."""
        with ThreadPoolExecutor(1, thread_name_prefix="recorder") as recorder:
            self._recorder, self._loop = recorder, asyncio.get_running_loop()
            yield
            if self._running is not None:
                await self._running
            self._recorder = None

    async def record(
        self, commands: Sequence[AnyCommand], *, by: Principal, atomic: bool = False, spoilt: bool = False
    ) -> Outcomes:
        """As ``Ledger.record_many``, in one commit with others, unless atomic.

        A caller that is cancelled has its reports recorded all the same.

        Raises:
            TooBusyError: Too many reports wait already, or these have waited for too long; nothing was recorded.
            UnavailableError: Not known whether anything was recorded; repeat all of it.
        """
        if not commands:
            return []
        self._check_room(len(commands))
        caller = _Caller(commands, by, atomic, spoilt, self._loop)
        self._waiting.append(caller)
        self._waiting_reports += len(commands)
        if self._running is None:
            self._running = self._loop.create_task(self._run())
        outcome = await caller.answer
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def _check_room(self, reports: int) -> None:
        if self._recorder is None:
            raise ServerEndingError("the server ends; nothing was recorded, send it again")
        if self._waiting_reports + reports > WAITING_REPORTS_MAX:
            raise TooBusyError(
                f"{self._waiting_reports:,} reports wait to be recorded; nothing was recorded of these, send them again"
            )

    async def _run(self) -> None:
        """Record, batch after batch, until nobody waits."""
        self._failure = None
        while batch := self._next_batch(self._loop.time()):
            outcomes = await self._loop.run_in_executor(self._recorder, self._record, batch)
            for caller, outcome in zip(batch, outcomes, strict=True):
                caller.tell(outcome)
            last = outcomes[-1]
            self._failure = last if isinstance(last, UnavailableError) else None
        self._running = None

    def _next_batch(self, now: float) -> list[_Caller]:
        """Take those who come next; reports that are all or nothing go alone, and so do too many in one array."""
        while self._waiting and now - self._waiting[0].since > WAIT_SECONDS_MAX:
            waited = "these waited too long for their turn; nothing was recorded of them, send them again"
            self._take().tell(self._failure or TooBusyError(waited))
        batch: list[_Caller] = []
        reports = 0
        while self._waiting:
            caller = self._waiting[0]
            reports += len(caller.commands)
            if batch and (caller.atomic or reports > BATCH_REPORTS_MAX):
                break
            batch.append(self._take())
            if caller.atomic:
                break
        return batch

    def _take(self) -> _Caller:
        caller = self._waiting.popleft()
        self._waiting_reports -= len(caller.commands)
        return caller

    def _record(self, batch: list[_Caller]) -> list[Outcomes | BaseException]:
        """Record a batch in the recorder's thread; return for each caller the outcomes, or why there are none."""
        first = batch[0]
        commands = [command for caller in batch for command in caller.commands]
        reporters = [caller.by for caller in batch for _ in caller.commands]
        try:
            recorded = self._ledger.record_many(
                commands, atomic=first.atomic, spoilt=first.spoilt, by=reporters
            )
        except UnavailableError as error:
            return [error] * len(batch)
        except BaseException as error:  # noqa: BLE001 - raised where it is answered
            if len(batch) == 1:
                return [error]
            # An error of the program that one of them met must not be that of all. Should some have been
            # recorded, they are duplicates now.
            half = len(batch) // 2
            return self._record(batch[:half]) + self._record(batch[half:])
        outcomes = iter(recorded)
        return [[next(outcomes) for _ in caller.commands] for caller in batch]
