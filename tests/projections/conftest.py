"""What every test of the read side starts from."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from ledger import Ledger, Policy
from ledger.database import Database
from ledger.identities import Identities
from projections import Runner, Totals, TotalsQuery
from tests.conftest import Clock, Server
from tests.projections import by_hand, campaigns

DOSSIERS = 1500
SEED = 20241209


@pytest.fixture
def ledger(ledger: Ledger) -> Ledger:
    ledger.tree()  # As open_ledger does, before threads share it.
    return ledger


@pytest.fixture
def totals(ledger: Ledger) -> Totals:
    return Totals(ledger)


class Campaign(NamedTuple):
    """A campaign that was recorded and counted, for tests that only read."""

    ledger: Ledger
    totals: Totals
    rows: list[by_hand.Row]
    """The log."""
    counts: by_hand.Counts
    """What it comes to, by hand."""
    tree: by_hand.Tree


@pytest.fixture(scope="session")
def campaign(server: Server, units_template: str) -> Iterator[Campaign]:
    """Some 6,000 events, recorded by two writers in random batches while a runner followed; some of them corrected."""
    name = server.create(units_template)
    database = server.database(name)
    with Ledger(database, Identities(lookup=bytes(32), wrap=bytes(32)), now=Clock()) as ledger:
        ledger.tree()
        totals = Totals(ledger)
        reports = campaigns.commands(SEED, DOSSIERS)
        # A dossier's reports stay with one writer, in their order.
        halves = [[report for report in reports if int(report.citizen) % 2 == parity] for parity in (0, 1)]
        with Runner(ledger), ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda half: campaigns.record(ledger, half, seed=len(half)), halves))
            campaigns.correct(ledger, halves[0], corrections=200)
            with_four_eyes = Ledger(
                database,
                Identities(lookup=bytes(32), wrap=bytes(32)),
                policy=Policy(four_eyes=True),
                now=Clock(),
            )
            with with_four_eyes:
                with_four_eyes.tree()
                campaigns.correct(with_four_eyes, halves[1], seed=2, corrections=400)
            totals.read(TotalsQuery(), after=ledger.head().position, wait_seconds=20)
        rows = by_hand.rows_of(database)
        yield Campaign(ledger, totals, rows, by_hand.count(rows), by_hand.tree_of(rows))
    server.drop(name)


@pytest.fixture
def start_child(database: Database) -> Iterator[Callable[..., subprocess.Popen]]:
    """Start ``child.py`` on the test's database; it is at work when this returns, and gone after the test."""
    children: list[subprocess.Popen] = []

    def start(what: str, *, batch: int = 10, pause: float = 0.0) -> subprocess.Popen:
        place = (database.conninfo, database.schema, str(database.embedded))
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.projections.child", what, *place, str(batch), str(pause)],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
        )
        children.append(child)
        assert child.stdout is not None
        assert b"ready\n" == child.stdout.readline()
        return child

    yield start
    for child in children:
        with child:
            child.kill()
