"""Text that people hand in as files, or that comes with the package."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from importlib.resources.abc import Traversable

from ledger.errors import FileInvalidError, NotUtf8Error


def packaged(name: str) -> Traversable:
    """Return a file of those that come with the package, whether it is there or not."""
    return files("ledger") / "data" / name


@contextmanager
def reading(source: object) -> Iterator[None]:
    """Tell why a file cannot be read, by the name that its reader knows.

    Raises:
        NotUtf8Error: It is not UTF-8.
        FileInvalidError: It cannot be read.
    """
    try:
        yield
    except UnicodeDecodeError:
        raise NotUtf8Error(f"{source} is not UTF-8; save it as UTF-8 (in a spreadsheet: CSV UTF-8)") from None
    except OSError as error:
        raise FileInvalidError(f"{source} cannot be read: {error.strerror}") from None
