"""Who may record what: asked for where it would count, before anything is told of what there is."""

import pickle
from datetime import date
from io import BytesIO

import pytest

from ledger import Ledger, Purpose, Receipt, Refusal, open_ledger, recording
from ledger.access import LOCAL, NOBODY, Grant, Principal, Right, Role
from ledger.application import open_again
from ledger.commands import FIELDS
from ledger.errors import NotPermittedError, NotYourselfError
from ledger.importing import import_file
from ledger.key_files import create_key_file
from ledger.recording import Policy
from ledger.units.commands import MergeUnits, SplitUnit
from tests.conftest import NOW
from tests.ledger.reports import (
    MONDAY,
    activate,
    allocate,
    amend,
    approve,
    citizen,
    collect,
    confirm,
    lock,
    new_citizen,
    reassign,
    void,
)

UNIT, BESIDE, DISTRICT, PROVINCE = "14758", "14761", "380", "38"
ELSEWHERE, OTHER_DISTRICT = "16093", "401"
DAY = date(2024, 12, 2)

WHY = Purpose("audit")


def principal(
    ledger: Ledger, *grants: tuple[Role, str | None], actor: str = "", day: date = DAY
) -> Principal:
    tree = ledger.tree()
    parts = tuple(Grant(role, None if code is None else tree.resolve(code, day).id) for role, code in grants)
    return Principal("p", "machine", parts, actor)


def outcome(ledger: Ledger, command, by: Principal) -> str:
    [answer] = ledger.record_many([command], by=by)
    if isinstance(answer, Refusal):
        assert command.citizen not in answer.detail
        return answer.code
    return "duplicate" if answer.duplicate else "recorded"


@pytest.mark.parametrize("code", [UNIT, DISTRICT, PROVINCE, None])
def test_a_recorder_reports_for_their_unit_and_what_is_under_it(shared, someone, code):
    by = principal(shared, (Role.RECORDER, code))
    assert "recorded" == outcome(shared, collect(citizen=someone), by)


@pytest.mark.parametrize("code", [BESIDE, ELSEWHERE, OTHER_DISTRICT])
def test_a_recorder_reports_for_no_other_unit_and_is_told_which_it_would_be(shared, someone, code):
    [refused] = shared.record_many([collect(citizen=someone)], by=principal(shared, (Role.RECORDER, code)))
    assert "not_permitted" == refused.code
    assert f"it would count at {UNIT}" in refused.detail
    assert code in refused.detail


def test_each_type_of_report_takes_its_own_right(shared, someone):
    recorder = principal(shared, (Role.RECORDER, UNIT))
    approver = principal(shared, (Role.APPROVER, UNIT))
    corrector = principal(shared, (Role.CORRECTOR, UNIT))
    for by in (approver, corrector):
        assert "not_permitted" == outcome(shared, collect(citizen=someone), by)
    assert "recorded" == outcome(shared, collect(citizen=someone), recorder)
    for by in (recorder, corrector):
        assert "not_permitted" == outcome(shared, approve(citizen=someone), by)
    assert "recorded" == outcome(shared, approve(citizen=someone), approver)
    assert "not_permitted" == outcome(shared, lock(citizen=someone), recorder)
    assert "recorded" == outcome(shared, activate(citizen=someone), recorder)
    for by in (recorder, approver):
        assert "not_permitted" == outcome(shared, amend(citizen=someone, corrects=1), by)
    assert "recorded" == outcome(shared, amend(citizen=someone, corrects=1), corrector)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.PUBLIC, Role.AUDITOR, Role.KEEPER, Role.FOLLOWER])
def test_a_role_without_reports_makes_none(shared, someone, role):
    by = principal(shared, (role, None))
    for command in (collect(citizen=someone), approve(citizen=someone), void(citizen=someone, corrects=1)):
        assert "not_permitted" == outcome(shared, command, by)


def test_a_report_without_a_unit_counts_at_the_collecting_unit(shared, someone):
    shared.record(collect(citizen=someone))
    assert "not_permitted" == outcome(
        shared, approve(citizen=someone), principal(shared, (Role.APPROVER, BESIDE))
    )
    assert "recorded" == outcome(shared, approve(citizen=someone), principal(shared, (Role.APPROVER, UNIT)))


