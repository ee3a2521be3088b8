-- Whether a file is shown by no DuckLake snapshot from this one on.
SELECT EXISTS (SELECT 1 FROM __ducklake_metadata_lakehouse.ducklake_data_file WHERE end_snapshot <= ?)
