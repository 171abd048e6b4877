"""The ledger on paper: what must come of reports, told by plain lists and a table on the wall.

No code of the ledger or of the projections decides anything here. A paper takes the same commands, and says of each
whether it is recorded, a duplicate, or refused, and with which code.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal

import msgspec

from ledger import AnyCommand
from ledger.dossier import WAITING
from ledger.events import AnyDossierEvent, Change, Collected, Step, Unlocked
from tests.projections import by_hand
from tests.projections.by_hand import VIETNAM, Counts, Where, shift_of

NOTHING_YET = "nothing rejected withdrawn"
REFUSED: Mapping[str, Mapping[str, str]] = {
    "collected": {"collected approved notified activated locked": "already_collected"},
    "approved": {NOTHING_YET: "not_collected", "approved notified activated locked": "already_approved"},
    "rejected": {NOTHING_YET: "not_collected", "approved notified activated locked": "already_approved"},
    "notified": {
        f"{NOTHING_YET} collected": "not_approved",
        "notified": "already_notified",
        "activated": "already_active",
        "locked": "account_locked",
    },
    "withdrawn": {
        f"{NOTHING_YET} collected": "not_approved",
        "activated": "already_active",
        "locked": "account_locked",
    },
    "activated": {
        f"{NOTHING_YET} collected": "not_approved",
        "activated": "already_active",
        "locked": "account_locked",
    },
    "locked": {f"{NOTHING_YET} collected": "not_active", "locked": "already_locked"},
    "unlocked": {f"{NOTHING_YET} collected approved notified activated": "not_locked"},
}
"""Where a step is refused, and with which code; elsewhere it is lawful."""
ANY_ACCOUNT = frozenset(("death", "card_expired", "card_revoked"))
"""The grounds of a lock that meet an account which is not activated."""
STEPS = tuple(REFUSED)
EVER = datetime.min.replace(tzinfo=UTC)
MENDED_BY_ANOTHER = {
    *(code for codes in REFUSED.values() for code in codes.values()),
    *("out_of_order", "unknown_entry", "already_voided", "still_needed", "is_correction"),
    *("nothing_changes", "nothing_to_confirm", "same_officer", "not_split", "is_allocation"),
}
"""The refusals of a report that another one of the same instant may mend."""


@dataclass
class Level:
    """One level of a dossier, as far as its steps have been read."""

    state: str = "nothing"
    before_lock: str = ""
    at: datetime = EVER
    """Of the last step."""
    attempt: int = 0
    collector: str = ""
    entered: Mapping[str, Any] = field(default_factory=dict)
    """The step that put it where it stands."""
    entered_before_lock: Mapping[str, Any] = field(default_factory=dict)

    def fault(self, step: Mapping[str, Any]) -> str:
        """Return the code with which a step is refused; nothing if it is lawful."""
        for states, code in REFUSED[step["type"]].items():
            if self.state in states.split():
                active = self.state == "locked" and self.before_lock == "activated"
                return "already_active" if active and code == "account_locked" else code
        if step["type"] == "locked" and self.state != "activated" and step["reason"] not in ANY_ACCOUNT:
            return "not_active"
        return "out_of_order" if step["at"] < self.at else ""

    def follow(self, step: Mapping[str, Any]) -> None:
        self.at = step["at"]
        if step["type"] == "unlocked":
            self.state, self.entered = self.before_lock, self.entered_before_lock
            return
        if step["type"] == "locked":
            self.before_lock, self.entered_before_lock = self.state, self.entered
        if step["type"] == "collected":
            self.attempt += 1
            self.collector = step["unit"]
        self.state, self.entered = step["type"], step


class Sheets:
    """One citizen's dossier: what was recorded, sheet by sheet, and nothing ever taken out."""

    def __init__(self) -> None:
        self.sheets: list[dict[str, Any]] = []

    def __getitem__(self, version: int) -> dict[str, Any]:
        return self.sheets[version - 1]

    def about(self, version: int, kind: str) -> list[int]:
        return [
            number
            for number, sheet in enumerate(self.sheets, 1)
            if sheet.get("corrects") == version and sheet["type"] == kind
        ]

    def stands(self, version: int) -> bool:
        return not any(self.counts_since(void) for void in self.about(version, "voided"))

    def counts_since(self, version: int) -> int | None:
        """Return the version at which a correction came to count, None if it does not."""
        if not self.stands(version):
            return None
        if not self[version]["asked"]:
            return version
        return min(filter(self.stands, self.about(version, "confirmed")), default=None)

    def waits(self, version: int) -> bool:
        """Whether it is a correction that was asked and is not confirmed."""
        confirms = self.about(version, "confirmed")
        return self[version].get("asked", False) and not any(map(self.stands, confirms))

    def steps(self) -> list[dict[str, Any]]:
        """Return the steps that stand, as corrected, each with its version."""
        steps = []
        collectors = {1: "", 2: ""}
        for version, sheet in enumerate(self.sheets, 1):
            if "corrects" in sheet or sheet["type"] == "allocated" or not self.stands(version):
                continue
            step = {**sheet, "version": version}
            found = [
                (since, number)
                for kind in ("reassigned", "amended")
                for number in self.about(version, kind)
                if (since := self.counts_since(number))
            ]
            for _, number in sorted(found):
                told = self[number]
                step |= {name: told[name] for name in ("unit", "place", "partner", "team") if told.get(name)}
                if told["type"] == "amended" and told["note"]:
                    step["note"] = number
            if step["team"] == "-":
                step["team"] = ""
            step["unit"] = step["unit"] or collectors[step["level"]]
            if step["type"] == "collected":
                collectors[step["level"]] = step["unit"]
            step["allocated"] = self.allocated().get((step["level"], step["unit"]))
            steps.append(step)
        return steps

    def allocated(self) -> dict[tuple[int, str], str]:
        """Return the part where the dossier belongs, by level and split unit."""
        parts = {}
        for version, sheet in enumerate(self.sheets, 1):
            if sheet["type"] == "allocated" and self.stands(version):
                parts |= {(sheet["level"], unit): sheet["unit"] for unit in sheet["split"]}
        return parts

    def levels(self) -> dict[int, Level]:
        """Return where the levels stand that have a step; all of them are lawful."""
        levels: dict[int, Level] = {}
        for step in self.steps():
            level = levels.setdefault(step["level"], Level())
            assert not level.fault(step), step
            level.follow(step)
        return levels

    def unlawful(self) -> int | None:
        """Return the first step that is not lawful after those before it."""
        levels = {1: Level(), 2: Level()}
        for step in self.steps():
            if levels[step["level"]].fault(step):
                version: int = step["version"]
                return version
            levels[step["level"]].follow(step)
        return None

    def counts(self) -> Counter[tuple[str, Where]]:
        """Return the counts of what stands, the units by their codes; of what was allocated, ``code>code of the part``."""
        counts: Counter[tuple[str, Where]] = Counter()
        residence: dict[int, str] = {}
        of_step: dict[int, str] = {}
        for step in self.steps():
            carried = "" if step["type"] == "collected" else residence.get(step["level"], "")
            of_step[step["version"]] = residence[step["level"]] = step["residence_unit"] or carried
            where = _where(step, self._leaf(step["level"], step["unit"]), residence[step["level"]])
            counts[step["type"], where._replace(reason=step.get("reason") or "")] += 1
        for number, level in self.levels().items():
            leaf = self._leaf(number, level.collector)
            where = _where(level.entered, leaf, of_step[level.entered["version"]])
            if level.state == "collected":
                counts["awaiting_approval", where] += 1
                counts["awaiting_long", where] += level.entered["card"] != "valid"
            elif level.state in ("approved", "notified"):
                counts["awaiting_activation", where] += 1
                counts["awaiting_notified", where] += level.state == "notified"
        return +counts

    def _leaf(self, level: int, unit: str) -> str:
        part = self.allocated().get((level, unit))
        return f"{unit}>{part}" if part else unit

    def history(self) -> list[dict[str, Any]]:
        """Return what an auditor must read of each sheet."""
        return [
            {
                "version": version,
                "type": sheet["type"],
                "level": sheet["level"],
                "occurred_at": sheet["at"],
                "key": sheet["key"],
                "actor": sheet["actor"],
                "standing": self.stands(version) and not self.waits(version),
                "corrects": sheet.get("corrects"),
                "corrected_by": [
                    number for number, other in enumerate(self.sheets, 1) if other.get("corrects") == version
                ],
                "asked": sheet.get("asked", False),
                "reason": sheet.get("reason"),
                "note": sheet["note"] or None,
            }
            for version, sheet in enumerate(self.sheets, 1)
        ]


