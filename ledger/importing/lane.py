"""One lane of an import: the lines of its share of the citizens, dossier by dossier.

Dossiers do not depend on each other, so several lanes may work at once, each on citizens of its
own; and all lines of a dossier are decided together, by the time they happened, so that neither the
order of a file nor the number of its lanes matters.
"""

import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from datetime import datetime, timezone
from operator import itemgetter
from typing import BinaryIO
from zlib import crc32

import msgspec

from ledger.access import LOCAL, Principal
from ledger.application import Ledger
from ledger.commands import COMMANDS, FIELDS, AnyCommand
from ledger.errors import (
    BatchTooLargeError,
    InputError,
    NotPermittedError,
    ReadNotRecordedError,
    StateError,
)
from ledger.importing.report_files import read_lines
from ledger.importing.spool import Buckets
from ledger.recording import Receipt, Refusal
from ledger.reports import command_of

BATCH_LINES_MAX = 2_000
"""How many lines are recorded in one commit, but for those of a single dossier, which are never parted."""
ATOMIC_LINES_MAX = 100_000
MET_LINES = 20_000
"""After how many lines a lane says how far it has read."""

_CITIZEN = FIELDS.index("citizen")
_RANKS = {type_: rank for rank, type_ in enumerate(COMMANDS)} | {"collected": -2, "rejected": -1}
"""Of reports of one instant: as a dossier lives. A rejection comes before an approval: only so can both stand, of two
attempts."""

Line = tuple[int, tuple[str, ...]]
"""number in the file, values as given."""
Report = tuple[datetime, int, str, tuple[str, ...], int, AnyCommand]
"""occurred_at, rank of the type, key, values as given, line number, command.

Its order is the order in which a dossier's lines are decided; no two lines of a file are equal in it.
"""
_dossier = itemgetter(0)
RefusedLine = tuple[int, tuple[str, ...], str, str]
"""line number, values as given, error, detail."""


class Job(msgspec.Struct, frozen=True):
    """What a lane is to do."""

    lane: int = 0
    lanes: int = 1
    buckets: int = 1
    """Into how many parts it divides its share, to hold one of them in memory."""
    offset: timezone | None = None
    atomic: bool = False
    dry_run: bool = False
    by: Principal = LOCAL
    """Who reports all of it."""


class Met(msgspec.Struct, frozen=True):
    """How many lines of the file a lane has read, its own and others'."""

    lines: int
    all: bool = False
    """Whether that is the whole file."""


class Settled(msgspec.Struct, frozen=True):
    """What became of some lines; each line is settled once."""

    recorded: int = 0
    duplicates: int = 0
    first_position: int | None = None
    last_position: int | None = None
    refused: list[RefusedLine] = []


def work(ledger: Ledger, source: BinaryIO, job: Job) -> Generator[Met | Settled, None, None]:
    """Record a lane's lines; tell step by step what became of them.

    Raises:
        BatchTooLargeError: Too many lines for all or nothing; nothing was recorded.
        UnavailableError: The database went away; what was told is safe, and maybe more.
    """
    spoilt = False
    with Buckets(job.buckets) as buckets:
        for message in _part(source, job, buckets):
            spoilt = spoilt or isinstance(message, Settled)
            yield message
        for lines in buckets.take():
            yield from _Recording(ledger, job, spoilt=spoilt).run(lines)


