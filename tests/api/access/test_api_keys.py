"""Who an API key is, what is wrong with one that is not taken, and how soon a revocation reaches every process."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from api.access import (
    Authenticator,
    TokenExpiredError,
    TokenInvalidError,
    TokenNeededError,
    TokenRevokedError,
    TokenSettings,
    authorization_in,
    watch,
)
from api.access import authenticator as authenticators
from ledger import UnavailableError, store
from ledger.access import Role
from tests.api.conftest import wait_until


@pytest.fixture
def authenticator(ledger) -> Iterator[Authenticator]:
    with Authenticator(ledger, TokenSettings()) as authenticator:
        yield authenticator


@pytest.fixture
def key(ledger):
    return ledger.create_key([Role.RECORDER], unit="14758")


def bearer(token: str) -> str:
    return f"Bearer {token}"


def test_a_key_is_its_principal(authenticator, key):
    """At first it is looked at; then it is remembered."""
    assert None is authenticator.known(bearer(key.token))
    assert key.key.principal == authenticator.authenticate(bearer(key.token))
    assert key.key.principal == authenticator.known(bearer(key.token))
    assert key.key.principal == authenticator.authenticate(f"bearer {key.token}")


@pytest.mark.parametrize("header", [None, ""])
def test_there_must_be_a_token(authenticator, header):
    with pytest.raises(TokenNeededError):
        authenticator.authenticate(header)
    with pytest.raises(TokenNeededError):
        authenticator.known(header)


@pytest.mark.parametrize(
    "header",
    ["{}", "Basic {}", "Bearer", "Bearer ", "Bearer  {}", "Bearer {} ", "Bearer {},{}", "Bearer\t{}", "Bearer {}\n"]
    + ["Bearer {}=", "Bearer é{}", "Bearer \ud800{}", "Token {}", "Bearer {}" + "A" * 8_000],
)  # fmt: skip
def test_an_odd_header_is_no_token(authenticator, key, header):
    with pytest.raises(TokenInvalidError) as refused:
        authenticator.authenticate(header.replace("{}", key.token))
    assert key.token.split("_", 2)[2] not in str(refused.value)


@pytest.mark.parametrize("change", [lambda it: it[:-1], lambda it: it[:-1] + "!", lambda it: it.swapcase()])
def test_a_changed_key_is_none(authenticator, key, change):
    authenticator.authenticate(bearer(key.token))
    with pytest.raises(TokenInvalidError):
        authenticator.authenticate(bearer(change(key.token)))


def test_the_id_alone_opens_nothing(authenticator, key, ledger):
    """Nor does another key's secret. Nobody but its holder is told that a key was revoked."""
    other = ledger.create_key([Role.OPERATOR])
    ledger.revoke_key(key.key.id)
    mixed = f"{key.token[:16]}_{other.token[17:]}"
    with pytest.raises(TokenInvalidError):
        authenticator.authenticate(bearer(mixed))


def test_an_expired_key_is_told_so(authenticator, key, clock):
    """Also one that is remembered."""
    authenticator.authenticate(bearer(key.token))
    clock.now = key.key.expires_at - timedelta(microseconds=1)
    assert key.key.principal == authenticator.authenticate(bearer(key.token))
    clock.now = key.key.expires_at
    assert None is authenticator.known(bearer(key.token))
    with pytest.raises(TokenExpiredError):
        authenticator.authenticate(bearer(key.token))


def test_a_key_of_another_process_is_taken_at_once(authenticator, key, open_again):
    """Though the watch has not seen it yet."""
    authenticator.authenticate(bearer(key.token))
    made = open_again().create_key([Role.VIEWER])
    assert made.key.principal == authenticator.authenticate(bearer(made.token))


