"""The issuer's keys over real HTTP: rotated, taken back, away, slow, wrong; and never asked for without bounds."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from api.access import Authenticator, TokenInvalidError, TokenSettings, fetching, issuer_keys
from api.access.errors import IssuerUnavailableError
from api.access.fetching import check_address
from api.access.jwks import JwksInvalidError, read_jwks
from api.access.local_issuer import FILE_NAME, IssuerServer, LocalIssuer
from ledger.errors import KeyFileInvalidError
from tests.api.conftest import wait_until
from tests.tokens import AUDIENCE, Issuer, SigningKey

Answer = tuple[int, Mapping[str, str], bytes]


class Province(ThreadingHTTPServer):
    """An issuer that answers as a test wants."""

    daemon_threads = True

    def __init__(self, now: Callable[[], float], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.issuer = Issuer(now, name=self.url)
        self.others: list[dict] = []
        """More keys that it tells."""
        self.asked: list[str] = []
        self.answers: dict[str, Answer] = {}
        """What it answers instead, by path."""
        self.pause = threading.Event()
        self.pause.set()

    def answer(self, path: str) -> Answer:
        self.asked.append(path)
        self.pause.wait(5)
        if path in self.answers:
            return self.answers[path]
        document = {"issuer": self.url, "jwks_uri": self.url + "/keys"}
        keys = {"keys": [self.issuer.key.jwk, *self.others]}
        return 200, {}, json.dumps(keys if path == "/keys" else document).encode()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.pause.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Province

    def do_GET(self) -> None:
        status, headers, body = self.server.answer(self.path)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        # It may hang up in the middle.
        with suppress(OSError):
            if "X-Drip" not in headers:
                self.wfile.write(body)
                return
            for number in range(len(body)):
                self.wfile.write(body[number : number + 1])
                time.sleep(0.1)

    def log_message(self, *args: object) -> None: ...


@pytest.fixture(autouse=True)
def _soon(monkeypatch) -> None:
    """Ask again after a fifth of a second in place of ten."""
    monkeypatch.setattr(issuer_keys, "AGAIN_SECONDS", 0.2)
    monkeypatch.setattr(fetching, "FETCH_SECONDS_MAX", 0.5)


@pytest.fixture
def province(ledger) -> Iterator[Province]:
    with Province(lambda: ledger.now().timestamp()) as province:
        yield province


@pytest.fixture
def authenticator(ledger, province) -> Iterator[Authenticator]:
    with Authenticator(ledger, TokenSettings(issuer=province.url, audience=AUDIENCE)) as authenticator:
        wait_until(lambda: authenticator._issuer_keys.at_hand("key-1") is not None)
        yield authenticator


def of(authenticator: Authenticator, token: str):
    return authenticator.authenticate(f"Bearer {token}")


def fails(authenticator: Authenticator, token: str, error: type[Exception]) -> bool:
    try:
        of(authenticator, token)
    except error:
        return True
    return False


def test_the_local_issuers_tokens_are_taken_and_its_keys_rotate(ledger, tmp_path, monkeypatch):
    """Without a restart of anything; what the old key signed is good until its end."""
    local = LocalIssuer(tmp_path / FILE_NAME)
    with IssuerServer(local, 0) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        claims = Issuer.of(ledger, name=server.name).claims(["viewer:38"])
        with Authenticator(ledger, TokenSettings(issuer=server.name, audience=AUDIENCE)) as authenticator:
            old = local.sign(claims)
            assert "an.nguyen" == of(authenticator, old).name
            time.sleep(0.2)
            local.rotate(0)
            new = local.sign(claims | {"sub": "binh"})
            assert "binh" == of(authenticator, new).name
            assert of(authenticator, old)
            # After a day nothing is under way any more.
            monkeypatch.setattr(issuer_keys, "REFRESH_SECONDS", 0.2)
            local.rotate(86_400)
            wait_until(lambda: fails(authenticator, old, TokenInvalidError))
            assert of(authenticator, new)
        server.shutdown()


def test_a_local_issuers_file_is_its_owners_alone(tmp_path):
    path = tmp_path / "home" / FILE_NAME
    local = LocalIssuer(path)
    assert 0o600 == path.stat().st_mode & 0o777
    local.rotate(0)
    assert 0o600 == path.stat().st_mode & 0o777
    assert local.jwks() == LocalIssuer(path).jwks()
    assert b'"d"' in path.read_bytes()
    assert b'"d"' not in local.jwks()

    path.chmod(0o640)
    with pytest.raises(KeyFileInvalidError, match="chmod 600"):
        local.sign({})
    path.chmod(0o600)
    for damaged in (b"", b"{}", b'{"keys": []}', b'{"keys": [{}]}', b"\xff"):
        path.write_bytes(damaged)
        with pytest.raises(KeyFileInvalidError, match="is damaged"):
            local.jwks()


def test_a_key_that_the_issuer_takes_back_is_taken_no_longer(authenticator, province, monkeypatch):
    """Not even by what is remembered."""
    monkeypatch.setattr(issuer_keys, "REFRESH_SECONDS", 0.3)
    token = province.issuer.token("viewer:38")
    assert of(authenticator, token)
    province.issuer.key = SigningKey("EdDSA", "key-2")
    wait_until(lambda: authenticator.known(f"Bearer {token}") is None)
    with pytest.raises(TokenInvalidError):
        of(authenticator, token)


def test_another_key_under_the_same_id_is_another_key(authenticator, province, monkeypatch):
    monkeypatch.setattr(issuer_keys, "REFRESH_SECONDS", 0.3)
    token = province.issuer.token("viewer:38")
    assert of(authenticator, token)
    province.issuer.key = province.issuer.stranger
    wait_until(lambda: authenticator.known(f"Bearer {token}") is None)
    with pytest.raises(TokenInvalidError):
        of(authenticator, token)
    assert of(authenticator, province.issuer.token("viewer:38"))


def test_made_up_keys_ask_the_issuer_no_more_often(authenticator, province):
    """However many come, from however many threads."""
    began = time.monotonic()
    tokens = [province.issuer.token("viewer:38", header={"kid": f"key-{number}"}) for number in range(2, 202)]
    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(lambda token: fails(authenticator, token, TokenInvalidError), tokens))
    asked = province.asked.count("/keys")
    assert asked <= 2 + (time.monotonic() - began) / 0.2
    assert asked >= 1


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES384", "PS256", "es256", ""])
def test_what_no_issuer_signs_with_asks_the_issuer_for_nothing(authenticator, province, algorithm):
    """Whatever key it names."""
    asked = len(province.asked)
    time.sleep(0.2)
    token = province.issuer.token("viewer:38", header={"alg": algorithm, "kid": "key-9"})
    with pytest.raises(TokenInvalidError, match="not signed with ES256, EdDSA, RS256"):
        of(authenticator, token)
    assert asked == len(province.asked)


def test_while_the_issuer_is_away_its_keys_are_good_for_a_bounded_time(ledger, province, monkeypatch):
    """Then nobody is let through, not even who is remembered; once it is back, everybody is."""
    monkeypatch.setattr(issuer_keys, "STALE_SECONDS_MAX", 1.0)
    monkeypatch.setattr(issuer_keys, "REFRESH_SECONDS", 0.2)
    with Authenticator(ledger, TokenSettings(issuer=province.url, audience=AUDIENCE)) as authenticator:
        token = province.issuer.token("viewer:38")
        assert of(authenticator, token)
        province.answers["/keys"] = 503, {}, b""
        away = time.monotonic()
        assert of(authenticator, province.issuer.token("viewer:38", sub="binh"))
        wait_until(lambda: fails(authenticator, token, IssuerUnavailableError))
        assert 0.7 < time.monotonic() - away < 3
        assert None is authenticator.known(f"Bearer {token}")
        province.answers.clear()
        wait_until(lambda: not fails(authenticator, token, IssuerUnavailableError))


def test_a_slow_issuer_holds_up_nobody_whose_key_is_known(authenticator, province):
    """And of those with made-up keys no more than a few, for no more than a second."""
    token = province.issuer.token("viewer:38")
    assert of(authenticator, token)
    time.sleep(0.2)
    province.pause.clear()
    made_up = [province.issuer.token("viewer:38", header={"kid": f"key-{number}"}) for number in range(2, 34)]

    def timed(token: str) -> float:
        began = time.monotonic()
        assert fails(authenticator, token, TokenInvalidError)
        return time.monotonic() - began

    with ThreadPoolExecutor(32) as pool:
        waits = pool.map(timed, made_up)
        time.sleep(0.1)
        began = time.monotonic()
        assert of(authenticator, province.issuer.token("viewer:38", sub="binh"))
        assert authenticator.known(f"Bearer {token}")
        assert time.monotonic() - began < 0.2
        long = [wait for wait in waits if wait > 0.2]
    assert len(long) <= issuer_keys.WAITERS_MAX
    assert all(wait < 2 for wait in long)


def document(province: Province, **changes: str) -> Answer:
    return (
        200,
        {},
        json.dumps({"issuer": province.url, "jwks_uri": province.url + "/keys"} | changes).encode(),
    )


def keys(province: Province, status: int = 200, headers: Mapping[str, str] = {}, **more: str) -> Answer:
    return status, headers, json.dumps({"keys": [province.issuer.key.jwk], **more}).encode()


PATH = issuer_keys.DISCOVERY
BAD: dict[str, tuple[str, Callable[[Province], dict[str, Answer]]]] = {
    "discovery is not there": ("answered 404", lambda it: {PATH: (404, {}, document(it)[2])}),
    "discovery is moved": ("answered 302", lambda it: {PATH: (302, {"Location": it.url + "/others"}, b"")}),
    "discovery is no JSON": ("is no discovery document", lambda _: {PATH: (200, {}, b"\xff")}),
    "discovery of another": ("another issuer", lambda it: {PATH: document(it, issuer=it.url + "/")}),
    "keys without TLS": ("begin with https", lambda it: {PATH: document(it, jwks_uri="http://a.test/keys")}),
    "keys in a file": ("begin with https", lambda it: {PATH: document(it, jwks_uri="file:///etc/passwd")}),
    "keys are moved": ("answered 301", lambda it: {"/keys": (301, {"Location": it.url + "/others"}, b"")}),
    "keys with an error": ("answered 500", lambda it: {"/keys": keys(it, 500)}),
    "keys are too long": ("longer than 100,000 bytes", lambda it: {"/keys": keys(it, x="x" * 100_000)}),
    "keys come byte by byte": ("or not in time", lambda it: {"/keys": keys(it, 200, {"X-Drip": "1"})}),
    "keys are cut": ("did not come whole", lambda it: {"/keys": keys(it, 200, {"Content-Length": "9999"})}),
    "no keys": ("no public key", lambda _: {"/keys": (200, {}, b'{"keys": []}')}),
    "nested beyond reason": ("no set of keys", lambda _: {"/keys": (200, {}, b'{"keys": [' + b"[" * 50_000)}),
}


@pytest.mark.parametrize("name", BAD)
def test_without_the_issuers_keys_no_token_is_taken(ledger, province, caplog, name):
    """It is not the token's fault, so it is no 401; and the log says what is wrong."""
    caplog.set_level(logging.WARNING)
    why, answers = BAD[name]
    province.answers.update(answers(province))
    authenticator = Authenticator(ledger, TokenSettings(issuer=province.url, audience=AUDIENCE))
    token = province.issuer.token("viewer:38")
    began = time.monotonic()
    with pytest.raises(IssuerUnavailableError):
        of(authenticator, token)
    assert time.monotonic() - began < 1.5
    assert "the keys of the tokens' issuer cannot be renewed" in caplog.text
    assert why in caplog.text
    assert token[40:80] not in caplog.text
    assert "/others" not in province.asked


