"""eventsourcing's own suites against our recorder, and its own followers over our log.

The suites are the library's contract. Where our store promises more or less than a case expects, this file
says which and why.
"""

from collections.abc import Sequence
from functools import reduce
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.application import LocalNotificationLog, Repository
from eventsourcing.persistence import ApplicationRecorder, EventStore, StoredEvent
from eventsourcing.system import NotificationLogReader
from eventsourcing.tests.persistence import (
    AggregateRecorderTestCase,
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
)

from ledger import Ledger
from ledger.dossier import Dossier, evolve
from ledger.events import Entry
from ledger.store import EventMapper, LedgerDatastore, LedgerRecorder
from ledger.unit_events import UNITS_STREAM
from tests.ledger.reports import a_life, citizen, collect


@pytest.fixture
def recorder(database):
    """The application's recorder on an empty log, entered as the writer, as always."""
    datastore = LedgerDatastore(database.as_writer(), schema=database.schema)
    yield LedgerRecorder(datastore)
    datastore.close()


@pytest.fixture
def given_recorder(request: pytest.FixtureRequest, recorder: LedgerRecorder) -> None:
    """These are unittest's cases; they take no arguments."""
    request.instance.recorder = recorder


class AggregateRecorderOfTheLog:
    """Ours is an application recorder; the aggregate cases expect None where it returns positions."""

    def __init__(self, recorder: LedgerRecorder) -> None:
        self._recorder = recorder

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> None:
        self._recorder.insert_events(stored_events, **kwargs)

    def select_events(self, *args: Any, **kwargs: Any) -> Sequence[StoredEvent]:
        return self._recorder.select_events(*args, **kwargs)


@pytest.mark.usefixtures("given_recorder")
class TestAggregateRecorder(AggregateRecorderTestCase):
    """Streams: versions are unique, writes are atomic, selections obey gt, lte, desc and limit."""

    recorder: LedgerRecorder

    def create_recorder(self) -> Any:
        return AggregateRecorderOfTheLog(self.recorder)


@pytest.mark.usefixtures("given_recorder")
class TestApplicationRecorder(ApplicationRecorderTestCase):
    """The log: positions, selections, topics, concurrent writers and readers, subscriptions.

    We promise more than EXPECT_CONTIGUOUS_NOTIFICATION_IDS: positions stay dense even after refused inserts,
    which the case makes and the library's own recorder answers with a gap.
    """

    recorder: LedgerRecorder

    def create_recorder(self) -> ApplicationRecorder:
        return self.recorder

    def test_concurrent_no_conflicts(self, initial_position: int = 0) -> None:
        super().test_concurrent_no_conflicts(initial_position)
        # 100 inserts of 100 events; none lost, no number burnt.
        self.assertEqual(10_000, self.recorder.max_notification_id())

    def test_insert_subscribe(self) -> None:
        # As the library's own tests of its PostgreSQL recorder do.
        self.optional_test_insert_subscribe()

    def test_refused_inserts_burn_no_position(self) -> None:
        row = StoredEvent(originator_id=UUID(int=1), originator_version=1, topic="t", state=b"s")
        self.assertEqual([1], self.recorder.insert_events([row]))
        for _ in range(3):
            with self.assertRaises(Exception):  # noqa: B017 - which one is the case's business
                self.recorder.insert_events([row])
        other = StoredEvent(originator_id=UUID(int=2), originator_version=1, topic="t", state=b"s")
        self.assertEqual([2], self.recorder.insert_events([other]))


@pytest.mark.usefixtures("given_recorder")
class TestNonInterleavingNotificationIDs(NonInterleavingNotificationIDsBaseCase):
    """Two writers at once: the positions of one batch lie together. This is what the stock mode without a lock loses."""

    insert_num = 1000
    recorder: LedgerRecorder

    def create_recorder(self) -> ApplicationRecorder:
        return self.recorder


# Whoever knows the library can follow the ledger with what it has.


@pytest.fixture
def busy(ledger: Ledger) -> Ledger:
    """A ledger with 30 dossiers of three events each."""
    ledger.record_many([report for n in range(30) for report in a_life(citizen=citizen(n))])
    return ledger


