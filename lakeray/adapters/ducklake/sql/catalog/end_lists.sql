-- The delete lists of files whose rows no DuckLake snapshot shows from this one on; older snapshots still need them.
UPDATE ducklake_delete_file SET end_snapshot = $1 WHERE end_snapshot IS NULL AND data_file_id = ANY($2)
