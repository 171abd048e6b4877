-- changed --
-- Whether the log has another tree than what is written.
SELECT units_version
FROM head
WHERE units_version <> coalesce((SELECT version FROM {tree}), 0);

-- changes --
-- Everything that made the tree.
SELECT notification_id, originator_id, originator_version, topic, state, recorded_at
FROM events
WHERE originator_id = %(units)s
ORDER BY originator_version;

-- clear --
DELETE FROM {reach};
DELETE FROM {names};
DELETE FROM {tree};

-- put_reach --
INSERT INTO {reach} (unit_id, leaf_id, first, after)
SELECT * FROM unnest(%b::uuid[], %b::uuid[], %b::date[], %b::date[]);

-- put_names --
INSERT INTO {names} (unit_id, code, name, level, parent_id, valid_from, valid_to)
SELECT * FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::text[], %b::uuid[], %b::date[], %b::date[]);

-- put_tree --
INSERT INTO {tree} (version)
SELECT * FROM unnest(%b::bigint[]);
