"""Measure a whole ledger beside what it is to be compared with, in one run on one PostgreSQL.

    python -m benchmarks [--dossiers N] [--repeats N] [--seconds N] [--home DIR] [--json FILE]

Everything runs on the embedded PostgreSQL with fsync on, which starts empty. Times are wall-clock; of what is
short the median of several repeats is told. What grows with the log is measured by ``python -m benchmarks.growth``.
"""

import time
from pathlib import Path

import click

from api.campaign import COLUMNS, Campaign, Row, made_up_name, write
from benchmarks.http import REQUESTS, measure_load, measure_questions
from benchmarks.ledger import FULL_SIZE_DOSSIERS, fresh_ledger, import_rows, measure_following, measure_live
from benchmarks.nation import measure_nation
from benchmarks.plain import measure_one_row_commits, measure_plain
from benchmarks.projections import measure_catch_up, measure_runner
from benchmarks.server import facts, postgres_in, settle
from benchmarks.stock import measure_stock
from benchmarks.table import Line, Results, Section, at_least, at_most, ratio, show, step, told, write_json
from benchmarks.targets import set_targets
from benchmarks.tokens import KINDS, measure_tokens
from benchmarks.traffic import draw
from benchmarks.worklist import measure_worklist
from ledger import Ledger, open_ledger
from ledger.embedded import EmbeddedPostgres
from projections import open_totals

CALLERS = "two callers, 500 each"
STOCK_500 = "of stock in batches of 500"

