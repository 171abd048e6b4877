"""The made-up campaign: lawful, repeatable, and of the shape that the article tells.

The ledger itself is not asked here: a dict of states judges the rows, so that a
mistake of the ledger cannot hide the same mistake of the generator.
"""

import csv
import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api import campaign as campaigns
from api.campaign import AHEAD, COLUMNS, NOTICE, Campaign, Row, made_up_name, simulate, tables, write

DIGEST = "fe0291d3e906ff7028ab6a0f2a8d089bd98a47d451937cc0e2c7eb80d0081c2f"
"""Of 2,000 dossiers with seed 7, as CSV."""

HANOI = timedelta(hours=7)
DATA = Path(__file__).parents[2] / "ledger" / "data"

KEY, TYPE, CITIZEN, LEVEL, UNIT, OCCURRED_AT, ACTOR, PLACE, TEAM, PARTNER, RESIDENCE, REASON, NOTE = range(13)

PLACES = {
    "police_office",
    "culture_house",
    "household",
    "school",
    "one_stop_office",
    "enterprise",
    "hospital",
    "other",
}
PARTNERS = {
    "youth_union",
    "womens_union",
    "veterans",
    "elderly_association",
    "project06_team",
    "digital_team",
    "volunteers",
    "none",
}
REASONS = {
    "data_mismatch",
    "photo",
    "face",
    "fingerprint",
    "phone_owner",
    "phone_number",
    "card",
    "duplicate",
    "other",
}
FOLLOWS = {
    None: {"collected"},
    "collected": {"approved", "rejected"},
    "rejected": {"collected"},
    "approved": {"activated"},
    "activated": set(),
}


def rows_of(dossiers: int = 20_000, seed: int = 1, **window: date) -> list[Row]:
    return list(simulate(Campaign(dossiers=dossiers, seed=seed, **window)))


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return rows_of()


@pytest.fixture(scope="module")
def all_rows() -> list[Row]:
    return rows_of(200_000, seed=2)


def instant(row: Row) -> datetime:
    return datetime.fromisoformat(row[OCCURRED_AT])


def of_type(rows: Iterable[Row], type_: str) -> list[Row]:
    return [row for row in rows if row[TYPE] == type_]


def check_lawful(rows: Iterable[Row]) -> None:
    """Every row may follow those before it; nothing happens before what it follows."""
    states: dict[tuple[str, str], str] = {}
    times: dict[tuple[str, str], datetime] = {}
    keys: set[tuple[str, str]] = set()
    for row in rows:
        level = row[CITIZEN], row[LEVEL]
        assert row[TYPE] in FOLLOWS[states.get(level)], row
        assert level not in times or times[level] <= instant(row), row
        assert (row[CITIZEN], row[KEY]) not in keys, row
        states[level] = row[TYPE]
        times[level] = instant(row)
        keys.add((row[CITIZEN], row[KEY]))


def per_district(rows: Iterable[Row]) -> Counter[str]:
    return Counter(campaigns.communes()[row[UNIT]] for row in rows)


def people_per_district() -> Mapping[str, int]:
    people: dict[str, int] = defaultdict(int)
    for code, district in campaigns.communes().items():
        people[district] += campaigns.populations()[code]
    return people


def working_days_between(first: date, last: date) -> int:
    """Working days after the first day up to and with the last."""
    days = (first + timedelta(days=n) for n in range(1, (last - first).days + 1))
    return sum(day.weekday() < 5 for day in days)


def shift(row: Row) -> str:
    """As INTERFACES.md defines it, written down a second time."""
    time = instant(row)
    minute = time.hour * 60 + time.minute
    if not 7 * 60 <= minute < 22 * 60 + 30:
        return "night"
    if time.weekday() >= 5:
        return "weekend"
    return "office" if minute < 17 * 60 else "evening"


