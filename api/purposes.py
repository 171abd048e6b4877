"""What a request looks for, said in its headers; and the list of what that may be."""

import re
from typing import Annotated
from urllib.parse import unquote_to_bytes

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import HeaderParameter

from api.admission import needs
from api.problems import problems
from ledger import Ledger, Purpose, Purposes
from ledger.access import Right
from ledger.errors import FieldInvalidError, FieldMissingError, PurposeNeededError
from ledger.reads import WORK, ListedPurpose

PurposeCode = Annotated[
    str | None,
    HeaderParameter(
        name="Purpose", description="What for: a code of /v1/purposes. Without it nothing is told."
    ),
]
WorkCode = Annotated[
    str | None,
    HeaderParameter(name="Purpose", description="What for: a code of /v1/purposes. Absent: work."),
]
PurposeText = Annotated[
    str | None,
    HeaderParameter(
        name="Purpose-Text",
        description="More of what for: up to 200 characters in percent-encoded UTF-8, no personal number.",
    ),
]
_is_encoded = re.compile(r"(?:[\x20-\x24\x26-\x7e]|%[0-9A-Fa-f]{2})*", re.ASCII).fullmatch


def read_purpose(code: str | None, text: str | None) -> Purpose:
    """Return what the headers say; the ledger checks it.

    Raises:
        PurposeNeededError: They do not say what for.
        FieldInvalidError: The text is not percent-encoded UTF-8.
    """
    if code is None:
        raise PurposeNeededError
    return Purpose(code, read_text(text) if text else "")


def read_work(code: str | None, text: str | None) -> Purpose:
    """As ``read_purpose``, where nobody needs to say that they do their work."""
    return read_purpose(WORK.code if code is None else code, text)


def read_text(text: str | None) -> str:
    """Return the text of a header in which it may not be absent; raise InputError if it cannot be one."""
    if not text:
        raise FieldMissingError("purpose_text", "the header Purpose-Text says why")
    try:
        if not _is_encoded(text):
            raise ValueError
        return unquote_to_bytes(text).decode()
    except ValueError:
        raise FieldInvalidError("purpose_text", "the header must be percent-encoded UTF-8") from None


class PurposeList(msgspec.Struct, frozen=True):
    """What anybody may look at a dossier for, in the order of the list."""

    rows: list[ListedPurpose]


def list_purposes(purposes: Purposes) -> PurposeList:
    return PurposeList(list(purposes))


class PurposeController(Controller):
    path = "/v1/purposes"
    tags = ("reads",)

    @get(
        operation_id="list_purposes",
        opt=needs(Right.TOTALS),
        summary="What anybody may look at a dossier for",
        response_description="In the order of the list.",
        sync_to_thread=False,
        responses=problems(400),
    )
    def purposes(self, ledger: NamedDependency[Ledger]) -> PurposeList:
        """Whoever runs the ledger may have a list of their own. What is off the list is refused from then on; looks keep theirs."""
        return list_purposes(ledger.policy.purposes)
