-- DuckLake keeps a table's statistics under this number: with another one it reads the mended ones.
UPDATE __ducklake_metadata_lakehouse.ducklake_snapshot SET next_file_id = next_file_id + 1 WHERE snapshot_id = $snapshot
