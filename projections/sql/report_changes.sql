-- touched --
-- What events between two positions put into the rows of a question, or take off: by event, row and measure. Where an event
-- takes off one row what it puts on the same, nothing is left. Measures are numbered as the events are, and then what
-- awaits approval and what awaits activation, which the days asked for do not bound.
SELECT position, part_1, part_2, measure, sum(count) AS number
FROM (
    SELECT parts.position,
           {part_1} AS part_1,
           {part_2} AS part_2,
           CASE WHEN sign <> 0 THEN event::int END AS counted,
           8 + waits / 2 AS waiting,
           count
    FROM (
        SELECT *, CASE WHEN day >= %(from)b::date AND day < %(to)b::date THEN 1 ELSE 0 END AS sign
        FROM unit_totals_deltas
        WHERE position > %(since)b::bigint
          AND position <= %(cut)b::bigint
    ) AS parts
    {held}
    LEFT JOIN unnest(%(members)t::uuid[], %(firsts)t::date[], %(afters)t::date[], %(buckets)t::int[])
        AS tree (member, first, after, bucket)
        ON member = {leaf} AND (first IS NULL OR parts.day >= first AND parts.day < after)
    WHERE (NOT %(scoped)b::boolean OR member IS NOT NULL)
      AND (%(level)b::smallint IS NULL OR level = %(level)b::smallint)
) AS placed
CROSS JOIN LATERAL (VALUES (counted), (waiting)) AS told (measure)
WHERE measure IS NOT NULL
GROUP BY position, part_1, part_2, measure
HAVING sum(count) <> 0

-- kind --
-- Why an event is there: a correction, an allocation, or a step, which arrived late if it had occurred by the cut-off.
CASE WHEN topic = ANY(%(corrections)t::text[]) THEN 'corrected'
     WHEN topic = ANY(%(allocations)t::text[]) THEN 'allocated'
     WHEN (convert_from(state, 'UTF8')::json ->> 'occurred_at')::timestamptz <= %(cut_at)b::timestamptz THEN 'arrived_late'
     ELSE 'occurred_since'
END

-- changed_rows --
SELECT tracked.position, tracked.recorded_at, changed.*
FROM projections AS tracked
LEFT JOIN (
    SELECT part_1, part_2, {kind} AS kind, measure, sum(number)::bigint
    FROM ({touched}) AS touched
    JOIN events ON notification_id = touched.position
    GROUP BY 1, 2, 3, 4
    ORDER BY 1, 2, 3, 4
) AS changed ON true
WHERE tracked.name = 'unit_totals';

-- changing_events --
-- A page of them, in the order of the log; kind NULL asks for all.
SELECT tracked.position, tracked.recorded_at, page.*
FROM projections AS tracked
LEFT JOIN (
    SELECT *
    FROM (
        SELECT {kind} AS kind, parts_1, parts_2, measures, numbers,
               notification_id, originator_id, originator_version, topic, state, events.recorded_at
        FROM (
            SELECT position,
                   array_agg(part_1 ORDER BY part_1, part_2, measure) AS parts_1,
                   array_agg(part_2 ORDER BY part_1, part_2, measure) AS parts_2,
                   array_agg(measure ORDER BY part_1, part_2, measure) AS measures,
                   array_agg(number::bigint ORDER BY part_1, part_2, measure) AS numbers
            FROM ({touched}) AS touched
            GROUP BY position
        ) AS one
        JOIN events ON notification_id = one.position
    ) AS told
    WHERE %(kind)b::text IS NULL OR kind = %(kind)b::text
    ORDER BY notification_id
    LIMIT %(limit)b::bigint
) AS page ON true
WHERE tracked.name = 'unit_totals';
