-- A table's live files of these paths, and the rows that a delete file takes out of them.
SELECT f.data_file_id, f.path, f.record_count, d.delete_count
FROM ducklake_data_file AS f
LEFT JOIN ducklake_delete_file AS d ON d.data_file_id = f.data_file_id AND d.end_snapshot IS NULL
WHERE f.table_id = $1 AND f.end_snapshot IS NULL AND f.path = ANY($2)
