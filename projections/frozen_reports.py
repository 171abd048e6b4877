"""Frozen reports: totals as they were told, told again byte for byte.

A report keeps its question, the position that it is true for, and the hash of its bytes; told again, it is computed again
from the read model, and the hash says whether it is the same. So a report is both a promise and a test of the counts.
"""

from collections.abc import Mapping
from datetime import UTC, date
from hashlib import sha256
from typing import Any, cast

import msgspec
from msgspec.structs import replace

from ledger import Definition, FrozenReport, Ledger, ReportFrozen
from ledger.access import Principal, Right
from ledger.application import Moment
from ledger.business_time import business_day
from ledger.errors import FieldInvalidError
from ledger.frozen_reports import check_report
from projections.errors import ReportDiffersError, ReportFormatUnknownError
from projections.hierarchies import Attribution
from projections.totals import (
    BY_UNITS,
    WAIT_SECONDS,
    By,
    Totals,
    TotalsAnswer,
    TotalsQuery,
    check_days,
    check_told_to_the_public,
    masked_totals,
    read_hierarchy,
)

FORMAT = 1
"""How the bytes are made. Frozen with each report; what a format makes of an answer never changes."""

# Written out, so that a measure which is added one day changes no report.
_EVENTS = ("collected", "approved", "rejected", "notified", "activated", "locked", "unlocked", "withdrawn")
_MEASURES = (*_EVENTS, "awaiting_approval", "awaiting_activation")


class Freezing(msgspec.Struct, frozen=True):
    """What freezing a report did."""

    frozen: FrozenReport
    new: bool
    """False: it was frozen before, the same."""


class Reissue(msgspec.Struct, frozen=True):
    """A frozen report, computed again and found the same."""

    frozen: FrozenReport
    answer: TotalsAnswer
    document: bytes
    """The report's bytes, whose SHA-256 was frozen: JSON as ``document_of`` makes it. Where something of it is masked, other
    bytes, which say so."""


def freeze_report(
    ledger: Ledger,
    totals: Totals,
    name: str,
    query: TotalsQuery,
    *,
    title: str = "",
    actor: str = "local",
    wait_seconds: float = WAIT_SECONDS,
    by: Principal | None = None,
) -> Freezing:
    """Compute a report and record its question, its position and the hash of its bytes. The same again changes nothing.

    Args:
        name: Given once: letters, digits, ``.``, ``-`` and ``_``.
        query: Its cut-off is its position or its time of knowledge, or else the head of the log at this moment.
            What is left open in it is settled as of the day (Vietnam) of the cut-off: ``now`` and today.
        wait_seconds: How long the read model may take to reach the cut-off.
        by: Who freezes it; the ledger's own principal if absent.

    Raises:
        NotPermittedError: They may not freeze reports of the unit.
        LedgerError: Refused, nothing was recorded: the name is another report's, or the question cannot be answered.
        UnavailableError: Not known whether it was recorded; repeat it, with the same cut-off.
    """
    keeper = ledger.asking(by, Right.KEEP)
    check_report(name, title, actor)
    check_days(query)
    if query.position is not None and query.known_at is not None:
        raise FieldInvalidError("known_at", "name a position or a time, one of them")
    position = ledger.head().position if query.position is None and query.known_at is None else query.position
    cut = ledger.at(position=position, known_at=query.known_at)
    report = ReportFrozen(
        name=name,
        title=title,
        definition=settled(query, cut),
        position=cut.position,
        format=FORMAT,
        sha256="",
        actor=actor,
    )
    ledger.check_report_asked(keeper, Right.KEEP, report)
    answer = totals.count(question_of(report), wait_seconds=wait_seconds)
    document = document_of(report, answer)
    return Freezing(*ledger.record_frozen(replace(report, sha256=sha256(document).hexdigest()), by=keeper))


