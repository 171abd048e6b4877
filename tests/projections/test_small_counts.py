"""Small counts are masked, and cannot be had from what is left."""

from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger import Ledger, Policy, TargetRow
from ledger.access import LOCAL, Grant, Principal, Role
from ledger.errors import NotPermittedError
from projections import (
    Ageing,
    AgeingQuery,
    CueQuery,
    Cues,
    Overdue,
    OverdueQuery,
    Totals,
    TotalsQuery,
    Worklist,
    WorklistQuery,
    catch_up,
    freeze_report,
    reissue_report,
    report_changes,
)
from projections.progress import Progress
from projections.progress_rows import ProgressQuery
from projections.small_counts import column, masked
from projections.unit_totals import MEASURES
from tests.ledger.reports import MONDAY, approve, citizen, collect

LEAST = 5
PUBLIC = Principal("p", "machine", (Grant(Role.PUBLIC),))
VIEWER = Principal("v", "machine", (Grant(Role.VIEWER),))


def possible(counts: list[int], cells: set[int], hidden: bool) -> list[set[int]]:
    """Return which values each masked count may have, for somebody who knows the rule and sees the rest."""
    together = sum(counts[index] for index in cells)
    values: list[set[int]] = [set() for _ in cells]
    for first in product(range(1, 20), repeat=max(0, len(cells) - 1)):
        # Where the sum is told, the last one follows from the others.
        for last in range(1, 20) if hidden else [together - sum(first)]:
            guess = dict(zip(sorted(cells), (*first, last), strict=True))
            guessed = [guess.get(index, count) for index, count in enumerate(counts)]
            if last > 0 and column(guessed, sum(guessed), LEAST) == (cells, hidden):
                for found, value in zip(values, guess.values(), strict=True):
                    found.add(value)
    return values


@example([5, 5, 3])
@example([4, 4, 9])
@settings(max_examples=200)
@given(st.lists(st.integers(0, 9), max_size=3))
def test_no_small_count_can_be_had_from_the_rest(counts):
    """All small ones are masked, 0 is told; and whoever knows the rule is left with several values for each small one."""
    cells, hidden = column(counts, sum(counts), LEAST)
    small = {index for index, count in enumerate(counts) if 0 < count < LEAST}
    assert small <= cells
    assert all(counts[index] for index in cells)
    if not small:
        assert not cells
    for index, values in zip(sorted(cells), possible(counts, cells, hidden) if cells else [], strict=True):
        assert index not in small or 1 < len(values)


@pytest.mark.parametrize(
    ("counts", "told", "total"),
    [
        ([10, 20, 0], [10, 20, 0], 30),
        ([10, 3, 20], [10, None, None], 33),
        ([10, 0, 3], [None, 0, None], 13),
        ([3, 4, 20], [None, None, 20], 27),
        ([1, 1, 20], [None, None, None], 22),
        ([4, 4, 20, 9], [None, None, None, 9], 37),
        ([3, 0, 0], [None, 0, 0], None),
        ([1, 1, 1, 1, 1], [None] * 5, None),
        ([], [], 0),
    ],
)
def test_one_masked_count_takes_another_with_it(counts, told, total):
    rows, whole, _ = masked([{"n": count} for count in counts], {"n": sum(counts)}, ["n"], LEAST)
    assert told == [row["n"] for row in rows]
    assert total == whole["n"]


@pytest.fixture
def counted(ledger: Ledger, totals: Totals) -> Totals:
    """Two communes of a district with 3 and 8 collections, one approved; one of another district with 6."""
    numbers = iter(range(1, 100))
    people = {
        unit: [citizen(next(numbers)) for _ in range(n)]
        for unit, n in (("14758", 3), ("14761", 8), ("16093", 6))
    }
    commands = [collect(citizen=who, unit=unit) for unit, some in people.items() for who in some]
    ledger.record_many([*commands, approve(citizen=people["14761"][0])])
    catch_up(ledger.database)
    return totals


def test_totals_are_masked_for_the_public_alone(counted):
    query = TotalsQuery(unit="380")
    exact, shown = counted.read(query, by=VIEWER), counted.read(query, by=PUBLIC)
    assert not exact.masked
    assert counted.read(query) == exact
    found = {row["unit"]["code"]: row for row in shown.rows}
    assert shown.masked
    assert (None, None, 0) == tuple(found[code]["collected"] for code in ("14758", "14761", "14764"))
    assert 11 == shown.sum["collected"]
    assert shown.sum["approved"] is None
    assert 0 == shown.sum["activated"]
    assert exact.position == shown.position


def test_a_public_viewer_with_another_role_is_shown_that_part(counted, ledger):
    unit_id = ledger.tree().resolve("380", ledger.today()).id
    both = Principal("b", "person", (Grant(Role.PUBLIC), Grant(Role.RECORDER, unit_id)))
    assert not counted.read(TotalsQuery(unit="14758"), by=both).masked
    assert counted.read(TotalsQuery(unit="38"), by=both).masked


def test_periods_beside_each_other_are_masked_too(counted):
    day = MONDAY.date()
    query = TotalsQuery(
        unit="14758", from_day=day.replace(day=3), to_day=day.replace(day=4), compare="previous"
    )
    shown = counted.read(query, by=PUBLIC)
    assert shown.masked
    assert shown.previous is not None
    assert shown.previous.sum["collected"] is None
    assert all(row["previous"]["collected"] in (None, 0) for row in shown.rows)


