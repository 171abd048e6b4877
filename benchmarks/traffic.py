"""Reports as they would come in: dossiers of a made-up campaign, in the order of time.

In that order most reports of a batch belong to different dossiers, some new, some collected days before.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from api.campaign import COLUMNS, Campaign, Row, simulate
from ledger import AnyCommand, read_report

T = TypeVar("T")
_CITIZEN = COLUMNS.index("citizen")


def draw(dossiers: int, *, seed: int) -> list[Row]:
    """Return a campaign's reports in the order of time."""
    return list(simulate(Campaign(dossiers=dossiers, seed=seed)))


def commands_of(rows: Iterable[Row]) -> list[AnyCommand]:
    return [read_report(dict(zip(COLUMNS, row, strict=True))) for row in rows]


def parted(rows: Iterable[Row], parts: int) -> list[list[Row]]:
    """Part reports by citizen, as if different offices sent them: each keeps the order of its dossiers."""
    shares: list[list[Row]] = [[] for _ in range(parts)]
    for row in rows:
        shares[int(row[_CITIZEN]) % parts].append(row)
    return shares


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