class TestTheFigures:
    @pytest.mark.parametrize("seed", [0, 1, 42, 20241209])
    def test_of_20_000_dossiers_are_in_proportion(self, seed):
        activated = of_type(rows_of(20_000, seed), "activated")

        assert 17_300 == pytest.approx(len(activated), rel=0.01)
        assert 1_700 == pytest.approx(per_district(activated)[AHEAD], rel=0.03)

    def test_of_200_000_dossiers_are_those_of_the_article(self, all_rows):
        """About 173,000 in the province and 17,000 in Nga Sơn, and not one row is unlawful."""
        activated = of_type(all_rows, "activated")

        assert 173_000 == pytest.approx(len(activated), rel=0.005)
        assert 17_000 == pytest.approx(per_district(activated)[AHEAD], rel=0.02)
        assert 200_000 == len({row[CITIZEN] for row in all_rows})
        check_lawful(all_rows)

    def test_half_a_percent_is_rejected(self, all_rows):
        collected, rejected = of_type(all_rows, "collected"), of_type(all_rows, "rejected")

        assert 0.005 == pytest.approx(len(rejected) / len(collected), rel=0.1)
        assert {row[REASON] for row in rejected} == REASONS

    def test_about_half_of_the_rejected_are_collected_again_and_then_approved(self, all_rows):
        lives = defaultdict(list)
        for row in all_rows:
            lives[row[CITIZEN], row[LEVEL]].append(row)
        rejected = [life for life in lives.values() if any(row[TYPE] == "rejected" for row in life)]
        again = [life for life in rejected if len(life) > 2]

        assert 0.4 < len(again) / len(rejected) < 0.6
        assert all(life[2][KEY] != life[0][KEY] for life in again)
        assert all(instant(life[2]).date() > instant(life[1]).date() for life in again)
        assert all(life[3][TYPE] == "approved" for life in again if len(life) > 3)

    def test_nine_of_ten_are_level_2_and_a_few_citizens_hold_both(self, rows):
        levels = defaultdict(set)
        for row in of_type(rows, "collected"):
            levels[row[CITIZEN]].add(row[LEVEL])
        counts = Counter("".join(sorted(held)) for held in levels.values())

        assert 20_000 == counts.total()
        assert 0.90 == pytest.approx(counts["2"] / 20_000, abs=0.01)
        assert 0.01 == pytest.approx(counts["12"] / 20_000, abs=0.004)

    def test_a_short_window_leaves_dossiers_waiting(self):
        rows = rows_of(500, start=date(2024, 12, 9), end=date(2024, 12, 9))

        assert 500 == len({row[CITIZEN] for row in rows})
        assert not [row for row in rows if row[LEVEL] == "2" and row[TYPE] != "collected"]


class TestTheLaw:
    def test_every_row_may_follow_those_before_it(self, rows):
        check_lawful(rows)

    @settings(max_examples=25, deadline=None)
    @given(
        dossiers=st.integers(1, 300),
        seed=st.integers(0, 2**70),
        end=st.dates(date(2024, 7, 1), campaigns.TREE_END),
        days=st.integers(0, 120),
    )
    def test_so_it_is_for_any_window(self, dossiers, seed, end, days):
        """Within the window, in order, each citizen once, whatever is asked for."""
        start = end - timedelta(days=days)
        rows = rows_of(dossiers, seed, start=start, end=end)

        check_lawful(rows)
        assert dossiers == len({row[CITIZEN] for row in rows})
        assert rows == sorted(rows, key=lambda row: (instant(row), row[CITIZEN], int(row[KEY].split("-")[2])))
        assert all(start <= instant(row).date() <= end for row in rows)

    def test_level_2_is_answered_after_1_to_3_working_days(self, all_rows):
        """In the office hours of C06, and level 1 after one at most."""
        days: dict[str, Counter[int]] = {"1": Counter(), "2": Counter()}
        collected = {}
        for row in all_rows:
            level = row[CITIZEN], row[LEVEL]
            if row[TYPE] == "collected":
                collected[level] = instant(row)
            if row[TYPE] in ("approved", "rejected"):
                assert "office" == shift(row)
                assert row[ACTOR].startswith("c06-")
                assert "" == row[UNIT]
                days[row[LEVEL]][working_days_between(collected[level].date(), instant(row).date())] += 1

        assert {1, 2, 3} == set(days["2"])
        assert {0, 1} == set(days["1"])

    def test_most_activate_within_7_days_some_late_some_never(self, all_rows):
        """Of those approved in October, for all of whom the 7 days and the late ones are over."""
        approved = {
            (row[CITIZEN], row[LEVEL]): instant(row)
            for row in of_type(all_rows, "approved")
            if instant(row).month == 10
        }
        delays = {
            (row[CITIZEN], row[LEVEL]): instant(row) - approved[row[CITIZEN], row[LEVEL]]
            for row in of_type(all_rows, "activated")
            if (row[CITIZEN], row[LEVEL]) in approved
        }
        in_time = sum(delay <= timedelta(days=7) for delay in delays.values())

        assert 0.85 < in_time / len(approved) < 0.92
        assert 0.04 < (len(delays) - in_time) / len(approved) < 0.10
        assert 0.02 < 1 - len(delays) / len(approved) < 0.08


