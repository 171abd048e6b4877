"""What the log says, found by following every dossier to its end.

Nothing here believes what an event says of the one before it, of attempts, of collecting units or of what it changes, and
nothing is shared with the folds of the projections: a mistake would have to be made twice.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

import msgspec
from msgspec.structs import replace

from ledger.business_time import VIETNAM, shift_of
from ledger.commands import NO_TEAM
from ledger.units import allocation_id
from projections.unit_totals import EVENTS

APPROVAL, APPROVAL_LONG, ACTIVATION, ACTIVATION_NOTIFIED = range(len(EVENTS), len(EVENTS) + 4)
"""The ways of waiting, numbered after the events."""
MEASURES_FOLLOWED = range(len(EVENTS) + 4)
STEPS = {kind: number for number, kind in enumerate(EVENTS)}
_ERASED = "erased"
_OTHERS = frozenset(("allocated", "voided", "reassigned", "amended", "confirmed", _ERASED))
_WAITS = {"collected": APPROVAL, "approved": ACTIVATION, "notified": ACTIVATION_NOTIFIED}
_OF_DOSSIERS = frozenset(("dossier", "entry", "citizen"))
"""The first word of the topics that are about dossiers."""


class LogFaultError(Exception):
    """The log is not one that the ledger could have written."""

    def __init__(self, position: int, why: str) -> None:
        super().__init__(f"position {position}: {why}")
        self.position, self.why = position, why


class Line(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What is believed of an event: what somebody reported, and at which unit."""

    level: int = 0
    """0: of an erasure, which is of both and counts nowhere."""
    occurred_at: datetime
    actor: str
    unit: str | None = None
    unit_id: str = ""
    place: str | None = None
    partner: str | None = None
    team: str | None = None
    residence_unit: str | None = None
    reason: str = ""
    card: str = "valid"
    corrects: int | None = None
    asked: bool = False
    split_ids: tuple[str, ...] = ()


class Entry(NamedTuple):
    """An event of a dossier."""

    version: int
    position: int
    recorded_on: date
    """Day in Vietnam."""
    kind: str
    line: Line


class Where(NamedTuple):
    """A place of the counts, in as much detail as any table has."""

    leaf: str
    level: int
    day: date
    place: str
    shift: str
    partner: str
    team: str
    actor: str
    residence: str
    residence_on: date
    """The day as of which that is a code."""
    reason: str


Move = tuple[Where, int, int]
"""Where, which of ``MEASURES_FOLLOWED``, and how many more or fewer."""


class Followed(NamedTuple):
    """An event, and what it changed."""

    entry: Entry
    moves: Sequence[Move]


class Life(NamedTuple):
    """A dossier from its first event to its last."""

    stream: str
    events: Sequence[Followed]


Row = tuple[str, int, int, date, str, bytes]
"""stream, version, position, day of recording, topic, state; ordered by stream and version."""

_decode = msgspec.json.Decoder(Line).decode


def lives(rows: Iterable[Row], leaves: dict[str, tuple[UUID, UUID | None]]) -> Iterator[Life | int]:
    """Yield each dossier; of other streams the number of their events.

    Args:
        leaves: Filled with what each leaf is of: a unit, and where it was split the part to which it was allocated.

    Raises:
        LogFaultError: An event is missing, is not known, or could not have happened.
    """
    following = _Following(leaves)
    for stream, group in groupby(rows, _stream):
        entries, others = _read(group)
        yield others or Life(stream, following.follow(entries))


def _stream(row: Row) -> str:
    return row[0]


def _read(rows: Iterable[Row]) -> tuple[list[Entry], int]:
    entries: list[Entry] = []
    others = 0
    for number, (stream, version, position, recorded_on, topic, state) in enumerate(rows, 1):
        if version != number:
            raise LogFaultError(position, f"stream {stream} has no event {number} before its event {version}")
        kind = _kind(topic)
        if kind is None:
            others += 1
            continue
        if kind not in STEPS and kind not in _OTHERS:
            raise LogFaultError(position, f"{topic} is no event that this program knows")
        if kind != _ERASED and entries and entries[-1].kind == _ERASED:
            raise LogFaultError(position, f"{kind}, but the citizen of this dossier was erased before")
        try:
            entries.append(Entry(version, position, recorded_on, kind, _decode(state)))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise LogFaultError(position, f"{topic}: {error}") from error
    return entries, others


@lru_cache(100)
def _kind(topic: str) -> str | None:
    about, _, rest = topic.partition(".")
    return rest.removesuffix(".v1") if about in _OF_DOSSIERS else None


