"""What a table comes to, item by item, from its rows and from the log."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any, ClassVar

from psycopg import Connection

from ledger import sql
from projections.reconciling.following import Life

_QUERIES = sql.load("projections.sql", "reconcile.sql")

Key = tuple[Any, ...]
"""What a row is of; compared by ``==``, and in the order of the first difference."""


Item = tuple[int, Key, int, int, int | None]
"""What a row of a table, or an event of the log, adds to one number of the table: the bucket in which it is compared, the key,
which of the table's measures, the number, and of the log the event's position. There are ten for an event: plain tuples."""


class Table(ABC):
    """A table that follows from the log."""

    NAME: ClassVar[str]
    PROJECTION: ClassVar[str]
    """Whose position says up to which event it holds the log."""
    MEASURES: ClassVar[tuple[str, ...]]
    """What is counted, in the order of an item's numbers for them."""

    @abstractmethod
    def of_log(self, life: Life, upto: int) -> Iterator[Item]:
        """Yield what a dossier comes to at a position."""

    @abstractmethod
    def rows(self, connection: Connection[Any]) -> Iterator[list[Item]]:
        """Yield what each row of the table comes to."""

    @abstractmethod
    def tell(self, key: Key) -> dict[str, Any]:
        """Return a key's fields by name, ``leaf`` for what a unit stands for."""


def read(connection: Connection[Any], query: str, types: Iterable[str], **parameters: Any) -> Iterator[Any]:
    """Yield the rows of a query as they come; however many there are, few are in memory."""
    with connection.cursor() as cursor, cursor.copy(_QUERIES[query], parameters or None) as copy:
        copy.set_types(list(types))
        yield from copy.rows()


def month_number(day: date) -> int:
    """Return a number for the month of a day, which tables by day are compared by."""
    return 12 * day.year + day.month
