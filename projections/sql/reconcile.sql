-- projections --
SELECT name, position, recorded_at
FROM projections
WHERE name = ANY(%(names)s);

-- log --
-- Dossier by dossier. The days are PostgreSQL's reckoning, not the program's.
COPY (
    SELECT originator_id::text, originator_version, notification_id,
           (recorded_at AT TIME ZONE interval '7 hours')::date, topic, state
    FROM events
    WHERE notification_id <= %(position)s
    ORDER BY originator_id, originator_version
) TO STDOUT (FORMAT binary);

-- unit_totals_deltas --
COPY (
    SELECT position, recorded_on, leaf_id::text, level, day,
           place, shift, partner, team, actor, residence, residence_on, reason, event, waits, count
    FROM unit_totals_deltas
) TO STDOUT (FORMAT binary);

-- unit_totals_day --
COPY (
    SELECT leaf_id::text, level, day,
           collected, approved, rejected, notified, activated, locked, unlocked, withdrawn,
           awaiting_approval, awaiting_activation, awaiting_long, awaiting_notified
    FROM unit_totals_day
) TO STDOUT (FORMAT binary);

-- unit_totals_pentad --
COPY (
    SELECT leaf_id::text, level, pentad,
           collected, approved, rejected, notified, activated, locked, unlocked, withdrawn
    FROM unit_totals_pentad
) TO STDOUT (FORMAT binary);

-- unit_totals_month --
COPY (
    SELECT leaf_id::text, level, month,
           collected, approved, rejected, notified, activated, locked, unlocked, withdrawn,
           awaiting_approval, awaiting_activation, awaiting_long, awaiting_notified
    FROM unit_totals_month
) TO STDOUT (FORMAT binary);

-- unit_totals_ever --
COPY (
    SELECT leaf_id::text, level, NULL::date,
           collected, approved, rejected, notified, activated, locked, unlocked, withdrawn,
           awaiting_approval, awaiting_activation, awaiting_long, awaiting_notified
    FROM unit_totals_ever
) TO STDOUT (FORMAT binary);

-- worklist --
COPY (
    SELECT dossier_id::text, level, state, since, position, unit_id::text, coalesce(allocated_id::text, ''), leaf_id::text,
           coalesce(residence, ''), place, coalesce(team, ''), actor, card, attempt
    FROM worklist
) TO STDOUT (FORMAT binary);

-- worklist_times --
COPY (
    SELECT day, leaf_id::text, level, step, seconds
    FROM worklist_times
) TO STDOUT (FORMAT binary);

-- unit_tree --
SELECT version
FROM unit_tree
ORDER BY version DESC;

-- units --
-- Everything that made the tree.
SELECT notification_id, originator_id, originator_version, topic, state, recorded_at
FROM events
WHERE originator_id = %(units)s
ORDER BY originator_version;

-- unit_reach --
SELECT unit_id, leaf_id, first, after
FROM unit_reach;

-- unit_names --
SELECT unit_id, code, name, level, parent_id, valid_from, valid_to
FROM unit_names;