def test_notification_log(busy):
    """The library's reader pages through the whole log, and our mapper reads every row."""
    mapper = EventMapper()
    notifications = list(
        NotificationLogReader(LocalNotificationLog(busy.recorder, section_size=50), section_size=50).read(
            start=1
        )
    )
    assert list(range(1, 586 + 90 + 1)) == [notification.id for notification in notifications]
    events = [mapper.to_domain_event(notification) for notification in notifications]
    assert events == [
        Entry(
            originator_id=entry.originator_id,
            originator_version=entry.originator_version,
            event=entry.event,
        )
        for entry in busy.read(limit=10_000)
    ]


def test_notification_log_by_topic(busy):
    """A follower may ask for some topics only."""
    reader = NotificationLogReader(LocalNotificationLog(busy.recorder, section_size=50), section_size=50)
    topics = ["dossier.activated.v1", "dossier.approved.v1"]
    assert 60 == sum(map(len, reader.select(start=1, topics=topics)))


def project(dossier: Dossier | None, events) -> Dossier | None:
    for entry in events:
        dossier = evolve(dossier or Dossier(entry.originator_id), entry.event)
    return dossier


def test_repository(busy):
    """The library's repository gives a dossier, as of its last event or of an earlier version."""
    store = EventStore(mapper=EventMapper(), recorder=busy.recorder)
    repository = Repository(event_store=store)
    dossier_id = busy.find(citizen(7))

    dossier = repository.get(dossier_id, projector_func=project)
    assert (3, "activated") == (dossier.version, dossier.levels[2].state)
    earlier = repository.get(dossier_id, version=2, projector_func=project)
    assert (2, "approved") == (earlier.version, earlier.levels[2].state)


def test_event_store(busy):
    """It puts what our mapper makes, and gets it back; a version that is there is refused."""
    store = EventStore(mapper=EventMapper(), recorder=busy.recorder)
    dossier_id = busy.find(citizen(7))
    [first, *_, last] = store.get(dossier_id)
    assert [1, 3] == [first.originator_version, last.originator_version]
    [recording] = store.put([Entry(originator_id=UUID(int=5), originator_version=1, event=first.event)])
    assert 586 + 90 + 1 == recording.notification.id
    with pytest.raises(Exception, match="events_originator_id_originator_version_key"):
        store.put([Entry(originator_id=dossier_id, originator_version=2, event=first.event)])


def test_subscription(busy):
    """A subscriber is given what is there, and then what comes, in order and once."""
    seen = []
    with busy.recorder.subscribe(gt=586) as subscription:
        for notification in subscription:
            seen.append(notification.id)
            if len(seen) == 90:
                busy.record(collect(citizen=citizen(100)))
            if len(seen) == 91:
                break
    assert list(range(587, 587 + 91)) == seen


def test_subscription_without_notifications(busy):
    """A hint can be lost; the event is not: a subscriber also looks by itself."""
    channel, busy.recorder.channel_name = busy.recorder.channel_name, "where nothing is ever said"
    with busy.recorder.subscribe(gt=586 + 90) as subscription:
        assert "ledger.events" == channel
        for n in range(3):
            busy.record(collect(citizen=citizen(100 + n)))
            assert 586 + 91 + n == next(subscription).id


def test_subscription_hears_no_more_when_it_is_closed(busy):
    """Its connection goes back to the pool, where nobody would read what it heard."""
    with busy.recorder.subscribe(gt=0) as subscription:
        next(subscription)
    with busy.recorder.datastore.get_connection() as connection:
        assert [] == connection.execute("SELECT pg_listening_channels()").fetchall()


def test_fold_of_notifications_is_the_history(busy):
    """Following the log from its beginning ends where each dossier says it is."""
    mapper = EventMapper()
    dossiers: dict[UUID, Dossier] = {}

    def follow(position: int, notification: Any) -> int:
        assert position + 1 == notification.id
        entry = mapper.to_domain_event(notification)
        if entry.originator_id != UNITS_STREAM:
            before = dossiers.get(entry.originator_id, Dossier(entry.originator_id))
            dossiers[entry.originator_id] = evolve(before, entry.event)
        return notification.id

    last = reduce(follow, busy.recorder.select_notifications(start=1, limit=10_000), 0)
    assert busy.head().position == last
    for dossier_id, dossier in dossiers.items():
        state = busy.dossier(dossier_id)
        assert dossier.version == state.version
        assert {str(n): s.state for n, s in dossier.levels.items()} == {
            n: s.state for n, s in state.levels.items()
        }
