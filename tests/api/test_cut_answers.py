"""A client whose connection is cut does not know what was recorded; it sends the same again, and that is all it needs."""

import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count
from random import Random
from threading import Lock, Thread

import httpx
import msgspec
import pytest

from tests.api.conftest import UNITS
from tests.api.test_server import address_of, command, end, serve  # noqa: F401 - its fixtures are ours
from tests.clients import FORMS, Receipts, Report, Request, check_receipts, life, seeded, send
from tests.conftest import check_ledger
from tests.tokens import SERVED

CUTS = ("in the request", "at once", "before the answer", "in the answer")
"""Where: the request never arrives whole; it arrives and the line is cut while it is being answered; the whole
answer is made and none of it arrives; some of it arrives."""
CUTS_EACH = 40
CLIENTS = 4


class Proxy:
    """Stands between clients and a server, and cuts lines as a shuffled deck says; then it lets everything through.

    It takes one request a connection. Of an answer that it keeps from its client it tells the receipts: whatever
    is answered later must be the same.
    """

    def __init__(self, server: tuple[str, int], deck: list[str], chance: Random, receipts: Receipts) -> None:
        self.server, self.deck, self.chance, self.receipts = server, deck, chance, receipts
        self.cut: Counter[str] = Counter()
        self.hidden = 0
        """Answers that were made and did not arrive whole."""
        self.errors: list[BaseException] = []
        self._lock = Lock()

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Yield the address."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            accepting = Thread(target=self._accept, args=(listener,))
            accepting.start()
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                accepting.join()

    def _accept(self, listener: socket.socket) -> None:
        with ThreadPoolExecutor(2 * CLIENTS) as pool, suppress(OSError):
            while True:
                pool.submit(self._relay, listener.accept()[0])

    def _relay(self, client: socket.socket) -> None:
        try:
            with client, socket.create_connection(self.server) as server:
                self._serve(client, server)
        except BaseException as error:  # noqa: BLE001 - raised by the test
            self.errors.append(error)

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        request = read_message(client)
        with self._lock:
            cut = self.deck.pop() if self.deck else ""
            where = self.chance.random()
            self.cut[cut] += 1
        if cut == "in the request":
            server.sendall(request[: int(where * len(request))])
            return
        server.sendall(request)
        if cut == "at once":
            # Anything from before the server has seen the request to after it has answered.
            server.settimeout(max(0.0001, where * 0.01))
            with suppress(TimeoutError):
                server.recv(1)
            return
        answer = read_message(server)
        if cut:
            self._keep(request, answer)
        # Of the answer at least a byte, and never the last one.
        arrives = {"": len(answer), "before the answer": 0}.get(cut, 1 + int(where * (len(answer) - 1)))
        client.sendall(answer[:arrives])

    def _keep(self, request: bytes, answer: bytes) -> None:
        assert answer.split(b" ", 2)[1] in {b"200", b"201"}, answer
        sent, told = (msgspec.json.decode(message.partition(b"\r\n\r\n")[2]) for message in (request, answer))
        self.receipts.add(*((sent, told) if isinstance(sent, list) else ([sent], [told])))
        with self._lock:
            self.hidden += 1


def read_message(line: socket.socket) -> bytes:
    """Return a whole request or answer, which says its length."""
    message = b""
    while b"\r\n\r\n" not in message:
        message += received(line)
    head, _, body = message.partition(b"\r\n\r\n")
    [length] = [
        int(value)
        for name, _, value in (field.partition(b":") for field in head.split(b"\r\n"))
        if name.lower() == b"content-length"
    ]
    while len(body) < length:
        body += received(line)
    return head + b"\r\n\r\n" + body


def received(line: socket.socket) -> bytes:
    data = line.recv(1 << 16)
    assert data, "the line ended in the middle of a message"
    return data


def of_form(form: str, chance: Random, number: int) -> Iterator[Request]:
    """Yield requests of one form without end, with the reports of two lives at a time."""
    for pair in count(number * 10_000, 2):
        one, other = life(pair), life(pair + 1)
        reports: list[Report] = [
            report
            for start in range(0, max(len(one), len(other)), 2)
            for report in (*one[start : start + 2], *other[start : start + 2])
        ]
        while reports:
            several = 1 if form == "single" else chance.randint(1, 8)
            yield Request(form, reports[:several])
            reports = reports[several:]


@pytest.mark.parametrize("form", FORMS)
def test_sent_again_it_is_answered_as_if_nothing_had_been_cut(serve, ledger, form):  # noqa: F811
    """The same receipts, and no event more, wherever the line was cut: in requests and answers, 160 times."""
    served = serve("--workers", "2")
    chance = seeded(f"answers that are cut, {form}")
    deck = [*CUTS * CUTS_EACH, *[""] * CUTS_EACH]
    chance.shuffle(deck)
    receipts = Receipts()
    proxy = Proxy(address_of(served), deck, chance, receipts)

    def work(number: int, seed: int) -> int:
        unanswered = 0
        with httpx.Client(base_url=url, timeout=20, auth=SERVED, headers={"connection": "close"}) as client:
            for request in of_form(form, Random(seed), number):
                if not deck:
                    return unanswered
                # At once, while the first may still be at work on the other worker.
                unanswered += send(request, client, receipts, pause=0) or 0
        raise AssertionError("lives have no end")

    seeds = [chance.randrange(1 << 30) for _ in range(CLIENTS)]
    with proxy.listening() as url, ThreadPoolExecutor(CLIENTS) as pool:
        unanswered = sum(pool.map(work, range(CLIENTS), seeds))

    assert [] == proxy.errors
    assert dict.fromkeys(CUTS, CUTS_EACH) == {cut: proxy.cut[cut] for cut in CUTS}
    assert len(CUTS) * CUTS_EACH == unanswered
    assert 2 * CUTS_EACH == proxy.hidden
    assert "Traceback" not in end(served)
    check_receipts(ledger.database, receipts)
    check_ledger(ledger, length=UNITS + len(receipts))
