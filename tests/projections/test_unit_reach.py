"""Whoever asks the read models directly sees the units that it was let to see, with everything under them; and no more."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from ledger import Ledger
from ledger.business_time import business_day
from ledger.database import Database
from ledger.identities import Identities
from ledger.migrations import connect
from ledger.privileges import compare, declare, read_catalogue
from ledger.unit_events import UnitMoved, UnitOpened
from ledger.units import UnitTree, grow
from projections import Totals, TotalsQuery, catch_up, rebuild
from projections.reconciling.reaching import compare_tree
from projections.unit_reach import reach
from projections.unit_totals import MEASURES
from tests.conftest import COMPONENTS, Clock, Server
from tests.ledger.unit_trees import REAL_CHANGES
from tests.projections import campaigns
from tests.projections.test_reconcile import AUGUST, TREE, allocations, collect

IDENTITIES = Identities(lookup=bytes(32), wrap=bytes(32))
PERSON, GROUP = "an_analyst", "analysts"
COUNTED = sql.SQL(", ").join(sql.SQL("coalesce(sum({}), 0)").format(sql.Identifier(one)) for one in MEASURES)
SECURED = (
    "unit_totals_ever",
    "unit_totals_month",
    "unit_totals_pentad",
    "unit_totals_day",
    "unit_totals_deltas",
    "worklist",
    "worklist_times",
)


@pytest.fixture(scope="module")
def place(server: Server, units_template: str) -> Iterator[Database]:
    """A campaign, the changes of 2025, allocations; a person who may read counts, alone and as one of a group."""
    name = server.create(units_template)
    database = server.database(name)
    with Ledger(database, IDENTITIES, now=Clock(AUGUST)) as ledger:
        campaigns.record(ledger, campaigns.commands(7, 80))
        for change in REAL_CHANGES:
            ledger.change_units(change)
        allocations(ledger)
    catch_up(database)
    with psycopg.connect(database.conninfo, autocommit=True) as superuser:
        superuser.execute(f"CREATE ROLE {PERSON}; CREATE ROLE {GROUP}; GRANT {GROUP} TO {PERSON}")
        superuser.execute(f"GRANT ledger_reader TO {PERSON}")
        yield database
        superuser.execute(f"REVOKE ledger_reader FROM {PERSON}; DROP ROLE {PERSON}, {GROUP}")
    server.drop(name)


@pytest.fixture
def ledger(place: Database) -> Iterator[Ledger]:
    with Ledger(place, IDENTITIES, now=Clock(AUGUST)) as ledger:
        yield ledger


@pytest.fixture
def let(place: Database) -> Iterator[Callable[..., None]]:
    """Let a role see units, and no others."""
    with psycopg.connect(place.as_operator(), autocommit=True) as superuser:

        def see(*units: Any, role: str = PERSON) -> None:
            superuser.execute("DELETE FROM unit_readers")
            for unit_id in units:
                superuser.execute("INSERT INTO unit_readers VALUES (%s, %s)", (role, unit_id))

        see()
        yield see


@contextmanager
def reading(place: Database, role: str = PERSON) -> Iterator[psycopg.Connection]:
    """A session that began as a role."""
    with psycopg.connect(place.as_operator(), autocommit=True) as connection:
        connection.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(role)))
        yield connection


def seen(place: Database) -> list[int]:
    """Return what the person counts of everything that there is."""
    with reading(place) as connection:
        [row] = connection.execute(sql.SQL("SELECT {} FROM unit_totals_ever").format(COUNTED)).fetchall()
    return list(row)


def told(ledger: Ledger, unit: str | None, day: date) -> list[int]:
    """Return what the ledger counts at a unit and under it, in the tree of a day."""
    answer = Totals(ledger).read(TotalsQuery(unit=unit, hierarchy=day.isoformat(), to_day=day))
    return [answer.sum[measure] for measure in MEASURES]


def today() -> date:
    """The database's day, which is the one that a reader's tree is of."""
    return business_day(datetime.now(UTC))


def counting(ledger: Ledger) -> list[str]:
    """Return the codes of today's communes at which anything counts, those with most first."""
    rows = Totals(ledger).read(TotalsQuery(by=("commune",), hierarchy=today().isoformat())).rows
    rows = [row for row in rows if row["unit"]["code"] and any(row[measure] for measure in MEASURES)]
    return [row["unit"]["code"] for row in sorted(rows, key=lambda row: -row["activated"])]


