-- append --
SELECT first_position, recorded
FROM append(
    %(ids)b::uuid[], %(versions)b::bigint[], %(topics)b::text[], %(states)b::bytea[],
    %(citizen_lookups)b::bytea[], %(citizen_dossiers)b::uuid[],
    %(citizen_sealed)b::bytea[], %(citizen_keys)b::bytea[],
    %(units_seen)b::bigint
);

-- claim_key --
SELECT claim_key(%(check)b);

-- head --
SELECT size, recorded_at, units_version
FROM head;

-- size --
-- eventsourcing reads the column max, and wants NULL of an empty log.
SELECT nullif(size, 0) AS max
FROM head;

-- read --
-- The log in order, for followers.
SELECT notification_id, originator_id, originator_version, topic, state, recorded_at
FROM events
WHERE notification_id > %(after)b::bigint
ORDER BY notification_id
LIMIT %(limit)b::bigint;

-- recorded_at --
SELECT recorded_at
FROM events
WHERE notification_id = %(position)b::bigint;

-- citizens --
-- The dossiers of a batch.
SELECT lookup, dossier_id, key
FROM citizens
WHERE lookup = ANY(%(lookups)b::bytea[]);

-- batch --
-- The dossiers of a batch with all their events, in one query; a citizen without a dossier gives no row. A dossier's
-- events come together and in order. OFFSET 0 keeps it what it is, one look at an index after the other: joined as the
-- planner likes, a log that was never analysed, as after a first import, is read from end to end for each batch.
SELECT wanted.lookup, dossier_id, key,
       notification_id, originator_id, originator_version, topic, state, recorded_at
FROM unnest(%(lookups)b::bytea[]) AS wanted (lookup),
     LATERAL (
         SELECT dossier_id, key
         FROM citizens
         WHERE citizens.lookup = wanted.lookup
         OFFSET 0
     ) AS citizen,
     LATERAL (
         SELECT notification_id, originator_id, originator_version, topic, state, recorded_at
         FROM events
         WHERE originator_id = dossier_id
         ORDER BY originator_version
         OFFSET 0
     ) AS entry;

-- stream_after --
SELECT notification_id, originator_id, originator_version, topic, state, recorded_at
FROM events
WHERE originator_id = %(id)b
  AND originator_version > %(after)b::bigint
ORDER BY originator_version
LIMIT %(limit)b::bigint;

-- sealed_of --
SELECT sealed, key
FROM citizens
WHERE dossier_id = %(id)b;

-- key_of --
SELECT key
FROM citizens
WHERE dossier_id = %(id)b;
