"""Nothing of a dossier is told before the second log says who looks; and what it tells of them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from threading import Barrier
from uuid import UUID, uuid4

import psycopg
import pytest

from ledger import Ledger, Purpose
from ledger.access import LOCAL, NOBODY, Grant, Principal, Role
from ledger.errors import (
    CitizenUnknownError,
    DossierUnknownError,
    FieldInvalidError,
    FieldMissingError,
    LedgerError,
    NoEmbargoError,
    NotPermittedError,
    PersonalNumberError,
    PurposeNeededError,
    PurposeUnknownError,
    ReadNotRecordedError,
    UnavailableError,
)
from ledger.reads import EmbargoLifted, EmbargoPlaced, Looked, log
from ledger.target_events import TARGETS_STREAM
from ledger.unit_events import UNITS_STREAM
from projections import WorklistQuery, catch_up, open_worklist
from tests.api.conftest import wait_until
from tests.conftest import check_ledger, check_reads
from tests.ledger.reports import CITIZEN, UNIT, a_life, citizen, collect

DISTRICT, ELSEWHERE = "380", "382"
"""The district of the unit, and another one."""

AUDITOR = Principal("inspector@example", "person", (Grant(Role.AUDITOR),))
WHY = Purpose("complaint", "Đơn số 12/2024")
ASKING: dict[str, Callable[..., object]] = {
    "history": lambda ledger, dossier_id, **how: ledger.history(dossier_id=dossier_id, **how),
    "state": lambda ledger, dossier_id, **how: ledger.dossier(dossier_id, **how),
    "lookup": lambda ledger, _, **how: ledger.find(CITIZEN, **how),
    "number": lambda ledger, dossier_id, **how: ledger.reveal(dossier_id, **how),
    "reads": lambda ledger, dossier_id, **how: ledger.looks(dossier_id, **how),
}
"""Each way to be told something of a dossier, by what it is recorded as."""


@pytest.fixture
def dossier_id(ledger: Ledger) -> UUID:
    return ledger.record_many(a_life())[0].dossier_id


class TestALook:
    def test_is_recorded_with_who_and_why(self, ledger, dossier_id):
        """One event for each answer, of what was told."""
        for ask in ASKING.values():
            ask(ledger, dossier_id, by=AUDITOR, purpose=WHY)

        told = check_reads(ledger.database, length=len(ASKING))
        assert [(dossier_id, version) for version in range(1, len(ASKING) + 1)] == [
            (stream, version) for stream, version, _, _ in told
        ]
        assert [
            Looked(
                what=what, who="inspector@example", kind="person", purpose="complaint", text="Đơn số 12/2024"
            )
            for what in ASKING
        ] == [event for _, _, event, _ in told]

    def test_by_number_is_one_look(self, ledger, dossier_id):
        """Finding the dossier is part of reading its history."""
        ledger.history(citizen=CITIZEN)
        [(stream, _, event, _)] = check_reads(ledger.database, length=1)
        assert (dossier_id, "history") == (stream, event.what)

    def test_at_the_ledgers_own_machine_is_recorded_too(self, ledger, dossier_id):
        """Who opens a ledger themselves has a purpose of their own, and may name another."""
        ledger.dossier(dossier_id)
        ledger.dossier(dossier_id, purpose=Purpose("audit"))
        assert [
            Looked(what="state", who="local", kind="local", purpose=purpose) for purpose in ("local", "audit")
        ] == [event for _, _, event, _ in check_reads(ledger.database)]

    def test_leaves_the_first_log_alone(self, ledger, dossier_id):
        """And recording leaves the second alone."""
        check_reads(ledger.database, length=0)
        ledger.history(dossier_id=dossier_id)
        ledger.record(collect(citizen=citizen(2)))
        check_reads(ledger.database, length=1)
        check_ledger(ledger, length=586 + 4)

    def test_needs_a_purpose(self, ledger, dossier_id):
        """Nobody but the ledger's own machine may leave it away, or name what is none; nothing is told or recorded."""
        for ask in ASKING.values():
            with pytest.raises(PurposeNeededError):
                ask(ledger, dossier_id, by=AUDITOR)
            with pytest.raises(PurposeUnknownError):
                ask(ledger, dossier_id, by=AUDITOR, purpose=Purpose("curiosity"))
        check_reads(ledger.database, length=0)

    def test_of_nothing_is_none(self, ledger):
        """What there is no dossier of has no stream of looks."""
        for unknown in (uuid4(), UNITS_STREAM, TARGETS_STREAM):
            for ask in (ledger.dossier, ledger.looks, lambda found: ledger.history(dossier_id=found)):
                with pytest.raises(DossierUnknownError):
                    ask(unknown)
        with pytest.raises(CitizenUnknownError):
            ledger.find(citizen(9))
        check_reads(ledger.database, length=0)

    def test_says_no_number_of_whom_it_is_about(self, ledger, dossier_id):
        """However it is spaced, wherever the ledger knows it."""
        spaced = Purpose("audit", "về 038.090.001.234")
        for ask in (
            lambda: ledger.find(CITIZEN, purpose=spaced),
            lambda: ledger.history(citizen=CITIZEN, purpose=spaced),
            lambda: ledger.reveal(dossier_id, purpose=spaced),
        ):
            with pytest.raises(PersonalNumberError):
                ask()
        check_reads(ledger.database, length=0)


