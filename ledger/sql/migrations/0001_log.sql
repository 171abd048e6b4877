-- The log, its head, and the one function that appends to it.
-- Runs as the owner role, with the ledger's schema alone on the search path.

CREATE TABLE head (
    one           boolean     PRIMARY KEY DEFAULT true CHECK (one),
    size          bigint      NOT NULL,
    recorded_at   timestamptz NOT NULL,
    units_version bigint      NOT NULL
)
-- One hot row: room on its page for HOT updates, and a vacuum that comes often.
WITH (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

INSERT INTO head (size, recorded_at, units_version)
VALUES (0, '1970-01-01 00:00:00+00', 0);

CREATE TABLE events (
    notification_id    bigint      PRIMARY KEY,
    originator_id      uuid        NOT NULL,
    originator_version bigint      NOT NULL,
    topic              text        NOT NULL,
    state              bytea       NOT NULL,
    recorded_at        timestamptz NOT NULL,
    leaf               bytea       NOT NULL,
    UNIQUE (originator_id, originator_version)
);

CREATE TABLE citizens (
    lookup     bytea PRIMARY KEY,
    dossier_id uuid  NOT NULL UNIQUE,
    sealed     bytea NOT NULL,
    key        bytea NOT NULL
);

CREATE TABLE key_check (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    value bytea   NOT NULL
);

-- Record a batch: all of it or nothing, in one statement of its own.
--
-- SQLSTATEs: 23505 somebody else wrote one of the dossiers, or registered one of the
-- citizens, first; AL001 the units were resolved against an older tree; AL002 the clock
-- is behind the head; AL004 the arrays do not fit together.
CREATE FUNCTION append(
    ids               uuid[],
    versions          bigint[],
    topics            text[],
    states            bytea[],
    citizen_lookups   bytea[],
    citizen_dossiers  uuid[],
    citizen_sealed    bytea[],
    citizen_keys      bytea[],
    units_seen        bigint,
    OUT first_position bigint,
    OUT recorded       timestamptz
)
LANGUAGE plpgsql
SECURITY DEFINER
-- Not the ledger's schema: the projector may create in it, and a function of its own that fits the
-- arguments better than PostgreSQL's would run here with the owner's rights.
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    n          CONSTANT bigint := cardinality(ids);
    old_size   bigint;
    old_time   timestamptz;
    old_units  bigint;
    new_units  bigint;
BEGIN
    IF n = 0
    OR n <> cardinality(versions) OR n <> cardinality(topics) OR n <> cardinality(states)
    OR cardinality(citizen_lookups) <> cardinality(citizen_dossiers)
    OR cardinality(citizen_lookups) <> cardinality(citizen_sealed)
    OR cardinality(citizen_lookups) <> cardinality(citizen_keys) THEN
        RAISE EXCEPTION 'the arrays of a batch must not be empty or differ in length' USING ERRCODE = 'AL004';
    END IF;

    -- The row lock makes commit order the order of positions, so no reader ever meets a gap
    -- that fills later; a rolled-back append gives its numbers back.
    SELECT size, head.recorded_at, units_version
    INTO STRICT old_size, old_time, old_units
    FROM {schema}.head
    FOR UPDATE;

    IF units_seen <> old_units THEN
        RAISE EXCEPTION 'units are at version %, not %', old_units, units_seen USING ERRCODE = 'AL001';
    END IF;

    -- The time is taken after the lock, so that it never falls from one position to the next.
    recorded := clock_timestamp();
    IF recorded < old_time - interval '60 seconds' THEN
        RAISE EXCEPTION 'the clock says %, but the last event was recorded at %', recorded, old_time
            USING ERRCODE = 'AL002';
    END IF;
    recorded := greatest(recorded, old_time);
    first_position := old_size + 1;

    SELECT coalesce(max(version), old_units)
    INTO new_units
    FROM unnest(ids, versions) AS batch (id, version)
    WHERE id = '00000000-0000-8000-8000-756e69747300';

    -- Plain values: a volatile function inside an UPDATE is refused by Citus.
    UPDATE {schema}.head
    SET size = old_size + n, recorded_at = recorded, units_version = new_units;

    INSERT INTO {schema}.citizens (lookup, dossier_id, sealed, key)
    SELECT * FROM unnest(citizen_lookups, citizen_dossiers, citizen_sealed, citizen_keys);

    INSERT INTO {schema}.events (
        notification_id, originator_id, originator_version, topic, state, recorded_at, leaf
    )
    SELECT old_size + number, id, version, topic, state, recorded,
           sha256(
               '\x00'::bytea
               || '\x61637469766174696f6e2d6c65646765722f7631'::bytea  -- activation-ledger/v1
               || int8send(old_size + number)
               || uuid_send(id)
               || int8send(version)
               || int8send((extract(epoch FROM recorded) * 1000000)::bigint)
               || int4send(octet_length(topic))
               || convert_to(topic, 'UTF8')
               || sha256(state)
           )
    FROM unnest(ids, versions, topics, states) WITH ORDINALITY
         AS batch (id, version, topic, state, number);

    -- A hint for followers, nothing more: it can be lost.
    PERFORM pg_notify({channel}, '');
END
$$;

-- Remember the key file of this ledger, if none is remembered; return the one that is.
CREATE FUNCTION claim_key(wanted bytea)
RETURNS bytea
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO {schema}.key_check (value) VALUES (wanted) ON CONFLICT DO NOTHING;
    SELECT value FROM {schema}.key_check;
$$;

CREATE FUNCTION refuse_change()
RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: the log is append-only', TG_OP, TG_TABLE_NAME USING ERRCODE = 'AL003';
END
$$;

-- Privilege is the guarantee; these stop the hand of an owner or a superuser that slips.
CREATE TRIGGER events_are_immutable
BEFORE UPDATE OR DELETE OR TRUNCATE ON events
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TRIGGER head_is_kept
BEFORE DELETE OR TRUNCATE ON head
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TRIGGER citizens_are_kept
BEFORE UPDATE OR TRUNCATE ON citizens
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TRIGGER key_check_is_kept
BEFORE UPDATE OR DELETE OR TRUNCATE ON key_check
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

REVOKE ALL ON FUNCTION
    append(uuid[], bigint[], text[], bytea[], bytea[], uuid[], bytea[], bytea[], bigint),
    claim_key(bytea),
    refuse_change()
FROM PUBLIC;

GRANT EXECUTE ON FUNCTION
    append(uuid[], bigint[], text[], bytea[], bytea[], uuid[], bytea[], bytea[], bigint),
    claim_key(bytea)
TO {writer};

GRANT SELECT ON head, events, citizens, migrations TO {writer};
GRANT SELECT ON head, events, migrations TO {projector};
