"""Does the ledger stay as fast, and its clients as small, while the log grows?

    python -m benchmarks.growth [--stages 100000,1000000,10000000] [--home DIR] [--json FILE]

For each stage a file of so many events is imported into the same log, by the command line as a user would; then
reports are recorded in batches of 500, and questions asked over HTTP. All files and reports are parts of one made-up
campaign, so that every report is lawful and no citizen comes twice.
"""

import csv
import json
import multiprocessing
import os
import shutil
import sys
import time
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import accumulate
from pathlib import Path
from random import Random
from zlib import crc32

import click
import psycopg

from api.campaign import COLUMNS, DOSSIERS_MAX, Campaign, simulate
from benchmarks.http import REQUESTS, measure_questions
from benchmarks.ledger import fresh_ledger, record, seconds
from benchmarks.memory import run_watched
from benchmarks.server import facts, postgres_in, settle, vacuum
from benchmarks.table import (
    Aim,
    Line,
    Results,
    Section,
    at_least,
    at_most,
    ratio,
    show,
    step,
    told,
    write_json,
)
from benchmarks.targets import set_targets
from ledger import Ledger, read_report
from ledger.embedded import EmbeddedPostgres
from ledger.target_events import TARGETS_STREAM
from ledger.unit_events import UNITS_STREAM
from projections import catch_up, open_totals

STAGES = "100000,1000000,10000000"
FULL_SIZE_STAGE = 100_000
EVENTS_A_DOSSIER = 2.84
APPENDS = 6
"""Runs of recording at each stage, each of dossiers of its own. The median of the later half counts: the first ones find
the index of citizens pushed out of the cache by all that went before, and a ledger that records does not."""
APPENDED_MAX = 14_000
BATCH = 500
DISK_BYTES_AN_EVENT = 1_500
"""Log, read model, write-ahead log, the file, and what an import spools: taken generously."""
MEMORY_BYTES_A_DOSSIER = 1_600
"""What drawing the campaign takes, in a process that is gone before anything is measured."""
CLIENT_MB_MAX = 300
_CITIZEN = COLUMNS.index("citizen")


def table_of(stages: Sequence[int]) -> list[Section]:
    """Return the table for these stages; what changes from the first to the last has the aims."""

    def section(
        title: str, key: str, unit: str, change: Aim | None = None, aim: Aim | None = None
    ) -> Section:
        lines = [Line(f"{key}.{stage}", f"after the file of {stage:,}", unit, aim) for stage in stages]
        if change is not None:
            lines.append(ratio(f"{key}.{stages[-1]}", f"{key}.{stages[0]}", "last of first", change))
        return Section(title, lines)

    small = at_most(CLIENT_MB_MAX)
    return [
        section("The log", "log", "events"),
        section("Append: record_many of 500, one caller", "append", "events/s", at_least(0.8)),
        section("  the first run, after all that went before", "append.first", "events/s"),
        section("Totals of the province by district, p95", "get.totals.p95", "ms", at_most(1.5)),
        section("The same between two days, p95", "get.totals_days.p95", "ms", at_most(1.5)),
        section("By commune over a year, as then, p95", "get.totals_year_then.p95", "ms", aim=at_most(80)),
        section("The same restated to July 2025, p95", "get.totals_year_now.p95", "ms", aim=at_most(80)),
        section("Progress of all communes, p95", "get.progress.p95", "ms", aim=at_most(100)),
        section(
            "History of a dossier, its look recorded, p95", "get.history.p95", "ms", at_most(1.5), at_most(15)
        ),
        section("Import of the file, projections stopped", "import", "events/s"),
        section("  memory of its process", "memory.parent", "MB", aim=small),
        section("  memory of its largest lane, a process of its own", "memory.lane", "MB", aim=small),
        section("  memory of all its processes together", "memory.together", "MB"),
        section("  lines refused", "refused", "lines", aim=at_most(0)),
        section("unit_totals, catch up with the file", "catch_up", "events/s"),
        section("Disk: log and citizens, indexes included", "disk.log", "bytes/event"),
        section("Disk: unit_totals", "disk.totals", "bytes/event"),
    ]


