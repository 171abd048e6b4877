"""Under which names the server may be asked."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from litestar.exceptions import ClientException

from api.bodies import BodyRequest
from api.edge.settings import LOOPBACK

_parts = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(?::\d{1,5})?", re.ASCII | re.IGNORECASE).fullmatch


def only_hosts(hosts: Iterable[str]) -> Callable[[BodyRequest], None]:
    """Return what refuses requests that mean another host, or come from a page of one.

    Loopback keeps other machines out, but not the pages that are open on this one. Such a page may post without
    being asked; if its name is pointed at this machine, it may also read the answers.

    Args:
        hosts: Names beside this machine's own, without ports.
    """
    names = {_bracketed(name.lower()) for name in (*LOOPBACK, *hosts)}

    @lru_cache(1024)
    def is_ours(host: str) -> bool:
        parts = _parts(host)
        return parts is not None and parts[1].lower() in names

    def refuse_other_sites(request: BodyRequest) -> None:
        host, origin = request.header(b"host"), request.header(b"origin")
        # Browsers always say which host they mean, and where a page that posts is from.
        theirs = origin is not None and origin not in {f"http://{host}", f"https://{host}"}
        if theirs or (host and not is_ours(host)):
            raise ClientException("asked for by another site, or under another name than the server's own")

    return refuse_other_sites


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name and not name.startswith("[") else name