def test_a_revocation_reaches_what_is_remembered_within_a_second(authenticator, key, open_again):
    """Nobody asks for anything meanwhile but what is remembered."""
    header = bearer(key.token)
    authenticator.authenticate(header)
    open_again().revoke_key(key.key.id)
    revoked = time.monotonic()
    while authenticator.known(header) is not None:
        assert time.monotonic() - revoked < 1
        time.sleep(0.005)
    with pytest.raises(TokenRevokedError):
        authenticator.authenticate(header)


def test_what_is_remembered_lasts_while_the_watch_asks(ledger, key, monkeypatch):
    """So nobody waits for the database but who comes first."""
    monkeypatch.setattr(watch, "WATCH_SECONDS", 0.05)
    monkeypatch.setattr(watch, "FRESH_SECONDS_MAX", 0.4)
    header = bearer(key.token)
    with Authenticator(ledger, TokenSettings()) as authenticator:
        authenticator.authenticate(header)
        for _ in range(60):
            time.sleep(0.01)
            assert key.key.principal == authenticator.known(header)
    time.sleep(0.4)
    assert None is authenticator.known(header)


def test_without_the_watch_the_ledger_is_asked(ledger, key, open_again):
    """What is remembered counts for a second; then whoever asks waits for the ledger's answer."""
    authenticator = Authenticator(ledger, TokenSettings())
    header = bearer(key.token)
    authenticator.authenticate(header)
    open_again().revoke_key(key.key.id)
    assert key.key.principal == authenticator.known(header)
    time.sleep(1)
    assert None is authenticator.known(header)
    with pytest.raises(TokenRevokedError):
        authenticator.authenticate(header)


def test_nobody_is_let_through_while_the_database_is_away(authenticator, key, door):
    """Not even who is remembered; none waits for the others' waits, also whose turn comes later; and afterwards it goes on."""
    header = bearer(key.token)
    authenticator.authenticate(header)
    with door.shut():
        wait_until(lambda: authenticator.known(header) is None)
        began = time.monotonic()
        with ThreadPoolExecutor(2) as pool:
            assert not any(pool.map(lambda _: succeeds(authenticator, header), range(16)))
        assert time.monotonic() - began < 3 * store.POOL_WAIT_SECONDS_MAX
    wait_until(lambda: succeeds(authenticator, header))
    assert key.key.principal == authenticator.known(header)


def succeeds(authenticator: Authenticator, header: str) -> bool:
    try:
        authenticator.authenticate(header)
    except UnavailableError:
        return False
    return True


def test_bad_tokens_are_not_remembered_and_ask_the_database_little(authenticator, key, ledger, monkeypatch):
    looks = 0
    keys = ledger.keys

    def counted():
        nonlocal looks
        looks += 1
        return keys()

    authenticator.authenticate(bearer(key.token))
    monkeypatch.setattr(ledger, "keys", counted)
    began = time.monotonic()
    for number in range(500):
        with pytest.raises(TokenInvalidError):
            authenticator.authenticate(bearer(f"alk_{'b' * 12}_{number:043}"))
    assert looks <= 22 + 23 * (time.monotonic() - began)
    assert 1 == len(authenticator._answers)


def test_what_is_remembered_is_bounded_and_no_token(authenticator, ledger, monkeypatch):
    monkeypatch.setattr(authenticators, "ANSWERS_MAX", 3)
    made = [ledger.create_key([Role.VIEWER]) for _ in range(5)]
    for one in made:
        assert one.key.principal == authenticator.authenticate(bearer(one.token))
    assert [False, False, True, True, True] == [
        authenticator.known(bearer(one.token)) is not None for one in made
    ]
    assert {32} == {len(key) for key in authenticator._answers}
    assert not any(one.token in str(authenticator._answers) for one in made)


def test_two_headers_are_no_token():
    """Whoever stands between may go by the other one."""
    one = (b"authorization", b"Bearer a")
    assert "Bearer a" == authorization_in([(b"host", b"h"), one])
    assert None is authorization_in([(b"host", b"h")])
    with pytest.raises(TokenInvalidError):
        authorization_in([one, one])
