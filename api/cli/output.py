"""Answers people can read and programs can parse; messages and progress go to standard error."""

import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Literal

import click
import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from api.spreadsheets import as_csv

Form = Literal["table", "json", "csv"]
NOT_A_TERMINAL_WIDTH = 200
"""As wide as most tables need: the reader may be grep."""
NOT_AVAILABLE = "not available"
"""In place of a number, for people; programs get nothing, or null."""
WORD_WIDTH_MAX = 40
"""Nothing we print has longer words; whoever writes a note may have made one."""


class OutputError(click.ClickException):
    """The answer could not be written: the disk is full, say."""

    exit_code = 3

    def __init__(self, error: OSError) -> None:
        super().__init__(f"the answer cannot be written to standard output: {error.strerror}")


def note(text: str, *, style: str = "") -> None:
    """Tell the person, not the program."""
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False).print(
        text, style=style or None
    )


def told_time(at: datetime) -> str:
    """Return a time of the log, which is UTC, as tables tell it: to the second."""
    return f"{at:%Y-%m-%d %H:%M:%S}Z"


def true_for(position: int, recorded_at: datetime) -> str:
    """Return the words for the position that an answer is true for, and when that was recorded, UTC."""
    return f"true for position {position:,}, recorded {recorded_at:%Y-%m-%d %H:%M:%S} UTC"


def note_provisional(days: str) -> None:
    """Tell the person that some of the *days* that matter may turn out to be holidays."""
    note(f"provisional: it is not announced yet which of the days {days} are holidays", style="yellow")


class Output(msgspec.Struct, frozen=True):
    """One command's answer: a table, one JSON document, or CSV; on standard output and nothing else there.

    Every method that prints raises OutputError where that cannot be written, and
    BrokenPipeError where the reader has seen enough.
    """

    form: str

    def bytes(self, data: bytes) -> None:
        """Print a document that is bytes already, as they are."""
        _write(data)

    def document(self, answer: Any) -> None:
        """Print one JSON document."""
        _write(msgspec.json.format(msgspec.json.encode(answer), indent=2) + b"\n")

    def answer(self, sentence: str, answer: Any) -> None:
        """Print what a command did: a sentence for people, the whole answer as a document or as one row.

        Args:
            answer: A mapping or Struct. In a row, what is no single value stands as JSON.
        """
        if self.form == "table":
            self.say(sentence)
        elif self.form == "json":
            self.document(answer)
        else:
            row = msgspec.to_builtins(answer)
            self.rows("", list(row), [[_single(value) for value in row.values()]])

    def rows(
        self,
        title: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
        *,
        total: Sequence[Any] | None = None,
    ) -> None:
        """Print rows as a table for people, or as CSV; a last row of totals is for people.

        A table too wide for the terminal has its texts and headers on several lines. No word or number is broken:
        where even that does not fit, it is wider than the terminal.
        """
        if self.form == "csv":
            _write(as_csv(columns, rows))
            return
        if not rows and total is None:
            # Columns of nothing are not worth a screen.
            _write(f"{title}\n".encode(errors="replace"))
            return
        width = Console().width if sys.stdout.isatty() else NOT_A_TERMINAL_WIDTH
        cells = [[*map(_cell, row)] for row in rows]
        footers = ["" if total is None else _cell(value) for value in total or columns]
        table = Table(title=title, title_justify="left", show_footer=total is not None)
        headers, natural, least = [], [], []
        for index, column in enumerate(columns):
            below = [footers[index], *(row[index] for row in cells)]
            widest = max(map(cell_len, below))
            headers.append(column.replace("_", "\n" if cell_len(column) > widest else " "))
            natural.append(max(widest, *map(cell_len, headers[-1].splitlines())))
            words = [word for text in (headers[-1], *below) for word in text.split()]
            least.append(min(WORD_WIDTH_MAX, max(map(cell_len, words), default=0)))
        borders = 3 * len(columns) + 1
        widths = _fit(natural, least, width - borders)
        for index, header in enumerate(headers):
            told = [row[index] for row in rows if row[index] not in (None, NOT_AVAILABLE)]
            numbers = [isinstance(value, int | float) for value in told]
            numeric = bool(numbers) and all(numbers)
            table.add_column(
                header,
                justify="right" if numeric else "left",
                footer=footers[index],
                overflow="fold",
                width=widths[index],
            )
        for line in cells:
            table.add_row(*line)
        _print(table, width=max(width, sum(widths) + borders))

    def say(self, text: str) -> None:
        """Print a line of the answer for people; programs get it in the document."""
        if self.form == "table":
            _print(text, soft_wrap=True)

    @contextmanager
    def progress(self, what: str, unit: str) -> Iterator[Callable[[int, int | None], None]]:
        """Show a bar while a terminal is attached; yield what to call with done and all, None if not known yet."""
        if not sys.stderr.isatty():
            yield lambda _done, _all: None
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit))
        with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    @contextmanager
    def stages(self) -> Iterator[Callable[[str, int, int | None], None]]:
        """Show a bar for work in stages while a terminal is attached; yield what to call with the stage, done and all."""
        if not sys.stderr.isatty():
            yield lambda _what, _done, _all: None
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=None)
            yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Show that something is going on, while a terminal is attached."""
        if not sys.stderr.isatty():
            yield
            return
        with Console(stderr=True).status(f"{what} ..."):
            yield


def _print(what: Any, *, width: int | None = None, soft_wrap: bool = False) -> None:
    """Print for people. A terminal that cannot show a letter shows a question mark."""
    text = io.TextIOWrapper(io.BytesIO(), encoding=sys.stdout.encoding, errors="replace")
    # What people wrote is no markup: a note may hold brackets.
    console = Console(
        file=text,
        force_terminal=sys.stdout.isatty() or None,
        width=width,
        highlight=False,
        markup=False,
        emoji=False,
    )
    console.print(what, soft_wrap=soft_wrap)
    text.seek(0)
    _write(text.buffer.read())


def _write(data: bytes) -> None:
    """Write to standard output. Programs read UTF-8 whatever the locale says."""
    try:
        while data:  # Unbuffered (python -u), it may take a part.
            data = data[sys.stdout.buffer.write(data) :]
        sys.stdout.buffer.flush()
    except OSError as error:
        # Python would try once more at its end, and end with a traceback.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        if isinstance(error, BrokenPipeError):
            raise
        raise OutputError(error) from error


def _fit(natural: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Return the widths of columns: the widest are made narrower, none below its least, until they fit the room."""
    widths = list(natural)
    while sum(widths) > room:
        yielding = [index for index, width in enumerate(widths) if width > least[index]]
        if not yielding:
            break
        widths[max(yielding, key=widths.__getitem__)] -= 1
    return widths


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _single(value: Any) -> Any:
    return msgspec.json.encode(value).decode() if isinstance(value, list | dict) else value
