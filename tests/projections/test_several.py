"""Several projections follow one log: together where they can, and none is kept back by another."""

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress

import psycopg
import pytest

from ledger import Ledger
from ledger.events import Recorded, topic_of
from projections import (
    PositionLostError,
    ProjectionStoppedError,
    RebuildBlockedError,
    Runner,
    TotalsQuery,
    catch_up,
    components,
    rebuild,
    runner,
    status,
    stretches,
)
from projections.errors import PoisonEventError
from projections.tables import Tables
from projections.unit_totals import UnitTotalsTables
from tests.projections import by_hand, campaigns
from tests.projections.test_runner import UNITS, ended, report, wait_until


class Tally(Tables):
    """How many events there are of each topic; one that a test can hurt."""

    NAME = "tally"
    LIVE = ("tally",)
    poison: int | None = None
    """The position of an event that it does not fold."""
    fault: Exception | None = None
    """What happens when it writes."""

    def fold(self, entries: Iterable[Recorded]) -> Counter[str]:
        counts: Counter[str] = Counter()
        for entry in entries:
            if entry.position == Tally.poison:
                raise PoisonEventError(entry.position, ValueError("never heard of it"))
            counts[topic_of(type(entry.event))] += 1
        return counts

    def add(self, cursor: psycopg.Cursor, folded: Counter[str]) -> None:
        if Tally.fault:
            raise Tally.fault
        cursor.executemany(
            f"INSERT INTO {self.names['tally']} AS t VALUES (%s, %s) "
            "ON CONFLICT (topic) DO UPDATE SET events = t.events + excluded.events",
            list(folded.items()),
        )


@pytest.fixture(autouse=True)
def two(ledger, operator, monkeypatch) -> None:
    """The unit totals and the tally, neither of which has counted anything."""
    monkeypatch.setattr(Tally, "poison", None)
    monkeypatch.setattr(Tally, "fault", None)
    monkeypatch.setattr(components, "PROJECTIONS", (Tally, UnitTotalsTables))
    monkeypatch.setitem(status.__globals__, "NAMES", ("tally", "unit_totals"))
    monkeypatch.setattr(runner, "POLL_SECONDS_MAX", 0.1)
    operator.execute("SET ROLE ledger_projector")
    operator.execute(
        "CREATE TABLE tally (topic text PRIMARY KEY, events int NOT NULL) WITH (fillfactor = 50)"
    )
    operator.execute("INSERT INTO projections VALUES ('tally', 0, '1970-01-01 00:00:00+00')")
    operator.execute("RESET ROLE")


def lags(ledger: Ledger) -> dict[str, int]:
    return {told.name: told.lag_events for told in status(ledger)}


def tallied(operator: psycopg.Connection) -> dict[str, int]:
    return dict(operator.execute("SELECT topic, events FROM tally").fetchall())


def of(operator: psycopg.Connection) -> dict[str, int]:
    """Return what the tally must be."""
    return dict(operator.execute("SELECT topic, count(*) FROM events GROUP BY topic").fetchall())


@pytest.fixture
def decoded(monkeypatch) -> list[int]:
    """The positions of the events that were decoded, each time one is."""
    positions: list[int] = []
    recorded = stretches.recorded

    def note(row):
        positions.append(row[0])
        return recorded(row)

    monkeypatch.setattr(stretches, "recorded", note)
    return positions


def test_together(ledger, operator, monkeypatch, decoded):
    """Those that stand at one position go on together, and each event is decoded once for all of them."""
    monkeypatch.setattr(stretches, "BATCH_EVENTS_MAX", 150)
    reports = campaigns.commands(4, 100)
    campaigns.record(ledger, reports)
    head = UNITS + len(reports)

    assert head == catch_up(ledger.database)
    assert list(range(1, head + 1)) == decoded
    decoded.clear()
    assert head == rebuild(ledger.database)
    assert list(range(1, head + 1)) == decoded
    assert of(operator) == tallied(operator)
    by_hand.check_totals(ledger.database, length=len(reports))


def test_one_is_brought_to_the_head(ledger, operator):
    """Who names a projection has that one brought to the head, and no other."""
    assert UNITS == catch_up(ledger.database, ["tally"])
    assert {"tally": 0, "unit_totals": UNITS} == lags(ledger)
    assert UNITS == catch_up(ledger.database, ["unit_totals"])
    assert {"tally": 0, "unit_totals": 0} == lags(ledger)


