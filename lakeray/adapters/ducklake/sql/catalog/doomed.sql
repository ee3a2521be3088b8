-- Paths that the catalog still refers to as registered, old or scheduled for deletion (P13).
SELECT path, end_snapshot IS NULL AS is_live FROM ducklake_data_file WHERE path = ANY($1)
UNION ALL
SELECT path, false FROM ducklake_files_scheduled_for_deletion WHERE path = ANY($1)