def test_a_reader_sees_its_unit_with_everything_under_it(place, ledger, let):
    """As many as the ledger counts there in the tree of today; also what was allocated, and what ended and counts there since."""
    codes = ["38", *counting(ledger)]
    assert len(codes) > 5
    for code in codes:
        let(ledger.tree().resolve(code, today()).id)
        counted = told(ledger, code, today())
        assert any(counted)
        assert counted == seen(place), code
    some = [ledger.tree().resolve(code, today()).id for code in codes[1:3]]
    let(*some)
    both = zip(told(ledger, codes[1], today()), told(ledger, codes[2], today()), strict=True)
    assert list(map(sum, both)) == seen(place)


def test_reach_is_what_every_unit_counts(place, ledger):
    """Unit by unit, without the policies: the sums over what a unit reaches are what the ledger tells of it."""
    day = today()
    with psycopg.connect(place.as_operator()) as connection:
        rows = connection.execute(
            sql.SQL(
                "SELECT unit_id, {} FROM unit_reach LEFT JOIN unit_totals_ever USING (leaf_id) "
                "WHERE first <= %s AND %s < after GROUP BY unit_id"
            ).format(COUNTED),
            (day, day),
        ).fetchall()
    by_unit = {unit_id: list(counts) for unit_id, *counts in rows}
    valid = ledger.tree().valid(day)
    assert valid.keys() == by_unit.keys()
    children: dict[Any, list[list[int]]] = {}
    for unit_id, unit in valid.items():
        children.setdefault(unit.parent_id, []).append(by_unit[unit_id])
    for unit in valid.values():
        if unit.level != "commune":
            answer = Totals(ledger).read(TotalsQuery(unit=unit.code, by=("unit",), hierarchy=day.isoformat()))
            under = [row for row in answer.rows if row["unit"]["code"] not in (None, unit.code)]
            counted = [[row[measure] for measure in MEASURES] for row in under]
            assert sorted(map(tuple, counted)) == sorted(map(tuple, children[unit.id]))
            assert [answer.sum[measure] for measure in MEASURES] == by_unit[unit.id]


def test_whoever_was_let_to_see_nothing_sees_nothing(place, ledger, let):
    """In no table; nor does the reader's role itself, nor somebody whom another's unit was given to."""
    everything = ledger.tree().resolve("38", today()).id
    for units, role_let in (((), PERSON), ((UUID(int=0),), PERSON), ((everything,), "ledger_auditor")):
        let(*units, role=role_let)
        for role in (PERSON, "ledger_reader"):
            with reading(place, role) as connection:
                for table in SECURED:
                    assert [(0,)] == connection.execute(f"SELECT count(*) FROM {table}").fetchall()


def test_every_table_shows_the_same_units(place, ledger, let):
    """Rows of what stands under the unit, and of nothing else; the others' are there."""
    unit = ledger.tree().resolve(counting(ledger)[0], today()).id
    let(unit)
    with reading(place) as connection, connect(place.as_operator()) as operator:
        for table in SECURED:
            mine = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            under = operator.execute(
                f"SELECT count(*) FILTER (WHERE leaf_id IN (SELECT leaf_id FROM unit_reach WHERE unit_id = %s)), count(*) "
                f"FROM {table}",
                (unit,),
            ).fetchone()
            assert under is not None
            assert mine == under[:1]
            assert 0 < under[0] < under[1], table


def test_a_member_sees_what_its_group_sees(place, ledger, let):
    """A role that is gone is nobody's group."""
    unit = ledger.tree().resolve("38", AUGUST.date())
    let(unit.id, role=GROUP)
    assert told(ledger, None, today()) == seen(place)
    let(unit.id, role="somebody_who_left")
    assert not any(seen(place))


