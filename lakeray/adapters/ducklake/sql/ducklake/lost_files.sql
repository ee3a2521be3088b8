-- Of these registered paths: those that the ledger took in with rows, that nobody removed, and that the catalog no longer knows
-- as a data file.
SELECT l.registered_path FROM lakehouse.meta.ledger AS l
WHERE l.registered_path IN (SELECT unnest(?)) AND l.row_count > 0
  AND NOT EXISTS (
    SELECT 1 FROM __ducklake_metadata_lakehouse.ducklake_data_file AS d WHERE d.path = l.registered_path)
  AND NOT EXISTS (
    SELECT 1 FROM lakehouse.meta.removals AS r
    WHERE r.source = l.source AND r.stream = l.stream AND r.file_key = l.file_key AND r.registered_snapshot = l.snapshot_id)
ORDER BY l.registered_path LIMIT 5
