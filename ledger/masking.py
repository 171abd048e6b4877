"""What a sentence may repeat of what was sent."""

import re
from collections.abc import Sequence

# 11: a spreadsheet has eaten the leading zero.
_find_number = re.compile(r"\d{11}").search
_GAPS = re.compile(r"[\s.,_-]+")
_SHOWN_AT_AN_END = 2


def masked(citizen: str) -> str:
    """Return a personal number as the app shows it: the 8 middle digits hidden."""
    hidden = len(citizen) - 2 * _SHOWN_AT_AN_END
    return citizen[:_SHOWN_AT_AN_END] + "•" * hidden + citizen[-_SHOWN_AT_AN_END:]


def may_be_number(text: str) -> bool:
    """Whether a personal number may stand in a text, however it is spaced."""
    return _find_number(_GAPS.sub("", text)) is not None


def shown(text: str) -> str:
    """Return what was sent, as a sentence may repeat it: cut short, and hidden if it may be a personal number.

    Columns get shifted and headers forgotten, so a number may stand anywhere.
    """
    return "a value that may be a personal number" if may_be_number(text) else repr(text[:40])


def shown_header(names: Sequence[str]) -> str:
    """Return the header of a file as a sentence may repeat it: where it was forgotten, it is the first line."""
    told = ",".join(names)
    return "a line that may hold a personal number" if may_be_number(told) else told[:200]
