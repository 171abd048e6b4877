"""Who asks: what comes with a request becomes a principal, or a refusal. What a principal may do is the ledger's to say."""

from api.access.authenticator import Authenticator, authorization_in
from api.access.errors import (
    TokenError,
    TokenExpiredError,
    TokenInvalidError,
    TokenNeededError,
    TokenRevokedError,
)
from api.access.settings import TokenSettings

__all__ = [
    "Authenticator",
    "TokenError",
    "TokenExpiredError",
    "TokenInvalidError",
    "TokenNeededError",
    "TokenRevokedError",
    "TokenSettings",
    "authorization_in",
]
