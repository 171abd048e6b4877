"""The import file of a campaign: its columns, how it is written, and what was written."""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TextIO

from api.campaign.units import communes, districts

COLUMNS = (
    "key",
    "type",
    "citizen",
    "level",
    "unit",
    "occurred_at",
    "actor",
    "place",
    "team",
    "partner",
    "residence_unit",
    "reason",
    "note",
)
"""The import file's columns, in the order of a row's fields."""

TYPES = ("collected", "approved", "rejected", "activated")
"""The types that occur, in the order of a dossier's life."""

Row = tuple[str, str, str, str, str, str, str, str, str, str, str, str, str]
"""Thirteen strings in the order of COLUMNS; absent values are empty."""


class DistrictCount(NamedTuple):
    code: str
    name: str
    activated: int


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What was written, counted from the rows themselves."""

    rows: int
    by_type: Mapping[str, int]
    """Events of each type, in the order of a dossier's life."""
    districts: Sequence[DistrictCount]
    """Activated events of each of the 27 districts, by the acting unit; most first."""

    @property
    def activated(self) -> int:
        return self.by_type["activated"]


def write(rows: Iterable[Row], path: str | Path) -> Summary:
    """Write an import file: CSV for ``.csv``, NDJSON for ``.ndjson`` or ``.jsonl``; UTF-8, lines end in LF.

    The file appears under its name only when it is complete, and replaces another of
    that name; a crash leaves at most ``<name>.part``. NDJSON omits what is empty and
    has the level as a number.

    Raises:
        ValueError: Another suffix; no row was asked for.
        OSError: The file cannot be written.
    """
    path = Path(path)
    write_rows = _WRITERS.get(path.suffix.lower())
    if write_rows is None:
        raise ValueError(f"{path.name} must end in {', '.join(_WRITERS)}")
    counting = _Counting()
    part = path.with_name(f"{path.name}.part")
    with part.open("w", encoding="utf-8", newline="") as file:
        write_rows(counting.through(rows), file)
    part.replace(path)
    return counting.summary()


class _Counting:
    def __init__(self) -> None:
        self._types: Counter[str] = Counter()
        self._activated: Counter[str] = Counter()

    def through(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            self._types[row[1]] += 1
            if row[1] == "activated":
                self._activated[row[4]] += 1
            yield row

    def summary(self) -> Summary:
        of_district: Counter[str] = Counter()
        for unit, count in self._activated.items():
            of_district[communes()[unit]] += count
        counts = [DistrictCount(code, name, of_district[code]) for code, name in districts().items()]
        return Summary(
            rows=self._types.total(),
            by_type={type_: self._types[type_] for type_ in TYPES},
            districts=tuple(sorted(counts, key=lambda count: (-count.activated, count.code))),
        )


def _write_csv(rows: Iterable[Row], file: TextIO) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)


def _write_ndjson(rows: Iterable[Row], file: TextIO) -> None:
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    for row in rows:
        fields: dict[str, str | int] = {
            name: value for name, value in zip(COLUMNS, row, strict=True) if value
        }
        fields["level"] = int(row[3])
        file.write(encode(fields) + "\n")


_WRITERS: Mapping[str, Callable[[Iterable[Row], TextIO], None]] = {
    ".csv": _write_csv,
    ".ndjson": _write_ndjson,
    ".jsonl": _write_ndjson,
}
