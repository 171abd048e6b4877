-- Drop looks that are old enough. Their positions and leaf hashes stay, with the record of the drop that took them away: so each
-- position of the log is an event or explained, and a tree over the leaves stays the same.

CREATE TABLE {schema}.dropped (
    position    bigint PRIMARY KEY,
    leaf        bytea  NOT NULL,
    -- The version, in the stream of drops, of the record that tells of it.
    drop_number bigint NOT NULL
);

CREATE TRIGGER dropped_is_immutable
BEFORE UPDATE OR DELETE OR TRUNCATE ON {schema}.dropped
FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse_change();

-- Stop the hand of an owner or a superuser that slips: looks are taken away by the function that is named alone.
CREATE FUNCTION {schema}.refuse_change_but_by()
RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('activation_ledger.change', true) IS DISTINCT FROM TG_ARGV[0] THEN
        RAISE EXCEPTION '% on % is refused: the log is append-only, and % alone does that', TG_OP, TG_TABLE_NAME, TG_ARGV[0]
            USING ERRCODE = 'AL003';
    END IF;
    RETURN NULL;
END
$$;

DROP TRIGGER events_are_immutable ON {schema}.events;

CREATE TRIGGER events_are_immutable
BEFORE UPDATE OR TRUNCATE ON {schema}.events
FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse_change();

CREATE TRIGGER looks_are_dropped
BEFORE DELETE ON {schema}.events
FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse_change_but_by('drop_looks');

-- The dossiers that are under an embargo on a business day: the last that was said of theirs is one that lasts.
CREATE FUNCTION {schema}.under_embargo(today date)
RETURNS SETOF uuid
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT dossier
    FROM (
        SELECT DISTINCT ON (originator_id) originator_id, topic, state
        FROM {schema}.events
        WHERE topic IN ('embargo.placed.v1', 'embargo.lifted.v1')
        ORDER BY originator_id, originator_version DESC
    ) AS latest (dossier, topic, state)
    WHERE topic = 'embargo.placed.v1'
      AND (convert_from(state, 'UTF8')::jsonb ->> 'until')::date >= today
$$;

-- Drop everything up to a position but dossiers under an embargo, and record that in the stream of drops: both or neither.
--
-- For the operator's login, which is a member of the owner. The caller says how many events it expects to go, as the record
-- does. Looks are recorded meanwhile: the head's lock is taken for the record alone, at the end.
--
-- SQLSTATEs: AL006 more or fewer would go, or an embargo was laid meanwhile; AL007 one of them is younger than five years; and
-- those of append.
CREATE FUNCTION {schema}.drop_looks(
    through            bigint,
    today              date,
    expected           bigint,
    state              bytea,
    OUT first_position bigint,
    OUT recorded       timestamptz
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    drops    CONSTANT uuid := '00000000-0000-8000-8000-64726f707300';
    vietnam  CONSTANT interval := '7 hours';
    seen     bigint;
    nth      bigint;
    gone     bigint;
BEGIN
    -- Drops follow each other.
    LOCK TABLE {schema}.dropped IN SHARE ROW EXCLUSIVE MODE;

    SELECT size
    INTO STRICT seen
    FROM {schema}.head;

    SELECT coalesce(max(originator_version), 0) + 1
    INTO STRICT nth
    FROM {schema}.events
    WHERE originator_id = drops;

    IF EXISTS (
        SELECT FROM {schema}.events
        WHERE notification_id <= through
          AND originator_id <> drops
          AND recorded_at >= (date_trunc('day', clock_timestamp() AT TIME ZONE vietnam) - interval '5 years') AT TIME ZONE vietnam
    ) THEN
        RAISE EXCEPTION 'looks are kept for five years' USING ERRCODE = 'AL007';
    END IF;

    PERFORM set_config('activation_ledger.change', 'drop_looks', true);
    WITH taken AS (
        DELETE FROM {schema}.events
        WHERE notification_id <= through
          AND originator_id <> drops
          AND originator_id <> ALL (ARRAY(SELECT {schema}.under_embargo(today)))
        RETURNING notification_id, leaf
    )
    INSERT INTO {schema}.dropped (position, leaf, drop_number)
    SELECT notification_id, leaf, nth
    FROM taken;
    GET DIAGNOSTICS gone = ROW_COUNT;
    PERFORM set_config('activation_ledger.change', '', true);

    SELECT made.first_position, made.recorded
    INTO STRICT first_position, recorded
    FROM {schema}.record_reads(ARRAY[drops], ARRAY['looks.dropped.v1'], ARRAY[state]) AS made;

    -- Under the head's lock nobody lays an embargo; what was laid since we began, this statement sees.
    IF gone <> expected OR EXISTS (
        SELECT FROM {schema}.events
        WHERE notification_id > seen
          AND topic = 'embargo.placed.v1'
    ) THEN
        RAISE EXCEPTION '% looks would go, not %, or an embargo was laid meanwhile', gone, expected USING ERRCODE = 'AL006';
    END IF;
END
$$;

REVOKE ALL ON FUNCTION
    {schema}.refuse_change_but_by(),
    {schema}.under_embargo(date),
    {schema}.drop_looks(bigint, date, bigint, bytea)
FROM PUBLIC;
