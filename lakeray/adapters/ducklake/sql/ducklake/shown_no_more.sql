-- Data files of landing tables that no DuckLake snapshot shows once these are expired.
WITH kept AS MATERIALIZED (
    SELECT snapshot_id FROM __ducklake_metadata_lakehouse.ducklake_snapshot
    WHERE snapshot_id NOT IN (SELECT unnest($expired))
)
SELECT d.data_file_id, d.path
FROM __ducklake_metadata_lakehouse.ducklake_data_file AS d
WHERE d.end_snapshot IS NOT NULL AND NOT d.path_is_relative AND NOT EXISTS (
    SELECT 1 FROM kept WHERE kept.snapshot_id >= d.begin_snapshot AND kept.snapshot_id < d.end_snapshot)
