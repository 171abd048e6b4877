"""Denominators and targets: load, list, hand down, withdraw."""

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

import click
import msgspec

from api.cli.common import DAY, Context, command
from api.targets import DenominatorLine, TargetLine, list_denominators, list_targets
from ledger import Target
from ledger.application import TargetsRecorded
from ledger.units import LEVELS

_DRY_RUN = click.option("--dry-run", is_flag=True, help="Tell what it would do; record nothing.")
_ACTOR = click.option(
    "--actor", metavar="CODE", default="local", show_default=True, help="Whose doing it is, a staff code."
)
_AT = click.option(
    "--at", type=click.IntRange(min=0), metavar="POSITION", help="As the ledger had it at this position."
)


@click.group("denominators")
def denominators() -> None:
    """How many people units have: what percentages are percentages of."""


@command("load")
@click.argument("file", metavar="FILE")
@click.option("--name", required=True, help="Which people: eligible, residents.")
@click.option("--from", "from_day", type=DAY, required=True, help="First day (Vietnam) for which it holds.")
@click.option("--source", metavar="TEXT", required=True, help="Who says so.")
@_ACTOR
@_DRY_RUN
def load_denominators(
    context: Context, file: str, name: str, from_day: date, source: str, actor: str, *, dry_run: bool
) -> None:
    """Set the denominators of FILE, a CSV code,value; all of them or none.

    An empty value is not available, nor is one whose column quality, where there is one, is not ok. The same file again
    changes nothing; another value for the same day takes the place of the one before. With the program comes
    population_2025_communes.csv: residents of Thanh Hoá's communes of July 2025; give the bare name.
    """
    with context.ledger() as ledger:
        done = ledger.set_denominators(
            file, name=name, from_day=from_day, source=source, actor=actor, dry_run=dry_run
        )
    _tell(context, f"denominators {_set(dry_run)}", done, "not available")


@command("list")
@click.option("--name", help="Only these.")
@click.option("--on", type=DAY, help="What holds on this day (Vietnam); default: today.")
@_AT
def denominators_list(context: Context, name: str | None, on: date | None, at: int | None) -> None:
    """List what holds of each unit on a day. An empty value is not available."""
    with context.ledger() as ledger:
        answer = list_denominators(ledger, name=name, on=on, at=at)
    if context.output.form == "json":
        context.output.document(answer)
        return
    context.output.rows(
        f"{len(answer.rows)} denominators that hold on {answer.on}",
        DenominatorLine.__struct_encode_fields__,
        [list(msgspec.structs.astuple(row)) for row in answer.rows],
    )


@click.group("targets")
def targets() -> None:
    """What units are to reach by a deadline (chỉ tiêu): load from a file, list, hand down, withdraw."""


@command("load")
@click.argument("file", metavar="FILE")
@click.option("--issuer", metavar="TEXT", required=True, help="Who wants it: the Ministry, the province.")
@click.option("--basis", metavar="TEXT", default="", help="The paper that says so.")
@click.option("--replace", is_flag=True, help="Withdraw what stands in the way, in the same commit.")
@_ACTOR
@_DRY_RUN
def load_targets(
    context: Context, file: str, issuer: str, basis: str, actor: str, *, replace: bool, dry_run: bool
) -> None:
    """Set the targets of FILE, all of them or none.

    It is a CSV unit,measure,level,number,percent,denominator,from,deadline: a number, or a percent of a denominator
    that was loaded before; level 1, 2 or empty for both. The same file again changes nothing. Another target of the same
    issuer for the same unit, measure, level and time is refused, or with --replace takes the place of the one that stands.
    """
    with context.ledger() as ledger:
        done = ledger.set_targets(
            file, issuer=issuer, basis=basis, actor=actor, replace=replace, dry_run=dry_run
        )
    _tell(context, f"targets {_set(dry_run)}", done)


@command("list")
@click.option("--unit", metavar="CODE", help="Only those of this unit, by its code when the target begins.")
@click.option("--issuer", metavar="TEXT", help="Only this issuer's.")
@click.option("--all", "everything", is_flag=True, help="Those that were withdrawn, too.")
@_AT
def targets_list(
    context: Context, unit: str | None, issuer: str | None, at: int | None, *, everything: bool
) -> None:
    """List the targets that stand, in the order in which they were set."""
    with context.ledger() as ledger:
        answer = list_targets(ledger, unit=unit, issuer=issuer, at=at, withdrawn=everything)
    if context.output.form == "json":
        context.output.document(answer)
        return
    columns: Sequence[str] = TargetLine.__struct_encode_fields__
    lines: list[Mapping[str, object]] = [
        dict(zip(columns, msgspec.structs.astuple(row), strict=True)) for row in answer.rows
    ]
    if context.output.form == "table":
        # What is empty everywhere only widens the table for people; programs get every column.
        columns = [name for name in columns if any(line[name] not in (None, "") for line in lines)]
    context.output.rows(
        f"{len(lines)} targets", columns, [[line[name] for name in columns] for line in lines]
    )


