"""How long dossiers wait, and how long waits took, against the log followed by hand."""

from collections import Counter
from datetime import date, timedelta
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.checks import DAY_MAX
from ledger.errors import FieldInvalidError, UnitUnknownError
from projections import AgeingQuery, NotCaughtUpError, PositionLostError, open_ageing
from projections.ageing import MEASURES, STEPS, nearest_rank
from tests.projections import campaigns
from tests.projections.by_hand import VIETNAM
from tests.projections.waits_by_hand import Waits, waits_of

ON = date(2024, 12, 9)


@pytest.fixture(scope="module")
def waits(campaign) -> Waits:
    return waits_of(campaign.rows)


def percentile(values: list[int], percent: int) -> int | None:
    return sorted(values)[ceil(percent * len(values) / 100) - 1] if values else None


def measures(waits: Waits, step: str, units: set[str] | None = None, **asked: object) -> dict:
    """Return what a row must tell, by lists of every single wait."""
    ages = [
        (ON - row[3].astimezone(VIETNAM).date()).days
        for row in waits.worklist
        if (units is None or row[5] in units)
        and asked.get("level") in (None, row[1])
        and step == ("approval" if row[2] == "collected" else "activation")
    ]
    took = [
        seconds
        for (unit, level, ended, day, seconds), number in waits.times.items()
        for _ in range(number)
        if (units is None or unit in units)
        and asked.get("level") in (None, level)
        and ended == step
        and asked.get("from_day", date.min) <= day <= asked.get("to_day", date.max)
    ]
    days = [
        None if seconds is None else round(seconds / 86400, 2)
        for seconds in (percentile(took, 50), percentile(took, 90))
    ]
    return {
        "waiting": len(ages),
        "age_0_1": sum(age <= 1 for age in ages),
        "age_2_3": sum(2 <= age <= 3 for age in ages),
        "age_4_7": sum(4 <= age <= 7 for age in ages),
        "age_8_30": sum(8 <= age <= 30 for age in ages),
        "age_over_30": sum(30 < age for age in ages),
        "age_days_p50": percentile(ages, 50),
        "age_days_p90": percentile(ages, 90),
        "ended": len(took),
        "took_days_p50": days[0],
        "took_days_p90": days[1],
    }


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"level": 1},
        {"from_day": date(2024, 10, 1), "to_day": date(2024, 10, 31)},
        {"level": 2, "to_day": date(2024, 11, 11)},
        {"from_day": date(2024, 12, 8)},
        {"to_day": DAY_MAX},
        {"from_day": date(2030, 1, 1)},
    ],
    ids=str,
)
@pytest.mark.parametrize("unit", [None, "38", "380", "14758"])
def test_children_and_sum(campaign, waits, unit, asked):
    """Each child with everything under it, what is the unit's own, and all of it together."""
    answer = open_ageing(campaign.ledger).read(AgeingQuery(unit=unit, **asked))
    under = campaign.tree.under
    keys = {row["unit"]["code"] for row in answer.rows}
    for row in answer.rows:
        code = row["unit"]["code"]
        units = {campaign.tree.ids[code]} if code == unit else under(code)
        assert {"step": row["step"], **measures(waits, row["step"], units, **asked)} == {
            name: row[name] for name in ("step", *MEASURES)
        }
    whole = None if unit is None else under(unit)
    assert [{"step": step, **measures(waits, step, whole, **asked)} for step in STEPS] == answer.sum
    assert 2 * len(keys) == len(answer.rows)
    for total in answer.sum:
        for name in ("waiting", "age_8_30", "ended"):
            assert total[name] == sum(row[name] for row in answer.rows if row["step"] == total["step"])
    assert ("worklist", ON, len(campaign.rows)) == (answer.projection, answer.on, answer.position)


def test_communes_of_the_province(campaign, waits):
    """All units of a level, and what stands above them: by the nearest rank of each."""
    answer = open_ageing(campaign.ledger).read(AgeingQuery(unit="38", by="commune"))
    told = {(row["unit"]["code"], row["step"]): row for row in answer.rows}
    # Those of the day, and the districts and the province, at which events were recorded too.
    assert 558 + len(campaigns.DISTRICTS) + 1 == len(told) / 2
    for code in ("14758", "16093"):
        for step in STEPS:
            expected = measures(waits, step, {campaign.tree.ids[code]})
            assert expected == {name: told[code, step][name] for name in MEASURES}


@given(st.lists(st.integers(-2, 40), max_size=30), st.sampled_from([1, 50, 90, 100]))
def test_nearest_rank(values, percent):
    """Told of numbers of values, as of the values one by one."""
    assert percentile(values, percent) == nearest_rank(Counter(values), percent)


def test_what_cannot_be_asked(ledger, operator):
    ageing = open_ageing(ledger)
    with pytest.raises(FieldInvalidError, match="is before from"):
        ageing.read(AgeingQuery(from_day=ON, to_day=ON - timedelta(1)))
    with pytest.raises(UnitUnknownError):
        ageing.read(AgeingQuery(unit="99999"))
    with pytest.raises(NotCaughtUpError):
        ageing.read(AgeingQuery(), after=1, wait_seconds=0.01)
    operator.execute("DELETE FROM projections WHERE name = 'worklist'")
    with pytest.raises(PositionLostError):
        ageing.read(AgeingQuery())
