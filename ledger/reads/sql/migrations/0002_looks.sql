-- The log of who looked. It began as the first log did, by the same text: head, events, append, and what refuses changes.
-- This takes away what it has no use for, and makes the one way in.

DROP FUNCTION {schema}.claim_key(bytea);
DROP TABLE {schema}.key_check;

-- append names the table: it stays, and nobody can ever be registered here.
ALTER TABLE {schema}.citizens ADD CONSTRAINT nobody_is_registered_here CHECK (false);
REVOKE ALL ON {schema}.citizens FROM {writer};

-- Nobody follows this log, and nobody looks through it with psql: what an embargo keeps back, the program alone knows. Who
-- migrates sees what was applied.
REVOKE ALL ON {schema}.head, {schema}.events, {schema}.migrations FROM {projector};
GRANT USAGE ON SCHEMA {schema} TO {migrator};
GRANT SELECT ON {schema}.migrations TO {migrator};

-- Whoever looks names no version: two who look at one dossier at once must never refuse each other.
REVOKE ALL ON FUNCTION
    {schema}.append(uuid[], bigint[], text[], bytea[], bytea[], uuid[], bytea[], bytea[], bigint)
FROM {writer};

-- Record looks, or what is said of a dossier here: all of it or nothing, in one statement of its own.
--
-- SQLSTATEs: those of append.
CREATE FUNCTION {schema}.record_reads(
    ids    uuid[],
    topics text[],
    states bytea[],
    OUT first_position bigint,
    OUT recorded       timestamptz
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    next_versions bigint[];
BEGIN
    -- Under the head's lock nobody else takes a version. What the one before us has committed, the next statement sees.
    PERFORM FROM {schema}.head FOR UPDATE;

    SELECT array_agg(coalesce(last.version, 0) + batch.nth ORDER BY batch.number)
    INTO next_versions
    FROM (
        SELECT id, number, row_number() OVER (PARTITION BY id ORDER BY number) AS nth
        FROM unnest(ids) WITH ORDINALITY AS sent (id, number)
    ) AS batch
    CROSS JOIN LATERAL (
        SELECT max(originator_version) AS version
        FROM {schema}.events
        WHERE originator_id = batch.id
    ) AS last;

    SELECT made.first_position, made.recorded
    INTO STRICT first_position, recorded
    FROM {schema}.append(ids, next_versions, topics, states, ARRAY[]::bytea[], ARRAY[]::uuid[], ARRAY[]::bytea[], ARRAY[]::bytea[], NULL)
         AS made;
END
$$;

REVOKE ALL ON FUNCTION {schema}.record_reads(uuid[], text[], bytea[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION {schema}.record_reads(uuid[], text[], bytea[]) TO {writer};
