-- Paths that the catalog still refers to as registered, old or scheduled for deletion (P13).
SELECT path, bool_or(is_live) FROM (
    SELECT path, end_snapshot IS NULL AS is_live FROM __ducklake_metadata_lakehouse.ducklake_data_file
    WHERE path IN (SELECT unnest($paths))
    UNION ALL
    SELECT path, false FROM __ducklake_metadata_lakehouse.ducklake_files_scheduled_for_deletion
    WHERE path IN (SELECT unnest($paths))
) GROUP BY path ORDER BY path
