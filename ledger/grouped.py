"""Whether a personal number stands in a text in groups, as people write it. Pure.

Ungrouped, any 12 digits are one (``ledger/checks.py``). In groups they are told from what else has digits by the sizes of
these: days and times have groups of two digits, telephone numbers have 10 or 11 digits, with +84 a group of two. So it is
one where groups of 3 to 6 or of 9 digits that follow each other, each after one sign or blanks, have 12 digits together; and
where they stand as the number is made, 038 0 90 001234.
"""

import re
from collections.abc import Iterator, Sequence

DIGITS = 12
GROUP_DIGITS = frozenset((3, 4, 5, 6, 9))
"""Not 8: 20241209 0830 is a time."""
AS_IT_IS_MADE = frozenset(((3, 1, 2, 6), (3, 1, 2, 3, 3)))
"""Province, century and sex, year of birth, the rest."""

# Digits of any script, as everywhere. No comma with a blank, which parts the members of a list; no slash, which parts those
# of files' numbers.
_runs = re.compile(r"\d+(?:(?:\s+|[.,_·•]|\s*[\u2010-\u2014-]\s*)\d+)+").finditer
_groups = re.compile(r"\d+").findall
_is_year = re.compile(r"(?:19|20)\d\d").fullmatch


def holds_number(text: str) -> bool:
    """Whether a text holds what may be a personal number, of anybody, in groups."""
    return any(_is_number(groups) for run in _runs(text) for groups in _windows(_groups(run[0])))


def _windows(groups: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield all groups in a row that have as many digits together as a personal number."""
    for first in range(len(groups)):
        digits = 0
        for last in range(first, len(groups)):
            digits += len(groups[last])
            if digits >= DIGITS:
                if digits == DIGITS and last > first:
                    yield groups[first : last + 1]
                break


def _is_number(groups: Sequence[str]) -> bool:
    sizes = tuple(map(len, groups))
    if sizes in AS_IT_IS_MADE:
        return True
    # 2023 2024 2025, or 2024-2025 before a telephone number.
    years = sum(_is_year(group) is not None for group in groups)
    return GROUP_DIGITS.issuperset(sizes) and years < 2
