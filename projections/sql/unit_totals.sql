-- copy --
COPY {deltas} (
    position, leaf_id, level, day, recorded_on, place, shift, partner, team, actor, residence, residence_on, reason, event, waits,
    count
) FROM STDIN;

-- events --
collected, approved, rejected, notified,
activated, locked, unlocked, withdrawn

-- waits --
awaiting_approval, awaiting_activation, awaiting_long, awaiting_notified

-- summed_events --
sum(collected)::int, sum(approved)::int, sum(rejected)::int, sum(notified)::int,
sum(activated)::int, sum(locked)::int, sum(unlocked)::int, sum(withdrawn)::int

-- summed_waits --
sum(awaiting_approval)::int, sum(awaiting_activation)::int, sum(awaiting_long)::int, sum(awaiting_notified)::int

-- added_events --
collected = t.collected + excluded.collected,
approved  = t.approved  + excluded.approved,
rejected  = t.rejected  + excluded.rejected,
notified  = t.notified  + excluded.notified,
activated = t.activated + excluded.activated,
locked    = t.locked    + excluded.locked,
unlocked  = t.unlocked  + excluded.unlocked,
withdrawn = t.withdrawn + excluded.withdrawn

-- added_waits --
awaiting_approval   = t.awaiting_approval   + excluded.awaiting_approval,
awaiting_activation = t.awaiting_activation + excluded.awaiting_activation,
awaiting_long       = t.awaiting_long       + excluded.awaiting_long,
awaiting_notified   = t.awaiting_notified   + excluded.awaiting_notified

-- add --
-- Sums by day, each cell once; those by pentad, by month and of all days are their sums.
WITH delta AS MATERIALIZED (
    SELECT * FROM unnest(
        %(leaf_id)b::uuid[], %(level)b::smallint[], %(day)b::date[],
        %(collected)b::int[], %(approved)b::int[], %(rejected)b::int[], %(notified)b::int[],
        %(activated)b::int[], %(locked)b::int[], %(unlocked)b::int[], %(withdrawn)b::int[],
        %(awaiting_approval)b::int[], %(awaiting_activation)b::int[], %(awaiting_long)b::int[], %(awaiting_notified)b::int[]
    ) AS d (leaf_id, level, day, {events}, {waits})
),
added_day AS (
    INSERT INTO {day} AS t (leaf_id, level, day, {events}, {waits})
    SELECT * FROM delta
    ON CONFLICT (day, leaf_id, level) DO UPDATE
    SET {added_events}, {added_waits}
),
added_pentad AS (
    INSERT INTO {pentad} AS t (leaf_id, level, pentad, {events})
    SELECT leaf_id, level, first, {summed_events}
    FROM delta,
         -- The days 1, 6, 11, 16, 21 and 26.
         LATERAL (SELECT extract(day FROM day)::int - 1 AS number) AS n,
         LATERAL (SELECT day - (number - 5 * least(5, number / 5)) AS first) AS p
    GROUP BY leaf_id, level, first
    -- Often a day only begins or ends a wait.
    HAVING ({summed_events}) <> (0, 0, 0, 0, 0, 0, 0, 0)
    ON CONFLICT (pentad, leaf_id, level) DO UPDATE
    SET {added_events}
),
added_month AS (
    INSERT INTO {month} AS t (leaf_id, level, month, {events}, {waits})
    SELECT leaf_id, level, date_trunc('month', day::timestamp)::date AS month, {summed_events}, {summed_waits}
    FROM delta
    GROUP BY leaf_id, level, date_trunc('month', day::timestamp)::date
    ON CONFLICT (month, leaf_id, level) DO UPDATE
    SET {added_events}, {added_waits}
)
INSERT INTO {ever} AS t (leaf_id, level, {events}, {waits})
SELECT leaf_id, level, {summed_events}, {summed_waits}
FROM delta
GROUP BY leaf_id, level
ON CONFLICT (leaf_id, level) DO UPDATE
SET {added_events}, {added_waits};

-- coarse --
-- The sums of a question, each with its sign. One statement reads them, so that the position and the counts are of one
-- moment, also while a rebuild swaps the tables. Where no day matters, all of it comes from the sums of all days. Months
-- come from theirs; of one that is asked for in part, the days are added that are asked for, or those taken off again that
-- are not, whichever are fewer, five at a time as far as that goes. A month within which the tree changes is broken: its days
-- are read instead.
-- What awaits, awaits now: the days asked for do not bound it.
SELECT leaf_id, level, DATE '2000-01-01' AS day,
       {events},
       awaiting_approval, awaiting_activation,
       CASE WHEN %(bounded)b::boolean THEN 0 ELSE 1 END AS sign
