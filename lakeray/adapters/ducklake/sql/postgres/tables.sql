-- tables.sql by Postgres itself.
SELECT s.schema_name, t.table_name, (coalesce(f.row_count, 0) - coalesce(d.row_count, 0))::bigint,
       NOT EXISTS (SELECT FROM {catalog}.ducklake_inlined_data_tables AS i WHERE i.table_id = t.table_id)
       AND NOT EXISTS (
           SELECT FROM pg_class AS c JOIN pg_class AS beside ON beside.relnamespace = c.relnamespace
           WHERE c.oid = t.tableoid AND beside.relname = 'ducklake_inlined_delete_' || t.table_id),
       coalesce(f.files, 0), coalesce(d.files, 0), coalesce(d.row_count, 0)::bigint
FROM {catalog}.ducklake_table AS t
JOIN {catalog}.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
LEFT JOIN (
    SELECT table_id, count(*) AS files, sum(record_count) AS row_count FROM {catalog}.ducklake_data_file
    WHERE end_snapshot IS NULL GROUP BY table_id
) AS f ON f.table_id = t.table_id
LEFT JOIN (
    SELECT d.table_id, count(*) AS files, sum(d.delete_count) AS row_count FROM {catalog}.ducklake_delete_file AS d
    JOIN {catalog}.ducklake_data_file AS f ON f.data_file_id = d.data_file_id AND f.end_snapshot IS NULL
    WHERE d.end_snapshot IS NULL GROUP BY d.table_id
) AS d ON d.table_id = t.table_id
WHERE s.schema_name IN ('staging', 'main') AND t.end_snapshot IS NULL
UNION ALL
SELECT s.schema_name, v.view_name, 0, false, 0, 0, 0 FROM {catalog}.ducklake_view AS v
JOIN {catalog}.ducklake_schema AS s ON s.schema_id = v.schema_id AND s.end_snapshot IS NULL
WHERE s.schema_name IN ('staging', 'main') AND v.end_snapshot IS NULL