TABLE = [
    Section(
        "Recording",
        [
            Line("record", "record, one by one"),
            ratio("record", "pgbench.1", "of one-row commits of one client"),
            ratio("record", "stock.save", "of stock, one by one"),
            Line("record_many.1", "record_many, 1 a batch"),
            Line("record_many.20", "record_many, 20 a batch"),
            Line("record_many.100", "record_many, 100 a batch"),
            Line("record_many.500", "record_many, 500 a batch", aim=at_least(20_000)),
            ratio("record_many.500", "stock.save.500", STOCK_500),
            ratio("record_many.500", "plain.insert.500", "of plain INSERT of 500"),
            Line("record_many.2000", "record_many, 2,000 a batch"),
            ratio("record_many.2000", "plain.insert.2000", "of plain INSERT of 2,000"),
            Line("record_many.500.two_processes", f"{CALLERS}, two processes", aim=at_least(30_000)),
            Line("record_many.500.two_threads", f"{CALLERS}, two threads of one process"),
        ],
    ),
    Section(
        "Importing a file, end to end",
        [
            Line("import.stopped", "import, projections stopped", aim=at_least(40_000)),
            ratio("import.stopped", "stock.save.500", STOCK_500, at_least(3)),
            ratio("import.stopped", "stock.save.500.alone", f"{STOCK_500}, save alone"),
            ratio("import.stopped", "plain.copy", "of plain COPY", at_least(0.2)),
            Line("import.following", "import, projections following", aim=at_least(20_000)),
            Line("lag", "lag after it ends", "s", at_most(1)),
            Line("import.again", "the same file again, all duplicates", "lines/s"),
            Line("import.refused", "lines refused", "lines", at_most(0)),
        ],
    ),
    Section(
        "Stock eventsourcing",
        [
            Line("stock.save", "an event a save, its method included"),
            Line("stock.save.alone", "  save alone"),
            Line("stock.save.500", "500 events a save, their methods included"),
            Line("stock.save.500.alone", "  save alone"),
            Line("stock.project", "ProjectionRunner, a view by unit, day and level"),
        ],
    ),
    Section(
        "PostgreSQL alone: our rows and indexes, no function, no hash",
        [
            Line("plain.copy", "one COPY of all, what a COPY gave sent as it is", "rows/s"),
            Line("plain.copy.rows", "one COPY of all, rows of a Python program", "rows/s"),
            Line("plain.insert.500", "INSERT of arrays, 500 a commit", "rows/s"),
            Line("plain.insert.2000", "INSERT of arrays, 2,000 a commit", "rows/s"),
            Line("pgbench.1", "pgbench, a row a commit, 1 client", "commits/s"),
            Line("pgbench.16", "pgbench, a row a commit, 16 clients", "commits/s"),
        ],
    ),
    Section(
        "The projection unit_totals",
        [
            Line("runner", "live: a runner behind a log not counted yet", aim=at_least(60_000)),
            ratio("runner", "stock.project", "of the stock ProjectionRunner", at_least(40)),
            Line("catch_up", "catch_up over a log not counted yet", aim=at_least(60_000)),
            ratio("catch_up", "stock.project", "of the stock ProjectionRunner", at_least(40)),
            Line("rebuild", "rebuild", aim=at_least(60_000)),
            ratio("rebuild", "stock.project", "of the stock ProjectionRunner", at_least(40)),
        ],
    ),
    Section(
        "All projections",
        [
            Line("rebuild.worklist", "rebuild of worklist alone"),
            Line("rebuild.all", "rebuild of all of them together", aim=at_least(30_000)),
        ],
    ),
    Section(
        "A page of the worklist, 100 of 1,000,000 dossiers that wait",
        [
            Line(f"worklist.{key}.{name}", f"{what}, {name}", "ms", aim)
            for key, what in {
                "province": "of the province, page after page",
                "commune": "of a commune, page after page",
                "place": "of the province, a kind of place where nobody was",
                "team": "of the province, of one team",
            }.items()
            for name, aim in {"median": None, "p95": at_most(20)}.items()
        ],
    ),
    Section(
        "Who asks: a token, by its kind",
        [
            Line(f"token.{kind}.{when}{suffix}", f"{kind}, {what}, {name}", "µs", aim)
            for kind in KINDS
            for when, what, bound in (
                ("first", "the first time", 200),
                ("again", "once it is remembered", 10),
            )
            for suffix, name, aim in (("", "median", at_most(bound)), (".p95", "p95", None))
        ],
    ),
    Section(
        "The API, one worker, 64 connections",
        [
            Line("http.idle", "POST to a handler that only reads the body, same server", "answers/s"),
            Line("http.post", "POST /v1/events, one report each, by a recorder of the province", "answers/s"),
            Line("http.post.commune", "by a recorder of the one commune", "answers/s"),
            Line("http.open", "the same, where nobody is asked who they are", "answers/s"),
            ratio("http.open", "http.idle", "of the handler that only reads the body", at_least(0.5)),
            ratio("http.post", "http.open", "with tokens, of that without", at_least(0.8)),
            ratio("http.post", "http.idle", "with tokens, of the handler that only reads the body"),
            ratio("http.post", "pgbench.16", "of one-row commits of 16 clients"),
            Line("http.post.p50", "answered within, half of them", "ms"),
            Line("http.post.p99", "answered within, 99 of 100", "ms", at_most(50)),
            Line("http.post.refused", "answers other than 2xx, and none", "answers", at_most(0)),
        ],
    ),
    Section(
        "The API, one question after the other",
        [
            Line("get.totals.median", "totals of the province by district, median", "ms"),
            Line("get.totals.p95", "totals of the province by district, p95", "ms", at_most(20)),
            Line("get.totals_days.median", "the same between two days, median", "ms"),
            Line("get.totals_days.p95", "the same between two days, p95", "ms", at_most(20)),
            Line("get.totals_year_then.p95", "by commune over a year, as then, p95", "ms", at_most(40)),
            Line("get.totals_year_now.p95", "by commune over a year, restated, p95", "ms", at_most(40)),
            Line("get.progress.median", "progress of all communes, median", "ms"),
            Line("get.progress.p95", "progress of all communes, p95", "ms", at_most(100)),
            Line("get.totals_by_day.median", "totals by day, median", "ms"),
            Line("get.totals_by_day.p95", "totals by day, p95", "ms"),
            Line("get.totals_by_place.median", "totals by place, median", "ms"),
            Line("get.totals_by_place.p95", "totals by place, p95", "ms"),
            Line("get.history.median", "history of a dossier, its look recorded, median", "ms"),
            Line("get.history.p95", "history of a dossier, its look recorded, p95", "ms", at_most(15)),
        ],
    ),
    Section(
        "The reorganisation of a made-up nation, 10,040 communes to 3,321, 471 of them split",
        [
            Line("nation.load", "opening the 10,799 units that it had", "s"),
            Line("nation.reorganise", "reorganise: read, decided, recorded in one commit", "s", at_most(60)),
            Line("nation.read_back", "another process opens the ledger, and has the new tree", "s"),
        ],
    ),
    Section("Around it", [Line("cold_start", "cold start of a ledger, its PostgreSQL included", "s")]),
]


