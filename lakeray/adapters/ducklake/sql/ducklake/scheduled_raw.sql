-- For paths that are about to be cleaned up: the raw object that was last registered there, as it was taken in, why its rows
-- left landing, and whose stream it is. No reason: lakeray did not remove them.
SELECT l.registered_path, l.file_key, l.etag, l.size_bytes, r.reason, l.source, l.stream
FROM (
    SELECT source, stream, registered_path, file_key, etag, size_bytes, snapshot_id FROM lakehouse.meta.ledger
    WHERE registered_path IN (SELECT unnest(?))
    QUALIFY row_number() OVER (PARTITION BY registered_path ORDER BY snapshot_id DESC) = 1
) AS l
LEFT JOIN lakehouse.meta.removals AS r
    ON r.source = l.source AND r.stream = l.stream AND r.file_key = l.file_key
    AND r.registered_snapshot = l.snapshot_id
