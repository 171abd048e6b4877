"""Who waits too long is ended; whoever does not, or is ended by somebody else, never notices."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from litestar import Litestar

from api.patience import Patience

LIMIT = 0.05


def run(ask: Callable[[Patience], Awaitable[object]]) -> object:
    """Run something with patience of *LIMIT* seconds."""

    async def run() -> object:
        patience = Patience(LIMIT, look_seconds=0.005)
        async with patience.lifespan(Litestar()):
            return await ask(patience)

    return asyncio.run(run())


async def wait(patience: Patience, seconds: float) -> str:
    with patience:
        await asyncio.sleep(seconds)
    return "done"


def test_what_is_in_time_is_left_alone():
    """However often it comes, and however long it goes on afterwards."""

    async def ask(patience: Patience) -> list[str]:
        done = [await wait(patience, LIMIT / 4) for _ in range(8)]
        await asyncio.sleep(2 * LIMIT)
        return done

    assert ["done"] * 8 == run(ask)


def test_each_that_is_late_is_ended_and_nobody_else():
    async def ask(patience: Patience) -> list[object]:
        waits = [wait(patience, seconds) for seconds in (9, 0, 9, LIMIT / 4)]
        return await asyncio.gather(*waits, return_exceptions=True)

    late, done, too_late, as_well = run(ask)
    assert isinstance(late, TimeoutError)
    assert isinstance(too_late, TimeoutError)
    assert ["done", "done"] == [done, as_well]


def test_a_task_goes_on_after_its_time_was_up():
    """It is not left half cancelled: what it waits for next is not ended."""

    async def ask(patience: Patience) -> str:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await wait(patience, 9)
        await asyncio.sleep(LIMIT)
        return await wait(patience, 0)

    assert "done" == run(ask)


def test_a_task_that_somebody_else_cancels_is_cancelled():
    """Even where both do at once: no request that was given up comes back."""

    async def ask(patience: Patience) -> list[object]:
        first = asyncio.create_task(wait(patience, 9))
        both = asyncio.create_task(wait(patience, 9))
        await asyncio.sleep(0)
        first.cancel()
        patience._end_those_before(float("inf"))
        both.cancel()
        return await asyncio.gather(first, both, return_exceptions=True)

    assert [asyncio.CancelledError] * 2 == [type(outcome) for outcome in run(ask)]


def test_nobody_is_remembered_once_they_are_through():
    """A server that runs for months would fill its memory."""

    async def ask(patience: Patience) -> int:
        waits = [wait(patience, seconds) for seconds in (0, 9, 0.01)]
        await asyncio.gather(*waits, return_exceptions=True)
        return len(patience._since)

    assert 0 == run(ask)