FROM unit_totals_ever
WHERE %(ever)b::boolean
UNION ALL
SELECT leaf_id, level, month,
       {events},
       CASE WHEN %(ever)b::boolean THEN 0 ELSE awaiting_approval END,
       CASE WHEN %(ever)b::boolean THEN 0 ELSE awaiting_activation END,
       CASE WHEN month >= %(month_from)b::date AND month < %(month_to)b::date THEN 1 ELSE 0 END
FROM unit_totals_month
WHERE %(months)b::boolean
  AND month <> ALL(%(broken)t::date[])
  AND (NOT %(ever)b::boolean
       OR %(bounded)b::boolean AND month >= %(month_from)b::date AND month < %(month_to)b::date)
UNION ALL
SELECT leaf_id, level, day,
       {events},
       0, 0,
       CASE WHEN day = ANY(%(days_off)t::date[]) THEN -1 ELSE 1 END
FROM unit_totals_day
WHERE %(months)b::boolean
  AND day = ANY(%(days)t::date[])
UNION ALL
SELECT leaf_id, level, pentad,
       {events},
       0, 0,
       CASE WHEN pentad = ANY(%(pentads_off)t::date[]) THEN -1 ELSE 1 END
FROM unit_totals_pentad
WHERE %(months)b::boolean
  AND pentad = ANY(%(pentads)t::date[])
UNION ALL
SELECT leaf_id, level, day,
       {events},
       awaiting_approval, awaiting_activation,
       CASE WHEN day >= %(from)b::date AND day < %(to)b::date THEN 1 ELSE 0 END
FROM unit_totals_day
WHERE NOT %(months)b::boolean
   OR day = ANY(%(broken_days)t::date[])
UNION ALL
-- What has come since a position that is asked for.
SELECT leaf_id, level, day,
       CASE event WHEN 0 THEN -count ELSE 0 END, CASE event WHEN 1 THEN -count ELSE 0 END,
       CASE event WHEN 2 THEN -count ELSE 0 END, CASE event WHEN 3 THEN -count ELSE 0 END,
       CASE event WHEN 4 THEN -count ELSE 0 END, CASE event WHEN 5 THEN -count ELSE 0 END,
       CASE event WHEN 6 THEN -count ELSE 0 END, CASE event WHEN 7 THEN -count ELSE 0 END,
       CASE WHEN waits IN (0, 1) THEN -count ELSE 0 END, CASE WHEN waits IN (2, 3) THEN -count ELSE 0 END,
       CASE WHEN day >= %(from)b::date AND day < %(to)b::date THEN 1 ELSE 0 END
FROM unit_totals_deltas
WHERE position > %(since)b::bigint

-- coarse_summed --
-- The same where no day is told apart: summed for each leaf before it is looked up where that counts, which takes longer
-- than to add it. Days between which the tree changes are summed apart; any day of those before, or after, stands for all.
SELECT leaf_id, level, min(day) AS day,
       sum(sign * collected) AS collected,
       sum(sign * approved) AS approved,
       sum(sign * rejected) AS rejected,
       sum(sign * notified) AS notified,
       sum(sign * activated) AS activated,
       sum(sign * locked) AS locked,
       sum(sign * unlocked) AS unlocked,
       sum(sign * withdrawn) AS withdrawn,
       sum(awaiting_approval) AS awaiting_approval,
       sum(awaiting_activation) AS awaiting_activation,
       1 AS sign
FROM ({coarse}) AS signed
GROUP BY leaf_id, level, width_bucket(day, %(boundaries)t::date[])

-- read_coarse --
-- Leaves come with the bucket that they count in, from a day on and before another; -1 is the rest.
SELECT tracked.position, tracked.recorded_at, counted.*
FROM projections AS tracked
LEFT JOIN (
    SELECT {part_1} AS part_1,
           {part_2} AS part_2,
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
    FROM ({coarse}) AS parts
    LEFT JOIN unnest(%(members)t::uuid[], %(firsts)t::date[], %(afters)t::date[], %(buckets)t::int[])
        AS tree (member, first, after, bucket)
        ON member = leaf_id AND (first IS NULL OR parts.day >= first AND parts.day < after)
    WHERE (NOT %(scoped)b::boolean OR member IS NOT NULL)
      AND (%(level)b::smallint IS NULL OR level = %(level)b::smallint)
    GROUP BY 1, 2
    ORDER BY 1, 2
) AS counted ON true
WHERE tracked.name = 'unit_totals';

