"""The second fold agrees with a read model that nobody touched, and names what somebody did."""

from collections.abc import Callable, Iterator
from datetime import date, datetime

import psycopg
import pytest

from ledger import Activate, Allocate, Approve, Collect, Ledger, Policy, Void
from ledger.database import Database
from ledger.errors import FieldInvalidError, UnitError
from ledger.identities import Identities
from ledger.units import heirs_of
from projections import Reconciled, Runner, Totals, TotalsQuery, catch_up, rebuild, reconcile
from projections.components import PROJECTIONS
from projections.reconciling.tables import TABLES
from tests.conftest import Clock, Server, check_ledger
from tests.ledger.unit_trees import REAL_CHANGES
from tests.projections import by_hand, campaigns

AUGUST = datetime.fromisoformat("2025-08-01T12:00:00+07:00")
IDENTITIES = Identities(lookup=bytes(32), wrap=bytes(32))
TREE = ["unit_tree", "unit_reach", "unit_names"]
COMPARED = ["log", *(table.NAME for table in TABLES), *TREE]
TOTALS = [name for name in COMPARED if name.startswith("unit_totals_")]
TREES = [
    *("totals, then", "totals, 2025-08-01"),
    *("totals, 2021-01-01", "totals, 2025-01-01", "totals, 2025-03-01", "totals, 2025-07-01"),
    *("totals, then, to 2024-12-31", "totals, then, to 2025-02-28", "totals, then, to 2025-06-30"),
]


def collect(ledger: Ledger, number: int, unit: str, at: datetime = AUGUST) -> int:
    """Record a citizen's collection; return its position."""
    citizen = f"999{number:09}"
    return ledger.record(
        Collect(
            key="c", citizen=citizen, level=2, unit=unit, occurred_at=at, actor="th-3", residence_unit="14761"
        )
    ).position


def allocations(ledger: Ledger) -> None:
    """Allocate dossiers of a commune that was split: one goes on, one again, one is taken back, one waits undecided."""
    tree = ledger.tree()
    winter = datetime.fromisoformat("2024-12-01T09:00:00+07:00")
    heirs = heirs_of(tree, tree.resolve("14758", winter.date()).id)
    parts = [tree.called(heir, AUGUST.date()).code for heir in heirs]
    assert len(parts) == 2

    def allocate(number: int, part: str, key: str = "a") -> Allocate:
        return Allocate(**whose(number, key), unit=part)

    def whose(number: int, key: str, at: datetime = AUGUST) -> dict:
        return {"key": key, "citizen": f"999{number:09}", "level": 2, "occurred_at": at, "actor": "th-4"}

    for number in range(50, 54):
        collect(ledger, number, "14758", winter)
    for command in (
        *(allocate(number, parts[0]) for number in range(50, 53)),
        Approve(**whose(53, "p", winter), residence_unit="16093"),
        Approve(**whose(50, "p")),
        Activate(**whose(50, "k"), unit=parts[0]),
        Approve(**whose(51, "p", winter)),
        allocate(51, parts[1], "b"),
        Void(**whose(52, "v"), corrects=2, reason="mistyped"),
    ):
        ledger.record(command)


@pytest.fixture(scope="module")
def template(server: Server, units_template: str) -> Iterator[str]:
    """A campaign with corrections, some by four eyes, the changes of 2025, and reports from before and after them."""
    name = server.create(units_template)
    database = server.database(name)
    clock = Clock(AUGUST)
    reports = campaigns.commands(5, 300)
    first, second = ([one for one in reports if int(one.citizen) % 2 == parity] for parity in (0, 1))
    with Ledger(database, IDENTITIES, now=clock) as ledger:
        campaigns.record(ledger, first)
        campaigns.correct(ledger, first, corrections=60)
        for change in REAL_CHANGES:
            ledger.change_units(change)
        campaigns.record(ledger, second)
        for number, (unit, day) in enumerate(
            3 * [("16378", "2025-02-03"), ("14755", "2025-04-07"), ("14758", "2025-07-07")]
        ):
            collect(ledger, number, unit, datetime.fromisoformat(f"{day}T09:00:00+07:00"))
        allocations(ledger)
    with Ledger(database, IDENTITIES, policy=Policy(four_eyes=True), now=clock) as ledger:
        campaigns.correct(ledger, second, seed=2, corrections=120)
        check_ledger(ledger)
    catch_up(database)
    by_hand.check_totals(database)
    yield name
    server.drop(name)