def _where(step: Mapping[str, Any], unit: str, residence: str) -> Where:
    local = step["at"].astimezone(VIETNAM)
    details = (step["team"] or "", step["actor"], residence, "")
    return Where(unit, step["level"], local.date(), step["place"], shift_of(local), step["partner"], *details)


Outcome = tuple[Literal["recorded", "duplicate"], int] | str
"""Recorded as which version, the version of what it repeats, or the code of the refusal."""


class Paper:
    """All dossiers; the reports of batches in the order in which the ledger promises to decide them."""

    def __init__(
        self,
        valid_from: Mapping[str, date],
        ends: Mapping[str, date] | None = None,
        heirs: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        """Take the units on the wall.

        Args:
            valid_from: The codes of all units, each with its first day.
            ends: Those that were split, each with the first day without it.
            heirs: Over which units each of them was split, then or later.
        """
        self.valid_from = valid_from
        self.ends = ends or {}
        self.heirs = heirs or {}
        self.dossiers: dict[str, Sheets] = {}

    def copy(self) -> "Paper":
        """Return another paper on which to try what would come."""
        other = Paper(self.valid_from, self.ends, self.heirs)
        for citizen, dossier in self.dossiers.items():
            other.of(citizen).sheets = list(dossier.sheets)
        return other

    def of(self, citizen: str) -> Sheets:
        return self.dossiers.setdefault(citizen, Sheets())

    def record(
        self, commands: Sequence[AnyCommand], *, four_eyes: bool, atomic: bool = False, dry_run: bool = False
    ) -> list[Outcome]:
        before = self.copy().dossiers
        outcomes: list[Outcome] = []
        waiting: list[int] = []
        for index, command in enumerate(commands):
            outcomes.append(self.take(command, four_eyes=four_eyes))
            if outcomes[-1] in MENDED_BY_ANOTHER:
                waiting.append(index)
            progress = not isinstance(outcomes[-1], str)
            while progress:
                # Those of one dossier and one instant have no order of their own.
                progress = False
                for again in list(waiting):
                    other = commands[again]
                    if (other.citizen, other.occurred_at) != (command.citizen, command.occurred_at):
                        continue
                    outcomes[again] = self.take(other, four_eyes=four_eyes)
                    if not isinstance(outcomes[again], str):
                        waiting.remove(again)
                        progress = True
        refused = any(isinstance(outcome, str) for outcome in outcomes)
        if dry_run or (atomic and refused):
            self.dossiers = before
        if atomic and refused:
            for index, (command, outcome) in enumerate(zip(commands, outcomes, strict=True)):
                if not isinstance(outcome, str) and outcome[1] > len(self.of(command.citizen).sheets):
                    outcomes[index] = "not_recorded"
        return outcomes

    def take(self, command: AnyCommand, *, four_eyes: bool) -> Outcome:
        """Record one report, unless it is refused."""
        dossier = self.of(command.citizen)
        sheet = _sheet(command)
        for version, known in enumerate(dossier.sheets, 1):
            if known["key"] == command.key:
                same = sheet == {
                    name: value for name, value in known.items() if name not in ("asked", "split")
                }
                return ("duplicate", version) if same else "key_conflict"
        code = self.fault(dossier, sheet, four_eyes=four_eyes)
        return code or ("recorded", len(dossier.sheets))

    def fault(self, dossier: Sheets, sheet: dict[str, Any], *, four_eyes: bool) -> str:
        """Return why a sheet is refused; nothing once it was put to the others."""
        at = sheet["at"]
        if sheet["type"] == "reassigned" and sheet["corrects"] <= len(dossier.sheets):
            at = dossier[sheet["corrects"]]["at"]
        if sheet.get("unit") and sheet["unit"] not in self.valid_from:
            return "unknown_unit"
        if unit := sheet.get("unit"):
            day = at.astimezone(VIETNAM).date()
            if not self.valid_from[unit] <= day < self.ends.get(unit, date.max):
                return "unit_not_valid"
        if "corrects" in sheet:
            return self._correct(dossier, sheet, four_eyes=four_eyes)
        if sheet["type"] == "allocated":
            return self._allocate(dossier, sheet)
        code = dossier.levels().get(sheet["level"], Level()).fault(sheet)
        if not code:
            dossier.sheets.append(sheet)
        return code

    def _allocate(self, dossier: Sheets, sheet: dict[str, Any]) -> str:
        part, level = sheet["unit"], sheet["level"]
        here = {step["unit"] for step in dossier.steps() if step["level"] == level}
        split = {unit for unit in here if part in self.heirs.get(unit, ())}
        if not split:
            return "not_split"
        if {dossier.allocated().get((level, unit)) for unit in split} == {part}:
            return "nothing_changes"
        dossier.sheets.append({**sheet, "split": split})
        return ""

    def _correct(self, dossier: Sheets, sheet: dict[str, Any], *, four_eyes: bool) -> str:
        version, kind = sheet["corrects"], sheet["type"]
        if version > len(dossier.sheets) or dossier[version]["level"] != sheet["level"]:
            return "unknown_entry"
        entry = dossier[version]
        if not dossier.stands(version):
            return "already_voided"
        if kind in ("reassigned", "amended") and "corrects" in entry:
            return "is_correction"
        if kind in ("reassigned", "amended") and entry["type"] == "allocated":
            return "is_allocation"
        waits = dossier.waits(version)
        if kind == "confirmed":
            if not waits:
                return "nothing_to_confirm"
            if entry["actor"].lower() == sheet["actor"].lower():
                return "same_officer"
            if not dossier.stands(entry["corrects"]):
                return "already_voided"
        before = dossier.steps(), dossier.allocated()
        dossier.sheets.append({**sheet, "asked": False})
        code = ""
        if dossier.unlawful():
            code = "still_needed"
        elif (dossier.steps(), dossier.allocated()) == before and not (kind == "voided" and waits):
            code = "nothing_changes"
        if code:
            dossier.sheets.pop()
        else:
            dossier.sheets[-1]["asked"] = four_eyes and not waits
        return code

    def counts(self, ids: Mapping[str, str]) -> Counts:
        """Return the counts of all dossiers, the units by the ids of their leaves."""
        counts: Counts = Counter()
        for dossier in self.dossiers.values():
            for (measure, where), number in dossier.counts().items():
                counts[measure, where._replace(unit=by_hand.leaf(*map(ids.get, where.unit.split(">"))))] += (
                    number
                )
        return counts


def _sheet(command: AnyCommand) -> dict[str, Any]:
    """Return a report as it is written down: what is empty in a step is what it means."""
    sheet = {**msgspec.structs.asdict(command), "type": command.TYPE}
    del sheet["citizen"]
    sheet["at"] = sheet.pop("occurred_at")
    if "corrects" not in sheet and command.TYPE != "allocated":
        sheet["place"] = sheet["place"] or "other"
        sheet["partner"] = sheet["partner"] or "none"
        if command.TYPE == "collected":
            sheet["card"] = sheet["card"] or "valid"
    return sheet


def sums(events: Sequence[AnyDossierEvent]) -> dict[Change, tuple[int, int]]:
    """Return the counts that a follower has who adds up what each event says, and never looks back."""
    counts: Counter[Change] = Counter()
    persons: Counter[Change] = Counter()
    for event in events:
        for place, count, person in _said(event):
            counts[place] += count
            persons[place] += person
    places = {place for place in counts if counts[place] or persons[place]}
    return {place: (counts[place], persons[place]) for place in places}


def _said(event: AnyDossierEvent) -> Iterator[tuple[Change, int, int]]:
    if not isinstance(event, Step):
        for change in event.changes:
            yield msgspec.structs.replace(change, count=0, persons=0), change.count, change.persons
        return
    here = Change(
        type=event.TYPE,
        level=event.level,
        unit_id=event.unit_id,
        occurred_at=event.occurred_at,
        place=event.place,
        partner=event.partner,
        team=event.team,
        residence=event.residence,
        residence_on=event.residence_on,
        actor=event.actor,
        reason=getattr(event, "reason", None),
        allocated_id=event.allocated_id,
    )
    yield here, 1, int(event.first)
    entered = event.resumes if isinstance(event, Unlocked) else None
    moves = [(event.previous, -1), (entered, 1)]
    for stand, count in moves:
        if stand is not None and stand.state in WAITING:
            wait = Change(
                waits=stand.state,
                level=event.level,
                unit_id=event.collecting_unit_id,
                occurred_at=stand.occurred_at,
                place=stand.place,
                partner=stand.partner,
                team=stand.team,
                residence=stand.residence,
                residence_on=stand.residence_on,
                card=stand.card,
                actor=stand.actor,
                allocated_id=event.collecting_allocated_id,
            )
            yield wait, count, 0
    if event.TYPE in WAITING:
        wait = Change(
            waits=event.TYPE,
            level=event.level,
            unit_id=event.collecting_unit_id,
            occurred_at=event.occurred_at,
            place=event.place,
            partner=event.partner,
            team=event.team,
            residence=event.residence,
            residence_on=event.residence_on,
            card=event.card if isinstance(event, Collected) else "valid",
            actor=event.actor,
            allocated_id=event.collecting_allocated_id,
        )
        yield wait, 1, 0
