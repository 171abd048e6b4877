"""Why a dossier was rejected, an account locked, an entry voided: a list that each ledger may have of its own.

No official list of rejection reasons is known; those that come with the package are the ones seen in practice. The
grounds of a lock are those of Law 26/2023/QH15, Art. 34. A reason that is taken off the list is refused from then on;
what was recorded with it stays.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path

import msgspec

from ledger.errors import FileEmptyError, FileInvalidError, NotUtf8Error
from ledger.masking import shown, shown_header

COLUMNS = ("type", "code", "vi", "en", "before_activation")
WITH_REASON = ("rejected", "withdrawn", "locked", "unlocked", "voided")
"""The types whose reports name a reason."""
CODE_CHARACTERS_MAX = 32


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
    try:
        text = (path or files("ledger") / "data" / "reasons.csv").read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise NotUtf8Error(f"{path} is not UTF-8; save it as UTF-8 (in a spreadsheet: CSV UTF-8)") from None
    except OSError as error:
        raise FileInvalidError(f"{path} cannot be read: {error.strerror}") from None
    try:
        return parse_reasons(text)
    except (FileEmptyError, FileInvalidError) as error:
        raise type(error)(f"the list of reasons {path}: {error}") from None


def parse_reasons(text: str) -> Reasons:
    """As ``read_reasons``, of the text of a file."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        lines = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise FileInvalidError(f"line {reader.line_num}: {error}") from None
    if len(lines) < 2:
        raise FileEmptyError(f"the list holds no reasons; expected {','.join(COLUMNS)} and a line each")
    header = [name.strip() for name in lines[0][1]]
    if sorted(header) != sorted(COLUMNS):
        raise FileInvalidError(
            f"the header must be {','.join(COLUMNS)}, in any order; it is {shown_header(header)}"
        )
    by_type: dict[str, dict[str, Reason]] = {type_: {} for type_ in WITH_REASON}
    faults = []
    for line, row in lines[1:]:
        fields = dict(zip(header, (field.strip() for field in row), strict=False))
        fault = _fault(fields, by_type) if len(row) == len(header) else f"it has {len(row)} fields"
        if fault:
            faults.append(f"line {line}: {fault}")
            continue
        before = fields.pop("before_activation") == "yes"
        by_type[fields["type"]][fields["code"]] = Reason(**fields, before_activation=before)
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
    if not fields["vi"] or not fields["en"]:
        return f"{code} needs a label in Vietnamese (vi) and in English (en)"
    before = fields["before_activation"]
    if before not in ("", "yes") or (before and type_ != "locked"):
        return "before_activation is yes or empty, and yes for locked alone"
    return None


DEFAULT_REASONS = read_reasons()
"""Those that come with the package."""