def _part(source: BinaryIO, job: Job, buckets: Buckets) -> Iterator[Met | Settled]:
    """Keep the lines of this lane's citizens, parted by citizen; refuse those that are no report."""
    count = 0
    refused: list[RefusedLine] = []
    # Each lane reads every line, most of them others': what is asked of each is asked with few words.
    lane, lanes, buckets_count, keep = job.lane, job.lanes, job.buckets, buckets.add
    most = ATOMIC_LINES_MAX if job.atomic else sys.maxsize
    for line in read_lines(source):
        count += 1
        if count % MET_LINES == 0:
            yield Met(count)
            if refused:
                yield Settled(refused=refused)
                refused = []
        if count > most:
            raise BatchTooLargeError(
                f"the file has more than {ATOMIC_LINES_MAX} lines, the most that all or nothing takes"
            )
        values = line.values
        citizen = values[_CITIZEN]
        # Who is no citizen has no dossier to be kept together. The checksum is the same in every process, unlike hash.
        share = crc32(citizen.encode()) if len(citizen) == 12 and citizen.isascii() else line.number
        if share % lanes != lane:
            continue
        if line.error is None:
            keep(share // lanes % buckets_count, (line.number, values))
        else:
            refused.append((line.number, values, line.error.code, str(line.error)))
    if refused:
        yield Settled(refused=refused)
    yield Met(count, all=True)


class _Recording:
    """Records the lines of one bucket."""

    def __init__(self, ledger: Ledger, job: Job, *, spoilt: bool) -> None:
        self._ledger = ledger
        self._job = job
        self._spoilt = spoilt
        self._waiting: list[tuple[Report, Refusal]] = []
        """Lines refused for the state of their dossier, or for who may report it, which another report may mend."""

    def run(self, lines: Iterable[Line]) -> Iterator[Settled]:
        reports, refused = self._reports(lines)
        if refused:
            self._spoilt = True
            yield Settled(refused=refused)
        yield from map(self._record, self._batches(reports))
        yield from self._record_waiting()
        yield Settled(refused=[_refused(report, refusal) for report, refusal in self._waiting])

    def _reports(self, lines: Iterable[Line]) -> tuple[list[Report], list[RefusedLine]]:
        """Make the reports, dossier by dossier, in the order of their first events; refuse lines that are none."""
        dossiers: dict[str, list[Report]] = {}
        refused: list[RefusedLine] = []
        for number, values in lines:
            try:
                command = command_of(values, offset=self._job.offset)
            except InputError as error:
                refused.append((number, values, error.code, str(error)))
                continue
            report = command.occurred_at, _RANKS[command.TYPE], command.key, values, number, command
            dossiers.setdefault(command.citizen, []).append(report)
        for dossier in dossiers.values():
            dossier.sort()
        ordered = sorted(dossiers.values(), key=_dossier)
        return [report for dossier in ordered for report in dossier], refused

    def _batches(self, reports: Iterable[Report]) -> Iterator[list[Report]]:
        batch: list[Report] = []
        for report in reports:
            if (
                len(batch) >= BATCH_LINES_MAX
                and not self._job.atomic
                and report[5].citizen != batch[-1][5].citizen
            ):
                yield batch
                batch = []
            batch.append(report)
        if batch:
            yield batch

    def _record(self, batch: Sequence[Report]) -> Settled:
        outcomes = self._ledger.record_many(
            [report[5] for report in batch],
            atomic=self._job.atomic,
            dry_run=self._job.dry_run,
            spoilt=self._job.atomic and self._spoilt,
            by=self._job.by,
        )
        duplicates = 0
        positions: list[int] = []
        refused: list[RefusedLine] = []
        for report, outcome in zip(batch, outcomes, strict=True):
            match outcome:
                case Receipt(duplicate=True):
                    duplicates += 1
                case Receipt():
                    positions.append(outcome.position)
                case Refusal(error=ReadNotRecordedError() as error):
                    # Why a line is refused may not be told: the file has to come again.
                    raise error
                case Refusal(error=StateError() | NotPermittedError()):
                    self._waiting.append((report, outcome))
                case Refusal():
                    refused.append(_refused(report, outcome))
        # Of a dry run all positions are 0.
        known = positions if positions and any(positions) else None
        return Settled(
            len(positions), duplicates, min(known) if known else None, max(known) if known else None, refused
        )

    def _record_waiting(self) -> Iterator[Settled]:
        """Try refused lines again: another client may have sent meanwhile what they were waiting for."""
        progress = not self._job.atomic and not self._job.dry_run
        while progress and self._waiting:
            again = [report for report, _ in self._waiting]
            self._waiting = []
            progress = False
            for batch in self._batches(again):
                settled = self._record(batch)
                progress = progress or settled.recorded > 0
                yield settled


def _refused(report: Report, refusal: Refusal) -> RefusedLine:
    return report[4], report[3], refusal.code, refusal.detail
