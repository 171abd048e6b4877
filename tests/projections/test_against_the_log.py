"""The sum over units equals the count of events in the log: for every measure, and every way to ask."""

from collections import Counter
from datetime import timedelta
from itertools import product
from random import Random

import pytest

from projections import TotalsQuery
from tests.conftest import check_ledger
from tests.projections import by_hand
from tests.projections.by_hand import EVENTS, MEASURES

PARTS = ("level", "day", "week", "month", "place", "shift", "partner", "team", "actor", "reason")
STANDING = (*EVENTS, "awaiting_approval", "awaiting_activation", "awaiting_long", "awaiting_notified")


def test_tables_are_the_fold_of_the_log(campaign):
    """Every grain holds what the log's rows come to: every measure by unit, day, level, place, shift, partner."""
    check_ledger(campaign.ledger, length=len(campaign.rows))
    by_hand.check_totals(campaign.ledger.database)

    assert 5000 < len(campaign.rows) - len(campaign.tree.ids)
    assert set(STANDING) == {measure for measure, _ in campaign.counts}


@pytest.mark.parametrize("level", [None, 1, 2])
def test_every_grouping_of_every_busy_unit(campaign, level):
    """Each unit with events at or under it, and the whole ledger, by everything there is to ask by."""
    counts, tree = campaign.counts, campaign.tree
    busy = {unit for _, where in counts for unit in tree.path(where.unit)}
    codes = {unit: code for code, unit in tree.ids.items()}
    for unit, by in product((None, *sorted(codes[unit] for unit in busy)), PARTS):
        units = None if unit is None else tree.under(unit)
        answer = campaign.totals.read(TotalsQuery(unit=unit, by=by, level=level))
        told = {row[by]: {measure: row[measure] for measure in MEASURES} for row in answer.rows}
        rows, total = by_hand.expect(counts, by, units=units, level=level)
        assert (len(campaign.rows), rows, total) == (answer.position, told, answer.sum), (unit, by)


def test_every_unit_of_the_tree(campaign):
    """Each of the 586 units lists its children with everything under them, and what it recorded itself."""
    tree = campaign.tree
    subtree: dict[str, Counter] = {unit: Counter() for unit in tree.parents}
    own: dict[str, Counter] = {unit: Counter() for unit in tree.parents}
    for (measure, where), number in campaign.counts.items():
        own[where.unit][measure] += number
        for unit in tree.path(where.unit):
            subtree[unit][measure] += number
    children: dict[str | None, dict[str, dict]] = {unit: {} for unit in tree.parents}
    for code, unit in tree.ids.items():
        children.setdefault(tree.parents[unit], {})[code] = by_hand.whole(subtree[unit])

    assert 586 == len(tree.ids)
    for code, unit in tree.ids.items():
        answer = campaign.totals.read(TotalsQuery(unit=code))
        told = {row["unit"]["code"]: {measure: row[measure] for measure in MEASURES} for row in answer.rows}
        itself = {code: by_hand.whole(own[unit])} if own[unit] else {}
        assert (children[unit] | itself, by_hand.whole(subtree[unit])) == (told, answer.sum), code


def test_sum_is_the_number_of_rows_in_the_log(campaign):
    """The total of the whole ledger is the number of rows of each topic in the dossiers without a correction, which
    anybody can count in psql, and of what stands in the others."""
    corrected = {stream for _, stream, _, state in campaign.rows if b'"corrects"' in state}
    topics = Counter(topic for _, stream, topic, _ in campaign.rows if stream not in corrected)
    counts = by_hand.count(row for row in campaign.rows if row[1] in corrected)
    for (measure, _), number in counts.items():
        topics[f"dossier.{measure}.v1"] += number
    total = campaign.totals.read(TotalsQuery()).sum
    assert 200 < len(corrected)

    assert {measure: topics[f"dossier.{measure}.v1"] for measure in EVENTS} == {
        measure: total[measure] for measure in EVENTS
    }


@pytest.mark.parametrize("seed", range(2))
def test_any_days(campaign, seed):
    """Whole months, and the days at their edges, agree with the log counted day by day; so does every sum."""
    counts, tree = campaign.counts, campaign.tree
    chance = Random(seed)
    days = sorted({where.day for _, where in counts})
    firsts = [day for day in days if day.day == 1]
    lasts = [day for day in days if (day + timedelta(1)).day == 1]
    for _ in range(30):
        first = chance.choice((chance.choice(days), chance.choice(firsts)))
        last = max(first, chance.choice((chance.choice(days), chance.choice(lasts))))
        unit = chance.choice((None, "38", "380", "401", "14758"))
        level = chance.choice((None, 1, 2))
        units = None if unit is None else tree.under(unit)
        for by in ("unit", *PARTS):
            query = TotalsQuery(unit=unit, by=by, level=level, from_day=first, to_day=last)
            answer = campaign.totals.read(query)
            rows, total = by_hand.expect(counts, by, units=units, level=level, from_day=first, to_day=last)
            assert total == answer.sum, query
            told = [{measure: row[measure] for measure in MEASURES} for row in answer.rows]
            if by != "unit":
                keys = [row[by] for row in answer.rows]
                pairs = zip(keys, told, strict=True)
                assert rows == {key: row for key, row in pairs if any(row.values())}, query
            assert total == {measure: sum(row[measure] for row in told) for measure in MEASURES}, query