@pytest.fixture
def place(server: Server, template: str) -> Iterator[Database]:
    name = server.create(template)
    yield server.database(name)
    server.drop(name)


@pytest.fixture
def ledger(place: Database) -> Iterator[Ledger]:
    with Ledger(place, IDENTITIES, now=Clock(AUGUST)) as ledger:
        yield ledger


@pytest.fixture
def tamper(place: Database) -> Iterator[Callable[[str], list]]:
    """Change the read model, or the log, as a superuser whom no trigger stops; return what RETURNING returns."""
    with psycopg.connect(place.as_operator(), autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")

        def change(statement: str) -> list:
            cursor = connection.execute(statement)
            assert cursor.rowcount, statement
            return cursor.fetchall() if cursor.description else []

        yield change


def differing(found: Reconciled) -> dict[str, str]:
    return {one.what: one.differs.sentence for one in found.proved if one.differs}


def test_every_table_that_follows_the_log_is_compared():
    """Whoever adds a table says in ``projections/reconciling`` what the log comes to there."""
    following = {(projection.NAME, live) for projection in PROJECTIONS for live in projection.LIVE}
    of_dossiers = {(table.PROJECTION, table.NAME) for table in TABLES}
    assert following == of_dossiers | {("unit_totals", table) for table in TREE}


def test_a_campaign_with_corrections_and_reorganisations_adds_up(ledger):
    """Every table, and in each tree every unit of the 586 of 2021 and of the others."""
    found = reconcile(ledger)
    compared = {one.what: one.compared for one in found.proved}

    assert {} == differing(found)
    assert found.difference is None
    assert [*COMPARED, *TREES] == list(compared)
    assert ledger.head().position == found.position == found.events == compared["log"]
    assert 313 == found.dossiers
    assert [167, 167, 586, 574, 548, 167, 586, 574, 548] == [compared[tree] for tree in TREES]


CELL = "ctid = (SELECT ctid FROM {table} WHERE {measure} > 0 ORDER BY {order} LIMIT 1)"


@pytest.mark.parametrize(
    ("table", "measure"),
    [
        *(("unit_totals_day", measure) for measure in by_hand.COUNTS),
        *(("unit_totals_pentad", measure) for measure in ("collected", "withdrawn")),
        *(("unit_totals_month", measure) for measure in ("collected", "withdrawn", "awaiting_long")),
    ],
)
def test_a_count_that_was_changed(ledger, tamper, table, measure):
    """The table, the day or month, the unit, the measure, what it says and what the log comes to are named."""
    period = table.removeprefix("unit_totals_")
    where = CELL.format(table=table, measure=measure, order=f"{period} DESC")
    [[day, leaf, level, number]] = tamper(
        f"UPDATE {table} SET {measure} = {measure} + 1 WHERE {where} RETURNING {period}, leaf_id, level, {measure}"
    )
    difference = reconcile(ledger, hierarchies=["then"]).difference

    assert difference is not None
    assert (table, measure, number, number - 1) == (
        difference.what,
        difference.measure,
        difference.says,
        difference.log,
    )
    assert {period: day, "leaf": str(leaf), "level": level} == {
        key: value for key, value in difference.key.items() if key != "unit"
    }
    assert difference.position is not None
    assert f"{measure} of {period} {day}" in difference.sentence
    called = ledger.tree().by_id.get(leaf)
    assert (called[-1].code if called else "14758 Phường Đông Thọ, allocated to ") in difference.sentence


CHANGES = {
    "a missing row": "DELETE FROM {table} WHERE ctid = (SELECT max(ctid) FROM {table})",
    "a leaf that is another's": "UPDATE {table} SET leaf_id = (SELECT max(leaf_id::text)::uuid FROM {table}) "
    "WHERE ctid = (SELECT min(ctid) FROM {table} WHERE leaf_id <> (SELECT max(leaf_id::text)::uuid FROM {table}))",
    "a leaf that is nobody's": "UPDATE {table} SET leaf_id = gen_random_uuid() "
    "WHERE ctid = (SELECT min(ctid) FROM {table})",
}
ANOTHER_LEAF = {
    # Of another level, so that it takes the place of no other row.
    "a leaf that is another's": "UPDATE {table} SET level = 9, leaf_id = (SELECT max(leaf_id::text)::uuid FROM {table}) "
    "WHERE ctid = (SELECT min(ctid) FROM {table})",
}
MORE_CHANGES = {
    "unit_totals_deltas": {
        **{
            f"another {field}": f"UPDATE {{table}} SET {field} = {field} || 'x' "
            "WHERE ctid = (SELECT min(ctid) FROM {table})"
            for field in ("place", "shift", "partner", "team", "actor", "residence", "reason")
        },
        **{
            f"another {field}": f"UPDATE {{table}} SET {field} = {change} "
            f"WHERE ctid = (SELECT min(ctid) FROM {{table}} WHERE {field} IS NOT NULL)"
            for field, change in {
                "position": "position + 1",
                "level": "3 - level",
                "day": "day + 1",
                "recorded_on": "recorded_on + 1",
                "residence_on": "residence_on + 1",
                "event": "(event + 1) % 8",
                "waits": "(waits + 1) % 4",
                "count": "- count",
            }.items()
        },
        "a row of an event that there is not": "INSERT INTO {table} SELECT (SELECT size + 1 FROM head), leaf_id, level, "
        "day, recorded_on, place, shift, partner, team, actor, residence, residence_on, reason, event, waits, count "
        "FROM {table} LIMIT 1",
        "a row twice": "INSERT INTO {table} SELECT * FROM {table} LIMIT 1",
        "one of two units, the other way round": "UPDATE {table} SET leaf_id = CASE leaf_id WHEN one THEN two ELSE one END "
        "FROM (SELECT min(leaf_id::text)::uuid AS one, max(leaf_id::text)::uuid AS two FROM {table}) AS swapped "
        "WHERE leaf_id IN (one, two)",
    },
    "unit_totals_pentad": {
        # A row of events that were all taken off again says nothing that could be missed.
        "a missing row": "DELETE FROM {table} WHERE ctid = (SELECT max(ctid) FROM {table} WHERE collected > 0)",
        **{
            name: f"UPDATE {{table}} SET {change} WHERE ctid = (SELECT min(ctid) FROM {{table}} WHERE collected > 0)"
            for name, change in {
                "a leaf that is another's": "level = 9, leaf_id = (SELECT max(leaf_id::text)::uuid FROM {table})",
                "a leaf that is nobody's": "leaf_id = gen_random_uuid()",
                "another pentad": "pentad = '2030-01-06'",
                "the other level": "level = 9",
            }.items()
        },
    },
    "unit_totals_day": {
        **ANOTHER_LEAF,
        "a day later": "UPDATE {table} SET day = day + 400 WHERE ctid = (SELECT min(ctid) FROM {table})",
        "the other level": "UPDATE {table} SET level = 9 WHERE ctid = (SELECT min(ctid) FROM {table})",
    },
    "worklist": {
        **{
            f"another {field}": f"UPDATE {{table}} SET {field} = {change} WHERE ctid = (SELECT min(ctid) FROM {{table}})"
            for field, change in {
                "dossier_id": "gen_random_uuid()",
                "level": "3 - level",
                "state": "CASE state WHEN 'approved' THEN 'notified' ELSE 'approved' END",
                "since": "since + interval '1 microsecond'",
                "position": "position + 1",
                "unit_id": "gen_random_uuid()",
                "allocated_id": "gen_random_uuid()",
                "residence": "'99999'",
                "place": "place || 'x'",
                "team": "'x'",
                "actor": "actor || 'x'",
                "card": "card || 'x'",
                "attempt": "attempt + 1",
            }.items()
        },
    },
    "worklist_times": {
        "another time": "UPDATE {table} SET seconds[1] = seconds[1] + 1 WHERE ctid = (SELECT min(ctid) FROM {table})",
        "one time more": "UPDATE {table} SET seconds = seconds || 5::bigint "
        "WHERE ctid = (SELECT min(ctid) FROM {table})",
        "the other step": "UPDATE {table} SET step = CASE step WHEN 'approval' THEN 'activation' ELSE 'approval' END, level = 9 "
        "WHERE ctid = (SELECT min(ctid) FROM {table})",
    },
    "unit_totals_ever": {
        **ANOTHER_LEAF,
        "the other level": "UPDATE {table} SET level = 9 WHERE ctid = (SELECT min(ctid) FROM {table})",
        "a count": "UPDATE {table} SET locked = locked + 1 WHERE ctid = (SELECT min(ctid) FROM {table})",
    },
    "unit_totals_month": {
        **ANOTHER_LEAF,
        "a month later": "UPDATE {table} SET month = '2030-01-01' WHERE ctid = (SELECT min(ctid) FROM {table})",
        "the other level": "UPDATE {table} SET level = 9 WHERE ctid = (SELECT min(ctid) FROM {table})",
    },
}
TAMPERING = [
    (table.NAME, name, statement.format(table=table.NAME))
    for table in TABLES
    for name, statement in {**CHANGES, **MORE_CHANGES.get(table.NAME, {})}.items()
]


@pytest.mark.parametrize(
    ("table", "statement"),
    [case[::2] for case in TAMPERING],
    ids=[f"{table} {name}" for table, name, _ in TAMPERING],
)
def test_tampering_with_a_table_is_found_there(ledger, tamper, table, statement):
    """Whatever a superuser changes in a table, that table is told, and no other."""
    tamper(statement)
    found = reconcile(ledger, hierarchies=["then"])

    assert [table] == [what for what in differing(found) if what in COMPARED]
    assert found.difference is not None
    assert table == found.difference.what
    assert found.difference.says != found.difference.log


def test_who_reaches_too_much_is_named(ledger, tamper):
    """By the codes and names of both units, with the days."""
    [[unit_id, leaf_id]] = tamper(
        "INSERT INTO unit_reach SELECT one.unit_id, other.unit_id, '2025-07-01', '9999-01-01' "
        "FROM unit_names AS one, unit_names AS other WHERE (one.code, other.code) = ('14797', '14758') "
        "AND one.valid_to IS NULL AND other.valid_to IS NULL RETURNING unit_id, leaf_id"
    )
    assert unit_id != leaf_id
    difference = reconcile(ledger, hierarchies=["now"]).difference

    assert difference is not None
    tree = ledger.tree()
    one, other = tree.by_id[unit_id][-1], tree.by_id[leaf_id][-1]
    assert (
        f"unit_reach: rows of unit 14797 {one.name}, leaf 14758 {other.name}, first 2025-07-01, after 9999-01-01 is 1, "
        "and the log comes to 0"
    ) == difference.sentence


def test_the_first_of_several_is_named(ledger, tamper):
    """Of a table, in the order of positions or days."""
    tamper("UPDATE unit_totals_deltas SET actor = 'x' WHERE position IN (2000, 1200, 1900)")
    difference = reconcile(ledger, hierarchies=["then"]).difference

    assert difference is not None
    assert (1200, 1200) == (difference.key["position"], difference.position)


def test_what_the_tables_agree_on_among_themselves_is_not_believed(ledger, tamper):
    """One count more in all tables of the totals: each is told, and so is the unit in every tree."""
    [[pentad, leaf, level]] = tamper(
        "UPDATE unit_totals_pentad SET collected = collected + 1 "
        "WHERE ctid = (SELECT min(ctid) FROM unit_totals_pentad) RETURNING pentad, leaf_id, level"
    )
    tamper(
        f"UPDATE unit_totals_month SET collected = collected + 1 "
        f"WHERE leaf_id = '{leaf}' AND level = {level} AND month = date_trunc('month', DATE '{pentad}')"
    )
    tamper(
        f"UPDATE unit_totals_day SET collected = collected + 1 WHERE ctid = (SELECT min(ctid) FROM unit_totals_day "
        f"WHERE leaf_id = '{leaf}' AND level = {level} AND day BETWEEN '{pentad}' AND DATE '{pentad}' + 4)"
    )
    tamper(
        f"UPDATE unit_totals_ever SET collected = collected + 1 WHERE leaf_id = '{leaf}' AND level = {level}"
    )
    tamper(
        "INSERT INTO unit_totals_deltas SELECT position, leaf_id, level, day, recorded_on, place, shift, partner, team, "
        "actor, residence, residence_on, reason, 0, NULL, 1 FROM unit_totals_deltas LIMIT 1"
    )

    assert [*TOTALS, *TREES] == list(differing(reconcile(ledger)))


def test_a_position_that_was_set_forward(ledger, tamper):
    """Events that were never counted are missing, and the first of them is named."""
    head = ledger.head().position
    collect(ledger, 100, "14758")
    collect(ledger, 101, "14758")
    tamper(f"UPDATE projections SET position = {head + 2} WHERE name = 'unit_totals'")
    difference = reconcile(ledger).difference

    assert difference is not None
    assert (COMPARED[1], head + 1, 0, 1) == (
        difference.what,
        difference.position,
        difference.says,
        difference.log,
    )


def test_a_position_that_was_set_back(ledger, tamper):
    """What is counted of later events is too much."""
    tamper("UPDATE projections SET position = position - 30 WHERE name = 'unit_totals'")
    difference = reconcile(ledger).difference

    assert difference is not None
    assert (COMPARED[1], None, 0) == (difference.what, difference.position, difference.log)
    assert ledger.head().position - 30 < difference.key["position"]


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        (
            "DELETE FROM events WHERE notification_id = (SELECT max(notification_id) FROM events)",
            "events up to there, not as many as positions",
        ),
        (
            "DELETE FROM events WHERE notification_id = (SELECT min(notification_id) FROM events "
            "WHERE topic = 'dossier.approved.v1' AND originator_version = 2)",
            "has no event 2",
        ),
        (
            "UPDATE events SET topic = 'dossier.approved.v1' WHERE notification_id = (SELECT min(notification_id) "
            "FROM events WHERE topic = 'dossier.collected.v1')",
            "was never collected",
        ),
        (
            "UPDATE events SET topic = 'dossier.praised.v1' WHERE notification_id = (SELECT min(notification_id) "
            "FROM events WHERE topic = 'dossier.collected.v1')",
            "no event that this program knows",
        ),
        (
            r"UPDATE events SET state = '\x7b' WHERE notification_id = (SELECT min(notification_id) "
            "FROM events WHERE topic = 'dossier.collected.v1')",
            "truncated",
        ),
    ],
)
def test_a_log_that_cannot_be_is_told(ledger, tamper, statement, why):
    """An event that is missing, unknown or impossible: nothing else can be proved then."""
    tamper(statement)
    found = reconcile(ledger)

    assert found.difference is not None
    assert ["log"] == [one.what for one in found.proved]
    assert any(part in found.difference.sentence for part in why.split("|")), found.difference


