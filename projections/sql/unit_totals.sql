-- add --
-- Deltas of the fine grain, each cell once; the coarser grains are their sums.
WITH delta AS MATERIALIZED (
    SELECT * FROM unnest(
        %(unit_id)b::uuid[], %(level)b::smallint[], %(day)b::date[], %(recorded_on)b::date[],
        %(place)b::text[], %(shift)b::text[], %(partner)b::text[],
        %(collected)b::bigint[], %(approved)b::bigint[], %(rejected)b::bigint[], %(notified)b::bigint[],
        %(activated)b::bigint[], %(locked)b::bigint[], %(unlocked)b::bigint[],
        %(withdrawn)b::bigint[], %(awaiting_approval)b::bigint[], %(awaiting_activation)b::bigint[],
        %(awaiting_long)b::bigint[], %(awaiting_notified)b::bigint[]
    ) AS d (
        unit_id, level, day, recorded_on, place, shift, partner,
        collected, approved, rejected, notified, activated, locked, unlocked, withdrawn,
        awaiting_approval, awaiting_activation, awaiting_long, awaiting_notified
    )
),
added_fine AS (
    INSERT INTO {fine} AS t (
        unit_id, level, day, recorded_on, place, shift, partner,
        collected, approved, rejected, notified, activated, locked, unlocked, withdrawn,
        awaiting_approval, awaiting_activation, awaiting_long, awaiting_notified
    )
    SELECT * FROM delta
    ON CONFLICT (day, unit_id, level, recorded_on, place, shift, partner) DO UPDATE
    SET collected           = t.collected           + excluded.collected,
        approved            = t.approved            + excluded.approved,
        rejected            = t.rejected            + excluded.rejected,
        notified            = t.notified            + excluded.notified,
        activated           = t.activated           + excluded.activated,
        locked              = t.locked              + excluded.locked,
        unlocked            = t.unlocked            + excluded.unlocked,
        withdrawn           = t.withdrawn           + excluded.withdrawn,
        awaiting_approval   = t.awaiting_approval   + excluded.awaiting_approval,
        awaiting_activation = t.awaiting_activation + excluded.awaiting_activation,
        awaiting_long       = t.awaiting_long       + excluded.awaiting_long,
        awaiting_notified   = t.awaiting_notified   + excluded.awaiting_notified
),
added_day AS (
    INSERT INTO {day} AS t (
        unit_id, level, day,
        collected, approved, rejected, notified, activated, locked, unlocked, withdrawn,
        awaiting_approval, awaiting_activation, awaiting_long, awaiting_notified
    )
    SELECT unit_id, level, day,
           sum(collected)::bigint, sum(approved)::bigint, sum(rejected)::bigint, sum(notified)::bigint,
           sum(activated)::bigint, sum(locked)::bigint, sum(unlocked)::bigint,
           sum(withdrawn)::bigint, sum(awaiting_approval)::bigint, sum(awaiting_activation)::bigint,
           sum(awaiting_long)::bigint, sum(awaiting_notified)::bigint
    FROM delta
    GROUP BY unit_id, level, day
    ON CONFLICT (day, unit_id, level) DO UPDATE
    SET collected           = t.collected           + excluded.collected,
        approved            = t.approved            + excluded.approved,
        rejected            = t.rejected            + excluded.rejected,
        notified            = t.notified            + excluded.notified,
        activated           = t.activated           + excluded.activated,
        locked              = t.locked              + excluded.locked,
        unlocked            = t.unlocked            + excluded.unlocked,
        withdrawn           = t.withdrawn           + excluded.withdrawn,
        awaiting_approval   = t.awaiting_approval   + excluded.awaiting_approval,
        awaiting_activation = t.awaiting_activation + excluded.awaiting_activation,
        awaiting_long       = t.awaiting_long       + excluded.awaiting_long,
        awaiting_notified   = t.awaiting_notified   + excluded.awaiting_notified
)
INSERT INTO {month} AS t (
    unit_id, level, month,
    collected, approved, rejected, notified, activated, locked, unlocked, withdrawn,
    awaiting_approval, awaiting_activation, awaiting_long, awaiting_notified
)
SELECT unit_id, level, date_trunc('month', day::timestamp)::date AS month,
       sum(collected)::bigint, sum(approved)::bigint, sum(rejected)::bigint, sum(notified)::bigint,
       sum(activated)::bigint, sum(locked)::bigint, sum(unlocked)::bigint,
       sum(withdrawn)::bigint, sum(awaiting_approval)::bigint, sum(awaiting_activation)::bigint,
       sum(awaiting_long)::bigint, sum(awaiting_notified)::bigint
