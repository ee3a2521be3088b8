-- table_rows.sql by Postgres itself.
SELECT (coalesce((SELECT sum(f.record_count) FROM {catalog}.ducklake_data_file AS f
                  WHERE f.table_id = t.table_id AND f.end_snapshot IS NULL), 0)
        - coalesce((SELECT sum(d.delete_count) FROM {catalog}.ducklake_delete_file AS d
                    JOIN {catalog}.ducklake_data_file AS f ON f.data_file_id = d.data_file_id
                    WHERE d.table_id = t.table_id AND d.end_snapshot IS NULL AND f.end_snapshot IS NULL), 0))::bigint,
       NOT EXISTS (SELECT FROM {catalog}.ducklake_inlined_data_tables AS i WHERE i.table_id = t.table_id)
       AND NOT EXISTS (
           SELECT FROM pg_class AS c JOIN pg_class AS beside ON beside.relnamespace = c.relnamespace
           WHERE c.oid = t.tableoid AND beside.relname = 'ducklake_inlined_delete_' || t.table_id)
FROM {catalog}.ducklake_table AS t
JOIN {catalog}.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
WHERE s.schema_name = %(schema)s AND t.table_name = %(name)s AND t.end_snapshot IS NULL
UNION ALL
SELECT 0, false FROM {catalog}.ducklake_view AS v
JOIN {catalog}.ducklake_schema AS s ON s.schema_id = v.schema_id AND s.end_snapshot IS NULL
WHERE s.schema_name = %(schema)s AND v.view_name = %(name)s AND v.end_snapshot IS NULL