class TestTheRight:
    """Whoever may not look leaves no look; whoever may, is recorded with the part of the tree that lets them."""

    def test_is_asked_of_each_way(self, ledger, dossier_id):
        """A corrector reads histories, and neither numbers nor who looked; another district's auditor nothing."""
        corrector = within(ledger, Role.CORRECTOR, None)
        for what, ask in ASKING.items():
            if what in ("number", "reads"):
                with pytest.raises(NotPermittedError):
                    ask(ledger, dossier_id, by=corrector, purpose=WHY)
            with pytest.raises(NotPermittedError):
                ask(ledger, dossier_id, by=within(ledger, Role.AUDITOR, ELSEWHERE), purpose=WHY)
        for attempt in (
            lambda: ledger.place_embargo(dossier_id, until=LAST, text="x", by=AUDITOR),
            lambda: ledger.lift_embargo(dossier_id, text="x", by=AUDITOR),
            lambda: ledger.place_embargo(
                dossier_id, until=LAST, text="x", by=within(ledger, Role.OPERATOR, ELSEWHERE)
            ),
        ):
            with pytest.raises(NotPermittedError):
                attempt()
        check_reads(ledger.database, length=0)

    @pytest.mark.parametrize("code", [UNIT, DISTRICT, None])
    def test_is_told_with_its_part(self, ledger, dossier_id, code):
        """As the unit was called on the day; nothing where it is the whole ledger. Of several parts, the one that reaches."""
        auditor = within(ledger, Role.AUDITOR, code, ELSEWHERE)
        for ask in ASKING.values():
            ask(ledger, dossier_id, by=auditor, purpose=WHY)
        rows = ledger.looks(dossier_id).rows[: len(ASKING)]
        assert [code] * len(ASKING) == [row.unit and row.unit.code for row in rows]

    def test_is_told_on_a_worklist(self, ledger, dossier_id):
        """Each dossier of the page has a look."""
        other = ledger.record(collect(citizen=citizen(2))).dossier_id
        catch_up(ledger.database)
        recorder = within(ledger, Role.RECORDER, DISTRICT)
        answer = open_worklist(ledger).read(WorklistQuery(unit=UNIT), by=recorder)
        assert [other] == [row.dossier_id for row in answer.rows]
        [(stream, _, event, _)] = check_reads(ledger.database, length=1)
        district = ledger.tree().resolve(DISTRICT, ledger.today())
        assert (other, district.id, "worklist", "work") == (stream, event.unit_id, event.what, event.purpose)
        open_worklist(ledger).read(WorklistQuery(unit=UNIT))
        assert "local" == check_reads(ledger.database, length=2)[1][2].purpose


