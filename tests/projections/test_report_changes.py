"""What has become of a frozen report adds up, count by count and event by event."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date, datetime, timedelta
from random import Random

import pytest
from msgspec.structs import astuple, replace

from ledger import Ledger, Receipt
from ledger.application import utc_now
from ledger.errors import LedgerError, UnitNotValidError
from ledger.events import DossierEvent
from ledger.units.commands import (
    AbolishUnits,
    MergeUnits,
    MoveUnits,
    RenameUnit,
    SplitUnit,
    WithdrawReorganisation,
)
from projections import (
    CountsDifferError,
    ReportChanges,
    ReportDiffersError,
    Runner,
    Totals,
    TotalsQuery,
    freeze_report,
    rebuild,
    reissue_report,
    report_changes,
)
from projections.frozen_reports import question_of
from projections.report_changes import KINDS
from projections.unit_totals import MEASURES
from tests.conftest import check_ledger
from tests.ledger.reports import (
    DAY,
    MONDAY,
    OTHER_PART,
    PART,
    UNIT,
    a_life,
    allocate,
    amend,
    approve,
    citizen,
    collect,
    reassign,
    void,
)
from tests.projections import by_hand, campaigns
from tests.projections.test_frozen_reports import QUERIES

TO = date(2024, 12, 9)


@pytest.fixture
def freeze(ledger: Ledger, totals: Totals):
    def freeze(name: str = "a", **query):
        totals.catch_up()
        return freeze_report(ledger, totals, name, TotalsQuery(**query)).frozen

    return freeze


@pytest.fixture
def changes(ledger: Ledger, totals: Totals):
    def changes(name: str = "a", **asked) -> ReportChanges:
        totals.catch_up()
        return report_changes(ledger, totals, name, **asked)

    return changes


def check_adds_up(ledger: Ledger, totals: Totals, name: str, **now_asked) -> ReportChanges:
    """Check an answer against the two reports, and its events, all pages of them, against its counts."""
    found = report_changes(ledger, totals, name, limit=7)
    reissued = reissue_report(ledger, totals, name)
    frozen = reissued.answer
    now = totals.read(
        replace(question_of(reissued.frozen.report, position=found.position), compare=None, **now_asked)
    )
    assert frozen.sum == {measure: change.frozen for measure, change in found.sum.items()}
    assert now.sum == {measure: change.now for measure, change in found.sum.items()}
    for change in [*found.sum.values(), *(c for row in found.rows for c in row["counts"].values())]:
        assert change.now - change.frozen == change.difference
        assert change.difference == sum(getattr(change, kind) for kind in KINDS)
    for side, answer in (("frozen", frozen), ("now", now)):
        told = sorted(
            [getattr(row["counts"][m], side) for m in MEASURES]
            for row in found.rows
            if any(getattr(row["counts"][m], side) for m in MEASURES)
        )
        assert (
            sorted([row[m] for m in MEASURES] for row in answer.rows if any(row[m] for m in MEASURES)) == told
        )

    events = list(found.events)
    while found.next is not None:
        found = report_changes(ledger, totals, name, after=found.next, limit=7, position=found.position)
        events += found.events
    assert sorted({event.position for event in events}) == [event.position for event in events]
    log = {
        entry.position: entry for entry in ledger.read(after=reissued.frozen.report.position, limit=100_000)
    }
    added: Counter = Counter()
    for event in events:
        for change in event.changes:
            added[event.kind, change["measure"]] += change["count"]
        entry = log[event.position]
        assert entry.recorded_at == event.recorded_at
        if event.kind != "moved":
            assert isinstance(entry.event, DossierEvent)
            assert entry.event.occurred_at == event.occurred_at
            late = event.occurred_at <= frozen.recorded_at
            assert {"arrived_late": late, "occurred_since": not late}.get(event.kind, True)
    for measure, change in found.sum.items():
        for kind in KINDS[:-1]:
            assert added[kind, measure] == getattr(change, kind), (name, kind, measure)
    return report_changes(ledger, totals, name)


def kinds(found: ReportChanges, measure: str = "collected") -> dict[str, tuple[int, ...]]:
    """Return what changed of a measure by the code of the unit: frozen, now and each kind."""
    return {
        row["unit"]["code"]: (change.frozen, change.now, *astuple(change)[3:])
        for row in found.rows
        if any(astuple(change := row["counts"][measure])[2:])
    }


def test_nothing_has_changed(ledger, totals, freeze, changes):
    """That it was frozen is an event too, and changes nothing."""
    ledger.record_many(a_life())
    freeze(unit="380")
    found = changes()
    assert (589, 590, [], None) == (found.frozen_position, found.position, found.events, found.next)
    assert {} == kinds(found)
    check_adds_up(ledger, totals, "a")


def test_what_came_late_and_what_was_corrected(ledger, totals, clock, freeze, changes):
    clock.now += timedelta(days=1)
    ledger.record_many(
        [collect(citizen=citizen(1)), collect(citizen=citizen(2)), collect(citizen=citizen(3))]
    )
    freeze(unit="380", to_day=TO)
    ledger.record_many(
        [
            collect(citizen=citizen(4), unit="14755"),
            void(citizen=citizen(1), corrects=1),
            reassign(citizen=citizen(2), corrects=1, unit="14761"),
            amend(citizen=citizen(3), corrects=1),
            approve(citizen=citizen(3)),
            collect(
                citizen=citizen(5),
                unit="14755",
                occurred_at=datetime.fromisoformat("2024-12-10T08:00:00+07:00"),
            ),
        ]
    )
    found = changes()
    assert {
        "14755": (0, 1, 1, 0, 0, 0, 0),
        "14758": (3, 1, 0, 0, -2, 0, 0),
        "14761": (0, 1, 0, 0, 1, 0, 0),
    } == kinds(found)
    assert [
        (591, "arrived_late", "collected", "14755"),
        (592, "corrected", "voided", "14758"),
        (593, "corrected", "reassigned", "14758"),
        (595, "arrived_late", "approved", "14758"),
    ] == [(event.position, event.kind, event.type, event.unit) for event in found.events][:4]
    # The amended place is none of this report's; what was collected on the day after waits all the same.
    [last] = found.events[4:]
    assert (596, [("awaiting_approval", 1)]) == (
        last.position,
        [(c["measure"], c["count"]) for c in last.changes],
    )
    check_adds_up(ledger, totals, "a")


def test_what_occurred_after_the_cut_off_is_not_late(ledger, totals, clock, freeze, changes):
    ledger.record(collect())
    frozen = freeze(unit="380")
    clock.now = utc_now() + timedelta(seconds=60)
    cut = ledger.at(position=frozen.report.position).recorded_at
    ledger.record_many(
        [
            collect(citizen=citizen(2), occurred_at=cut),
            collect(citizen=citizen(3), occurred_at=cut + timedelta(microseconds=1)),
        ]
    )
    assert ["arrived_late", "occurred_since"] == [event.kind for event in changes().events]
    # Unless midnight in Vietnam lies between, both are of the report's day.
    assert (1, 1) == (
        changes().sum["awaiting_approval"].arrived_late,
        changes().sum["awaiting_approval"].occurred_since,
    )


def test_one_kind_only_and_pages(ledger, totals, freeze, changes):
    ledger.record_many([collect(citizen=citizen(number)) for number in range(3)])
    freeze(to_day=TO)
    ledger.record_many([collect(citizen=citizen(number)) for number in range(3, 8)])
    ledger.record_many([void(citizen=citizen(number), corrects=1) for number in range(2)])
    assert 7 == len(changes().events)
    assert 2 == len(changes(kind="corrected").events)
    first = changes(kind="arrived_late", limit=3)
    assert ([590 + 1, 592, 593], 593) == ([event.position for event in first.events], first.next)
    rest = changes(kind="arrived_late", limit=3, after=first.next)
    assert ([594, 595], None) == ([event.position for event in rest.events], rest.next)
    assert [] == changes(kind="moved").events
    # The counts are whole on every page.
    assert first.sum == rest.sum


def test_as_of_a_position(ledger, totals, freeze, changes):
    """What now is can be fixed too, and is the same for ever."""
    ledger.record(collect())
    freeze(to_day=TO)
    position = ledger.record(collect(citizen=citizen(2))).position
    ledger.record(collect(citizen=citizen(3)))
    assert (1, 2) == (
        changes(position=position).sum["collected"].frozen,
        changes(position=position).sum["collected"].now,
    )


def test_moved_by_a_reorganisation_that_was_recorded_late(ledger, totals, clock, freeze, changes):
    """And by its withdrawal: then everything is as it was, and nothing has moved."""
    ledger.record_many([collect(citizen=citizen(1)), collect(citizen=citizen(2), unit="14755")])
    freeze(unit="380", to_day=TO)
    freeze("then", unit="380", to_day=TO, hierarchy="then")
    ledger.record(collect(citizen=citizen(3), unit="14755"))
    elsewhere = RenameUnit(unit="16093", name="Another", effective=date(2024, 12, 1), decree="of elsewhere")
    later = MergeUnits(units=("14761",), into="14764", effective=date(2024, 12, 10), decree="of later")
    merger = MergeUnits(units=("14755",), into="14758", effective=date(2024, 11, 1), decree="NQ 1")
    ledger.change_units(elsewhere)
    ledger.change_units(later)
    done = ledger.change_units(merger)
    for name in ("a", "then"):
        # 14755 is no unit of that day any more; what was collected there since counts at 14758.
        assert {"14755": (1, 0, 0, 0, 0, 0, -1), "14758": (1, 3, 1, 0, 0, 0, 1)} == kinds(changes(name)), name
        [event] = changes(name, kind="moved").events
        assert (done.position, "reorganised", date(2024, 11, 1), "NQ 1") == (
            event.position,
            event.type,
            event.effective,
            event.detail,
        )
        check_adds_up(ledger, totals, name)
    ledger.change_units(WithdrawReorganisation(reorganisation=done.plan.reorganisation, reason="mistake"))
    assert {"14755": (1, 2, 1, 0, 0, 0, 0)} == kinds(changes())
    assert [] == changes(kind="moved").events
    check_adds_up(ledger, totals, "a")


def test_a_dossier_that_was_allocated(ledger, totals, clock, freeze, changes):
    """It counts at its part now; the report has it unallocated, for ever."""
    split_day = date(2024, 12, 20)
    ledger.change_units(SplitUnit(unit=UNIT, parts=(PART, OTHER_PART), effective=split_day, decree="NQ 1"))
    clock.now = MONDAY + 60 * DAY
    ledger.record_many([collect(citizen=citizen(number)) for number in range(3)])
    freeze(unit="380", hierarchy=str(split_day))
    told = reissue_report(ledger, totals, "a").document
    ledger.record(allocate(citizen=citizen(0)))
    found = changes()
    assert {None: (3, 2, 0, 0, 0, -1, 0), PART: (0, 1, 0, 0, 0, 1, 0)} == kinds(found)
    assert [("allocated", "allocated", PART)] == [
        (event.kind, event.type, event.unit) for event in found.events
    ]
    assert told == reissue_report(ledger, totals, "a").document
    check_adds_up(ledger, totals, "a")


@pytest.mark.parametrize("by", ["unit", "commune", ("commune", "day"), "place", ("month", "level")])
def test_where_the_citizens_live(ledger, totals, freeze, changes, by):
    """Also those that live in another province, or at a code that means nothing."""
    ledger.record_many([collect(citizen=citizen(1), residence_unit="14755"), collect(citizen=citizen(2))])
    freeze(by=by, attribution="residence", to_day=TO)
    homes = ("14755", "17464", "99999", "")
    ledger.record_many([collect(citizen=citizen(3 + n), residence_unit=home) for n, home in enumerate(homes)])
    ledger.record(void(citizen=citizen(1), corrects=1))
    ledger.change_units(
        MergeUnits(units=("14755",), into="14761", effective=date(2024, 11, 1), decree="NQ 1")
    )
    found = changes()
    assert (2, 5, 4, -1) == (
        found.sum["collected"].frozen,
        found.sum["collected"].now,
        found.sum["collected"].arrived_late,
        found.sum["collected"].corrected,
    )
    check_adds_up(ledger, totals, "a")


def test_a_unit_with_another_name_and_code_is_the_same_row(ledger, totals, freeze, changes):
    """Also the unit that the report is about; another unit that has its old code is not taken for it."""
    ledger.record_many([collect(citizen=citizen(1)), collect(citizen=citizen(2), unit="14755")])
    freeze(unit="14758", to_day=TO)
    freeze("district", unit="380", to_day=TO)
    ledger.change_units(
        RenameUnit(unit="14758", name="Hàm Rồng", code="19999", effective=date(2024, 1, 1), decree="NQ 1")
    )
    ledger.change_units(RenameUnit(unit="14755", code="14758", effective=date(2024, 1, 1), decree="NQ 2"))
    ledger.record(collect(citizen=citizen(3), unit="19999"))
    assert {"19999": (1, 2, 1, 0, 0, 0, 0)} == kinds(changes()) == kinds(changes("district"))
    check_adds_up(ledger, totals, "a", unit="19999")
    check_adds_up(ledger, totals, "district")


def test_a_unit_that_is_none_any_more_has_nothing_to_compare(ledger, freeze, changes):
    freeze(unit="14755", to_day=TO)
    ledger.change_units(
        MergeUnits(units=("14755",), into="14758", effective=date(2024, 11, 1), decree="NQ 1")
    )
    with pytest.raises(UnitNotValidError, match="no unit of that day any more"):
        changes()


def test_counts_that_somebody_changed_are_noticed(ledger, totals, operator, freeze, changes):
    """Before anything is compared, where it is the report's own; else because it does not add up."""
    ledger.record_many([collect(citizen=citizen(1))])
    freeze(unit="380", to_day=TO, by="place")
    ledger.record_many([collect(citizen=citizen(2))])
    changes()
    operator.execute("UPDATE unit_totals_deltas SET count = 3 WHERE position = 587")
    with pytest.raises(ReportDiffersError):
        changes()
    rebuild(ledger.database)
    changes()


