"""The list of what anybody may look for."""

import re
from importlib.resources import files

import pytest

from ledger import Purpose, read_purposes
from ledger.access import LOCAL, Principal
from ledger.errors import (
    FieldInvalidError,
    FileEmptyError,
    FileInvalidError,
    NotUtf8Error,
    NulCharacterError,
    PersonalNumberError,
    PurposeNeededError,
    PurposeUnknownError,
)
from ledger.reads import LOCAL_WORK
from ledger.reads.purposes import DEFAULT_PURPOSES, parse_purposes

HEADER = "code,vi,en\n"
NEEDED = "work,Việc,Work\nlocal,Máy chủ,Here\ninvestigation,Điều tra,Investigation\n"


def test_the_packages_list():
    """With its labels, in its order."""
    assert [
        "citizen_request",
        "complaint",
        "verification",
        "correction",
        "investigation",
        "audit",
        "work",
        "local",
        "reporting",
    ] == [purpose.code for purpose in DEFAULT_PURPOSES]
    assert "Công dân yêu cầu" == DEFAULT_PURPOSES.by_code["citizen_request"].vi


def test_a_list_of_ones_own(tmp_path):
    """Columns in any order, and the mark that spreadsheets put before them."""
    path = tmp_path / "purposes.csv"
    path.write_text(
        "\ufeffen,code,vi\nA court asks,court,Toà án yêu cầu\nWork,work,Việc\nHere,local,Ở đây\n"
        "Investigation,investigation,Điều tra\n",
        encoding="utf-8",
    )
    assert ["court", "work", "local", "investigation"] == list(read_purposes(path).by_code)


@pytest.mark.parametrize(
    ("text", "error", "told"),
    [
        ("", FileEmptyError, "no purposes"),
        (HEADER, FileEmptyError, "no purposes"),
        ("code,vi\nwork,x\n", FileInvalidError, "the header must be code,vi,en"),
        (HEADER + NEEDED + "x,y\n", FileInvalidError, "line 5: it has 2 fields"),
        (HEADER + NEEDED + "work,x,y\n", FileInvalidError, "line 5: work stands twice"),
        (HEADER + NEEDED + "a-b,x,y\n", FileInvalidError, "line 5: the code 'a-b' is no word"),
        (HEADER + NEEDED + "việc,x,y\n", FileInvalidError, "is no word"),
        (HEADER + NEEDED + "a,,y\n", FileInvalidError, "line 5: a needs a label"),
        (HEADER + "work,Việc,Work\n", FileInvalidError, "no list can be without local"),
        (HEADER + '"work', FileInvalidError, "line 2"),
    ],
)
def test_a_list_that_is_none_is_refused(text, error, told):
    """With every line that is wrong."""
    with pytest.raises(error, match=told):
        parse_purposes(text)


def test_a_file_that_cannot_be_read(tmp_path):
    """It is named."""
    with pytest.raises(FileInvalidError, match="none.csv cannot be read"):
        read_purposes(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes("code,vi,en\nwork,Vi\xeac,x\n".encode("latin-1"))
    with pytest.raises(NotUtf8Error):
        read_purposes(tmp_path / "latin.csv")


def test_the_package_ships_it():
    """As people see it in the source."""
    assert (files("ledger") / "data" / "purposes.csv").read_text(encoding="utf-8").startswith("code,vi,en\n")


@pytest.mark.parametrize(
    ("purpose", "error"),
    [
        (None, PurposeNeededError),
        (Purpose("curiosity"), PurposeUnknownError),
        (Purpose(""), PurposeUnknownError),
        (Purpose("local"), PurposeUnknownError),
        (Purpose("reporting"), PurposeUnknownError),
        (Purpose("audit", "x" * 201), FieldInvalidError),
        (Purpose("audit", "về 038090001234"), PersonalNumberError),
        (Purpose("audit", "về ０３８０９０００１２３４"), PersonalNumberError),
        (Purpose("audit", "a\nb"), FieldInvalidError),
        (Purpose("audit", "a\0b"), NulCharacterError),
        (Purpose("audit", " a"), FieldInvalidError),
    ],
)
def test_a_purpose_must_be_of_the_list(purpose, error):
    """And local is for the ledger's own machine alone; a text is like those of operators, and never repeated."""
    somebody = Principal("p", "person")
    with pytest.raises(error) as caught:
        DEFAULT_PURPOSES.check(purpose, somebody)
    assert not re.search(r"curiosity|\d{12}", str(caught.value))


def test_at_the_ledgers_own_machine_a_purpose_may_be_absent():
    """Or be another one."""
    assert LOCAL_WORK == DEFAULT_PURPOSES.check(None, LOCAL)
    audit = Purpose("audit", "x" * 200)
    assert audit == DEFAULT_PURPOSES.check(audit, LOCAL)
