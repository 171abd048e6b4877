"""Why a dossier was rejected, an account locked, an entry voided: a list that each ledger may have of its own.

No official list of rejection reasons is known; those that come with the package are the ones seen in practice. The
grounds of a lock are those of Law 26/2023/QH15, Art. 34. A reason that is taken off the list is refused from then on;
what was recorded with it stays.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from ledger.errors import FileInvalidError
from ledger.listed import CODE_CHARACTERS_MAX, fault_of_labels, read_list, take_lines
from ledger.masking import shown

COLUMNS = ("type", "code", "vi", "en", "before_activation")
WITH_REASON = ("rejected", "withdrawn", "locked", "unlocked", "voided")
"""The types whose reports name a reason."""


class Reason(msgspec.Struct, frozen=True):
    """One reason of one type of report."""

    type: str
    code: str
    """What reports name; never changes its meaning."""
    vi: str
    en: str
    before_activation: bool = False
    """Of a lock: whether it also meets an account that was approved, but not activated yet."""


class Reasons(msgspec.Struct, frozen=True):
    """The reasons that reports may name."""

    by_type: Mapping[str, Mapping[str, Reason]]

    def of(self, type_: str) -> Mapping[str, Reason]:
        """Return the reasons of a type by code, in the order of the list."""
        return self.by_type.get(type_, {})

    def __iter__(self) -> Iterator[Reason]:
        for reasons in self.by_type.values():
            yield from reasons.values()


def read_reasons(path: Path | None = None) -> Reasons:
    """Read a list of reasons: CSV with the columns type,code,vi,en,before_activation; the package's own if no path.

    Raises:
        FileEmptyError: No line but, at most, the header.
        FileInvalidError: It cannot be read; names every offending line, and types that have no reason left.
        NotUtf8Error: It is not UTF-8.
    """
    return read_list(path, "reasons", parse_reasons)


def parse_reasons(text: str) -> Reasons:
    """As ``read_reasons``, of the text of a file."""
    by_type: dict[str, dict[str, Reason]] = {type_: {} for type_ in WITH_REASON}

    def take(fields: Mapping[str, str]) -> str | None:
        fault = _fault(fields, by_type)
        if fault is None:
            type_, code, vi, en, before = (fields[column] for column in COLUMNS)
            by_type[type_][code] = Reason(type_, code, vi, en, before == "yes")
        return fault

    faults = take_lines(text, COLUMNS, "reasons", take)
    faults += [f"no reason for {type_}" for type_, reasons in by_type.items() if not reasons]
    if faults:
        raise FileInvalidError(*faults)
    return Reasons(by_type)


def _fault(fields: Mapping[str, str], by_type: Mapping[str, Mapping[str, Reason]]) -> str | None:
    type_, code = fields["type"], fields["code"]
    if type_ not in by_type:
        return f"the type {shown(type_)} is none of {', '.join(WITH_REASON)}"
    if not code or len(code) > CODE_CHARACTERS_MAX or not code.isidentifier():
        return f"the code {shown(code)} is no word of at most {CODE_CHARACTERS_MAX} letters, digits and _"
    if code in by_type[type_]:
        return f"{code} stands twice for {type_}"
    fault = fault_of_labels(fields)
    before = fields["before_activation"]
    if fault is None and (before not in ("", "yes") or (before and type_ != "locked")):
        fault = "before_activation is yes or empty, and yes for locked alone"
    return fault


DEFAULT_REASONS = read_reasons()
"""Those that come with the package."""
