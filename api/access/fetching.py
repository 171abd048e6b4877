"""Documents of the issuer, over HTTP, within bounds."""

import http.client
import socket
import ssl
import threading
from contextlib import suppress
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "::1", "localhost")
DOCUMENT_BYTES_MAX = 100_000
FETCH_SECONDS_MAX = 3.0


class FetchError(Exception):
    """There is no such document, or not in time, or it is too long."""


def check_address(url: str) -> None:
    """Raise ValueError unless documents may be fetched from there: over TLS, or from this machine."""
    parts = urlsplit(url)
    plain = parts.scheme == "http" and parts.hostname in LOOPBACK
    if not parts.hostname or not (parts.scheme == "https" or plain):
        raise ValueError("it must begin with https://; http:// is for an issuer on this machine")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("it must have no user, no query and no fragment")
    _ = parts.port  # Raises ValueError if it is none.


def fetch(url: str) -> bytes:
    """Return what is at an address. It follows no redirection and asks no proxy.

    Raises:
        FetchError: It may not be fetched, was not there in time, or is too long.
    """
    try:
        check_address(url)
    except ValueError as error:
        raise FetchError(f"the address {url!r}: {error}") from None
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=FETCH_SECONDS_MAX, context=context
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=FETCH_SECONDS_MAX)
    # The time-out is of each single wait: a server that sends a byte a second would never be given up.
    deadline = None
    try:
        connection.connect()
        deadline = threading.Timer(FETCH_SECONDS_MAX, _break, [connection.sock])
        deadline.daemon = True
        deadline.start()
        connection.request("GET", parts.path or "/", headers={"Accept": "application/json"})
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise FetchError(f"{url} answered {response.status}")
        data = response.read(DOCUMENT_BYTES_MAX + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise FetchError(f"{url} cannot be fetched: {type(error).__name__}") from error
    finally:
        if deadline is not None:
            deadline.cancel()
        connection.close()
    if len(data) > DOCUMENT_BYTES_MAX:
        raise FetchError(f"{url} is longer than {DOCUMENT_BYTES_MAX:,} bytes")
    if response.length:
        raise FetchError(f"{url} did not come whole, or not in time")
    return data


def _break(sock: socket.socket) -> None:
    # It may be closed at this moment.
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
