"""The real units of 2024: which there are, how many people live in each, and how one is drawn."""

import csv
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import cache
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple


@cache
def districts() -> Mapping[str, str]:
    """The 27 districts of 2024: code to name."""
    return {unit["code"]: unit["name"] for unit in _data("units_2024.csv") if unit["level"] == "district"}


@cache
def communes() -> Mapping[str, str]:
    """The 558 communes of 2024: code to the code of their district."""
    return {
        unit["code"]: unit["parent_code"] for unit in _data("units_2024.csv") if unit["level"] == "commune"
    }


@cache
def populations() -> Mapping[str, int]:
    """An estimate in whole people for each commune of 2024.

    Known are the populations of the communes of July 2025. A commune of 2024 takes an
    even share of its successor's. One that was split among n successors claims 1/n of
    an ordinary commune's share in each, as the law gives the parts no numbers; land
    without people claims nothing. Where a successor's population is not available, or
    the successor is not known, it takes the mean of its district's known communes.
    """
    heirs: dict[str, list[str]] = defaultdict(list)
    for pair in _data("merge_2025.csv"):
        if pair["kind"] != "part_area_only":
            heirs[pair["old_code"]].append(pair["new_code"])
    successors = {pair["old_code"]: heirs[pair["new_code"]] for pair in _data("merge_2025-01-01.csv")}
    claims: dict[str, Fraction] = defaultdict(Fraction)
    for code in communes():
        for heir in successors[code]:
            claims[heir] += Fraction(1, len(successors[code]))
    people = {
        unit["code"]: int(unit["population"])
        for unit in _data("population_2025_communes.csv")
        if unit["quality"] == "ok"
    }
    shares: dict[str, Fraction] = {}
    of_district: dict[str, list[Fraction]] = defaultdict(list)
    for code, district in communes().items():
        if successors[code] and all(heir in people for heir in successors[code]):
            parts = [people[heir] / claims[heir] / len(successors[code]) for heir in successors[code]]
            shares[code] = sum(parts, Fraction())
            of_district[district].append(shares[code])
    means = {district: sum(known, Fraction()) / len(known) for district, known in of_district.items()}
    return {code: round(shares.get(code, means[district])) for code, district in communes().items()}


def _data(name: str) -> list[dict[str, str]]:
    # Found, not imported: inventing rows needs no database driver and must not wait for one.
    ledger = find_spec("ledger")
    assert ledger is not None, "api is installed without ledger"
    assert ledger.submodule_search_locations is not None, ledger
    path = Path(next(iter(ledger.submodule_search_locations))) / "data" / name
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class Commune(NamedTuple):
    code: str
    officers: tuple[str, ...]
    teams: tuple[str, ...]
    neighbours: tuple[str, ...]
    """The communes of the same district, itself among them."""


class Lot:
    """The communes of a group of districts, drawn in proportion to their people."""

    def __init__(self, codes: Iterable[str]) -> None:
        of_district: dict[str, list[str]] = defaultdict(list)
        for code, district in communes().items():
            of_district[district].append(code)
        people = populations()
        self._communes = [
            Commune(
                code,
                tuple(f"th-{code}-{number:02}" for number in range(1, 4 + people[code] // 4_000)),
                (f"{code}-to-1", f"{code}-to-2"),
                tuple(of_district[communes()[code]]),
            )
            for code in codes
        ]
        self._upto = list(accumulate(people[commune.code] for commune in self._communes))

    def draw(self, chance: float) -> Commune:
        return self._communes[bisect_right(self._upto, chance * self._upto[-1])]