@pytest.mark.parametrize("days", ["first = %(day)s + 1", "after = %(day)s"])
def test_what_is_under_a_unit_on_another_day_is_not_seen(place, ledger, let, days):
    """The tree is that of the day of the question, in Vietnam."""
    unit_id = ledger.tree().resolve("38", today()).id
    let(unit_id)
    assert any(seen(place))
    with psycopg.connect(place.as_operator(), autocommit=True) as superuser:
        superuser.execute("CREATE TABLE public.kept AS SELECT * FROM unit_reach")
        try:
            superuser.execute(
                f"UPDATE unit_reach SET {days} WHERE unit_id = %(unit)s", {"day": today(), "unit": unit_id}
            )
            assert not any(seen(place))
        finally:
            superuser.execute(
                "DELETE FROM unit_reach; INSERT INTO unit_reach SELECT * FROM public.kept; DROP TABLE public.kept"
            )


@pytest.mark.parametrize(
    "asked",
    ["dossier_id FROM worklist", "actor FROM worklist", "position FROM worklist", "* FROM worklist"]
    + ["actor FROM unit_totals_deltas", "position FROM unit_totals_deltas", "error FROM projections"]
    + ["* FROM unit_readers", "* FROM events", "* FROM head", "* FROM citizens", "* FROM migrations"],
)
def test_nobody_is_told_by_name(place, asked):
    """No dossier, no event, no officer; and nothing of the log."""
    with reading(place) as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(f"SELECT {asked}")


def test_a_rebuild_keeps_who_sees_what(place, ledger, let):
    """The new tables are as declared, and show the same rows."""
    let(ledger.tree().resolve("38", AUGUST.date()).id)
    before = seen(place)
    assert any(before)
    rebuild(place)
    declared = declare(place, COMPONENTS)
    with connect(place.as_operator()) as connection:
        assert [] == compare(declared, read_catalogue(connection, declared))
    assert before == seen(place)


def test_units_are_called_as_in_the_ledger(place, ledger):
    """Each name and code with its days."""
    with reading(place) as connection:
        rows = connection.execute(
            "SELECT unit_id, code, name, level, parent_id, valid_from, valid_to FROM unit_names"
        ).fetchall()
    expected = {
        (one.id, one.code, one.name, one.level, one.parent_id, one.valid_from, one.valid_to)
        for tenures in ledger.tree().by_id.values()
        for one in tenures
    }
    assert expected == set(rows)


def test_a_tree_that_was_never_written_is(place, ledger):
    """As of a database that was upgraded: with the next event that is counted."""
    with psycopg.connect(place.as_operator(), autocommit=True) as operator:

        def written() -> list:
            return [
                operator.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall()
                for table in ("unit_reach", "unit_names", "(SELECT version, 0, 0 FROM unit_tree) AS tree")
            ]

        before = written()
        operator.execute("DELETE FROM unit_tree; DELETE FROM unit_reach; DELETE FROM unit_names")
        collect(ledger, 900, "16093", datetime.fromisoformat("2024-12-01T09:00:00+07:00"))
        catch_up(place)
        assert before == written()
        assert all(before)


def test_what_changes_later_is_reached_then():
    """The tables know the trees of days to come, so that nobody has to write at midnight."""
    opened, moved = date(2026, 1, 1), date(2026, 7, 1)
    ids = [UUID(int=number) for number in range(4)]
    events = [
        UnitOpened(unit_id=ids[1], code="1", name="A", level="province", valid_from=opened),
        UnitOpened(unit_id=ids[2], code="2", name="B", level="province", valid_from=opened),
        UnitOpened(unit_id=ids[3], code="3", name="C", level="commune", parent_id=ids[1], valid_from=opened),
        UnitMoved(unit_id=ids[3], parent_id=ids[2], effective=moved, decree="1", reorganisation=ids[0]),
    ]
    tree = grow(UnitTree(), list(enumerate(events, 1)))
    reached = {(one.unit_id.int, one.leaf_id.int): (one.first, one.after) for one in reach(tree, opened)}
    assert {(1, 1), (2, 2), (3, 3), (1, 3), (2, 3)} == reached.keys()
    assert (moved, moved) == (reached[1, 3][1], reached[2, 3][0])
    assert {(2, 2), (1, 1), (3, 3), (2, 3)} == {
        (one.unit_id.int, one.leaf_id.int) for one in reach(tree, moved)
    }


