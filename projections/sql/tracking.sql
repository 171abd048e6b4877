-- limit_silence --
-- A host that lost power says no more, and TCP waits hours for it to: its locks would keep everybody else from
-- counting. The second is for what the server still has to send; on a unix socket it means nothing.
SELECT set_config('idle_in_transaction_session_timeout', %(milliseconds)s::text, false),
       set_config('tcp_user_timeout', %(milliseconds)s::text, false);

-- lock --
-- The row lock lets one runner work at a time; the next one finds the position moved on.
SELECT position
FROM projections
WHERE name = %(name)s
FOR UPDATE;

-- read --
SELECT notification_id, originator_id, originator_version, topic, state, recorded_at
FROM events
WHERE notification_id > %(after)b::bigint
ORDER BY notification_id
LIMIT %(limit)b::bigint;

-- advance --
-- In the transaction that writes the tables: both, or neither.
UPDATE projections
SET position    = %(position)s,
    recorded_at = %(recorded_at)s,
    error       = NULL
WHERE name = %(name)s
  AND position = %(old)s;

-- stop --
UPDATE projections
SET error = %(error)s
WHERE name = %(name)s
  AND position = %(position)s - 1;

-- status --
-- The oldest event that is not counted has waited since it was recorded, by the clock that stamped it.
SELECT position, head.size, error,
       greatest(0, extract(epoch FROM clock_timestamp() - (
           SELECT events.recorded_at
           FROM events
           WHERE notification_id > coalesce(position, 0)
           ORDER BY notification_id
           LIMIT 1
       )))::float8
FROM head
LEFT JOIN projections ON name = %(name)s;

-- position --
SELECT position
FROM projections
WHERE name = %(name)s;

-- head --
SELECT size
FROM head;