def test_an_outsider_is_told_the_same_of_a_dossier_that_there_is_and_one_that_there_is_not(shared):
    """No unit, no entry, a key that is used: nothing of these tells whether somebody was ever reported."""
    known, unknown = new_citizen(), new_citizen()
    for command in (collect(citizen=known), approve(citizen=known)):
        shared.record(command)
    approver, corrector, recorder = (
        principal(shared, (role, ELSEWHERE)) for role in (Role.APPROVER, Role.CORRECTOR, Role.RECORDER)
    )
    for make, by in (
        (lambda who: approve(citizen=who), approver),
        (lambda who: approve(citizen=who, key="other"), approver),
        (lambda who: approve(citizen=who, unit=UNIT), approver),
        (lambda who: void(citizen=who, corrects=2), corrector),
        (lambda who: void(citizen=who, corrects=7), corrector),
        (lambda who: reassign(citizen=who, corrects=1, unit=ELSEWHERE), corrector),
        (lambda who: collect(citizen=who), recorder),
        (lambda who: collect(citizen=who, place="school"), recorder),
    ):
        answers = shared.record_many([make(known), make(unknown)], by=by, dry_run=True)
        assert ["not_permitted"] * 2 == [answer.code for answer in answers]
        assert answers[0].detail == answers[1].detail


def test_a_retry_is_answered_to_who_might_have_sent_it_and_to_nobody_else(shared, someone):
    inside, outside = (principal(shared, (Role.RECORDER, code)) for code in (UNIT, BESIDE))
    assert "recorded" == outcome(shared, collect(citizen=someone), inside)
    assert "duplicate" == outcome(shared, collect(citizen=someone), inside)
    assert "not_permitted" == outcome(shared, collect(citizen=someone), outside)
    # For their own unit they might, but for the key; of the other report nothing is told, not even in what it differs.
    assert "key_conflict" == outcome(shared, collect(citizen=someone, unit=BESIDE), outside)
    [refused] = shared.record_many([collect(citizen=someone, unit=BESIDE)], by=outside)
    assert "send this one with a new key" in refused.detail
    assert UNIT not in refused.detail
    assert (None, ()) == (refused.error.version, refused.error.fields)


def test_a_retry_counts_where_it_was_recorded_whatever_was_corrected_since(shared, someone):
    approver = principal(shared, (Role.APPROVER, UNIT))
    shared.record(collect(citizen=someone))
    assert "recorded" == outcome(shared, approve(citizen=someone), approver)
    shared.record(reassign(citizen=someone, corrects=1))
    assert "duplicate" == outcome(shared, approve(citizen=someone), approver)
    beside = principal(shared, (Role.APPROVER, BESIDE))
    assert "key_conflict" == outcome(shared, approve(citizen=someone), beside)


def test_a_reassignment_takes_the_right_over_both_units(shared, someone):
    shared.record(collect(citizen=someone))
    command = reassign(citizen=someone, corrects=1)
    for grants in (((Role.CORRECTOR, UNIT),), ((Role.CORRECTOR, BESIDE),)):
        assert "not_permitted" == outcome(shared, command, principal(shared, *grants))
    both = principal(shared, (Role.CORRECTOR, UNIT), (Role.CORRECTOR, BESIDE))
    assert "recorded" == outcome(shared, command, both)
    # It counts at the other unit now, and so do its corrections.
    again = amend(citizen=someone, corrects=1)
    assert "not_permitted" == outcome(shared, again, principal(shared, (Role.CORRECTOR, UNIT)))
    assert "recorded" == outcome(shared, again, principal(shared, (Role.CORRECTOR, BESIDE)))
    # Taking it back moves it back.
    back = void(citizen=someone, corrects=2)
    for grants in (((Role.CORRECTOR, UNIT),), ((Role.CORRECTOR, BESIDE),)):
        assert "not_permitted" == outcome(shared, back, principal(shared, *grants))
    assert "recorded" == outcome(shared, back, both)
    assert "duplicate" == outcome(shared, back, both)


def test_who_reaches_a_dossier_is_told_of_an_entry_that_it_lacks(shared, someone):
    shared.record(collect(citizen=someone))
    by = principal(shared, (Role.CORRECTOR, UNIT))
    assert "unknown_entry" == outcome(shared, void(citizen=someone, corrects=9), by)


def test_an_officer_reports_only_what_they_did(shared, someone):
    by = principal(shared, (Role.OPERATOR, None), actor="cb01")
    assert "recorded" == outcome(shared, collect(citizen=someone), by)
    for actor in ("cb02", "self", "CB01"):
        assert "not_yourself" == outcome(shared, collect(citizen=someone, key="x", actor=actor), by)
    assert "not_yourself" == outcome(shared, collect(citizen=someone, actor="cb02"), by)
    with pytest.raises(NotYourselfError, match="you report as cb01"):
        shared.record(collect(citizen=someone, actor="cb02"), by=by)