A_REACH = "ctid = (SELECT max(ctid) FROM unit_reach)"
A_NAME = "ctid = (SELECT max(ctid) FROM unit_names WHERE parent_id IS NOT NULL)"
TREE_CHANGES = {
    "unit_tree": {
        "an older version": "UPDATE unit_tree SET version = version - 1",
        "a newer version": "UPDATE unit_tree SET version = version + 1",
        "none": "DELETE FROM unit_tree",
        "two": "INSERT INTO unit_tree SELECT * FROM unit_tree",
    },
    "unit_reach": {
        "a leaf that is seen no more": f"DELETE FROM unit_reach WHERE {A_REACH}",
        "a leaf of another unit": "INSERT INTO unit_reach SELECT DISTINCT ON (unit_reach.leaf_id) others.unit_id, "
        "unit_reach.leaf_id, unit_reach.first, unit_reach.after FROM unit_reach, unit_reach AS others "
        "WHERE NOT EXISTS (SELECT FROM unit_reach AS there WHERE there.unit_id = others.unit_id "
        "AND there.leaf_id = unit_reach.leaf_id) LIMIT 1",
        "a leaf that is nobody's": "INSERT INTO unit_reach SELECT unit_id, gen_random_uuid(), first, after "
        f"FROM unit_reach WHERE {A_REACH}",
        "a day earlier": f"UPDATE unit_reach SET first = first - 1 WHERE {A_REACH}",
        "a day longer": f"UPDATE unit_reach SET after = after + 1 WHERE {A_REACH}",
    },
    "unit_names": {
        "a missing row": f"DELETE FROM unit_names WHERE {A_NAME}",
        "a row twice": f"INSERT INTO unit_names SELECT * FROM unit_names WHERE {A_NAME}",
        **{
            f"another {field}": f"UPDATE unit_names SET {field} = {change} WHERE {A_NAME}"
            for field, change in {
                "unit_id": "gen_random_uuid()",
                "code": "code || '0'",
                "name": "name || 'x'",
                "level": "'district'",
                "parent_id": "NULL",
                "valid_from": "valid_from - 1",
                "valid_to": "coalesce(valid_to, current_date) + 1",
            }.items()
        },
    },
}


def misfits(connection: psycopg.Connection, position: int = 0) -> dict[str, tuple[int, int]]:
    """Return which tables of the tree are not what the log comes to, with what the first row that differs says."""
    compared = list(compare_tree(connection, position))
    assert TREE == [one.table for one in compared]
    return {one.table: (one.says, one.log) for one in compared if one.key is not None}


@pytest.mark.parametrize(
    ("table", "statement"),
    [(table, statement) for table, of in TREE_CHANGES.items() for statement in of.values()],
    ids=[f"{table} {name}" for table, of in TREE_CHANGES.items() for name in of],
)
def test_a_tree_that_was_changed_by_hand_is_found(place, ledger, table, statement):
    """Its table alone is told; it would let somebody see what is not theirs, or hide what is."""
    position = ledger.head().position
    with connect(place.as_operator()) as connection, connection.transaction(force_rollback=True):
        assert {} == misfits(connection, position)
        assert connection.execute(statement).rowcount
        found = misfits(connection, position)
        assert [table] == [*found]
        assert len({*found[table]}) == 2


def test_a_tree_that_is_not_counted_yet_is_no_fault(place, ledger, tmp_path):
    """The tables hold the tree of what is counted, or a later one; an older one is told as soon as more is counted."""
    before = ledger.head().position
    units = tmp_path / "units.csv"
    units.write_text("code,name,level,parent_code\n99,Tỉnh Mới,province,\n", encoding="utf-8")
    assert 1 == ledger.load_units(units, valid_from=AUGUST.date()).opened
    with connect(place.as_operator()) as connection:
        assert {} == misfits(connection, before)
        assert {*TREE} == misfits(connection, before + 1).keys()
        catch_up(place)
        assert {} == misfits(connection, before) == misfits(connection, before + 1)
