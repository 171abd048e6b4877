"""A made-up nation, as large as Vietnam was, and its reorganisation: 63 provinces become 34, 10,040 communes 3,321."""

import random
import time
from datetime import date
from itertools import count
from pathlib import Path

from msgspec import Struct

from benchmarks.table import Results, step
from ledger import open_ledger

OLD = {"province": 63, "district": 696, "commune": 10_040}
NEW = {"province": 34, "commune": 3_321}
SPLIT = 471
"""Old communes of which two or three new ones have parts."""
UNCHANGED = 110
"""Communes that go on as they are, but for what is above them."""


class Nation(Struct, frozen=True):
    """The files that tell it, as ``ledger units load`` and ``ledger units reorganise`` take them."""

    old: str
    new: str
    map: str


def make_nation(share: float = 1.0, *, seed: int = 1) -> Nation:
    """Return the nation, or a smaller one of the same shape; the same arguments give the same.

    Args:
        share: How much of it; 0.01 is a hundred communes.
    """
    draw = random.Random(seed)
    number = {level: max(2, round(share * many)) for level, many in OLD.items()}
    provinces = [f"{code:02}" for code in range(1, number["province"] + 1)]
    districts = [f"{code:03}" for code in range(1, number["district"] + 1)]
    communes = [f"{code:05}" for code in range(1, number["commune"] + 1)]
    # Whatever has no draw left has its share: no province is empty, and no district.
    of_district = {code: provinces[place % len(provinces)] for place, code in enumerate(districts)}
    of_commune = {code: districts[place % len(districts)] for place, code in enumerate(communes)}
    old = [
        *((code, f"Tỉnh {code}", "province", "") for code in provinces),
        *((code, f"Huyện {code}", "district", of_district[code]) for code in districts),
        *((code, f"Xã {code}", "commune", of_commune[code]) for code in communes),
    ]
    kept = max(1, round(share * NEW["province"]))
    # Provinces are merged pair by pair, the second into the first, until few enough are left.
    becomes = {
        code: provinces[place if place < kept else place - kept] for place, code in enumerate(provinces)
    }
    by_province: dict[str, list[str]] = {code: [] for code in provinces[:kept]}
    for code in communes:
        by_province[becomes[of_district[of_commune[code]]]].append(code)
    new, lines = _redrawn(by_province, draw, share)
    rows = [*((code, f"Tỉnh {code}", "province", "") for code in provinces[:kept]), *new]
    lines = [
        *((code, becomes[code], "unchanged" if becomes[code] == code else "whole") for code in provinces),
        *lines,
    ]
    return Nation(
        _csv("code,name,level,parent_code", old),
        _csv("code,name,level,parent_code", rows),
        _csv("old_code,new_code,kind", lines),
    )


def _redrawn(
    by_province: dict[str, list[str]], draw: random.Random, share: float
) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Return the new communes, which have codes of old ones, and what became of each old one."""
    every = sum(map(len, by_province.values()))
    new: list[tuple[str, ...]] = []
    lines: list[tuple[str, ...]] = []
    names, done = count(1), 0
    for province, communes in by_province.items():
        # Of what there is in all, the part of this province.
        done, before = done + len(communes), done
        same, cut, target = (
            many * done // every - many * before // every
            for many in (max(1, round(share * many)) for many in (UNCHANGED, SPLIT, NEW["commune"]))
        )
        shuffled = draw.sample(communes, len(communes))
        for code in shuffled[:same]:
            new.append((code, f"Xã {code}", "commune", province))
            lines.append((code, code, "unchanged"))
        gone = shuffled[same:]
        heirs = gone[: target - same]
        new += [(code, f"Phường Mới {next(names)}", "commune", province) for code in heirs]
        for position, code in enumerate(gone):
            if position >= len(gone) - cut:
                parts = draw.sample(heirs, min(len(heirs), draw.choice((2, 2, 3))))
                kinds = ["part", "part", "part_area_only"][: len(parts)]
                lines += [(code, heir, kind) for heir, kind in zip(parts, kinds, strict=True)]
            else:
                lines.append((code, heirs[position % len(heirs)], "whole"))
    return new, lines


def measure_nation(home: Path, share: float, repeats: int, results: Results) -> None:
    """Reorganise the whole nation, end to end: files read, decided, recorded in one commit, and read back by another."""
    nation = make_nation(share)
    paths = {name: home / f"nation-{name}.csv" for name in Nation.__struct_fields__}
    for name, path in paths.items():
        path.write_text(getattr(nation, name), encoding="utf-8")
    for repeat in range(repeats):
        with (
            step(f"a nation's reorganisation, {repeat + 1} of {repeats}"),
            open_ledger(home=home, schema=f"nation_{repeat}") as ledger,
        ):
            beginning = time.monotonic()
            ledger.load_units(paths["old"], valid_from=date(2021, 1, 1))
            loaded = time.monotonic()
            changed = ledger.reorganise(
                paths["new"], paths["map"], effective=date(2025, 7, 1), decree="a made-up resolution"
            )
            recorded = time.monotonic()
            with open_ledger(home=home, schema=f"nation_{repeat}") as another:
                assert changed.plan.tree.by_id == another.tree().by_id
            results.add("nation.load", loaded - beginning)
            results.add("nation.reorganise", recorded - loaded)
            results.add("nation.read_back", time.monotonic() - recorded)
    for path in paths.values():
        path.unlink()


def _csv(header: str, rows: list[tuple[str, ...]]) -> str:
    return "\n".join([header, *(",".join(row) for row in rows)]) + "\n"
