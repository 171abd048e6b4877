"""Whether somebody may have a report recorded, or be told that it was. Pure.

It is asked before anything is told of what there is: whoever may not report for a unit does not learn from a refusal
whether a dossier was ever seen there.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date
from typing import NamedTuple
from uuid import UUID

from ledger.access.asking import WORDS, check_right, told_parts
from ledger.access.reach import Reach
from ledger.access.rights import RIGHT_TO_REPORT, Principal, Right
from ledger.business_time import business_day
from ledger.commands import Allocate, AnyCommand, Reassign, StepCommand
from ledger.decisions import unit_at
from ledger.dossier import Dossier, standing_steps
from ledger.errors import KeyElsewhereError, NotPermittedError, NotYourselfError, UnitError
from ledger.events import Allocated, AnyDossierEvent, Correction
from ledger.units import heirs_of


class Spot(NamedTuple):
    """Where something was recorded, and the part of it to which it was allocated."""

    unit_id: UUID
    allocated_id: UUID | None = None


def reports_anything(by: Principal) -> bool:
    """Whether nothing has to be asked of somebody's reports: they may make all of them, everywhere and for everybody."""
    return not by.actor and all(None in by.parts(right) for right in frozenset(RIGHT_TO_REPORT.values()))


def check_report(by: Principal, command: AnyCommand, dossier: Dossier, reach: Reach) -> None:
    """Check that somebody may report this: over the unit at which it would count, on the day on which it occurred.

    A report that was recorded counts where it was recorded. An allocated dossier counts at its part. A correction
    takes the right over where its entry counts, on the day of the correction; a reassignment also over the new unit.

    Raises:
        AccessError: They may not, or name somebody else as the one who did it.
        KeyElsewhereError: They may, but its key is that of a report which they may not make.
        UnitError: The unit is no code, or was not valid on the day.
    """
    if by.actor and command.actor != by.actor:
        raise NotYourselfError(by.actor)
    right = RIGHT_TO_REPORT[command.TYPE]
    check_right(by, right)
    if None in by.parts(right):
        return
    version = dossier.keys.get(command.key)
    if version is not None and _recorded_within(by, right, dossier, version, reach):
        return
    day = business_day(command.occurred_at)
    if isinstance(command, Reassign):
        # Before the new unit is looked up on the day of the entry: whether it was valid then would tell that day.
        entry = _spots_of_entry(dossier, command.corrects)
        if entry and not _all_within(by, right, entry, day, reach):
            raise NotPermittedError(_sentence(by, right, command, reach, day))
    spots = _spots_of(command, dossier, reach, day)
    if not _all_within(by, right, spots, day, reach):
        unknown = not spots and not isinstance(command, StepCommand)
        if not unknown or not reaches_dossier(by, right, dossier.entries, day, reach):
            raise NotPermittedError(_sentence(by, right, command, reach, day))
    if version is not None:
        raise KeyElsewhereError(command.key)


def part_reporting(by: Principal, command: AnyCommand, dossier: Dossier, reach: Reach) -> UUID | None:
    """Return the unit over which somebody holds the right to a report that they may make; None: the whole ledger."""
    right, day = RIGHT_TO_REPORT[command.TYPE], business_day(command.occurred_at)
    spots: list[Spot] = []
    with suppress(UnitError):
        # A retry may name a unit that there is no more.
        spots = _spots_of(command, dossier, reach, day)
    return _part_over(by, right, spots, day, reach)


def reaches_dossier(
    by: Principal, right: Right, entries: Sequence[AnyDossierEvent], day: date, reach: Reach
) -> bool:
    """Whether somebody holds a right over a dossier: over a unit at which one of its standing entries counts on a day."""
    if None in by.parts(right):
        return True
    return any(
        by.may(right, reach.above(spot.unit_id, day, spot.allocated_id)) for spot in _standing_spots(entries)
    )


def part_reached(
    by: Principal, right: Right, entries: Sequence[AnyDossierEvent], day: date, reach: Reach
) -> UUID | None:
    """Return the unit over which somebody holds a right that reaches a dossier; None: the whole ledger."""
    return _part_over(by, right, _standing_spots(entries), day, reach)


