"""Small counts, masked where the public sees them: who is one of three in a commune is soon known by name. Pure.

In rows that add up to a sum, one masked count could be had from the others: then another count is masked with it, or the
sum. docs/security.md says what several questions together still tell.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Cells = dict[str, Any]
"""Counts by name, in a row or a sum; None for what is masked."""


def masked(
    rows: Sequence[Mapping[str, Any]], total: Mapping[str, Any], names: Iterable[str], least: int
) -> tuple[list[Cells], Cells, bool]:
    """Return rows and their sum with None for counts below *least*, but 0; and whether there is any such.

    Args:
        names: Of the counts; everything else stays as it is.
    """
    told, whole, found = [dict(row) for row in rows], dict(total), False
    for name in names:
        cells, hidden = column([row[name] for row in rows], total[name], least)
        for index in cells:
            told[index][name] = None
        if hidden:
            whole[name] = None
        found = found or bool(cells) or hidden
    return told, whole, found


def column(counts: Sequence[int], total: int, least: int) -> tuple[set[int], bool]:
    """Return which counts of a column are masked, by their indexes, and whether their sum is."""
    small = {index for index, count in enumerate(counts) if is_small(count, least)}
    hidden = is_small(total, least)
    if small and not hidden and _is_told(small, sum(counts[index] for index in small), least):
        others = [index for index, count in enumerate(counts) if count and index not in small]
        if others:
            # The next in the order of the rows, round to the first. Not the smallest: that there is no smaller one would tell.
            small.add(next((index for index in others if index > min(small)), others[0]))
        else:
            hidden = True
    return small, hidden


def is_small(count: int | None, least: int) -> bool:
    return count is not None and 0 < abs(count) < least


def _is_told(small: set[int], together: int, least: int) -> bool:
    """Whether what several small counts are together tells each of them: there is one, or all are as small or as great as can be."""
    return len(small) == 1 or together in (len(small), len(small) * (least - 1))
