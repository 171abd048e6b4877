"""One ledger for all tests of a module that leave the units alone, and citizens of each test's own."""

from collections.abc import Iterator

import pytest

from ledger import Ledger
from ledger.identities import Identities
from tests.conftest import Clock, Server, check_ledger, check_reads
from tests.ledger.reports import new_citizen


@pytest.fixture(scope="module")
def shared(server: Server, units_template: str) -> Iterator[Ledger]:
    """One ledger for all tests that leave the units alone; each has citizens of its own."""
    name = server.create(units_template)
    with Ledger(server.database(name), Identities(lookup=bytes(32), wrap=bytes(32)), now=Clock()) as ledger:
        ledger.tree()
        yield ledger
        check_ledger(ledger)
        check_reads(ledger.database)
    server.drop(name)


@pytest.fixture
def someone() -> str:
    """A citizen whom nobody has reported yet."""
    return new_citizen()