class TestTheShape:
    def test_evenings_and_weekends_carry_a_large_part(self, rows):
        shares = Counter(shift(row) for row in of_type(rows, "collected"))

        assert 0.40 < shares["office"] / shares.total() < 0.50
        assert 0.24 < shares["evening"] / shares.total() < 0.32
        assert 0.20 < shares["weekend"] / shares.total() < 0.28
        assert 0.01 < shares["night"] / shares.total() < 0.05

    def test_activation_peaks_in_the_evening(self, rows):
        hours = Counter(instant(row).hour for row in of_type(rows, "activated"))

        assert {19, 20} == {hour for hour, _ in hours.most_common(2)}

    def test_the_days_grow_to_thousands(self, all_rows):
        days = Counter(instant(row).date() for row in of_type(all_rows, "collected"))
        first, last = days[date(2024, 10, 1)], days[date(2024, 12, 5)]

        assert 1_000 < first < 2_000
        assert 3_000 < last < 5_000
        assert 70 == len(days)

    def test_districts_collect_in_proportion_to_their_people(self, all_rows):
        """All but Nga Sơn, each within 6 % of its share of the others' people."""
        collected, people = per_district(of_type(all_rows, "collected")), dict(people_per_district())
        del collected[AHEAD], people[AHEAD]

        assert people.keys() == collected.keys()
        for district, count in collected.items():
            expected = people[district] / sum(people.values())
            assert expected == pytest.approx(count / collected.total(), rel=0.06), district

    def test_communes_collect_in_proportion_to_their_people(self, all_rows):
        """Within five standard deviations of a draw in proportion; all 558 take part."""
        collected, people = (
            Counter(row[UNIT] for row in of_type(all_rows, "collected")),
            campaigns.populations(),
        )
        others = [code for code, district in campaigns.communes().items() if district != AHEAD]
        total, souls = sum(collected[code] for code in others), sum(people[code] for code in others)

        assert campaigns.communes().keys() == collected.keys()
        for code in others:
            expected = total * people[code] / souls
            assert abs(collected[code] - expected) < 5 * expected**0.5, code

    def test_nga_son_is_ahead_of_the_others(self, rows):
        activated, people = per_district(of_type(rows, "activated")), people_per_district()
        rates = sorted(people, key=lambda district: activated[district] / people[district], reverse=True)

        assert AHEAD == rates[0]
        assert activated[AHEAD] / people[AHEAD] > 1.5 * activated[rates[1]] / people[rates[1]]

    def test_mobile_teams_go_where_no_desk_is(self, rows):
        for row in of_type(rows, "collected"):
            assert bool(row[TEAM]) == (row[PLACE] in tables.MOBILE), row
            assert re.fullmatch(r"[A-Za-z0-9_-]{0,64}", row[TEAM])
            assert row[PARTNER] in PARTNERS

    def test_only_level_1_is_taken_online(self, rows):
        places = {
            level: {row[PLACE] for row in of_type(rows, "collected") if row[LEVEL] == level} for level in "12"
        }

        assert PLACES == places["2"]
        assert "online" in places["1"]

    def test_schools_send_pupils_and_culture_houses_fill_in_the_evening(self, rows):
        collected = of_type(rows, "collected")
        school = [row for row in collected if row[PLACE] == "school"]
        pupils = [row for row in school if row[CITIZEN][3] in "23" and row[CITIZEN][4:6] >= "06"]
        house = Counter(shift(row) for row in collected if row[PLACE] == "culture_house")

        assert {"office"} == {shift(row) for row in school}
        assert len(pupils) > 0.8 * len(school)
        assert house["evening"] > 0.4 * house.total()