def test_counts_that_do_not_add_up_are_not_told(ledger, operator, freeze, changes):
    """A delta is lost that the sums still have, and no unit has changed: nothing else can account for it."""
    ledger.record(collect(citizen=citizen(0)))
    freeze(unit="380", to_day=TO)
    ledger.record_many([collect(citizen=citizen(number)) for number in range(1, 700)])
    assert 699 == changes().sum["collected"].arrived_late
    operator.execute("DELETE FROM unit_totals_deltas WHERE position = 700")
    with pytest.raises(CountsDifferError, match="ledger reconcile"):
        changes()


def reorganise(ledger: Ledger, chance: Random) -> None:
    """Change the units at random, mostly late; often it is refused."""
    some = chance.sample(campaigns.COMMUNES, 3)
    basis = {
        "effective": date(2024, chance.randint(9, 12), chance.randint(1, 28)),
        "decree": f"NQ {chance.random()}",
    }
    known = [one for one in ledger.tree().reorganisations.values() if one.withdrawn_at is None]
    choices = [
        MergeUnits(units=(some[0],), into=some[1], **basis),
        RenameUnit(unit=some[0], name=f"N {chance.random()}", **basis),
        MoveUnits(units=(some[0],), parent=chance.choice(campaigns.DISTRICTS), **basis),
        SplitUnit(unit=some[0], parts=(some[1], some[2]), **basis),
        AbolishUnits(unit=some[0], **basis),
    ]
    if known:
        wrong = WithdrawReorganisation(reorganisation=chance.choice(known).id, reason="wrong")
        choices += [wrong, wrong]
    with suppress(LedgerError):
        ledger.change_units(chance.choice(choices))


