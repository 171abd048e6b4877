"""Whose tokens are taken."""

from pathlib import Path

import msgspec

from api.access.fetching import check_address

RIGHTS_CLAIM = "ledger_rights"
STAFF_CLAIM = "staff_code"


class TokenSettings(msgspec.Struct, frozen=True):
    """Which access tokens are taken beside API keys. Without an issuer: none."""

    issuer: str | None = None
    """What ``iss`` must say, to the letter."""
    audience: str | None = None
    """What ``aud`` must have: a token for another service is none for us."""
    jwks: Path | None = None
    """A file with the issuer's public keys; absent: what the issuer's discovery document names."""
    rights_claim: str = RIGHTS_CLAIM
    """The claim that lists ``role:unit code``; ``role:*`` is the whole ledger."""
    staff_claim: str = STAFF_CLAIM
    """The claim with the staff code that reports must name; ``*``: it reports for others."""
    lifetime_seconds_max: int = 3600
    """How long after ``iat`` a token's ``exp`` may be. So long it is taken, whatever becomes of its holder."""

    def __post_init__(self) -> None:
        """Check that it is whole.

        Raises:
            ValueError: An issuer without an audience, an audience or keys without an issuer, or an issuer that cannot be
                asked for its keys.
        """
        if bool(self.issuer) != bool(self.audience):
            raise ValueError(
                "an issuer needs an audience, and the other way round: without it, tokens for any other service of the "
                "issuer would be taken; set LEDGER_ISSUER and LEDGER_AUDIENCE"
            )
        if self.jwks and not self.issuer:
            raise ValueError(
                "LEDGER_JWKS holds the keys of an issuer: set LEDGER_ISSUER and LEDGER_AUDIENCE too"
            )
        if self.issuer and not self.jwks:
            try:
                check_address(self.issuer)
            except ValueError as error:
                raise ValueError(f"LEDGER_ISSUER: {error}") from None
