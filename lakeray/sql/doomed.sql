-- Paths that the catalog still refers to as old or scheduled for deletion: registering them again would lose them (P13).
SELECT path FROM __ducklake_metadata_lakehouse.ducklake_data_file WHERE path IN (SELECT unnest($paths))
UNION ALL
SELECT path FROM __ducklake_metadata_lakehouse.ducklake_files_scheduled_for_deletion
WHERE path IN (SELECT unnest($paths))
LIMIT 5