@click.command()
@click.option(
    "--dossiers", default=FULL_SIZE_DOSSIERS, show_default=True, help="Fewer measure nothing, but quickly."
)
@click.option("--repeats", default=3, show_default=True, help="Of what is short.")
@click.option(
    "--seconds", "load_seconds", default=5, show_default=True, help="Of each load by pgbench and wrk."
)
@click.option("--home", type=click.Path(path_type=Path), help="Kept; default: a temporary one, removed.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the numbers here as well.")
def main(dossiers: int, repeats: int, load_seconds: int, home: Path | None, json_path: Path | None) -> None:
    """Measure, and print a table."""
    began = time.monotonic()
    results = Results()
    with postgres_in(home) as postgres:
        starting = time.monotonic()
        open_ledger(home=postgres.home).close()
        results.add("cold_start", time.monotonic() - starting)
        about = facts(postgres) | {"dossiers": dossiers, "repeats": repeats}
        if dossiers < FULL_SIZE_DOSSIERS:
            about["mind"] = (
                f"fewer than {FULL_SIZE_DOSSIERS:,} dossiers: this tries the benchmark, it measures little"
            )
        measure(postgres, dossiers, repeats, load_seconds, results)
    about["took (s)"] = round(time.monotonic() - began)
    lines = told(TABLE, results)
    show(lines, about)
    if json_path:
        write_json(json_path, lines, about)


def measure(
    postgres: EmbeddedPostgres, dossiers: int, repeats: int, load_seconds: int, results: Results
) -> None:
    home = postgres.home
    scale = dossiers / FULL_SIZE_DOSSIERS
    measure_nation(home, min(1, scale), repeats, results)
    campaign = Campaign(dossiers=dossiers, seed=1)
    path = home / made_up_name(campaign)
    with step("a made-up campaign"):
        rows = draw(dossiers, seed=1)
        write(rows, path)
    with fresh_ledger(home) as ledger:
        open_totals(ledger)
        settle(postgres)
        with step("import, projections stopped"):
            done = import_rows(ledger, path)
            results.add("import.stopped", done.recorded / done.seconds)
            results.add("import.refused", done.refused)
        measure_plain(postgres, ledger.database.schema, repeats, results)
        settle(postgres)
        measure_stock(postgres, scale, repeats, results)
        measure_catch_up(ledger, repeats, results)
        with step("the same file again"):
            again = import_rows(ledger, path)
            assert again.duplicates == done.recorded, again
            results.add("import.again", again.read / again.seconds)
        settle(postgres)
        with step("import, projections following"):
            measure_following(home, path, results)
        path.unlink()
        measure_live(postgres, draw(dossiers, seed=2), scale, repeats, results)
        measure_runner(home, "live", results)
        measure_one_row_commits(postgres, load_seconds, repeats, results)
        with step("questions over HTTP"):
            set_targets(ledger)
            measure_questions(home, _dossier_ids(ledger, rows), scale, results)
        measure_worklist(home, scale, results)
        measure_tokens(home, scale, results)
        settle(postgres)
        measure_load(ledger, home, load_seconds, repeats, results)


def _dossier_ids(ledger: Ledger, rows: list[Row]) -> list[str]:
    """Return dossiers from all over the campaign."""
    citizens = [row[COLUMNS.index("citizen")] for row in rows[:: max(1, len(rows) // REQUESTS)]][:REQUESTS]
    return [str(ledger.find(citizen)) for citizen in citizens]


if __name__ == "__main__":
    main()
