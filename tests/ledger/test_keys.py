"""API keys are events: made once, told once, revoked for good; what is stored of them opens nothing."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest

from ledger.access import Grant, Principal, Role
from ledger.access.keys import Keys, grow
from ledger.errors import (
    ApiKeyUnknownError,
    DossierUnknownError,
    InputError,
    NotPermittedError,
    UnitNotValidError,
    UnitUnknownError,
)
from ledger.key_events import KEYS_STREAM, KeyCreated, KeyGrant
from ledger.key_ring import parts_of
from ledger.units.commands import MoveUnits
from tests.conftest import NOW, check_ledger

UNITS = 586
TODAY = date(2024, 12, 9)


def test_a_ledger_begins_without_any_key(ledger):
    """There is no account that everybody knows."""
    assert {} == dict(ledger.keys().by_id)


def test_a_key_is_an_event_that_holds_its_hash_and_not_itself(ledger, operator):
    """Its secret is 256 bits, and nowhere in the log."""
    made = ledger.create_key([Role.RECORDER], unit="14758", name="Máy của phường", days=30, actor="op1")

    prefix, key_id, secret = made.token.split("_", 2)
    assert ("alk", 12, 43) == (prefix, len(key_id), len(secret))
    assert hashlib.sha256(secret.encode()).digest() == made.key.hash
    assert secret not in str(made) + repr(made) + repr(made.key) + repr(made.key.principal)
    unit_id = ledger.tree().resolve("14758", TODAY).id
    assert (Grant(Role.RECORDER, unit_id),) == made.key.grants
    assert NOW + timedelta(days=30) == made.key.expires_at
    assert ("machine", key_id, "") == (
        made.key.principal.kind,
        made.key.principal.name,
        made.key.principal.actor,
    )
    [[rows]] = operator.execute(
        "SELECT count(*) FROM events WHERE position(%s IN state) > 0", [secret.encode()]
    )
    assert 0 == rows
    check_ledger(ledger, length=UNITS + 1)


def test_every_process_has_the_keys(ledger, open_again):
    made = ledger.create_key([Role.FOLLOWER, Role.VIEWER, Role.VIEWER])
    other = open_again()

    assert made.key == other.keys().by_id[made.key.id]
    assert (Grant(Role.FOLLOWER), Grant(Role.VIEWER)) == made.key.grants
    assert [made.key] == other.keys().standing(NOW)


def test_a_key_is_revoked_once(ledger, open_again):
    """Whoever says it again is told when it was."""
    made = ledger.create_key([Role.OPERATOR])
    first, new = ledger.revoke_key(made.key.id, actor="op1")
    again, repeated = open_again().revoke_key(made.key.id, actor="op2")

    assert (True, False) == (new, repeated)
    assert first == again
    assert None is not first.revoked_at
    assert [] == ledger.keys().standing(NOW)
    check_ledger(ledger, length=UNITS + 2)


def test_a_key_ends_at_its_hour(ledger):
    made = ledger.create_key([Role.VIEWER], days=1)
    assert [made.key] == ledger.keys().standing(NOW + timedelta(days=1, microseconds=-1))
    assert [] == ledger.keys().standing(NOW + timedelta(days=1))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"days": 0}, InputError),
        ({"days": 366}, InputError),
        ({"name": "of 038090001234"}, InputError),
        ({"name": "a\nb"}, InputError),
        ({"actor": ""}, InputError),
        ({"unit": "99999"}, UnitUnknownError),
        ({"unit": ""}, UnitUnknownError),
        ({"roles": []}, InputError),
    ],
)
def test_what_cannot_be_a_key_is_refused(ledger, arguments, error):
    """And nothing is recorded."""
    with pytest.raises(error):
        ledger.create_key(**{"roles": [Role.RECORDER]} | arguments)
    assert {} == ledger.keys().by_id
    check_ledger(ledger, length=UNITS)


def test_a_unit_is_meant_as_of_today(ledger, clock):
    """And kept by its id: the code may be another one's later."""
    ledger.load_units("units_2024.csv", valid_from=date(2021, 1, 1))
    clock.now = NOW - timedelta(days=365 * 5)
    with pytest.raises(UnitNotValidError):
        ledger.create_key([Role.RECORDER], unit="14758")


def test_whether_somebody_may_is_asked_of_the_tree_that_it_is_recorded_by(ledger, open_again, monkeypatch):
    """Where the unit is moved out of their part meanwhile, they make no key over it."""
    district = ledger.tree().resolve("380", TODAY).id
    by, check = Principal("p", "machine", (Grant(Role.OPERATOR, district),)), ledger.check_asked

    def moved_meanwhile(*arguments):
        check(*arguments)
        monkeypatch.undo()
        moved = MoveUnits(units=("14758",), parent="401", effective=TODAY, decree="d")
        open_again().change_units(moved)

    monkeypatch.setattr(ledger, "check_asked", moved_meanwhile)
    with pytest.raises(NotPermittedError):
        ledger.create_key([Role.VIEWER], unit="14758", by=by)
    assert {} == ledger.keys().by_id
    check_ledger(ledger, length=UNITS + 1)


def test_a_key_that_there_is_not_cannot_be_revoked(ledger):
    with pytest.raises(ApiKeyUnknownError):
        ledger.revoke_key("a" * 12)
    check_ledger(ledger, length=UNITS)


def test_keys_made_at_once_are_all_there(ledger, open_again):
    ledgers = [open_again() for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: ledgers[number % 4].create_key([Role.VIEWER]), range(16)))
    assert {one.key.id for one in made} == set(ledger.keys().by_id)
    check_ledger(ledger, length=UNITS + 16)


def test_a_role_of_a_later_program_gives_nothing():
    """Less, never more."""
    event = KeyCreated(
        key_id="a" * 12,
        hash=bytes(32),
        grants=(KeyGrant(role="emperor"), KeyGrant(role="viewer")),
        expires_at=NOW,
    )
    [key] = grow(Keys(), [(1, NOW, event)]).by_id.values()
    assert (Grant(Role.VIEWER),) == key.grants


@pytest.mark.parametrize("change", [str.upper, lambda it: it[:-1], lambda it: it + "A", lambda it: it[1:]])
def test_another_text_is_no_key(change):
    text = "alk_" + "a" * 12 + "_" + "B" * 43
    assert parts_of(text)
    assert None is parts_of(change(text))


def test_keys_are_nobodys_dossier(ledger):
    ledger.create_key([Role.VIEWER])
    with pytest.raises(DossierUnknownError):
        ledger.history(dossier_id=KEYS_STREAM)
