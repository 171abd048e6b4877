"""Totals and worklist of a split commune whose dossiers were allocated: a part, the rest, and the past as it was."""

from datetime import date

import pytest

from ledger import Ledger
from ledger.units.commands import SplitUnit, WithdrawReorganisation
from projections import Totals, TotalsQuery, Worklist, WorklistQuery, catch_up
from tests.conftest import Clock
from tests.ledger.reports import (
    DAY,
    MONDAY,
    OTHER_PART,
    PART,
    UNIT,
    allocate,
    approve,
    citizen,
    collect,
    reassign,
    void,
)

SPLIT_DAY = date(2024, 12, 20)
BEFORE, SINCE = "2024-12-19", "2024-12-20"
UNDECIDED = None
"""The code of the row of what is unallocated."""


@pytest.fixture
def split(ledger: Ledger, clock: Clock) -> Ledger:
    """Three dossiers of a commune that was split over two others."""
    ledger.change_units(SplitUnit(unit=UNIT, parts=(PART, OTHER_PART), effective=SPLIT_DAY, decree="NQ 1"))
    clock.now = MONDAY + 60 * DAY
    for number in range(3):
        ledger.record_many([collect(citizen=citizen(number)), approve(citizen=citizen(number))])
    return ledger


def collected(ledger: Ledger, hierarchy: str, **query: object) -> dict[str | None, int]:
    """Return the collections of the district by commune, without zeros; all of them, and all that wait, add up."""
    catch_up(ledger.database)
    answer = Totals(ledger).read(TotalsQuery(unit="380", hierarchy=hierarchy, **query))
    rows = {row["unit"]["code"]: row["collected"] for row in answer.rows if row["collected"]}
    assert answer.sum["collected"] == sum(rows.values()) == 3
    assert 3 == answer.sum["awaiting_activation"]
    return rows


def waiting(ledger: Ledger, unit: str) -> list[tuple[str | None, bool]]:
    """Return where those count today that wait at a unit or under it, and whether they belong there."""
    found = Worklist(ledger, Totals(ledger)).read(WorklistQuery(unit=unit)).rows
    return sorted((row.unit["code"], row.allocated) for row in found)


def test_from_the_split_on_an_allocated_dossier_counts_at_its_part(split):
    """The others stay unallocated; before the split, and as it was then, nothing has changed."""
    assert {UNDECIDED: 3} == collected(split, SINCE)
    split.record(allocate(citizen=citizen(0)))
    split.record(allocate(citizen=citizen(1), unit=OTHER_PART))
    assert {PART: 1, OTHER_PART: 1, UNDECIDED: 1} == collected(split, SINCE)
    assert {UNIT: 3} == collected(split, BEFORE)
    assert {UNIT: 3} == collected(split, "then")
    assert [(PART, True)] == waiting(split, PART)
    assert [(PART, True), (OTHER_PART, True), ("380", False)] == waiting(split, "380")


def test_an_allocation_is_known_from_its_position_on(split):
    """What the ledger knew before is told as it was."""
    before = split.head().position
    split.record(allocate(citizen=citizen(0)))
    assert {UNDECIDED: 3} == collected(split, SINCE, position=before)
    assert {PART: 1, UNDECIDED: 2} == collected(split, SINCE)


def test_allocations_compose_with_corrections(split):
    """Overruled, taken back, and left behind by what is reassigned."""
    split.record(allocate(citizen=citizen(0)))
    split.record(allocate(citizen=citizen(0), key="b2", unit=OTHER_PART))
    assert {OTHER_PART: 1, UNDECIDED: 2} == collected(split, SINCE)
    split.record(void(citizen=citizen(0), corrects=4))
    assert {PART: 1, UNDECIDED: 2} == collected(split, SINCE)
    split.record(reassign(citizen=citizen(0), corrects=1, unit="14776"))
    assert {"14776": 1, UNDECIDED: 2} == collected(split, SINCE)
    assert {"14776": 1, UNIT: 2} == collected(split, "then")


def test_a_withdrawn_split_takes_its_allocations_along(split):
    """The commune has everything again, as if it had never been split; nothing is lost."""
    split.record(allocate(citizen=citizen(0)))
    (reorganisation,) = split.tree().reorganisations
    split.change_units(
        WithdrawReorganisation(reorganisation=reorganisation, reason="đính chính", actor="op1")
    )
    for hierarchy in (BEFORE, SINCE, "then"):
        assert {UNIT: 3} == collected(split, hierarchy)
    assert [(UNIT, True)] * 3 == waiting(split, UNIT)


def test_a_split_that_was_put_right_keeps_the_allocations_that_it_allows(split):
    """To a part of both; what was allocated to one that is none any more is undecided."""
    split.record(allocate(citizen=citizen(0)))
    split.record(allocate(citizen=citizen(1), unit=OTHER_PART))
    (reorganisation,) = split.tree().reorganisations
    split.change_units(
        WithdrawReorganisation(reorganisation=reorganisation, reason="đính chính", actor="op1")
    )
    right = SplitUnit(unit=UNIT, parts=(PART, "14770"), effective=SPLIT_DAY, decree="NQ 1 đính chính")
    split.change_units(right)
    assert {PART: 1, UNDECIDED: 2} == collected(split, SINCE)
    assert {UNIT: 3} == collected(split, "then")
