-- Rewrap citizens' keys under a newer wrapping key, and erase a citizen.
--
-- Both are for the operator's login, which is a member of the owner; the application's roles may execute neither.

-- Put citizens' keys, wrapped anew, in the place of those that were read. One that was changed or erased meanwhile is
-- left as it is; so is one whose new key has no greater wrapping key. Returns how many were changed.
--
-- SQLSTATE AL004: the arrays do not fit together.
CREATE FUNCTION {schema}.rewrap(dossiers uuid[], old_keys bytea[], new_keys bytea[])
RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    changed bigint;
BEGIN
    IF cardinality(dossiers) <> cardinality(old_keys) OR cardinality(dossiers) <> cardinality(new_keys) THEN
        RAISE EXCEPTION 'the arrays must not differ in length' USING ERRCODE = 'AL004';
    END IF;
    PERFORM set_config('activation_ledger.change', 'rewrap', true);
    UPDATE {schema}.citizens
    SET key = new_key
    FROM unnest(dossiers, old_keys, new_keys) AS wrapped (dossier, old_key, new_key)
    WHERE dossier_id = dossier
      AND key = old_key
      -- The first byte is the number of the wrapping key.
      AND get_byte(new_key, 0) > get_byte(old_key, 0);
    GET DIAGNOSTICS changed = ROW_COUNT;
    PERFORM set_config('activation_ledger.change', '', true);
    RETURN changed;
END
$$;

-- Delete a citizen's row, the key of all that is sealed with it, and record that in the dossier's stream: both or neither.
--
-- SQLSTATEs: 23505 somebody else wrote the dossier first; AL005 it has no citizen (any more); and those of append.
CREATE FUNCTION {schema}.erase(
    dossier            uuid,
    version            bigint,
    state              bytea,
    OUT first_position bigint,
    OUT recorded       timestamptz
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- First the head's lock, as whoever records takes it: two that wait for each other there would be a deadlock.
    SELECT appended.first_position, appended.recorded
    INTO STRICT first_position, recorded
    FROM {schema}.append(
        ARRAY[dossier], ARRAY[version], ARRAY['citizen.erased.v1'], ARRAY[state],
        ARRAY[]::bytea[], ARRAY[]::uuid[], ARRAY[]::bytea[], ARRAY[]::bytea[], NULL
    ) AS appended;
    PERFORM set_config('activation_ledger.change', 'erase', true);
    DELETE FROM {schema}.citizens WHERE dossier_id = dossier;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'dossier % has no citizen', dossier USING ERRCODE = 'AL005';
    END IF;
    PERFORM set_config('activation_ledger.change', '', true);
END
$$;

-- Stop the hand of an owner or a superuser that slips: a citizen's row is changed by the function that is named alone.
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

DROP TRIGGER citizens_are_kept ON {schema}.citizens;

CREATE TRIGGER citizens_are_kept
BEFORE UPDATE OF lookup, dossier_id, sealed OR TRUNCATE ON {schema}.citizens
FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse_change();

CREATE TRIGGER citizens_are_rewrapped
BEFORE UPDATE ON {schema}.citizens
FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse_change_but_by('rewrap');

CREATE TRIGGER citizens_are_erased
BEFORE DELETE ON {schema}.citizens
FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse_change_but_by('erase');

-- No samples of what is sealed in the statistics, where they would outlive an erasure.
ALTER TABLE {schema}.citizens
    ALTER COLUMN lookup SET STATISTICS 0,
    ALTER COLUMN sealed SET STATISTICS 0,
    ALTER COLUMN key    SET STATISTICS 0;

REVOKE ALL ON FUNCTION
    {schema}.rewrap(uuid[], bytea[], bytea[]),
    {schema}.erase(uuid, bigint, bytea),
    {schema}.refuse_change_but_by()
FROM PUBLIC;
