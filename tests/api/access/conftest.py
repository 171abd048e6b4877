"""One ledger for whatever records nothing but keys, and its clock."""

import pytest

from ledger import Ledger
from ledger.identities import read_key_file
from tests.api import one_ledger
from tests.conftest import NOW

clock, conninfo, database, key_file, ledger = one_ledger.LEDGER


@pytest.fixture
def open_again(database, key_file, clock):
    """Open the ledger once more, as another process would."""
    opened: list[Ledger] = []

    def again() -> Ledger:
        opened.append(Ledger(database, read_key_file(key_file), now=clock))
        return opened[-1]

    yield again
    for ledger in opened:
        ledger.close()


@pytest.fixture(autouse=True)
def _at_that_time(clock) -> None:
    clock.now = NOW
