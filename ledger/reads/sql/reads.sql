-- record --
SELECT first_position, recorded
FROM record_reads(%(ids)b::uuid[], %(topics)b::text[], %(states)b::bytea[]);

-- drops --
SELECT state
FROM events
WHERE originator_id = %(drops)b
ORDER BY originator_version;

-- last --
SELECT coalesce(whole.version, 0), embargo.*
FROM (
    SELECT max(originator_version) AS version
    FROM events
    WHERE originator_id = %(id)b
) AS whole
LEFT JOIN LATERAL (
    SELECT notification_id, originator_id, originator_version, topic, state, recorded_at
    FROM events
    WHERE originator_id = %(id)b
      AND topic = ANY (%(topics)s::text[])
    ORDER BY originator_version DESC
    LIMIT 1
) AS embargo ON true;

-- page --
SELECT notification_id, originator_id, originator_version, topic, state, recorded_at
FROM events
WHERE originator_id = %(id)b
  AND originator_version > %(seen)s::bigint
  AND originator_version <= %(version)s::bigint
  AND notification_id > %(after)s::bigint
ORDER BY originator_version
LIMIT %(limit)s::bigint;
