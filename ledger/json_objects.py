"""What JSON leaves open and msgspec does not tell: a name that stands twice in an object."""

import json
from collections.abc import Mapping

from ledger.errors import FieldRepeatedError, JsonInvalidError
from ledger.masking import shown

DEPTH_MAX = 8
"""How deep arrays and objects may stand in one another. A batch of CloudEvents has four levels."""
_ALIKE = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def check_depth(raw: bytes) -> None:
    """Refuse JSON that is nested too deep, before anything decodes it.

    It costs a quarter of a microsecond, of large bodies 3 for each kilobyte.

    Args:
        raw: Whatever was sent; that it is JSON is seen later.

    Raises:
        JsonInvalidError: It is nested beyond reason.
    """
    if raw.count(b"[") + raw.count(b"{") <= DEPTH_MAX:
        return
    if b"\\" in raw:
        # Of a run of these each second one stands for itself, so a quote that is left of one is inside a text.
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = b"".join(raw.split(b'"')[::2]).translate(_ALIKE, _NO_BRACKETS)
    for _ in range(DEPTH_MAX):
        # Each round takes what stands innermost, everywhere.
        brackets = brackets.replace(b"[]", b"")
    # What never closes counts as well; what closes without having been opened is for the decoder to tell.
    if brackets.count(b"[") > DEPTH_MAX or b"[]" in brackets:
        raise JsonInvalidError(f"the JSON is nested beyond reason: more than {DEPTH_MAX} levels")


def check_names(raw: bytes | str, fields: Mapping[str, object]) -> None:
    """Refuse an object in which a name stands twice: readers differ in which of the values they take.

    It costs less than a microsecond, but for objects with a quotation mark inside a text.

    Args:
        raw: A JSON object that was decoded.
        fields: What came of it; of a name that stands twice, one value.

    Raises:
        FieldRepeatedError: A name stands twice, however it is spelt.
        JsonInvalidError: Something in it is nested beyond reason.
    """
    quotes = raw.count('"') if isinstance(raw, str) else raw.count(b'"')
    texts = [*map(type, fields.values())].count(str)
    # A member has two quotes around its name and two around a text. No more than those of the members we
    # have: there are no others. More: one is inside a text, or in something nested, or there are others.
    if quotes == 2 * (len(fields) + texts):
        return
    try:
        # As text, because Python refuses to read an integer of more than 4,300 digits.
        json.loads(raw, object_pairs_hook=_refuse_repeated, parse_int=str)
    except RecursionError:
        raise JsonInvalidError("the object is nested beyond reason") from None


def _refuse_repeated(members: list[tuple[str, object]]) -> None:
    names = set()
    for name, _ in members:
        if name in names:
            raise FieldRepeatedError(f"{shown(name)} stands twice in one object; send each field once")
        names.add(name)