@pytest.mark.parametrize("late", ["tally", "unit_totals"])
def test_one_begins_late(ledger, operator, monkeypatch, decoded, late):
    """Whoever is behind is brought to where another one is; from there they go on together."""
    monkeypatch.setattr(stretches, "BATCH_EVENTS_MAX", 100)
    ahead = {"tally": "unit_totals", "unit_totals": "tally"}[late]
    catch_up(ledger.database, [ahead])
    ledger.record_many([report(number) for number in range(170)])
    decoded.clear()

    assert UNITS + 170 == catch_up(ledger.database)
    assert list(range(1, UNITS + 171)) == decoded
    assert of(operator) == tallied(operator)
    by_hand.check_totals(ledger.database, length=170)


def test_one_that_is_far_behind_keeps_nobody_back(ledger, operator, totals, monkeypatch):
    """While one counts a long log for the first time, the other stays at the head."""
    monkeypatch.setattr(stretches, "BATCH_EVENTS_MAX", 10)
    catch_up(ledger.database, ["unit_totals"])
    waited = []
    with Runner(ledger):
        for number in range(10):
            position = ledger.record(report(number)).position
            assert number + 1 == totals.read(TotalsQuery(), after=position).sum["collected"]
            waited.append(lags(ledger)["tally"])
        wait_until(lambda: {"tally": 0, "unit_totals": 0} == lags(ledger))

    assert len({lag for lag in waited if lag > 10}) > 2, waited
    assert of(operator) == tallied(operator)


def test_poison_for_one(ledger, operator, totals, open_again, monkeypatch, caplog):
    """An event that one cannot fold stops that one, there, for every process; the other counts on in the same thread."""
    ledger.record_many([report(number) for number in range(4)])
    monkeypatch.setattr(Tally, "poison", UNITS + 3)
    with Runner(ledger) as following:
        position = ledger.record(report(4)).position
        assert 5 == totals.read(TotalsQuery(), after=position, wait_seconds=20).sum["collected"]
        wait_until(lambda: lags(open_again()) == {"tally": 3, "unit_totals": 0})
        position = ledger.record(report(5)).position
        assert 6 == totals.read(TotalsQuery(), after=position, wait_seconds=20).sum["collected"]
        assert not ended(following)
    told = {each.name: (each.position, each.error) for each in status(open_again())}
    error = f"position {UNITS + 3}: ValueError: never heard of it"

    assert {"tally": (UNITS + 2, error), "unit_totals": (UNITS + 6, None)} == told
    assert [f"the projection tally stopped at {error}"] == [
        record.getMessage() for record in caplog.records if record.levelname == "CRITICAL"
    ]
    with pytest.raises(ProjectionStoppedError, match=f"the projection tally stopped at {error}"):
        catch_up(ledger.database)

    monkeypatch.setattr(Tally, "poison", None)
    assert UNITS + 6 == catch_up(ledger.database)
    assert [None, None] == [told.error for told in status(ledger)]
    assert of(operator) == tallied(operator)
    by_hand.check_totals(ledger.database, length=6)


def test_poison_for_one_that_catches_up(ledger, operator, monkeypatch):
    """What one cannot fold, or its tables cannot hold, is told; the other is at the head nevertheless."""
    monkeypatch.setattr(stretches, "BATCH_EVENTS_MAX", 100)
    ledger.record_many([report(number) for number in range(4)])
    monkeypatch.setattr(Tally, "poison", 250)
    with pytest.raises(ProjectionStoppedError, match="tally stopped at position 250: "):
        catch_up(ledger.database)
    assert {"tally": UNITS + 4 - 249, "unit_totals": 0} == lags(ledger)

    monkeypatch.setattr(Tally, "poison", None)
    operator.execute("ALTER TABLE tally ALTER topic TYPE varchar(15)")
    ledger.record(report(4))
    with pytest.raises(ProjectionStoppedError, match=f"tally stopped at position {UNITS + 1}: StringData"):
        catch_up(ledger.database)
    assert {"tally": 5, "unit_totals": 0} == lags(ledger)


def test_all_stopped(ledger, monkeypatch, open_again, operator):
    """A runner ends when nothing is left for it to do; whoever asks is told of all that stopped."""

    def broken(row):
        raise ValueError("never heard of it")

    monkeypatch.setattr(stretches, "recorded", broken)
    with Runner(ledger) as following:
        wait_until(lambda: ended(following))
    with pytest.raises(ProjectionStoppedError) as raised:
        catch_up(ledger.database)

    assert ["position 1: ValueError: never heard of it"] * 2 == [told.error for told in status(ledger)]
    assert "the projection tally stopped at position 1: " in str(raised.value)
    assert ["the projection unit_totals stopped at position 1: ValueError: never heard of it"] == (
        raised.value.__notes__
    )


def mislay(operator: psycopg.Connection) -> None:
    operator.execute("ALTER TABLE tally RENAME TO mislaid")


