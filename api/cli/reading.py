"""Totals, and one dossier's history."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal, get_args
from uuid import UUID

import click
import msgspec

from api.cli.citizens import read_citizen
from api.cli.common import DAY, INSTANT, Checked, Context, command
from api.cli.output import Output, note_provisional, told_time, true_for
from api.totals import flat
from ledger import History, HistoryEvent
from ledger.commands import NO_TEAM
from ledger.history import UnitName
from projections import Overdue, OverdueAnswer, OverdueQuery, TimeLimit, TotalsAnswer, TotalsQuery
from projections.hierarchies import Attribution
from projections.overdue import MEASURES as OVERDUE_MEASURES
from projections.totals import BY_DAYS, BYS, By, read_bys, read_hierarchy

_QUERY_OPTIONS = (
    click.option(
        "--unit", metavar="CODE", help="This unit with everything under it; default: the whole ledger."
    ),
    click.option(
        "--by",
        metavar="ROWS",
        type=Checked(read_bys),
        default="unit",
        show_default=True,
        help=f"What the rows are: {', '.join(BYS)}; or two with a comma between. unit: the direct children.",
    ),
    click.option("--level", type=click.IntRange(1, 2), help="Only this level."),
    click.option("--from", "start", type=DAY, help="First day (Vietnam) on which it occurred."),
    click.option("--to", "end", type=DAY, help="Last day, included."),
    click.option(
        "--hierarchy",
        metavar="then|now|DATE",
        type=Checked(read_hierarchy),
        help="In which tree of units it counts: of the day on which it occurred, of today or of a day; what has ended counts "
        "at its successors. Default: of the last day asked for, else today.",
    ),
    click.option(
        "--attribution",
        type=click.Choice(get_args(Attribution)),
        default="acting",
        show_default=True,
        help="At the unit whose work it is, or where the citizen lives.",
    ),
    click.option(
        "--compare",
        type=click.Choice(["previous"]),
        help="Beside it the period before: as many days, or months where --from and --to are whole months.",
    ),
    click.option("--position", type=click.IntRange(0), help="Only what the ledger knew at this position."),
    click.option(
        "--known-at", type=INSTANT, help="Only what the ledger knew then, as 2024-12-09T23:00:00+07:00."
    ),
)


def query_options(function: Callable[..., None]) -> Callable[..., None]:
    """Accept what a question about totals can say; the command gets it as a ``query``."""

    @functools.wraps(function)
    def with_query(
        *args: Any,
        unit: str | None,
        by: tuple[By, ...],
        level: int | None,
        start: date | None,
        end: date | None,
        hierarchy: str | None,
        attribution: Attribution,
        compare: Literal["previous"] | None,
        position: int | None,
        known_at: datetime | None,
        **kwargs: Any,
    ) -> None:
        query = TotalsQuery(
            unit=unit,
            by=by,
            level=level,
            from_day=start,
            to_day=end,
            hierarchy=hierarchy,
            attribution=attribution,
            compare=compare,
            position=position,
            known_at=known_at,
        )
        function(*args, query=query, **kwargs)

    for option in reversed(_QUERY_OPTIONS):
        with_query = option(with_query)
    return with_query


@command("totals")
@query_options
def totals(context: Context, query: TotalsQuery) -> None:
    """Count collections, approvals and activations, true for every event recorded before the command began.

    With --position or --known-at the same command has the same answer for ever.
    """
    with context.totals() as (_, read):
        answer = read.read(query)
    tell_totals(context.output, answer, query.bys)


def tell_totals(output: Output, answer: TotalsAnswer, bys: Sequence[By]) -> None:
    """Print totals in the form asked for."""
    if output.form == "json":
        output.document(answer)
        return
    columns, rows, total = flat(answer, bys)
    keys = [column for column in columns if column not in total]
    chosen = list(range(len(columns)))
    if output.form == "table":
        # What never happened anywhere, and a level that is the same for all, only widen the table for people.
        same = (
            {"unit_level"}
            if len({row["unit"]["level"] for row in answer.rows if "unit" in row}) == 1
            else set()
        )
        chosen = [
            index
            for index, column in enumerate(columns)
            if column not in same
            and (total.get(column, 1) or column in _ALWAYS or answer.sum.get(column.removesuffix("_before")))
        ]
    told = true_for(answer.position, answer.recorded_at)
    if answer.previous is not None:
        told += f"; before: {answer.previous.from_day} to {answer.previous.to_day}"
    lasts = ["total", *[""] * (len(keys) - 1), *total.values()]
    output.rows(
        told,
        [columns[index].removeprefix("unit_") for index in chosen],
        [
            [
                "other days" if row[index] is None and columns[index] in BY_DAYS else row[index]
                for index in chosen
            ]
            for row in rows
        ],
        total=[lasts[index] for index in chosen],
    )


_ALWAYS = ("collected", "approved", "rejected", "activated", "awaiting_approval", "awaiting_activation")


def _by_unit(
    output: Output, rows: Sequence[Mapping[str, Any]], measures: Sequence[str]
) -> tuple[list[str], list[list[Any]]]:
    """Return the columns of a unit and the rows' values."""
    keys, columns = _unit_columns(output, [row["unit"] for row in rows])
    return keys, [
        [*(column[index] for column in columns), *(row[name] for name in measures)]
        for index, row in enumerate(rows)
    ]


