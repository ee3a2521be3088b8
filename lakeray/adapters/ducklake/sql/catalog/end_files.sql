-- Files whose rows no DuckLake snapshot shows from this one on.
UPDATE ducklake_data_file SET end_snapshot = $1 WHERE end_snapshot IS NULL AND data_file_id = ANY($2)