FROM delta
GROUP BY unit_id, level, date_trunc('month', day::timestamp)::date
ON CONFLICT (month, unit_id, level) DO UPDATE
SET collected           = t.collected           + excluded.collected,
    approved            = t.approved            + excluded.approved,
    rejected            = t.rejected            + excluded.rejected,
    notified            = t.notified            + excluded.notified,
    activated           = t.activated           + excluded.activated,
    locked              = t.locked              + excluded.locked,
    unlocked            = t.unlocked            + excluded.unlocked,
    withdrawn           = t.withdrawn           + excluded.withdrawn,
    awaiting_approval   = t.awaiting_approval   + excluded.awaiting_approval,
    awaiting_activation = t.awaiting_activation + excluded.awaiting_activation,
    awaiting_long       = t.awaiting_long       + excluded.awaiting_long,
    awaiting_notified   = t.awaiting_notified   + excluded.awaiting_notified;

-- create_rebuild --
DROP TABLE IF EXISTS {month}, {day}, {fine};
CREATE TABLE {month} (LIKE {live_month} INCLUDING ALL) WITH (fillfactor = 70);
CREATE TABLE {day} (LIKE {live_day} INCLUDING ALL) WITH (fillfactor = 70);
CREATE TABLE {fine} (LIKE {live_fine} INCLUDING ALL) WITH (fillfactor = 70);
DELETE FROM projections WHERE name = 'unit_totals.rebuild';
INSERT INTO projections (name, position, recorded_at)
VALUES ('unit_totals.rebuild', 0, '1970-01-01 00:00:00+00');

-- swap --
-- In one transaction, with the live tracking row locked: readers see the old tables or the new ones.
-- While this waits for a reader, all others wait behind it: so it gives up soon (55P03), to be tried again.
SET LOCAL lock_timeout = '200ms';
LOCK TABLE {live_month}, {live_day}, {live_fine};
DO $$
DECLARE
    statement text;
BEGIN
    -- Who may do what is the operator's to say, also of single columns.
    FOR statement IN
        SELECT format(
            'GRANT %s%s ON %s TO %s%s',
            privilege_type,
            '(' || quote_ident(attname) || ')',
            new,
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
            CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END
        )
        FROM (VALUES ('{live_month}'::regclass, '{month}'), ('{live_day}', '{day}'), ('{live_fine}', '{fine}'))
             AS tables (live, new),
             LATERAL (
                 SELECT relacl AS acl, relowner AS owner, NULL::name AS attname FROM pg_class WHERE oid = live
                 UNION ALL
                 SELECT attacl, NULL, attname FROM pg_attribute WHERE attrelid = live
             ) AS rights,
             aclexplode(acl)
        WHERE grantee IS DISTINCT FROM owner
    LOOP
        EXECUTE statement;
    END LOOP;
END
$$;
DROP TABLE {live_month}, {live_day}, {live_fine};
ALTER TABLE {month} RENAME TO {live_month};
ALTER TABLE {day} RENAME TO {live_day};
ALTER TABLE {fine} RENAME TO {live_fine};
INSERT INTO projections (name, position, recorded_at)
SELECT 'unit_totals', position, recorded_at
FROM projections
WHERE name = 'unit_totals.rebuild'
ON CONFLICT (name) DO UPDATE
SET position    = excluded.position,
    recorded_at = excluded.recorded_at,
    error       = NULL;
DELETE FROM projections WHERE name = 'unit_totals.rebuild';

-- read_coarse --
-- One statement, so that the position and the counts are of one moment, also while a rebuild
-- swaps the tables. Months come from the roll-up; of one that is asked for in part, the days are added
-- that are asked for, or those taken off again that are not, whichever are fewer.
-- What awaits, awaits now: the days asked for do not bound it. Units come with the bucket that
-- they count in; -1 is the rest.
SELECT tracked.position, tracked.recorded_at, counted.*
FROM projections AS tracked
LEFT JOIN (
    SELECT CASE %(by)b::text WHEN 'level' THEN level ELSE coalesce(bucket, -1) END AS part,
           sum(sign * collected)::bigint,
           sum(sign * approved)::bigint,
           sum(sign * rejected)::bigint,
           sum(sign * notified)::bigint,
           sum(sign * activated)::bigint,
           sum(sign * locked)::bigint,
           sum(sign * unlocked)::bigint,
           sum(sign * withdrawn)::bigint,
           sum(awaiting_approval)::bigint,
           sum(awaiting_activation)::bigint
    FROM (
        SELECT unit_id, level,
               collected, approved, rejected, notified, activated, locked, unlocked, withdrawn,
               awaiting_approval, awaiting_activation,
               CASE WHEN month >= %(month_from)b::date AND month < %(month_to)b::date THEN 1 ELSE 0 END AS sign
        FROM unit_totals_month
        UNION ALL
        SELECT unit_id, level,
               collected, approved, rejected, notified, activated, locked, unlocked, withdrawn,
               0::bigint, 0::bigint,
               CASE WHEN day < %(head_to)b::date THEN %(head_sign)b::int ELSE %(tail_sign)b::int END
        FROM unit_totals_day
        WHERE (day >= %(head_from)b::date AND day < %(head_to)b::date)
           OR (day >= %(tail_from)b::date AND day < %(tail_to)b::date)
    ) AS parts
    LEFT JOIN unnest(%(members)t::uuid[], %(buckets)t::int[]) AS tree (member, bucket) ON member = unit_id
    WHERE (NOT %(scoped)b::boolean OR member IS NOT NULL)
      AND (%(level)b::smallint IS NULL OR level = %(level)b::smallint)
    GROUP BY part
    ORDER BY part
) AS counted ON true
WHERE tracked.name = 'unit_totals';

