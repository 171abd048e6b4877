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
SELECT wanted.name, position IS NULL, coalesce(position, 0), head.size, error,
       greatest(0, extract(epoch FROM clock_timestamp() - (
           SELECT events.recorded_at
           FROM events
           WHERE notification_id > coalesce(position, 0)
           ORDER BY notification_id
           LIMIT 1
       )))::float8
FROM head
CROSS JOIN unnest(%(names)s::text[]) WITH ORDINALITY AS wanted (name, place)
LEFT JOIN projections ON projections.name = wanted.name
ORDER BY place;

-- position --
SELECT position
FROM projections
WHERE name = %(name)s;

-- head --
SELECT size
FROM head;

-- positions --
SELECT name, position
FROM projections;

-- create_rebuild --
-- LIKE leaves out what a table says of its pages.
DROP TABLE IF EXISTS {new};
CREATE TABLE {new} (LIKE {live} INCLUDING ALL);
DO $$
DECLARE
    settings text;
BEGIN
    SELECT array_to_string(reloptions, ', ') INTO settings FROM pg_class WHERE oid = '{live}'::regclass;
    IF settings IS NOT NULL THEN
        EXECUTE format('ALTER TABLE %s SET (%s)', '{new}', settings);
    END IF;
END
$$;

-- begin_rebuild --
INSERT INTO projections (name, position, recorded_at)
VALUES (%(tracking)s, 0, '1970-01-01 00:00:00+00')
ON CONFLICT (name) DO UPDATE
SET position    = excluded.position,
    recorded_at = excluded.recorded_at,
    error       = NULL;

-- analyze --
-- A table that is new is one that PostgreSQL knows nothing about, for minutes.
ANALYZE {new};

-- lock_live --
-- With the live tracking row locked: readers see the old tables or the new ones. While this waits for a reader,
-- all others wait behind it: so it gives up soon (55P03), to be tried again.
SET LOCAL lock_timeout = '200ms';
LOCK TABLE {live};

-- replace --
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
            '{new}',
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
            CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END
        )
        FROM (
                 SELECT relacl AS acl, relowner AS owner, NULL::name AS attname
                 FROM pg_class
                 WHERE oid = '{live}'::regclass
                 UNION ALL
                 SELECT attacl, NULL, attname
                 FROM pg_attribute
                 WHERE attrelid = '{live}'::regclass
             ) AS rights,
             aclexplode(acl)
        WHERE grantee IS DISTINCT FROM owner
    LOOP
        EXECUTE statement;
    END LOOP;
    -- And which rows of them.
    FOR statement IN
        SELECT format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', '{new}')
        FROM pg_class
        WHERE oid = '{live}'::regclass
          AND relrowsecurity
        UNION ALL
        SELECT format(
            'CREATE POLICY %I ON %s AS %s FOR %s TO %s %s %s',
            polname,
            '{new}',
            CASE WHEN polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
            CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
            (
                SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END, ', ')
                FROM unnest(polroles) AS r (role)
            ),
            'USING (' || pg_get_expr(polqual, polrelid) || ')',
            'WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')'
        )
        FROM pg_policy
        WHERE polrelid = '{live}'::regclass
    LOOP
        EXECUTE statement;
    END LOOP;
END
$$;
DROP TABLE {live};
ALTER TABLE {new} RENAME TO {live};

-- end_rebuild --
WITH rebuilt AS (
    DELETE FROM projections
    WHERE name = %(tracking)s
    RETURNING position, recorded_at
)
INSERT INTO projections (name, position, recorded_at)
SELECT %(name)s, position, recorded_at
FROM rebuilt
ON CONFLICT (name) DO UPDATE
SET position    = excluded.position,
    recorded_at = excluded.recorded_at,
    error       = NULL;