def _unit_columns(output: Output, units: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[Any]]]:
    """Return the columns of units; people need no level where it is the same for all."""
    keys = ["code", "name", "level"]
    if output.form == "table" and len({unit["level"] for unit in units}) == 1:
        keys.remove("level")
    return keys, [[unit[key] for unit in units] for key in keys]


@command("overdue")
@click.option("--unit", metavar="CODE", help="This unit with everything under it; default: the whole ledger.")
@click.option("--level", type=click.IntRange(1, 2), help="Only this level.")
@click.option("--on", type=DAY, help="A day (Vietnam) to come: what will be overdue then; default: today.")
def overdue(context: Context, unit: str | None, level: int | None, on: date | None) -> None:
    """Count dossiers that wait longer than the law allows, true for every event recorded before the command began.

    An approval may take 1 working day for level 1, 3 for level 2, 7 where the identity card is expired or missing; an
    activation 7 days from the notice (Decree 69/2024, Art. 13, 14).
    """
    with context.totals() as (_, totals):
        answer = Overdue(totals).read(OverdueQuery(unit=unit, level=level, on=on))
    _tell_overdue(context.output, answer)


def _tell_overdue(output: Output, answer: OverdueAnswer) -> None:
    if answer.provisional:
        note_provisional("counted")
    if output.form == "json":
        output.document(answer)
        return
    keys, rows = _by_unit(output, answer.rows, OVERDUE_MEASURES)
    when = f"will be overdue on {answer.on} if nothing happens" if answer.forecast else f"on {answer.on}"
    output.rows(
        f"{when}; {true_for(answer.position, answer.recorded_at)}",
        [*keys, *OVERDUE_MEASURES],
        rows,
        total=["total", *[""] * (len(keys) - 1), *(answer.sum[name] for name in OVERDUE_MEASURES)],
    )
    for limit in answer.limits:
        output.say(f"{_in_words(limit)}: {limit.since} or before")


def _in_words(limit: TimeLimit) -> str:
    days = f"{limit.days} {'working ' if limit.working_days else ''}day{'s' if limit.days > 1 else ''}"
    if limit.step == "activation":
        return f"overdue after {days}, notified on"
    who = "" if limit.level is None else f"level {limit.level}, "
    return f"overdue after {days}, {who}card {limit.card}, collected on"


@command("history")
@click.option("--citizen", metavar="-|NUMBER", help="The 12-digit number; - reads it from standard input.")
@click.option("--dossier", metavar="ID", type=click.UUID, help="The dossier's id.")
def history(context: Context, citizen: str | None, dossier: UUID | None) -> None:
    """Show one dossier's audit trail: every event, when it happened and when the ledger learnt it.

    Give the number on standard input (--citizen -), so that it stays out of the shell's history.
    """
    if (citizen is None) == (dossier is None):
        raise click.UsageError("name --citizen or --dossier, one of them")
    citizen = read_citizen(citizen)
    with context.ledger() as ledger:
        found = ledger.history(citizen=citizen, dossier_id=dossier)
    _tell_history(context.output, found)


def _tell_history(output: Output, found: History) -> None:
    if output.form == "json":
        output.document(found)
        return
    lines = [msgspec.to_builtins(event) for event in found.events]
    if output.form == "csv":
        columns = list(lines[0])
        output.rows("", columns, [[_plain(line[column]) for column in columns] for line in lines])
        return
    output.say(f"dossier {found.dossier_id}")
    if found.erased:
        output.say("its citizen was erased: it is nobody's, and its notes open no more")
    for level, state in found.levels.items():
        output.say(
            f"level {level}: {state.state} since {state.since:%Y-%m-%d %H:%M %z}, attempt {state.attempt}, "
            f"collected by {_called(state.collecting_unit)}"
            + (f", allocated to {_called(state.allocated_to)}" if state.allocated_to else "")
        )
    several = len({event.level for event in found.events}) > 1
    rows = [
        [
            event.position,
            event.version,
            event.type,
            *([event.level or ""] if several else []),
            f"{event.occurred_at:%Y-%m-%d %H:%M:%S %z}",
            told_time(event.recorded_at),
            _called(event.unit) if event.unit else "",
            event.actor,
            ", ".join(_details(event)),
        ]
        for event in found.events
    ]
    columns = [
        "position",
        "version",
        "type",
        *(["level"] if several else []),
        "occurred_at",
        "recorded_at",
        "unit",
        "actor",
        "details",
    ]
    output.rows("audit trail, oldest first", columns, rows)


def _details(event: HistoryEvent) -> Iterator[str]:
    team = "no team" if event.type == "amended" and event.team == NO_TEAM else event.team
    yield from filter(None, (event.place, team, event.card if event.card != "valid" else None))
    yield from filter(None, (event.reason, event.basis, event.note))
    if event.note_erased:
        yield "its note is gone"
    if event.partner and event.partner != "none":
        yield event.partner
    if event.allocated_to:
        yield f"allocated to {_called(event.allocated_to)}"
    if event.allocated_of:
        yield f"allocated of {', '.join(map(_called, event.allocated_of))}"
    if event.corrects is not None:
        yield f"of entry {event.corrects}"
    see = f"see {', '.join(map(str, event.corrected_by))}" if event.corrected_by else ""
    if event.standing:
        yield from filter(None, (see,))
    else:
        yield f"does not stand; {see}" if see else "does not count yet"


def _called(unit: UnitName) -> str:
    return f"{unit.code} {unit.name}"


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join(str(_plain(one)) for one in value)
    return value["code"] if isinstance(value, dict) else value
