"""The leaf of an event is the one that the database computed as it recorded it."""

import psycopg

from ledger.tlog.frontier import Frontier
from ledger.tlog.leaves import entry, leaf, read_entry
from ledger.tlog.tree import EMPTY_ROOT, leaf_hash
from tests.conftest import leaf_v1
from tests.ledger.reports import collect


def test_leaves_are_those_of_the_database(ledger):
    """For events of units, in hundreds, and of a dossier whose note is not ASCII."""
    ledger.record(collect(note="ghi chú"))
    with psycopg.connect(ledger.database.as_operator(), autocommit=True) as connection:
        rows = connection.execute(
            "SELECT notification_id, originator_id, originator_version, recorded_at, topic, state, leaf "
            "FROM events ORDER BY notification_id"
        ).fetchall()

    assert len(rows) > 500
    assert [row[6] for row in rows] == [leaf(*row[:6]) for row in rows]
    assert [row[6] for row in rows] == [
        leaf_v1(row[0], row[1], row[2], row[3], row[4], row[5]) for row in rows
    ]
    # The audit of the suite and the database leave no doubt; what is read back is what was written.
    for *event, _state, hash_ in rows[-3:]:
        data = entry(*event, bytes(32))
        assert (*event, bytes(32)) == read_entry(data)
        assert leaf_hash(data) != hash_
    frontier = Frontier().extend(b"".join(row[6] for row in rows))
    assert (len(rows), True) == (frontier.size, frontier.root != EMPTY_ROOT)