def test_four_eyes_are_those_of_two_people(shared, someone):
    """Whoever asked for a correction cannot confirm it under another's name."""
    with Ledger(
        shared.database, shared._identities, policy=Policy(four_eyes=True), now=lambda: NOW
    ) as ledger:
        ledger.tree()
        one, other = (principal(ledger, (Role.CORRECTOR, UNIT), actor=actor) for actor in ("cb02", "cb03"))
        ledger.record(collect(citizen=someone))
        assert "recorded" == outcome(ledger, amend(citizen=someone, corrects=1), one)
        assert "same_officer" == outcome(ledger, confirm(citizen=someone, corrects=2), one)
        assert "not_yourself" == outcome(ledger, confirm(citizen=someone, corrects=2, actor="cb03"), one)
        outside = principal(ledger, (Role.CORRECTOR, ELSEWHERE), actor="cb03")
        wish = confirm(citizen=someone, corrects=2, actor="cb03")
        assert "not_permitted" == outcome(ledger, wish, outside)
        assert "recorded" == outcome(ledger, wish, other)


def test_each_report_of_a_commit_is_asked_of_who_sent_it(shared):
    people = [new_citizen() for _ in range(3)]
    inside, outside = (principal(shared, (Role.RECORDER, code)) for code in (UNIT, ELSEWHERE))
    answers = shared.record_many([collect(citizen=one) for one in people], by=[inside, outside, LOCAL])
    assert [Receipt, Refusal, Receipt] == [type(answer) for answer in answers]
    assert "not_permitted" == answers[1].code


def test_a_server_ledger_does_nothing_for_who_is_not_named(shared, someone):
    with Ledger(shared.database, shared._identities, now=lambda: NOW, principal=NOBODY) as ledger:
        ledger.tree()
        assert "not_permitted" == ledger.record_many([collect(citizen=someone)])[0].code
        assert isinstance(ledger.record_many([collect(citizen=someone)], by=LOCAL)[0], Receipt)
        for ask in (
            lambda: ledger.find(someone),
            lambda: ledger.history(citizen=someone),
            ledger.read,
            ledger.units,
            lambda: ledger.reports_for(None),
            lambda: ledger.load_units("units_2024.csv", valid_from=date(2021, 1, 1)),
        ):
            with pytest.raises(NotPermittedError):
                ask()


def test_a_dossier_is_read_by_who_reaches_a_unit_where_it_counts(shared, someone):
    shared.record(collect(citizen=someone))
    receipt = shared.record(approve(citizen=someone, unit=ELSEWHERE))
    for code in (UNIT, DISTRICT, ELSEWHERE, PROVINCE, None):
        by = principal(shared, (Role.AUDITOR, code))
        assert receipt.dossier_id == shared.find(someone, by=by, purpose=WHY)
        assert 2 == shared.dossier(receipt.dossier_id, by=by, purpose=WHY).version
        assert 2 == len(shared.history(citizen=someone, by=by, purpose=WHY).events)
    for by in (principal(shared, (Role.AUDITOR, BESIDE)), principal(shared, (Role.VIEWER, None))):
        for ask in (
            lambda by=by: shared.find(someone, by=by, purpose=WHY),
            lambda by=by: shared.dossier(receipt.dossier_id, by=by, purpose=WHY),
            lambda by=by: shared.history(dossier_id=receipt.dossier_id, by=by, purpose=WHY),
        ):
            with pytest.raises(NotPermittedError):
                ask()


def test_who_reads_some_dossiers_is_told_the_same_of_others_and_of_none(shared, someone):
    shared.record(collect(citizen=someone))
    by = principal(shared, (Role.AUDITOR, BESIDE))
    told = []
    for who in (someone, new_citizen()):
        with pytest.raises(NotPermittedError) as refused:
            shared.find(who, by=by, purpose=WHY)
        told.append(str(refused.value))
    assert told[0] == told[1]


def test_the_log_is_followed_whole_or_not_at_all(shared):
    assert shared.read(limit=1, by=principal(shared, (Role.FOLLOWER, None)))
    for by in (principal(shared, (Role.FOLLOWER, PROVINCE)), principal(shared, (Role.AUDITOR, None))):
        with pytest.raises(NotPermittedError):
            shared.read(limit=1, by=by)


