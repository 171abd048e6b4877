"""A made-up lawful campaign, as commands; nasty where ``api.campaign`` is realistic.

Times lie at the edges of days, shifts and months, in several offsets; events are recorded at
communes, districts and the province; approvals count elsewhere; levels and attempts mix.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from random import Random

from ledger import (
    Activate,
    Amend,
    AnyCommand,
    Approve,
    Collect,
    Confirm,
    Ledger,
    Lock,
    Notify,
    Reassign,
    Receipt,
    Refusal,
    Reject,
    Unlock,
    Void,
    Withdraw,
)
from ledger.commands import CARDS, PARTNERS, PLACES
from ledger.errors import CorrectionError, UnitError
from ledger.reasons import DEFAULT_REASONS

PROVINCE = "38"
DISTRICTS = ("380", "401", "384")
COMMUNES = ("14755", "14758", "14761", "14764", "16093", "16096", "16099", "14845", "14848")
"""Of those three districts, three or more each."""
UNITS = (*COMMUNES, *COMMUNES, *DISTRICTS, PROVINCE)

FIRST, LAST = date(2024, 8, 28), date(2024, 12, 8)

_EDGES = (
    *(time(0), time(0, 0, 1), time(6, 59, 59), time(7), time(16, 59, 59, 999999), time(17)),
    *(time(22, 29, 59), time(22, 30), time(23, 59, 59), time(23, 59, 59, 999999), time(12), time(20)),
)
_VIETNAM = timezone(timedelta(hours=7))
_OFFSETS = (_VIETNAM, _VIETNAM, UTC, timezone(timedelta(hours=-5)), timezone(timedelta(hours=14)))
_PLACES, _PARTNERS = sorted(PLACES), sorted(PARTNERS)
_CARDS = (*sorted(CARDS), "", "")


def commands(seed: int, dossiers: int) -> list[AnyCommand]:
    """Return a campaign's reports, about 2.6 for a dossier; lawful in this order."""
    chance = Random(seed)
    reports: list[AnyCommand] = []
    for number in range(dossiers):
        citizen = f"038{seed % 1000:03}{number:06}"
        for level in chance.choice(((1,), (2,), (2,), (1, 2))):
            reports.extend(_life(chance, citizen, level))
    # Stable: steps of one instant stay in the order of the life that they belong to.
    reports.sort(key=lambda report: report.occurred_at)
    return reports


def _life(chance: Random, citizen: str, level: int) -> Iterator[AnyCommand]:
    at = _instant(chance, FIRST)

    def step(kind: type, **fields: str) -> AnyCommand:
        nonlocal number
        number += 1
        return kind(
            key=f"{level}-{number}",
            citizen=citizen,
            level=level,
            occurred_at=at.astimezone(chance.choice(_OFFSETS)),
            actor="th-1",
            place=chance.choice((*_PLACES, "")),
            partner=chance.choice((*_PARTNERS, "")),
            **fields,
        )

    def reason(type_: str) -> str:
        return chance.choice(sorted(DEFAULT_REASONS.of(type_)))

    number = 0
    while True:
        yield step(Collect, unit=chance.choice(UNITS), card=chance.choice(_CARDS))
        if chance.random() < 0.15:
            return
        at = _later(chance, at)
        answering = chance.choice((*UNITS, *[""] * 20))
        if chance.random() < 0.75:
            yield step(Approve, unit=answering)
            if chance.random() < 0.4:
                at = _later(chance, at)
                yield step(Notify, unit=answering)
            if chance.random() < 0.8:
                break
            at = _later(chance, at)
            yield step(Withdraw, unit=answering, reason=reason("withdrawn"))
        else:
            yield step(Reject, unit=answering, reason=reason("rejected"))
        if chance.random() < 0.3:
            return
        at = _later(chance, at)
    if chance.random() < 0.2:
        at = _later(chance, at)
        yield step(Lock, unit=chance.choice(UNITS), reason="death")
        if chance.random() < 0.3:
            return
        at = _later(chance, at)
        yield step(Unlock, unit=chance.choice(UNITS), reason=reason("unlocked"))
    if chance.random() < 0.8:
        at = _later(chance, at)
        yield step(Activate, unit=chance.choice(UNITS))
        while chance.random() < 0.2:
            at = _later(chance, at)
            yield step(Lock, unit=chance.choice(UNITS), reason=reason("locked"))
            if chance.random() < 0.3:
                return
            at = _later(chance, at)
            yield step(Unlock, unit=chance.choice(UNITS), reason=reason("unlocked"))


def _instant(chance: Random, first: date) -> datetime:
    days = (LAST - first).days
    day = first + timedelta(chance.randint(0, days)) if days > 0 else first
    return datetime.combine(day, chance.choice(_EDGES), _VIETNAM)


def _later(chance: Random, at: datetime) -> datetime:
    """Return an instant that is not before *at*; now and then the very same."""
    if chance.random() < 0.1:
        return at
    return max(at, _instant(chance, min(LAST, at.astimezone(_VIETNAM).date())))


def record(ledger: Ledger, reports: Sequence[AnyCommand], *, seed: int = 1, batch_max: int = 200) -> int:
    """Record reports in batches of random sizes; return the last position."""
    chance = Random(seed)
    done = position = 0
    while done < len(reports):
        batch = reports[done : done + chance.randint(1, batch_max)]
        outcomes = ledger.record_many(batch)
        assert [] == [outcome for outcome in outcomes if not isinstance(outcome, Receipt)]
        position = max(position, *(outcome.position for outcome in outcomes))
        done += len(batch)
    return position


def correct(ledger: Ledger, reports: Sequence[AnyCommand], *, seed: int = 1, corrections: int = 300) -> int:
    """Correct recorded reports at random, and corrections too; return how many were lawful."""
    chance = Random(seed)
    done = 0
    entries = [(reports[index], 0) for index in range(len(reports))]
    versions: dict[str, int] = {}
    for index, (report, _) in enumerate(entries):
        versions[report.citizen] = versions.get(report.citizen, 0) + 1
        entries[index] = (report, versions[report.citizen])
    while done < corrections:
        batch = [
            _correction(chance, *chance.choice(entries), key=f"x{seed}-{done}-{number}", last=versions)
            for number in range(20)
        ]
        for report, outcome in zip(batch, ledger.record_many(batch), strict=True):
            if isinstance(outcome, Refusal):
                assert isinstance(outcome.error, CorrectionError | UnitError), outcome
                continue
            versions[report.citizen] = outcome.version
            entries.append((report, outcome.version))
            done += 1
    return done


def _correction(
    chance: Random, report: AnyCommand, version: int, *, key: str, last: dict[str, int]
) -> AnyCommand:
    kind = chance.choice((Void, Void, Reassign, Reassign, Amend, Confirm))
    # Mostly about the entry, at times about the last one, which is the one that can be voided.
    about = version if chance.random() < 0.6 else last[report.citizen]
    fields: dict[str, object] = {
        Void: {"reason": "mistyped"},
        Reassign: {"unit": chance.choice(UNITS)},
        Amend: {
            "place": chance.choice(_PLACES),
            "partner": chance.choice((*_PARTNERS, "")),
            "team": chance.choice(("", "t1", "-")),
        },
        Confirm: {},
    }[kind]
    return kind(
        key=key,
        citizen=report.citizen,
        level=report.level,
        occurred_at=datetime.combine(LAST, time(9), _VIETNAM),
        actor=chance.choice(("th-1", "th-2")),
        corrects=about,
        **fields,
    )
