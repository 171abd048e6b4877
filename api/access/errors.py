"""Why a token is not taken. No sentence repeats anything of it but a unit's code."""

from typing import ClassVar

from ledger import LedgerError, UnavailableError

REALM = "activation-ledger"


class TokenError(LedgerError):
    """It is not known who asks; nothing was done."""

    code = "token"
    challenge: ClassVar[str] = f'Bearer realm="{REALM}", error="invalid_token"'
    """What the header WWW-Authenticate says of it (RFC 6750)."""


class TokenNeededError(TokenError):
    """There is no token."""

    code = "token_needed"
    challenge = f'Bearer realm="{REALM}"'

    def __init__(self) -> None:
        super().__init__(
            "send a token: Authorization: Bearer, then an API key or an access token of the issuer"
        )


class TokenInvalidError(TokenError):
    code = "token_invalid"


class TokenExpiredError(TokenError):
    code = "token_expired"


class TokenRevokedError(TokenError):
    code = "token_revoked"

    def __init__(self) -> None:
        super().__init__("the API key was revoked; ask the operator for another one")


class IssuerUnavailableError(UnavailableError):
    """The issuer's keys are not known: it has never answered, or for too long not."""

    code = "issuer_unavailable"
