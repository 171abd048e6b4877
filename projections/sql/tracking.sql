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
-- Not a rebuild's: it serves nobody, and one that was killed stays where it was.
SELECT name, position, projections.recorded_at, error, head.size, head.recorded_at
FROM projections, head
WHERE right(name, 8) <> '.rebuild'
ORDER BY name;

-- position --
SELECT position
FROM projections
WHERE name = %(name)s;

-- head --
SELECT size
FROM head;
