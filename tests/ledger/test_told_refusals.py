"""A refusal tells what a dossier holds: like any other look it is in the second log before it is told."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from io import BytesIO

import psycopg
import pytest

from ledger import Ledger, Purpose, Receipt, Refusal
from ledger.access import LOCAL, Grant, Principal, Role
from ledger.commands import FIELDS
from ledger.errors import PurposeUnknownError, ReadNotRecordedError
from ledger.importing import import_file
from ledger.reads import Looked
from ledger.reads.purposes import DEFAULT_PURPOSES
from tests.conftest import check_ledger, check_reads
from tests.ledger.reports import (
    DAY,
    MONDAY,
    a_life,
    approve,
    citizen,
    collect,
    lock,
    new_citizen,
    reassign,
    void,
)

UNIT, BESIDE, DISTRICT, ELSEWHERE = "14758", "14761", "380", "16093"


def within(ledger: Ledger, role: Role, *codes: str | None, name: str = "p") -> Principal:
    tree = ledger.tree()
    parts = (Grant(role, code and tree.resolve(code, date(2024, 12, 2)).id) for code in codes)
    return Principal(name, "machine", tuple(parts))


def looks(ledger: Ledger, someone: str) -> list[Looked]:
    """All looks at the dossier of somebody whom the ledger has."""
    dossier_id = ledger.recorder.find(ledger._identities.lookup(someone))
    assert dossier_id is not None
    return [event for stream, _, event, _ in check_reads(ledger.database) if stream == dossier_id]


def codes(answers) -> list[str]:
    return [answer.code if isinstance(answer, Refusal) else "recorded" for answer in answers]


@pytest.mark.parametrize(
    ("role", "make", "code"),
    [
        (Role.RECORDER, lambda who: collect(citizen=who, key="x", unit=ELSEWHERE), "already_collected"),
        (Role.RECORDER, lambda who: collect(citizen=who, unit=ELSEWHERE), "key_conflict"),
        (Role.APPROVER, lambda who: lock(citizen=who, unit=ELSEWHERE), "not_active"),
        (
            Role.APPROVER,
            lambda who: approve(citizen=who, unit=ELSEWHERE, occurred_at=MONDAY - DAY),
            "out_of_order",
        ),
    ],
)
def test_a_recorder_of_another_district_leaves_a_look(shared, someone, role, make, code):
    """With who, the part of the tree over which they report, and what for: the ledger's own word."""
    shared.record(collect(citizen=someone))
    by = within(shared, role, BESIDE, ELSEWHERE)
    assert [code] == codes(shared.record_many([make(someone)], by=by))
    part = shared.tree().resolve(ELSEWHERE, date(2024, 12, 2)).id
    assert [Looked(what="refusal", who="p", kind="machine", unit_id=part, purpose="reporting")] == looks(
        shared, someone
    )


def test_a_correction_that_is_refused_leaves_a_look(shared, someone):
    """Over the whole ledger, where that is what its reporter corrects."""
    shared.record(collect(citizen=someone))
    by = within(shared, Role.CORRECTOR, None)
    assert ["unknown_entry"] == codes(shared.record_many([void(citizen=someone, corrects=7)], by=by))
    assert [(None, "reporting")] == [(look.unit_id, look.purpose) for look in looks(shared, someone)]


def test_the_unit_of_a_reassignment_tells_the_day_of_the_entry_and_leaves_a_look(shared, someone):
    """To whoever may correct it; an outsider is not told of any day."""
    shared.record(collect(citizen=someone))
    wish = reassign(citizen=someone, corrects=1, unit="99999")
    outside, inside = (within(shared, Role.CORRECTOR, code) for code in (ELSEWHERE, UNIT))
    assert ["not_permitted"] == codes(shared.record_many([wish], by=outside))
    assert [] == looks(shared, someone)
    assert ["unknown_unit"] == codes(shared.record_many([wish], by=inside))
    assert ["refusal"] == [look.what for look in looks(shared, someone)]


