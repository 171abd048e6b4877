"""What the environment may say, and what is typed to say the same."""

from pathlib import Path

import msgspec
import pytest

from api.settings import Settings, read_settings


@pytest.mark.parametrize("value", ["true", "True", "1"])
def test_four_eyes_are_asked_for(value):
    """In any of the ways that files of settings have."""
    assert read_settings({"LEDGER_FOUR_EYES": value}).four_eyes


@pytest.mark.parametrize(
    "environment", [{}, *({"LEDGER_FOUR_EYES": it} for it in ("", "false", "FALSE", "0"))]
)
def test_four_eyes_are_not_asked_for(environment):
    """Empty is the same as absent."""
    assert not read_settings(environment).four_eyes


@pytest.mark.parametrize("value", ["yes", "2", "on", " true", "truе"])
def test_what_is_neither_yes_nor_no_is_an_error(value):
    """A guess would switch a control off that somebody believes to be on. The last one has a Cyrillic letter."""
    with pytest.raises(ValueError, match="LEDGER_FOUR_EYES must be true, false, 1 or 0; it is "):
        read_settings({"LEDGER_FOUR_EYES": value})


def test_a_file_of_purposes_is_one_too(tmp_path, monkeypatch):
    """As one of reasons is."""
    monkeypatch.chdir(tmp_path)
    found = read_settings({"LEDGER_PURPOSES_FILE": "purposes.csv"}).purposes_file
    assert tmp_path / "purposes.csv" == found
    settings = Settings(program="ledger", purposes_file=found)
    assert f"ledger --purposes-file {found} stop" == settings.suggest("stop")


def test_a_file_of_reasons_is_found_wherever_the_program_goes(tmp_path, monkeypatch):
    """Its path is read where the program was started."""
    monkeypatch.chdir(tmp_path)
    assert tmp_path / "reasons.csv" == read_settings({"LEDGER_REASONS_FILE": "reasons.csv"}).reasons_file
    assert Path.home() / "r.csv" == read_settings({"LEDGER_REASONS_FILE": "~/r.csv"}).reasons_file
    assert None is read_settings({"LEDGER_REASONS_FILE": ""}).reasons_file


def test_a_suggestion_works_on_the_same_ledger_by_the_same_rules(tmp_path):
    """With what was set, as a shell reads it, and nothing of what was not."""
    settings = Settings(program="ledger")
    assert "ledger stop" == settings.suggest("stop")
    own = msgspec.structs.replace(settings, reasons_file=tmp_path / "my reasons.csv", four_eyes=True)
    assert f"ledger --reasons-file '{tmp_path}/my reasons.csv' --four-eyes stop" == own.suggest("stop")


def test_proxies_are_named_by_address_or_network():
    """Several, as the names of hosts are."""
    edge = read_settings({"LEDGER_TRUSTED_PROXIES": "192.0.2.7, 10.1.0.0/16 ::1"}).edge
    assert ["192.0.2.7/32", "10.1.0.0/16", "::1/128"] == list(map(str, edge.proxies))
    assert () == read_settings({"LEDGER_TRUSTED_PROXIES": ""}).edge.proxies


@pytest.mark.parametrize(
    "value", ["proxy.example", "10.1.0.7/16", "192.0.2.7:80", "0.0.0.0/0", "::/0", "1.2.3", "*"]
)
def test_a_proxy_that_is_none_or_anybody_is_an_error(value):
    """A mistake would have everybody say to be anybody."""
    with pytest.raises(ValueError, match="LEDGER_TRUSTED_PROXIES: "):
        read_settings({"LEDGER_TRUSTED_PROXIES": f"192.0.2.1,{value}"})


def test_whose_tokens_are_taken_is_a_setting(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tokens = read_settings(
        {
            "LEDGER_ISSUER": "https://issuer.test",
            "LEDGER_AUDIENCE": "ledger",
            "LEDGER_JWKS": "keys.json",
            "LEDGER_RIGHTS_CLAIM": "rights",
            "LEDGER_STAFF_CLAIM": "officer",
            "LEDGER_TOKEN_MINUTES_MAX": "15",
        }
    ).tokens
    assert ("https://issuer.test", "ledger", tmp_path / "keys.json") == (
        tokens.issuer,
        tokens.audience,
        tokens.jwks,
    )
    assert ("rights", "officer", 900) == (
        tokens.rights_claim,
        tokens.staff_claim,
        tokens.lifetime_seconds_max,
    )


def test_without_settings_no_issuer_is_trusted():
    tokens = read_settings({"LEDGER_ISSUER": "", "LEDGER_AUDIENCE": ""}).tokens
    assert (None, 3600) == (tokens.issuer, tokens.lifetime_seconds_max)


@pytest.mark.parametrize(
    "environment", [{"LEDGER_ISSUER": "https://a"}, {"LEDGER_AUDIENCE": "a"}, {"LEDGER_JWKS": "a"}]
)
def test_half_of_an_issuer_is_an_error(environment):
    """Without an audience, tokens for other services would be taken."""
    settings = read_settings(environment)
    with pytest.raises(ValueError, match="LEDGER_AUDIENCE"):
        settings.tokens  # noqa: B018


@pytest.mark.parametrize("name", ["LEDGER_TOKEN_MINUTES_MAX", "LEDGER_KEY_DAYS_MAX"])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "x", "99999", "1" * 5000, "\u0661", " 5"])
def test_a_number_that_is_none_or_out_of_bounds_is_an_error(name, value):
    with pytest.raises(ValueError, match=f"{name} must be a number from 1 to "):
        read_settings({name: value})
