"""A reader that follows the log by position misses nothing, however long writers take between insert and commit."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import NamedTuple
from uuid import UUID

import psycopg
import pytest

from ledger import Ledger, Receipt
from tests.clients import seeded
from tests.conftest import check_ledger
from tests.ledger.reports import a_life, approve, citizen, collect

WRITERS = 8
LIVES_EACH = 12
"""Each is three events, recorded by one append or by three."""
EVENTS = 2 + WRITERS * LIVES_EACH * 3
DELAY_SECONDS_MAX = 0.02
UNITS = 586

Change = tuple[str, str]

SLOW: Change = ("PERFORM pg_notify(", f"PERFORM pg_sleep(random() * {DELAY_SECONDS_MAX}); PERFORM pg_notify(")
"""Whoever has inserted takes a while to commit: append is one statement, and that is what it ends with."""
WITHOUT_LOCK: list[Change] = [
    ("FOR UPDATE;", ";"),
    # Numbered as by a serial column: nobody waits for anybody.
    ("old_size + 1;", "nextval('ledger.positions');"),
    ("old_size + number", "first_position - 1 + number"),
    ('UPDATE "ledger".head', 'IF false THEN UPDATE "ledger".head'),
    ("units_version = new_units;", "units_version = new_units; END IF;"),
]


def change_append(operator: psycopg.Connection, *changes: Change) -> None:
    """Replace the function, in this database alone, by itself with some of its text changed."""
    [[source]] = operator.execute("SELECT pg_get_functiondef('append'::regproc)").fetchall()
    for old, new in changes:
        assert old in source, (old, source)
        source = source.replace(old, new)
    operator.execute(source)


class Followed(NamedTuple):
    """Positions of the same log, in the order in which each saw them."""

    log: list[int]
    reader: list[int]
    """Asked ``Ledger.read`` for what comes after the last it saw, again and again."""
    subscriber: list[int]
    """Iterated over eventsourcing's subscription."""


@pytest.fixture
def follow(ledger: Ledger, open_again: Callable[[], Ledger]) -> Callable[[Random], Followed]:
    """Let eight writers record, and two readers follow them to their end."""

    def write(number: int, seed: int) -> None:
        writer, chance = open_again(), Random(seed)
        for n in range(LIVES_EACH):
            reports = a_life(citizen=citizen(1 + number * LIVES_EACH + n))
            batch = chance.choice([1, 3])
            for first in range(0, 3, batch):
                outcomes = writer.record_many(reports[first : first + batch])
                assert {Receipt} == {type(outcome) for outcome in outcomes}

    def read(until: UUID) -> list[int]:
        return list(positions(entries(open_again()), until))

    def entries(reader: Ledger) -> Iterator[tuple[int, UUID, int]]:
        position = UNITS
        while True:
            for entry in reader.read(after=position, limit=100):
                position = entry.position
                yield position, entry.originator_id, entry.originator_version

    def subscribe(until: UUID) -> list[int]:
        with open_again().recorder.subscribe(gt=UNITS) as subscription:
            told = ((one.id, one.originator_id, one.originator_version) for one in subscription)
            return list(positions(told, until))

    def positions(told: Iterator[tuple[int, UUID, int]], until: UUID) -> Iterator[int]:
        for position, stream, version in told:
            yield position
            if (stream, version) == (until, 2):
                return

    def follow(chance: Random) -> Followed:
        # Its second event is the last of all: whoever has seen that has seen what there was to see.
        until = ledger.record(collect(citizen=citizen(0))).dossier_id
        seeds = [chance.randrange(1 << 30) for _ in range(WRITERS)]
        with ThreadPoolExecutor(WRITERS + 2) as pool:
            reader, subscriber = pool.submit(read, until), pool.submit(subscribe, until)
            try:
                list(pool.map(write, range(WRITERS), seeds))
            finally:
                ledger.record(approve(citizen=citizen(0)))
        log = [entry.position for entry in ledger.read(after=UNITS, limit=10_000)]
        assert EVENTS == len(log)
        return Followed(log, reader.result(), subscriber.result())

    return follow


def test_readers_miss_nothing(follow, ledger, operator):
    """Both see every event, in order and once."""
    change_append(operator, SLOW)
    begun = time.monotonic()
    log, reader, subscriber = follow(seeded("readers under eight writers"))

    assert log == reader
    assert log == subscriber
    # The delays were there, and one after the other.
    assert time.monotonic() - begun > WRITERS * LIVES_EACH * DELAY_SECONDS_MAX / 4
    check_ledger(ledger, length=UNITS + EVENTS)


def test_without_the_lock_they_would_miss_some(follow, operator):
    """The control: the same writers and readers, with positions from a sequence. Both are seen to miss events."""
    operator.execute("CREATE SEQUENCE ledger.positions START 1000 INCREMENT 3 OWNED BY NONE")
    operator.execute("ALTER SEQUENCE ledger.positions OWNER TO ledger_owner")
    change_append(operator, SLOW, *WITHOUT_LOCK)
    log, reader, subscriber = follow(seeded("readers without the lock"))

    assert [] != sorted({*log} - {*reader})
    assert [] != sorted({*log} - {*subscriber})
    # Whatever they saw, they saw in order; nothing told them.
    assert sorted({*reader}) == reader
    assert sorted({*subscriber}) == subscriber
