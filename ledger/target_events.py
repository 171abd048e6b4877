"""The facts about targets and the populations they are measured against: all of them in one stream.

What is said of tags and fields in ``ledger/events.py`` holds here too.
"""

from datetime import date
from decimal import Decimal
from typing import Literal, get_args
from uuid import UUID

from ledger.facts import Fact

TARGETS_STREAM = UUID("00000000-0000-8000-8000-746172676574")
"""The one stream of all target events: two keepers can never set two targets of one issuer for one time."""

Measure = Literal["collected", "approved", "notified", "activated"]
"""What a target may ask for: counts of events, at the unit whose work they are."""
MEASURES: tuple[Measure, ...] = get_args(Measure)


class DenominatorSet(Fact, frozen=True, gc=False, kw_only=True, tag="denominator.set.v1"):
    """So many people of one kind live in a unit, from a day on; for the same day a later event takes the place of an earlier one."""

    unit_id: UUID
    name: str
    """Which people: ``eligible``, ``residents``."""
    value: int | None = None
    """How many; None: not available."""
    from_day: date
    """First business day (Asia/Ho_Chi_Minh) for which it holds, until the next one's."""
    source: str
    """Who says so."""
    actor: str = "local"


class TargetSet(Fact, frozen=True, gc=False, kw_only=True, tag="target.set.v1"):
    """Chỉ tiêu: a unit is to reach a number by a deadline."""

    target_id: UUID
    unit_id: UUID
    measure: Measure
    level: int | None = None
    """1 or 2; None: both together."""
    number: int | None = None
    """Either a number, or"""
    percent: Decimal | None = None
    """so many percent of a denominator; a text in the JSON."""
    denominator: str | None = None
    """The name of that denominator."""
    from_day: date
    """First business day (Asia/Ho_Chi_Minh) that counts."""
    deadline: date
    """Last business day that counts."""
    issuer: str
    """Who wants it: the Ministry, the province."""
    basis: str = ""
    """The paper that says so."""
    part_of: UUID | None = None
    """The target that it was cascaded from."""
    actor: str = "local"


class TargetWithdrawn(Fact, frozen=True, gc=False, kw_only=True, tag="target.withdrawn.v1"):
    """A target is taken back: from now on it is as if it had never been set."""

    target_id: UUID
    reason: str
    actor: str = "local"


TargetEvent = DenominatorSet | TargetSet | TargetWithdrawn
