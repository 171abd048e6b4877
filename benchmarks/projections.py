"""How fast are events counted: behind a log that is there, live, and all over again?"""

from functools import partial
from pathlib import Path

from benchmarks.ledger import seconds, wait_for
from benchmarks.table import Results, step
from ledger import Ledger, open_ledger
from projections import NAMES, Runner, catch_up, open_totals, rebuild


def measure_catch_up(ledger: Ledger, repeats: int, results: Results) -> None:
    """Count a log that nothing has counted yet, then count it again beside the live tables; then all projections."""
    events = ledger.head().position
    with step("unit_totals, catch up"):
        results.add("catch_up", events / seconds(lambda: catch_up(ledger.database, ["unit_totals"])))
    lines = {"rebuild": ["unit_totals"], "rebuild.worklist": ["worklist"], "rebuild.all": [*NAMES]}
    for repeat in range(repeats):
        for key, names in lines.items():
            with step(f"{', '.join(names)}, rebuild, {repeat + 1} of {repeats}"):
                results.add(key, events / seconds(partial(rebuild, ledger.database, names)))


def measure_runner(home: Path, schema: str, results: Results) -> None:
    """Start a runner behind a log that nothing has counted yet: for unit_totals alone, as the stock one has one view."""
    with open_ledger(home=home, schema=schema) as ledger, step("unit_totals, a runner"):
        totals = open_totals(ledger)
        events = ledger.head().position
        assert totals.position() == 0, "somebody counted already"

        def follow() -> None:
            with Runner(ledger, names=["unit_totals"]):
                wait_for(totals, events)

        results.add("runner", events / seconds(follow))
