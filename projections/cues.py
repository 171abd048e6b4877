"""What is unusual in the log, for people to look at. A cue is never a verdict: it has a rule, a number, and the events.

Counts tell which officers, units and days could be a cue; only their events are read from the log. No personal data: staff
codes, and positions of the log.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from psycopg.sql import SQL

from ledger import Ledger, Unit, UnitTree, sql
from ledger.access import Principal, Right
from ledger.checks import check_day
from ledger.errors import FieldInvalidError, NotPermittedError, PersonalNumberError
from ledger.masking import may_be_number
from ledger.units import TreeOn
from projections.cue_rules import BY_NAME, RULES, TOGETHER_SECONDS, Rule, RuleName
from projections.hierarchies import places
from projections.status import ask
from projections.tables import as_array
from projections.totals import WAIT_SECONDS, Totals, open_totals
from projections.unit_totals import EVENTS, NAME

_QUERIES = sql.load("projections.sql", "cues.sql")
DAYS_ASKED = 31
CUES_MAX, POSITIONS_MAX = 1000, 1000


class CueQuery(msgspec.Struct, frozen=True):
    """A question about what is unusual."""

    rule: RuleName | None = None
    """Absent: all rules."""
    unit: str | None = None
    """Code of a unit, of the last day asked for: it and everything under it. Absent: the whole ledger."""
    actor: str | None = None
    """Only this officer's."""
    from_day: date | None = None
    """First business day (Asia/Ho_Chi_Minh) on which it happened, of ``backdated`` on which it was recorded. Absent: 30 days
    before the last."""
    to_day: date | None = None
    """Last day, included; absent: today."""
    threshold: int | None = None
    """Another number from which on it is told; only with a rule."""
    lag_days: int = 3
    before_days: int = 2
    """Of ``backdated``: how long before it was recorded it happened, and how long before a deadline that was."""
    seconds: int = 60
    """Of ``soon_after_approval``."""
    limit: int = 100
    offset: int = 0
    positions: int = 20
    """How many positions each cue tells."""
    positions_after: int = 0
    """Only positions after this one: how to page through those of one cue."""


class Cue(msgspec.Struct, frozen=True):
    """Something unusual, of one officer at one unit."""

    rule: RuleName
    unit: dict[str, str]
    """Where the events counted: code, name and level, as on the last day asked for."""
    actor: str
    """Staff code."""
    at: str
    """The day, hour or second (Vietnam), as the rule counts."""
    number: int
    threshold: int
    over: float
    """The number divided by the threshold: cues are sorted by it."""
    events: int
    """How many events are behind it."""
    positions: list[int]
    """Of those events in the log, some of them: see ``positions_after``."""


class CuesAnswer(msgspec.Struct, frozen=True, rename={"from_day": "from", "to_day": "to"}):
    """What is unusual, furthest over its threshold first. Never a verdict."""

    position: int
    """The ledger position that it is true for."""
    recorded_at: datetime
    """When the event at that position was recorded, UTC."""
    projection: str
    from_day: date
    to_day: date
    rules: list[Rule]
    """As they were applied."""
    total: int
    """How many cues there are in all."""
    cues: list[Cue]


