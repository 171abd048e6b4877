"""Who an access token is; and every fault that one can have, each refused without a word of it."""

import logging
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.access import Authenticator, TokenError, TokenExpiredError, TokenInvalidError, TokenSettings
from ledger.access import Grant, Role
from tests import tokens
from tests.conftest import NOW
from tests.tokens import FAULTS, HEADERS, Issuer

ALGORITHMS = ["ES256", "EdDSA", "RS256"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = ["alg", "kid", "typ", "iss", "aud", "sub", "exp", "iat", "nbf", "ledger_rights", "staff_code", "x"]
JSON = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3)
"""What may stand in place of something good."""


@pytest.fixture(scope="module", params=ALGORITHMS)
def issuer(request, ledger) -> Issuer:
    return Issuer.of(ledger, algorithm=request.param)


@pytest.fixture(scope="module")
def authenticator(ledger, issuer, tmp_path_factory) -> Iterator[Authenticator]:
    with Authenticator(ledger, issuer.settings(tmp_path_factory.mktemp("jwks"))) as authenticator:
        yield authenticator


def of(authenticator: Authenticator, token: str):
    return authenticator.authenticate(f"Bearer {token}")


def test_a_token_is_its_principal(authenticator, issuer, ledger):
    """Its rights are over the units that have their codes today; the second time it is remembered."""
    token = issuer.token("recorder:14758", "viewer:*", "recorder:14758")
    principal = of(authenticator, token)

    unit_id = ledger.tree().resolve("14758", date(2024, 12, 9)).id
    assert ("an.nguyen", "person", "th-0042") == (principal.name, principal.kind, principal.actor)
    assert (Grant(Role.RECORDER, unit_id), Grant(Role.VIEWER)) == principal.grants
    assert principal is authenticator.known(f"Bearer {token}")


@pytest.mark.parametrize(
    "changes",
    [
        {"header": {"typ": "JWT"}},
        {"header": {"typ": "application/at+JWT"}},
        {"header": {"x5t": "abc"}},
        {"aud": ["payroll", tokens.AUDIENCE]},
        {"nbf": int(NOW.timestamp()) + 10},
        {"iat": int(NOW.timestamp()) + 10},
        {"exp": int(NOW.timestamp()) + 3600},
        {"exp": int(NOW.timestamp()) + 1800.5},
        {"iat": int(NOW.timestamp()) - 1809, "exp": int(NOW.timestamp()) - 9},
        {"sub": "f81d4fae-7dec-11d0-a765-038090001234"},
        {"more": {"nested": ['a "quoted" text', 1, None]}},
    ],
)
def test_what_issuers_differ_in_is_taken(authenticator, issuer, changes):
    """Types, audiences, clocks a little ahead or behind, ids of any digits, and claims that nobody here knows."""
    assert of(authenticator, issuer.token("viewer:38", **changes)).grants


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_token_is_refused(authenticator, issuer, caplog, name):
    """With the code that the client branches on, and nothing of the token in sentence or log."""
    code, make = FAULTS[name]
    token = make(issuer, ["recorder:14758"])
    caplog.set_level(logging.DEBUG)

    with pytest.raises(TokenError) as refused:
        of(authenticator, token)
    assert code == refused.value.code
    assert None is authenticator.known(f"Bearer {token[:7_000]}")
    told = str(refused.value) + caplog.text
    for part in re.split(r"[._]", token):
        assert len(part) < 8 or part not in told
    assert "038090001234" not in told


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("another algorithm than the key's", "another algorithm than its key is for"),
        ("a right over an empty unit", "each is a role, a colon and the code of a unit"),
        ("a right without a unit", "each is a role, a colon and the code of a unit"),
        ("a role that there is not", "roles are recorder, approver"),
        ("a unit that there never was", "no unit ever had this code: '99999'"),
        ("lifetime too long", "at most 3600 s"),
        ("wrong audience", "its aud does not name this one"),
        ("wrong type", "neither at\\+jwt nor JWT"),
    ],
)
def test_the_sentence_says_what_is_wrong(authenticator, issuer, name, told):
    """An issuer is set up by people, who see nothing else."""
    with pytest.raises(TokenInvalidError, match=told):
        of(authenticator, FAULTS[name][1](issuer, ["recorder:14758"]))


@pytest.mark.parametrize("name", HEADERS)
def test_a_faulty_header_is_refused(authenticator, issuer, name):
    code, make = HEADERS[name]
    with pytest.raises(TokenError) as refused:
        authenticator.authenticate(make(issuer.token("viewer:38")))
    assert code == refused.value.code