def within(ledger: Ledger, role: Role, *codes: str | None) -> Principal:
    """Somebody who has a role over some units; None: the whole ledger."""
    tree, today = ledger.tree(), ledger.today()
    grants = (Grant(role, None if code is None else tree.resolve(code, today).id) for code in codes)
    return Principal("p", "person", tuple(grants))


class TestTogether:
    def test_one_look_takes_several_dossiers(self, ledger, dossier_id):
        """A page of a worklist: one event for each, in one commit."""
        others = [uuid4() for _ in range(999)]
        ledger.reads.record(dict.fromkeys([dossier_id, *others]), "worklist", by=AUDITOR, purpose=WHY)
        told = check_reads(ledger.database, length=1000)
        assert [dossier_id, *others] == [stream for stream, _, _, _ in told]
        assert 1 == len({at for _, _, _, at in told})

    def test_a_dossier_may_come_twice_in_one_commit(self, ledger, dossier_id):
        """Its versions follow each other, as where two ask at once."""
        event = Looked(what="state", who="a", kind="person", purpose="audit")
        other = uuid4()
        ledger.reads.append([dossier_id, other, dossier_id], [event] * 3)
        ledger.reads.append([other, dossier_id], [event] * 2)
        assert [(dossier_id, 1), (other, 1), (dossier_id, 2), (other, 2), (dossier_id, 3)] == [
            (stream, version) for stream, version, _, _ in check_reads(ledger.database)
        ]

    def test_nothing_looked_at_is_no_look(self, ledger):
        """An empty page of a worklist."""
        ledger.reads.record({}, "worklist", by=AUDITOR, purpose=WHY)
        check_reads(ledger.database, length=0)

    def test_thirty_two_readers_of_one_dossier_never_refuse_each_other(self, ledger, open_again, dossier_id):
        """In two processes' worth of connections: dense versions, and each answer has its look."""
        ledgers = [ledger, open_again()]
        start = Barrier(32)

        def read(number: int) -> None:
            start.wait()
            for each in range(5):
                purpose = Purpose("audit", f"{number}/{each}")
                assert 3 == len(ledgers[number % 2].history(dossier_id=dossier_id, purpose=purpose).events)

        with ThreadPoolExecutor(32) as pool:
            list(pool.map(read, range(32)))
        told = check_reads(ledger.database, length=160)
        assert {f"{number}/{each}" for number in range(32) for each in range(5)} == {
            event.text for _, _, event, _ in told
        }

    def test_those_who_wait_share_a_commit(self, ledger, dossier_id):
        """While one waits for its turn, all others of the process gather behind it."""
        with ThreadPoolExecutor(20) as pool:
            with psycopg.connect(ledger.database.reads.as_operator()) as holder:
                holder.execute("SELECT FROM head FOR UPDATE")
                looks = [pool.submit(ledger.dossier, dossier_id)]
                wait_until(lambda: ledger.reads._committing.locked() and not ledger.reads._next.ids)
                looks += [pool.submit(ledger.dossier, dossier_id) for _ in range(19)]
                wait_until(lambda: len(ledger.reads._next.ids) == 19)
            for look in looks:
                look.result()
        assert 2 == len({at for _, _, _, at in check_reads(ledger.database, length=20)})

    def test_those_who_share_a_commit_share_its_failure(
        self, database, ledger, open_again, monkeypatch, dossier_id
    ):
        """Nobody is told anything; once it can be recorded again, everybody is."""
        monkeypatch.setattr(log, "LOCK_SECONDS_MAX", 0.2)
        again = open_again()
        with ThreadPoolExecutor(20) as pool:
            with psycopg.connect(database.reads.as_operator()) as holder:
                holder.execute("SELECT FROM head FOR UPDATE")
                looks = [pool.submit(again.dossier, dossier_id) for _ in range(20)]
                assert {ReadNotRecordedError} == {type(look.exception()) for look in looks}
            assert [3] * 20 == [state.version for state in pool.map(again.dossier, [dossier_id] * 20)]
        check_reads(database, length=20)