class TestTheFields:
    def test_numbers_have_the_structure_of_the_decree(self, rows):
        """Province, century and sex, year, and six digits of a range that marks them as invented."""
        citizens = {row[CITIZEN] for row in rows}

        assert all(re.fullmatch(r"0\d\d([01][4-9]\d|[23](0\d|10))9\d{5}", citizen) for citizen in citizens)
        assert 0.88 == pytest.approx(sum(c.startswith("038") for c in citizens) / len(citizens), abs=0.02)

    def test_no_other_field_holds_a_number(self, rows):
        for row in rows:
            rest = (row[KEY], row[ACTOR], row[UNIT], row[TEAM], row[RESIDENCE], row[NOTE])
            # However it is spaced: the ledger looks at a field's digits alone.
            assert all(len(re.sub(r"\D", "", field)) < 12 for field in rest), row

    def test_units_are_in_the_tree(self, rows):
        for row in rows:
            assert row[UNIT] in campaigns.communes() or row[TYPE] in ("approved", "rejected"), row
            assert row[RESIDENCE] in campaigns.communes() or re.fullmatch(r"\d{2}|", row[RESIDENCE]), row

    def test_some_live_elsewhere(self, rows):
        collected = of_type(rows, "collected")
        elsewhere = [row for row in collected if row[RESIDENCE] not in ("", row[UNIT])]
        other_province = [row for row in elsewhere if len(row[RESIDENCE]) == 2]

        assert 0.03 < len(elsewhere) / len(collected) < 0.08
        assert 0.01 < len(other_province) / len(collected) < 0.03

    def test_the_citizen_or_an_officer_activates(self, rows):
        activated = of_type(rows, "activated")
        alone = [row for row in activated if row[ACTOR] == "self"]

        assert 0.45 < len(alone) / len(activated) < 0.65
        assert {""} == {row[PLACE] for row in alone}

    def test_times_are_of_vietnam_to_the_second(self, rows):
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+07:00", row[OCCURRED_AT]) for row in rows)
        assert {HANOI} == {instant(row).utcoffset() for row in rows}

    def test_notes_are_rare_and_reasons_are_for_the_rejected(self, rows):
        assert 0 < sum(bool(row[NOTE]) for row in rows) < 0.01 * len(rows)
        assert all(bool(row[REASON]) == (row[TYPE] == "rejected") for row in rows)
        assert not any(re.search(r"\d", row[NOTE]) for row in rows)


class TestThePopulations:
    def test_every_commune_has_people(self):
        assert 558 == len(campaigns.communes())
        assert 27 == len(campaigns.districts())
        assert campaigns.communes().keys() == campaigns.populations().keys()
        assert all(people > 500 for people in campaigns.populations().values())

    def test_a_successors_people_are_shared_evenly(self):
        """Wherever only whole communes that absorbed no other became one."""
        heirs = defaultdict(set)
        for pair in read("merge_2025.csv"):
            heirs[pair["new_code"]].add((pair["old_code"], pair["kind"]))
        changed = {row["new_code"] for row in read("merge_2025-01-01.csv") if row["kind"] == "absorbed"}
        for unit in read("population_2025_communes.csv"):
            old = heirs[unit["code"]]
            codes = [code for code, _ in old]
            if (
                unit["quality"] == "ok"
                and {kind for _, kind in old} == {"whole"}
                and not changed & set(codes)
            ):
                assert {round(int(unit["population"]) / len(old))} == {
                    campaigns.populations()[c] for c in codes
                }

    def test_no_one_is_lost_where_all_is_known(self):
        """Of Hoằng Hóa, which no merger left and no split touched, all people are in its communes."""
        known = sum(
            int(unit["population"])
            for unit in read("population_2025_communes.csv")
            if unit["old_district_codes"] == "399"
        )

        assert known == pytest.approx(people_per_district()["399"], abs=37)

    def test_what_is_suspect_is_not_used(self):
        """Nga An is said to have 2,495 people: its communes have the mean of Nga Sơn's others."""
        people = campaigns.populations()
        of_nga_an = {pair["old_code"] for pair in read("merge_2025.csv") if pair["new_code"] == "16144"}
        others = [people[c] for c, d in campaigns.communes().items() if d == AHEAD and c not in of_nga_an]

        assert of_nga_an
        for code in of_nga_an:
            assert sum(others) / len(others) == pytest.approx(people[code], rel=0.001)

    def test_the_two_absorbed_nobody_knows_where_have_their_districts_mean(self):
        people = campaigns.populations()
        for code in ("15217", "16651"):
            mates = {people[c] for c, d in campaigns.communes().items() if d == campaigns.communes()[code]}
            assert min(mates) < people[code] < max(mates)


