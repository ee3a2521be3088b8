-- In which minutes files of each stream came, of those that were taken in; the newest 200 of each.
SELECT source, stream, came FROM (SELECT DISTINCT source, stream, substr(origin, 1, 16) AS came FROM lakehouse.meta.origins)
WHERE came > '0001'
QUALIFY row_number() OVER (PARTITION BY source, stream ORDER BY came DESC) <= 200