AWAY = {
    "it may not be recorded": "REVOKE EXECUTE ON FUNCTION ledger_reads.record_reads FROM ledger_reads_writer",
    "its schema is shut": "REVOKE USAGE ON SCHEMA ledger_reads FROM ledger_reads_writer",
    "its table is away": "ALTER TABLE ledger_reads.events RENAME TO gone",
    "it is full": "ALTER TABLE ledger_reads.events ADD CHECK (notification_id < 0)",
    "its clock is behind": "UPDATE ledger_reads.head SET recorded_at = clock_timestamp() + interval '1 hour'",
}


class TestTheSecondLogAway:
    @pytest.mark.parametrize("damage", AWAY.values(), ids=AWAY)
    def test_nothing_is_told(self, ledger, operator, dossier_id, damage):
        """For whatever reason it cannot be recorded."""
        operator.execute(damage)
        for ask in ASKING.values():
            with pytest.raises(UnavailableError) as caught:
                ask(ledger, dossier_id)
            assert "read_not_recorded" == caught.value.code
            assert CITIZEN not in str(caught.value)

    def test_nobody_waits_for_it_for_long(self, database, open_again, monkeypatch, dossier_id):
        """Somebody else holds its lock."""
        monkeypatch.setattr(log, "LOCK_SECONDS_MAX", 0.1)
        again = open_again()
        with psycopg.connect(database.reads.as_operator()) as holder:
            holder.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
            for ask in ASKING.values():
                with pytest.raises(ReadNotRecordedError):
                    ask(again, dossier_id)
        for ask in ASKING.values():
            assert ask(again, dossier_id)
        check_reads(database, length=len(ASKING))

    def test_reports_are_recorded_all_the_same(self, ledger, operator, dossier_id):
        """Recording tells nobody anything."""
        operator.execute(AWAY["it may not be recorded"])
        ledger.record(collect(citizen=citizen(2)))
        check_ledger(ledger, length=586 + 4)


NOT_ALLOWED = {
    "ledger_auditor": ("SELECT FROM ledger_reads.events",),
    "ledger_writer": (
        "SELECT FROM ledger_reads.events",
        "SELECT ledger_reads.record_reads('{}', '{}', '{}')",
    ),
    "ledger_reads_writer": (
        "SELECT FROM ledger.events",
        "SELECT ledger.claim_key('x')",
        "SELECT FROM ledger_reads.citizens",
        "SELECT FROM ledger_reads.dropped",
        "SELECT ledger_reads.drop_looks(0, current_date, 0, '{}')",
        "SELECT ledger_reads.under_embargo(current_date)",
        "SELECT ledger_reads.append(ARRAY[gen_random_uuid()], '{1}', '{x}', '{x}', '{}', '{}', '{}', '{}', 0)",
        "INSERT INTO ledger_reads.events DEFAULT VALUES",
        "UPDATE ledger_reads.head SET size = 0",
        "DELETE FROM ledger_reads.events",
    ),
}


