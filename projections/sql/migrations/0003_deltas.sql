-- Every delta with its position, so that any past state can be told, by officer, team and residence too; and their sums by
-- day, by pentad, by month and ever. Everything is counted anew from the log, which takes about a minute for 5 million events.

DROP TABLE {schema}.unit_totals_month, {schema}.unit_totals_day, {schema}.unit_totals_fine;

-- A leaf is a unit, or what was allocated of a split unit to one of its successors. The tree of units is applied when a
-- question is asked.
-- Of all days: however old a ledger becomes, what awaits now is read here.
CREATE TABLE {schema}.unit_totals_ever (
    leaf_id             uuid     NOT NULL,
    level               smallint NOT NULL,
    collected           int      NOT NULL,
    approved            int      NOT NULL,
    rejected            int      NOT NULL,
    notified            int      NOT NULL,
    activated           int      NOT NULL,
    locked              int      NOT NULL,
    unlocked            int      NOT NULL,
    withdrawn           int      NOT NULL,
    awaiting_approval   int      NOT NULL,
    awaiting_activation int      NOT NULL,
    awaiting_long       int      NOT NULL,
    awaiting_notified   int      NOT NULL,
    PRIMARY KEY (leaf_id, level)
) WITH (fillfactor = 50);

CREATE TABLE {schema}.unit_totals_month (
    leaf_id             uuid     NOT NULL,
    level               smallint NOT NULL,
    month               date     NOT NULL,
    collected           int      NOT NULL,
    approved            int      NOT NULL,
    rejected            int      NOT NULL,
    notified            int      NOT NULL,
    activated           int      NOT NULL,
    locked              int      NOT NULL,
    unlocked            int      NOT NULL,
    withdrawn           int      NOT NULL,
    awaiting_approval   int      NOT NULL,
    awaiting_activation int      NOT NULL,
    awaiting_long       int      NOT NULL,
    awaiting_notified   int      NOT NULL,
    PRIMARY KEY (month, leaf_id, level)
) WITH (fillfactor = 70);

-- Five days, or up to six at the end of a month, by the first of them: what a question between two days reads of the months at
-- both ends. What awaits is never asked for so.
CREATE TABLE {schema}.unit_totals_pentad (
    leaf_id   uuid     NOT NULL,
    level     smallint NOT NULL,
    pentad    date     NOT NULL,
    collected int      NOT NULL,
    approved  int      NOT NULL,
    rejected  int      NOT NULL,
    notified  int      NOT NULL,
    activated int      NOT NULL,
    locked    int      NOT NULL,
    unlocked  int      NOT NULL,
    withdrawn int      NOT NULL,
    PRIMARY KEY (pentad, leaf_id, level)
) WITH (fillfactor = 70);

CREATE TABLE {schema}.unit_totals_day (
    leaf_id             uuid     NOT NULL,
    level               smallint NOT NULL,
    day                 date     NOT NULL,
    collected           int      NOT NULL,
    approved            int      NOT NULL,
    rejected            int      NOT NULL,
    notified            int      NOT NULL,
    activated           int      NOT NULL,
    locked              int      NOT NULL,
    unlocked            int      NOT NULL,
    withdrawn           int      NOT NULL,
    awaiting_approval   int      NOT NULL,
    awaiting_activation int      NOT NULL,
    awaiting_long       int      NOT NULL,
    awaiting_notified   int      NOT NULL,
    PRIMARY KEY (day, leaf_id, level)
) WITH (fillfactor = 70);

-- Only ever added to, in the order of positions.
CREATE TABLE {schema}.unit_totals_deltas (
    position    bigint   NOT NULL,
    leaf_id     uuid     NOT NULL,
    level       smallint NOT NULL,
    day         date     NOT NULL,
    recorded_on date     NOT NULL,
    place       text     COLLATE "C" NOT NULL,
    shift       text     COLLATE "C" NOT NULL,
    partner     text     COLLATE "C" NOT NULL,
    team        text     COLLATE "C" NOT NULL,
    actor       text     COLLATE "C" NOT NULL,
    residence   text     COLLATE "C" NOT NULL,
    -- Codes are given to other units: this one meant a unit as of this day.
    residence_on date    NOT NULL,
    reason      text     COLLATE "C" NOT NULL,
    -- Which event is counted, which way of waiting, or both; by the numbers of projections/unit_totals.py.
    event       smallint,
    waits       smallint,
    count       smallint NOT NULL
);

-- What was known at a position, and what has come since: positions rise with the pages.
CREATE INDEX unit_totals_deltas_position ON {schema}.unit_totals_deltas USING brin (position) WITH (pages_per_range = 32);
-- Details of one unit.
CREATE INDEX unit_totals_deltas_leaf ON {schema}.unit_totals_deltas (leaf_id, day);

GRANT SELECT ON {schema}.unit_totals_ever, {schema}.unit_totals_month, {schema}.unit_totals_pentad, {schema}.unit_totals_day, {schema}.unit_totals_deltas TO {writer};

UPDATE {schema}.projections
SET position    = 0,
    recorded_at = '1970-01-01 00:00:00+00',
    error       = NULL
WHERE name = 'unit_totals';
