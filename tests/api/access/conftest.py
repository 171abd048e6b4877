"""One ledger for whatever records nothing but keys, and its clock."""

from collections.abc import Iterator

import pytest

from ledger import Ledger
from ledger.identities import read_key_file
from ledger.key_files import create_key_file
from tests.conftest import NOW, Clock


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def database(server, units_template):
    name = server.create(units_template)
    yield server.database(name)
    server.drop(name)


@pytest.fixture(scope="module")
def key_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("key") / "ledger.key"
    create_key_file(path)
    return path


@pytest.fixture(scope="module")
def ledger(database, key_file, clock) -> Iterator[Ledger]:
    with Ledger(database, read_key_file(key_file), now=clock) as ledger:
        yield ledger


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


@pytest.fixture(scope="module")
def conninfo(database) -> str:
    return database.conninfo


@pytest.fixture(autouse=True)
def _at_that_time(clock) -> None:
    clock.now = NOW