class TestThePrivileges:
    @pytest.mark.parametrize("role", NOT_ALLOWED)
    def test_whoever_may_append_to_one_log_may_nothing_with_the_other(self, operator, role):
        """Nor name a version in the second one, or change it."""
        operator.execute(f"SET ROLE {role}")
        for statement in NOT_ALLOWED[role]:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                operator.execute(statement)

    def test_even_an_owner_is_stopped(self, ledger, dossier_id):
        """By the triggers of the first log, which it was made with."""
        ledger.dossier(dossier_id)
        with psycopg.connect(ledger.database.reads.as_operator(), autocommit=True) as owner:
            owner.execute("SET ROLE ledger_owner")
            for statement in (
                "UPDATE events SET topic = ''",
                "DELETE FROM events",
                "TRUNCATE events",
                "DELETE FROM head",
            ):
                with pytest.raises(psycopg.Error, match="append-only"):
                    owner.execute(statement)

    def test_nobody_can_be_registered_in_the_second_log(self, ledger):
        """Whoever might; it is no place for numbers."""
        with psycopg.connect(ledger.database.reads.as_operator(), autocommit=True) as owner:
            with pytest.raises(psycopg.errors.CheckViolation):
                owner.execute("INSERT INTO citizens VALUES ('x', gen_random_uuid(), 'x', 'x')")
            assert [(None,)] == owner.execute("SELECT to_regclass('ledger_reads.key_check')").fetchall()


INVESTIGATION, REQUEST = Purpose("investigation", "Vụ 7"), Purpose("citizen_request")
DETECTIVE = Principal("detective", "person", (Grant(Role.AUDITOR),))
CHIEF = Principal("chief", "person", (Grant(Role.OPERATOR),))
TODAY, LAST, AFTER = date(2024, 12, 9), date(2024, 12, 12), date(2024, 12, 13)


def seen(ledger: Ledger, dossier_id: UUID, by: Principal) -> list[str]:
    """What somebody is told, in short, but for their own asking."""
    rows = ledger.looks(dossier_id, by=by, purpose=REQUEST).rows
    return [row.type if row.purpose is None else row.purpose for row in rows if row.what != "reads"]


