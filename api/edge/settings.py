"""What an operator may say about the edge."""

from typing import Literal

import msgspec

from api.edge.buckets import Rate
from api.edge.proxies import Networks

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class EdgeSettings(msgspec.Struct, frozen=True):
    """How requests are let in, and what is told of them."""

    hosts: tuple[str, ...] = ()
    """Names, beside this machine's own, under which the server may be asked: what a proxy passes on as Host."""
    proxies: Networks = ()
    """Those who are believed whom they pass a request on for."""
    rate: Rate = Rate(10_000, 20_000)
    """Of each caller, over all workers. One worker answers some 6,000 single reports a second: nobody is held up who
    sends what a server can take, and nobody can have several workers for themselves for long."""
    failures: Rate = Rate(10, 200)
    """Of each address: how many tokens that are none are told so."""
    log: Literal["plain", "json"] = "plain"
    """Sentences about what went wrong; or everything as lines of JSON, and a line for each request too."""


UNLIMITED = EdgeSettings(rate=Rate(0, 1), failures=Rate(0, 1))
"""Nobody is held up."""
