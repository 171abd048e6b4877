"""One ledger and one application for all tests of a module that takes these fixtures: none may mind what others have recorded."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar.testing import TestClient

from ledger import Ledger
from ledger.database import Database
from ledger.identities import read_key_file
from ledger.key_files import create_key_file
from projections import Runner, open_totals
from tests.api.conftest import api_of
from tests.conftest import Clock, Server


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def database(server: Server, units_template: str) -> Iterator[Database]:
    name = server.create(units_template)
    yield server.database(name)
    server.drop(name)


@pytest.fixture(scope="module")
def conninfo(database: Database) -> str:
    return database.conninfo


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "ledger.key"
    create_key_file(path)
    return path


@pytest.fixture(scope="module")
def ledger(database: Database, key_file: Path, clock: Clock) -> Iterator[Ledger]:
    with Ledger(database, read_key_file(key_file), now=clock) as ledger:
        yield ledger


LEDGER = clock, conninfo, database, key_file, ledger


@pytest.fixture(scope="module")
def client(ledger: Ledger) -> Iterator[TestClient]:
    """The API over it, with the projections running."""
    ledger.tree()  # As open_ledger does, before threads share it.
    totals = open_totals(ledger)
    with Runner(ledger), api_of(ledger, totals) as client:
        yield client
