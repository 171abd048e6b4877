-- activations --
-- By the counts, officers with days busy enough; of the log only the activations of those days. Corrections are left out
-- (topics): they tell when a mistake was put right.
unit_totals_deltas
JOIN (
    SELECT leaf_id, actor, day
    FROM unit_totals_deltas
    WHERE event = 4
      AND count > 0
      AND day BETWEEN %(first)b::date AND %(last)b::date
      AND position <= %(upto)b::bigint
      AND actor <> 'self'
      AND (%(actor)b::text IS NULL OR actor = %(actor)b::text)
      AND (NOT %(scoped)b::boolean OR leaf_id = ANY(%(leaves)t::uuid[]))
    GROUP BY leaf_id, actor, day
    HAVING sum(count) >= %(threshold)b::int
) AS busy USING (leaf_id, actor, day)
JOIN events ON notification_id = position
WHERE event = 4
  AND count > 0
  AND position <= %(upto)b::bigint
  AND topic = ANY(%(topics)b::text[])

-- many_in_an_hour --
-- The hour is told nowhere but in the log.
SELECT leaf_id, actor, to_char(hour, 'YYYY-MM-DD HH24:00') AS at, count(*) AS number, array_agg(position ORDER BY position)
FROM (
    SELECT leaf_id, actor, position,
           date_trunc('hour', (convert_from(state, 'UTF8')::json ->> 'occurred_at')::timestamptz
               AT TIME ZONE interval '7 hours') AS hour
    FROM {activations}
) AS reports
GROUP BY leaf_id, actor, hour
HAVING count(*) >= %(threshold)b::int;

-- one_second --
SELECT leaf_id, actor, to_char(second, 'YYYY-MM-DD HH24:MI:SS') AS at, count(DISTINCT originator_id) AS number,
       array_agg(position ORDER BY position)
FROM (
    SELECT leaf_id, actor, position, originator_id, event,
           date_trunc('second', (convert_from(state, 'UTF8')::json ->> 'occurred_at')::timestamptz
               AT TIME ZONE interval '7 hours') AS second
    FROM unit_totals_deltas
    JOIN (
        SELECT leaf_id, actor, day, event
        FROM unit_totals_deltas
        WHERE event IS NOT NULL
          AND count > 0
          AND day BETWEEN %(first)b::date AND %(last)b::date
          AND position <= %(upto)b::bigint
          AND actor <> 'self'
          AND (%(actor)b::text IS NULL OR actor = %(actor)b::text)
          AND (NOT %(scoped)b::boolean OR leaf_id = ANY(%(leaves)t::uuid[]))
        GROUP BY leaf_id, actor, day, event
        HAVING sum(count) >= %(threshold)b::int
    ) AS busy USING (leaf_id, actor, day, event)
    JOIN events ON notification_id = position
    WHERE count > 0
      AND position <= %(upto)b::bigint
      AND topic = ANY(%(topics)b::text[])
) AS reports
GROUP BY leaf_id, actor, event, second
HAVING count(DISTINCT originator_id) >= %(threshold)b::int;

-- backdated --
-- All of it is told by the counts; of the log only whether it was a correction.
SELECT leaf_id, actor, recorded_on::text AS at, count(*) AS number, array_agg(position ORDER BY position)
FROM unit_totals_deltas
JOIN events ON notification_id = position
WHERE event IS NOT NULL
  AND count > 0
  AND recorded_on BETWEEN %(first)b::date AND %(last)b::date
  AND recorded_on - day >= %(lag_days)b::int
  AND EXISTS (
      SELECT FROM unnest(%(deadlines)b::date[]) AS deadline
      WHERE recorded_on BETWEEN deadline - %(before_days)b::int AND deadline
  )
  AND position <= %(upto)b::bigint
  AND topic = ANY(%(topics)b::text[])
  AND actor <> 'self'
  AND (%(actor)b::text IS NULL OR actor = %(actor)b::text)
  AND (NOT %(scoped)b::boolean OR leaf_id = ANY(%(leaves)t::uuid[]))
GROUP BY leaf_id, actor, recorded_on
HAVING count(*) >= %(threshold)b::int;

-- soon_after_approval --
-- An activation says of itself when the approval, or its notice, happened that it follows.
SELECT leaf_id, actor, day::text AS at, count(*) AS number, array_agg(position ORDER BY position)
FROM (
    SELECT leaf_id, actor, day, position, convert_from(state, 'UTF8')::json AS event
    FROM {activations}
) AS reports
WHERE (event ->> 'occurred_at')::timestamptz - (event -> 'previous' ->> 'occurred_at')::timestamptz
      <= make_interval(secs => %(seconds)b::int)
GROUP BY leaf_id, actor, day
HAVING count(*) >= %(threshold)b::int;

-- before_approval_was_known --
-- It happened before the ledger had learnt of the approval, and was not recorded together with that.
SELECT leaf_id, actor, day::text AS at, count(*) AS number, array_agg(position ORDER BY position)
FROM (
    SELECT leaf_id, actor, day, position, originator_id, originator_version, recorded_at,
           (convert_from(state, 'UTF8')::json ->> 'occurred_at')::timestamptz AS occurred_at,
           convert_from(state, 'UTF8')::json ->> 'level' AS level
    FROM {activations}
) AS reports
CROSS JOIN LATERAL (
    SELECT approval.recorded_at
    FROM events AS approval
    WHERE approval.originator_id = reports.originator_id
      AND approval.originator_version < reports.originator_version
      AND approval.topic = 'dossier.approved.v1'
      AND convert_from(approval.state, 'UTF8')::json ->> 'level' = reports.level
    ORDER BY approval.originator_version DESC
    LIMIT 1
) AS approved
WHERE approved.recorded_at < reports.recorded_at
  AND occurred_at < approved.recorded_at - make_interval(secs => %(seconds)b::int)
GROUP BY leaf_id, actor, day
HAVING count(*) >= %(threshold)b::int;
