-- record --
SELECT first_position, recorded
FROM record_reads(%(ids)b::uuid[], %(topics)b::text[], %(states)b::bytea[]);

-- drops --
SELECT state
FROM events
WHERE originator_id = %(drops)b
ORDER BY originator_version;

-- of_dossier --
SELECT notification_id, originator_id, originator_version, topic, state, recorded_at
FROM events
WHERE originator_id = %(id)b
ORDER BY originator_version;