def test_the_public_is_not_told_what_was_known_once(counted, ledger):
    for ask in (
        lambda: counted.read(TotalsQuery(position=590), by=PUBLIC),
        lambda: Progress(ledger, counted).read(ProgressQuery(position=590), by=PUBLIC),
    ):
        with pytest.raises(NotPermittedError, match="not told to the public"):
            ask()


def test_what_waits_is_masked(counted, ledger):
    overdue = Overdue(counted).read(OverdueQuery(unit="380"), by=PUBLIC)
    assert overdue.masked
    assert {None, 0} >= {row["awaiting_activation"] for row in overdue.rows}
    ageing = Ageing(ledger, counted).read(AgeingQuery(unit="380"), by=PUBLIC)
    assert ageing.masked
    told = {(row["unit"]["code"], row["step"]): row for row in ageing.rows}
    few, many = told["14758", "approval"], told["14761", "activation"]
    for row in (few, many):
        assert row["waiting"] is None
        assert row["age_8_30"] is row["age_days_p50"] is row["age_4_7"] is None
    for query, service in (
        (OverdueQuery(unit="380"), Overdue(counted)),
        (AgeingQuery(), Ageing(ledger, counted)),
    ):
        exact = service.read(query, by=VIEWER)
        assert not exact.masked
        assert service.read(query) == exact


def test_progress_is_masked(counted, ledger):
    ledger.set_targets([_target("14758", 10), _target("14761", 10), _target("380", 20)], issuer="Bộ")
    catch_up(ledger.database)
    progress = Progress(ledger, counted)
    shown = progress.read(ProgressQuery(unit="380"), by=PUBLIC)
    assert shown.masked
    [whole], rows = shown.whole, shown.rows
    assert (11, 55.0) == (whole.count, whole.percent)
    for row in rows:
        assert row.count is row.percent is row.remaining is row.forecast is row.rank is row.done is None
        assert 10 == row.target
    assert not progress.read(ProgressQuery(unit="380"), by=VIEWER).masked


def _target(unit: str, number: int) -> TargetRow:
    day = MONDAY.date()
    return TargetRow(
        unit=unit, measure="collected", level=None, number=number, from_day=day, deadline=day.replace(day=31)
    )


def test_a_frozen_report_is_masked_and_says_so(counted, ledger):
    freeze_report(ledger, counted, "r", TotalsQuery(unit="380"))
    catch_up(ledger.database)
    exact = reissue_report(ledger, counted, "r", by=VIEWER)
    shown = reissue_report(ledger, counted, "r", by=PUBLIC)
    assert exact.document != shown.document
    assert shown.document.endswith(b'"masked":true}\n')
    assert shown.answer.masked
    assert {row["collected"] for row in shown.answer.rows} == {None, 0}
    with pytest.raises(NotPermittedError, match="not told to the public"):
        report_changes(ledger, counted, "r", by=PUBLIC)
    assert report_changes(ledger, counted, "r", by=VIEWER).sum


def test_what_names_dossiers_or_officers_is_not_for_the_public(counted, ledger):
    for ask in (
        lambda: Worklist(ledger, counted).read(WorklistQuery(), by=PUBLIC),
        lambda: Cues(ledger, counted).read(CueQuery(), by=PUBLIC),
        lambda: Cues(ledger, counted).read(CueQuery(positions=0), by=PUBLIC),
        lambda: Cues(ledger, counted).read(CueQuery(), by=VIEWER),
    ):
        with pytest.raises(NotPermittedError):
            ask()
    found = Cues(ledger, counted).read(CueQuery(positions=0), by=VIEWER).cues
    assert [[], []] == [cue.positions for cue in found]


@pytest.mark.parametrize("by", ["actor", "team", ("unit", "actor"), ("team", "day")])
@pytest.mark.parametrize("least", [0, 5])
def test_by_whom_it_was_done_is_not_told_to_the_public(counted, ledger, by, least):
    """Not even where no count is masked: these are codes of staff. Nor is a frozen report of it, nor who froze one."""
    with Ledger(
        ledger.database, ledger._identities, now=ledger.now, policy=Policy(small_counts=least)
    ) as other:
        other.tree()
        totals = Totals(other)
        query = TotalsQuery(unit="380", by=by)
        freeze_report(other, totals, "r", query, actor="cb07")
        catch_up(other.database)
        for ask in (
            lambda: totals.read(query, by=PUBLIC),
            lambda: reissue_report(other, totals, "r", by=PUBLIC),
        ):
            with pytest.raises(NotPermittedError, match="codes of staff"):
                ask()
        assert totals.read(query, by=VIEWER).rows
        assert reissue_report(other, totals, "r", by=VIEWER).answer.rows
        assert ["", "cb07"] == [other.reports_for(by)[0].report.actor for by in (PUBLIC, VIEWER)]


def test_every_measure_of_totals_is_masked(counted):
    """A measure that is added one day is one of these."""
    query = TotalsQuery(by="commune")
    shown = counted.read(query, by=PUBLIC)
    exact = counted.read(query, by=LOCAL)
    for masked_row, row in zip(shown.rows, exact.rows, strict=True):
        for measure in MEASURES:
            assert not (0 < row[measure] < LEAST and masked_row[measure] is not None)


def test_how_small_is_a_setting(counted, ledger):
    with Ledger(ledger.database, ledger._identities, now=ledger.now, policy=Policy(small_counts=3)) as other:
        other.tree()
        shown = Totals(other).read(TotalsQuery(unit="380"), by=PUBLIC)
    assert {3, 8, 0} == {row["collected"] for row in shown.rows}
