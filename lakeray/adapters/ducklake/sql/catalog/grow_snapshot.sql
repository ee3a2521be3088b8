-- Ids that more files took, in the snapshot that this transaction adds.
UPDATE ducklake_snapshot SET next_file_id = $1 WHERE snapshot_id = $2
