"""Looks that are old enough can be dropped: it is recorded, every position stays explained, and embargoes keep theirs."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from uuid import UUID

import msgspec
import psycopg
import pytest

from ledger import Ledger, Purpose
from ledger.access import Role
from ledger.errors import ContentionError, FieldInvalidError, NotPermittedError, PersonalNumberError
from ledger.reads import DropPlan, EmbargoPlaced, LooksDropped, dropping
from ledger.reads.dropping import five_years_before
from ledger.reads.events import DROPS_STREAM
from ledger.reads.telling import embargo_on
from tests.api.conftest import wait_until
from tests.conftest import age_looks, check_reads
from tests.ledger.reports import citizen, collect
from tests.ledger.test_reads import AUDITOR, CHIEF, UNIT, within

TODAY, LAST = date(2024, 12, 9), date(2024, 12, 31)
BEFORE = date(2019, 12, 9)
AUDIT = Purpose("audit")


@pytest.fixture
def dossiers(ledger: Ledger) -> list[UUID]:
    return [ledger.record(collect(citizen=citizen(number))).dossier_id for number in range(3)]


@pytest.fixture
def looked(ledger: Ledger, dossiers: list[UUID]) -> list[UUID]:
    """Dossiers of which each was looked at twice, seven years ago and more, and the first again today."""
    for dossier_id in dossiers * 2:
        ledger.dossier(dossier_id)
    age_looks(ledger.database, 8)
    ledger.dossier(dossiers[0])
    return dossiers


def leaves(ledger: Ledger) -> dict[int, bytes]:
    """Return the leaf of each position, wherever it stands."""
    with psycopg.connect(ledger.database.reads.as_operator()) as connection:
        query = (
            "SELECT notification_id, leaf FROM events UNION ALL SELECT position, leaf FROM dropped ORDER BY 1"
        )
        return dict(connection.execute(query).fetchall())


def drop(ledger: Ledger, before: date = BEFORE, **how: object) -> int:
    """Drop, and return how many went."""
    planned = ledger.plan_drop(before)
    ledger.drop_looks(planned, **{"reason": "quá hạn lưu", **how})
    return planned.looks


class TestADrop:
    def test_takes_what_is_old_and_says_so(self, ledger, looked):
        """How many, up to which position, before which day, who and why: an event of the log of looks."""
        assert DropPlan(BEFORE, 6, 6, 0) == ledger.plan_drop(BEFORE)
        done = ledger.drop_looks(ledger.plan_drop(BEFORE), reason="quá hạn lưu", actor="th-0042", by=CHIEF)
        (first, _, look, _), (stream, version, event, at) = check_reads(ledger.database, length=2)
        assert (looked[0], "state") == (first, look.what)
        record = LooksDropped(
            before=BEFORE,
            through=6,
            looks=6,
            kept=0,
            who="chief",
            kind="person",
            actor="th-0042",
            text="quá hạn lưu",
        )
        assert (DROPS_STREAM, 1, record) == (stream, version, event)
        assert (8, at, True) == (done.position, done.recorded_at, done.vacuumed)

    def test_leaves_every_leaf(self, ledger, looked):
        """So a tree over the log stays what it was; who and when, nobody can read from them."""
        before = leaves(ledger)
        drop(ledger)
        assert before == {position: leaf for position, leaf in leaves(ledger).items() if position <= 7}

    def test_is_told_to_who_asks_who_looked(self, ledger, looked):
        """From when on everything is there; nothing where nothing was dropped."""
        assert None is ledger.looks(looked[0]).known_from
        drop(ledger)
        told = ledger.looks(looked[0])
        assert (BEFORE, [7, 8, 10]) == (told.known_from, [row.position for row in told.rows])
        assert [11] == [row.position for row in ledger.looks(looked[1]).rows]

    def test_tells_the_latest_day_of_several(self, ledger, looked):
        """An earlier one makes no look come back."""
        drop(ledger)
        earlier = BEFORE - timedelta(days=400)
        ledger.drop_looks(ledger.plan_drop(earlier), reason="again")
        assert BEFORE == ledger.looks(looked[0]).known_from
        assert [6, 0] == [drop.looks for drop in ledger.reads.drops()]

    def test_takes_only_what_is_from_before_the_day(self, ledger, looked):
        """In Vietnam, to the second."""
        with psycopg.connect(ledger.database.reads.as_operator()) as connection:
            [[at]] = connection.execute("SELECT recorded_at FROM events WHERE notification_id = 6").fetchall()
        midnight = at.replace(hour=17, minute=0, second=0, microsecond=0)
        for moved, position in ((timedelta(microseconds=-1), 5), (timedelta(), 6)):
            at_position(ledger, position, midnight + moved)
        day = (midnight + timedelta(hours=7)).date()
        for position in range(1, 5):
            at_position(ledger, position, midnight - timedelta(days=1))
        assert (5, 6) == (ledger.plan_drop(day).through, ledger.plan_drop(day + timedelta(days=1)).through)

    def test_can_be_made_again(self, ledger, looked):
        """Records of drops stay for ever, however old; each position names the drop that took it."""
        drop(ledger)
        ledger.dossier(looked[1])
        age_looks(ledger.database, 8)
        assert DropPlan(BEFORE, 9, 2, 0) == ledger.plan_drop(BEFORE)
        assert 2 == drop(ledger)
        told = check_reads(ledger.database, length=2)
        assert [DROPS_STREAM] * 2 == [stream for stream, _, _, _ in told]

    def test_lets_a_dossier_begin_anew(self, ledger, looked):
        """Where all its looks have gone."""
        drop(ledger)
        ledger.dossier(looked[1])
        assert [(looked[0], 3), (DROPS_STREAM, 1), (looked[1], 1)] == [
            (stream, version) for stream, version, _, _ in check_reads(ledger.database)
        ]

    def test_holds_up_nobody_who_looks(self, ledger, looked):
        """However long it takes to delete: the head's lock is taken for the record alone."""
        planned = ledger.plan_drop(BEFORE)
        with ThreadPoolExecutor(1) as pool:
            with psycopg.connect(ledger.database.reads.as_operator()) as holder:
                # The last of those that go.
                holder.execute("SELECT FROM events WHERE notification_id = 6 FOR UPDATE")
                dropping = pool.submit(ledger.drop_looks, planned, reason="x")
                wait_until(lambda: waits(ledger))
                assert 1 == ledger.dossier(looked[0]).version
            assert 9 == dropping.result().position
        check_reads(ledger.database, length=3)


