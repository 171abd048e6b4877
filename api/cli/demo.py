"""One command from nothing to a working ledger."""

import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path

import click

from api.campaign import NOTICE, Campaign, communes, districts, made_up_name, populations, simulate, write
from api.cli.common import Context, command
from api.cli.operation import run_server
from api.cli.output import note
from api.cli.reading import tell_totals
from ledger import Ledger
from ledger.application import UnitsChanged
from ledger.importing import import_file
from ledger.targets import TargetRow
from ledger.units.commands import AbolishUnits
from projections import TotalsQuery, catch_up, open_totals

UNITS_VALID_FROM = date(2021, 1, 1)
PROVINCE = "38"
MARK = "made-up-demo.txt"
"""Says of a home that its ledger is invented, so that it is never mixed with a real one."""

LAST_DAY_OF_2024 = date(2024, 12, 31)
TARGET_ISSUER = "made up: the province"
TARGET_PERMILLE = 1_150
"""How many are to be activated by the end of the year, per 1,000 dossiers of the campaign: so that some districts are
ahead on its last day, and some behind."""
RESOLUTION_1238, POLICE, RESOLUTION_1686 = (
    "1238/NQ-UBTVQH15",
    "the police of districts is abolished",
    "1686/NQ-UBTVQH15",
)
JANUARY, MARCH, JULY = date(2025, 1, 1), date(2025, 3, 1), date(2025, 7, 1)
REAL_CHANGES: tuple[tuple[date, str, Callable[[Ledger], UnitsChanged]], ...] = (
    (
        JANUARY,
        RESOLUTION_1238,
        lambda ledger: ledger.reorganise(
            "units_2025-01-01.csv", "merge_2025-01-01.csv", effective=JANUARY, decree=RESOLUTION_1238
        ),
    ),
    (
        MARCH,
        POLICE,
        lambda ledger: ledger.change_units(AbolishUnits(effective=MARCH, decree=POLICE, level="district")),
    ),
    (
        JULY,
        RESOLUTION_1686,
        lambda ledger: ledger.reorganise(
            "units_2025.csv", "merge_2025.csv", effective=JULY, decree=RESOLUTION_1686
        ),
    ),
)
"""What became of the units of Thanh Hoá in 2025."""


@command("demo")
@click.option("--dossiers", type=click.IntRange(1, 4_000_000), default=20_000, show_default=True)
@click.option("--no-serve", is_flag=True, help="Stop after the totals.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
def demo(context: Context, *, dossiers: int, no_serve: bool, port: int) -> None:
    """Fill an embedded ledger with a made-up campaign in the real units of Thanh Hoá, and serve it.

    It takes a home that is new, or the demo's from before: then it records nothing new.
    """
    if context.settings.database:
        raise click.UsageError(
            "the demo runs on its own PostgreSQL: leave --database and LEDGER_DATABASE_URL away"
        )
    mark = context.settings.home / MARK
    note(NOTICE, style="yellow")
    with context.ledger(make=True) as ledger, tempfile.TemporaryDirectory() as folder:
        if ledger.head().position and not mark.exists():
            raise click.UsageError(
                f"{context.settings.home} holds a ledger that is no demo; give the demo a home of its own with --home"
            )
        mark.write_text(NOTICE + "\n", encoding="utf-8")
        loaded = ledger.load_units("units_2024.csv", valid_from=UNITS_VALID_FROM)
        note(f"units of Thanh Hoá, 2024: {loaded.opened} opened, {loaded.unchanged} open already")
        campaign = Campaign(dossiers=dossiers, seed=1)
        path = Path(folder) / made_up_name(campaign)
        with context.output.progress("making up", "dossiers") as progress:
            write(simulate(campaign, on_progress=lambda done: progress(done, dossiers)), path)
        with path.open("rb") as file, context.output.progress("importing", "lines") as progress:
            result = import_file(
                ledger, file, refused_path=Path(folder) / "refused.csv", on_progress=progress
            )
        note(
            f"the campaign: {result.recorded:,} events recorded, {result.duplicates:,} were already, "
            f"{result.refused:,} refused, in {result.seconds:.1f} s"
        )
        _set_targets(ledger, campaign)
        _reorganise(ledger)
        totals = open_totals(ledger)
        with context.output.progress("counting", "events") as progress:
            catch_up(ledger.database, on_progress=progress)
        answer = totals.read(TotalsQuery(unit=PROVINCE, to_day=LAST_DAY_OF_2024))
        tell_totals(context.output, answer, ["unit"])
    for what, words in (
        ("the communes of Nga Sơn", "totals --unit 401 --to 2024-12-31"),
        ("in the communes of today", f"totals --unit {PROVINCE}"),
        ("who is behind its target", f"progress --unit {PROVINCE} --by district --on {campaign.end}"),
        ("this stops its PostgreSQL", "stop"),
    ):
        note(f"{what}: {context.settings.suggest(words)}")
    if not no_serve:
        run_server(context, host="127.0.0.1", port=port, workers=1)


def _set_targets(ledger: Ledger, campaign: Campaign) -> None:
    """Set an invented target of each district: its share by its people."""
    people: Counter[str] = Counter()
    for commune, district in communes().items():
        people[district] += populations()[commune]
    rows = [
        TargetRow(
            unit=district,
            measure="activated",
            number=campaign.dossiers * TARGET_PERMILLE * people[district] // (1000 * people.total()) or 1,
            from_day=campaign.start,
            deadline=LAST_DAY_OF_2024,
        )
        for district in districts()
    ]
    # A campaign of another size sets others in their place.
    done = ledger.set_targets(rows, issuer=TARGET_ISSUER, replace=True)
    note(
        f"targets of the districts, made up: {done.recorded - done.withdrawn} set, {done.unchanged} were already"
    )


def _reorganise(ledger: Ledger) -> None:
    """Record what became of the units in 2025, but for what is recorded already."""
    for effective, decree, change in REAL_CHANGES:
        standing = [one for one in ledger.tree().reorganisations.values() if one.withdrawn_at is None]
        done = "recorded already"
        if not any((one.effective, one.decree) == (effective, decree) for one in standing):
            changed = change(ledger)
            done = f"{len(changed.plan.events):,} events recorded, warnings: {len(changed.plan.warnings)}"
        levels = Counter(unit.level for unit in ledger.units(on=effective))
        note(
            f"units from {effective} on ({decree}): {levels['district']} districts, {levels['commune']} communes; {done}"
        )
