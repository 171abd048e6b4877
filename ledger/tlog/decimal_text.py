"""Sizes, indexes and counts as the C2SP formats write them, one text for each and no other."""

import re

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


def read(text: str) -> int:
    """Return the number that a text stands for; it has 19 digits at most.

    Raises:
        ValueError: It is not decimal, or has a sign or leading zeroes.
    """
    if _DECIMAL.fullmatch(text) is None:
        raise ValueError("this is no decimal number without leading zeroes")
    return int(text)
