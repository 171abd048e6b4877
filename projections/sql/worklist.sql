-- take_away --
DELETE FROM {worklist} AS w
USING unnest(%(dossier_id)b::uuid[], %(level)b::smallint[]) AS away (dossier_id, level)
WHERE w.dossier_id = away.dossier_id
  AND w.level = away.level;

-- move --
UPDATE {worklist} AS w
SET state     = moved.state,
    since     = moved.since,
    position  = moved.position,
    residence = moved.residence
FROM unnest(
    %(dossier_id)b::uuid[], %(level)b::smallint[], %(state)b::text[], %(since)b::timestamptz[],
    %(position)b::bigint[], %(residence)b::text[]
) AS moved (dossier_id, level, state, since, position, residence)
WHERE w.dossier_id = moved.dossier_id
  AND w.level = moved.level;

-- put --
INSERT INTO {worklist} (
    dossier_id, level, state, since, position, unit_id, allocated_id, leaf_id,
    residence, place, team, actor, card, attempt
)
SELECT *
FROM unnest(
    %(dossier_id)b::uuid[], %(level)b::smallint[], %(state)b::text[], %(since)b::timestamptz[], %(position)b::bigint[],
    %(unit_id)b::uuid[], %(allocated_id)b::uuid[], %(leaf_id)b::uuid[],
    %(residence)b::text[], %(place)b::text[], %(team)b::text[], %(actor)b::text[], %(card)b::text[], %(attempt)b::int[]
);

-- add_times --
INSERT INTO {times} AS t (leaf_id, level, step, day, seconds)
SELECT leaf_id, level, step, day, array_agg(seconds)
FROM unnest(
    %(leaf_id)b::uuid[], %(level)b::smallint[], %(step)b::text[], %(day)b::date[], %(seconds)b::bigint[]
) AS took (leaf_id, level, step, day, seconds)
GROUP BY leaf_id, level, step, day
ON CONFLICT (day, leaf_id, level, step) DO UPDATE
SET seconds = t.seconds || excluded.seconds;

-- take_off_time --
-- One of those that are equal.
UPDATE {times}
SET seconds = seconds[:array_position(seconds, %(seconds)s::bigint) - 1]
           || seconds[array_position(seconds, %(seconds)s::bigint) + 1:]
WHERE leaf_id = %(leaf_id)s
  AND level = %(level)s
  AND step = %(step)s
  AND day = %(day)s
  AND seconds @> ARRAY[%(seconds)s::bigint];

-- streams --
-- LATERAL and OFFSET 0: one look at the index for each, whatever the planner knows of a log that was never analysed.
SELECT entry.*
FROM unnest(%(ids)t::uuid[]) AS wanted (id),
     LATERAL (
         SELECT notification_id, originator_id, originator_version, topic, state, recorded_at
         FROM events
         WHERE originator_id = wanted.id
           AND notification_id <= %(position)b::bigint
         ORDER BY originator_version
         OFFSET 0
     ) AS entry;

-- keep_order --
-- For this transaction. How much of an index a piece reads is not known when it is planned: PostgreSQL takes it for little,
-- and would rather fetch all of it and sort. In the order of the index it ends as soon as the page is full.
SELECT set_config('enable_bitmapscan', 'off', true),
       set_config('enable_seqscan', 'off', true),
       set_config('enable_sort', 'off', true);

-- read_page --
-- One statement, so that the position and the page are of one moment. Dossiers of one clock that are overdue, or are not
-- yet, are a piece; each is an index read in its order until the page is full, and the page is the first of all pieces.
SELECT tracked.position, tracked.recorded_at, page.*
FROM projections AS tracked
LEFT JOIN (
    SELECT found.*
    FROM unnest(
             %(clocks)t::smallint[], %(lates)t::boolean[], %(afters)t::timestamptz[], %(after_ids)t::uuid[],
             %(after_levels)t::smallint[], %(befores)t::timestamptz[]
         ) AS piece (clock, late, after, after_id, after_level, before),
         LATERAL (
             SELECT piece.late, dossier_id, level, state, since, position, unit_id, allocated_id,
                    residence, place, team, actor, card, attempt, w.clock
             FROM worklist AS w
             WHERE w.clock = piece.clock
               AND (since, dossier_id, level) > (piece.after, piece.after_id, piece.after_level)
               AND since < piece.before
               AND (NOT %(scoped)b::boolean OR leaf_id = ANY(%(members)t::uuid[]))
               AND (%(as_of)b::bigint IS NULL OR position <= %(as_of)b::bigint)
               AND (%(level)b::smallint IS NULL OR level = %(level)b::smallint)
               AND (%(place)b::text IS NULL OR place = %(place)b::text)
               AND (%(team)b::text IS NULL OR team = %(team)b::text)
               AND (%(actor)b::text IS NULL OR actor = %(actor)b::text)
               AND (%(residence)b::text IS NULL OR residence = %(residence)b::text)
             ORDER BY since, dossier_id, level
             LIMIT %(limit)b::int
         ) AS found
    ORDER BY late DESC, since, dossier_id, level
    LIMIT %(limit)b::int
) AS page ON true
WHERE tracked.name = 'worklist'
ORDER BY late DESC, since, dossier_id, level;