-- read_deltas --
-- The same of the deltas, up to a position: what else there is to ask, and what was known earlier.
SELECT tracked.position, tracked.recorded_at, counted.*
FROM projections AS tracked
LEFT JOIN (
    SELECT part_1, part_2,
           coalesce(sum(number) FILTER (WHERE event = 0 AND asked), 0)::bigint,
           coalesce(sum(number) FILTER (WHERE event = 1 AND asked), 0)::bigint,
           coalesce(sum(number) FILTER (WHERE event = 2 AND asked), 0)::bigint,
           coalesce(sum(number) FILTER (WHERE event = 3 AND asked), 0)::bigint,
           coalesce(sum(number) FILTER (WHERE event = 4 AND asked), 0)::bigint,
           coalesce(sum(number) FILTER (WHERE event = 5 AND asked), 0)::bigint,
           coalesce(sum(number) FILTER (WHERE event = 6 AND asked), 0)::bigint,
           coalesce(sum(number) FILTER (WHERE event = 7 AND asked), 0)::bigint,
           coalesce(sum(number) FILTER (WHERE waits IN (0, 1)), 0)::bigint,
           coalesce(sum(number) FILTER (WHERE waits IN (2, 3)), 0)::bigint
    FROM (
        SELECT {part_1} AS part_1,
               {part_2} AS part_2,
               event,
               waits,
               sign <> 0 AS asked,
               sum(count)::bigint AS number
        FROM (
            SELECT *, CASE WHEN day >= %(from)b::date AND day < %(to)b::date THEN 1 ELSE 0 END AS sign
            FROM unit_totals_deltas
            WHERE position <= %(cut)b::bigint
        ) AS parts
        {held}
        LEFT JOIN unnest(%(members)t::uuid[], %(firsts)t::date[], %(afters)t::date[], %(buckets)t::int[])
            AS tree (member, first, after, bucket)
            ON member = {leaf} AND (first IS NULL OR parts.day >= first AND parts.day < after)
        WHERE (NOT %(scoped)b::boolean OR member IS NOT NULL)
          AND (%(level)b::smallint IS NULL OR level = %(level)b::smallint)
          AND (sign <> 0 OR waits IS NOT NULL)
        GROUP BY 1, 2, event, waits, asked
    ) AS summed
    GROUP BY part_1, part_2
    ORDER BY part_1, part_2
) AS counted ON true
WHERE tracked.name = 'unit_totals';

-- held --
-- Of read_deltas: where the citizen lives, by the unit that the code meant when it was sent.
LEFT JOIN unnest(%(codes)t::text[], %(held_from)t::date[], %(held_before)t::date[], %(held_by)t::uuid[])
    AS held (code, held_from, held_before, holder)
    ON code = residence AND residence_on >= held_from AND residence_on < held_before

-- read_leaves --
-- Everything that was ever counted, by leaf: what a change of the tree moves.
SELECT tracked.position, tracked.recorded_at, counted.*
FROM projections AS tracked
LEFT JOIN (
    SELECT leaf_id,
           sum(collected)::bigint,
           sum(approved)::bigint,
           sum(rejected)::bigint,
           sum(notified)::bigint,
           sum(activated)::bigint,
           sum(locked)::bigint,
           sum(unlocked)::bigint,
           sum(withdrawn)::bigint,
           sum(awaiting_approval)::bigint,
           sum(awaiting_activation)::bigint
    FROM unit_totals_ever
    GROUP BY leaf_id
) AS counted ON true
WHERE tracked.name = 'unit_totals';

-- read_overdue --
-- What waits stands on the day since when it waits. So what is overdue is all that waits, less what
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
        SELECT leaf_id, level,
               awaiting_approval, awaiting_approval AS approval_overdue,
               awaiting_activation, awaiting_notified, awaiting_notified AS activation_overdue
        FROM unit_totals_ever
        UNION ALL
        SELECT leaf_id, level,
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
    LEFT JOIN unnest(%(members)t::uuid[], %(buckets)t::int[]) AS tree (member, bucket) ON member = leaf_id
    WHERE (NOT %(scoped)b::boolean OR member IS NOT NULL)
      AND (%(level)b::smallint IS NULL OR level = %(level)b::smallint)
    GROUP BY part
    ORDER BY part
) AS counted ON true
WHERE tracked.name = 'unit_totals';
