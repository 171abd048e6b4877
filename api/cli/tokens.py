"""Who may ask the API: API keys for machines, and tokens of the local issuer for people."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import click
import msgspec

from api.access.local_issuer import ADDRESS, AUDIENCE, FILE_NAME, LocalIssuer
from api.cli.common import Context, command
from api.cli.output import note
from ledger import Ledger
from ledger.access import Key, Role
from ledger.key_ring import DAYS, parts_of

EVERYWHERE = "*"
_ROLE = click.option(
    "--role",
    "roles",
    type=click.Choice([role.value for role in Role]),
    multiple=True,
    required=True,
    help="What it is: recorder (reports collections and activations), approver, corrector, viewer (totals), public "
    "(totals, small counts masked), auditor (histories), keeper (units, targets), follower (the whole log), operator. "
    "May be given several times.",
)
_ACTOR = click.option(
    "--actor", metavar="CODE", default="local", show_default=True, help="Whose doing it is, a staff code."
)


class KeyLine(msgspec.Struct, frozen=True):
    """An API key as it is listed."""

    key_id: str
    roles: Sequence[str]
    unit: str | None
    """Its code today; None: the whole ledger."""
    name: str
    created_at: datetime
    expires_at: datetime
    state: str
    """valid, expired or revoked."""
    actor: str


@click.group("token")
def token() -> None:
    """Who may ask the API: make, list and revoke API keys; sign a token of the local issuer.

    Every request says who asks: Authorization: Bearer, then an API key (machines) or an access token of an OpenID
    Connect issuer (people). An API key acts in its own name and reports for the officers whom its reports name.
    """


@command("create")
@_ROLE
@click.option(
    "--unit",
    metavar="CODE",
    help="Over which unit, with everything under it, by its code today.  [default: the whole ledger]",
)
@click.option("--name", metavar="TEXT", default="", help="What it is for: the machine, the system.")
@click.option(
    "--days",
    type=click.IntRange(min=1),
    default=DAYS,
    show_default=True,
    help="After so many it is no longer taken; at most 365, or LEDGER_KEY_DAYS_MAX.",
)
@_ACTOR
def create(
    context: Context, roles: tuple[str, ...], unit: str | None, name: str, days: int, actor: str
) -> None:
    """Make an API key and print it, this once: the ledger keeps only a hash of it.

    Whoever has it is what it says until it expires or is revoked, so keep it where secrets are kept, not in a file of
    the project. It begins with alk_, by which scanners find it.

    \b
    ledger token create --role recorder --unit 14758 --name "kiosk of the ward"
    curl -H "Authorization: Bearer alk_..." http://127.0.0.1:8000/v1/totals
    """  # noqa: D301 - click reads the character
    with context.ledger() as ledger:
        made = ledger.create_key([Role(role) for role in roles], unit=unit, name=name, days=days, actor=actor)
        line = _line(ledger, made.key)
    if context.output.form == "table":
        note(
            f"the key {line.key_id} is valid until {line.expires_at:%Y-%m-%d %H:%M} UTC; it is shown this once:"
        )
    answer = {"token": made.token, **msgspec.structs.asdict(line)}
    for known in ("state", "created_at", "actor"):
        del answer[known]
    context.output.answer(made.token, answer)


@command("list")
@click.option("--all", "everything", is_flag=True, help="Those that have expired or were revoked, too.")
def list_(context: Context, *, everything: bool) -> None:
    """List the API keys that are valid, in the order in which they were made. Their texts nobody knows any more."""
    with context.ledger() as ledger:
        keys = [*ledger.keys().by_id.values()] if everything else ledger.keys().standing(ledger.now())
        lines = [_line(ledger, key) for key in keys]
    if context.output.form == "json":
        context.output.document({"rows": lines})
        return
    context.output.rows(
        f"{len(lines)} API keys",
        KeyLine.__struct_fields__,
        [
            [
                line.key_id,
                " ".join(line.roles),
                line.unit or EVERYWHERE,
                line.name,
                line.created_at.isoformat(timespec="seconds"),
                line.expires_at.isoformat(timespec="seconds"),
                line.state,
                line.actor,
            ]
            for line in lines
        ],
    )


@command("revoke")
@click.argument("key_id", metavar="KEY_ID")
@_ACTOR
def revoke(context: Context, key_id: str, actor: str) -> None:
    """Revoke an API key, for good; within a second no server takes it any more.

    KEY_ID is the part after alk_, which token list shows; the whole key is understood as well.
    """
    parts = parts_of(key_id)
    with context.ledger() as ledger:
        key, new = ledger.revoke_key(parts[0] if parts else key_id, actor=actor)
    assert key.revoked_at is not None
    at = key.revoked_at.isoformat(timespec="seconds")
    told = f"the key {key.id} is revoked" if new else f"the key {key.id} was revoked already, {at}"
    context.output.answer(told, {"key_id": key.id, "revoked_at": key.revoked_at, "new": new})


@command("sign")
@_ROLE
@click.option(
    "--unit", metavar="CODE", help="Over which unit, by its code today.  [default: the whole ledger]"
)
@click.option(
    "--staff-code",
    metavar="CODE",
    help="Whom the holder's reports must name; * where it reports for others. Needed for whoever reports.",
)
@click.option("--subject", metavar="NAME", help="Who it is.  [default: the staff code, else somebody]")
@click.option(
    "--minutes", type=click.IntRange(min=1), default=30, show_default=True, help="How long it is valid."
)
def sign(
    context: Context,
    roles: tuple[str, ...],
    unit: str | None,
    staff_code: str | None,
    subject: str | None,
    minutes: int,
) -> None:
    """Sign an access token for a person with the local issuer's key, and print it: for development and the demo.

    The server takes it where LEDGER_ISSUER and LEDGER_AUDIENCE name the local issuer; see ledger issuer. Its key file,
    issuer.key in the home, is made at need.
    """
    settings = context.settings
    if minutes > settings.token_minutes_max:
        raise click.UsageError(
            f"tokens of more than {settings.token_minutes_max} minutes are not taken (LEDGER_TOKEN_MINUTES_MAX)"
        )
    reporting = {Role.RECORDER, Role.APPROVER, Role.CORRECTOR, Role.OPERATOR}
    if not staff_code and not reporting.isdisjoint(Role(role) for role in roles):
        raise click.UsageError("whoever reports does so under a staff code: name it with --staff-code")
    now = datetime.now(UTC).replace(microsecond=0)
    expires_at = now + timedelta(minutes=minutes)
    rights = [f"{role}:{unit or EVERYWHERE}" for role in dict.fromkeys(roles)]
    named = staff_code if staff_code and staff_code != EVERYWHERE else "somebody"
    claims = {
        "iss": settings.issuer or ADDRESS,
        "aud": settings.audience or AUDIENCE,
        "sub": subject or named,
        "iat": int(now.timestamp()),
        "exp": int(expires_at.timestamp()),
        settings.rights_claim: rights,
        **({settings.staff_claim: staff_code} if staff_code else {}),
    }
    signed = LocalIssuer(settings.home / FILE_NAME).sign(claims)
    if context.output.form == "table":
        note(f"valid until {expires_at:%Y-%m-%d %H:%M} UTC, for {claims['aud']} by {claims['iss']}:")
    answer = {
        "token": signed,
        "subject": claims["sub"],
        "rights": rights,
        "staff_code": staff_code,
        "issuer": claims["iss"],
        "audience": claims["aud"],
        "expires_at": expires_at,
    }
    context.output.answer(signed, answer)


def _line(ledger: Ledger, key: Key) -> KeyLine:
    unit_ids = {grant.unit_id for grant in key.grants if grant.unit_id is not None}
    codes = sorted(ledger.tree().called(unit_id, ledger.today()).code for unit_id in unit_ids)
    state = "revoked" if key.revoked_at else "valid" if ledger.now() < key.expires_at else "expired"
    return KeyLine(
        key_id=key.id,
        roles=[grant.role.value for grant in key.grants],
        unit=" ".join(codes) or None,
        name=key.name,
        created_at=key.created_at,
        expires_at=key.expires_at,
        state=state,
        actor=key.actor,
    )


for _command in (create, list_, revoke, sign):
    token.add_command(_command)
