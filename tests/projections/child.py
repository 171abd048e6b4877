"""What the tests of the runner run as a process of its own, so that it can be killed.

    python -m tests.projections.child follow|rebuild <conninfo> <schema> <embedded> <batch> <pause>

Batches hold at most so many events, and last so many seconds longer between the writing of the
tables and of the position: the middle of a batch is then most of the time that there is.
"""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Event

from ledger import Ledger
from ledger.database import Database
from ledger.identities import Identities
from projections import Runner, rebuild, stretches
from projections.components import PROJECTIONS


def slowly(add: Callable[..., None], seconds: float) -> Callable[..., None]:
    def add_slowly(*arguments: object) -> None:
        add(*arguments)
        time.sleep(seconds)

    return add_slowly


def main(what: str, conninfo: str, schema: str, embedded: str, batch: str, pause: str) -> None:
    database = Database(conninfo, schema, embedded=embedded == "True")
    stretches.BATCH_EVENTS_MAX = int(batch)
    for projection in PROJECTIONS:
        projection.add = slowly(projection.add, float(pause))
    print("ready", flush=True)
    if what == "rebuild":
        rebuild(database)
        return
    identities = Identities(lookup=bytes(32), wrap=bytes(32))
    with Ledger(database, identities, now=lambda: datetime.now(UTC)) as ledger, Runner(ledger):
        Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
