-- keep_from.sql by Postgres itself.
SELECT min(p.first) FROM {feeder_cursors} AS c
CROSS JOIN LATERAL (
    SELECT min(l.begin_snapshot) AS first FROM {ledger} AS l
    WHERE l.end_snapshot IS NULL AND l.source = c.source AND l.stream = c.stream
      AND l.begin_snapshot > c.transformed_snapshot
) AS p
WHERE c.end_snapshot IS NULL