def test_an_event_that_lies_about_the_one_before_it(ledger, tamper):
    """The projection believes an event that says where its dossier was collected; the second fold does not."""
    tamper(
        "UPDATE events SET state = convert_to(jsonb_set(convert_from(state, 'UTF8')::jsonb, '{collecting_unit_id}', "
        "(convert_from(state, 'UTF8')::jsonb -> 'unit_id'))::text, 'UTF8') WHERE notification_id = ("
        "SELECT min(notification_id) FROM events WHERE topic = 'dossier.approved.v1' AND "
        "convert_from(state, 'UTF8')::jsonb -> 'unit_id' <> convert_from(state, 'UTF8')::jsonb -> 'collecting_unit_id')"
    )
    rebuild(ledger.database)

    # Where it waited is another place then; the pentads count events alone.
    assert {*TOTALS, *TREES} - {"unit_totals_pentad"} == {
        what for what in differing(reconcile(ledger)) if not what.startswith("worklist")
    }


@pytest.mark.parametrize(
    ("code", "name"), [("14758", "14758 Phường Hàm Rồng"), ("38", "38 Tỉnh Thanh Hóa"), (None, "unallocated")]
)
def test_an_answer_that_does_not_add_up(ledger, monkeypatch, code, name):
    """The tables are right, and still the question is answered wrong, sum and all: the unit is named, in the tree."""
    read = Totals.read

    def careless(self, query, **more):
        answer = read(self, query, **more)
        if (query.unit, query.by, query.hierarchy) == ("38", "unit", "2025-07-01"):
            [row] = [row for row in answer.rows if row["unit"]["code"] == code]
            row["collected"] += 1
            answer.sum["collected"] += 1
        return answer

    monkeypatch.setattr(Totals, "read", careless)
    found = reconcile(ledger)

    assert ["totals, 2025-07-01"] == list(differing(found))
    assert found.difference is not None
    assert ("38", "unit", name, "collected") == (
        found.difference.key["asked"],
        found.difference.key["by"],
        found.difference.key["unit"],
        found.difference.measure,
    )


