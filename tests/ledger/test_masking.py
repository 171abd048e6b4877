"""What may be a personal number is hidden, and does not get into what everybody sees."""

from datetime import date

import pytest

from ledger.commands import Collect
from ledger.errors import FileInvalidError, InputError, LedgerError, UnitsRefusedError
from ledger.masking import masked, may_be_number, shown, shown_header
from ledger.reads.purposes import parse_purposes
from ledger.reasons import parse_reasons
from ledger.targets.files import read_denominators, read_targets
from ledger.units import UnitRow, read_merge_rows, read_units
from ledger.units.commands import Reorganise
from tests.ledger.reports import CITIZEN, collect

FORMS = (
    CITIZEN,
    CITIZEN[1:],
    f"of {CITIZEN}",
    f"{CITIZEN[:3]} {CITIZEN[3:6]} {CITIZEN[6:]}",
    "-".join(CITIZEN),
)


def test_masked_as_the_app_does():
    """The 8 middle digits of 12 are hidden."""
    assert "03••••••••34" == masked("038090001234")


@pytest.mark.parametrize("form", FORMS)
def test_what_may_be_a_number_is_not_repeated(form):
    """With its zero or without, embedded or in groups; of a header, wherever it stands."""
    assert may_be_number(form)
    assert "a value that may be a personal number" == shown(form)
    assert "a line that may hold a personal number" == shown_header(["key", form])


def test_what_cannot_be_one_is_repeated():
    """Codes and dates are."""
    assert "'14758'" == shown("14758")
    assert "code,2024-12-09" == shown_header(["code", "2024-12-09"])
    assert not may_be_number("1234567890")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("column", ["code", "name", "level", "parent_code"])
def test_units_are_not_called_by_a_number(ledger, form, column):
    """What is recorded of units stays for good, and everybody sees it. The line and the column are named."""
    fields = {"code": "99999", "name": "Xã A", "level": "commune", "parent_code": "380"} | {column: form}
    head = ledger.head()
    with pytest.raises(FileInvalidError, match=f"line 2: {column} ") as caught:
        read_units(f"{','.join(fields)}\n{','.join(fields.values())}\n")
    assert form not in str(caught.value)
    row = UnitRow(**fields, line=2)
    command = Reorganise(effective=date(2025, 1, 1), decree="d", tree=(row,), merges=())
    with pytest.raises(UnitsRefusedError) as refused:
        ledger.change_units(command)
    assert form not in str(refused.value) + "".join(refused.value.faults)
    assert head == ledger.head()


@pytest.mark.parametrize(
    "read",
    [read_units, read_merge_rows, read_denominators, read_targets, parse_reasons, parse_purposes],
    ids=lambda read: read.__name__,
)
def test_a_file_of_reports_given_as_another_one(read):
    """With its header or without, nothing of its lines is repeated."""
    line = f"k1,collected,{CITIZEN},2,14758"
    for text in (
        f"key,type,citizen,level,unit\n{line}\n",
        f"{line}\n{line}\n",
        f"code,value\n{line}\n{CITIZEN},1\n",
    ):
        try:
            found = read(text)
        except LedgerError as error:
            assert CITIZEN not in str(error) + "".join(map(str, error.faults))
        else:
            assert read is read_denominators
            assert CITIZEN not in "".join(map(str, found[1]))


def test_a_map_may_not_hold_a_number():
    """In no column that is read; others are for people, and nobody reads them."""
    assert 1 == len(read_merge_rows(f"old_code,new_code,kind,who\n1,2,merged,{CITIZEN}\n"))
    with pytest.raises(InputError, match="line 2: kind "):
        read_merge_rows(f"old_code,new_code,kind\n1,2,{CITIZEN}\n")


def test_a_report_does_not_print(ledger):
    """Nor does its key, where that is a number: into a traceback, for example."""
    told = repr(collect(key=CITIZEN))
    assert told.startswith(Collect.__name__)
    assert CITIZEN not in told