class _Following:
    """Follows dossiers; what leaves are of is remembered for all of them."""

    def __init__(self, leaves: dict[str, tuple[UUID, UUID | None]]) -> None:
        self._leaves = leaves
        self._ids: dict[tuple[str, str | None], str] = {}

    def follow(self, entries: Sequence[Entry]) -> list[Followed]:
        trails: dict[int, _Trail] = {}
        found: list[Followed] = []
        plain = True
        known: Counter[tuple[Where, int]] = Counter()
        for number, entry in enumerate(entries, 1):
            plain = plain and entry.kind in STEPS
            if plain:
                trail = trails.get(entry.line.level) or trails.setdefault(entry.line.level, _Trail(self, {}))
                found.append(Followed(entry, trail.step(entry)))
                continue
            if not known:
                known = _sum(move for one in found for move in one.moves)
            # A correction may reach far back: everything is gone through again with it.
            counts = _sum(self._moves(entries[:number]))
            moves = [
                (where, measure, counts[where, measure] - known[where, measure])
                for where, measure in {**known, **counts}
                if counts[where, measure] != known[where, measure]
            ]
            found.append(Followed(entry, moves))
            known = counts
        return found

    def _moves(self, entries: Sequence[Entry]) -> Iterator[Move]:
        steps, allocations = what_stands(entries)
        trails = {level: _Trail(self, allocations) for level in (1, 2)}
        for step in steps:
            yield from trails[step.line.level].step(step)

    def leaf(self, unit_id: str, to: str | None) -> str:
        """Return the leaf of a unit, or of the part of a split unit."""
        found = self._ids.get((unit_id, to))
        if found is None:
            unit, part = UUID(unit_id), None if to is None else UUID(to)
            found = str(unit if part is None else allocation_id(unit, part))
            self._ids[unit_id, to] = found
            self._leaves[found] = unit, part
        return found


def _sum(moves: Iterable[Move]) -> Counter[tuple[Where, int]]:
    counts: Counter[tuple[Where, int]] = Counter()
    for where, measure, number in moves:
        counts[where, measure] += number
    return counts


class _Trail:
    """One level of a dossier, step by step."""

    def __init__(self, following: _Following, allocations: Mapping[tuple[int, str], str]) -> None:
        self._following, self._allocations = following, allocations
        self._collector: str | None = None
        self._residence, self._residence_on = "", date.min
        self._waits: tuple[Where, int] | None = None
        self._waited: tuple[Where, int] | None = None
        """Before the lock."""

    def step(self, entry: Entry) -> list[Move]:
        """Return what a step changes: what it counts as, what waits no more, what waits now."""
        kind, line = entry.kind, entry.line
        local = line.occurred_at.astimezone(VIETNAM)
        if kind == "collected":
            self._collector, self._residence = line.unit_id, ""
        if line.residence_unit:
            self._residence, self._residence_on = line.residence_unit, local.date()
        collector = self._collector
        if collector is None:
            raise LogFaultError(
                entry.position, f"{kind}, but level {line.level} of this dossier was never collected"
            )
        # Without a unit of its own it counts wherever the collection has gone.
        unit_id = collector if line.unit is None else line.unit_id
        team = line.team or ""
        where = Where(
            self._leaf(line.level, unit_id),
            line.level,
            local.date(),
            line.place or "other",
            shift_of(local),
            line.partner or "none",
            "" if team == NO_TEAM else team,
            line.actor,
            self._residence,
            self._residence_on if self._residence else local.date(),
            line.reason,
        )
        moves: list[Move] = [(where, STEPS[kind], 1)]
        before = self._waits
        if kind == "locked":
            self._waits, self._waited = None, before
        elif kind == "unlocked":
            self._waits = self._waited
        else:
            waits = _WAITS.get(kind)
            if waits == APPROVAL and line.card != "valid":
                waits = APPROVAL_LONG
            self._waits = None
            if waits is not None:
                # Built anew where it differs only: ``_replace`` takes longer than the rest of a step.
                leaf = self._leaf(line.level, collector)
                here = where if (leaf, "") == (where.leaf, where.reason) else Where(leaf, *where[1:-1], "")
                self._waits = here, waits
        if before is not None:
            moves.append((*before, -1))
        if self._waits is not None:
            moves.append((*self._waits, 1))
        return moves

    def _leaf(self, level: int, unit_id: str) -> str:
        return self._following.leaf(unit_id, self._allocations.get((level, unit_id)))


def what_stands(entries: Sequence[Entry]) -> tuple[list[Entry], dict[tuple[int, str], str]]:
    """Return the steps of a dossier that stand, as corrected, and by level and split unit where it was allocated."""
    since, said = _in_force(entries)
    steps: list[Entry] = []
    allocations: dict[tuple[int, str], str] = {}
    for entry in entries:
        if entry.version not in since:
            continue
        line = entry.line
        if entry.kind == "allocated":
            allocations |= {(line.level, unit): line.unit_id for unit in line.split_ids}
        elif entry.kind in STEPS:
            for correction in sorted(said[entry.version], key=lambda one: (since[one.version], one.version)):
                line = _corrected(line, correction)
            steps.append(entry._replace(line=line))
    return steps, allocations


def _in_force(entries: Sequence[Entry]) -> tuple[dict[int, int], Mapping[int, Sequence[Entry]]]:
    """Return since which version each entry counts, of those that do; and the corrections of each that count."""
    since: dict[int, int] = {}
    said: defaultdict[int, list[Entry]] = defaultdict(list)
    # From the last one back: an entry is about an earlier one, so what is said of it is known by then.
    for entry in reversed(entries):
        about = said[entry.version]
        confirmed = [one.version for one in about if one.kind == "confirmed"]
        if any(one.kind == "voided" for one in about) or (entry.line.asked and not confirmed):
            continue
        since[entry.version] = min(confirmed) if entry.line.asked else entry.version
        if entry.line.corrects is not None:
            said[entry.line.corrects].append(entry)
    return since, said


def _corrected(line: Line, correction: Entry) -> Line:
    said = correction.line
    if correction.kind == "reassigned":
        return replace(line, unit=said.unit, unit_id=said.unit_id)
    if correction.kind != "amended":
        return line
    return replace(
        line,
        place=said.place or line.place,
        partner=said.partner or line.partner,
        team=line.team if said.team is None else said.team,
    )
