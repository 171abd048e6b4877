"""How fast does eventsourcing, as it comes, record and project the same reports on the same server?

Written as its documentation shows: an aggregate whose methods are events, JSON, the default recorder with its
default settings, a projection that counts and tracks in one transaction. Where there is a choice it is the one
that favours it: aggregates stay in memory and are never loaded, no citizen is looked up or sealed, no key
compared; the view keeps one table by unit, day and level, where ours keeps three grains.
"""
# ruff: noqa: ARG002 - a method's arguments are its event's fields.

import time
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import islice
from typing import Any, assert_never
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.utils import get_topic
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

from benchmarks.server import create_database
from benchmarks.table import Results, step
from benchmarks.traffic import batches, commands_of, draw
from ledger import Activate, Approve, Collect, Reject
from ledger.business_time import business_day
from ledger.embedded import EmbeddedPostgres

SINGLES, BATCH, IN_BATCHES = 400, 500, 20_000
"""Events of a repeat: saved one by one; in batches of so many, so many."""
PROJECTED = 5_000
PROJECT_SECONDS_MAX = 300
Report = Collect | Approve | Reject | Activate


class Dossier(Aggregate):
    """A citizen's file, as a user of the library would write it."""

    @event("Collected")
    def __init__(
        self,
        citizen: str,
        key: str,
        level: int,
        unit: str,
        occurred_at: datetime,
        actor: str,
        place: str,
        team: str,
        partner: str,
        residence_unit: str,
        note: str,
    ) -> None:
        self.citizen = citizen
        self.units = {level: unit}
        self.states = {level: "collected"}

    @event("CollectedAgain")
    def collect(
        self,
        key: str,
        level: int,
        unit: str,
        occurred_at: datetime,
        actor: str,
        place: str,
        team: str,
        partner: str,
        residence_unit: str,
        note: str,
    ) -> None:
        assert self.states.get(level) in {None, "rejected"}
        self.units[level] = unit
        self.states[level] = "collected"

    @event("Approved")
    def approve(self, key: str, level: int, unit: str, occurred_at: datetime, actor: str, note: str) -> None:
        assert self.states[level] == "collected"
        self.states[level] = "approved"

    @event("Rejected")
    def reject(
        self, key: str, level: int, unit: str, occurred_at: datetime, actor: str, note: str, reason: str
    ) -> None:
        assert self.states[level] == "collected"
        self.states[level] = "rejected"

    @event("Activated")
    def activate(
        self,
        key: str,
        level: int,
        unit: str,
        occurred_at: datetime,
        actor: str,
        place: str,
        team: str,
        partner: str,
        note: str,
    ) -> None:
        assert self.states[level] == "approved"
        self.states[level] = "activated"


class Dossiers(Application[UUID]):
    """The application that is saved to."""


class Projected(Application[UUID]):
    """The application that is projected; tables of its own in the same database."""