def test_a_sum_that_is_not_that_of_its_rows(ledger, monkeypatch):
    """Rows that are right do not save a wrong total."""
    read = Totals.read

    def careless(self, query, **more):
        answer = read(self, query, **more)
        if query.unit == "38" and query.by == "commune":
            answer.sum["approved"] -= 1
        return answer

    monkeypatch.setattr(Totals, "read", careless)
    found = reconcile(ledger, hierarchies=["now"])

    assert found.difference is None
    found = reconcile(ledger, unit="38", hierarchies=["now"])
    assert found.difference is not None
    assert ("sum", "approved") == (found.difference.key["unit"], found.difference.measure)


def test_only_what_is_asked(ledger):
    """A unit, trees and days; the tables are compared whole."""
    found = reconcile(ledger, unit="380", hierarchies=["then", "2025-01-01"], on=[date(2025, 2, 1)])

    assert {} == differing(found)
    assert {
        "totals, then, to 2025-02-01": 48,
        "totals, 2025-01-01, to 2025-02-01": 48,
    } == {one.what: one.compared for one in found.proved if one.what not in COMPARED}


def test_a_unit_that_was_not_there(ledger):
    """Named days refuse it; of those that nobody named, the ones without it are left out."""
    with pytest.raises(UnitError):
        reconcile(ledger, unit="380", hierarchies=["now"])
    with pytest.raises(UnitError):
        reconcile(ledger, unit="99999")

    assert [
        tree for tree in TREES if tree not in ("totals, then", "totals, 2025-08-01", "totals, 2025-07-01")
    ][:2] == [one.what for one in reconcile(ledger, unit="380").proved if one.what not in COMPARED][:2]


