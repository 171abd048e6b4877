"""Whoever has a receipt waits for it to be counted, and holds up nobody else."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore

import pytest

from projections import NotCaughtUpError, catch_up, status
from projections.status import wait_for
from projections.unit_totals import NAME
from tests.api.conftest import wait_until
from tests.ledger.reports import citizen, collect


def test_what_the_ledger_has_is_waited_for(ledger):
    """Until it is counted, or for as long as somebody wants."""
    position = ledger.record(collect()).position
    began = time.monotonic()
    with pytest.raises(NotCaughtUpError, match=f"not yet {position}"):
        wait_for(ledger, NAME, position, 0.2)
    assert 0.2 <= time.monotonic() - began
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait_for, ledger, NAME, position, 20)
        catch_up(ledger.database)
        assert waiting.result() is None


def test_what_the_ledger_does_not_have_is_not(ledger):
    position = ledger.record(collect()).position
    began = time.monotonic()
    with pytest.raises(NotCaughtUpError, match=f"the ledger ends at position {position}"):
        wait_for(ledger, NAME, position + 1, 60)
    assert time.monotonic() - began < 20


def test_so_many_wait_and_no_more(ledger, monkeypatch):
    """The others are told at once; what is counted nobody waits for; and those who waited make room."""
    # The package has a function of the module's name.
    waiters = BoundedSemaphore(2)
    monkeypatch.setattr(sys.modules[wait_for.__module__], "_waiters", waiters)
    first = ledger.record(collect()).position
    catch_up(ledger.database)
    position = ledger.record(collect(citizen=citizen(2))).position
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(wait_for, ledger, NAME, position, 20) for _ in range(2)]
        # Looked at and not tried: a try would take the place of one of them.
        wait_until(lambda: waiters._value == 0)
        assert refused(ledger, position)
        wait_for(ledger, NAME, first, 20)
        catch_up(ledger.database)
        assert [None, None] == [one.result() for one in waiting]
    assert {0} == {one.lag_events for one in status(ledger)}
    assert not refused(ledger, ledger.record(collect(citizen=citizen(3))).position)


def refused(ledger, position: int) -> bool:
    try:
        wait_for(ledger, NAME, position, 0)
    except NotCaughtUpError as error:
        return "many wait" in str(error)
    return False
