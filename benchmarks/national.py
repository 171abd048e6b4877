"""Is a ledger of the whole nation, reorganised, still asked and proven in time?

    python -m benchmarks.national [--events 10000000] [--share 1] [--home DIR] [--json FILE]

A made-up nation of 10,040 communes; a campaign's events, spread over all of them; and the reorganisation to 3,321
communes, recorded after them. Then its totals are asked for as they were and restated, and the ledger is reconciled.
"""

import csv
import multiprocessing
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from zlib import crc32

import click
import httpx

from api.campaign import COLUMNS, Campaign, simulate
from benchmarks.growth import EVENTS_A_DOSSIER, check_room
from benchmarks.http import ask, headers_of, p95, serve_command
from benchmarks.ledger import import_rows
from benchmarks.nation import OLD, make_nation
from benchmarks.server import facts, postgres_in, serving, settle, vacuum
from benchmarks.table import Line, Results, Section, at_most, show, step, told, write_json
from ledger import Ledger, open_ledger
from projections import catch_up, open_totals

REQUESTS = 100
PERIOD = "from=2024-01-10&to=2025-01-09"
QUESTIONS = {
    "then": ("of all that was ever counted, as then", "/v1/totals?hierarchy=then"),
    "now": ("of all that was ever counted, restated", "/v1/totals?hierarchy=now"),
    "year_then": ("over a year, as then", f"/v1/totals?{PERIOD}&hierarchy=then"),
    "year_now": ("over a year, restated", f"/v1/totals?{PERIOD}&hierarchy=now"),
    "days_then": ("between two days, as then", "/v1/totals?from=2024-10-10&to=2024-12-05&hierarchy=then"),
    "days_now": ("between two days, restated", "/v1/totals?from=2024-10-10&to=2024-12-05&hierarchy=now"),
}
_UNITS = (COLUMNS.index("unit"), COLUMNS.index("residence_unit"))
_CITIZEN = COLUMNS.index("citizen")

TABLE = [
    Section("The log", [Line("log", "events of the nation", "events"), Line("import", "import")]),
    Section(
        "Totals of the nation by province, p95",
        [Line(f"{key}.p95", what, "ms", at_most(100)) for key, (what, _) in QUESTIONS.items()],
    ),
    Section(
        "The first of each kind, after the server's start",
        [Line(f"{key}.first", what, "ms") for key, (what, _) in QUESTIONS.items()],
    ),
    Section(
        "Proving it",
        [
            Line("reconcile", "reconcile: the log folded again, all sums compared", "s"),
            Line("reconcile.rate", "  of the log's events"),
        ],
    ),
]


@click.command()
@click.option("--events", default=10_000_000, show_default=True, help="Of the campaign, about.")
@click.option(
    "--share", default=1.0, show_default=True, help="How much of the nation; 0.01: a hundred communes."
)
@click.option("--home", type=click.Path(path_type=Path), help="Kept; default: a temporary one, removed.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the numbers here as well.")
def main(events: int, share: float, home: Path | None, json_path: Path | None) -> None:
    """Measure, and print a table."""
    began = time.monotonic()
    results = Results()
    with postgres_in(home) as postgres:
        check_room(postgres.home, [events])
        postgres.start()
        about = facts(postgres) | {"events": str(events), "share of the nation": str(share)}
        with open_ledger(home=postgres.home) as ledger:
            _fill(ledger, postgres.home, events, share, results)
            with step("catch up, vacuum"):
                catch_up(ledger.database)
                vacuum(postgres)
                settle(postgres)
        _ask(postgres.home, events, results)
        _prove(postgres.home, results)
    about["took (s)"] = round(time.monotonic() - began)
    lines = told(TABLE, results)
    show(lines, about)
    if json_path:
        write_json(json_path, lines, about)


def _fill(ledger: Ledger, home: Path, events: int, share: float, results: Results) -> None:
    """Record the nation as it was, its events, and then what became of it."""
    nation = make_nation(share)
    paths = {name: home / f"nation-{name}.csv" for name in nation.__struct_fields__}
    for name, path in paths.items():
        path.write_text(getattr(nation, name), encoding="utf-8")
    open_totals(ledger)
    ledger.load_units(paths["old"], valid_from=date(2021, 1, 1))
    campaign = home / "campaign.csv"
    with step(f"a made-up campaign of {events:,} events"):
        process = multiprocessing.get_context("spawn").Process(target=_draw, args=(campaign, events, share))
        process.start()
        process.join()
        assert process.exitcode == 0, process.exitcode
    with step("import"):
        done = import_rows(ledger, campaign)
    assert done.refused == 0, done
    results.add("log", ledger.head().position)
    results.add("import", done.recorded / done.seconds)
    ledger.reorganise(paths["new"], paths["map"], effective=date(2025, 7, 1), decree="a made-up resolution")
    for path in (*paths.values(), campaign):
        path.unlink()


def _draw(path: Path, events: int, share: float) -> None:
    """Write a campaign of which each citizen belongs to a commune somewhere in the nation."""
    communes = max(2, round(share * OLD["commune"]))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in simulate(Campaign(dossiers=round(events / EVENTS_A_DOSSIER), seed=1)):
            commune = f"{1 + crc32(row[_CITIZEN].encode()) % communes:05}"
            writer.writerow(
                commune if place in _UNITS and value else value for place, value in enumerate(row)
            )


def _ask(home: Path, events: int, results: Results) -> None:
    count = REQUESTS if events >= 1_000_000 else 10
    with (
        step("questions over HTTP"),
        serving(serve_command(home), home) as url,
        httpx.Client(base_url=url, headers=headers_of(home)) as client,
    ):
        for key, (_, address) in QUESTIONS.items():
            [first] = ask(client, [address])
            results.add(f"{key}.first", first)
            results.add(f"{key}.p95", p95(ask(client, [address] * count)))


def _prove(home: Path, results: Results) -> None:
    command = [sys.executable, "-m", "api.main", "--home", str(home), "--format", "json", "reconcile"]
    with step("reconcile"):
        began = time.monotonic()
        # Nothing may differ: its exit status would be 1.
        subprocess.run(command, capture_output=True, check=True)
    took = time.monotonic() - began
    results.add("reconcile", took)
    results.add("reconcile.rate", results.runs("log")[0] / took)


if __name__ == "__main__":
    main()
