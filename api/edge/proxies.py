"""From which address a request comes: of whoever connected, or, behind proxies that the operator trusts, of whom those name."""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

Networks = tuple[IPv4Network | IPv6Network, ...]
HOPS_MAX = 10
"""So many proxies may stand in a row; what they say of those before them is not looked at."""
FORWARDED_FOR, FORWARDED = b"x-forwarded-for", b"forwarded"


def read_proxies(texts: Iterable[str]) -> Networks:
    """Return the addresses of proxies, given singly or as networks: ``192.0.2.7``, ``10.1.0.0/16``, ``::1``.

    Raises:
        ValueError: One is neither, or is everybody's.
    """
    found = []
    for text in texts:
        try:
            network = ip_network(text)
        except ValueError:
            raise ValueError(
                f"a trusted proxy is an address or a network such as 10.1.0.0/16; {text[:60]!r} is neither"
            ) from None
        if network.prefixlen == 0:
            raise ValueError(f"{text} is everybody: whoever connects could then say to be anybody else")
        found.append(network)
    return tuple(found)


def peer_of(scope: Any) -> str:
    """Return the address of whoever connected."""
    client = scope.get("client")
    return client[0] if client else ""


def clients_behind(proxies: Networks) -> Callable[[Any], str]:
    """Return what tells the address that a request comes from.

    It is that of whoever connected, unless that is a trusted proxy: then the last one in X-Forwarded-For, or in
    Forwarded (RFC 7239), that is no trusted proxy. Proxies add at the end, so what a client wrote stands before what is
    looked at. Where a proxy names nothing that is an address, or where both headers are there and nobody knows which of
    them it wrote, the request is the proxy's own.
    """
    if not proxies:
        return peer_of

    @lru_cache(4096)
    def is_trusted(address: str) -> bool:
        known = _read(address)
        return known is not None and any(ip_address(known) in network for network in proxies)

    def client_of(scope: Any) -> str:
        client = peer_of(scope)
        if not is_trusted(client):
            return client
        for node in _nodes(scope["headers"]):
            address = _address(node)
            if address is None:
                break
            client = address
            if not is_trusted(client):
                break
        return client

    return client_of


def _nodes(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[str]:
    """Yield whom proxies name, the nearest first."""
    values: dict[bytes, list[bytes]] = {FORWARDED_FOR: [], FORWARDED: []}
    for name, value in headers:
        if name in values:
            values[name].append(value)
    plain, pairs = values.values()
    if plain and pairs:
        return
    # By commas, also where one is quoted: a quote that a client opens must not swallow what a proxy adds.
    whole = b",".join(plain or pairs).decode("latin-1")
    for item in reversed(whole.rsplit(",", HOPS_MAX)[-HOPS_MAX:]):
        yield item if plain else _for(item)


def _for(element: str) -> str:
    """Return what an element of Forwarded says after ``for=``; nothing where that is not said once."""
    pairs = [pair.partition("=") for pair in element.split(";")]
    told = [value for name, _, value in pairs if name.strip(" \t").lower() == "for"]
    return told[0].strip(" \t").removeprefix('"').removesuffix('"') if len(told) == 1 else ""


def _address(node: str) -> str | None:
    """Return the address of a node, which may be in brackets and have a port; None: it is none."""
    node = node.strip(" \t")
    if node.startswith("["):
        inner, bracket, port = node[1:].partition("]")
        return _read(inner) if bracket and (not port or _is_port(port)) else None
    # Of several colons none is before a port.
    if node.count(":") == 1:
        node, colon, port = node.partition(":")
        return _read(node) if _is_port(colon + port) else None
    return _read(node)


def _is_port(text: str) -> bool:
    return text[0] == ":" and text[1:].isascii() and text[1:].isdecimal() and len(text) <= 6


def _read(text: str) -> str | None:
    """Return an address as it is written by us: one has one bucket, however others write it."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return None
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
    return str(address)