@pytest.mark.parametrize("seed", range(3))
def test_frozen_at_random_while_everything_goes_on(ledger, open_again, seed):
    """Reports of every kind, frozen in the middle of writing, correcting and reorganising: at the end each is told again
    byte for byte, before a rebuild and after it, and what has become of each adds up."""
    totals = Totals(ledger)
    chance = Random(seed)
    reports = campaigns.commands(100 + seed, 120)
    halves = [[report for report in reports if int(report.citizen) % 2 == parity] for parity in (0, 1)]
    frozen: dict[str, bytes] = {}

    def write(half: list) -> None:
        writer = open_again()
        writer.tree()
        lane = Random(len(half))
        done = 0
        while done < len(half):
            batch = half[done : done + lane.randint(1, 25)]
            for outcome in writer.record_many(batch):
                # A unit may be none any more, or the dossier's step before was refused for that.
                assert isinstance(outcome, Receipt) or isinstance(outcome.error, LedgerError)
            done += len(batch)

    def correct() -> None:
        clerk = open_again()
        clerk.tree()
        lane = Random(seed)
        for number in range(300):
            report = lane.choice(reports)
            fields = {"key": f"x{number}", "citizen": report.citizen, "level": report.level}
            fate = lane.choice((void, reassign, amend))
            # Most are refused: the dossier may not be there yet, or the entry be needed by a later one.
            unit = {"unit": lane.choice(campaigns.UNITS)} if fate is reassign else {}
            clerk.record_many([fate(corrects=lane.randint(1, 4), **fields, **unit)])

    def freeze() -> None:
        own = Totals(ledger)
        queries = list(QUERIES.values())
        for number in range(12):
            query = chance.choice(queries)
            head = ledger.head().position
            if chance.random() < 0.5:
                query = replace(query, position=chance.randint(587, head))
            name = f"r{number}"
            try:
                freeze_report(ledger, own, name, query, wait_seconds=20)
            except LedgerError:  # Its unit was none then.
                continue
            frozen[name] = reissue_report(ledger, own, name, wait_seconds=20).document

    def keep() -> None:
        keeper = open_again()
        keeper.tree()
        fate = Random(-1 - seed)
        for _ in range(12):
            reorganise(keeper, fate)

    ledger.record_many(a_life())
    with Runner(ledger), ThreadPoolExecutor(5) as pool:
        jobs = [pool.submit(write, half) for half in halves]
        jobs += [pool.submit(job) for job in (freeze, keep, correct)]
        for job in jobs:
            job.result()
    totals.catch_up()

    assert len(frozen) >= 4
    for _ in range(2):
        fresh = Totals(ledger)
        assert frozen == {name: reissue_report(ledger, fresh, name).document for name in frozen}
        rebuild(ledger.database)
    by_hand.check_totals(ledger.database)
    met: Counter = Counter()
    for name in frozen:
        with suppress(UnitNotValidError):
            found = check_adds_up(ledger, totals, name)
            for row in found.rows:
                for change in row["counts"].values():
                    met.update(kind for kind in KINDS if getattr(change, kind))
    assert {"arrived_late", "corrected", "moved"} <= set(met)
    check_ledger(ledger)