-- read_days --
SELECT tracked.position, tracked.recorded_at, counted.*
FROM projections AS tracked
LEFT JOIN (
    SELECT day,
           sum(collected)::bigint, sum(approved)::bigint, sum(rejected)::bigint, sum(notified)::bigint,
           sum(activated)::bigint, sum(locked)::bigint, sum(unlocked)::bigint, sum(withdrawn)::bigint,
           sum(awaiting_approval)::bigint, sum(awaiting_activation)::bigint
    FROM unit_totals_day
    WHERE (%(units)t::uuid[] IS NULL OR unit_id = ANY(%(units)t::uuid[]))
      AND (%(level)b::smallint IS NULL OR level = %(level)b::smallint)
    GROUP BY day
    ORDER BY day
) AS counted ON true
WHERE tracked.name = 'unit_totals';

-- read_overdue --
-- What waits stands on the day since when it waits. So what is overdue is all that waits, which the months tell, less what
-- has waited only since a day after the last one of its time limit: those are the days of some two weeks.
SELECT tracked.position, tracked.recorded_at, counted.*
FROM projections AS tracked
LEFT JOIN (
    SELECT coalesce(bucket, -1) AS part,
           sum(awaiting_approval)::bigint,
           sum(approval_overdue)::bigint,
           sum(awaiting_activation)::bigint,
           sum(awaiting_notified)::bigint,
           sum(activation_overdue)::bigint
    FROM (
        SELECT unit_id, level,
               awaiting_approval, awaiting_approval AS approval_overdue,
               awaiting_activation, awaiting_notified, awaiting_notified AS activation_overdue
        FROM unit_totals_month
        UNION ALL
        SELECT unit_id, level,
               0,
               CASE WHEN day > CASE level WHEN 1 THEN %(level_1)b::date ELSE %(level_2)b::date END
                   THEN awaiting_long - awaiting_approval ELSE 0
               END
               - CASE WHEN day > %(long)b::date THEN awaiting_long ELSE 0 END,
               0,
               0,
               CASE WHEN day > %(notified)b::date THEN -awaiting_notified ELSE 0 END
        FROM unit_totals_day
        WHERE day > %(first)b::date
    ) AS parts
    LEFT JOIN unnest(%(members)t::uuid[], %(buckets)t::int[]) AS tree (member, bucket) ON member = unit_id
    WHERE (NOT %(scoped)b::boolean OR member IS NOT NULL)
      AND (%(level)b::smallint IS NULL OR level = %(level)b::smallint)
    GROUP BY part
    ORDER BY part
) AS counted ON true
WHERE tracked.name = 'unit_totals';

-- read_fine --
SELECT tracked.position, tracked.recorded_at, counted.*
FROM projections AS tracked
LEFT JOIN (
    SELECT CASE %(by)b::text
               WHEN 'place' THEN place
               WHEN 'shift' THEN shift
               WHEN 'partner' THEN partner
               ELSE recorded_on::text
           END AS part,
           coalesce(sum(collected) FILTER (WHERE asked), 0)::bigint,
           coalesce(sum(approved)  FILTER (WHERE asked), 0)::bigint,
           coalesce(sum(rejected)  FILTER (WHERE asked), 0)::bigint,
           coalesce(sum(notified)  FILTER (WHERE asked), 0)::bigint,
           coalesce(sum(activated) FILTER (WHERE asked), 0)::bigint,
           coalesce(sum(locked)    FILTER (WHERE asked), 0)::bigint,
           coalesce(sum(unlocked)  FILTER (WHERE asked), 0)::bigint,
           coalesce(sum(withdrawn) FILTER (WHERE asked), 0)::bigint,
           sum(awaiting_approval)::bigint,
           sum(awaiting_activation)::bigint
    FROM (
        SELECT *, NOT %(bounded)b::boolean OR (day >= %(from)b::date AND day < %(to)b::date) AS asked
        FROM unit_totals_fine
    ) AS fine
    WHERE (%(units)t::uuid[] IS NULL OR unit_id = ANY(%(units)t::uuid[]))
      AND (%(level)b::smallint IS NULL OR level = %(level)b::smallint)
    GROUP BY part
    ORDER BY part
) AS counted ON true
WHERE tracked.name = 'unit_totals';
