-- The record of rejected files, of one stream or of all.
SELECT source, stream, file_key, etag, size_bytes, reason, detail, status, seen_at
FROM lakehouse.meta.quarantine
WHERE ($source IS NULL OR source = $source) AND ($stream IS NULL OR stream = $stream) ORDER BY file_key