class Cues:
    """Answers from the unit totals and the log; safe to share between threads."""

    def __init__(self, ledger: Ledger, totals: Totals) -> None:
        self._ledger, self._totals = ledger, totals

    def read(
        self,
        query: CueQuery,
        *,
        after: int | None = None,
        wait_seconds: float = WAIT_SECONDS,
        by: Principal | None = None,
    ) -> CuesAnswer:
        """Answer a question, at once or as soon as the projection has reached *after*.

        Args:
            by: Who asks; the ledger's own principal if absent. Positions lead to dossiers: they take the right to see
                which dossiers wait, and without any it takes that to see totals.

        Raises:
            NotPermittedError: They may not, or not of the unit; or they are of the public.
            FieldInvalidError: A number is out of its bounds, the last day is before the first, or a threshold has no rule.
            UnitError: The unit is no code, or was not valid on the last day.
            NotCaughtUpError: The projection did not reach *after* within *wait_seconds*.
            UnavailableError: The database cannot be reached, or the projection has lost its position.
        """
        right = Right.WORKLIST if query.positions else Right.TOTALS
        reader = self._totals.asking(by, right)
        check_day("from", query.from_day)
        check_day("to", query.to_day)
        last = query.to_day or self._totals.today()
        first = query.from_day or last - timedelta(DAYS_ASKED - 1)
        _check(query, first, last)

        def read(tree: UnitTree) -> CuesAnswer:
            scope = None if query.unit is None else tree.resolve(query.unit, last)
            self._totals.check_asked(reader, tree, scope, last, right=right)
            if self._totals.check_asked(reader, tree, scope, last):
                raise NotPermittedError(
                    "cues name officers and single events: they are not told to the public"
                )
            return self._read(query, tree, scope, first, last)

        return self._totals.read_in_tree(read, after=after, wait_seconds=wait_seconds)

    def _read(
        self, query: CueQuery, tree: UnitTree, scope: Unit | None, first: date, last: date
    ) -> CuesAnswer:
        upto = self._totals.position()
        moment = self._ledger.at(position=upto)
        called = _called(tree, last, scope)
        rules = [_applied(rule, query) for rule in RULES if query.rule in (None, rule.rule)]
        parameters = {
            "first": first,
            "last": last,
            "upto": upto,
            "actor": query.actor,
            "scoped": scope is not None,
            "leaves": as_array(list(called) if scope is not None else []),
            "topics": [f"dossier.{event}.v1" for event in EVENTS],
            "lag_days": query.lag_days,
            "before_days": query.before_days,
            "seconds": query.seconds,
        }
        cues: list[Cue] = []
        for rule in rules:
            more: dict[str, Any] = {"threshold": rule.threshold}
            if rule.rule == "backdated":
                more["deadlines"] = self._deadlines(upto, first, last, query.before_days)
            if rule.rule == "before_approval_was_known":
                more["seconds"] = TOGETHER_SECONDS
            rows = ask(
                self._ledger,
                SQL(_QUERIES[rule.rule]).format(activations=SQL(_QUERIES["activations"])),
                parameters | more,
            )
            cues += [_cue(rule, called, row, query) for row in rows]
        cues.sort(key=lambda cue: (-cue.over, cue.at, cue.unit["code"], cue.actor, cue.rule))
        page = cues[query.offset : query.offset + query.limit]
        return CuesAnswer(upto, moment.recorded_at, NAME, first, last, rules, len(cues), page)

    def _deadlines(self, upto: int, first: date, last: date, before_days: int) -> list[date]:
        """Return the deadlines of targets and the ends of months that matter for days of recording."""
        targets = self._ledger.targets(at=upto).standing()
        until = last + timedelta(before_days)
        found = {target.deadline for target in targets if first <= target.deadline <= until}
        return sorted({*found, *_ends_of_months(first, until)})


def _check(query: CueQuery, first: date, last: date) -> None:
    if query.actor is not None and may_be_number(query.actor):
        # It would be a parameter of a statement, which PostgreSQL may be told to log.
        raise PersonalNumberError("actor")
    if last < first:
        raise FieldInvalidError("to", f"{last} is before from, {first}")
    if query.threshold is not None and query.rule is None:
        raise FieldInvalidError("threshold", "name the rule that it is for")
    for name, least, most in (
        ("threshold", 1, 2**31 - 1),
        ("lag_days", 1, 36_500),
        ("before_days", 0, 366),
        ("seconds", 0, 86_400),
        ("limit", 1, CUES_MAX),
        ("offset", 0, 2**31 - 1),
        ("positions", 0, POSITIONS_MAX),
        ("positions_after", 0, 2**63 - 1),
    ):
        value = getattr(query, name)
        if value is not None and not least <= value <= most:
            raise FieldInvalidError(name, f"{value} is not from {least} to {most}")


def _applied(rule: Rule, query: CueQuery) -> Rule:
    sentence = rule.sentence.format(
        lag_days=query.lag_days, before_days=query.before_days, seconds=query.seconds
    )
    threshold = BY_NAME[rule.rule].threshold if query.threshold is None else query.threshold
    return msgspec.structs.replace(rule, sentence=sentence, threshold=threshold)


def _called(tree: UnitTree, day: date, scope: Unit | None) -> dict[UUID, Unit]:
    """Return what the leaves are called that count in the scope on a day; what has ended by its own last name."""
    on = TreeOn(tree, day)
    found: dict[UUID, Unit] = {}
    for leaf, place in places(on):
        if scope is None or scope.id in on.above(place.unit_id):
            known = leaf if leaf in tree.by_id else place.unit_id
            if known is not None:
                found[leaf] = tree.called(known, day)
    return found


def _cue(rule: Rule, called: Mapping[UUID, Unit], row: tuple[Any, ...], query: CueQuery) -> Cue:
    leaf, actor, at, number, positions = row
    unit = called.get(leaf)
    return Cue(
        rule.rule,
        {
            "code": unit.code if unit else "",
            "name": unit.name if unit else str(leaf),
            "level": unit.level if unit else "",
        },
        actor,
        at,
        number,
        rule.threshold,
        round(number / rule.threshold, 2),
        len(positions),
        [position for position in positions if position > query.positions_after][: query.positions],
    )


def _ends_of_months(first: date, last: date) -> Iterator[date]:
    day = first.replace(day=1)
    while day <= last:
        following = (day + timedelta(32)).replace(day=1)
        yield following - timedelta(1)
        day = following


def open_cues(ledger: Ledger) -> Cues:
    """Return the cues of an open ledger; as ``open_totals`` does, and with its errors."""
    return Cues(ledger, open_totals(ledger))
