-- Rows of a processed table whose key, without nulls, another row has, too.
SELECT coalesce(sum(rows), 0)::BIGINT FROM (
    SELECT count(*) AS rows FROM lakehouse.main.$table AS own($columns) WHERE $has_key GROUP BY $keys HAVING count(*) > 1)
