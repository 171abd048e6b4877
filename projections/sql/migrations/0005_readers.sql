-- What people and tools see that ask the read models directly: counts and how long what waits. Never which dossier or event
-- it is, nor the codes of officers.

GRANT SELECT (name, position, recorded_at) ON {schema}.projections TO {reader};
GRANT SELECT ON
    {schema}.unit_totals_ever,
    {schema}.unit_totals_month,
    {schema}.unit_totals_pentad,
    {schema}.unit_totals_day,
    {schema}.worklist_times
TO {reader};
GRANT SELECT (
    leaf_id, level, day, recorded_on, place, shift, partner, team, residence, residence_on, reason, event, waits, count
) ON {schema}.unit_totals_deltas TO {reader};
GRANT SELECT (
    level, state, since, unit_id, allocated_id, leaf_id, residence, place, team, card, attempt, clock
) ON {schema}.worklist TO {reader};
