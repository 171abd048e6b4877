"""How fast does this ledger record, one by one, in batches, from two callers, and from a file?"""

import gc
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from threading import Barrier
from typing import Any

from api.campaign import Row, write
from benchmarks.server import settle, vacuum
from benchmarks.table import Results, step
from benchmarks.traffic import batches, commands_of, parted
from ledger import AnyCommand, Ledger, Receipt, open_ledger
from ledger.embedded import EmbeddedPostgres
from ledger.importing import ImportResult, import_file
from ledger.units.commands import AbolishUnits
from projections import Runner, Totals, open_totals

BATCHES = {1: 400, 20: 4_000, 100: 10_000, 500: 20_000, 2_000: 30_000}
"""Sizes of batches, and how many events of each are recorded in a repeat of a run of 200,000 dossiers."""
SINGLES = 400
TOGETHER = 30_000
"""Events that two callers record together, in batches of 500."""
FULL_SIZE_DOSSIERS = 200_000
WAIT_SECONDS_MAX = 120
Span = tuple[float, float]
"""When it began and ended, by the clock that all processes of a machine share."""


def fresh_ledger(home: Path, schema: str = "ledger") -> Ledger:
    """Open an empty ledger with the units of the campaign."""
    ledger = open_ledger(home=home, schema=schema)
    ledger.load_units("units_2024.csv", valid_from=date(2021, 1, 1))
    # What became of them since: questions are asked over it.
    changes = {"2025-01-01": date(2025, 1, 1), "2025": date(2025, 7, 1)}
    for name, effective in changes.items():
        if effective.month > 1:
            ledger.change_units(
                AbolishUnits(level="district", effective=date(2025, 3, 1), decree="district police")
            )
        ledger.reorganise(f"units_{name}.csv", f"merge_{name}.csv", effective=effective, decree=name)
    return ledger


def import_rows(ledger: Ledger, path: Path) -> ImportResult:
    """Import a file end to end: read, check, resolve, decide, append."""
    with path.open("rb") as file:
        return import_file(ledger, file, refused_path=path.with_name("refused.csv"))


def measure_live(
    postgres: EmbeddedPostgres, rows: Sequence[Row], scale: float, repeats: int, results: Results
) -> None:
    """Record a campaign's reports as live traffic.

    The first part of the campaign is imported, the rest comes report by report, in the order of time.
    """

    def events(count: int) -> int:
        return max(4, round(count * min(1, scale)))

    a_repeat = events(SINGLES) + sum(map(events, BATCHES.values())) + 2 * events(TOGETHER)
    start = len(rows) - repeats * a_repeat
    assert start > 0, "too few dossiers for so many repeats"
    path = postgres.home / "before.csv"
    write(rows[:start], path)
    with fresh_ledger(postgres.home, "live") as ledger:
        open_totals(ledger)
        import_rows(ledger, path)
        path.unlink()
        # A log that grew by live traffic has had its autovacuum.
        vacuum(postgres)
        settle(postgres)
        coming = iter(rows[start:])
        # What the measuring program holds itself, a whole campaign, is not the ledger's to look through for garbage.
        gc.collect()
        gc.freeze()

        def take(count: int) -> list[Row]:
            return [next(coming) for _ in range(events(count))]

        for repeat in range(repeats):
            with step(f"record and record_many, {repeat + 1} of {repeats}"):
                commands = commands_of(take(SINGLES))
                results.add("record", len(commands) / record_singly(ledger, commands))
                for size, count in BATCHES.items():
                    commands = commands_of(take(count))
                    began, ended = record(ledger, commands, size)
                    results.add(f"record_many.{size}", len(commands) / (ended - began))
                for how, together in {"processes": in_processes, "threads": in_threads}.items():
                    shares = parted(take(TOGETHER), 2)
                    spans = together(ledger, shares, 500)
                    took = max(ended for _, ended in spans) - min(began for began, _ in spans)
                    results.add(f"record_many.500.two_{how}", sum(map(len, shares)) / took)


def record_singly(ledger: Ledger, commands: Sequence[AnyCommand]) -> float:
    """Record one after the other; return the seconds."""
    began = time.monotonic()
    receipts = [ledger.record(command) for command in commands]
    took = time.monotonic() - began
    assert not any(receipt.duplicate for receipt in receipts)
    return took


def record(ledger: Ledger, commands: Sequence[AnyCommand], size: int) -> Span:
    """Record in batches; every report must be recorded, now and not before."""
    began = time.monotonic()
    answers = [ledger.record_many(batch) for batch in batches(commands, size)]
    ended = time.monotonic()
    for answer in answers:
        for one in answer:
            assert isinstance(one, Receipt), one
            assert not one.duplicate, one
    return began, ended


def in_threads(ledger: Ledger, shares: Sequence[Sequence[Row]], size: int) -> list[Span]:
    """Record each share in a thread of its own, all over one ledger object."""
    start = Barrier(len(shares), timeout=WAIT_SECONDS_MAX)
    prepared = [commands_of(rows) for rows in shares]

    def caller(commands: Sequence[AnyCommand]) -> Span:
        start.wait()
        return record(ledger, commands, size)

    with ThreadPoolExecutor(len(shares)) as pool:
        return list(pool.map(caller, prepared))


def in_processes(ledger: Ledger, shares: Sequence[Sequence[Row]], size: int) -> list[Span]:
    """Record each share in a process of its own, which has opened the ledger before the clock starts."""
    assert ledger.opening is not None
    # A fork would copy this process's connections.
    context = multiprocessing.get_context("spawn")
    start, spans = context.Barrier(len(shares)), context.SimpleQueue()
    callers = [
        context.Process(
            target=_caller, args=(ledger.opening.home, ledger.opening.schema, rows, size, start, spans)
        )
        for rows in shares
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all(caller.exitcode == 0 for caller in callers), [caller.exitcode for caller in callers]
    return [spans.get() for _ in callers]


def _caller(home: Path, schema: str, rows: Sequence[Row], size: int, start: Any, spans: Any) -> None:
    commands = commands_of(rows)
    with open_ledger(home=home, schema=schema) as ledger:
        # One that failed to get here ends the others' wait too.
        start.wait(timeout=WAIT_SECONDS_MAX)
        spans.put(record(ledger, commands, size))


def measure_following(home: Path, path: Path, results: Results) -> None:
    """Import the file into an empty ledger while its projections follow."""
    with fresh_ledger(home, "following") as ledger:
        totals = open_totals(ledger)
        with Runner(ledger):
            done = import_rows(ledger, path)
            results.add("import.following", done.recorded / done.seconds)
            results.add("lag", seconds(lambda: wait_for(totals, done.last_position or 0)))


def wait_for(totals: Totals, position: int) -> None:
    """Wait until so much is counted."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while totals.position() < position:
        if time.monotonic() > deadline:
            raise TimeoutError(f"not counted up to {position}")
        time.sleep(0.005)


def seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began
