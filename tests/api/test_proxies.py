"""From whom a request comes that a proxy passes on: of what stands in its head, only what a trusted proxy wrote is believed."""

import pytest

from api.edge.limits import caller_of
from api.edge.proxies import HOPS_MAX, clients_behind, read_proxies

PROXY, OTHER_PROXY, CLIENT, ELSEWHERE = "10.1.0.1", "10.1.0.2", "192.0.2.1", "198.51.100.9"
client_of = clients_behind(read_proxies(["10.1.0.0/16", "::1"]))


def scope(peer: str | None, *headers: tuple[str, str]) -> dict:
    return {
        "client": None if peer is None else (peer, 4711),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
    }


def plain(*values: str, peer: str | None = PROXY) -> str:
    return client_of(scope(peer, *(("X-Forwarded-For", value) for value in values)))


def pairs(*values: str, peer: str | None = PROXY) -> str:
    return client_of(scope(peer, *(("Forwarded", value) for value in values)))


@pytest.mark.parametrize("peer", [CLIENT, "10.2.0.1", "::2", "testclient", "", None])
def test_nobody_else_is_believed(peer):
    """Whoever is no trusted proxy is itself, whatever it says."""
    assert (peer or "") == plain(ELSEWHERE, peer=peer) == pairs(f"for={ELSEWHERE}", peer=peer)


def test_without_trusted_proxies_nobody_is_believed():
    """As it is unless the operator says otherwise."""
    alone = clients_behind(())
    assert PROXY == alone(scope(PROXY, ("X-Forwarded-For", CLIENT)))


def test_a_proxy_is_believed():
    """Over both versions of the protocol; with a port, with brackets."""
    for told in (CLIENT, f" {CLIENT}\t", f"{CLIENT}:80", f"::ffff:{CLIENT}", f"[::ffff:{CLIENT}]:80"):
        assert CLIENT == plain(told) == plain(told, peer="::1") == plain(told, peer=f"::ffff:{PROXY}"), told
    for told in ("2001:DB8::1", "[2001:db8::1]", "[2001:db8:0::1]:65535"):
        assert "2001:db8::1" == plain(told), told
    for told in (
        f"for={CLIENT}",
        f'For="{CLIENT}:80";proto=https',
        f"by=_x; FOR={CLIENT}",
        f"proto=http;for={CLIENT}",
    ):
        assert CLIENT == pairs(told), told
    assert "2001:db8::1" == pairs('for="[2001:db8::1]:4711"')


def test_what_a_client_wrote_is_not_believed():
    """It stands before what the proxies added, in one header or in several, whatever it opens and does not close."""
    for forged in (ELSEWHERE, PROXY, "x", "", ",,,", f"{ELSEWHERE}, {PROXY}", "\xff", "a" * 9_000):
        assert CLIENT == plain(f"{forged}, {CLIENT}") == plain(forged, CLIENT)
        assert CLIENT == plain(f"{forged}, {CLIENT}, {OTHER_PROXY}") == plain(forged, CLIENT, OTHER_PROXY)
    for forged in (f"for={ELSEWHERE}", 'for="', f'for="{ELSEWHERE}', "for=", 'for="a\\', f"for={PROXY};"):
        assert CLIENT == pairs(f"{forged}, for={CLIENT}") == pairs(forged, f"for={CLIENT}")
        assert CLIENT == pairs(forged, f"for={CLIENT}, for={OTHER_PROXY}")


@pytest.mark.parametrize(
    "told",
    [
        "",
        " ",
        "unknown",
        "_hidden",
        "x",
        "192.0.2",
        "192.0.2.256",
        "0300.0.2.1",
        "192.0.2.1:",
        "192.0.2.1:x",
        "192.0.2.1:123456",
        "192.0.2.1:80:80",
        "[192.0.2.1",
        "192.0.2.1]",
        "[::1]x",
        "fe80::1%eth0",
        "192.0.2.1/32",
        "192.0.2.1 192.0.2.2",
        "192.0.2.1;",
        "\xb2.0.2.1",
        "http://192.0.2.1",
        "-1",
        "3221225985",
    ],
)
def test_what_is_no_address_makes_it_the_proxys_own(told):
    """Of the one that said so, and not of whoever it named before."""
    assert PROXY == plain(told)
    assert PROXY == plain(f"{CLIENT}, {told}")
    assert OTHER_PROXY == plain(f"{told}, {OTHER_PROXY}")


@pytest.mark.parametrize(
    "told", ["", CLIENT, "for", "for=unknown", f"by={CLIENT}", f"for={CLIENT};for={ELSEWHERE}", f"x{CLIENT}"]
)
def test_an_element_that_says_no_address_makes_it_the_proxys_own(told):
    assert PROXY == pairs(told) == pairs(f"for={CLIENT}, {told}")


def test_two_headers_are_none():
    """A proxy writes one and passes the other on as it came: nobody knows which."""
    headers = [("X-Forwarded-For", CLIENT), ("Forwarded", f"for={ELSEWHERE}")]
    assert PROXY == client_of(scope(PROXY, *headers)) == client_of(scope(PROXY, *reversed(headers)))


def test_what_is_looked_at_is_bounded():
    """A request that has gone from one trusted proxy to the next for longer is that of the last one looked at."""
    row = [f"10.1.1.{number}" for number in range(HOPS_MAX)]
    assert CLIENT == plain(", ".join([CLIENT, *row[1:]]))
    assert row[0] == plain(", ".join([CLIENT, *row])) == plain(", ".join(row)) == plain(CLIENT, *row)


def test_only_whoever_is_nobody_is_counted_by_address():
    """Behind a proxy each has a bucket of their own; a principal has one, wherever it is."""
    here, there = (scope(PROXY, ("X-Forwarded-For", told)) for told in (CLIENT, ELSEWHERE))
    assert f"address {CLIENT}" == caller_of(here, client_of)
    assert caller_of(here, client_of) != caller_of(there, client_of)
    assert caller_of(here) == caller_of(there)
