"""Looks are kept for five years: drop those that are older, and record that."""

from datetime import date, datetime, time

import msgspec
import psycopg
from psycopg.sql import SQL, Identifier, Literal

from ledger import sql
from ledger.business_time import VIETNAM
from ledger.database import LOCK_SECONDS_MAX, Database
from ledger.errors import ContentionError, FieldInvalidError
from ledger.owner import as_owner
from ledger.reads.events import DROPS_STREAM, KEPT_YEARS, LooksDropped

_QUERIES = sql.load("ledger.reads.sql", "dropping.sql")
CHANGED, TOO_YOUNG = "AL006", "AL007"
_CHANGED = "other looks would go by now than those that were told, or an embargo was laid; nothing was dropped: ask again how many"
_encode = msgspec.json.Encoder().encode


class DropPlan(msgspec.Struct, frozen=True):
    """What it would take away to drop the looks from before a day."""

    before: date
    """The business day (Asia/Ho_Chi_Minh)."""
    through: int
    """The position of the last event from before it, in the log of looks; 0: there is none."""
    looks: int
    """How many events would go: looks, and embargoes that have ended."""
    kept: int
    """How many stay, because their dossiers are under an embargo."""


class DropDone(msgspec.Struct, frozen=True):
    """Looks were dropped, for good."""

    position: int
    """Of the record that says so, in the log of looks."""
    recorded_at: datetime
    vacuumed: bool
    """Whether the room was made free at once; otherwise PostgreSQL does that later, by itself."""


def five_years_before(day: date) -> date:
    """Return the day before which looks are old enough on a business day."""
    try:
        return day.replace(year=day.year - KEPT_YEARS)
    except ValueError:  # 29 February
        return day.replace(year=day.year - KEPT_YEARS, day=28)


def check_before(before: date, today: date) -> None:
    """Raise FieldInvalidError where looks from before a day are too young, on the business day *today*, to be dropped."""
    latest = five_years_before(today)
    if before > latest:
        raise FieldInvalidError("before", f"{latest} or earlier: looks are kept for {KEPT_YEARS} years")


def plan(database: Database, before: date, today: date) -> DropPlan:
    """Return what dropping would take away now; nothing is changed.

    Raises:
        UnavailableError: The database cannot be reached, or the login is no operator's.
    """
    place = database.reads
    parameters = {
        "before": datetime.combine(before, time(), VIETNAM),
        "today": today,
        "drops": DROPS_STREAM,
    }
    with as_owner(place) as connection:
        query = SQL(_QUERIES["to_drop"]).format(schema=Identifier(place.schema))
        [[through, looks, kept]] = connection.execute(query, parameters).fetchall()
    return DropPlan(before, through, looks, kept)


def check_plan(database: Database, planned: DropPlan, today: date) -> None:
    """Raise ContentionError where dropping would take away something else by now than was planned; and as ``plan`` does."""
    if plan(database, planned.before, today) != planned:
        raise ContentionError(_CHANGED)


def drop(database: Database, event: LooksDropped, today: date) -> DropDone:
    """Drop what an event says, and record it: both or neither.

    Raises:
        ContentionError: Not as many would go as the event says, an embargo was laid meanwhile, or somebody holds the log's
            lock; nothing was dropped.
        FieldInvalidError: By the database server's clock one of them is too young; nothing was dropped.
        UnavailableError: As ``plan``.
    """
    place = database.reads
    schema = Identifier(place.schema)
    parameters = {
        "through": event.through,
        "today": today,
        "expected": event.looks,
        "state": _encode(event),
    }
    with as_owner(place) as connection:
        connection.execute(SQL("SET lock_timeout = {}").format(Literal(round(LOCK_SECONDS_MAX * 1000))))
        try:
            # One autocommitted statement: a transaction held open around it would block everybody who looks.
            query = SQL(_QUERIES["drop"]).format(schema=schema)
            [[position, recorded_at]] = connection.execute(query, parameters).fetchall()
        except psycopg.errors.LockNotAvailable:
            raise ContentionError(
                f"another session has held the log's lock for {LOCK_SECONDS_MAX:g} s; nothing was dropped"
            ) from None
        except psycopg.Error as error:
            if error.sqlstate == CHANGED:
                raise ContentionError(_CHANGED) from None
            if error.sqlstate == TOO_YOUNG:
                raise FieldInvalidError(
                    "before",
                    f"by the database server's clock some are younger than {KEPT_YEARS} years; nothing was dropped",
                ) from None
            raise
        try:
            connection.execute(SQL(_QUERIES["vacuum"]).format(schema=schema))
        except psycopg.errors.OperationalError:
            # It is recorded, and that is what is told; autovacuum clears the rows away in its time.
            return DropDone(position, recorded_at, vacuumed=False)
    return DropDone(position, recorded_at, vacuumed=True)
