"""Clients that read dossiers over HTTP without pause, and keep what they were told anything of.

Each request says something of its purpose that no other says, so that its look can be found in the second log.
"""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from random import Random
from threading import Event
from typing import NamedTuple, Self

import httpx

from ledger.database import Database
from tests.clients import Receipts
from tests.conftest import check_reads
from tests.tokens import SERVED


class Told(NamedTuple):
    """What somebody was told, if only the first bytes of it."""

    dossier_id: str
    what: str
    text: str


class Readers:
    """Several clients that read what was recorded, until told to stop."""

    WAYS = ("history", "history", "history", "state", "lookup", "reads")

    def __init__(self, url: str, receipts: Receipts, chance: Random, *, clients: int = 3) -> None:
        self.url, self.receipts = url, receipts
        self.told: list[Told] = []
        self.untold = 0
        """How often there was no answer, or none but that it cannot be given now."""
        self._stopped = Event()
        self._seeds = [chance.randrange(1 << 30) for _ in range(clients)]
        self._pool = ThreadPoolExecutor(clients)
        self._working: list[Future[None]] = []

    def __enter__(self) -> Self:
        self._working = [self._pool.submit(self._work, *work) for work in enumerate(self._seeds)]
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._pool.shutdown()

    def stop(self) -> None:
        self._stopped.set()
        for working in self._working:
            working.result()

    def _work(self, number: int, seed: int) -> None:
        chance, asked = Random(seed), 0
        with httpx.Client(base_url=self.url, timeout=10, auth=SERVED) as client:
            while not self._stopped.is_set():
                known = list(self.receipts.first.copy().items())  # Others add to it meanwhile.
                if known:
                    (citizen, _), receipt = chance.choice(known)
                    what = chance.choice(self.WAYS)
                    asked += 1
                    self._ask(client, citizen, Told(receipt.dossier_id, what, f"{number}-{asked}"))
                time.sleep(chance.random() / 50)

    def _ask(self, client: httpx.Client, citizen: str, wish: Told) -> None:
        address = {"history": "/history", "reads": "/reads?limit=3", "state": ""}.get(wish.what)
        request = client.build_request(
            "GET" if address is not None else "POST",
            "/v1/dossiers/lookup" if address is None else f"/v1/dossiers/{wish.dossier_id}{address}",
            json={"citizen": citizen} if address is None else None,
            headers={"Purpose": "audit", "Purpose-Text": wish.text},
        )
        try:
            answer = client.send(request, stream=True)
        except httpx.TransportError:
            self.untold += 1
            return
        if answer.status_code == 200:
            # Whether the rest of it comes or not.
            self.told.append(wish)
        else:
            assert answer.status_code == 503, answer.read()
            self.untold += 1
        try:
            body = answer.read().decode()
        except httpx.TransportError:
            return
        finally:
            answer.close()
        assert (wish.dossier_id in body) == (answer.status_code == 200), body


def check_told(database: Database, told: Sequence[Told]) -> None:
    """Check that everything that anybody was told has its look: of the dossier, and for what they said."""
    recorded = {
        Told(str(stream), getattr(event, "what", ""), event.text)
        for stream, _, event, _ in check_reads(database)
    }
    assert len(told) == len(set(told)) > 0
    assert set() == set(told) - recorded