def test_a_file_is_recorded_as_far_as_its_sender_may(shared, tmp_path):
    inside, outside = new_citizen(), new_citizen()
    rows = [
        [f"k{number}", kind, who, "2", unit, MONDAY.isoformat(), "cb01", *[""] * (len(FIELDS) - 7)]
        for number, (kind, who, unit) in enumerate(
            [("collected", inside, UNIT), ("collected", outside, ELSEWHERE), ("approved", inside, UNIT)]
        )
    ]
    file = "\n".join(map(",".join, [FIELDS, *rows])).encode()
    refused = tmp_path / "refused.csv"
    by = principal(shared, (Role.RECORDER, DISTRICT))
    done = import_file(shared, BytesIO(file), refused_path=refused, by=by)
    assert (3, 1, 2) == (done.read, done.recorded, done.refused)
    assert 2 == refused.read_text().count("not_permitted")
    refused.unlink()
    with pytest.raises(NotPermittedError):
        import_file(shared, BytesIO(file), refused_path=refused, by=principal(shared, (Role.VIEWER, None)))
    assert not refused.exists()


def test_who_a_lane_reports_for_crosses_to_its_process(shared):
    by = principal(shared, (Role.RECORDER, UNIT), actor="cb01")
    assert by == pickle.loads(pickle.dumps(by))


def test_a_new_unit_is_reached_by_a_ledger_that_has_not_heard_of_it(ledger, open_again):
    """A refusal on an older tree is decided again on the newest one."""
    other = open_again()
    other.tree()
    ledger.change_units(MergeUnits(units=(BESIDE,), into=UNIT, effective=date(2024, 6, 1), decree="d"))
    by = principal(ledger, (Role.CORRECTOR, UNIT))
    who = citizen(1)
    ledger.record(collect(citizen=who, unit=BESIDE, occurred_at=MONDAY.replace(month=5)))
    # What counted at the merged unit counts at its successor on the day of the correction.
    assert "recorded" == outcome(other, amend(citizen=who, corrects=1), by)


def test_an_allocated_dossier_counts_at_its_part(ledger):
    parts = ("14764", "14767")
    who, by_day = citizen(1), date(2024, 12, 20)
    ledger.record(collect(citizen=who))
    ledger.change_units(SplitUnit(unit=UNIT, parts=parts, effective=by_day, decree="d"))
    here, there = (principal(ledger, (Role.CORRECTOR, code), day=by_day) for code in parts)
    later = MONDAY.replace(day=21)
    ledger._now.now = NOW.replace(month=12, day=31)
    change = amend(citizen=who, corrects=1, occurred_at=later)
    # Undecided, it belongs to neither of them.
    assert ["not_permitted"] * 2 == [outcome(ledger, change, by) for by in (here, there)]
    assert "not_permitted" == outcome(ledger, allocate(citizen=who, occurred_at=later), there)
    assert "recorded" == outcome(ledger, allocate(citizen=who, occurred_at=later), here)
    assert ["recorded", "not_permitted"] == [outcome(ledger, change, by) for by in (here, there)]
    # It is taken from one part by who may also say so there.
    taken = allocate(citizen=who, key="b2", unit=parts[1], occurred_at=later)
    assert "not_permitted" == outcome(ledger, taken, there)
    auditor = principal(ledger, (Role.AUDITOR, parts[0]), day=by_day)
    assert ledger.find(who, by=auditor, purpose=WHY)
    with pytest.raises(NotPermittedError):
        ledger.find(who, by=principal(ledger, (Role.AUDITOR, parts[1]), day=by_day), purpose=WHY)


def test_without_the_check_everything_is_recorded(shared, someone, monkeypatch):
    """The guard is what refuses, and nothing else."""
    by = principal(shared, (Role.RECORDER, ELSEWHERE))
    assert "not_permitted" == outcome(shared, collect(citizen=someone), by)
    monkeypatch.setattr(recording, "check_report", lambda *_: None)
    assert "recorded" == outcome(shared, collect(citizen=someone), by)


def test_a_ledger_is_opened_for_somebody(server, units_template, tmp_path):
    name = server.create(units_template)
    key_file = tmp_path / "k"
    create_key_file(key_file)
    with open_ledger(server.conninfo(name), key_file=key_file, principal=NOBODY) as ledger:
        assert NOBODY is ledger.principal is ledger.opening.principal
        with pytest.raises(NotPermittedError):
            ledger.read()
        with open_again(ledger.opening) as again:
            assert not again.principal.holds(Right.FOLLOW)
    server.drop(name)
