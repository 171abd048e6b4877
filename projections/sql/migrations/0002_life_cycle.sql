-- Withdrawn approvals, and what the clocks of an approval and of an activation are about. Nothing recorded before
-- this counts there.
ALTER TABLE {schema}.unit_totals_month
    ADD COLUMN withdrawn         bigint NOT NULL DEFAULT 0,
    ADD COLUMN awaiting_long     bigint NOT NULL DEFAULT 0,
    ADD COLUMN awaiting_notified bigint NOT NULL DEFAULT 0;

ALTER TABLE {schema}.unit_totals_day
    ADD COLUMN withdrawn         bigint NOT NULL DEFAULT 0,
    ADD COLUMN awaiting_long     bigint NOT NULL DEFAULT 0,
    ADD COLUMN awaiting_notified bigint NOT NULL DEFAULT 0;

ALTER TABLE {schema}.unit_totals_fine
    ADD COLUMN withdrawn         bigint NOT NULL DEFAULT 0,
    ADD COLUMN awaiting_long     bigint NOT NULL DEFAULT 0,
    ADD COLUMN awaiting_notified bigint NOT NULL DEFAULT 0;
