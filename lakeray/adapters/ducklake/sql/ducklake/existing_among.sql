-- What a stream's first plan listed of some keys.
SELECT file_key, etag FROM lakehouse.meta.existing_files
WHERE source = $source AND stream = $stream AND file_key IN (SELECT unnest($keys))