def test_what_tells_nothing_of_a_dossier_is_no_look(shared, someone):
    """Receipts, retries, and what is wrong with the report, its unit, or the right to it."""
    by = within(shared, Role.RECORDER, UNIT)
    other = within(shared, Role.RECORDER, BESIDE)
    shared.record(collect(citizen=someone), by=by)
    assert shared.record(collect(citizen=someone), by=by).duplicate
    answers = shared.record_many(
        [
            collect(citizen=someone, key="x" * 65),
            collect(citizen=someone, key="y", unit="99999"),
            collect(citizen=someone, key="z", unit=BESIDE),
            approve(citizen=someone),
        ],
        by=by,
    )
    assert ["invalid_field", "unknown_unit", "not_permitted", "not_permitted"] == codes(answers)
    assert ["not_permitted"] == codes(shared.record_many([collect(citizen=someone, key="w")], by=other))
    assert [] == looks(shared, someone)


def test_of_a_citizen_without_a_dossier_there_is_no_look(shared, someone):
    """There is nothing to record it with."""
    before = len(check_reads(shared.database))
    by = within(shared, Role.APPROVER, None)
    assert ["not_active"] == codes(shared.record_many([lock(citizen=someone)], by=by))
    check_reads(shared.database, length=before)


def test_a_dry_run_tells_by_what_it_takes_too(shared, someone):
    """That a report would be recorded says where the dossier stands; of a new citizen it says nothing."""
    shared.record(collect(citizen=someone))
    by = within(shared, Role.APPROVER, None)
    [answer] = shared.record_many([approve(citizen=someone)], by=by, dry_run=True)
    assert isinstance(answer, Receipt)
    assert ["refusal"] == [look.what for look in looks(shared, someone)]
    before = len(check_reads(shared.database))
    new = new_citizen()
    recorder = within(shared, Role.RECORDER, None)
    shared.record_many([collect(citizen=new), collect(citizen=new, key="x")], by=recorder, dry_run=True)
    check_reads(shared.database, length=before)


def test_all_or_nothing_tells_by_what_it_would_have_taken(shared, someone):
    """not_recorded says that a report is lawful: without a record that would be a question that leaves no trace."""
    shared.record(collect(citizen=someone))
    by = within(shared, Role.APPROVER, None)
    answers = shared.record_many([approve(citizen=someone)], by=by, atomic=True, spoilt=True)
    assert ["not_recorded"] == codes(answers)
    assert ["refusal"] == [look.what for look in looks(shared, someone)]


def test_a_batch_has_one_look_for_each_dossier_and_whoever_is_told(shared):
    """In one commit, however many reports of it are refused."""
    people = [new_citizen() for _ in range(3)]
    shared.record_many([collect(citizen=one) for one in people])
    one, other = (within(shared, Role.RECORDER, None, name=name) for name in ("one", "other"))
    before = len(check_reads(shared.database))
    wishes = [collect(citizen=who, key=f"x{number}") for number in range(3) for who in people]
    shared.record_many([*wishes, *wishes[:3]], by=[one] * 9 + [other] * 3)
    told = check_reads(shared.database, length=before + 6)[before:]
    assert 1 == len({at for _, _, _, at in told})
    for who in people:
        assert {"one", "other"} == {look.who for look in looks(shared, who)}


def test_what_another_has_just_recorded_is_told_with_a_look(shared, someone):
    """Though the ledger did not have the dossier before this commit."""
    one, other = (within(shared, Role.RECORDER, None, name=name) for name in ("one", "other"))
    wishes = [collect(citizen=someone), collect(citizen=someone, key="x")]
    assert ["recorded", "already_collected"] == codes(shared.record_many(wishes, by=[one, other]))
    assert ["other"] == [look.who for look in looks(shared, someone)]


def test_at_the_ledgers_own_machine_it_is_local(shared, someone):
    shared.record(collect(citizen=someone))
    shared.record_many([collect(citizen=someone, key="x")])
    assert [("local", "local")] == [(look.kind, look.purpose) for look in looks(shared, someone)]


def test_it_is_told_to_whoever_asks_who_looked(shared, someone):
    dossier_id = shared.record(collect(citizen=someone)).dossier_id
    shared.record_many([collect(citizen=someone, key="x")], by=within(shared, Role.RECORDER, DISTRICT))
    [row, _] = shared.looks(dossier_id).rows
    assert ("refusal", "reporting", DISTRICT) == (row.what, row.purpose, row.unit and row.unit.code)


def test_nobody_names_the_purpose_that_the_ledger_itself_does(shared, someone):
    shared.record(collect(citizen=someone))
    with pytest.raises(PurposeUnknownError) as refused:
        shared.find(someone, by=within(shared, Role.AUDITOR, None), purpose=Purpose("reporting"))
    assert "reporting" in DEFAULT_PURPOSES.by_code
    assert "reporting" not in str(refused.value)


