-- Of every stream, what its table is merged by, and which fields were left out of how many live files; of every processed table, what
-- its cursor is compared as.
SELECT source, stream, 'merged_by' AS note, primary_key, newest_first, 0 AS files FROM lakehouse.meta.merged_by
UNION ALL
SELECT source, stream, 'left_out', fields, NULL, count(*) FROM lakehouse.meta.left_out WHERE refused IS NULL GROUP BY ALL
UNION ALL
SELECT model, NULL, 'cursor_type', column_name, cursor_type, 0 FROM lakehouse.meta.cursor_types
