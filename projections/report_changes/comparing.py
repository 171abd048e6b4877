"""A report then and now: its rows, and the events that make the difference."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, get_args
from uuid import UUID

from msgspec.structs import replace
from psycopg.sql import SQL, Composed

from ledger import FrozenReport, Ledger, UnitTree, sql
from ledger.errors import UnitNotValidError
from ledger.events import Allocated, AnyCorrection, DossierEvent, Recorded, Step, topic_of
from ledger.store import recorded
from ledger.unit_events import ReorganisationWithdrawn
from ledger.units import Unit
from projections.errors import CountsDifferError
from projections.frozen_reports import question_of
from projections.hierarchies import UNALLOCATED, Hierarchy, Rows, holders
from projections.report_changes.answers import ChangingEvent, CountChange, Kind, added
from projections.report_changes.moving import effective_of, moves_any, together
from projections.totals import BY_UNITS, Totals, TotalsAnswer, TotalsQuery
from projections.totals.statements import parts_of
from projections.unit_totals import MEASURES

_QUERIES = sql.load("projections.sql", "report_changes.sql")

Key = tuple[Any, ...]
"""Which row: for a unit its id, or what it is called where no unit is."""


def itself(tree: UnitTree) -> UnitTree:
    """Return a tree, for whoever asks for nothing else in it."""
    return tree


class Comparison:
    """A report then and now, in the tree of each."""

    def __init__(
        self,
        totals: Totals,
        frozen: FrozenReport,
        answer: TotalsAnswer,
        before: UnitTree,
        tree: UnitTree,
        position: int,
    ) -> None:
        self._totals = totals
        self._asked = frozen.report.definition
        self._since, self._position = frozen.report.position, position
        self._frozen, self._before, self._tree = answer, before, tree
        self._day = (
            self._asked.to_day
            if self._asked.hierarchy == "then"
            else date.fromisoformat(self._asked.hierarchy)
        )
        self._scope = self._unit_now()
        question = replace(question_of(frozen.report, position=position), compare=None)
        self._question = replace(question, unit=self._scope and self._scope.code)
        self._rows = self._rows_now(self._question)
        self._told: dict[Key, dict[str, Any]] = {}
        """What rows are called: as now, else as then."""
        self._kinds = self._changed()

    def _unit_now(self) -> Unit | None:
        """Return what the unit that the report is about is on its day by now; it may have another code."""
        if self._asked.unit is None:
            return None
        then = self._before.resolve(self._asked.unit, self._day)
        now = self._tree.unit_on(then.id, self._day)
        if now is None:
            why = "it is no unit of that day any more, by what was recorded since the report was frozen"
            raise UnitNotValidError(then.code, self._day, why)
        return now

    def _rows_now(self, question: TotalsQuery) -> Rows:
        hierarchy: Hierarchy = "then" if self._asked.hierarchy == "then" else self._day
        return self._totals.rows(self._tree, hierarchy, self._day, self._scope, question.by_units)

    def _compose(self, name: str) -> Composed:
        touched = SQL(_QUERIES["touched"]).format(**parts_of(self._question))
        return SQL(_QUERIES[name]).format(touched=touched, kind=SQL(_QUERIES["kind"]))

    def _parameters(self, since: int) -> dict[str, Any]:
        first, after_last = self._question.days
        residences = {} if self._asked.attribution == "acting" else holders(self._tree)
        return (
            self._rows.parameters
            | residences
            | {
                "level": self._asked.level,
                "from": first,
                "to": after_last,
                "since": since,
                "cut": self._position,
                "cut_at": self._frozen.recorded_at,
                "corrections": [topic_of(event) for event in get_args(AnyCorrection)],
                "allocations": [topic_of(Allocated)],
            }
        )

    def _changed(self) -> dict[Key, dict[str, dict[str, int]]]:
        """Return what events since have added, by row, measure and kind."""
        found: dict[Key, dict[str, dict[str, int]]] = defaultdict(
            lambda: defaultdict(lambda: defaultdict(int))
        )
        _, _, rows = self._totals.ask(self._compose("changed_rows"), self._parameters(self._since))
        told = self._keys_of({part for row in rows for part in self._buckets(row[:2])})
        for part_1, part_2, kind, measure, number in rows:
            row = self._named((part_1, part_2), told)
            key = self._key(row, self._tree)
            self._told.setdefault(key, row)
            found[key][MEASURES[measure]][kind] += number
        return found

    def _buckets(self, parts: Sequence[Any]) -> list[int]:
        pairs = zip(self._question.bys, parts, strict=False)
        return [int(part) for by, part in pairs if by in BY_UNITS]

    def _keys_of(self, buckets: Iterable[int]) -> dict[int, dict[str, str | None]]:
        return dict(self._rows.keys(list(buckets)))

    def _named(self, parts: Sequence[Any], units: Mapping[int, dict[str, str | None]]) -> dict[str, Any]:
        """Return what the row of an event's counts is of."""
        return {
            "unit" if by in BY_UNITS else by: units.get(int(part), UNALLOCATED) if by in BY_UNITS else part
            for by, part in zip(self._question.bys, parts, strict=False)
        }

    def _key(self, row: Mapping[str, Any], tree: UnitTree) -> Key:
        """Return what a row is of, whatever it is called: a unit by its id."""
        return tuple(
            _identity(row["unit"], tree, self._day) if by in BY_UNITS else row[by]
            for by in self._question.bys
        )

    def _names(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {name: row[name] for name in self._question.names}

    def rows(self) -> tuple[list[dict[str, Any]], dict[str, CountChange]]:
        """Return every row of both, and the sums.

        Raises:
            CountsDifferError: They do not add up.
        """
        now = self._totals.count(self._question)
        counts_now = {self._key(row, self._tree): row for row in now.rows}
        frozen = {self._key(row, self._before): row for row in self._frozen.rows}
        rows: list[dict[str, Any]] = []
        for key in dict.fromkeys([*counts_now, *self._kinds, *frozen]):
            named = counts_now.get(key) or self._told.get(key) or frozen[key]
            counts = {
                name: self._change(
                    key, name, frozen.get(key, {}).get(name, 0), counts_now.get(key, {}).get(name, 0)
                )
                for name in MEASURES
            }
            rows.append(self._names(named) | {"counts": counts})
        sums = {name: added([row["counts"][name] for row in rows]) for name in MEASURES}
        if _moved_any(rows) and self._tree.version == self._before.version:
            raise CountsDifferError(self._since, self._position)
        return rows, sums

    def _change(self, key: Key, name: str, frozen: int, now: int) -> CountChange:
        kinds = self._kinds.get(key, {}).get(name, {})
        # What no event accounts for was moved: it counts in another row now, or does not any more.
        return CountChange(frozen, now, now - frozen, **kinds, moved=now - frozen - sum(kinds.values()))

    def events(
        self, ledger: Ledger, rows: Sequence[Mapping[str, Any]], kind: Kind | None, after: int, limit: int
    ) -> tuple[list[ChangingEvent], bool]:
        """Return a page of what changes the report, and whether there is more.

        Args:
            rows: As ``rows`` returns them: units have changed it only where something of them was moved.
        """
        moved = self._reorganisations(ledger, after) if kind in (None, "moved") and _moved_any(rows) else []
        found = [] if kind == "moved" else self._page(kind, after, limit + 1)
        events = sorted([*moved, *found], key=lambda event: event.position)
        return events[:limit], len(events) > limit

    def _page(self, kind: Kind | None, after: int, limit: int) -> list[ChangingEvent]:
        parameters = self._parameters(after) | {"kind": kind, "limit": limit}
        _, _, rows = self._totals.ask(self._compose("changing_events"), parameters)
        units = self._keys_of(
            bucket for row in rows for parts in zip(*row[1:3], strict=True) for bucket in self._buckets(parts)
        )
        events = []
        for why, parts_1, parts_2, measures, numbers, *entry in rows:
            parts = zip(parts_1, parts_2, strict=True)
            keys = [self._named(pair, units) for pair in parts]
            changes = [
                {**row, "measure": MEASURES[measure], "count": number}
                for row, measure, number in zip(keys, measures, numbers, strict=True)
            ]
            position, stream, version, topic, state, recorded_at = entry
            event = recorded((position, stream, version, topic, state, recorded_at))
            events.append(self._tell(why, event, changes))
        return events

    def _tell(self, kind: Kind, entry: Recorded, changes: list[dict[str, Any]]) -> ChangingEvent:
        event = entry.event
        assert isinstance(event, DossierEvent), entry.position
        unit_id = event.unit_id if isinstance(event, Step | Allocated) else _first_unit(event)
        day = event.occurred_at.date()
        return ChangingEvent(
            entry.position,
            kind,
            event.TYPE,
            None if unit_id is None else self._tree.called(unit_id, day).code,
            event.occurred_at,
            None,
            entry.recorded_at,
            None,
            changes,
        )

    def _reorganisations(self, ledger: Ledger, after: int) -> list[ChangingEvent]:
        """Return the changes of units since that move something."""
        found = []
        for position, last, event in together(self._tree.entries[self._before.version :]):
            effective = effective_of(event, self._tree)
            if position <= after or not self._moves(position, last, effective):
                continue
            type_ = "reorganised" if event.reorganisation is not None else "opened"
            detail = event.decree if not isinstance(event, ReorganisationWithdrawn) else event.reason
            if isinstance(event, ReorganisationWithdrawn):
                type_ = "withdrawn"
            at = ledger.at(position=position).recorded_at
            found.append(ChangingEvent(position, "moved", type_, None, None, effective, at, detail, []))
        return found

    def _moves(self, first: int, last: int, effective: date) -> bool:
        """Return whether a change of units puts any unit elsewhere on a day of the report, within its unit."""
        days = {self._day} if self._asked.hierarchy != "then" else {self._day, min(effective, self._day)}
        before, since = (
            self._totals.read_in_tree(itself, at=(position, self._frozen.recorded_at))
            for position in (first - 1, last)
        )
        return moves_any(before, since, days, None if self._scope is None else self._scope.id)


def _identity(unit: Mapping[str, str | None], tree: UnitTree, day: date) -> object:
    """Return the id of a unit as a row calls it; what it is called where that is nobody, or several."""
    code = unit["code"]
    if code is None:
        return None
    found = {
        one.id
        for one in tree.by_code.get(code, ())
        if (called := tree.called(one.id, day)).code == code
        and (called.name, called.level) == (unit["name"], unit["level"])
    }
    return found.pop() if len(found) == 1 else tuple(unit.values())


def _moved_any(rows: Sequence[Mapping[str, Any]]) -> bool:
    return any(change.moved for row in rows for change in row["counts"].values())


def _first_unit(event: DossierEvent) -> UUID | None:
    """Return where a correction takes off what it takes off first."""
    changes = getattr(event, "changes", ())
    return changes[0].unit_id if changes else None