def test_no_letter_of_a_token_can_be_another_one(authenticator, issuer):
    """Not even those that would decode to the same bytes: what is remembered is one text."""
    token = issuer.token("recorder:14758")
    assert of(authenticator, token)
    for place, letter in enumerate(token):
        for other in {"A", "B", "_", ".", "=", "+", chr(ord(letter) ^ 1)} - {letter}:
            with pytest.raises(TokenError):
                of(authenticator, f"{token[:place]}{other}{token[place + 1 :]}")


@given(
    st.text(max_size=60),
    st.sampled_from(["", "Bearer ", "Bearer alk_", "Bearer a.", "Bearer eyJ.eyJ.", "Bearer .."]),
)
def test_whatever_is_sent_is_a_token_or_one_clear_refusal(authenticator, text, before):
    with pytest.raises(TokenError):
        authenticator.authenticate(before + text)


@given(header=JSON, claims=JSON)
def test_whatever_an_issuer_signs_is_a_token_or_one_clear_refusal(authenticator, issuer, header, claims):
    """Also where a claim is of another kind, beyond reason or half there."""
    token = issuer.key.sign({**issuer.header(), **header}, {**issuer.claims(["viewer:38"]), **claims})
    try:
        of(authenticator, token)
    except TokenError as refused:
        assert len(str(refused)) < 400


def test_a_remembered_token_ends_at_its_hour(authenticator, issuer, clock):
    token = issuer.token("viewer:38", exp=int(NOW.timestamp()) + 20)
    of(authenticator, token)
    clock.now = NOW + timedelta(seconds=29)
    assert authenticator.known(f"Bearer {token}")
    clock.now = NOW + timedelta(seconds=30)
    assert None is authenticator.known(f"Bearer {token}")
    with pytest.raises(TokenExpiredError):
        of(authenticator, token)


def test_a_token_without_rights_is_somebody_who_may_nothing(authenticator, issuer):
    principal = of(authenticator, issuer.token(ledger_rights=None, staff_code=None))
    assert () == principal.grants


def test_who_reports_for_others_says_so(authenticator, issuer):
    """A staff code that is absent may have been forgotten; ``*`` was not."""
    assert "" == of(authenticator, issuer.token("recorder:14758", staff_code="*")).actor
    with pytest.raises(TokenInvalidError, match="has no staff code"):
        of(authenticator, issuer.token("operator:*", staff_code=None))


def test_a_unit_is_meant_as_of_today(authenticator, issuer, clock):
    token = issuer.token("viewer:14758")
    assert of(authenticator, token).grants
    clock.now = NOW - timedelta(days=365 * 5)
    with pytest.raises(TokenInvalidError, match="14758 was not valid on 2019"):
        of(authenticator, issuer.token("viewer:14758"))


def test_names_of_claims_are_settings(ledger, issuer, tmp_path):
    settings = issuer.settings(tmp_path, rights_claim="https://police.test/rights", staff_claim="officer")
    token = issuer.token(**{"https://police.test/rights": ["recorder:14758"], "officer": "th-7"})
    principal = of(Authenticator(ledger, settings), token)
    assert ([Role.RECORDER], "th-7") == ([grant.role for grant in principal.grants], principal.actor)


def test_a_lifetime_is_a_setting(ledger, issuer, tmp_path):
    authenticator = Authenticator(ledger, issuer.settings(tmp_path, lifetime_seconds_max=60))
    now = int(issuer.now())
    assert of(authenticator, issuer.token("viewer:38", exp=now + 60))
    with pytest.raises(TokenInvalidError, match="at most 60 s"):
        of(authenticator, issuer.token("viewer:38", exp=now + 61))


def test_without_an_issuer_no_token_is_taken(ledger, issuer):
    with pytest.raises(TokenInvalidError, match="no issuer is set"):
        of(Authenticator(ledger, TokenSettings()), issuer.token("viewer:38"))


@pytest.mark.parametrize(
    "settings",
    [
        {"issuer": "https://a"},
        {"audience": "a"},
        {"jwks": Path("a")},
        {"issuer": "https://a", "audience": ""},
    ],
)
def test_an_issuer_and_an_audience_are_set_together(settings):
    """Else tokens for other services would be taken."""
    with pytest.raises(ValueError, match="LEDGER_AUDIENCE"):
        TokenSettings(**settings)


def test_an_issuer_that_cannot_be_asked_needs_a_file_of_keys():
    """That is said when the server starts, not with the first request."""
    with pytest.raises(ValueError, match="LEDGER_ISSUER: it must begin with https://"):
        TokenSettings(issuer="http://issuer.test", audience="ledger")
    assert TokenSettings(issuer="http://issuer.test", audience="ledger", jwks=Path("keys.json"))
