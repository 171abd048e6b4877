"""What somebody may look at a dossier for: a list that each ledger may have of its own.

A purpose that is taken off the list is refused from then on; what was recorded with it stays.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from ledger.access import Principal
from ledger.checks import check_purpose_text
from ledger.errors import FileInvalidError, PurposeNeededError, PurposeUnknownError
from ledger.listed import CODE_CHARACTERS_MAX, fault_of_labels, read_list, take_lines
from ledger.masking import shown

COLUMNS = ("code", "vi", "en")
INVESTIGATION = "investigation"
"""Looks for this purpose are what an embargo keeps back."""


class Purpose(msgspec.Struct, frozen=True):
    """What somebody says that they look for."""

    code: str
    text: str = ""
    """More of it: up to 200 characters, without any 12-digit number, in groups neither."""


WORK = Purpose("work")
"""Of whoever does the work that a worklist lists."""
LOCAL_WORK = Purpose("local")
"""Of whoever holds the database and the key file anyhow, and gives no other."""
REPORTING = Purpose("reporting")
"""Of whoever reports, and is told of a dossier why a report of it is refused. The ledger itself says so, nobody else."""
_NEEDED = (WORK.code, LOCAL_WORK.code, INVESTIGATION)


class ListedPurpose(msgspec.Struct, frozen=True):
    """One purpose of the list."""

    code: str
    """What requests name; never changes its meaning."""
    vi: str
    en: str


class Purposes(msgspec.Struct, frozen=True):
    """The purposes that may be named."""

    by_code: Mapping[str, ListedPurpose]

    def __iter__(self) -> Iterator[ListedPurpose]:
        return iter(self.by_code.values())

    def check(self, purpose: Purpose | None, by: Principal) -> Purpose:
        """Return the purpose for which somebody looks: the one that they gave, if it can be one.

        Raises:
            PurposeNeededError: They gave none, and are not at the ledger's own machine.
            PurposeUnknownError: It is none of the list, or is that of reports, or of the ledger's own machine.
            InputError: The text cannot be one.
        """
        if purpose is None:
            if by.kind != "local":
                raise PurposeNeededError
            purpose = LOCAL_WORK
        known = self.by_code.keys() - {REPORTING.code}
        if purpose.code not in known or (purpose.code == LOCAL_WORK.code and by.kind != "local"):
            raise PurposeUnknownError(code for code in self.by_code if code in known)
        if purpose.text:
            check_purpose_text(purpose.text)
        return purpose


def read_purposes(path: Path | None = None) -> Purposes:
    """Read a list of purposes: CSV with the columns code,vi,en; the package's own if no path.

    Raises:
        FileEmptyError: No line but, at most, the header.
        FileInvalidError: It cannot be read; names every offending line, and purposes that no list can be without.
        NotUtf8Error: It is not UTF-8.
    """
    return read_list(path, "purposes", parse_purposes)


def parse_purposes(text: str) -> Purposes:
    """As ``read_purposes``, of the text of a file."""
    by_code: dict[str, ListedPurpose] = {}

    def take(fields: Mapping[str, str]) -> str | None:
        fault = _fault(fields, by_code)
        if fault is None:
            by_code[fields["code"]] = ListedPurpose(**fields)
        return fault

    faults = take_lines(text, COLUMNS, "purposes", take)
    faults += [f"no list can be without {code}" for code in _NEEDED if code not in by_code]
    if faults:
        raise FileInvalidError(*faults)
    return Purposes(by_code)


def _fault(fields: Mapping[str, str], by_code: Mapping[str, ListedPurpose]) -> str | None:
    code = fields["code"]
    if not code or len(code) > CODE_CHARACTERS_MAX or not (code.isascii() and code.isidentifier()):
        return f"the code {shown(code)} is no word of at most {CODE_CHARACTERS_MAX} letters, digits and _"
    if code in by_code:
        return f"{code} stands twice"
    return fault_of_labels(fields)


DEFAULT_PURPOSES = read_purposes()
"""Those that come with the package."""
