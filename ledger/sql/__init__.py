"""Named queries kept in .sql files, and the migrations.

A query starts at a line ``-- name --``; comment lines under it describe it. The
ledger's schema is on the search path of every connection, so no query names it.
"""

import re
from importlib.resources import files
from typing import LiteralString, cast

_NAME = re.compile(r"^-- ([a-z_]+) --\n", re.MULTILINE)


def load(package: str, file_name: str) -> dict[str, LiteralString]:
    """Return the queries of *file_name*, which ships with *package*, by name."""
    text = (files(package) / file_name).read_text(encoding="utf-8")
    head, *parts = _NAME.split(text)
    assert not head.strip(), f"{file_name} has SQL before its first name"
    names, bodies = parts[::2], parts[1::2]
    assert len(set(names)) == len(names), f"{file_name} names a query twice"
    # These files ship with the code, so they are as trusted as literals in it.
    return {name: cast("LiteralString", body.strip()) for name, body in zip(names, bodies, strict=True)}