def read(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class TestTheBytes:
    WRITE = (
        "import sys; from api.campaign import Campaign, simulate, write;"
        "write(simulate(Campaign(dossiers=2000, seed=7)), sys.argv[1])"
    )

    @pytest.mark.parametrize("suffix", [".csv", ".ndjson"])
    def test_the_same_seed_gives_the_same_bytes_in_every_process(self, tmp_path, suffix):
        """Whatever the hash seed, the locale, the time zone and the working directory."""
        surroundings = (
            {
                "PYTHONHASHSEED": "0",
                "LC_ALL": "C",
                "PYTHONUTF8": "0",
                "PYTHONCOERCECLOCALE": "0",
                "TZ": "UTC",
            },
            {"PYTHONHASHSEED": "4242", "LC_ALL": "C.UTF-8", "TZ": "America/St_Johns"},
        )
        written = []
        for number, variables in enumerate(surroundings):
            file = tmp_path / f"{number}{suffix}"
            environment = {
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, [str(Path.cwd()), *sys.path])),
            }
            subprocess.run(
                [sys.executable, "-c", self.WRITE, str(file)],
                check=True,
                env=environment | variables,
                cwd=tmp_path,
            )
            written.append(file.read_bytes())

        assert written[0] == written[1]

    def test_the_bytes_of_a_seed_are_these(self, tmp_path):
        """On every Python: whoever changes the generator changes this, and says so in the changelog."""
        write(simulate(Campaign(dossiers=2000, seed=7)), tmp_path / "a.csv")

        assert DIGEST == hashlib.sha256((tmp_path / "a.csv").read_bytes()).hexdigest()

    def test_another_seed_gives_another_campaign(self):
        assert rows_of(100, seed=1) != rows_of(100, seed=2)

    def test_csv_has_a_header_and_line_feeds(self, tmp_path):
        write(rows_of(50), tmp_path / "a.csv")
        text = (tmp_path / "a.csv").read_bytes()

        assert text.startswith(",".join(COLUMNS).encode() + b"\n")
        assert b"\r" not in text
        with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
            assert [list(COLUMNS), *map(list, rows_of(50))] == list(csv.reader(file))

    @pytest.mark.parametrize("suffix", [".ndjson", ".jsonl"])
    def test_ndjson_says_the_same(self, tmp_path, suffix):
        write(rows_of(50), tmp_path / f"a{suffix}")
        lines = (tmp_path / f"a{suffix}").read_text(encoding="utf-8").splitlines()
        read = [tuple(str(json.loads(line).get(column, "")) for column in COLUMNS) for line in lines]

        assert rows_of(50) == read
        assert {1, 2} >= {json.loads(line)["level"] for line in lines}


class TestWriting:
    def test_the_summary_counts_what_was_written(self, tmp_path, rows):
        summary = write(rows, tmp_path / "a.csv")

        assert len(rows) == summary.rows
        assert Counter(row[TYPE] for row in rows) == summary.by_type
        assert list(summary.by_type) == ["collected", "approved", "rejected", "activated"]
        assert summary.activated == sum(district.activated for district in summary.districts)
        assert (AHEAD, "Huyện Nga Sơn") == summary.districts[0][:2]
        assert dict(per_district(of_type(rows, "activated"))) == {
            d.code: d.activated for d in summary.districts
        }

    def test_an_unknown_suffix_is_refused_before_anything_is_drawn(self, tmp_path):
        drawn: list[int] = []
        rows = simulate(Campaign(dossiers=1000, seed=1), on_progress=drawn.append)

        with pytest.raises(ValueError, match=r"a\.xlsx must end in \.csv, \.ndjson, \.jsonl"):
            write(rows, tmp_path / "a.xlsx")
        assert [] == drawn
        assert [] == list(tmp_path.iterdir())

    def test_a_failure_leaves_the_earlier_file(self, tmp_path):
        file = tmp_path / "a.csv"
        write(rows_of(10), file)
        before = file.read_bytes()

        def broken():
            yield rows_of(10)[0]
            raise OSError("the disk is full")

        with pytest.raises(OSError, match="full"):
            write(broken(), file)
        assert before == file.read_bytes()

    def test_progress_is_told_by_the_thousand(self):
        told: list[int] = []
        list(simulate(Campaign(dossiers=2_500, seed=1), on_progress=told.append))

        assert [1_000, 2_000, 2_500] == told

    def test_the_names_say_that_it_is_made_up(self):
        campaign = Campaign(dossiers=200_000, seed=3)

        assert "made-up-campaign-200000-seed3.csv" == made_up_name(campaign)
        assert "made-up-campaign-200000-seed3.ndjson" == made_up_name(campaign, ".ndjson")
        assert "Invented data in real units" in NOTICE
        assert "giả định" in NOTICE

    @pytest.mark.parametrize(
        ("wish", "why"),
        [
            ({"dossiers": 0}, "dossiers"),
            ({"dossiers": campaigns.DOSSIERS_MAX + 1}, "dossiers"),
            ({"seed": -1}, "seed"),
            ({"start": date(2024, 12, 10)}, "before it starts"),
            ({"end": date(2025, 1, 1)}, "valid to 2024-12-31"),
        ],
    )
    def test_the_impossible_is_refused(self, wish, why):
        with pytest.raises(ValueError, match=why):
            Campaign(**{"dossiers": 10, "seed": 1} | wish)