class TestAnEmbargo:
    @pytest.fixture
    def looked(self, ledger, dossier_id) -> UUID:
        """A dossier that was looked at for two purposes."""
        ledger.history(dossier_id=dossier_id, by=AUDITOR, purpose=REQUEST)
        ledger.history(dossier_id=dossier_id, by=DETECTIVE, purpose=INVESTIGATION)
        return dossier_id

    def test_keeps_back_looks_for_an_investigation_and_itself(self, ledger, looked):
        """Before and after it was laid, from those who may not lay one; whoever may is told everything."""
        assert ["citizen_request", "investigation"] == seen(ledger, looked, AUDITOR)
        ledger.place_embargo(looked, until=LAST, text="Vụ 7", by=CHIEF)
        ledger.dossier(looked, by=DETECTIVE, purpose=INVESTIGATION)
        assert ["citizen_request"] == seen(ledger, looked, AUDITOR)
        assert ["citizen_request", "investigation", "embargo_placed", "investigation"] == seen(
            ledger, looked, CHIEF
        )
        assert (None, LAST) == tuple(
            ledger.looks(looked, by=by, purpose=REQUEST).embargo for by in (AUDITOR, CHIEF)
        )

    def test_ends_with_its_last_day(self, ledger, clock, looked):
        """In Vietnam; then all of it comes to light, the embargo too."""
        ledger.place_embargo(looked, until=LAST, text="Vụ 7", by=CHIEF)
        clock.now = clock.now.replace(day=LAST.day)  # 23:00 in Vietnam
        assert ["citizen_request"] == seen(ledger, looked, AUDITOR)
        clock.now = clock.now.replace(hour=17)  # midnight
        assert ["citizen_request", "investigation", "embargo_placed"] == seen(ledger, looked, AUDITOR)

    def test_is_lifted(self, ledger, looked):
        """Before its day, by an event that says why."""
        ledger.place_embargo(looked, until=LAST, text="Vụ 7", by=CHIEF)
        ledger.lift_embargo(looked, text="Kết thúc điều tra", by=CHIEF)
        assert ["citizen_request", "investigation", "embargo_placed", "embargo_lifted"] == seen(
            ledger, looked, AUDITOR
        )
        told = [row for row in ledger.looks(looked).rows if row.type.startswith("embargo")]
        assert [("chief", "person", LAST, "Vụ 7"), ("chief", "person", None, "Kết thúc điều tra")] == [
            (row.who, row.kind, row.until, row.text) for row in told
        ]

    def test_is_an_event(self, ledger, dossier_id):
        """Of the dossier's stream in the second log."""
        ledger.place_embargo(dossier_id, until=LAST, text="Vụ 7")
        ledger.lift_embargo(dossier_id, text="xong")
        assert [
            EmbargoPlaced(until=LAST, who="local", kind="local", text="Vụ 7"),
            EmbargoLifted(who="local", kind="local", text="xong"),
        ] == [event for _, _, event, _ in check_reads(ledger.database)]

    @pytest.mark.parametrize("until", [TODAY, AFTER])
    def test_the_latest_counts(self, ledger, clock, looked, until):
        """Whether it ends sooner or later than the one before it."""
        for day in (LAST, until):
            ledger.place_embargo(looked, until=day, text="Vụ 7", by=CHIEF)
        for day in (TODAY, LAST, AFTER):
            clock.now = clock.now.replace(day=day.day)
            assert (day > until) == ("investigation" in seen(ledger, looked, AUDITOR)), day

    def test_can_be_laid_again(self, ledger, looked):
        """After it was lifted."""
        ledger.place_embargo(looked, until=LAST, text="Vụ 7", by=CHIEF)
        ledger.lift_embargo(looked, text="xong", by=CHIEF)
        ledger.place_embargo(looked, until=LAST, text="Vụ 8", by=CHIEF)
        assert ["citizen_request"] == seen(ledger, looked, AUDITOR)

    def test_is_that_of_one_dossier(self, ledger, looked):
        """Another's looks are told."""
        other = ledger.record(collect(citizen=citizen(2))).dossier_id
        ledger.dossier(other, by=DETECTIVE, purpose=INVESTIGATION)
        ledger.place_embargo(looked, until=LAST, text="Vụ 7", by=CHIEF)
        assert ["investigation"] == seen(ledger, other, AUDITOR)

    @pytest.mark.parametrize(
        ("until", "text", "error"),
        [
            (date(2024, 12, 8), "x", FieldInvalidError),
            (date(2029, 12, 14), "x", FieldInvalidError),
            (LAST, "", FieldMissingError),
            (LAST, f"về {CITIZEN}", PersonalNumberError),
        ],
    )
    def test_that_cannot_be_is_refused(self, ledger, dossier_id, until, text, error):
        """A day that is past or too far ahead, or a text that is none."""
        with pytest.raises(error):
            ledger.place_embargo(dossier_id, until=until, text=text)
        check_reads(ledger.database, length=0)

    def test_of_nothing_is_refused(self, ledger):
        """There is no such dossier."""
        for attempt in (
            lambda: ledger.place_embargo(uuid4(), until=LAST, text="x"),
            lambda: ledger.lift_embargo(uuid4(), text="x"),
        ):
            with pytest.raises(DossierUnknownError):
                attempt()

    def test_that_does_not_last_cannot_be_lifted(self, ledger, clock, dossier_id):
        """None was laid, it was lifted, or its day has passed."""

        def lift() -> str:
            try:
                ledger.lift_embargo(dossier_id, text="x")
            except LedgerError as error:
                return error.code
            return "lifted"

        assert NoEmbargoError.code == lift()
        ledger.place_embargo(dossier_id, until=TODAY, text="x")
        assert ["lifted", "no_embargo"] == [lift(), lift()]
        ledger.place_embargo(dossier_id, until=TODAY, text="x")
        clock.now = clock.now.replace(hour=17)
        assert "no_embargo" == lift()


