"""What is measured, what it must reach, and how both are told to people and to programs."""

import json
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click


class Aim(NamedTuple):
    """A bound that a value must keep."""

    bound: float
    at_most: bool = False

    def met(self, value: float) -> bool:
        return value <= self.bound if self.at_most else value >= self.bound

    def __str__(self) -> str:
        return f"{'<=' if self.at_most else '>='} {_number(self.bound)}"


def at_least(bound: float) -> Aim:
    return Aim(bound)


def at_most(bound: float) -> Aim:
    return Aim(bound, at_most=True)


class Line(NamedTuple):
    """One line of the table: a value that was measured, or its ratio to another one."""

    key: str
    what: str
    unit: str = "events/s"
    aim: Aim | None = None
    of: str | None = None
    """The key of what it is compared with; the line is a ratio then."""


def ratio(key: str, of: str, what: str, aim: Aim | None = None) -> Line:
    return Line(key, f"  {what}", "x", aim, of)


class Section(NamedTuple):
    title: str
    lines: Sequence[Line]


class Results:
    """What a run found out: for each key the values of its repeats, or why there is none."""

    def __init__(self) -> None:
        self._runs: dict[str, list[float]] = {}
        self._lacking: dict[str, str] = {}

    def add(self, key: str, *runs: float) -> None:
        """Add values of one or more repeats; the median of all counts."""
        self._runs.setdefault(key, []).extend(runs)

    def lack(self, key: str, why: str) -> None:
        self._lacking[key] = why

    def runs(self, key: str) -> list[float]:
        return self._runs.get(key, [])

    def value(self, line: Line) -> float | None:
        """Return a line's value; None where it, or what it is compared with, was not measured."""
        runs, of = self.runs(line.key), None if line.of is None else self.runs(line.of)
        if not runs or (of is not None and not of):
            return None
        return statistics.median(runs) / (1 if of is None else statistics.median(of))

    def why_not(self, line: Line) -> str:
        key = line.key if line.key in self._lacking or line.of is None else line.of
        return self._lacking.get(key, "it was not reached")


class Told(NamedTuple):
    """A line with what was found out."""

    section: str
    line: Line
    value: float | None
    runs: Sequence[float]
    note: str

    @property
    def met(self) -> bool | None:
        """None where there is no aim, or nothing was measured."""
        return None if self.line.aim is None or self.value is None else self.line.aim.met(self.value)


def told(table: Sequence[Section], results: Results) -> list[Told]:
    """Return every line of the table, measured or not."""
    lines = []
    for section in table:
        for line in section.lines:
            value = results.value(line)
            runs = results.runs(line.key) if line.of is None else []
            note = results.why_not(line) if value is None else ""
            lines.append(Told(section.title, line, value, runs, note))
    return lines


def show(lines: Sequence[Told], facts: dict[str, Any]) -> None:
    """Print the table for people."""
    for name, fact in facts.items():
        click.echo(f"{name}: {fact}")
    section = ""
    for one in lines:
        if one.section != section:
            section = one.section
            click.echo(f"\n{section:64} {'measured':>20} {'aim':>12}  met")
            click.echo("-" * 105)
        aim = "" if one.line.aim is None else str(one.line.aim)
        met = {None: "", True: "yes", False: "NO"}[one.met]
        if one.value is None:
            click.echo(f"{one.line.what:64} {'NOT MEASURED':>20} {aim:>12}  {one.note}")
        else:
            click.echo(f"{one.line.what:64} {_number(one.value) + ' ' + one.line.unit:>20} {aim:>12}  {met}")
    aims = [one for one in lines if one.line.aim is not None]
    lacking = sum(one.value is None for one in lines)
    said = f"; NOT MEASURED: {lacking} lines" if lacking else ""
    click.echo(f"\naims met: {sum(one.met is True for one in aims)} of {len(aims)}{said}")


def write_json(path: Path, lines: Sequence[Told], facts: dict[str, Any]) -> None:
    """Write the same for programs."""
    rows = [
        {
            "section": one.section,
            "key": one.line.key,
            "of": one.line.of,
            "what": one.line.what.strip(),
            "value": one.value,
            "unit": one.line.unit,
            "runs": list(one.runs),
            "aim": None if one.line.aim is None else str(one.line.aim),
            "met": one.met,
            "not_measured": one.note or None,
        }
        for one in lines
    ]
    path.write_text(
        json.dumps({"facts": facts, "lines": rows}, indent=2, ensure_ascii=False), encoding="utf-8"
    )


def _number(value: float) -> str:
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 1 else f"{value:.2g}"


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is being measured, where somebody may be watching."""
    click.echo(f"... {what}", err=True)
    yield
