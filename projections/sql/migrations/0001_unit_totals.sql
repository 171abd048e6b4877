-- Counts per unit. Runs as the projector role, which owns these tables.
--
-- Counts are signed deltas at the leaf; the tree of units is applied when a question is
-- asked. A coarse grain answers the usual question in milliseconds; a fine one the rest.
-- Rows are added to again and again: room on their pages keeps that out of the indexes (HOT).

CREATE TABLE projections (
    name        text        PRIMARY KEY,
    position    bigint      NOT NULL,
    recorded_at timestamptz NOT NULL,
    error       text
)
-- Its rows are hot: room on the page for HOT updates, and a vacuum that comes often.
WITH (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

INSERT INTO projections (name, position, recorded_at)
VALUES ('unit_totals', 0, '1970-01-01 00:00:00+00');

CREATE TABLE unit_totals_month (
    unit_id             uuid     NOT NULL,
    level               smallint NOT NULL,
    month               date     NOT NULL,
    collected           bigint   NOT NULL,
    approved            bigint   NOT NULL,
    rejected            bigint   NOT NULL,
    notified            bigint   NOT NULL,
    activated           bigint   NOT NULL,
    locked              bigint   NOT NULL,
    unlocked            bigint   NOT NULL,
    awaiting_approval   bigint   NOT NULL,
    awaiting_activation bigint   NOT NULL,
    PRIMARY KEY (month, unit_id, level)
) WITH (fillfactor = 70);

CREATE TABLE unit_totals_day (
    unit_id             uuid     NOT NULL,
    level               smallint NOT NULL,
    day                 date     NOT NULL,
    collected           bigint   NOT NULL,
    approved            bigint   NOT NULL,
    rejected            bigint   NOT NULL,
    notified            bigint   NOT NULL,
    activated           bigint   NOT NULL,
    locked              bigint   NOT NULL,
    unlocked            bigint   NOT NULL,
    awaiting_approval   bigint   NOT NULL,
    awaiting_activation bigint   NOT NULL,
    PRIMARY KEY (day, unit_id, level)
) WITH (fillfactor = 70);

CREATE TABLE unit_totals_fine (
    unit_id             uuid     NOT NULL,
    level               smallint NOT NULL,
    day                 date     NOT NULL,
    recorded_on         date     NOT NULL,
    place               text     NOT NULL,
    shift               text     NOT NULL,
    partner             text     NOT NULL,
    collected           bigint   NOT NULL,
    approved            bigint   NOT NULL,
    rejected            bigint   NOT NULL,
    notified            bigint   NOT NULL,
    activated           bigint   NOT NULL,
    locked              bigint   NOT NULL,
    unlocked            bigint   NOT NULL,
    awaiting_approval   bigint   NOT NULL,
    awaiting_activation bigint   NOT NULL,
    PRIMARY KEY (day, unit_id, level, recorded_on, place, shift, partner)
) WITH (fillfactor = 70);

GRANT SELECT ON projections, unit_totals_month, unit_totals_day, unit_totals_fine TO {writer};
