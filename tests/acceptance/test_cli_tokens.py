"""API keys and the local issuer as an operator uses them: a process, its output and its exit status."""

import csv
import io
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.access import Authenticator, TokenRevokedError, TokenSettings
from api.access.local_issuer import FILE_NAME
from ledger import open_ledger
from ledger.access import Role
from tests.acceptance.test_cli import COMMAND, answer, ledger
from tests.api.conftest import wait_until
from tests.api.test_server import free_port
from tests.conftest import temporary_home


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home with the units of July 2025."""
    with temporary_home() as home:
        loaded = ledger("units", "load", "units_2025.csv", "--valid-from", "2025-07-01", home=home)
        assert 0 == loaded.returncode, loaded.stderr
        yield home
        assert 0 == ledger("stop", home=home).returncode


def created(home: Path, *arguments: str) -> dict:
    return answer(ledger("token", "create", *arguments, "--format", "json", home=home))


def test_a_key_is_shown_once_and_is_what_it_says(home):
    made = created(
        home, "--role", "recorder", "--role", "viewer", "--unit", "14758", "--name", "Máy", "--days", "7"
    )
    assert {"token", "key_id", "roles", "unit", "name", "expires_at"} == set(made)
    assert (["recorder", "viewer"], "14758", "Máy") == (made["roles"], made["unit"], made["name"])

    with open_ledger(home=home) as opened:
        principal = Authenticator(opened, TokenSettings()).authenticate(f"Bearer {made['token']}")
    assert made["key_id"] == principal.name
    assert [Role.RECORDER, Role.VIEWER] == [grant.role for grant in principal.grants]
    for form in ("table", "json"):
        listed = ledger("token", "list", "--all", "--format", form, home=home).stdout
        assert made["key_id"] in listed
        assert made["token"].split("_", 2)[2] not in listed


def test_a_key_is_alone_on_standard_output(home):
    """So that a script can take it from there; who reads is told until when it is valid."""
    made = ledger("token", "create", "--role", "follower", home=home)
    assert 1 == len(made.stdout.splitlines())
    assert made.stdout.startswith("alk_")
    assert "it is shown this once" in made.stderr
    assert made.stdout.strip() not in made.stderr


def test_a_revoked_key_is_listed_only_if_asked_for(home):
    made = created(home, "--role", "operator")
    first = answer(ledger("token", "revoke", made["key_id"], "--actor", "op1", "--format", "json", home=home))
    again = answer(ledger("token", "revoke", made["token"], "--format", "json", home=home))

    assert first | {"new": False} == again
    assert first["new"]
    rows = answer(ledger("token", "list", "--format", "json", home=home))["rows"]
    assert made["key_id"] not in {row["key_id"] for row in rows}
    table = csv.DictReader(io.StringIO(ledger("token", "list", "--all", "--format", "csv", home=home).stdout))
    assert {"revoked"} == {row["state"] for row in table if row["key_id"] == made["key_id"]}


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["create", "--role", "emperor"], 2, "is not one of"),
        (["create", "--role", "viewer", "--days", "366"], 1, "invalid_field): days: from 1 to 365"),
        (["create", "--role", "viewer", "--unit", "1"], 1, "unknown_unit"),
        (["create", "--role", "viewer", "--name", "038090001234"], 1, "personal_number"),
        (["revoke", "abcdefghijkl"], 1, "unknown_api_key"),
        (["sign", "--role", "recorder"], 2, "--staff-code"),
        (["sign", "--role", "viewer", "--minutes", "61"], 2, "LEDGER_TOKEN_MINUTES_MAX"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(home, arguments, status, told):
    done = ledger("token", *arguments, home=home)
    assert (status, "") == (done.returncode, done.stdout)
    assert told in done.stderr
    assert "038090001234" not in done.stderr


def test_a_revocation_reaches_another_process_within_a_second(home):
    """From the commit on; the other one only remembers the key, and asks nothing but that."""
    made = created(home, "--role", "viewer")
    header = f"Bearer {made['token']}"
    with open_ledger(home=home) as opened, Authenticator(opened, TokenSettings()) as authenticator:
        authenticator.authenticate(header)
        process = subprocess.Popen(
            [*COMMAND, "--home", str(home), "token", "revoke", made["key_id"]], stdout=subprocess.DEVNULL
        )
        wait_until(lambda: authenticator.known(header) is None)
        refused_at = opened.head().recorded_at.timestamp(), time.time()
        with pytest.raises(TokenRevokedError):
            authenticator.authenticate(header)
        assert 0 == process.wait(30)
    revoked_at, gone_at = refused_at
    assert 0 <= gone_at - revoked_at < 1


def test_the_local_issuer_serves_what_was_signed(home):
    """A process of its own, asked by discovery; the file with its keys is the owner's alone."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [*COMMAND, "--home", str(home), "issuer", "--port", str(port)], stderr=subprocess.PIPE, text=True
    )
    try:
        assert f"the issuer {url} tells its keys at {url}" in process.stderr.readline()
        arguments = ("--token-issuer", url, "--audience", "ledger", "token", "sign", "--role", "recorder")
        signed = ledger(*arguments, "--unit", "14758", "--staff-code", "th-0042", home=home).stdout.strip()
        with open_ledger(home=home) as opened:
            authenticator = Authenticator(opened, TokenSettings(issuer=url, audience="ledger"))
            principal = authenticator.authenticate(f"Bearer {signed}")
        assert ("th-0042", "th-0042", "person") == (principal.name, principal.actor, principal.kind)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert 0 == process.returncode
    assert 0o600 == (home / FILE_NAME).stat().st_mode & 0o777


def test_the_issuers_keys_are_a_file_too(home):
    """Without a process that is asked; rotated, the old key is still told."""
    one = json.loads(ledger("issuer", "keys", home=home).stdout)["keys"]
    kid = answer(ledger("issuer", "rotate", "--format", "json", home=home))["kid"]
    two = json.loads(ledger("issuer", "keys", home=home).stdout)["keys"]
    assert [kid, *(key["kid"] for key in one)] == [key["kid"] for key in two]
    assert not any("d" in key for key in two)