@click.command()
@click.option("--stages", default=STAGES, show_default=True, help="Events of each file, the smallest first.")
@click.option("--home", type=click.Path(path_type=Path), help="Kept; default: a temporary one, removed.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the numbers here as well.")
def main(stages: str, home: Path | None, json_path: Path | None) -> None:
    """Measure stage by stage, and print a table."""
    began = time.monotonic()
    sizes = [int(stage) for stage in stages.split(",")]
    results = Results()
    with postgres_in(home) as postgres:
        check_room(postgres.home, sizes)
        postgres.start()
        about = facts(postgres) | {"stages": stages}
        measure(postgres, sizes, results)
    about["took (s)"] = round(time.monotonic() - began)
    lines = told(table_of(sizes), results)
    show(lines, about)
    if json_path:
        write_json(json_path, lines, about)


def appended(stages: Sequence[int]) -> int:
    """Return how many events a run of recording has: many against its start, few against the log."""
    return min(APPENDED_MAX, stages[0] // 5)


def dossiers_of(stages: Sequence[int]) -> int:
    """Return how large a campaign has enough events for all files and all runs of recording."""
    events = sum(stages) + len(stages) * APPENDS * appended(stages)
    return round(events / EVENTS_A_DOSSIER)


def check_room(home: Path, stages: Sequence[int]) -> None:
    """Refuse to begin what cannot end: neither disk nor memory may run out after an hour."""
    dossiers = dossiers_of(stages)
    if dossiers > DOSSIERS_MAX:
        raise click.UsageError(
            f"these stages take {dossiers:,} dossiers; a campaign has {DOSSIERS_MAX:,} at most"
        )
    wanted, free = sum(stages) * DISK_BYTES_AN_EVENT + 4_000_000_000, shutil.disk_usage(home).free
    if free < wanted:
        raise click.UsageError(
            f"{home} has {free / 1e9:.1f} GB free and this takes {wanted / 1e9:.1f}: "
            "name another place with --home, or fewer --stages"
        )
    wanted, free = dossiers * MEMORY_BYTES_A_DOSSIER + 2_000_000_000, _available_bytes()
    if free < wanted:
        raise click.UsageError(
            f"{free / 1e9:.1f} GB of memory are free and drawing the campaign takes {wanted / 1e9:.1f}: fewer --stages"
        )


def _available_bytes() -> int:
    for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def measure(postgres: EmbeddedPostgres, stages: Sequence[int], results: Results) -> None:
    home = postgres.home
    with step(f"a made-up campaign of {dossiers_of(stages):,} dossiers"):
        _draw(home, stages)
    with fresh_ledger(home) as ledger:
        totals = open_totals(ledger)
        for stage in stages:
            with step(f"import of {stage:,} events"):
                _import(home, stage, results)
            head = ledger.head().position
            results.add(f"log.{stage}", head)
            with step("catch up, vacuum"):
                behind = head - totals.position()
                results.add(
                    f"catch_up.{stage}", behind / seconds(lambda: catch_up(ledger.database, ["unit_totals"]))
                )
                _measure_disk(postgres, stage, head, results)
                vacuum(postgres)
                settle(postgres)
            with step("record_many, questions over HTTP"):
                for number in range(APPENDS):
                    key = "append.first" if number == 0 else "append" if number >= APPENDS // 2 else None
                    rate = _append(ledger, _appends(home, stage, number))
                    if key:
                        results.add(f"{key}.{stage}", rate)
                set_targets(ledger)
                catch_up(ledger.database)
                scale = stages[0] / FULL_SIZE_STAGE
                measure_questions(home, _dossiers(postgres, head), scale, results, suffix=f".{stage}")


def _file(home: Path, stage: int) -> Path:
    return home / f"stage-{stage}.csv"


def _appends(home: Path, stage: int, number: int) -> Path:
    return home / f"stage-{stage}-append-{number}.csv"


def _draw(home: Path, stages: Sequence[int]) -> None:
    """Write all files. In a process of its own, whose gigabytes are given back."""
    parts = [(_file(home, stage), stage) for stage in stages]
    parts += [
        (_appends(home, stage, number), appended(stages)) for stage in stages for number in range(APPENDS)
    ]
    process = multiprocessing.get_context("spawn").Process(
        target=_write_parts, args=(dossiers_of(stages), parts)
    )
    process.start()
    process.join()
    assert process.exitcode == 0, process.exitcode


def _write_parts(dossiers: int, parts: Sequence[tuple[Path, int]]) -> None:
    """Part a campaign by citizen into files of about so many rows, each in the order of time."""
    limits = list(accumulate(size for _, size in parts))
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("w", encoding="utf-8", newline="")) for path, _ in parts]
        writers = [csv.writer(file, lineterminator="\n") for file in files]
        for writer in writers:
            writer.writerow(COLUMNS)
        for row in simulate(Campaign(dossiers=dossiers, seed=1)):
            share = crc32(row[_CITIZEN].encode()) * limits[-1] >> 32
            writers[bisect_right(limits, share)].writerow(row)


