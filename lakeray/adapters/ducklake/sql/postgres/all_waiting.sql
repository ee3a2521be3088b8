-- all_waiting.sql by Postgres itself. The oldest day is found among the oldest rows, when one of them is live; in a lake
-- that is cleaned they are all removed, and then every row is looked at.
SELECT convert_from(c.source, 'UTF8'), convert_from(c.stream, 'UTF8'), p.first, p.last,
       coalesce(
           (SELECT min(o.file_day) FROM (
                SELECT l.source, l.stream, l.file_key, l.file_day, l.begin_snapshot FROM {ledger} AS l
                WHERE l.end_snapshot IS NULL AND l.source = c.source AND l.stream = c.stream
                ORDER BY l.file_day LIMIT 1000) AS o
            WHERE o.begin_snapshot <= c.transformed_snapshot AND NOT EXISTS (
                SELECT FROM {removals} AS r
                WHERE r.end_snapshot IS NULL AND r.source = o.source AND r.stream = o.stream
                  AND r.file_key = o.file_key AND r.registered_snapshot = o.begin_snapshot)),
           (SELECT min(l.file_day) FROM {ledger} AS l
            WHERE l.end_snapshot IS NULL AND l.source = c.source AND l.stream = c.stream
              AND l.begin_snapshot <= c.transformed_snapshot AND NOT EXISTS (
                SELECT FROM {removals} AS r
                WHERE r.end_snapshot IS NULL AND r.source = l.source AND r.stream = l.stream
                  AND r.file_key = l.file_key AND r.registered_snapshot = l.begin_snapshot))
       )::date
FROM {feeder_cursors} AS c
CROSS JOIN LATERAL (
    SELECT min(l.begin_snapshot) AS first, max(l.begin_snapshot) AS last FROM {ledger} AS l
    WHERE l.end_snapshot IS NULL AND l.source = c.source AND l.stream = c.stream
      AND l.begin_snapshot > c.transformed_snapshot
) AS p
WHERE c.end_snapshot IS NULL