def _part_over(by: Principal, right: Right, spots: Iterable[Spot], day: date, reach: Reach) -> UUID | None:
    """Return the unit over which somebody holds a right, by the first spot that it reaches; None: the whole ledger."""
    parts = by.parts(right)
    if None in parts:
        return None
    aboves = (reach.above(spot.unit_id, day, spot.allocated_id) for spot in spots)
    found = (by.part(right, above) for above in aboves if by.may(right, above))
    # Units may have changed since it was found to be reached; then it is told as held over any part.
    return next(found, min(filter(None, parts)))


def _all_within(by: Principal, right: Right, spots: Iterable[Spot], day: date, reach: Reach) -> bool:
    found = [by.may(right, reach.above(spot.unit_id, day, spot.allocated_id)) for spot in spots]
    return bool(found) and all(found)


def _recorded_within(by: Principal, right: Right, dossier: Dossier, version: int, reach: Reach) -> bool:
    event = dossier.entries[version - 1]
    if isinstance(event, Correction):
        spots = _spots_of_entry(dossier, version)
    else:
        spots = [Spot(event.unit_id, getattr(event, "allocated_id", None))]
    return _all_within(by, right, spots, business_day(event.occurred_at), reach)


def _standing_spots(entries: Sequence[AnyDossierEvent]) -> Iterator[Spot]:
    for step in standing_steps(entries).values():
        yield Spot(step.unit_id, step.allocated_id)


def _spots_of(command: AnyCommand, dossier: Dossier, reach: Reach, day: date) -> list[Spot]:
    """Return where a report would count; nothing where nobody can say."""
    tree = reach.tree
    if isinstance(command, StepCommand):
        standing = dossier.levels.get(command.level)
        if command.unit:
            unit_id = tree.resolve(command.unit, day).id
        elif standing is not None:
            unit_id = standing.collecting_unit_id
        else:
            return []
        return [Spot(unit_id, dossier.allocations.get((command.level, unit_id)))]
    if isinstance(command, Allocate):
        part = tree.resolve(command.unit, day).id
        # Where it is allocated to another part already, it is taken from there.
        others = {
            to
            for (level, split_id), to in dossier.allocations.items()
            if level == command.level and part in heirs_of(tree, split_id)
        }
        return [Spot(part), *map(Spot, others)]
    spots = _spots_of_entry(dossier, command.corrects)
    if isinstance(command, Reassign) and spots:
        spots.append(Spot(tree.resolve(command.unit, business_day(unit_at(dossier, command))).id))
    return spots


def _spots_of_entry(dossier: Dossier, version: int) -> list[Spot]:
    """Return where an entry counts; of a correction, where all that it moves counts, with it and without."""
    spots: list[Spot] = []
    while 1 <= version <= len(dossier.entries):
        entry = dossier.entries[version - 1]
        if isinstance(entry, Correction):
            # Only a reassignment has one.
            unit_id = getattr(entry, "unit_id", None)
            spots += [Spot(unit_id)] if unit_id is not None else []
            version = entry.corrects
            continue
        standing = standing_steps(dossier.entries).get(version)
        if isinstance(entry, Allocated) or standing is None or spots:
            spots.append(Spot(entry.unit_id, getattr(entry, "allocated_id", None)))
        if standing is not None:
            spots.append(Spot(standing.unit_id, standing.allocated_id))
        break
    return spots


def _sentence(by: Principal, right: Right, command: AnyCommand, reach: Reach, day: date) -> str:
    parts = told_parts(by, right, reach.tree, day)
    code = getattr(command, "unit", "")
    if code:
        # What stands in the report is no news to whoever sent it; nothing else about the dossier is told.
        where = f"it would count at {code}"
    elif isinstance(command, StepCommand):
        where = (
            f"no unit is named, and level {command.level} of this dossier was not collected at one of these"
        )
    else:
        where = f"entry {getattr(command, 'corrects', '')} of this dossier does not count there"
    return (
        f"you may {WORDS[right]} for {parts}, as of {day.isoformat()}, and {where}; name the unit whose work it is, or "
        "let somebody of that unit report it"
    )
