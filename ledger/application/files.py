"""Files as callers name them: a path, or the bare name of one that comes with the package."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ledger.errors import InputError
from ledger.text_files import packaged, reading

T = TypeVar("T")


def read_rows(
    what: str, source: str | Path, read: Callable[[str], list[T]], faults: list[str]
) -> list[T] | None:
    """Return the rows of a file, None where it cannot be read: then *faults* has what is wrong with it."""
    try:
        return read(read_source(source))
    except InputError as error:
        faults += [f"{what}: {fault}" for fault in error.faults or [str(error)]]
        return None


def read_source(source: str | Path) -> str:
    """Return the text of a file.

    Raises:
        NotUtf8Error: It is not UTF-8.
        FileInvalidError: It cannot be read.
    """
    path = Path(source)
    own = packaged(path.name)
    with reading(source):
        is_packaged = not path.exists() and path.name == str(source) and own.is_file()
        return (own if is_packaged else path).read_text(encoding="utf-8")
