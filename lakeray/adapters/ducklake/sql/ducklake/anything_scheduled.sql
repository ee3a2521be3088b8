-- Whether an earlier clean-up left files to delete.
SELECT 1 FROM __ducklake_metadata_lakehouse.ducklake_files_scheduled_for_deletion LIMIT 1