def test_a_tree_that_is_none(ledger):
    with pytest.raises(FieldInvalidError, match="then, now or a day"):
        reconcile(ledger, hierarchies=["tomorrow"])


def test_writers_go_on(ledger, place):
    """It is true for the position that it began with, while reports come in and are counted."""
    reached: list[int] = []

    def report(*_: object) -> None:
        if len(reached) < 20:
            reached.append(collect(ledger, 100 + len(reached), "14758"))
            Totals(ledger).read(TotalsQuery(), after=reached[-1], wait_seconds=10)

    began = ledger.head().position
    with Runner(ledger):
        found = reconcile(ledger, on_progress=report)

    assert 20 == len(reached)
    assert (began, {}) == (found.position, differing(found))
    assert {} == differing(reconcile(ledger))


def test_a_projection_that_is_behind_another(ledger, place):
    """Each is compared at its own position, and the totals at theirs."""
    behind = ledger.head().position
    collect(ledger, 100, "14758")
    catch_up(place, ["worklist"])
    found = reconcile(ledger, hierarchies=["then"])

    assert (behind, {}) == (found.position, differing(found))


def test_an_empty_ledger(place, server, units_template):
    """Nothing but units: everything is zero, and adds up."""
    name = server.create(units_template)
    with Ledger(server.database(name), IDENTITIES, now=Clock(AUGUST)) as ledger:
        catch_up(ledger.database)
        found = reconcile(ledger)
    server.drop(name)

    assert (0, {}) == (found.dossiers, differing(found))