@command("withdraw")
@click.argument("ids", metavar="[ID]...", type=click.UUID, nargs=-1)
@click.option("--issuer", metavar="TEXT", help="All that this issuer has set ...")
@click.option("--deadline", type=DAY, help="... to this deadline.")
@click.option("--reason", metavar="TEXT", required=True, help="Why.")
@click.option("--parts", is_flag=True, help="What was cascaded from them, too.")
@_ACTOR
@_DRY_RUN
def withdraw(
    context: Context,
    ids: tuple[UUID, ...],
    issuer: str | None,
    deadline: date | None,
    reason: str,
    actor: str,
    *,
    parts: bool,
    dry_run: bool,
) -> None:
    """Take back targets, by their ids or by issuer and deadline; all of them or none."""
    if bool(ids) == bool(issuer and deadline):
        raise click.UsageError("name ids, or --issuer and --deadline, one of the two")
    with context.ledger() as ledger:

        def of_issuer(target: Target) -> bool:
            return (target.issuer, target.deadline) == (issuer, deadline)

        chosen = ids or [target.id for target in filter(of_issuer, ledger.targets().standing())]
        done = ledger.withdraw_targets(chosen, reason=reason, parts=parts, actor=actor, dry_run=dry_run)
    _tell(context, f"targets {'that would be withdrawn' if dry_run else 'withdrawn'}", done)


@command("cascade")
@click.option(
    "--unit", metavar="CODE", required=True, help="Whose target, by its code on the target's first day."
)
@click.option("--to-level", type=click.Choice(LEVELS), required=True, help="Over which units below it.")
@click.option(
    "--by", metavar="DENOMINATOR", required=True, help="In proportion to what: eligible, residents."
)
@click.option("--issuer", metavar="TEXT", required=True, help="Who has set the target.")
@click.option("--as", "parts_issuer", metavar="TEXT", help="Who sets the parts.  [default: the same]")
@click.option("--target", "target_id", type=click.UUID, help="Which target, where there are several.")
@click.option("--basis", metavar="TEXT", default="", help="The paper that says so.")
@_ACTOR
@_DRY_RUN
def cascade(
    context: Context,
    unit: str,
    to_level: str,
    by: str,
    issuer: str,
    parts_issuer: str | None,
    target_id: UUID | None,
    basis: str,
    actor: str,
    *,
    dry_run: bool,
) -> None:
    """Split a unit's target over the units below it, in proportion to a denominator on the target's first day.

    The parts add up to the target exactly, by the largest remainder. Units whose denominator is not available get none,
    and are named.
    """
    with context.ledger() as ledger:
        found, done = ledger.cascade_target(
            unit,
            to_level=to_level,
            denominator=by,
            issuer=issuer,
            parts_issuer=parts_issuer,
            target_id=target_id,
            basis=basis,
            actor=actor,
            dry_run=dry_run,
        )
    if context.output.form == "json":
        answer = {
            "target_id": found.target.id,
            "whole": found.whole,
            "parts": [{"code": row.unit, "number": row.number} for row in found.rows],
        }
        context.output.document(answer | msgspec.structs.asdict(done))
        return
    context.output.rows(
        f"{found.whole:,} {found.target.measure} of {unit}, by {by}",
        ["code", "number"],
        [[row.unit, row.number] for row in found.rows],
        total=["total", sum(row.number or 0 for row in found.rows)],
    )
    if context.output.form == "table":
        _tell(context, f"parts {_set(dry_run)}", done, "without a part")


def _set(dry_run: bool) -> str:
    return "that would be set" if dry_run else "set"


def _tell(context: Context, what: str, done: TargetsRecorded, lacking: str = "") -> None:
    unchanged = f"; unchanged: {done.unchanged}" if done.unchanged else ""
    without = f"; {lacking}: {', '.join(done.not_available)}" if done.not_available else ""
    fresh = done.recorded - done.withdrawn
    instead = f"; withdrawn in their place: {done.withdrawn}" if fresh and done.withdrawn else ""
    context.output.answer(f"{what}: {fresh or done.withdrawn}{instead}{unchanged}{without}", done)


denominators.add_command(load_denominators)
denominators.add_command(denominators_list)
for _command in (load_targets, targets_list, cascade, withdraw):
    targets.add_command(_command)
