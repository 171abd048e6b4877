"""The doctor names what is wrong with a ledger, and what to do about it."""

import pytest

from api.doctor import examine
from ledger.key_files import create_key_file
from projections import NAMES
from tests.ledger.reports import collect

OFF = {"fsync", "full_page_writes", "synchronous_commit"}
"""What the tests' server does without; see FAST in tests/conftest.py."""


@pytest.fixture
def problems(database, key_file, ledger):
    """What is wrong, but for what is wrong with every server of the tests."""
    ledger.check_key(key_file)

    def ask(path=key_file) -> list[str]:
        found = examine(database, path, version="1").problems
        return [problem for problem in found if problem.split()[0] not in OFF]

    return ask


def test_a_sound_ledger_has_no_problems(database, key_file, ledger, problems):
    """Its facts are counted, not guessed."""
    ledger.record(collect())
    assert [] == problems()
    facts = examine(database, key_file, version="1").facts
    assert (587, 586, 1) == (facts["events"], facts["unit events"], facts["dossiers"])
    assert (0, 587) == (facts["unit_totals position"], facts["unit_totals lag (events)"])


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (
            "SET session_replication_role = replica; DELETE FROM events WHERE notification_id = 586",
            "the head says 586 events, the log ends at 585",
        ),
        (
            "SET session_replication_role = replica; UPDATE ledger_reads.head SET size = 3",
            "the head of the looks says 3, their log ends at 0",
        ),
        (
            "INSERT INTO ledger_reads.dropped VALUES (1, '', 1), (2, '', 1)",
            "of 0 positions of the looks 0 are there and 2 were dropped",
        ),
        (
            "REVOKE EXECUTE ON FUNCTION ledger_reads.record_reads FROM ledger_reads_writer",
            "ledger_reads_writer may not EXECUTE on the function ledger_reads.record_reads",
        ),
        (
            "SET session_replication_role = replica; "
            "UPDATE head SET recorded_at = clock_timestamp() + interval '50 seconds'",
            "s behind the last recorded event; set the clock",
        ),
        (
            "UPDATE projections SET error = 'position 7' WHERE name = 'worklist'",
            "worklist stopped at position 7; mend",
        ),
        (
            "DELETE FROM projections WHERE name = 'unit_totals'",
            "unit_totals has lost its position; run ledger reb",
        ),
        (
            "DELETE FROM projections WHERE name = 'worklist'",
            "worklist has lost its position; run ledger rebuild",
        ),
        (
            "INSERT INTO unit_readers VALUES ('somebody_who_left', '00000000-0000-8000-8000-000000000000')",
            "unit_readers names somebody_who_left, a role that is gone",
        ),
        (
            "ALTER FUNCTION claim_key(bytea) IMMUTABLE",
            "the function ledger.claim_key(bytea) is not the one that the migrations make; as a superuser type: "
            'CREATE OR REPLACE FUNCTION "ledger".claim_key(wanted bytea)',
        ),
        ("ALTER TABLE events DISABLE TRIGGER events_are_immutable", "of the table ledger.events is disabled"),
        ("GRANT DELETE ON events TO ledger_writer", "ledger_writer may DELETE on the table ledger.events"),
    ],
)
def test_damage_is_told_with_what_to_do(operator, problems, damage, told):
    """Each alone, so that one does not hide another."""
    for statement in damage.split("; "):
        operator.execute(statement)
    [problem] = problems()
    assert told in problem


def test_what_the_projector_plants_does_not_run(database, key_file, operator, problems):
    """A function that fits better than PostgreSQL's own would have the operator's rights. It is told of."""
    operator.execute("SET ROLE ledger_projector")
    operator.execute(
        "CREATE FUNCTION ledger.pg_total_relation_size(text) RETURNS bigint LANGUAGE plpgsql "
        "AS $$ BEGIN RAISE EXCEPTION 'I ran as %', current_user; END $$"
    )
    [problem] = problems()
    assert (
        "ledger_projector has a function ledger.pg_total_relation_size(text) that the ledger does not"
        in problem
    )


def test_a_key_file_that_is_not_the_ledgers_is_told(problems, key_file, tmp_path):
    """Missing, or another one's."""
    [problem] = problems(tmp_path / "none")
    assert "no key file" in problem
    create_key_file(tmp_path / "other.key")
    [problem] = problems(tmp_path / "other.key")
    assert "is another ledger's; name the right one" in problem


def test_a_database_that_is_not_set_up_is_told(fresh_database, key_file):
    """Nothing else is looked at then."""
    report = examine(fresh_database, key_file, version="1")
    [problem] = report.problems
    assert "ledger migrate" in problem
    assert {"activation-ledger", "database", "PostgreSQL"} == set(report.facts)


def test_the_projections_that_are_looked_at_are_all(operator):
    """One that no migration gives a position would be told as lost for ever."""
    names = {name for (name,) in operator.execute("SELECT name FROM projections")}
    assert set(NAMES) == names