def test_a_file_of_keys_is_read_again(ledger, tmp_path):
    issuer = Issuer.of(ledger)
    settings = issuer.settings(tmp_path)
    with Authenticator(ledger, settings) as authenticator:
        assert of(authenticator, issuer.token("viewer:38"))
        issuer.key = SigningKey("RS256", "key-2")
        issuer.settings(tmp_path)
        wait_until(lambda: not fails(authenticator, issuer.token("viewer:38"), TokenInvalidError))
        settings.jwks.unlink()
        assert of(authenticator, issuer.token("viewer:38"))


KEY = SigningKey("ES256", "good")


def rsa_jwk(bits: int) -> dict:
    """Return a public key of so many bits, to which nobody has the private one."""
    number = RSAPublicNumbers(65537, (1 << bits - 1) | 1)
    return (
        {"crv": None}
        | RSAAlgorithm.to_jwk(number.public_key(), as_dict=True)
        | {"kid": "rsa", "alg": "RS256"}
    )


@pytest.mark.parametrize(
    "jwk",
    [
        {"kid": None},
        {"kid": ""},
        {"kid": 7},
        {"use": "enc"},
        {"alg": "ES384"},
        {"alg": "HS256"},
        {"crv": "P-384"},
        {"crv": ["P-256"]},
        ECAlgorithm.to_jwk(KEY.private, as_dict=True),
        {"x": "AAAA"},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "OKP", "crv": "Ed448"},
        rsa_jwk(2047),
        rsa_jwk(4097),
    ],
)
def test_a_key_that_tokens_may_not_be_signed_with_is_left_out(jwk):
    bad = {name: value for name, value in {**KEY.jwk, **jwk}.items() if value is not None}
    with pytest.raises(JwksInvalidError):
        read_jwks(json.dumps({"keys": [bad]}).encode())
    assert ["other"] == [*read_jwks(json.dumps({"keys": [bad, {**KEY.jwk, "kid": "other"}]}).encode())]


def test_a_key_of_usual_length_is_kept():
    jwk = {name: value for name, value in rsa_jwk(2048).items() if value is not None}
    assert ["rsa"] == [*read_jwks(json.dumps({"keys": [jwk]}).encode())]


def test_a_set_of_keys_is_bounded():
    with pytest.raises(JwksInvalidError, match="more than 32"):
        read_jwks(json.dumps({"keys": [KEY.jwk] * 33}).encode())


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.test",
        "https://",
        "https://u:p@issuer.test",
        "https://issuer.test?a",
        "ftp://issuer.test",
    ]
    + ["https://issuer.test#a", "file:///etc/passwd", "issuer.test", "http://127.0.0.1.issuer.test"],
)
def test_keys_are_asked_for_over_tls_or_on_this_machine(url):
    with pytest.raises(ValueError):
        check_address(url)
    check_address("https://issuer.test/realms/a")
    check_address("http://127.0.0.1:8001")