def at_position(ledger: Ledger, position: int, at: datetime) -> None:
    with psycopg.connect(ledger.database.reads.as_operator()) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE events SET recorded_at = %s WHERE notification_id = %s", [at, position])


class TestAnEmbargo:
    def test_keeps_the_looks_of_its_dossier(self, ledger, clock, looked):
        """And itself; once it has ended, the next drop takes them."""
        ledger.place_embargo(looked[1], until=LAST, text="Vụ 7")
        age_looks(ledger.database, 8, through=8)
        assert DropPlan(BEFORE, 8, 5, 3) == ledger.plan_drop(BEFORE)
        drop(ledger)
        assert [2, 5, 8] == [row.position for row in ledger.looks(looked[1]).rows if row.position < 9]
        clock.now = clock.now.replace(year=2025)
        assert DropPlan(BEFORE, 8, 3, 0) == ledger.plan_drop(BEFORE)
        drop(ledger)
        assert [row.what for row in ledger.looks(looked[1]).rows] == ["reads"] * 2
        check_reads(ledger.database)

    def test_is_known_to_the_database_as_it_is_told(self, ledger, clock, dossiers):
        """Laid, ended, lifted, laid again, shortened: by the last that was said."""
        more = [ledger.record(collect(citizen=citizen(number))).dossier_id for number in range(10, 14)]
        laid, ended, lifted, again, shortened, lengthened, none = [*dossiers, *more]
        for dossier_id, until in (
            *((laid, LAST), (ended, TODAY), (lifted, LAST), (again, LAST), (shortened, LAST)),
            *((shortened, TODAY), (lengthened, TODAY), (lengthened, LAST)),
        ):
            ledger.place_embargo(dossier_id, until=until, text="x")
        for dossier_id in (lifted, again):
            ledger.lift_embargo(dossier_id, text="x")
        ledger.place_embargo(again, until=LAST, text="x")
        ledger.dossier(none)
        with psycopg.connect(ledger.database.reads.as_operator()) as connection:
            for day in (TODAY, TODAY + timedelta(days=1), LAST, LAST + timedelta(days=1)):
                rows = connection.execute("SELECT under_embargo(%s)", [day]).fetchall()
                assert {dossier for (dossier,) in rows} == {
                    dossier
                    for dossier in (*dossiers, *more)
                    if embargo_on(ledger.reads.last(dossier)[1], day)
                }, day
                assert (day == TODAY) == ((ended,) in rows)

    def test_that_is_laid_meanwhile_stops_the_drop(self, ledger, looked):
        """Nothing goes: its dossier's looks might have been among it."""
        planned = ledger.plan_drop(BEFORE)
        with ThreadPoolExecutor(1) as pool:
            with head_held(ledger) as holder:
                dropping = pool.submit(ledger.drop_looks, planned, reason="x")
                wait_until(lambda: waits(ledger))
                event = EmbargoPlaced(until=LAST, who="chief", kind="person", text="Vụ 7")
                state = msgspec.json.encode(event)
                holder.execute(
                    "SELECT record_reads(%s, %s, %s)", [[looked[2]], ["embargo.placed.v1"], [state]]
                )
            with pytest.raises(ContentionError, match="nothing was dropped"):
                dropping.result()
        check_reads(ledger.database, length=8)


