"""A process that reports, reads or rotates until it is killed or told to stop: see test_wrapping.py."""

import sys
import threading
from pathlib import Path
from random import Random

from ledger import Ledger, wrapping
from ledger.database import Database
from ledger.identities import read_key_file
from tests.conftest import Clock
from tests.ledger.reports import citizen, collect

BATCH_ROWS = 7
"""So few that a kill falls between two of them."""


def main(what: str, key_file: str, conninfo: str, schema: str, embedded: str, number: str) -> None:
    database = Database(conninfo, schema, embedded=embedded == "True")
    if what == "rotate":
        wrapping.BATCH_ROWS = BATCH_ROWS
        print("ready", flush=True)
        wrapping.rotate(database, Path(key_file))
        print("done", flush=True)
        return
    stopped = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()
    with Ledger(database, read_key_file(Path(key_file)), now=Clock()) as ledger:
        ledger.tree()
        print("ready", flush=True)
        print((report if what == "report" else read)(ledger, int(number), stopped), flush=True)


def report(ledger: Ledger, number: int, stopped: threading.Event) -> int:
    """Register citizens, each with a note, two at a time; return how many."""
    done = 0
    while not stopped.is_set():
        numbers = [citizen(1_000_000 * number + done + one) for one in range(2)]
        for number_ in numbers:
            ledger.record(collect(citizen=number_, note=f"note of {done}"))
        done += len(numbers)
    return done


def read(ledger: Ledger, number: int, stopped: threading.Event) -> int:
    """Read histories with their notes, and numbers; return how many."""
    chance, done = Random(number), 0
    while not stopped.is_set():
        whose = citizen(chance.randrange(50))
        told = ledger.history(citizen=whose)
        assert told.events[0].note == f"note {whose[-2:]}", "the note does not open"
        assert ledger.reveal(told.dossier_id) == whose
        done += 1
    return done


if __name__ == "__main__":
    main(*sys.argv[1:])
