"""Where the server's log goes: standard error, as sentences or as lines of JSON."""

import logging
import os
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from api.edge.requests import Told

_encode = msgspec.json.Encoder().encode
_STDERR = 2


class JsonLines(logging.Formatter):
    """A line of JSON for what is logged in sentences. Of an exception only its kind: its text may hold what was sent."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0]:
            told["exception"] = f"{record.exc_info[0].__module__}.{record.exc_info[0].__qualname__}"
        return _encode(told).decode()


def logging_of(form: Literal["plain", "json"]) -> dict[str, Any]:
    """Return how Python's logging is set up in the server's processes. Standard output is the command's."""
    return {
        "formatters": {
            "plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
            "json": {"()": JsonLines},
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": form}},
        "loggers": {
            "_granian": {"handlers": ["stderr"], "propagate": False},
            "granian.access": {"handlers": [], "propagate": False},
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
    }


def tell_stderr(told: Told) -> None:
    """Write a request's line, at once: what is written together, others' lines do not get into.

    Python's logging would take several times as long, for a record that nobody filters.
    """
    # Who cannot be told does not keep anybody from being answered.
    with suppress(OSError):
        os.write(_STDERR, _encode(told) + b"\n")
