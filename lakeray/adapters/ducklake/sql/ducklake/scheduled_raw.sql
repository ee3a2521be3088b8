-- For paths that are about to be cleaned up: the raw object that was last registered there, as it was taken in.
SELECT registered_path, file_key, etag, size_bytes FROM lakehouse.meta.ledger
WHERE registered_path IN (SELECT unnest(?))
QUALIFY row_number() OVER (PARTITION BY registered_path ORDER BY snapshot_id DESC) = 1
