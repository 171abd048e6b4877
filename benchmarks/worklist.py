"""How fast is a page of a worklist that a million dossiers are on?

No campaign leaves so many waiting, so they are made up in the table itself: over 90 days, more of them recent, a
fifth of the communes with half of them; half collected by teams, three a commune, and by eight officers.
"""

import statistics
import time
from pathlib import Path

import psycopg

from benchmarks.ledger import fresh_ledger
from benchmarks.table import Results, step
from projections import WorklistQuery, catch_up, open_worklist

WAITING = 1_000_000
PAGES = 100
UNIT, PROVINCE = "14758", "38"
QUERIES = {
    "province": WorklistQuery(unit=PROVINCE),
    "commune": WorklistQuery(unit=UNIT),
    "place": WorklistQuery(unit=PROVINCE, place="hospital"),
    "team": WorklistQuery(unit=PROVINCE, team=f"{UNIT}-to-1"),
}
_MADE_UP = """
    INSERT INTO ledger.worklist (
        dossier_id, level, state, since, position, unit_id, leaf_id, residence, place, team, actor, card, attempt
    )
    SELECT gen_random_uuid(),
           CASE WHEN random() < 0.2 THEN 1 ELSE 2 END,
           CASE WHEN chance < 0.15 THEN 'collected' WHEN chance < 0.6 THEN 'notified' ELSE 'approved' END,
           now() - interval '90 days' * random() ^ 2,
           0,
           unit.id,
           unit.id,
           unit.code,
           (ARRAY['police_office', 'culture_house', 'school', 'household', 'online'])[1 + floor(random() * 5)::int],
           CASE WHEN random() < 0.5 THEN unit.code || '-to-' || (1 + floor(random() * 3)) END,
           'th-' || unit.code || '-' || (1 + floor(random() * 8)),
           CASE WHEN random() < 0.03 THEN 'expired' ELSE 'valid' END,
           1
    FROM (
        SELECT random() AS chance, 1 + floor(random() ^ 1.5 * cardinality(%(ids)s::uuid[]))::int AS place
        FROM generate_series(1, %(waiting)s)
    ) AS dossier
    JOIN unnest(%(ids)s::uuid[], %(codes)s::text[]) WITH ORDINALITY AS unit (id, code, place) USING (place)
"""


def measure_worklist(home: Path, scale: float, results: Results) -> None:
    """Ask for first pages and for later ones, one after the other, in this process."""
    with step("a worklist"), fresh_ledger(home, "waiting") as ledger:
        worklist = open_worklist(ledger)
        catch_up(ledger.database)
        tree, today = ledger.tree(), ledger.today()
        communes = {
            unit.id: unit.code for units in tree.by_id.values() for unit in units if unit.level == "commune"
        }
        assert tree.resolve(UNIT, today)
        with psycopg.connect(ledger.database.as_operator(), autocommit=True) as connection:
            parameters = {
                "ids": [*communes],
                "codes": [*communes.values()],
                "waiting": max(1000, round(WAITING * min(1, scale))),
            }
            connection.execute("SET search_path = ledger, pg_temp")
            connection.execute(_MADE_UP, parameters)
            connection.execute("VACUUM ANALYZE ledger.worklist")
        for key, query in QUERIES.items():
            times, cursor = [], None
            for _ in range(PAGES):
                began = time.perf_counter()
                answer = worklist.read(
                    WorklistQuery(unit=query.unit, place=query.place, team=query.team, cursor=cursor)
                )
                times.append((time.perf_counter() - began) * 1000)
                cursor = answer.next
            results.add(f"worklist.{key}.median", statistics.median(times))
            results.add(f"worklist.{key}.p95", statistics.quantiles(times, n=20)[18])
