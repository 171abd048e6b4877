"""The rules of cues: what is unusual, from which number on, and what harmless reasons there are. Data, no judgement."""

from typing import Literal, get_args

import msgspec

RuleName = Literal[
    "many_in_an_hour",
    "one_second",
    "backdated",
    "soon_after_approval",
    "before_approval_was_known",
]
RULE_NAMES: tuple[RuleName, ...] = get_args(RuleName)
TOGETHER_SECONDS = 300
"""An approval that the ledger learnt of so soon after the activation is one that was on its way: clocks and networks."""


class Rule(msgspec.Struct, frozen=True):
    """What a cue is about."""

    rule: RuleName
    sentence: str
    """What was counted, of one officer at one unit."""
    per: Literal["day", "hour", "second"]
    """What it was counted within, in Vietnam."""
    threshold: int
    """From this number on it is told."""
    harmless: str
    """Why it may well be in order."""


RULES: tuple[Rule, ...] = (
    Rule(
        "many_in_an_hour",
        "activations that happened in one hour",
        "hour",
        30,
        "A team that reports under one staff code; an enterprise or a school where people came prepared; times rounded to "
        "the hour in a paper list.",
    ),
    Rule(
        "one_second",
        "dossiers for which the same kind of event happened in one and the same second",
        "second",
        5,
        "A paper list or a file with times rounded to the minute, or to the day; a decision that was made for many at once.",
    ),
    Rule(
        "backdated",
        "events recorded {before_days} days or fewer before a deadline or the end of a month, that happened {lag_days} days or "
        "more before they were recorded",
        "day",
        10,
        "Paper from a place without network is typed in at the end of the month; another system's past is imported.",
    ),
    Rule(
        "soon_after_approval",
        "activations that happened {seconds} seconds or less after the approval, or the notice of it",
        "day",
        5,
        "The officer waited with the citizen for the answer; both times are those of one report.",
    ),
    Rule(
        "before_approval_was_known",
        "activations that happened before the ledger had learnt of the approval",
        "day",
        5,
        "Approvals arrive in the evening from another system, activations at once; a file was imported late.",
    ),
)
BY_NAME = {rule.rule: rule for rule in RULES}
