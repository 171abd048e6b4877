-- Which dossiers wait, and how long those took that have waited.

-- One row for each level of a dossier that waits for its approval or its activation.
CREATE TABLE {schema}.worklist (
    dossier_id   uuid        NOT NULL,
    level        smallint    NOT NULL,
    state        text        COLLATE "C" NOT NULL CHECK (state IN ('collected', 'approved', 'notified')),
    -- When what made it wait occurred, and where that is in the log.
    since        timestamptz NOT NULL,
    position     bigint      NOT NULL,
    -- The collecting unit; where that was split, the part to which the dossier was allocated; and the one key of both.
    unit_id      uuid        NOT NULL,
    allocated_id uuid,
    leaf_id      uuid        NOT NULL,
    residence    text        COLLATE "C",
    -- Of the collection: who took the application knows the citizen.
    place        text        COLLATE "C" NOT NULL,
    team         text        COLLATE "C",
    actor        text        COLLATE "C" NOT NULL,
    card         text        COLLATE "C" NOT NULL,
    attempt      int         NOT NULL,
    -- Which time limit runs: those of an approval of level 1, of level 2, without a valid card; of an activation from the
    -- notice; none. Among dossiers of one clock the oldest are overdue first.
    clock        smallint    NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN state OPERATOR(pg_catalog.=) 'notified' THEN 4
            WHEN state OPERATOR(pg_catalog.=) 'approved' THEN 5
            WHEN card OPERATOR(pg_catalog.<>) 'valid' THEN 3
            ELSE level
        END
    ) STORED,
    PRIMARY KEY (dossier_id, level)
);

-- Pages of few units, and of many.
CREATE INDEX worklist_leaf ON {schema}.worklist (leaf_id, clock, since, dossier_id, level);
CREATE INDEX worklist_clock ON {schema}.worklist (clock, since, dossier_id, level);
-- Pages of what a team or an officer collected, of a kind of place, and of where people live.
CREATE INDEX worklist_team ON {schema}.worklist (team, clock, since, dossier_id, level) WHERE team IS NOT NULL;
CREATE INDEX worklist_actor ON {schema}.worklist (actor, clock, since, dossier_id, level);
CREATE INDEX worklist_place ON {schema}.worklist (place, clock, since, dossier_id, level);
CREATE INDEX worklist_residence ON {schema}.worklist (residence, clock, since, dossier_id, level)
    WHERE residence IS NOT NULL;

-- How long each approval and each activation took that ended on a day, at the collecting unit.
CREATE TABLE {schema}.worklist_times (
    leaf_id uuid     NOT NULL,
    level   smallint NOT NULL,
    step    text     COLLATE "C" NOT NULL CHECK (step IN ('approval', 'activation')),
    day     date     NOT NULL,
    seconds bigint[] NOT NULL,
    PRIMARY KEY (day, leaf_id, level, step)
) WITH (fillfactor = 70);

GRANT SELECT ON {schema}.worklist, {schema}.worklist_times TO {writer};

INSERT INTO {schema}.projections (name, position, recorded_at)
VALUES ('worklist', 0, '1970-01-01 00:00:00+00');
