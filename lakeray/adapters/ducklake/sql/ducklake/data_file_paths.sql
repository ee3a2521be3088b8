-- Every path that the catalog knows of a file: shown by a DuckLake snapshot, or waiting to be cleaned up.
SELECT path FROM __ducklake_metadata_lakehouse.ducklake_data_file
UNION ALL SELECT path FROM __ducklake_metadata_lakehouse.ducklake_delete_file
UNION ALL SELECT path FROM __ducklake_metadata_lakehouse.ducklake_files_scheduled_for_deletion