def test_without_a_record_the_refusals_alone_are_not_told(ledger, operator):
    """What was recorded keeps its receipt; retries and faults are told; and afterwards all is as ever."""
    ledger.record_many([*a_life(), collect(citizen=citizen(2))])
    by = within(ledger, Role.OPERATOR, None)
    wishes = [
        collect(citizen=citizen(3)),
        collect(),
        collect(key="x"),
        collect(key="x" * 65),
        collect(citizen=citizen(2), key="x"),
    ]
    operator.execute("REVOKE EXECUTE ON FUNCTION ledger_reads.record_reads FROM ledger_reads_writer")
    answers = ledger.record_many(wishes, by=by)
    expected = ["recorded", "recorded", "read_not_recorded", "invalid_field", "read_not_recorded"]
    assert expected == codes(answers)
    assert answers[1].duplicate
    assert not answers[0].duplicate
    assert not {"collected", "active", "2024"} & set(answers[2].detail.split())
    with pytest.raises(ReadNotRecordedError):
        ledger.record(collect(key="x"), by=by)
    answers = ledger.record_many([approve(citizen=citizen(2)), wishes[3]], by=by, atomic=True)
    assert ["read_not_recorded", "invalid_field"] == codes(answers)
    check_reads(ledger.database, length=0)
    operator.execute("GRANT EXECUTE ON FUNCTION ledger_reads.record_reads TO ledger_reads_writer")
    assert ["already_collected"] == codes(ledger.record_many([collect(key="x")], by=by))
    check_ledger(ledger, length=586 + 5)


def file_of(*rows: tuple[str, str, str]) -> bytes:
    """A file of level 2 on one day: key, type, citizen."""
    lines = [FIELDS] + [
        (key, kind, who, "2", UNIT, MONDAY.isoformat(), "cb01", *[""] * (len(FIELDS) - 7))
        for key, kind, who in rows
    ]
    return "\n".join(map(",".join, lines)).encode()


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_file_of_questions_leaves_looks(shared, tmp_path, dry_run):
    people = [new_citizen() for _ in range(3)]
    shared.record_many([collect(citizen=one) for one in people])
    by = within(shared, Role.RECORDER, DISTRICT)
    file = file_of(*((f"q{number}", "collected", who) for number in range(2) for who in people))
    done = import_file(shared, BytesIO(file), refused_path=tmp_path / "refused.csv", by=by, dry_run=dry_run)
    assert 6 == done.refused
    # Of a file that is recorded, each refused line is tried once more.
    assert [["reporting"] * (1 if dry_run else 2)] * 3 == [
        [look.purpose for look in looks(shared, who)] for who in people
    ]


def test_a_file_whose_refusals_may_not_be_told_has_to_come_again(ledger, operator, tmp_path):
    """What was recorded stays, and no line of it is told."""
    ledger.record(collect())
    refused = tmp_path / "refused.csv"
    file = file_of(("x", "collected", collect().citizen), ("n", "collected", citizen(2)))
    operator.execute("REVOKE EXECUTE ON FUNCTION ledger_reads.record_reads FROM ledger_reads_writer")
    with pytest.raises(ReadNotRecordedError):
        import_file(ledger, BytesIO(file), refused_path=refused, by=LOCAL)
    assert not refused.exists()
    operator.execute("GRANT EXECUTE ON FUNCTION ledger_reads.record_reads TO ledger_reads_writer")
    done = import_file(ledger, BytesIO(file), refused_path=refused, by=LOCAL)
    assert (0, 1, 1) == (done.recorded, done.duplicates, done.refused)


def test_a_refusal_is_not_told_before_it_is_recorded(ledger, database):
    """While the second log is held, the answer waits."""
    ledger.record(collect())
    with ThreadPoolExecutor(1) as pool:
        with psycopg.connect(database.reads.as_operator()) as holder:
            holder.execute("SELECT FROM head FOR UPDATE")
            answer = pool.submit(ledger.record_many, [collect(key="x")])
            assert isinstance(ledger.record(collect(citizen=citizen(2))), Receipt)
            assert not answer.done()
        assert ["already_collected"] == codes(answer.result())