def _import(home: Path, stage: int, results: Results) -> None:
    """Import a stage's file as a user would, and remove it."""
    path = _file(home, stage)
    command = [sys.executable, "-m", "api.main", "--home", str(home), "--format", "json", "import", str(path)]
    done = run_watched(command, home)
    assert done.status in {0, 1}, done
    told_by_it = json.loads(done.output)
    results.add(f"import.{stage}", told_by_it["recorded"] / told_by_it["seconds"])
    results.add(f"refused.{stage}", told_by_it["refused"])
    results.add(f"memory.parent.{stage}", done.peak.parent)
    if done.peak.child_max:
        results.add(f"memory.lane.{stage}", done.peak.child_max)
    else:
        results.lack(f"memory.lane.{stage}", "so small a file has no lanes")
    results.add(f"memory.together.{stage}", done.peak.together)
    path.unlink()


def _append(ledger: Ledger, path: Path) -> float:
    """Record a file's reports; return how many in a second."""
    with path.open(encoding="utf-8", newline="") as file:
        commands = [read_report(fields) for fields in csv.DictReader(file)]
    began, ended = record(ledger, commands, BATCH)
    return len(commands) / (ended - began)


def _measure_disk(postgres: EmbeddedPostgres, stage: int, events: int, results: Results) -> None:
    query = """
        SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
        WHERE relnamespace = 'ledger'::regnamespace AND relkind = 'r' AND relname LIKE ANY(%s)
    """
    with psycopg.connect(postgres.conninfo()) as connection:
        for key, names in {"log": ["events", "citizens"], "totals": ["unit\\_totals%"]}.items():
            [[size]] = connection.execute(query, [names]).fetchall()
            results.add(f"disk.{key}.{stage}", size / events)


def _dossiers(postgres: EmbeddedPostgres, head: int) -> list[str]:
    """Return dossiers from all over the log."""
    chance = Random(head)
    positions = [chance.randint(1, head) for _ in range(2 * REQUESTS)]
    query = "SELECT DISTINCT originator_id FROM ledger.events WHERE notification_id = ANY(%s) AND originator_id <> ALL(%s)"
    with psycopg.connect(postgres.conninfo()) as connection:
        found = sorted(
            str(dossier_id)
            for (dossier_id,) in connection.execute(query, [positions, [UNITS_STREAM, TARGETS_STREAM]])
        )
    chance.shuffle(found)
    return found[:REQUESTS]


if __name__ == "__main__":
    main()
