"""Ten thousand personal numbers that are known again wherever they turn up, and the search for them."""

import base64
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

COUNT = 10_000
_MARK = "03877794"
"""How each of them begins, and nothing else does."""
_CHUNK_BYTES = 1 << 26


def canary(number: int) -> str:
    """Return the personal number of a made-up citizen, from 0 to 9,999."""
    assert 0 <= number < COUNT
    return f"{_MARK}{number:04}"


def _in_base64(mark: bytes) -> Iterator[bytes]:
    """Return what stands in the base64 of a text that holds the mark, wherever in it."""
    for before in range(3):
        whole = base64.b64encode(b"\x00" * before + mark)
        # Characters that depend on what stands before or after the mark are left out.
        yield whole[-(-8 * before // 6) : (8 * (before + len(mark))) // 6]


def _in_groups() -> Iterator[bytes]:
    """Return the mark as people write numbers: in groups of three, four or six digits."""
    for size in (3, 4, 6):
        for gap in " .-":
            yield gap.join(_MARK[start : start + size] for start in range(0, len(_MARK), size)).encode()


def _forms() -> dict[bytes, str]:
    mark = _MARK.encode()
    return {
        # Of UTF-16 and UTF-32 both orders of bytes.
        _MARK.encode("utf-16-le")[:-1]: "UTF-16",
        _MARK.encode("utf-32-le")[:-3]: "UTF-32",
        **dict.fromkeys(_in_base64(mark), "base64"),
        mark.hex().encode(): "hex",
        "".join(f"%{byte:02x}" for byte in mark).encode(): "percent",
        "".join(f"\\u{byte:04x}" for byte in mark).encode(): "JSON escapes",
        "".join(f"\\x{byte:02x}" for byte in mark).encode(): "escapes",
        **dict.fromkeys(_in_groups(), "in groups"),
        _MARK.translate(
            {ord("0") + digit: chr(0xFF10 + digit) for digit in range(10)}
        ).encode(): "full width",
    }


FORMS = _forms()
# As a spreadsheet or a program leaves it that takes it for a number, too. Long texts in hex, as PostgreSQL logs what is
# sealed, hold any eleven digits sooner or later.
_PLAIN = re.compile(
    rb"(?<![0-9a-f])0?%(mark)b\d{4}|%(mark)b\d{4}(?![0-9a-f])" % {b"mark": _MARK[1:].encode()}
)


def leaks_in(data: bytes) -> set[str]:
    """Return the forms in which a canary stands in some bytes."""
    forms = {form for mark, form in FORMS.items() if mark in data}
    # Looking for fixed bytes first takes a tenth of the time.
    return forms | {"plain"} if _MARK[1:].encode() in data and _PLAIN.search(data) else forms


def leaks(paths: Iterable[Path]) -> dict[str, set[str]]:
    """Return the files under some paths in which a canary stands, or whose name is one, with the forms."""
    found: dict[str, set[str]] = {}
    for top in paths:
        for path in [top, *top.rglob("*")]:
            forms = leaks_in(str(path.name).encode(errors="surrogateescape"))
            if path.is_file() and not path.is_symlink():
                forms |= _leaks_of(path)
            if forms:
                found[str(path)] = forms
    return found


def _leaks_of(path: Path) -> set[str]:
    forms: set[str] = set()
    overlap = max(map(len, FORMS))
    rest = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            forms |= leaks_in(rest + chunk)
            rest = chunk[-overlap:]
    return forms
