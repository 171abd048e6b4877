"""Cues over HTTP; the same answer as the command line's."""

from datetime import date
from functools import partial
from typing import Annotated

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from api.admission import needs
from api.parameters import a_position
from api.problems import problems
from api.totals import After, UnitCode, read_aside
from ledger.access import Principal, Right
from projections import CueQuery, Cues, CuesAnswer, RuleName
from projections.cues import CUES_MAX, DAYS_ASKED, POSITIONS_MAX


class CueController(Controller):
    path = "/v1/cues"
    tags = ("totals",)

    @get(
        operation_id="get_cues",
        opt=needs(Right.TOTALS, Right.WORKLIST),
        summary="What is unusual, for people to look at; never a verdict",
        response_description="Cues, furthest over their threshold first, true for a position of the ledger.",
        responses=problems(400, 422, 503),
    )
    async def cues(
        self,
        cues: NamedDependency[Cues],
        principal: NamedDependency[Principal],
        rule: Annotated[RuleName | None, QueryParameter(description="Only this rule. Absent: all.")] = None,
        unit: UnitCode = None,
        actor: Annotated[
            str | None, QueryParameter(description="Only this officer's, by staff code.")
        ] = None,
        from_day: Annotated[
            date | None,
            QueryParameter(
                name="from",
                description="First day in Vietnam on which it happened, of backdated on which it was recorded; absent: "
                f"{DAYS_ASKED} days with the last.",
            ),
        ] = None,
        to_day: Annotated[
            date | None, QueryParameter(name="to", description="Last day, included; absent: today.")
        ] = None,
        threshold: Annotated[
            int | None,
            QueryParameter(ge=1, le=10**9, description="From which number on it is told; only with a rule."),
        ] = None,
        lag_days: Annotated[
            int,
            QueryParameter(
                ge=1, le=100_000, description="Of backdated: how long before it was recorded it happened."
            ),
        ] = 3,
        before_days: Annotated[
            int,
            QueryParameter(
                ge=0, le=10_000, description="Of backdated: how long before a deadline it was recorded."
            ),
        ] = 2,
        seconds: Annotated[
            int, QueryParameter(ge=0, le=10**7, description="Of soon_after_approval: how soon, in seconds.")
        ] = 60,
        limit: Annotated[int, QueryParameter(ge=1, le=CUES_MAX, description="How many cues.")] = 100,
        offset: Annotated[
            int, QueryParameter(ge=0, le=10**9, description="How many cues to leave out first.")
        ] = 0,
        positions: Annotated[
            int, QueryParameter(ge=0, le=POSITIONS_MAX, description="How many positions of each cue.")
        ] = 20,
        positions_after: Annotated[
            int, a_position("Only positions after this one, the last of the page before.")
        ] = 0,
        after: After = None,
    ) -> CuesAnswer:
        """Each cue has its rule and threshold, the officer, the unit, the day, hour or second, and the events behind it.

        Most have a harmless reason: each rule tells some. It is for people to look at the events, and to ask.
        """
        query = CueQuery(
            rule=rule,
            unit=unit,
            actor=actor,
            from_day=from_day,
            to_day=to_day,
            threshold=threshold,
            lag_days=lag_days,
            before_days=before_days,
            seconds=seconds,
            limit=limit,
            offset=offset,
            positions=positions,
            positions_after=positions_after,
        )
        return await read_aside(partial(cues.read, query, after=after, by=principal))
