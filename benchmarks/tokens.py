"""How long does it take to tell who a token is: the first time, and once it is remembered?"""

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from api.access import Authenticator, TokenSettings
from benchmarks.ledger import fresh_ledger
from benchmarks.table import Results, step
from ledger import Ledger
from ledger.access import Role

TOKENS = 2_000
"""Of each kind, in a run of full size; of API keys, each of which is a commit, a tenth."""
ISSUER, AUDIENCE = "https://issuer.example/realms/province", "activation-ledger"
UNIT = "14758"
PRIVATE: Mapping[str, Callable[[], Any]] = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
}
KINDS = ("key", *PRIVATE)


def measure_tokens(home: Path, scale: float, results: Results) -> None:
    """Check tokens one after the other in this process, each twice; signing them is not timed."""
    number = max(20, round(TOKENS * scale))
    with step("tokens"), fresh_ledger(home, "tokens") as ledger:
        private = {algorithm: make() for algorithm, make in PRIVATE.items()}
        path = home / "jwks.json"
        path.write_text(json.dumps({"keys": [_jwk(algorithm, key) for algorithm, key in private.items()]}))
        settings = TokenSettings(issuer=ISSUER, audience=AUDIENCE, jwks=path)
        with Authenticator(ledger, settings) as authenticator:
            keys = [ledger.create_key([Role.RECORDER], unit=UNIT).token for _ in range(max(20, number // 10))]
            measure(authenticator, "key", keys, results)
            for algorithm, key in private.items():
                measure(authenticator, algorithm, _sign(ledger, algorithm, key, number), results)
        path.unlink()


def measure(authenticator: Authenticator, kind: str, tokens: Sequence[str], results: Results) -> None:
    headers = [f"Bearer {token}" for token in tokens]
    # What only the first one pays for: the keys of the issuer.
    authenticator.authenticate(headers[0])
    for name, ask in {"first": authenticator.authenticate, "again": authenticator.known}.items():
        seconds = []
        for header in headers[1:]:
            began = time.perf_counter()
            principal = ask(header)
            seconds.append(time.perf_counter() - began)
            assert principal is not None
        results.add(f"token.{kind}.{name}", statistics.median(seconds) * 1e6)
        results.add(f"token.{kind}.{name}.p95", statistics.quantiles(seconds, n=20)[-1] * 1e6)


def _jwk(algorithm: str, key: Any) -> dict[str, Any]:
    public: dict[str, Any] = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    return {**public, "kid": algorithm, "alg": algorithm, "use": "sig"}


def _sign(ledger: Ledger, algorithm: str, key: Any, number: int) -> list[str]:
    now = int(ledger.now().timestamp())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + 1800,
        "ledger_rights": [f"recorder:{UNIT}", f"viewer:{UNIT}"],
    }
    headers = {"kid": algorithm, "typ": "at+jwt"}
    return [
        jwt.encode({**claims, "sub": f"officer-{one}", "staff_code": f"th-{one}"}, key, algorithm, headers)
        for one in range(number)
    ]