@contextmanager
def head_held(ledger: Ledger) -> Iterator[psycopg.Connection]:
    """Let nobody record a look meanwhile but whoever has this connection."""
    with psycopg.connect(ledger.database.reads.as_operator()) as holder:
        holder.execute("SELECT FROM head FOR UPDATE")
        yield holder


def waits(ledger: Ledger) -> bool:
    """Whether anybody waits for a lock."""
    with psycopg.connect(ledger.database.as_operator(), autocommit=True) as connection:
        [[number]] = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        ).fetchall()
    return number > 0


class TestWhatIsRefused:
    """Nothing goes, and nothing is recorded."""

    @pytest.fixture(autouse=True)
    def _nothing_goes(self, ledger, looked):
        yield
        check_reads(ledger.database, length=7)

    def test_a_day_that_is_not_five_years_ago(self, ledger):
        """Neither to count nor to drop."""
        later = BEFORE + timedelta(days=1)
        with pytest.raises(FieldInvalidError, match="2019-12-09 or earlier: looks are kept for 5 years"):
            ledger.plan_drop(later)
        with pytest.raises(FieldInvalidError):
            ledger.drop_looks(DropPlan(later, 6, 6, 0), reason="x")

    def test_looks_that_the_databases_clock_finds_too_young(self, ledger, clock):
        """Where the clock of whoever drops is ahead of it."""
        age_looks(ledger.database, 4)
        clock.now = clock.now.replace(year=2060)
        planned = ledger.plan_drop(date(2055, 1, 1))
        assert 7 == planned.looks
        with pytest.raises(FieldInvalidError, match="database server's clock"):
            ledger.drop_looks(planned, reason="x")

    @pytest.mark.parametrize("planned", [(6, 5, 0), (6, 7, 0), (6, 0, 0), (6, 6, 1), (5, 5, 0), (7, 7, 0)])
    def test_other_looks_than_were_told(self, ledger, planned):
        """Whoever said yes to some has not said it to others."""
        with pytest.raises(ContentionError, match="ask again how many"):
            ledger.drop_looks(DropPlan(BEFORE, *planned), reason="x")

    @pytest.mark.parametrize("looks", [5, 7, 0])
    def test_other_looks_than_the_record_would_say(self, ledger, looks):
        """Where it changes at the last moment, the database finds it."""
        fields = {"before": BEFORE, "through": 6, "looks": looks, "kept": 0}
        event = LooksDropped(**fields, who="local", kind="local", actor="local", text="x")
        with pytest.raises(ContentionError, match="ask again how many"):
            dropping.drop(ledger.database, event, TODAY)

    def test_who_may_not(self, ledger):
        """The operator of a part of the tree neither: looks are of all of it."""
        planned = ledger.plan_drop(BEFORE)
        for by in (AUDITOR, within(ledger, Role.OPERATOR, UNIT)):
            with pytest.raises(NotPermittedError):
                ledger.plan_drop(BEFORE, by=by)
            with pytest.raises(NotPermittedError):
                ledger.drop_looks(planned, reason="x", by=by)

    @pytest.mark.parametrize("reason", ["038090001234", "038 090 001 234"])
    def test_a_reason_that_holds_a_number(self, ledger, reason):
        with pytest.raises(PersonalNumberError):
            ledger.drop_looks(ledger.plan_drop(BEFORE), reason=reason)


@pytest.mark.parametrize(
    ("today", "day"),
    [
        (date(2024, 12, 9), date(2019, 12, 9)),
        (date(2024, 2, 29), date(2019, 2, 28)),
        (date(2028, 2, 28), date(2023, 2, 28)),
    ],
)
def test_five_years_are_those_of_the_calendar(today, day):
    """Of a leap day, the day before 1 March."""
    assert day == five_years_before(today)