def find(operator: psycopg.Connection) -> None:
    operator.execute("ALTER TABLE mislaid RENAME TO tally")


def lose(operator: psycopg.Connection) -> None:
    operator.execute("UPDATE projections SET name = 'lost' WHERE name = 'tally'")


def come_back(operator: psycopg.Connection) -> None:
    operator.execute("UPDATE projections SET name = 'tally' WHERE name = 'lost'")


def break_(_: psycopg.Connection) -> None:
    Tally.fault = RuntimeError("a bug")


def mend(_: psycopg.Connection) -> None:
    Tally.fault = None


@pytest.mark.parametrize(
    ("hurt", "heal", "said"),
    [
        (mislay, find, 'the projection tally waits: relation "tally" does not exist'),
        (lose, come_back, "the projection tally has lost its position"),
        (break_, mend, "the projection tally failed, and is tried again"),
    ],
    ids=["a table is gone", "its position is lost", "a bug"],
)
def test_a_fault_of_one(
    ledger, operator, totals, monkeypatch, caplog, hurt: Callable, heal: Callable, said: str
):
    """While one waits for its fault to be mended, the other is as fast as ever; then both are at the head."""
    monkeypatch.setattr(runner, "RECONNECT_SECONDS_MAX", 0.5)
    with Runner(ledger):
        wait_until(lambda: {"tally": 0, "unit_totals": 0} == lags(ledger))
        hurt(operator)
        for number in range(5):
            position = ledger.record(report(number)).position
            assert number + 1 == totals.read(TotalsQuery(), after=position).sum["collected"]
        wait_until(lambda: said in caplog.text)
        heal(operator)
        wait_until(lambda: {"tally": 0, "unit_totals": 0} == lags(ledger))

    assert of(operator) == tallied(operator)
    by_hand.check_totals(ledger.database, length=5)


def test_a_fault_of_one_that_catches_up(ledger, operator):
    """Whoever catches up is told what is wrong with one, after the other was brought to the head."""
    for hurt, error in ((lose, PositionLostError), (mislay, psycopg.errors.UndefinedTable)):
        ledger.record(report(hurt is lose))
        hurt(operator)
        with pytest.raises(error):
            catch_up(ledger.database)
        assert 0 == lags(ledger)["unit_totals"]
        with suppress(psycopg.Error):
            come_back(operator)


# Rebuilds.


def oids(operator: psycopg.Connection) -> dict[str, int]:
    rows = operator.execute(
        "SELECT relname, oid FROM pg_class WHERE relname IN ('tally', 'unit_totals_day')"
    ).fetchall()
    return dict(rows)


def swapped(operator: psycopg.Connection, before: dict[str, int]) -> set[str]:
    """Return whose tables are not those of before."""
    return {name for name, oid in oids(operator).items() if oid != before[name]}


def test_one_is_rebuilt(ledger, operator):
    """Who names a projection has that one rebuilt, and no other touched."""
    ledger.record(report(1))
    catch_up(ledger.database)
    before = oids(operator)
    assert UNITS + 1 == rebuild(ledger.database, ["tally"])

    assert {"tally"} == swapped(operator, before)
    assert of(operator) == tallied(operator)
    assert [["fillfactor=50"]] == [
        *map(list, operator.execute("SELECT reloptions FROM pg_class WHERE relname = 'tally'").fetchone())
    ]


def test_poison_for_a_rebuild_of_one(ledger, operator, monkeypatch):
    """What one cannot fold leaves its live tables as they are; the others are rebuilt, and then it is told."""
    monkeypatch.setattr(stretches, "BATCH_EVENTS_MAX", 100)
    ledger.record(report(1))
    catch_up(ledger.database)
    before = oids(operator)
    for poison in (250, UNITS + 1):
        monkeypatch.setattr(Tally, "poison", poison)
        with pytest.raises(
            ProjectionStoppedError, match=f"the rebuild of tally stopped at position {poison}: "
        ):
            rebuild(ledger.database)
        assert {"unit_totals_day"} == swapped(operator, before)
        assert of(operator) == tallied(operator)
        before = oids(operator)

    assert [None, None] == [told.error for told in status(ledger)]
    by_hand.check_totals(ledger.database, length=1)


def test_a_rebuild_of_one_is_blocked(ledger, operator):
    """What hangs on the tables of one keeps that one from being replaced, and no other."""
    ledger.record(report(1))
    catch_up(ledger.database)
    operator.execute("CREATE VIEW of_an_operator AS SELECT * FROM tally")
    before = oids(operator)
    with pytest.raises(RebuildBlockedError, match="the tables of tally cannot be replaced: "):
        rebuild(ledger.database)

    assert {"unit_totals_day"} == swapped(operator, before)
