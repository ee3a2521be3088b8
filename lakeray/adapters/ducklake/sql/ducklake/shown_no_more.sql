-- Files by absolute paths, raw files first of all, that no DuckLake snapshot shows from this one on.
SELECT data_file_id, path FROM __ducklake_metadata_lakehouse.ducklake_data_file
WHERE end_snapshot <= $kept_from AND NOT path_is_relative
