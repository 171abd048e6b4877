"""A made-up campaign: invented citizens and reports in the real units of Thanh Hoá.

Nothing here is true but the units. The shape follows what is known of the peak
of late 2024 (baothanhhoa.vn 234081): 173,000 activated in the province by
9 December, 17,000 of them in Nga Sơn, much of it in the evening and at weekends.

No clock, no environment: the same Campaign gives the same rows, byte for byte,
in every process, locale and Python from 3.11 on. Therefore all chance is
``random.Random.random()``, the one method whose stream Python promises to keep;
weights are whole numbers; and neither ``sum()`` of floats (changed in 3.12) nor
the C library's ``exp`` and ``log`` come near a decision.

All times are Asia/Ho_Chi_Minh, which has had the fixed offset +07:00 since 1975.

    plan.py       what to invent: a Campaign, its bounds, the figures it comes out at
    units.py      the units of 2024 and their people
    tables.py     how often, when, where, by whom
    days.py       the calendar, and instants of it
    drawing.py    simulate: citizens' lives, drawn from all that
    files.py      write: the import file
"""

from api.campaign.drawing import simulate
from api.campaign.files import COLUMNS, TYPES, DistrictCount, Row, Summary, write
from api.campaign.plan import (
    AHEAD,
    DEFAULT_END,
    DEFAULT_START,
    DOSSIERS_MAX,
    NOTICE,
    TREE_END,
    Campaign,
    made_up_name,
)
from api.campaign.units import communes, districts, populations

__all__ = [
    "AHEAD",
    "COLUMNS",
    "DEFAULT_END",
    "DEFAULT_START",
    "DOSSIERS_MAX",
    "NOTICE",
    "TREE_END",
    "TYPES",
    "Campaign",
    "DistrictCount",
    "Row",
    "Summary",
    "communes",
    "districts",
    "made_up_name",
    "populations",
    "simulate",
    "write",
]
