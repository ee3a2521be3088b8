-- A table's live files, each with its live delete list.
SELECT f.data_file_id, f.path, f.path_is_relative, f.record_count,
    d.delete_file_id, d.path, d.path_is_relative, d.format, d.delete_count, d.begin_snapshot, d.partial_max
FROM ducklake_data_file AS f
LEFT JOIN ducklake_delete_file AS d ON d.data_file_id = f.data_file_id AND d.end_snapshot IS NULL
WHERE f.table_id = $1 AND f.end_snapshot IS NULL
ORDER BY f.data_file_id
