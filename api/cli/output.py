"""Answers people can read and programs can parse; messages and progress go to standard error."""

import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

Form = Literal["table", "json", "csv"]


def note(text: str, *, style: str = "") -> None:
    """Tell the person, not the program."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(text, style=style or None, markup=False)


class Output(msgspec.Struct, frozen=True):
    """One command's answer: a table, one JSON document, or CSV; on standard output and nothing else there."""

    form: str

    def document(self, answer: Any) -> None:
        """Print one JSON document."""
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode() + "\n")
        sys.stdout.flush()

    def rows(
        self,
        title: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
        *,
        total: Sequence[Any] | None = None,
    ) -> None:
        """Print rows as a table for people, or as CSV; a last row of totals is for people."""
        if self.form == "csv":
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(rows)
            sys.stdout.flush()
            return
        table = Table(title=title, title_justify="left", show_footer=total is not None)
        for index, column in enumerate(columns):
            numeric = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
            footer = "" if total is None else _cell(total[index])
            table.add_column(
                column.replace("_", " "),
                justify="right" if numeric else "left",
                footer=footer,
                overflow="fold",
            )
        for row in rows:
            table.add_row(*map(_cell, row))
        # Not a terminal: as wide as it needs, for the reader may be grep.
        width = None if sys.stdout.isatty() else 200
        Console(highlight=False, width=width).print(table)

    def say(self, text: str) -> None:
        """Print a line of the answer for people; programs get it in the document."""
        if self.form == "table":
            Console(highlight=False, soft_wrap=True).print(text, markup=False)

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
    def waiting(self, what: str) -> Iterator[None]:
        """Show that something is going on, while a terminal is attached."""
        if not sys.stderr.isatty():
            yield
            return
        with Console(stderr=True).status(f"{what} ..."):
            yield


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
