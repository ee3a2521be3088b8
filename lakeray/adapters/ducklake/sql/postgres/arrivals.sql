-- arrivals.sql by Postgres itself.
SELECT convert_from(source, 'UTF8'), convert_from(stream, 'UTF8'), convert_from(came, 'UTF8')
FROM (
    SELECT source, stream, came, row_number() OVER (PARTITION BY source, stream ORDER BY came DESC) AS place
    FROM (SELECT DISTINCT source, stream, substr(origin, 1, 16) AS came FROM {origins} WHERE end_snapshot IS NULL) AS minutes
    WHERE came > convert_to('0001', 'UTF8')
) AS numbered
WHERE place <= 200
