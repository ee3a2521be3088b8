-- In which of the catalog's tables the rows of each table of meta are, in how many, the catalog's format, and whether the table
-- has the columns that this version knows. A table whose rows were flushed into files counts as none. min(), not EXISTS: for
-- that the planner reads every data file there is.
SELECT t.table_name, min(i.table_name), count(i.table_name) FILTER (WHERE f.flushed IS NULL),
       (SELECT value FROM {catalog}.ducklake_metadata WHERE key = 'version' AND scope IS NULL),
       t.table_name <> 'removals' OR bool_or(EXISTS (
           SELECT FROM {catalog}.ducklake_column AS c
           WHERE c.table_id = t.table_id AND c.column_name = 'key_may_return' AND c.end_snapshot IS NULL))
FROM {catalog}.ducklake_table AS t
JOIN {catalog}.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
JOIN {catalog}.ducklake_inlined_data_tables AS i ON i.table_id = t.table_id
CROSS JOIN LATERAL (
    SELECT min(d.begin_snapshot) AS flushed FROM {catalog}.ducklake_data_file AS d WHERE d.table_id = t.table_id
) AS f
WHERE s.schema_name = 'meta' AND t.end_snapshot IS NULL
GROUP BY t.table_name
