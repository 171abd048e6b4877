"""Up to the head of the log that there is now, several projections at once.

Each has a position and transactions of its own, so that one that cannot go on keeps no other
back; those that stand at one position share the reading.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from psycopg import Connection

from ledger.database import Database
from projections import stretches, tracking
from projections.components import chosen
from projections.errors import PoisonEventError, PositionLostError, ProjectionStoppedError
from projections.stretches import Found, Stretch
from projections.tables import Tables

Progress = Callable[[int, int], None]
"""Called with the position that all have reached, and the head aimed at."""
Failures = dict[Tables, Exception]
"""Why projections could not go on; the others did."""


class Ahead(NamedTuple):
    """What is being read for projections that stand at one position."""

    after: int
    many: list[Tables]
    found: Future[list[Found]]


def reach(
    database: Database,
    connection: Connection[Any],
    many: Sequence[Tables],
    head: int,
    on_progress: Progress | None,
) -> Failures:
    """Count up to a head that the log has had, or further; whoever is furthest behind first, until they are together.

    While the database adds one stretch, the next one is read and folded: two cores work.
    """
    failures: Failures = {}
    positions: dict[Tables, int] = {}
    for tables in many:
        try:
            positions[tables] = tracking.position(connection, tables)
        except PositionLostError as error:
            failures[tables] = error
    if all(position >= head for position in positions.values()):
        return failures
    with tracking.session(database) as reader, ThreadPoolExecutor(1) as pool:

        def read(positions: Mapping[Tables, int]) -> Ahead:
            after = min(positions.values())
            now = [tables for tables, position in positions.items() if position == after]
            # Up to where another one is: they go on together from there.
            others = [position - after for position in positions.values() if position > after]
            return Ahead(
                after,
                now,
                pool.submit(stretches.read, reader, now, after, min([stretches.BATCH_EVENTS_MAX, *others])),
            )

        ahead = read(positions)
        while positions and (after := min(positions.values())) < head:
            if (after, [tables for tables in positions if positions[tables] == after]) != ahead[:2]:
                # One has failed; or others count too, and were further.
                ahead = read(positions)
            now, found = ahead.many, ahead.found.result()
            reached = max((each.position for each in found if isinstance(each, Stretch)), default=after)
            ahead = read(positions | dict.fromkeys(now, reached))
            failures |= advance(connection, positions, dict(zip(now, found, strict=True)), head)
            if on_progress and positions:
                on_progress(min(head, *positions.values()), head)
    return failures


def advance(
    connection: Connection[Any], positions: dict[Tables, int], found: Mapping[Tables, Found], head: int
) -> Failures:
    """Add what was found for projections that are behind a head; move their positions, or leave out those that failed."""
    failures: Failures = {}
    for tables, each in found.items():
        try:
            # Poison is looked for anew: somebody else's newer program may have counted it meanwhile.
            counted = stretches.step(connection, tables, each if isinstance(each, Stretch) else None)
            position = tracking.position(connection, tables)
            if not counted and position < head:
                raise PoisonEventError(position + 1, LookupError("the log has no such event"))
        except Exception as error:
            # Whatever it is, it is this projection's, and told by whoever asked for it; unless nobody can go on.
            if connection.closed:
                raise
            failures[tables] = error
            del positions[tables]
        else:
            positions[tables] = position
    return failures


def catch_up(
    database: Database, names: Collection[str] | None = None, *, on_progress: Progress | None = None
) -> int:
    """Bring projections to the head that the log has now; return the position that all of them have reached.

    Safe beside running servers: whoever comes second finds the work done.

    Args:
        names: Of projections; absent: all.
        on_progress: Called with the position reached and the head aimed at.

    Raises:
        ProjectionStoppedError: An event cannot be folded. Other projections were brought there.
        PositionLostError: Nobody knows what was counted; the same.
        StoreUnavailableError: The database cannot be reached.
    """
    many = [projection() for projection in chosen(names)]
    with tracking.session(database) as connection:
        failures = reach(database, connection, many, tracking.head(connection), on_progress)
        for tables, error in failures.items():
            if isinstance(error, PoisonEventError):
                tracking.stop(connection, tables.NAME, error)
        raise_first([told(error, f"the projection {tables.NAME}") for tables, error in failures.items()])
        return min(tracking.position(connection, tables) for tables in many)


def told(error: Exception, what: str) -> Exception:
    """Return an error as whoever asked is told it: where an event cannot be folded, what stopped there."""
    if not isinstance(error, PoisonEventError):
        return error
    stopped = ProjectionStoppedError(f"{what} stopped at {error}")
    stopped.__cause__ = error
    return stopped


def raise_first(errors: Sequence[Exception]) -> None:
    """Raise the first of these errors, if there is one; it tells of the others too."""
    for other in errors[1:]:
        errors[0].add_note(str(other))
    if errors:
        raise errors[0]
