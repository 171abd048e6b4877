"""Base 64 as the C2SP formats write it (RFC 4648, section 4), one text for each value and no other."""

import binascii
from base64 import b64decode, b64encode


def write(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def read(text: str) -> bytes:
    """Return what a text stands for.

    Raises:
        ValueError: It is not Base 64, or could be written in another way: with bits that say nothing, say.
            Otherwise a changed letter might change nothing.
    """
    try:
        data = b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise ValueError("this is not Base 64") from None
    if write(data) != text:
        raise ValueError("this is not Base 64 as it is to be written")
    return data
