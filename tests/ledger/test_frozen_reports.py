"""That a report was frozen is an event: under one name once, and whatever else it says, the same for ever."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from msgspec.structs import replace

from ledger import Definition, ReportFrozen
from ledger.errors import (
    DossierUnknownError,
    FieldInvalidError,
    InputError,
    ReportNameTakenError,
    ReportUnknownError,
)
from ledger.frozen_events import REPORTS_STREAM
from tests.conftest import check_ledger

UNITS = 586
EVENING = ReportFrozen(
    name="2024-12-09-evening",
    title="Báo cáo tối",
    definition=Definition(unit="38", by=("unit",), to_day=date(2024, 12, 9), hierarchy="2024-12-09"),
    position=UNITS,
    format=1,
    sha256="ab" * 32,
)


def test_it_is_recorded_once_however_often_it_is_said(ledger, open_again):
    """Whoever says it again, and whatever hash they found: the first one stands."""
    first, new = ledger.record_frozen(EVENING)
    again, repeated = open_again().record_frozen(replace(EVENING, actor="op2", sha256="cd" * 32))

    assert (True, False) == (new, repeated)
    assert first == again == ledger.frozen_report("2024-12-09-evening")
    assert (UNITS + 1, EVENING) == (first.frozen_at, first.report)
    check_ledger(ledger, length=UNITS + 1)


@pytest.mark.parametrize(
    ("changes", "differing"),
    [
        ({"position": 3}, "position"),
        ({"title": "another"}, "title"),
        ({"definition": replace(EVENING.definition, level=2)}, "definition"),
        (
            {"definition": replace(EVENING.definition, to_day=date(2024, 12, 8)), "position": 3},
            "definition, position",
        ),
    ],
)
def test_a_name_is_given_once(ledger, changes, differing):
    ledger.record_frozen(EVENING)
    with pytest.raises(ReportNameTakenError, match=f"position {UNITS}, and differs in {differing};"):
        ledger.record_frozen(replace(EVENING, **changes))
    assert 1 == len(ledger.frozen_reports())
    check_ledger(ledger, length=UNITS + 1)


@pytest.mark.parametrize("name", ["", "../etc", "a b", "-a", "báo", "a/b", "x" * 65, "038090001234", "a\n"])
def test_what_cannot_be_part_of_an_address_is_no_name(ledger, name):
    with pytest.raises(InputError):
        ledger.record_frozen(replace(EVENING, name=name))
    check_ledger(ledger, length=UNITS)


@pytest.mark.parametrize("changes", [{"title": "of 038090001234"}, {"title": "a\tb"}, {"actor": ""}])
def test_a_title_is_a_line_without_a_personal_number(ledger, changes):
    with pytest.raises(InputError):
        ledger.record_frozen(replace(EVENING, **changes))
    check_ledger(ledger, length=UNITS)


def test_a_position_that_is_not_there_yet_cannot_be_frozen(ledger):
    with pytest.raises(FieldInvalidError, match=f"the ledger ends at position {UNITS}"):
        ledger.record_frozen(replace(EVENING, position=UNITS + 1))


def test_of_two_at_once_one_gets_the_name(ledger, open_again):
    """And reports of other names wait for nobody: all of them are recorded."""
    ledgers = [open_again() for _ in range(4)]
    contested = [replace(EVENING, title=f"of {number}") for number in range(4)]
    others = [replace(EVENING, name=f"n{number}") for number in range(20)]

    def freeze(number: int, report: ReportFrozen) -> bool:
        try:
            return ledgers[number % 4].record_frozen(report)[1]
        except ReportNameTakenError:
            return False

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(freeze, range(24), [*contested, *others]))
    assert (1, 20) == (sum(done[:4]), sum(done[4:]))
    check_ledger(ledger, length=UNITS + 21)


def test_it_is_nobodys_dossier(ledger):
    ledger.record_frozen(EVENING)
    with pytest.raises(DossierUnknownError):
        ledger.history(dossier_id=REPORTS_STREAM)
    with pytest.raises(ReportUnknownError):
        ledger.frozen_report("2024-12-09-morning")