class UnitDays(PostgresTrackingRecorder):
    """Counts by unit, day and level; an event's count and its tracking are committed together."""

    def __init__(self, datastore: PostgresDatastore, **kwargs: Any) -> None:
        super().__init__(datastore, **kwargs)
        table = Identifier(self.datastore.schema), Identifier("unit_days")
        self.sql_create_statements.append(
            SQL(
                "CREATE TABLE IF NOT EXISTS {}.{} (unit text, day date, level smallint, "
                "collected bigint NOT NULL DEFAULT 0, approved bigint NOT NULL DEFAULT 0, "
                "rejected bigint NOT NULL DEFAULT 0, activated bigint NOT NULL DEFAULT 0, "
                "PRIMARY KEY (unit, day, level))"
            ).format(*table)
        )
        self.count_statements = {
            measure: SQL(
                "INSERT INTO {0}.{1} AS old (unit, day, level, {2}) VALUES (%s, %s, %s, 1) "
                "ON CONFLICT (unit, day, level) DO UPDATE SET {2} = old.{2} + 1"
            ).format(*table, Identifier(measure))
            for measure in ("collected", "approved", "rejected", "activated")
        }
        self.sum_statement = SQL("SELECT sum(collected + approved + rejected + activated) FROM {}.{}").format(
            *table
        )

    def count(self, measure: str, unit: str, day: date, level: int, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(self.count_statements[measure], (unit, day, level), prepare=True)

    def counted(self) -> int:
        with self.datastore.transaction() as cursor:
            row = cursor.execute(self.sum_statement).fetchone()
            return 0 if row is None else int(row["sum"] or 0)


class UnitDaysProjection(Projection[UnitDays]):
    name = "unitdays"
    topics = tuple(
        get_topic(getattr(Dossier, name))
        for name in ("Collected", "CollectedAgain", "Approved", "Rejected", "Activated")
    )

    @singledispatchmethod
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        raise AssertionError(f"nobody counts {domain_event}")

    @process_event.register
    def _(self, domain_event: Dossier.Collected, tracking: Tracking) -> None:  # type: ignore[name-defined]
        self._count("collected", domain_event, tracking)

    @process_event.register
    def _(self, domain_event: Dossier.CollectedAgain, tracking: Tracking) -> None:  # type: ignore[name-defined]
        self._count("collected", domain_event, tracking)

    @process_event.register
    def _(self, domain_event: Dossier.Approved, tracking: Tracking) -> None:  # type: ignore[name-defined]
        self._count("approved", domain_event, tracking)

    @process_event.register
    def _(self, domain_event: Dossier.Rejected, tracking: Tracking) -> None:  # type: ignore[name-defined]
        self._count("rejected", domain_event, tracking)

    @process_event.register
    def _(self, domain_event: Dossier.Activated, tracking: Tracking) -> None:  # type: ignore[name-defined]
        self._count("activated", domain_event, tracking)

    def _count(self, measure: str, one: Any, tracking: Tracking) -> None:
        self.view.count(measure, one.unit, business_day(one.occurred_at), one.level, tracking)


class _Desk:
    """Keeps the dossiers in memory and turns commands into their events, not saved yet."""

    def __init__(self) -> None:
        self._dossiers: dict[str, Dossier] = {}

    def decide(self, commands: Sequence[Report]) -> list[Dossier]:
        """Return the dossiers that have new events, each once."""
        touched: dict[str, Dossier] = {}
        for command in commands:
            touched[command.citizen] = self._decide(command)
        return list(touched.values())

    def _decide(self, command: Report) -> Dossier:
        always = {name: getattr(command, name) for name in ("key", "level", "occurred_at", "actor", "note")}
        where = {name: getattr(command, name) for name in ("place", "team", "partner")}
        dossier = self._dossiers.get(command.citizen)
        if dossier is None:
            dossier = self._dossiers[command.citizen] = Dossier(
                citizen=command.citizen,
                unit=command.unit,
                residence_unit=command.residence_unit,
                **always,
                **where,
            )
            return dossier
        unit = command.unit or dossier.units[command.level]
        match command:
            case Collect():
                dossier.collect(unit=unit, residence_unit=command.residence_unit, **always, **where)
            case Approve():
                dossier.approve(unit=unit, **always)
            case Reject():
                dossier.reject(unit=unit, reason=command.reason, **always)
            case Activate():
                dossier.activate(unit=unit, **always, **where)
            case _:
                assert_never(command)
        return dossier


def measure_stock(postgres: EmbeddedPostgres, scale: float, repeats: int, results: Results) -> None:
    environment = _environment(create_database(postgres, "stock"))

    def events(count: int) -> int:
        return max(4, round(count * min(1, scale)))

    wanted = repeats * (events(SINGLES) + events(IN_BATCHES))
    coming = _reports(wanted, seed=5)
    with Dossiers(environment) as application:
        desk = _Desk()
        for repeat in range(repeats):
            with step(f"stock eventsourcing, save, {repeat + 1} of {repeats}"):
                for key, size, count in (("stock.save", 1, SINGLES), ("stock.save.500", BATCH, IN_BATCHES)):
                    commands = [next(coming) for _ in range(events(count))]
                    took, saving = _record(application, desk, commands, size)
                    results.add(key, len(commands) / took)
                    results.add(f"{key}.alone", len(commands) / saving)
    with step("stock eventsourcing, ProjectionRunner"):
        results.add("stock.project", _project(environment, events(PROJECTED)))


def _record(
    application: Application[UUID], desk: _Desk, commands: Sequence[Report], size: int
) -> tuple[float, float]:
    """Call the aggregates' methods and save, in batches; return the seconds it took, and those of ``save`` alone."""
    saving = 0.0
    saved = 0
    began = time.monotonic()
    for batch in batches(commands, size):
        dossiers = desk.decide(batch)
        decided = time.monotonic()
        recordings = application.save(*dossiers)
        saving += time.monotonic() - decided
        saved += len(recordings)
    took = time.monotonic() - began
    assert saved == len(commands), (saved, len(commands))
    return took, saving


def _project(environment: dict[str, str], count: int) -> float:
    """Record so many events; return how many a second the runner then counts, from the first to the last."""
    commands = list(islice(_reports(count, seed=6), count))
    with Projected(environment) as application:
        _record(application, _Desk(), commands, BATCH)
        last = application.recorder.max_notification_id()
    began = time.monotonic()
    with ProjectionRunner(
        application_class=Projected,
        projection_class=UnitDaysProjection,
        view_class=UnitDays,
        env=environment,
    ) as runner:
        runner.wait(last, timeout=PROJECT_SECONDS_MAX)
        took = time.monotonic() - began
        assert runner.view.counted() == count, (runner.view.counted(), count)
    return count / took


def _reports(count: int, *, seed: int) -> Iterator[Report]:
    """Yield at least so many reports of a dossier's plain way, whole campaigns of them in the order of time."""
    # Some 2.8 of a dossier.
    commands = commands_of(draw(1 + count // 2, seed=seed))
    return (command for command in commands if isinstance(command, Report))


def _environment(conninfo: str) -> dict[str, str]:
    given = conninfo_to_dict(conninfo)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(given["dbname"]),
        "POSTGRES_HOST": str(given["host"]),
        "POSTGRES_PORT": str(given["port"]),
        "POSTGRES_USER": str(given["user"]),
        "POSTGRES_PASSWORD": str(given["password"]),
        # The library adds the process's environment to this: what could change its course is said aloud.
        "POSTGRES_ENABLE_DB_FUNCTIONS": "n",
    }
