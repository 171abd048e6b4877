"""Leaves and bundles of a ledger that records: what the database computed is what is proved."""

import psycopg
import pytest

from ledger.tlog.bundles import Logged, dossier_bundle
from ledger.tlog.frontier import Frontier
from ledger.tlog.leaves import entry, leaf, read_entry
from ledger.tlog.tree import leaf_hash, nodes_of, root
from ledger.tlog.verify import verify
from tests.conftest import leaf_v1
from tests.ledger.reports import approve, collect
from tests.tlog.logs import COUNT_KEY, POLICY, checkpoint, count_key

ROWS = """
SELECT notification_id, originator_id, originator_version, recorded_at, topic, state, leaf
FROM events ORDER BY notification_id
"""


@pytest.fixture
def rows(ledger):
    """Units, in hundreds, and a dossier of two events, the first with a note."""
    ledger.record(collect(note="ghi chú"))
    ledger.record(approve())
    with psycopg.connect(ledger.database.as_operator(), autocommit=True) as connection:
        return connection.execute(ROWS).fetchall()


def test_leaves_are_those_of_the_database(rows):
    """The SQL function append, the suite's audit and the library make one leaf of an event."""
    assert len(rows) > 500
    assert [row[6] for row in rows] == [leaf(*row[:6]) for row in rows]
    assert [row[6] for row in rows] == [leaf_v1(*row[:6]) for row in rows]


def test_what_is_written_into_an_entry_is_read(rows):
    for *event, _state, _leaf in rows[-3:]:
        assert (*event, bytes(32)) == read_entry(entry(*event, bytes(32)))


def test_a_recorded_dossier_is_verified(rows):
    """Leaves from the database, events from their rows: nothing in between is made up but the keys."""
    leaves = b"".join(row[6] for row in rows)
    dossier_id, nodes = rows[-1][1], nodes_of(leaves)
    events = [Logged(row[0], row[2], row[3], row[4], row[5]) for row in rows if row[1] == dossier_id]
    note = checkpoint(len(rows), root(len(rows), nodes))
    bundle = dossier_bundle(dossier_id, events, nodes, note, counting=COUNT_KEY, count_key=count_key())
    report = verify(bytes(bundle), POLICY)

    assert ([], str(dossier_id), 2) == (report.faults, report.dossier_id, report.count)
    assert [(1, "dossier.collected.v1", "14758"), (2, "dossier.approved.v1", None)] == [
        (event["version"], event["type"], event["unit"]) for event in report.events
    ]
    assert Frontier().extend(leaves).root == root(len(rows), nodes)
    assert rows[-1][6] == leaf_hash(events[-1].entry(dossier_id))