-- read_page_of_leaves --
-- The same where the units are few: each has an index in the order of the page.
SELECT tracked.position, tracked.recorded_at, page.*
FROM projections AS tracked
LEFT JOIN (
    SELECT found.*
    FROM unnest(%(members)t::uuid[]) AS leaf (id),
         unnest(
             %(clocks)t::smallint[], %(lates)t::boolean[], %(afters)t::timestamptz[], %(after_ids)t::uuid[],
             %(after_levels)t::smallint[], %(befores)t::timestamptz[]
         ) AS piece (clock, late, after, after_id, after_level, before),
         LATERAL (
             SELECT piece.late, dossier_id, level, state, since, position, unit_id, allocated_id,
                    residence, place, team, actor, card, attempt, w.clock
             FROM worklist AS w
             WHERE w.leaf_id = leaf.id
               AND w.clock = piece.clock
               AND (since, dossier_id, level) > (piece.after, piece.after_id, piece.after_level)
               AND since < piece.before
               AND (%(as_of)b::bigint IS NULL OR position <= %(as_of)b::bigint)
               AND (%(level)b::smallint IS NULL OR level = %(level)b::smallint)
               AND (%(place)b::text IS NULL OR place = %(place)b::text)
             ORDER BY since, dossier_id, level
             LIMIT %(limit)b::int
         ) AS found
    ORDER BY late DESC, since, dossier_id, level
    LIMIT %(limit)b::int
) AS page ON true
WHERE tracked.name = 'worklist'
ORDER BY late DESC, since, dossier_id, level;

-- read_ages --
-- What waits by the business day (Vietnam) since when it waits, and how long took what ended on the days asked for; the
-- latter also over all buckets. One statement, so that all of it is of one position.
SELECT tracked.position, tracked.recorded_at, told.*
FROM projections AS tracked
LEFT JOIN (
    SELECT coalesce(bucket, -1) AS part,
           CASE WHEN state = 'collected' THEN 'approval' ELSE 'activation' END AS step,
           (since AT TIME ZONE INTERVAL '7 hours')::date AS day,
           count(*) AS number,
           NULL::bigint AS p50,
           NULL::bigint AS p90
    FROM worklist
    LEFT JOIN unnest(%(members)t::uuid[], %(buckets)t::int[]) AS tree (member, bucket) ON member = leaf_id
    WHERE (NOT %(scoped)b::boolean OR member IS NOT NULL)
      AND (%(level)b::smallint IS NULL OR level = %(level)b::smallint)
    GROUP BY 1, 2, 3
    UNION ALL
    SELECT CASE WHEN grouping(part) = 0 THEN part END,
           step,
           NULL,
           count(*),
           percentile_disc(0.5) WITHIN GROUP (ORDER BY took),
           percentile_disc(0.9) WITHIN GROUP (ORDER BY took)
    FROM (
        SELECT coalesce(bucket, -1) AS part, step, took
        FROM worklist_times
        LEFT JOIN unnest(%(members)t::uuid[], %(buckets)t::int[]) AS tree (member, bucket) ON member = leaf_id,
        unnest(seconds) AS took
        WHERE day >= %(from)b::date
          AND day < %(to)b::date
          AND (NOT %(scoped)b::boolean OR member IS NOT NULL)
          AND (%(level)b::smallint IS NULL OR level = %(level)b::smallint)
    ) AS ended
    GROUP BY GROUPING SETS ((part, step), (step))
) AS told ON true
WHERE tracked.name = 'worklist';
