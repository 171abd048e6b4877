"""What to invent: the bounds of a campaign, and the printed figures that it is to come out at."""

from dataclasses import dataclass
from datetime import date

NOTICE = (
    "Invented data in real units: no citizen, officer or event in it is real; should somebody hold"
    " one of its numbers, that is chance."
    " / Dữ liệu giả định trên đơn vị hành chính có thật: công dân, cán bộ và sự kiện đều không có"
    " thật; nếu số định danh trùng với của ai thì chỉ là ngẫu nhiên."
)
"""Whoever prints or hands on a campaign says this with it. It is not in the file,
which must stay a valid import file."""

DEFAULT_END = date(2024, 12, 9)
"""The day of the printed figures."""
DEFAULT_START = date(2024, 10, 1)
"""Ten weeks before: with the ramp below the last days, still waiting for C06 or for
the citizen, are then few enough for 86.5 % of the dossiers to be active at the end."""
TREE_END = date(2024, 12, 31)
"""The last day of the tree of 2024; a later event would name units that are gone."""
DOSSIERS_MAX = 4_000_000
"""More than the province has citizens of 14 and older. The invented numbers of the
most frequent birth year would become scarce some way above it."""

AHEAD = "401"
"""Huyện Nga Sơn, the district ahead of the others."""
ACTIVATED_PERMILLE = 865
"""Activated events by the end of the campaign per 1,000 dossiers: 173,000 of 200,000."""
AHEAD_ACTIVATED_PERMILLE = 85
"""Those of them in Nga Sơn, per 1,000 dossiers of the province: 17,000 of 200,000."""
AHEAD_DOSSIERS_PERMILLE = 97
"""Dossiers that Nga Sơn collects, per 1,000 of the province; two and a half times its share of people."""


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """What to invent.

    Raises:
        ValueError: It cannot be invented in the tree of 2024.
    """

    dossiers: int
    """How many citizens; each is collected at least once."""
    seed: int
    """0 or more."""
    start: date = DEFAULT_START
    """First day, inclusive."""
    end: date = DEFAULT_END
    """Last day, inclusive to 23:59:59. What falls later is not written: those dossiers are waiting.
    A campaign of less than about four weeks is too short to reach the activated share."""

    def __post_init__(self) -> None:
        if not 1 <= self.dossiers <= DOSSIERS_MAX:
            raise ValueError(f"dossiers must be from 1 to {DOSSIERS_MAX}, not {self.dossiers}")
        if self.seed < 0:  # Random(-1) and Random(1) are the same stream.
            raise ValueError(f"seed must be 0 or more, not {self.seed}")
        if self.start > self.end:
            raise ValueError(f"the campaign ends on {self.end}, before it starts on {self.start}")
        if self.end > TREE_END:
            raise ValueError(f"the units of a made-up campaign are valid to {TREE_END}, not to {self.end}")


def made_up_name(campaign: Campaign, suffix: str = ".csv") -> str:
    """The file name that says what it is."""
    return f"made-up-campaign-{campaign.dossiers}-seed{campaign.seed}{suffix}"