def reissue_report(
    ledger: Ledger,
    totals: Totals,
    name: str,
    *,
    wait_seconds: float = WAIT_SECONDS,
    by: Principal | None = None,
) -> Reissue:
    """Compute a frozen report again.

    Args:
        by: Who asks; the ledger's own principal if absent.

    Raises:
        NotPermittedError: They may see no totals at all; or they are of the public, and the report tells by whom it was done.
        ReportUnknownError: No report has the name, or none whose unit's totals they may see.
        ReportDiffersError: Its bytes are not those that were frozen: somebody changed the read model, or this program
            computes another thing. Nobody should be shown it.
        ReportFormatUnknownError: It was frozen by a later version of the program.
        UnavailableError: The read model cannot answer, or has not reached the report's position.
    """
    reader = ledger.asking(by, Right.TOTALS)
    frozen, is_public = ledger.report_for(name, reader)
    report = frozen.report
    if is_public:
        check_told_to_the_public(report.definition.by)
    if report.format != FORMAT:
        raise ReportFormatUnknownError(name, report.format, FORMAT)
    answer = totals.count(question_of(report), wait_seconds=wait_seconds)
    document = document_of(report, answer)
    found = sha256(document).hexdigest()
    if found != report.sha256:
        raise ReportDiffersError(name, report.position, report.sha256, found)
    if is_public:
        answer = masked_totals(answer, ledger.policy.small_counts)
        document = document_of(report, answer)
    return Reissue(frozen, answer, document)


def settled(query: TotalsQuery, cut: Moment) -> Definition:
    """Return a question in which nothing is left open that another day would answer otherwise."""
    today = business_day(cut.recorded_at)
    to_day = query.to_day or today
    hierarchy = query.hierarchy or to_day.isoformat()
    if hierarchy == "now":
        hierarchy = today.isoformat()
    elif hierarchy != "then":
        # The same day may be written in several ways.
        hierarchy = date.fromisoformat(read_hierarchy(hierarchy)).isoformat()
    return Definition(
        unit=query.unit,
        by=query.bys,
        level=query.level,
        from_day=query.from_day,
        to_day=to_day,
        hierarchy=hierarchy,
        attribution=query.attribution,
        compare=query.compare,
    )


def question_of(report: ReportFrozen, *, position: int | None = None) -> TotalsQuery:
    """Return the question that a report answers; of another position, where one is given."""
    asked = report.definition
    return TotalsQuery(
        unit=asked.unit,
        by=cast("tuple[By, ...]", asked.by),
        level=asked.level,
        from_day=asked.from_day,
        to_day=asked.to_day,
        hierarchy=asked.hierarchy,
        attribution=cast("Attribution", asked.attribution),
        compare="previous" if asked.compare else None,
        position=report.position if position is None else position,
    )


def document_of(report: ReportFrozen, answer: TotalsAnswer) -> bytes:
    """Return a report's bytes in format 1.

    One JSON object in UTF-8 without blanks, its keys in the order below, whole numbers only, and one newline at its end. What
    is masked is null, and the last key says so.
    """
    asked = report.definition
    document: dict[str, Any] = {
        "format": 1,
        "name": report.name,
        "title": report.title,
        "definition": {
            "unit": asked.unit,
            "by": list(asked.by),
            "level": asked.level,
            "from": asked.from_day,
            "to": asked.to_day,
            "hierarchy": asked.hierarchy,
            "attribution": asked.attribution,
            "compare": asked.compare,
        },
        "position": answer.position,
        # PostgreSQL tells it in the time zone of the session.
        "recorded_at": answer.recorded_at.astimezone(UTC),
        "rows": [_row(asked, row) for row in answer.rows],
        "sum": _counts(_MEASURES, answer.sum),
    }
    if answer.previous is not None:
        before = answer.previous
        document["previous"] = {
            "from": before.from_day,
            "to": before.to_day,
            "sum": _counts(_EVENTS, before.sum),
        }
    if answer.masked:
        document["masked"] = True
    return msgspec.json.encode(document) + b"\n"


def _row(asked: Definition, row: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for by in asked.by:
        if by in BY_UNITS:
            told["unit"] = {key: row["unit"][key] for key in ("code", "name", "level")}
        else:
            told[by] = row[by]
    told |= _counts(_MEASURES, row)
    if "previous" in row:
        told["previous"] = _counts(_EVENTS, row["previous"])
    return told


def _counts(measures: tuple[str, ...], counts: Mapping[str, int | None]) -> dict[str, int | None]:
    return {name: counts[name] for name in measures}
