-- to_drop --
-- What is from before an instant: the last position, how many events would go, and how many stay for an embargo.
SELECT coalesce(max(notification_id), 0),
       count(*) FILTER (WHERE NOT kept),
       count(*) FILTER (WHERE kept)
FROM (
    SELECT notification_id,
           originator_id = ANY (ARRAY(SELECT {schema}.under_embargo(%(today)s::date))) AS kept
    FROM {schema}.events
    WHERE recorded_at < %(before)s::timestamptz
      AND originator_id <> %(drops)s::uuid
) AS old;

-- drop --
SELECT first_position, recorded
FROM {schema}.drop_looks(%(through)s::bigint, %(today)s::date, %(expected)s::bigint, %(state)b::bytea);

-- vacuum --
VACUUM {schema}.events;