class TestWhatIsTold:
    def test_is_who_when_why_and_what(self, ledger, dossier_id):
        """Asking is a look too, and told at once."""
        ledger.history(dossier_id=dossier_id, by=AUDITOR, purpose=WHY)
        told = ledger.looks(dossier_id)
        times = [at for _, _, _, at in check_reads(ledger.database, length=2)]
        assert [
            (1, times[0], "inspector@example", "person", "history", "complaint", "Đơn số 12/2024"),
            (2, times[1], "local", "local", "reads", "local", ""),
        ] == [(r.position, r.recorded_at, r.who, r.kind, r.what, r.purpose, r.text) for r in told.rows]

    def test_comes_in_parts(self, ledger, dossier_id):
        """Each part says where the next begins, and what is kept back leaves no hole to be seen."""
        other = uuid4()
        for number in range(6):
            purpose = INVESTIGATION if number == 2 else Purpose("audit", str(number))
            ledger.reads.record({other: None}, "state", by=AUDITOR, purpose=purpose)
            ledger.reads.record({dossier_id: None}, "state", by=AUDITOR, purpose=purpose)
        ledger.place_embargo(dossier_id, until=LAST, text="x")
        told, after = [], 0
        while after is not None:
            part = ledger.looks(dossier_id, after=after, limit=2, by=AUDITOR, purpose=REQUEST)
            told += [row.text for row in part.rows if row.what == "state"]
            assert len(part.rows) <= 2
            after = part.next if len(told) < 5 else None
        assert ["0", "1", "3", "4", "5"] == told

    @pytest.mark.parametrize("entries", [1, 3, 4, 1000])
    def test_is_read_some_at_a_time(self, ledger, dossier_id, monkeypatch, entries):
        """However many: all of it once, in order, up to the moment of the question, and after a position."""
        monkeypatch.setattr(log, "PAGE_ENTRIES", entries)
        for number in range(6):
            ledger.reads.record(
                {dossier_id: None}, "state", by=AUDITOR, purpose=Purpose("audit", str(number))
            )
        version, last = ledger.reads.last(dossier_id)
        ledger.place_embargo(dossier_id, until=LAST, text="x")

        assert (6, None) == (version, last)
        told = [entry.event.text for entry in ledger.reads.until(dossier_id, version)]
        assert ["0", "1", "2", "3", "4", "5"] == told
        assert [5, 6] == [entry.position for entry in ledger.reads.until(dossier_id, version, after=4)]
        assert [] == list(ledger.reads.until(uuid4(), 0))
        version, last = ledger.reads.last(dossier_id)
        assert (7, LAST) == (version, last.event.until)

    def test_the_servers_ledger_is_nobody(self, database, identities, clock, dossier_id):
        """Where it is forgotten for whom it asks, it is told nothing without a purpose."""
        with (
            Ledger(database, identities, now=clock, principal=NOBODY) as nobodys,
            pytest.raises(LedgerError),
        ):
            nobodys.dossier(dossier_id)
        assert ("local", "nobody") == (LOCAL.kind, NOBODY.kind)
        check_reads(database, length=0)


@pytest.mark.parametrize("size", [3, 4, 6], ids="in groups of {}".format)
def test_a_purpose_does_not_hold_the_number(ledger, dossier_id, size):
    """In no spelling; it would stand in the log of looks, for years. Nothing is told, and nothing recorded."""
    spelt = "-".join(CITIZEN[start : start + size] for start in range(0, 12, size))
    for text in (spelt, f"of 20{CITIZEN} say", f"{spelt}."):
        for ask in ASKING.values():
            with pytest.raises(PersonalNumberError):
                ask(ledger, dossier_id, by=AUDITOR, purpose=Purpose("complaint", text))
        for change in (
            lambda text: ledger.place_embargo(dossier_id, until=date(2025, 1, 1), text=text),
            lambda text: ledger.lift_embargo(dossier_id, text=text),
        ):
            with pytest.raises(PersonalNumberError):
                change(text)
    check_reads(ledger.database, length=0)
    ledger.history(
        dossier_id=dossier_id, by=AUDITOR, purpose=Purpose("complaint", "12/2024, 038090 and 001235")
    )
    check_reads(ledger.database, length=1)
